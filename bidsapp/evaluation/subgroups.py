"""Subgroups of the cohort by the values of its columns."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bidsapp.dataset.covariates import users_column
from bidsapp.errors import UsageError
from bidsapp.evaluation.state import choices
from bidsapp.evaluation.tables import MISSING, is_missing, numeric

MOST_VALUES = 6
_SESSION = "session_id"


def subgroup_masks(
    cohort: pd.DataFrame, scores: pd.DataFrame, columns: Sequence[str]
) -> dict[str, pd.Series]:
    """Which rows of the scores lie in each subgroup.

    A name means the user's column, never one that the app writes (``group``, ``quality``). A
    column of numbers with more than six values is split at its median, ``age=up to 41`` and
    ``age=above 41``; people without a value form ``age=n/a``.

    Returns
    -------
    dict
        ``<column>=<value>`` -> boolean for each row of `scores`.

    Raises
    ------
    UsageError
        The user has no such column.
    """
    key = ["participant_id", "session_id"]
    people = pd.MultiIndex.from_frame(scores[key])
    masks = {}
    for column in columns:
        place = _place(cohort.columns, column)
        if place is None:
            raise UsageError(
                f"evaluation.subgroups: no column {column!r} in cohort.tsv; "
                f"{choices(cohort.columns)}"
            )
        labels = _labels(cohort[place])
        value = pd.Series(labels.to_numpy(), index=pd.MultiIndex.from_frame(cohort[key]))
        of_row = value.reindex(people).to_numpy()
        for label in sorted(set(labels), key=lambda text: (text == MISSING, text)):
            masks[f"{column}={label}"] = pd.Series(of_row == label, index=scores.index)
    return masks


def absent_columns(there: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Columns that subgroups were asked by and that the cohort lacks -> the reason to print."""
    return {
        subgroups_by(column): f"no such column in cohort.tsv; {choices(there)}"
        for column in columns
        if _place(there, column) is None
    }


def subgroups_by(column: str) -> str:
    """Name what is left out where a column is lacking."""
    return f"subgroups by {column}"


def _place(there: Iterable[str], column: str) -> str | None:
    """Column of the cohort table that is meant: the user's, or the session that BIDS names."""
    return users_column(there, column) or (column if column == _SESSION else None)


def _labels(values: pd.Series) -> pd.Series:
    numbers = numeric(values)
    if numbers is None or numbers.nunique() <= MOST_VALUES:
        return values.map(lambda value: MISSING if is_missing(value) else str(value))
    middle = float(numbers.median())

    def label(number: float) -> str:
        if number != number:
            return MISSING
        return f"up to {middle:g}" if number <= middle else f"above {middle:g}"

    return numbers.map(label)
