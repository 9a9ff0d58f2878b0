"""How well scores order and approximate outcomes: AUC, average precision, Brier."""

import numpy as np

from bidsapp.evaluation.resampled import Resampled, ratio


def auc(view: Resampled) -> np.ndarray:
    """Area under the ROC curve, ties counted half (Mann-Whitney); NaN with one class."""
    positive, negative = _scores(view)
    below = _running(view.negative_weights)
    left = np.searchsorted(negative, positive, side="left")
    right = np.searchsorted(negative, positive, side="right")
    wins = np.einsum("bm,bm->b", view.positive_weights, np.take(below, left, axis=1))
    if (left != right).any():
        upper = np.einsum("bm,bm->b", view.positive_weights, np.take(below, right, axis=1))
        wins = (wins + upper) / 2
    return ratio(wins, view.positives * view.negatives)


def average_precision(view: Resampled) -> np.ndarray:
    """Mean over positives of the precision at their score, without interpolation.

    NaN with one class: without negatives it would be 1 whatever the scores.
    """
    positive, negative = _scores(view)
    lower = np.searchsorted(positive, positive, side="left")
    found = view.positives[:, None] - np.take(_running(view.positive_weights), lower, axis=1)
    lower = np.searchsorted(negative, positive, side="left")
    wrong = view.negatives[:, None] - np.take(_running(view.negative_weights), lower, axis=1)
    called = found + wrong
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    hits = np.einsum("bm,bm->b", view.positive_weights, precision)
    return np.where(view.negatives > 0, ratio(hits, view.positives), np.nan)


def brier(view: Resampled) -> np.ndarray:
    """Mean squared difference between probability and outcome."""
    error = (view.sample.probability - view.sample.outcome) ** 2
    return ratio(view.weights @ error, view.total)


def brier_skill(view: Resampled) -> np.ndarray:
    """1 - Brier / Brier of the sample's own prevalence; 0 is what the prevalence alone earns."""
    prevalence = ratio(view.positives, view.total)
    return 1 - ratio(brier(view), prevalence * (1 - prevalence))


def _scores(view: Resampled) -> tuple[np.ndarray, np.ndarray]:
    m = view.sample.positives
    return view.sample.probability[:m], view.sample.probability[m:]


def _running(weights: np.ndarray) -> np.ndarray:
    """(B, m + 1) weight of the first 0, 1, ... m observations."""
    total = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=total[:, 1:])
    return total
