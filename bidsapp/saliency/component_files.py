"""Write what components are worth: a table, and a picture of the components that matter most."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.derivatives import atomic_path
from bidsapp.saliency.component_names import Likeness
from bidsapp.saliency.component_table import NOTE, Joined, component_table
from bidsapp.saliency.group_tables import write_rounded
from bidsapp.saliency.map_files import GroupFolder

PICTURE = "components.png"
_SHOWN, _COLUMNS = 12, 4
_CUT = 2.0  # components are z over the brain

Written = tuple[dict[str, str], list[str]]


def all_of(
    writers: "Sequence[Callable[[GroupFolder], Written]]",
) -> "Callable[[GroupFolder], Written]":
    """Join writers of further tables into one."""

    def write(files: GroupFolder) -> Written:
        tables: dict[str, str] = {}
        notes: list[str] = []
        for one in writers:
            named, said = one(files)
            tables |= named
            notes += said
        return tables, notes

    return write


def write_components(
    joined: Joined,
    files: GroupFolder,
    seed: int,
    names: Mapping[str, str],
    like: Mapping[str, Likeness],
) -> Written:
    """Write ``components.tsv`` and ``components.png``; gives the table's name and notes."""
    table = component_table(joined, seed, names, like)
    write_rounded(files, "components.tsv", table)
    draw_components(joined, table, files.folder / PICTURE)
    return {"components": "components.tsv"}, [NOTE]


def draw_components(joined: Joined, table: pd.DataFrame, path: Path) -> None:
    """Draw the components of the first fold, those first without which most is lost, as PNG.

    Each in the axial slice where it is strongest, |z| of 2 and more coloured, on the mean
    magnitude of all components.

    Parameters
    ----------
    joined
        With the maps, (C, X, Y, Z).
    table
        From `component_table`.
    path
        The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = table.head(_SHOWN)
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(2.3 * _COLUMNS, 2.75 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    brain: np.ndarray = np.any(joined.maps != 0, axis=0).astype(np.float32)
    for ax in axes:
        ax.set_axis_off()
    for ax, (_, row) in zip(axes, shown.iterrows(), strict=False):
        values = joined.maps[joined.names.index(row["component"])]
        place = int(np.abs(values).max(axis=(0, 1)).argmax())
        limit = max(float(np.abs(values).max()), _CUT)
        ax.imshow(brain[..., place].T * 0.35, cmap="gray", vmin=0, vmax=1, origin="lower")
        plane = values[..., place].T
        ax.text(0.02, 0.02, "L", color="white", fontsize=7, transform=ax.transAxes)
        coloured = np.ma.masked_where(np.abs(plane) < _CUT, plane)
        ax.imshow(coloured, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower")
        for x, side, letter in ((0.02, "left", "L"), (0.98, "right", "R")):
            ax.text(x, 0.98, letter, transform=ax.transAxes, color="white", fontsize=7,
                    ha=side, va="top")  # fmt: skip
        lost = "not given" if np.isnan(row["auc_loss"]) else f"{row['auc_loss']:+.3f}"
        known = isinstance(row["network"], str)
        name = f"{row['component']} {row['network']}" if known else str(row["component"])
        ax.set_title(f"{name}\nAUC loss {lost}", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
