"""Intervals from formulas: Wilson, likelihood ratios, Nadeau-Bengio, Newcombe's for the AUC."""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_EDGE = 1e-12
_FAR = 30.0
Sizes = float | np.ndarray


@dataclass(frozen=True)
class Interval:
    """A confidence interval, or the reason why there is none.

    Attributes
    ----------
    low, high
        The limits; NaN where there is no interval.
    method
        Its name, for the reader; empty where there is no interval.
    note
        What the reader has to know about it.
    """

    low: float = float("nan")
    high: float = float("nan")
    method: str = ""
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


def normal_quantile(level: float = LEVEL) -> float:
    """Two-sided quantile of the normal distribution, 1.96 at 0.95."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval for a proportion; NaN for n = 0 (Wilson 1927)."""
    if n == 0:
        return float("nan"), float("nan")
    z = normal_quantile(level)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def likelihood_ratio_interval(
    hits: float, diseased: float, false_alarms: float, healthy: float, level: float = LEVEL
) -> tuple[float, float]:
    """Interval of (hits / diseased) / (false_alarms / healthy).

    The log interval of Simel et al. 1991 (doi:10.1016/0895-4356(91)90128-v); where one of the four
    counts is zero, and it would have no width on that side or none at all, the score interval of
    Koopman 1984 (doi:10.2307/2531405). NaN without people of a class, and where nobody is either.
    """
    counts = (hits, diseased - hits, false_alarms, healthy - false_alarms)
    if min(diseased, healthy) <= 0 or hits + false_alarms <= 0:
        return float("nan"), float("nan")
    z = normal_quantile(level)
    if min(counts) <= 0:
        return _koopman(hits, diseased, false_alarms, healthy, z)
    centre = np.log(hits / diseased) - np.log(false_alarms / healthy)
    half = z * np.sqrt(1 / hits - 1 / diseased + 1 / false_alarms - 1 / healthy)
    return float(np.exp(centre - half)), float(np.exp(centre + half))


def _koopman(first: float, m: float, second: float, n: float, z: float) -> tuple[float, float]:
    """Ratios of two proportions whose chi-square distance from the counts is at most z²."""
    from scipy.optimize import brentq

    def distance(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        half = ratio * (m + second) + first + n
        root = np.sqrt(max(0.0, half**2 - 4 * ratio * (m + n) * (first + second)))
        other = 2 * (first + second) / (half + root)  # likeliest second proportion of this ratio
        own = min(1.0, ratio * other)
        parts = (
            ((first - m * own) ** 2, m * own * (1 - own)),
            (
                (second - n * other) ** 2,
                n * other * (1 - other),
            ),
        )
        return float(sum(gap / spread for gap, spread in parts if spread > 0) - z**2)

    best = np.log(first * n / (second * m)) if first and second else 0.0
    low, high = 0.0, float("inf")
    if first:
        low = float(np.exp(brentq(distance, -_FAR, best if second else _FAR)))
    if second:
        high = float(np.exp(brentq(distance, best if first else -_FAR, _FAR)))
    return low, high


def nadeau_bengio(
    values: np.ndarray,
    test_train_ratio: float,
    level: float = LEVEL,
    tests: float = float("inf"),
) -> tuple[float, float]:
    """Interval for the mean of a metric over folds whose training sets overlap.

    The variance of the mean of J values is ``(1/J + n_test/n_train) s²`` instead of ``s²/J``,
    with Student's t of J - 1 degrees of freedom (Nadeau & Bengio 2003,
    doi:10.1023/A:1024068626366). Where repeats test the same people again, 1/J stops at the number
    of test sets that they fill: with 1/J itself, ten repeats of eight folds covered 86 to 91 %
    for 95 % (docs/statistics.md).

    Parameters
    ----------
    values
        (J,) the metric in each fold of each repeat; NaN are left out.
    test_train_ratio
        Mean of n_test / n_train over the folds; 1 / (k - 1) for k folds.
    tests
        How many test sets of this size the people who were tested fill; k for k folds, however
        often they are repeated.

    Returns
    -------
    tuple of float
        The limits, not cut to the metric's range; NaN with fewer than two values.
    """
    from scipy.special import stdtrit

    known = values[np.isfinite(values)]
    if len(known) < 2:
        return float("nan"), float("nan")
    error = np.sqrt((1 / min(len(known), tests) + test_train_ratio) * known.var(ddof=1))
    half = float(stdtrit(len(known) - 1, 0.5 + level / 2)) * error
    return float(known.mean() - half), float(known.mean() + half)


def newcombe_limits(
    auc: float, positives: Sizes, negatives: Sizes, z: float
) -> tuple[float, float]:
    """Score interval of the AUC that does not shrink to a point at AUC 0 or 1.

    Method 5 of Newcombe 2006 (doi:10.1002/sim.2324): the values whose Hanley-McNeil error, with
    the mean class size in both terms, lies within `z` of the estimate.

    Parameters
    ----------
    auc
        In 0..1.
    positives, negatives
        People of each class; of each stratum where pairs are taken within strata.
    z
        Quantile of the normal distribution, 1.96 for 95 %.
    """
    from scipy.optimize import brentq

    def distance(theta: float) -> float:
        return (auc - theta) ** 2 - z**2 * newcombe_variance(theta, positives, negatives)

    inside = min(max(auc, _EDGE), 1 - _EDGE)  # at 0 and 1 the estimate itself is a root
    low = 0.0 if auc <= 0 else float(brentq(distance, 0.0, inside))
    high = 1.0 if auc >= 1 else float(brentq(distance, inside, 1.0))
    return low, high


def newcombe_variance(auc: float, positives: Sizes, negatives: Sizes) -> float:
    """Hanley and McNeil's variance of an AUC in Newcombe's form, pairs taken within strata."""
    m, n = np.atleast_1d(positives).astype(float), np.atleast_1d(negatives).astype(float)
    weight = m * n / (m * n).sum()
    mean = (m + n) / 2 - 1
    spread = 1 + mean * (1 - auc) / (2 - auc) + mean * auc / (1 + auc)
    return float((weight**2 * auc * (1 - auc) * spread / (m * n)).sum())
