"""About whom there is no answer, and how often the other answers are wrong: table and figure."""

from bidsapp.evaluation.abstention import COVERAGE
from bidsapp.reports.charts.coverage import coverage_plot
from bidsapp.reports.run.figures import Figure, keep
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Grid, decimal, grid, interval, plain

_CAPTION = "Who is answered, and how often that is wrong"


def answers_table(run: RunFiles, name: str, *, by_variant: bool) -> Grid | None:
    """Show errors among who is answered beside what was promised; None where there are no limits.

    Parameters
    ----------
    run
        Folder of a run or a validation.
    name
        Of its table under ``tables/``.
    by_variant
        Whether the table has a row for each variant.
    """
    numbers = ("people", "forecasts", "errors", "error_rate", "ci_low", "ci_high", "promise")
    texts = ("variant", "part", "note") if by_variant else ("part", "note")
    table = run.table(f"tables/{name}.tsv", texts, numbers)
    columns = [
        *[("Variant", plain("variant"))] * by_variant,
        ("People", plain("part")),
        ("How many", decimal("people", 0)),
        *[("Forecasts", decimal("forecasts", 0))]
        * (not table["forecasts"].equals(table["people"])),
        ("Errors", decimal("errors", 0)),
        ("Error rate", decimal("error_rate")),
        ("Interval", interval()),
        ("Promised", decimal("promise")),
        ("Note", plain("note")),
    ]
    caption = _CAPTION
    if by_variant:
        caption += (
            ": held-out people, each judged by limits that were fitted on those of the other folds"
        )
    return grid("answers", caption, table, columns)


def coverage(run: RunFiles, variant: str = "") -> Figure | None:
    """Draw accuracy against coverage, of one variant or of the model that is judged."""
    texts = ("variant", "order") if variant else ("order",)
    table = run.table("figures/coverage.tsv", texts, COVERAGE[1:])
    plot = coverage_plot(table[table["variant"] == variant] if variant else table, variant)
    return None if plot is None else keep(run, plot, "figures/coverage.tsv")
