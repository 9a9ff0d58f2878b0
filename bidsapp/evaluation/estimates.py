"""An AUC with its variance: its interval, its p against a value, its difference from another."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.intervals import (
    LEVEL,
    Interval,
    newcombe_limits,
    newcombe_variance,
    normal_quantile,
)
from bidsapp.evaluation.within_fold_auc import strata_sizes, within_covariance

TIED = "all scores are tied: they order nobody"
_FEW = "fewer than two persons of a class: no variance"
_NOTHING = 1e-15
_SMALLEST_Z, _LARGEST_Z = 1e-3, 40.0


@dataclass(frozen=True)
class AucEstimate:
    """An AUC, and all that its interval depends on.

    Attributes
    ----------
    value
        In 0..1.
    variance
        DeLong's, as if the scores were given; NaN where it is unknown.
    positives, negatives
        (strata,) people of each class; one stratum unless pairs are taken within folds.
    inflation
        What the variance is multiplied by, so that it holds for models trained on other people
        (`held_out.HeldOut`).
    note
        What the reader has to know, or why there is no interval.
    clustered
        Whether the variance is Obuchowski's, of people with several rows.
    """

    value: float
    variance: float
    positives: np.ndarray
    negatives: np.ndarray
    inflation: float = 1.0
    note: str = ""
    clustered: bool = False

    @property
    def at_edge(self) -> bool:
        """Whether the scores show no spread, as at AUC 0 and 1: the variance would be 0."""
        return self.variance <= _NOTHING or not 0 < self.value < 1

    def limits(self, z: float) -> tuple[float, float]:
        """Limits at a quantile of the normal distribution.

        DeLong's on the logit scale, which stay in 0..1 and cover better than Wald's; Newcombe's
        score interval where the variance is 0. NaN where the variance is unknown.
        """
        if not np.isfinite(self.variance):
            return float("nan"), float("nan")
        if self.at_edge:
            return newcombe_limits(self.value, *self._effective(), z)
        centre = np.log(self.value / (1 - self.value))
        half = z * self._logit_error()
        return float(1 / (1 + np.exp(half - centre))), float(1 / (1 + np.exp(-half - centre)))

    def interval(self, level: float = LEVEL) -> Interval:
        """Interval of this coverage; without limits and with the reason where there is none."""
        low, high = self.limits(normal_quantile(level))
        if not np.isfinite([low, high]).all():
            return Interval(note=self.note)
        clustered = ", clustered by person (Obuchowski 1997)" if self.clustered else ""
        method = "Newcombe" if self.at_edge else f"DeLong{clustered}, logit"
        return Interval(low, high, method, self.note)

    def p_against(self, null: float) -> float:
        """Two-sided p of this AUC against a value, from the interval that just reaches it."""
        if not np.isfinite(self.variance):
            return float("nan")
        if self.at_edge:
            z = abs(self.value - null) / np.sqrt(newcombe_variance(null, *self._effective()))
        else:
            shift = np.log(self.value / (1 - self.value)) - np.log(null / (1 - null))
            z = abs(shift) / self._logit_error()
        return max(_two_sided(z), self.least_p)

    @property
    def has_room(self) -> bool:
        """Whether a symmetric interval fits into 0..1, so that it can be trusted."""
        if self.at_edge or not np.isfinite(self.variance):
            return False
        half = normal_quantile() * np.sqrt(self.inflation * self.variance)
        return bool(half < min(self.value, 1 - self.value))

    @property
    def least_p(self) -> float:
        """Smallest two-sided p that people of this number can carry.

        That of a rank test: two of all ways to deal out the outcomes within the strata.
        """
        from scipy.special import gammaln

        m, n = self.positives, self.negatives
        ways = float((gammaln(m + n + 1) - gammaln(m + 1) - gammaln(n + 1)).sum())
        return float(min(1.0, 2 * np.exp(-ways)))

    def _logit_error(self) -> float:
        error = np.sqrt(self.inflation * self.variance)
        return float(error / (self.value * (1 - self.value)))

    def _effective(self) -> tuple[np.ndarray, np.ndarray]:
        return self.positives / self.inflation, self.negatives / self.inflation


@dataclass(frozen=True)
class AucDifference:
    """Two AUCs on the same observations, compared.

    Attributes
    ----------
    difference
        First minus second.
    interval
        Interval of the difference.
    z, p
        Where the interval just reaches 0, with the sign of the difference, and the two-sided p of
        it; NaN where there is no interval, with the reason in `note`.
    """

    difference: float
    interval: Interval
    z: float
    p: float
    note: str = ""


def estimate_aucs(
    outcome: np.ndarray,
    scores: np.ndarray,
    participant: np.ndarray | None = None,
    stratum: np.ndarray | None = None,
    inflation: float = 1.0,
) -> tuple[list[AucEstimate], np.ndarray]:
    """AUCs of k scores of the same observations, and their correlations.

    Parameters
    ----------
    outcome
        (n,) bool, both classes.
    scores
        (k, n), or (n,) for one.
    participant
        (n,) labels of the persons; absent, each observation is its own.
    stratum
        (n,) labels; given, pairs are taken within strata (`within.within_covariance`).
    inflation
        What variances are multiplied by.

    Returns
    -------
    estimates
        k of them.
    correlation
        (k, k); 0 where a variance is 0 or unknown, which makes a difference less certain.

    Raises
    ------
    ValueError
        Only one class among the outcomes, or in every stratum.
    """
    truth, values = np.asarray(outcome, dtype=bool), np.atleast_2d(np.asarray(scores, float))
    if stratum is None:
        codes = None if participant is None else np.unique(participant, return_inverse=True)[1]
        found = delong_covariance(truth, values, codes)
        sizes = (np.array([truth.sum()]), np.array([(~truth).sum()]))
        spread = np.ptp(values, axis=1) > 0
    else:
        found = within_covariance(truth, values, stratum, participant)
        sizes = strata_sizes(truth, stratum)
        spread = np.array([_spread_within(row, stratum) for row in values])
    variance = np.diag(found.covariance)
    clustered = participant is not None and len(np.unique(participant)) < len(truth)
    estimates = []
    for value, own, some in zip(found.auc, variance, spread, strict=True):
        known = bool(some) and bool(np.isfinite(own))
        edge = known and (own <= _NOTHING or not 0 < value < 1)
        note = "several rows per person: too narrow" if edge and clustered else ""
        note = note if known else (_FEW if some else TIED)
        kept = float(own) if known else float("nan")
        estimates.append(AucEstimate(float(value), kept, *sizes, inflation, note, clustered))
    error = np.sqrt(np.where(variance > _NOTHING, variance, np.inf))
    return estimates, np.nan_to_num(found.covariance / np.outer(error, error))


def auc_interval(
    outcome: np.ndarray,
    score: np.ndarray,
    participant: np.ndarray | None = None,
    level: float = LEVEL,
    inflation: float = 1.0,
) -> Interval:
    """Interval of the AUC of one score; `AucEstimate.interval`."""
    (found,), _ = estimate_aucs(outcome, score, participant, inflation=inflation)
    return found.interval(level)


def difference_of(
    first: AucEstimate, second: AucEstimate, correlation: float, level: float = LEVEL
) -> AucDifference:
    """Compare two AUCs of the same observations.

    By DeLong's paired test, its variance multiplied by the inflation. Where either AUC is so near
    0 or 1 that its symmetric interval would run past it, variances are too small, and 0 where all
    are in order: there the interval is put together from those of the two AUCs (MOVER, Zou &
    Donner 2008, doi:10.1002/sim.3095), each with its own uncertainty. p is that of the interval
    that just reaches 0, and never below what people of this number can carry
    (`AucEstimate.least_p`).

    Parameters
    ----------
    correlation
        Of the two AUCs, by DeLong's covariance.
    """
    difference, nan = first.value - second.value, float("nan")
    if not np.isfinite([first.variance, second.variance]).all():
        note = first.note or second.note
        return AucDifference(difference, Interval(note=note), nan, nan, note)
    if not (first.at_edge or second.at_edge) and correlation > 1 - 1e-9 and not difference:
        note = "the two order the observations alike: no variance"
        return AucDifference(difference, Interval(note=note), nan, nan, note)

    error = _paired_error(first, second, correlation)
    symmetric = first.has_room and second.has_room and error > 0

    def low(z: float) -> float:
        reach = z * error if symmetric else _reach(first, second, correlation, z)
        return difference - reach

    def high(z: float) -> float:
        reach = z * error if symmetric else _reach(second, first, correlation, z)
        return difference + reach

    z = normal_quantile(level)
    method = "DeLong, paired" if symmetric else "from both intervals (MOVER)"
    if symmetric:
        reaching = abs(difference) / error
    else:
        reaching = _reaching_zero(low if difference > 0 else high) if difference else 0.0
    p = max(_two_sided(reaching), first.least_p)
    signed = float(np.copysign(reaching, difference))
    note = "; ".join(dict.fromkeys(filter(None, (first.note, second.note))))
    return AucDifference(difference, Interval(low(z), high(z), method), signed, p, note)


def _paired_error(first: AucEstimate, second: AucEstimate, correlation: float) -> float:
    both = np.array([first.variance, second.variance])
    variance = both.sum() - 2 * correlation * np.sqrt(both.prod())
    return float(np.sqrt(max(0.0, first.inflation * variance)))


def _reach(above: AucEstimate, below: AucEstimate, correlation: float, z: float) -> float:
    """How far ``above - below`` reaches down: `above` to its lower limit, `below` to its upper."""
    down = above.value - above.limits(z)[0]
    up = below.limits(z)[1] - below.value
    return float(np.sqrt(max(0.0, down**2 + up**2 - 2 * correlation * down * up)))


def _reaching_zero(limit: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    start, end = limit(_SMALLEST_Z), limit(_LARGEST_Z)
    if start * end > 0:
        return 0.0 if abs(start) > abs(end) else _LARGEST_Z
    return float(brentq(limit, _SMALLEST_Z, _LARGEST_Z, xtol=1e-10))


def _spread_within(score: np.ndarray, stratum: np.ndarray) -> bool:
    return any(np.ptp(score[stratum == label]) > 0 for label in np.unique(stratum))


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))
