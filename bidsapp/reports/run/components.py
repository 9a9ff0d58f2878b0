"""What folds found of their components, and how long a fold took, as the page shows them."""

import math

import pandas as pd

from bidsapp.drawing.svg import number
from bidsapp.evaluation.tsv import as_float
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Cell, Grid, decimal, grid, p_value, plain

_SHOWN = (
    ("stability", "Stability over starts"),
    ("variance", "Share of variance"),
    ("like_r", "|r| with the first fold"),
    ("like_null", "Flipped map reaches"),
    ("template_r", "|r| with the template"),
    ("template_null", "Flipped template reaches"),
)


def components_table(run: RunFiles) -> Grid | None:
    """Each component of the first fold, by means over the folds that have it.

    p is the median, as a mean of p means nothing.
    """
    if not (run.folder / "components.tsv").is_file():
        return None
    numbers = (*(name for name, _ in _SHOWN), "p", "r", "kept")
    table = run.table("components.tsv", ("variant", "fold", "like"), numbers)
    matched = table[table["like"].notna() & (table["like"] != "n/a")]
    if matched.empty:
        return None
    by = matched.groupby(["variant", "like"], sort=True)
    rows = by[list(numbers)].mean().assign(p=by["p"].median(), folds=by.size())
    rows = rows.assign(kept=by["kept"].sum(min_count=1)).reset_index()
    there = [(name, title) for name, title in _SHOWN if rows[name].notna().any()]
    columns = [
        ("Variant", plain("variant")),
        ("Component", plain("like")),
        ("Folds", plain("folds")),
        *((title, decimal(name)) for name, title in there),
    ]
    if rows["p"].notna().any():
        columns += [("p, median", p_value("p")), ("r with the outcome", decimal("r"))]
    if rows["kept"].notna().any():
        columns.append(("Kept in", _kept))
    caption = (
        "Components of the folds under the first fold's numbers; a fold's component that is no "
        "more like one of them than a flipped map has none. Means over folds"
    )
    if rows["p"].notna().any():
        caption += "; p and r are of the people that the choice was fitted on, not corrected"
    right = tuple(title for title, _ in columns[2:])
    return grid("fold-components", caption, rows, columns, numeric=right)


def fold_minutes(run: RunFiles) -> dict[str, Cell]:
    """Mean wall time of a fold of each variant; nothing of a run without the table."""
    if not (run.folder / "folds.tsv").is_file():
        return {}
    table = run.table("folds.tsv", ("variant", "seconds"), ("seconds",))
    means = table.groupby("variant")["seconds"].mean()
    return {str(name): Cell(_time(value), value) for name, value in means.items() if value > 0}


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{number(seconds, 0 if seconds >= 10 else 1)} s"
    return f"{number(seconds / 60, 1)} min"


def _kept(row: pd.Series) -> Cell:
    kept = as_float(row["kept"])
    return Cell(f"{kept:.0f} of {row['folds']}" if math.isfinite(kept) else "–", kept)
