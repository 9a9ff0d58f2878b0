"""Slices of the template with a map in colours on them, and the colours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bidsapp.drawing.contours import UNITS, contour_path
from bidsapp.drawing.mosaic import PIXEL_MM, Picture, Tile
from bidsapp.drawing.pictures import data_uri, enlarged, windowed
from bidsapp.drawing.volumes import AXES, Cut, choose_cuts
from bidsapp.reports.saliency.grid import Stage

# Orange to yellow against blue to cyan: told apart under every common colour blindness, and
# lighter the larger the magnitude, so that it reads on grey tissue and in black and white.
_WARM = ((0.0, (176, 52, 8)), (0.5, (250, 130, 20)), (1.0, (255, 238, 130)))
_COLD = ((0.0, (18, 62, 190)), (0.5, (50, 150, 255)), (1.0, (185, 245, 255)))
SHOWN_SHARE = 0.1  # of the voxels that hold a value, and of the largest magnitude
_DIM = 0.8  # the template's brightness below a map


def ramp(stops: Sequence[tuple[float, tuple[int, int, int]]], steps: int = 128) -> np.ndarray:
    """Colours between stops, (steps, 3) uint8."""
    where = np.linspace(0, 1, steps)
    colours = np.array([colour for _, colour in stops], float)
    places = [place for place, _ in stops]
    channels = [np.interp(where, places, colours[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def map_colours() -> np.ndarray:
    """(256, 3) uint8: most negative first, most positive last."""
    return np.concatenate([ramp(_COLD)[::-1], ramp(_WARM)])


def overlay_tiles(stage: Stage, values: np.ndarray, limit: float, top: float) -> list[Tile]:
    """Make a mosaic of the template with a map on it; one slice of each plane cuts its peak.

    Parameters
    ----------
    stage
        What lies below.
    values
        (x, y, z) on the stage's grid.
    limit, top
        Magnitudes from which on, and up to which, the map is coloured.
    """
    where = (values != 0) & stage.inside
    grid = stage.brain.like(where if where.any() else stage.inside)
    bright = float(np.percentile(stage.brain.data[stage.inside], 99.5))
    cuts = _through(choose_cuts(grid, ("axial", "coronal", "sagittal")), values, stage)
    return [_tile(stage, cut, values, limit, top, bright) for cut in cuts]


def _through(cuts: Sequence[Cut], values: np.ndarray, stage: Stage) -> list[Cut]:
    """Move the nearest slice of each plane to the largest magnitude, so that it is seen."""
    peak = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    moved = list(cuts)
    for plane, axis in AXES.items():
        own = [place for place, cut in enumerate(cuts) if cut.plane == plane]
        nearest = min(own, key=lambda place: abs(cuts[place].index - peak[axis]))
        cut = cuts[nearest]
        shift = float(peak[axis] - cut.index) * float(stage.brain.voxel_sizes[axis])
        moved[nearest] = replace(
            cut,
            index=int(peak[axis]),
            position=cut.position + shift,
            offset=cut.offset + shift,
        )
    return moved


def _tile(
    stage: Stage, cut: Cut, values: np.ndarray, limit: float, top: float, bright: float
) -> Tile:
    from PIL import Image

    extent = np.delete(np.array(values.shape) * stage.brain.voxel_sizes, AXES[cut.plane])
    width, height = np.maximum(np.rint(extent / PIXEL_MM).astype(int), 2).tolist()
    size = (width, height)
    grey = np.asarray(enlarged(windowed(cut.of(stage.brain.data), 0, bright), size))
    plane = np.ascontiguousarray(cut.of(values), dtype=np.float32)
    shown = np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR))
    picture = coloured(grey, shown, limit, top)
    alt = f"Saliency over the template, {cut.plane} slice at {cut.label}"
    outline = contour_path(cut.of(stage.inside), 0.5, size)
    return Tile(
        plane=cut.plane,
        label=cut.label,
        hemisphere=cut.hemisphere,
        sides=cut.sides,
        width=width,
        height=height,
        pictures=(Picture("participant", alt, data_uri(Image.fromarray(picture))),),
        paths=(("outer", outline),) if outline else (),
        units=UNITS,
    )


def coloured(grey: np.ndarray, shown: np.ndarray, limit: float, top: float) -> np.ndarray:
    """Lay a map in colours over a grey picture: (rows, columns, 3) uint8."""
    picture = np.repeat((grey * _DIM).astype(np.uint8)[..., None], 3, axis=2)
    on = np.abs(shown) >= limit
    picture[on] = map_colours()[colour_index(shown[on], limit, top)]
    return picture


def colour_index(values: np.ndarray, limit: float, top: float) -> np.ndarray:
    """Index into `map_colours` by magnitude, from `limit` (dark) to `top` (light)."""
    share = np.clip((np.abs(values) - limit) / max(top - limit, 1e-12), 0, 1)
    step = np.rint(share * 127).astype(int)
    return np.where(values < 0, 127 - step, 128 + step)


def colour_bar(limit: float, top: float, units: str) -> dict[str, Any]:
    """Gradients and ticks of the colour bar, negative and positive side."""
    colours = map_colours()

    def gradient(part: np.ndarray) -> str:
        return ", ".join(f"rgb({r} {g} {b})" for r, g, b in part.tolist())

    ticks = [_tick(value) for value in (-top, -limit, limit, top)]
    return {
        "cold": gradient(colours[0:128:18]),
        "warm": gradient(colours[128:256:18]),
        "ticks": ticks,
        "units": units or "arbitrary",
    }


def _tick(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")


def colour_limits(values: np.ndarray) -> tuple[float, float]:
    """From which magnitude on a map is coloured, and where its colours end.

    Coloured is the tenth of the voxels that hold a value which is largest in magnitude, and of
    these what has a tenth of the largest magnitude; the colours end at the largest.
    """
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    if not size.size:
        return 1.0, 1.0
    top = float(size.max())
    return max(float(np.quantile(size, 1 - SHOWN_SHARE)), SHOWN_SHARE * top), top
