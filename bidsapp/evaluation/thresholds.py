"""A second threshold beside the fixed one, and what it has and has not seen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

FITTED = "@fitted"
UNDEFINED = {
    "none": "no second threshold was asked for",
    "train_fold": "no threshold: it needs other folds of the same repeat, with both classes "
    "and scores that differ",
    "inner": "no threshold: there are no scores of an inner split with both classes and scores "
    "that differ",
    "test_fold": "no threshold: a fold has one class or constant scores",
}


def youden(outcome: np.ndarray, probability: np.ndarray) -> float:
    """Threshold that maximises sensitivity + specificity - 1.

    Candidates lie half-way between neighbouring distinct scores; of several that do equally well,
    the one nearest to 0.5 is taken. NaN with one class or constant scores.
    """
    truth = np.asarray(outcome, dtype=bool)
    distinct = np.unique(probability)
    if truth.all() or not truth.any() or len(distinct) < 2:
        return float("nan")
    candidates = (distinct[1:] + distinct[:-1]) / 2
    missed = np.searchsorted(np.sort(probability[truth]), candidates) / truth.sum()
    spared = np.searchsorted(np.sort(probability[~truth]), candidates) / (~truth).sum()
    index = spared - missed
    best = np.flatnonzero(index >= index.max() - 1e-12)
    return float(candidates[best[np.argmin(np.abs(candidates[best] - 0.5))]])


def fitted_threshold(
    rows: pd.DataFrame, source: str = "train_fold", inner: pd.DataFrame | None = None
) -> pd.Series:
    """Youden's threshold for every row of one variant.

    ``train_fold``: from the scores of the other folds of the same repeat. A person's own score and
    outcome, and those of everybody in the same fold, take no part in the threshold that is
    applied to them. What remains: the other folds' scores come from models that had this fold
    among their training data, so its outcomes act on the threshold through those models; and the
    other folds' models are not this fold's model, so the threshold may not suit its scale. Only a
    threshold from an inner split would be free of both, and `scores.tsv` holds no inner scores.
    Hence the fixed threshold leads every table and this one is the second choice.

    ``test_fold``: from the very scores it is applied to, as some papers print it. A leak.

    Returns
    -------
    pandas.Series
        Aligned with `rows`; NaN where undefined, and everywhere for ``none``.
    """
    threshold = pd.Series(np.nan, index=rows.index, dtype=float)
    if source == "inner":
        return _from_inner(rows, inner, threshold)
    if source == "none":
        return threshold
    for (repeat, _), held_out in rows.groupby(["repeat", "fold"]):
        others = rows[rows["repeat"] == repeat].drop(index=held_out.index)
        seen = held_out if source == "test_fold" else others
        threshold.loc[held_out.index] = youden(
            seen["outcome"].to_numpy(), seen["probability"].to_numpy(dtype=float)
        )
    return threshold


def cutoffs(
    scores: pd.DataFrame, source_of: Callable[[str], str], inner: pd.DataFrame | None = None
) -> dict[str, pd.Series]:
    """Give the fitted threshold of each fold of each variant, for comparison with print.

    Parameters
    ----------
    scores
        Rows of `scores.tsv`.
    source_of
        Variant to where its threshold is from, as in `fitted_threshold`.
    inner
        Scores of the people of inner splits.
    """
    found = {}
    for variant, rows in scores.groupby("variant", sort=False):
        own = fitted_threshold(rows, source_of(str(variant)), inner)
        found[str(variant)] = own.groupby([rows["repeat"], rows["fold"]]).first()
    return found


def _from_inner(rows: pd.DataFrame, inner: pd.DataFrame | None, threshold: pd.Series) -> pd.Series:
    if inner is None:
        return threshold
    mine = inner[inner["variant"] == rows["variant"].iloc[0]] if len(rows) else inner
    by_fold = dict(list(mine.groupby(["repeat", "fold"])))
    alike: dict[frozenset[str], list[Any]] = {}
    folds = dict(list(rows.groupby(["repeat", "fold"])))
    for place, held_out in folds.items():
        alike.setdefault(frozenset(held_out["participant_id"]), []).append(place)
    for places in alike.values():
        seen = [by_fold[place] for place in places if place in by_fold]
        if not seen:
            continue
        both = pd.concat(seen)
        cut = youden(both["outcome"].to_numpy(), both["probability"].to_numpy(dtype=float))
        for place in places:
            threshold.loc[folds[place].index] = cut
    return threshold
