"""Intervals from formulas: Wilson, likelihood ratios, Nadeau-Bengio, Newcombe's for the AUC."""

from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
_EDGE = 1e-9


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
    """Log interval of (hits / diseased) / (false_alarms / healthy) (Simel et al. 1991).

    doi:10.1016/0895-4356(91)90128-v. NaN where a count is zero.
    """
    if min(hits, diseased, false_alarms, healthy) <= 0:
        return float("nan"), float("nan")
    centre = np.log(hits / diseased) - np.log(false_alarms / healthy)
    error = np.sqrt(1 / hits - 1 / diseased + 1 / false_alarms - 1 / healthy)
    half = normal_quantile(level) * error
    return float(np.exp(centre - half)), float(np.exp(centre + half))


def nadeau_bengio(
    values: np.ndarray, test_train_ratio: float, level: float = LEVEL
) -> tuple[float, float]:
    """Interval for the mean of a metric over folds whose training sets overlap.

    The variance of the mean of J values is ``(1/J + n_test/n_train) s²`` instead of ``s²/J``,
    with Student's t of J - 1 degrees of freedom (Nadeau & Bengio 2003,
    doi:10.1023/A:1024068626366).

    Parameters
    ----------
    values
        (J,) the metric in each fold of each repeat; NaN are left out.
    test_train_ratio
        Mean of n_test / n_train over the folds; 1 / (k - 1) for k folds.

    Returns
    -------
    tuple of float
        The limits, not cut to the metric's range; NaN with fewer than two values.
    """
    from scipy.special import stdtrit

    known = values[np.isfinite(values)]
    if len(known) < 2:
        return float("nan"), float("nan")
    error = np.sqrt((1 / len(known) + test_train_ratio) * known.var(ddof=1))
    half = float(stdtrit(len(known) - 1, 0.5 + level / 2)) * error
    return float(known.mean() - half), float(known.mean() + half)


def newcombe_auc(
    auc: float, positives: float, negatives: float, level: float = LEVEL
) -> tuple[float, float]:
    """Score interval of the AUC that does not shrink to a point at AUC 0 or 1.

    Method 5 of Newcombe 2006 (doi:10.1002/sim.2324): the values whose Hanley-McNeil error, with
    the mean class size in both terms, lies within z of the estimate.
    """
    from scipy.optimize import brentq

    z = normal_quantile(level)
    mean = (positives + negatives) / 2 - 1

    def distance(theta: float) -> float:
        spread = 1 + mean * (1 - theta) / (2 - theta) + mean * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return (auc - theta) ** 2 - z**2 * variance

    inside = min(max(auc, _EDGE), 1 - _EDGE)  # at 0 and 1 the estimate itself is a root
    low = 0.0 if auc <= 0 else float(brentq(distance, 0.0, inside))
    high = 1.0 if auc >= 1 else float(brentq(distance, inside, 1.0))
    return low, high
