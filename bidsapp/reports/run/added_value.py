"""What the scan adds to what is known without it, as the page shows it."""

import numpy as np
import pandas as pd

from bidsapp.evaluation.added_value import TEST
from bidsapp.evaluation.added_value_tables import NO_INDEX
from bidsapp.evaluation.tsv import as_float
from bidsapp.reports.run.files import RunFiles
from bidsapp.reports.run.grids import Cell, Grid, decimal, interval, p_value

_MEASURES = {
    "auc": "AUC",
    "brier": "Brier score (lower is better)",
    "log_likelihood": "Log-likelihood of a person",
    "net_benefit": "Net benefit",
    TEST: "Likelihood-ratio test",
}


def added_value_table(run: RunFiles) -> Grid | None:
    """Each pair of models: the measure of both, the gain with its interval, the test."""
    numbers = ("value_first", "value_second", "gain", "ci_low", "ci_high", "statistic", "p_holm")
    table = run.table("tables/added_value.tsv", ("first", "second", "measure", "note"), numbers)
    if table.empty:
        return None
    headings = ["Without", "With", "Measure", "Without it", "With it", "Gain", "Interval", "p"]
    rows = []
    for row in table.to_dict("records"):
        series = pd.Series(row)
        measure = str(row["measure"])
        name = _MEASURES.get(measure, measure)
        if measure == "net_benefit":
            low, high = run.settings.net_benefit_range
            name += f", mean over thresholds {low:.0%} to {high:.0%}"
        if measure == TEST:
            statistic = as_float(row["statistic"])
            told = "n/a" if np.isnan(statistic) else f"chi-square {statistic:.2f}"
            middle = [Cell(""), Cell(""), Cell(told, statistic), Cell("")]
        else:
            middle = [decimal(key)(series) for key in ("value_first", "value_second", "gain")]
            middle.append(interval()(series))
        cells = [Cell(str(row["first"])), Cell(str(row["second"])), Cell(name)]
        rows.append([*cells, *middle, p_value("p_holm")(series)])
    caption = (
        "What the scan adds, on the same held-out people. Intervals allow for training on other "
        "people; p is corrected over the pairs (Holm)"
    )
    return Grid("added-value", caption, headings, rows, tuple(range(3, len(headings))))


def reclassification_table(run: RunFiles) -> Grid | None:
    """Who changes the class of risk, by outcome."""
    needed = ("first", "second", "outcome", "risk_first", "risk_second")
    table = run.table("tables/reclassification.tsv", needed, ("n",))
    table = table[table["n"] > 0]
    if table.empty:
        return None
    headings = ["Without", "With", "Outcome", "Risk without it", "Risk with it", "n"]
    names = {"1": "positive", "0": "negative"}
    rows = [
        [
            *(Cell(str(row[key])) for key in needed[:2]),
            Cell(names.get(str(row["outcome"]), str(row["outcome"]))),
            *(Cell(str(row[key])) for key in needed[3:]),
            Cell(f"{row['n']:.0f}", float(row["n"])),
        ]
        for row in table.to_dict("records")
    ]
    return Grid("reclassification", f"Classes of risk. {NO_INDEX}", headings, rows, (5,))
