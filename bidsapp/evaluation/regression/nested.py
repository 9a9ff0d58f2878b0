"""Nested regressions: a smaller and a larger model on the same rows, and whether it adds anything.

Three tests of the same question. The likelihood-ratio test on all rows takes them as independent,
as most papers do though people have several visits. Two take people as what is independent: the
likelihood-ratio test on one row a person, and the Wald test with errors clustered by person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.evaluation.baseline_models import design_table
from bidsapp.evaluation.regression.models import Fit, Kind, fit_regression
from bidsapp.evaluation.tsv import is_missing

NAIVE = "likelihood ratio, all rows as independent"
ONE_ROW = "likelihood ratio, first row of each person"
CLUSTERED = "Wald, errors clustered by person"


@dataclass(frozen=True)
class Test:
    """One test of whether the larger model is better.

    Attributes
    ----------
    name
        `NAIVE`, `ONE_ROW` or `CLUSTERED`.
    statistic, freedom, p
        Chi-square and its degrees of freedom; of `CLUSTERED` F and its first.
    rows, people
        On which it rests.
    note
        What the reader has to know, or why there is no p.
    """

    name: str
    statistic: float
    freedom: int
    p: float
    rows: int
    people: int
    note: str = ""


@dataclass(frozen=True)
class Nested:
    """A smaller and a larger regression on the same rows.

    Attributes
    ----------
    smaller, larger
        The fits.
    added
        Columns of the design that the larger one has more.
    tests
        The naive one first.
    left_out
        Rows with a missing value.
    """

    smaller: Fit
    larger: Fit
    added: tuple[str, ...]
    tests: tuple[Test, ...]
    left_out: int


@dataclass(frozen=True)
class Rows:
    """The rows of a table that a pair of nested regressions can use, as arrays.

    Attributes
    ----------
    outcome
        (n,) 0 and 1, or numbers.
    design
        (n, k) the base columns, then those added.
    names
        Of its columns; a category is ``column[value]``, against the value that is first in order.
    base
        How many of them are of the smaller model.
    person
        (n,) whose row it is.
    left_out
        Rows of the table with a missing value.
    """

    outcome: np.ndarray
    design: np.ndarray
    names: tuple[str, ...]
    base: int
    person: np.ndarray
    left_out: int


def complete_rows(
    table: pd.DataFrame,
    outcome: np.ndarray,
    base: Sequence[str],
    added: Sequence[str],
    person: np.ndarray,
) -> Rows:
    """Take the rows without a missing value in any column of the larger model.

    Parameters
    ----------
    table
        Text, as read; one row an observation. Columns of numbers are read as `read_column` reads
        them; all others are categories.
    outcome
        (n,) NaN where it is missing.
    base, added
        Columns of the smaller model, and those that the larger has more.
    person
        (n,) labels.
    """
    columns = [*base, *added]
    typed, numbers, _ = design_table(table, columns)
    lost = np.zeros(len(table), bool)
    for name in columns:
        blank = typed[name].isna() if name in numbers else table[name].map(is_missing)
        lost = lost | blank.to_numpy(bool)
    kept = ~lost & np.isfinite(outcome)
    parts, names, sizes = [], [], []
    for name in columns:
        values = typed.loc[kept, name]
        if name in numbers:
            levels, part = [name], values.to_numpy(float)[:, None]
        else:
            others = sorted(values.unique())[1:]
            levels = [f"{name}[{value}]" for value in others] or [name]
            # of one value only: constant, and refused as such by name
            part = np.stack([values == v for v in others or [""]], axis=1)
        parts.append(part)
        names += levels
        sizes.append(len(levels))
    return Rows(
        outcome[kept],
        np.concatenate(parts, axis=1) if parts else np.zeros((int(kept.sum()), 0)),
        tuple(names),
        sum(sizes[: len(base)]),
        person[kept],
        int((~kept).sum()),
    )


def compare_nested(rows: Rows, kind: Kind) -> Nested:
    """Fit the smaller and the larger model and test the difference.

    Parameters
    ----------
    rows
        As `complete_rows` gives them.
    kind
        ``logistic`` or ``linear``.

    Raises
    ------
    BadData
        A model cannot be fitted (`fit_regression`).
    """
    whole = np.arange(len(rows.outcome))
    smaller, larger = _both(rows, kind, whole)
    added = rows.names[rows.base :]
    tests = [_likelihood_ratio(NAIVE, smaller, larger)]
    if larger.people < larger.rows:
        first = np.sort(np.unique(rows.person, return_index=True)[1])
        alone = _both(rows, kind, first)
        statistic, p = larger.joint_test(added)
        tests += [
            _likelihood_ratio(ONE_ROW, *alone),
            Test(CLUSTERED, statistic, len(added), p, larger.rows, larger.people),
        ]
    return Nested(smaller, larger, added, tuple(tests), rows.left_out)


def _both(rows: Rows, kind: Kind, index: np.ndarray) -> tuple[Fit, Fit]:
    fits = [
        fit_regression(
            kind,
            rows.outcome[index],
            rows.design[index, :size],
            rows.names[:size],
            rows.person[index],
        )
        for size in (rows.base, len(rows.names))
    ]
    return fits[0], fits[1]


def _likelihood_ratio(name: str, smaller: Fit, larger: Fit) -> Test:
    """Twice the difference of the log-likelihoods against chi-square (Wilks 1938)."""
    from scipy.stats import chi2

    statistic = 2 * (larger.log_likelihood - smaller.log_likelihood)
    freedom = len(larger.names) - len(smaller.names)
    return Test(
        name, statistic, freedom, float(chi2.sf(statistic, freedom)), larger.rows, larger.people
    )
