"""The accuracy of answers against the share of people who are answered, drawn."""

from bidsapp.drawing.plot import Axis, Plot, unit_axis
from bidsapp.evaluation.abstention import COVERAGE
from bidsapp.reports.run.figures import Figure, keep
from bidsapp.reports.run.files import RunFiles

_LOWEST = 0.4


def draw_coverage(run: RunFiles) -> Figure | None:
    """Draw who is answered first by sureness and by agreement; None where there are no limits."""
    table = run.table("figures/coverage.tsv", ("order",), COVERAGE[1:])
    if table.empty:
        return None
    low = min(_LOWEST, float(table["accuracy"].min()))
    plot = Plot(
        "coverage",
        "Accuracy against coverage",
        "Share of right answers against the share of people who are answered: the surest first, "
        "with Wilson's intervals, and those first about whom the fold models agree.",
        unit_axis("Share of people answered"),
        Axis("Share of right answers", low, 1.0),
    )
    legend = []
    for order, css, words in (
        ("sure", "main", "the surest first"),
        ("agreed", "baseline", "fold models agree first"),
    ):
        rows = table[table["order"] == order].sort_values("coverage")
        if rows.empty:
            continue
        xs = rows["coverage"].tolist()
        if order == "sure":
            plot.band(xs, rows["ci_low"].tolist(), rows["ci_high"].tolist(), "fill-band")
        plot.line(xs, rows["accuracy"].tolist(), css)
        legend.append((css, words))
    plot.legend(legend)
    return keep(run, plot, "figures/coverage.tsv")
