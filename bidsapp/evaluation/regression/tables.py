"""Tables of nested regressions: estimates, tests of what was added, held-out AUCs; and as text."""

from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.regression.added_auc import AddedAuc
from bidsapp.evaluation.regression.models import FEW_PEOPLE, Fit, Kind
from bidsapp.evaluation.regression.nested import Nested

AUC_COLUMNS = ("model", "auc", "ci_low", "ci_high", "p", "folds")


def coefficient_table(found: Nested, kind: Kind, level: float = LEVEL) -> pd.DataFrame:
    """Lay out both models, a row a term; columns as in `regression_meanings`."""
    models = (("smaller", found.smaller), ("larger", found.larger))
    parts = [_coefficients(name, fit, kind, level) for name, fit in models]
    return pd.concat(parts, ignore_index=True)


def _coefficients(name: str, fit: Fit, kind: Kind, level: float) -> pd.DataFrame:
    low, high = fit.interval(level, clustered=False)
    columns: dict[str, Any] = {
        "model": name,
        "term": fit.names,
        "estimate": fit.estimates,
        "se": fit.errors,
        "p": fit.p,
        "ci_low": low,
        "ci_high": high,
    }
    if kind == "logistic":
        columns["odds_ratio"] = np.exp(fit.estimates)
    if fit.clustered_covariance is not None:
        low, high = fit.interval(level, clustered=True)
        columns |= {"se_clustered": fit.clustered_errors, "p_clustered": fit.clustered_p}
        columns |= {"ci_low_clustered": low, "ci_high_clustered": high}
    return pd.DataFrame(columns)


def tests_table(found: Nested) -> pd.DataFrame:
    """Lay out the tests of the larger against the smaller model, a row each."""
    return pd.DataFrame([vars(test) for test in found.tests]).rename(columns={"name": "test"})


def auc_table(found: AddedAuc, level: float = LEVEL) -> pd.DataFrame:
    """Lay out the held-out AUC of both models, and their difference."""
    records: list[tuple[object, ...]] = []
    for name, auc in (("smaller", found.smaller), ("larger", found.larger)):
        interval = auc.interval(level)
        records.append((name, auc.value, interval.low, interval.high, float("nan"), found.folds))
    gain = found.gain
    records.append(
        ("difference", gain.difference, gain.interval.low, gain.interval.high, gain.p, found.folds)
    )
    return pd.DataFrame(records, columns=pd.Index(AUC_COLUMNS))


def as_text(table: pd.DataFrame) -> str:
    """Lay a table out for a terminal: numbers with 4 digits, nothing where they are undefined."""
    shown = table.map(_shown) if len(table.columns) else table
    widths = [max(len(str(c)), *shown[c].str.len()) for c in shown]
    texts = [
        [
            value.ljust(width) if not _is_number(table[name]) else value.rjust(width)
            for name, value, width in zip(table, line, widths, strict=True)
        ]
        for line in [[str(name) for name in table], *shown.to_numpy().tolist()]
    ]
    return "\n".join("  ".join(line).rstrip() for line in texts)


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)


def cautions(found: Nested, guessed: bool) -> list[str]:
    """Say what weakens the answer, a sentence each."""
    rows, people = found.larger.rows, found.larger.people
    told = []
    if found.left_out:
        told.append(f"{found.left_out} rows have a missing value and are left out.")
    if people == rows:
        told.append(
            "Every row counts as another person. Where people have several rows (visits, knees), "
            "name their column with --person: tests of rows find too much."
        )
    else:
        whose = "guessed from neighbouring rows" if guessed else "named by the table"
        told.append(
            f"{rows} rows are of {people} people ({whose}). The first test takes rows as "
            "independent; report one of the others."
        )
    if rows > people and people < FEW_PEOPLE:
        told.append(f"With {people} people, errors clustered by person are still too small.")
    return told
