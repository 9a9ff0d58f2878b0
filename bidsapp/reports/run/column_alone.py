"""What each column of the cohort by itself says of the outcome, as the page shows it."""

from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Grid, decimal, grid, interval, p_value, plain

_WORDS = {"True": "yes", "False": "no"}


def columns_table(run: RunFiles) -> Grid | None:
    """Lay out every column that was looked at, those that go with the outcome first."""
    numeric = ("p", "p_holm", "auc", "ci_low", "ci_high")
    needed = ("column", "of_scanner", "kind", "n", "test", "separates", "note")
    table = run.table("tables/columns.tsv", needed, numeric).sort_values(
        "p_holm", kind="stable", na_position="last"
    )
    words = {name: table[name].map(_WORDS).fillna("") for name in ("of_scanner", "separates")}
    columns = [
        ("Column", plain("column")),
        ("Of scanner or site", plain("of_scanner")),
        ("Read as", plain("kind")),
        ("n", plain("n")),
        ("AUC by itself", decimal("auc")),
        ("Interval", interval()),
        ("Test", plain("test")),
        ("p", p_value("p")),
        ("p, Holm", p_value("p_holm")),
        ("Separates the classes", plain("separates")),
        ("Note", plain("note")),
    ]
    right = ("n", "AUC by itself", "Interval", "p", "p, Holm")
    caption = "What each column of the cohort by itself says of the outcome, on these very people"
    return grid("columns", caption, table.assign(**words), columns, numeric=right, find=True)


def sites_table(run: RunFiles) -> Grid | None:
    """Lay out what tells site and outcome, as regional values are and harmonised in the fold."""
    needed = ("told", "by", "harmonised", "n", "note")
    table = run.table("tables/sites.tsv", needed, ("auc",))
    columns = [
        ("Told", plain("told")),
        ("By", plain("by")),
        ("Harmonised", plain("harmonised")),
        ("AUC", decimal("auc")),
        ("n", plain("n")),
        ("Note", plain("note")),
    ]
    caption = "What site alone tells, and what harmonisation in the fold leaves of it"
    return grid("sites", caption, table, columns, numeric=("AUC", "n"))
