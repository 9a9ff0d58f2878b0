"""DeLong's variance of AUCs, in Obuchowski's form that allows several rows per person."""

from dataclasses import dataclass

import numpy as np

from bidsapp.evaluation.intervals import LEVEL, Interval, newcombe_auc, normal_quantile


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


@dataclass(frozen=True)
class AucDifference:
    """Two AUCs on the same observations, compared.

    Attributes
    ----------
    difference
        First minus second.
    interval
        95 % interval of the difference.
    p
        Two-sided; NaN where the variance is zero or unknown, with the reason in `note`.
    """

    difference: float
    interval: Interval
    z: float
    p: float
    note: str = ""


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
    above, below = _placements(values, truth)
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


def _placements(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def auc_interval(
    outcome: np.ndarray,
    score: np.ndarray,
    participant: np.ndarray | None = None,
    level: float = LEVEL,
    inflation: float = 1.0,
) -> Interval:
    """DeLong's interval on the logit scale, which stays in 0..1 and covers better than Wald's.

    The variance is multiplied by `inflation` (see `metric_table.retrained_row`).

    Where the DeLong variance is zero (AUC 0 or 1), Newcombe's score interval is given instead, and
    the method says so; several rows of one person then make it too narrow, and the note says so.
    Scores that are all tied have no interval.
    """
    if np.ptp(score) == 0:
        return Interval(note="all scores are tied: they order nobody")
    result = delong_covariance(outcome, score, participant)
    auc, variance = float(result.auc[0]), float(result.covariance[0, 0])
    truth = np.asarray(outcome, dtype=bool)
    m, n = int(truth.sum()), int((~truth).sum())
    if not np.isfinite(variance):
        return Interval(note="fewer than two persons of a class: no variance")
    if variance <= 1e-15 or not 0 < auc < 1:
        clustered = participant is not None and len(np.unique(participant)) < len(truth)
        note = "several rows per person: too narrow" if clustered else ""
        return Interval(*newcombe_auc(auc, m / inflation, n / inflation, level), "Newcombe", note)
    half = normal_quantile(level) * np.sqrt(inflation * variance) / (auc * (1 - auc))
    centre = np.log(auc / (1 - auc))
    low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    return Interval(float(low), float(high), "DeLong, logit")


def wald_interval(auc: float, variance: float, level: float = LEVEL) -> tuple[float, float]:
    """DeLong's interval as most programs print it: AUC ± z SE, cut to 0..1."""
    half = normal_quantile(level) * np.sqrt(variance)
    return float(max(0.0, auc - half)), float(min(1.0, auc + half))


def compare_aucs(
    outcome: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    participant: np.ndarray | None = None,
    level: float = LEVEL,
) -> AucDifference:
    """Paired DeLong test of two scores of the same observations, in the same order."""
    from scipy.special import ndtr

    result = delong_covariance(outcome, np.stack([first, second]), participant)
    difference = float(result.auc[0] - result.auc[1])
    contrast = np.array([1.0, -1.0])
    variance = float(contrast @ result.covariance @ contrast)
    nan = float("nan")
    if not np.isfinite(variance):
        note = "fewer than two persons of a class: no variance"
        return AucDifference(difference, Interval(note=note), nan, nan, note)
    if variance <= 1e-15:
        note = "the two order the observations alike, or without spread: no variance"
        return AucDifference(difference, Interval(note=note), nan, nan, note)
    error = np.sqrt(variance)
    half = normal_quantile(level) * error
    z = difference / error
    interval = Interval(difference - half, difference + half, "DeLong, paired")
    return AucDifference(difference, interval, float(z), float(2 * ndtr(-abs(z))))
