"""What a search chose in each fold, and how it looked inside and outside, as the page shows it."""

import pandas as pd

from bidsapp.drawing.svg import number
from bidsapp.evaluation.tsv import as_float
from bidsapp.recipes.search import METRICS
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Cell, Grid, decimal, grid, plain


def search_folds_table(run: RunFiles) -> Grid | None:
    """Each fold: the setting that was chosen, its inner and its held-out score, their difference.

    Where settings were compared by held-out people, there is no inner score.
    """
    needed = ("variant", "repeat", "fold", "values", "metric", "inner")
    table = run.table("tables/search_folds.tsv", needed)
    if table.empty:
        return None
    columns = [
        ("Variant", plain("variant")),
        ("Repeat", plain("repeat")),
        ("Fold", plain("fold")),
        ("Chosen", plain("values")),
        ("Inside the training fold", _with_se),
        ("Held out", decimal("outer")),
        ("Inside looks better by", decimal("optimism")),
        ("Note", plain("note")),
    ]
    if "note" not in table:
        columns.pop()
    caption = (
        f"What was chosen in each fold, compared by {_metrics(table)} (mean over inner folds ± "
        "standard error). Only the people held out give a result"
    )
    right = ("Inside the training fold", "Held out", "Inside looks better by")
    return grid("search-folds", caption, table, columns, numeric=right)


def search_settings_table(run: RunFiles) -> Grid | None:
    """Each setting: its mean inner score, and in how many folds it was chosen."""
    needed = ("variant", "setting", "values", "metric", "inner", "chosen", "folds")
    table = run.table("tables/search_settings.tsv", needed)
    if table.empty:
        return None
    columns = [
        ("Variant", plain("variant")),
        ("Setting", plain("values")),
        ("Mean over folds", decimal("inner", 3)),
        ("SD over folds", decimal("inner_sd", 3)),
        ("Chosen in", _share),
    ]
    caption = f"Every setting that was tried, compared by {_metrics(table)}, and how often it won"
    right = ("Mean over folds", "SD over folds", "Chosen in")
    return grid("search-settings", caption, table, columns, numeric=right)


def _metrics(table: pd.DataFrame) -> str:
    return " or ".join(METRICS.get(name, name) for name in table["metric"].drop_duplicates())


def _with_se(row: pd.Series) -> Cell:
    value, se = as_float(row["inner"]), as_float(row["inner_se"])
    shown = decimal("inner")(row)
    return Cell(f"{shown.text} ± {number(se, 2)}", value) if se == se else shown


def _share(row: pd.Series) -> Cell:
    return Cell(f"{row['chosen']} of {row['folds']} folds", as_float(row["chosen"]))
