"""DeLong's covariance of AUCs, in Obuchowski's form that allows several rows per person."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AucCovariance:
    """AUCs of k scores on the same observations and their covariance.

    Attributes
    ----------
    auc
        (k,) in 0..1.
    covariance
        (k, k); NaN where fewer than two persons of a class are there.
    """

    auc: np.ndarray
    covariance: np.ndarray


def delong_covariance(
    outcome: np.ndarray, scores: np.ndarray, participant: np.ndarray | None = None
) -> AucCovariance:
    """AUCs and their covariance.

    DeLong, DeLong & Clarke-Pearson 1988 (doi:10.2307/2531595), by midranks (Sun & Xu 2014); with
    several observations of a person, Obuchowski 1997 (doi:10.2307/2533958), which is the same
    where every person has one.

    Parameters
    ----------
    outcome
        (n,) bool.
    scores
        (k, n), or (n,) for one.
    participant
        (n,) codes from 0 of the persons; absent, each observation is its own.

    Raises
    ------
    ValueError
        Only one class among the outcomes, or a score that is not finite.
    """
    truth = np.asarray(outcome, dtype=bool)
    values = np.atleast_2d(np.asarray(scores, dtype=float))
    if truth.all() or not truth.any():
        raise ValueError("only one class among the outcomes")
    if not np.isfinite(values).all():
        raise ValueError("a score is NaN or infinite")
    person = np.arange(len(truth)) if participant is None else np.asarray(participant)
    m, n = int(truth.sum()), int((~truth).sum())
    above, below = placements(values, truth)
    auc = above.mean(axis=1)
    size = int(person.max()) + 1
    positive = _sums(above - auc[:, None], person[truth], size)
    negative = _sums(below - auc[:, None], person[~truth], size)
    return AucCovariance(
        auc,
        _spread(positive, positive, len(np.unique(person[truth])), m * m)
        + _spread(negative, negative, len(np.unique(person[~truth])), n * n)
        + _spread(positive, negative, len(np.unique(person)), m * n)
        + _spread(negative, positive, len(np.unique(person)), m * n),
    )


def placements(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of negatives below each positive (k, m), of positives above each negative (k, n)."""
    from scipy.stats import rankdata

    m, n = int(truth.sum()), int((~truth).sum())
    overall = rankdata(values, axis=1)
    among_positives = rankdata(values[:, truth], axis=1)
    among_negatives = rankdata(values[:, ~truth], axis=1)
    above = (overall[:, truth] - among_positives) / n
    below = 1 - (overall[:, ~truth] - among_negatives) / m
    return above, below


def _sums(values: np.ndarray, person: np.ndarray, size: int) -> np.ndarray:
    total = np.zeros((len(values), size))
    for row, value in zip(total, values, strict=True):
        np.add.at(row, person, value)
    return total


def _spread(first: np.ndarray, second: np.ndarray, people: int, pairs: int) -> np.ndarray:
    if people < 2:
        return np.full((len(first), len(second)), np.nan)
    return people / (people - 1) * (first @ second.T) / pairs
