"""A variant's held-out scores as arrays: pooled over folds and repeats, or one fold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns
from bidsapp.dataset.covariates import users_column
from bidsapp.dataset.numbers import number_of
from bidsapp.errors import UsageError
from bidsapp.evaluation.state import choices
from bidsapp.evaluation.tsv import MISSING, is_missing, numeric

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Sample:
    """Scored observations: first the positives, then the negatives, each ascending in score.

    That order lets every metric take the classes apart without copying.

    Attributes
    ----------
    outcome
        (n,) bool.
    probability
        (n,) float in 0..1.
    threshold
        (n,) float; an observation is called positive where ``probability >= threshold``.
    participant
        (n,) int codes; observations with the same code are of one person and are resampled,
        permuted and averaged together.
    """

    outcome: np.ndarray
    probability: np.ndarray
    threshold: np.ndarray
    participant: np.ndarray

    @property
    def n(self) -> int:
        """Number of observations."""
        return len(self.outcome)

    @property
    def positives(self) -> int:
        """Number of positives; they are the first observations."""
        return int(self.outcome.sum())

    @property
    def decision(self) -> np.ndarray:
        """(n,) bool, True where an observation is called positive."""
        return self.probability >= self.threshold

    @property
    def clustered(self) -> bool:
        """Whether a participant appears more than once (several sessions or parts)."""
        return len(np.unique(self.participant)) < self.n


def make_sample(
    outcome: np.ndarray | list[int],
    probability: np.ndarray | list[float],
    threshold: np.ndarray | float = DEFAULT_THRESHOLD,
    participant: np.ndarray | None = None,
) -> Sample:
    """Build a sample from plain arrays; every observation its own person unless told otherwise.

    Observations whose probability is not finite are an error: a score that is missing must not
    silently leave the sample.
    """
    scores = np.asarray(probability, dtype=float)
    truth = np.asarray(outcome)
    if scores.shape != truth.shape or scores.ndim != 1:
        raise ValueError(f"outcome {truth.shape} and probability {scores.shape} must be alike")
    if not np.isfinite(scores).all():
        raise ValueError("a probability is NaN or infinite; every observation needs a score")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("outcomes must be 0 or 1")
    people = (
        np.arange(len(truth)) if participant is None else np.unique(participant, False, True)[1]
    )
    order = np.lexsort((scores, truth == 0))
    cut = np.broadcast_to(np.asarray(threshold, dtype=float), scores.shape)
    return Sample(truth[order].astype(bool), scores[order], cut[order].copy(), people[order])


def pool(rows: pd.DataFrame, threshold: pd.Series | float = DEFAULT_THRESHOLD) -> pd.DataFrame:
    """Pool the scores of one variant: one row per unit (participant, session, part).

    A participant who was held out in several repeats has as many scores, from as many models. They
    are averaged (and so are their thresholds), because n people stay n people however often the
    cross-validation is repeated. What is evaluated is therefore the mean of the repeats' models,
    which does a little better than any one of them; the spread between repeats is in the folds.
    Probabilities of different folds are put on one scale as they are, which, if anything, lowers
    the pooled AUC, because the folds' models differ in calibration.

    Returns
    -------
    pandas.DataFrame
        The columns of the unit, `outcome`, `probability`, `threshold`, `fold` (of the first
        repeat), sorted by unit.
    """
    grouped = rows.assign(threshold=threshold).groupby(unit_columns(rows), sort=True, dropna=False)
    return grouped.agg(
        outcome=("outcome", "first"),
        probability=("probability", "mean"),
        threshold=("threshold", "mean"),
        fold=("fold", "first"),
    ).reset_index()


def from_scores(rows: pd.DataFrame, threshold: pd.Series | float = DEFAULT_THRESHOLD) -> Sample:
    """Pool the scores of one variant (see `pool`) into a sample."""
    pooled = pool(rows, threshold)
    return make_sample(
        pooled["outcome"].to_numpy(),
        pooled["probability"].to_numpy(),
        pooled["threshold"].to_numpy(),
        pooled["participant_id"].to_numpy().astype(str),
    )


def at_threshold(sample: Sample, threshold: float) -> Sample:
    """Return the sample with another threshold for everybody."""
    return replace(sample, threshold=np.full(sample.n, float(threshold)))


def fold_names(scores: pd.DataFrame) -> pd.Series:
    """Name the fold of every row: ``fold-<k>``, or ``fold-<repeat>.<k>`` with several repeats."""
    fold = scores["fold"].astype(str)
    if scores["repeat"].nunique() > 1:
        fold = scores["repeat"].astype(str) + "." + fold
    return "fold-" + fold


MOST_VALUES = 6
_SESSION = "session_id"


def subgroup_masks(
    cohort: pd.DataFrame, scores: pd.DataFrame, columns: Sequence[str]
) -> dict[str, pd.Series]:
    """Which rows of the scores lie in each subgroup.

    A name means the user's column, never one that the app writes (``group``, ``quality``); with
    ``=VALUE`` behind it, that value is set against all others (``nsaid=not ibuprofen``). A column
    of numbers with more than six values is split at its median, ``age=up to 41`` and
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
    key = unit_columns(cohort)
    people = pd.MultiIndex.from_frame(scores[key])
    masks = {}
    for asked in columns:
        place, value = _asked(cohort.columns, asked)
        column = asked if value is None else asked.rpartition("=")[0]
        if place is None:
            raise UsageError(
                f"evaluation.subgroups: no column {column!r} in cohort.tsv; "
                f"{choices(cohort.columns)}"
            )
        labels = _labels(cohort[place]) if value is None else _either(cohort[place], value)
        by_scan = pd.Series(labels.to_numpy(), index=pd.MultiIndex.from_frame(cohort[key]))
        of_row = by_scan.reindex(people).to_numpy()
        for label in sorted(set(labels), key=lambda text: (text == MISSING, text)):
            masks[f"{column}={label}"] = pd.Series(of_row == label, index=scores.index)
    return masks


def absent_columns(there: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Columns that subgroups were asked by and that the cohort lacks -> the reason to print."""
    return {
        subgroups_by(column): f"no such column in cohort.tsv; {choices(there)}"
        for column in columns
        if _asked(there, column)[0] is None
    }


def subgroups_by(column: str) -> str:
    """Name what is left out where a column is lacking."""
    return f"subgroups by {column}"


def _place(there: Iterable[str], column: str) -> str | None:
    """Column of the cohort table that is meant: the user's, or the session that BIDS names."""
    return users_column(there, column) or (column if column == _SESSION else None)


def _asked(there: Iterable[str], asked: str) -> tuple[str | None, str | None]:
    """Column of the cohort table, and the value set against others; None for ``COLUMN`` alone."""
    names = list(there)
    if (place := _place(names, asked)) is not None or "=" not in asked:
        return place, None
    column, _, value = asked.rpartition("=")
    return _place(names, column), value


def _either(values: pd.Series, chosen: str) -> pd.Series:
    """Label each value as the chosen one, as ``not`` it, or as missing."""
    wanted = number_of(chosen)

    def label(value: object) -> str:
        if is_missing(value):
            return MISSING
        text = str(value).strip()
        same = text == chosen or (wanted is not None and number_of(text) == wanted)
        return chosen if same else f"not {chosen}"

    return values.map(label)


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
