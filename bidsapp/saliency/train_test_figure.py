"""The figure of Attias et al. 2025: mean image and mean map, training beside held-out people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.contracts.unit import units_in
from bidsapp.derivatives import atomic_path
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.stack import MapStack

# A share of the map's values that may lie beyond the ends of the colours.
_BEYOND = 0.5


@dataclass(frozen=True)
class Panel:
    """One half of the figure.

    Attributes
    ----------
    title
        Above it.
    people
        How many true positives are in it.
    image, saliency
        (x, y, z): their mean image and mean map; None for nobody. Of a picture z has one cell.
    """

    title: str
    people: int
    image: np.ndarray | None
    saliency: np.ndarray | None


def panel_of(
    title: str, stack: MapStack, images: CohortArray, inside: np.ndarray, fwhm_mm: float
) -> Panel:
    """Average the true positives of a stack.

    Parameters
    ----------
    title
        Of the panel.
    stack
        Maps of some scans.
    images
        The cohort, in the stack's space.
    inside
        Bool of the space's shape: the mask of the values.
    fwhm_mm
        Smoothing of the mean map.
    """
    rows = stack.rows
    right = (rows["outcome"] == 1) & (rows["probability"] >= stack.about["threshold"])
    chosen = np.flatnonzero(right)
    if not len(chosen) or not inside.any():
        return Panel(title, 0, None, None)
    keys, own = images.units, units_in(rows)
    places = [keys.index(own[i]) for i in chosen]
    image = np.mean([np.asarray(images.open()[place, 0], np.float32) for place in places], axis=0)
    mean = stack.values[chosen].sum(axis=1).mean(axis=0)
    saliency = np.zeros(inside.shape, np.float32)
    smoother = stack.space.smoother(inside, fwhm_mm)
    saliency[inside] = smoother(mean[inside])
    return Panel(title, len(chosen), np.atleast_3d(image), np.atleast_3d(saliency))


def draw(panels: Sequence[Panel], path: Path, note: str) -> None:
    """Draw the slice in which the maps are strongest, one panel beside the other, as PNG.

    The slice is taken across the maps' shortest axis; both panels share the slice and the
    colours. A panel of nobody says so.

    Parameters
    ----------
    panels
        From `panel_of`, in one space.
    path
        The file.
    note
        Below the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    maps = [panel.saliency for panel in panels if panel.saliency is not None]
    figure = Figure(figsize=(4.2 * len(panels), 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    axis, place, limit = 0, 0, 1.0
    if maps:
        axis = int(np.argmin(maps[0].shape))
        others = tuple(a for a in range(3) if a != axis)
        place = int(np.argmax(np.sum([np.abs(m).sum(axis=others) for m in maps], axis=0)))
        limit = float(np.percentile(np.abs(np.stack(maps)), 100 - _BEYOND)) or 1.0
    for panel, ax in zip(panels, axes, strict=True):
        ax.set_axis_off()
        ax.set_title(f"{panel.title}, {panel.people} true positives", fontsize=10)
        if panel.image is None or panel.saliency is None:
            ax.text(0.5, 0.5, "nobody", ha="center", va="center", transform=ax.transAxes)
            continue
        image, saliency = (np.take(v, place, axis).T for v in (panel.image, panel.saliency))
        ax.imshow(image, cmap="gray", origin="lower")
        shown = ax.imshow(
            saliency,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            alpha=np.clip(np.abs(saliency) / limit, 0, 0.8),
            origin="lower",
        )
    if maps:
        figure.colorbar(shown, ax=list(axes), shrink=0.6, location="bottom", label=note)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
