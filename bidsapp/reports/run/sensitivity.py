"""The sensitivity curve of simulated runs as figures: what is found at which contrast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.derivatives import write_text
from bidsapp.drawing.plot import PROBABILITY_TICKS, Axis, Plot
from bidsapp.drawing.svg import number
from bidsapp.evaluation.tsv import read_table

_NUMBERS = (
    *("contrast_sd", "auc", "ci_low", "ci_high", "retrained_low", "retrained_high"),
    *("saliency_inside", "saliency_chance"),
)


def draw_sensitivity(folder: Path) -> list[Path]:
    """Draw ``figures/sensitivity_<variant>.svg`` from ``tables/sensitivity.tsv``.

    Parameters
    ----------
    folder
        Of the curve, ``<out>/group/<label>-cuboid``.

    Returns
    -------
    list of Path
        A figure for every variant that was run at two contrasts at least.
    """
    table = read_table(folder / "tables" / "sensitivity.tsv", ("variant", *_NUMBERS))
    table = table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in _NUMBERS})
    found = []
    for variant, rows in table.groupby("variant", sort=False):
        rows = rows.sort_values("contrast_sd")
        if rows["contrast_sd"].nunique() < 2:
            continue
        plot = _curve(str(variant), rows)
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(variant))
        found.append(folder / "figures" / f"sensitivity_{name}.svg")
        write_text(found[-1], plot.standalone() + "\n")
    return found


def _curve(variant: str, rows: pd.DataFrame) -> Plot:
    """AUC and place of the saliency against the contrast."""
    xs = rows["contrast_sd"].tolist()
    plot = Plot(
        "sensitivity",
        f"Sensitivity to a planted cuboid, {variant}",
        "Pooled AUC of held-out people, and share of the largest 1 % of the saliency map that lies "
        f"in the cuboid, against the contrast. {_in_words(rows)}",
        Axis("Contrast of the cuboid (SD between people)", min(xs), max(xs), tuple(xs)),
        Axis("AUC; share of the map's top 1 %", 0.0, 1.0, PROBABILITY_TICKS),
    )
    plot.rule("chance", y=0.5)
    plot.band(xs, rows["ci_low"].tolist(), rows["ci_high"].tolist(), "fill-band")
    for limit in ("retrained_low", "retrained_high"):
        plot.line(xs, rows[limit].tolist(), "thin")
    plot.line(xs, rows["auc"].tolist(), "main")
    entries = [
        ("main", "AUC"),
        ("fill-band", "interval, scores as given"),
        ("thin", "interval, trained anew"),
        ("chance", "AUC by chance"),
    ]
    inside = rows["saliency_inside"].tolist()
    if np.isfinite(inside).any():
        plot.line(xs, inside, "baseline")
        entries.append(("baseline", "top 1 % of the map in the cuboid"))
    for points, css, what in ((rows["auc"], "point", "AUC"), (inside, "baseline-point", "inside")):
        _points(plot, xs, list(points), css, what)
    plot.stamp("SIMULATED")
    plot.legend(entries)
    return plot


def _points(plot: Plot, xs: Sequence[float], ys: Sequence[float], css: str, what: str) -> None:
    for x, y in zip(xs, ys, strict=True):
        if np.isfinite(y):
            plot.point(x, y, css, tip=f"{x:+g} SD: {what} {number(y)}")


def _in_words(rows: pd.DataFrame) -> str:
    return " ".join(
        f"{row['contrast_sd']:+g} SD: AUC {number(row['auc'])}." for _, row in rows.iterrows()
    )
