"""The accuracy of answers against the share of people who are answered, drawn."""

import pandas as pd

from bidsapp.drawing.plot import Axis, Plot, unit_axis

_LOWEST = 0.4
_ORDERS = (
    ("sure", "main", "the surest first"),
    ("agreed", "baseline", "fold models agree first"),
    ("like", "baseline", "most like training first"),
)


def coverage_plot(table: pd.DataFrame, whose: str = "") -> Plot | None:
    """Draw in which order people are answered, and how right that is.

    Parameters
    ----------
    table
        Columns `evaluation.abstention.COVERAGE`, numbers as numbers.
    whose
        Variant, for the line above; empty for a model that is judged alone.

    Returns
    -------
    Plot or None
        None where the table is empty.
    """
    if table.empty:
        return None
    low = min(_LOWEST, float(table["accuracy"].min()))
    plot = Plot(
        "coverage",
        "Accuracy against coverage",
        "Share of right answers against the share of people who are answered: the surest first, "
        "with Wilson's intervals, and in another order beside it.",
        unit_axis("Share of people answered"),
        Axis("Share of right answers", low, 1.0),
    )
    if whose:
        plot.caption(whose)
    legend = []
    for order, css, words in _ORDERS:
        rows = table[table["order"] == order].sort_values("coverage")
        if rows.empty:
            continue
        xs = rows["coverage"].tolist()
        if order == "sure":
            plot.band(xs, rows["ci_low"].tolist(), rows["ci_high"].tolist(), "fill-band")
        plot.line(xs, rows["accuracy"].tolist(), css)
        legend.append((css, words))
    plot.legend(legend)
    return plot
