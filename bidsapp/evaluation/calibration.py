"""Do probabilities mean what they say: slope, intercept, error, and the points of the figure."""

import numpy as np
import pandas as pd

from bidsapp.evaluation.intervals import LEVEL, wilson
from bidsapp.evaluation.resampled import Resampled, odds_factor, ratio, times_odds
from bidsapp.evaluation.sample import Sample

BINS = 10
EDGE = 1e-6
_ITERATIONS = 60
_LARGEST_STEP = 4.0


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Logit, with probabilities of 0 and 1 moved to 1e-6 from the edge."""
    inside = np.clip(probability, EDGE, 1 - EDGE)
    return np.log(inside) - np.log1p(-inside)


def calibration_slope(view: Resampled) -> np.ndarray:
    """Slope of a logistic regression of the outcome on the logit (Cox 1958); 1 is ideal.

    NaN with one class, with constant scores, and where a threshold separates the classes, for
    then the slope is infinite.
    """
    x = log_odds(view.sample.probability)
    spread = x.std()
    result = np.full(len(view.weights), np.nan)
    keep = _overlapping(view)
    if spread == 0 or not keep.any():
        return result
    z = (x - x.mean()) / spread
    design = np.stack([np.ones_like(z), z], axis=1)
    result[keep] = _fit(view.weights[keep], view.sample.outcome, design)[:, 1] / spread
    return result


def calibration_intercept(view: Resampled) -> np.ndarray:
    """Calibration in the large: intercept of a logistic model with the logit as offset; 0 ideal.

    Above 0 the probabilities are too low on the whole. Van Calster et al. 2016,
    doi:10.1016/j.jclinepi.2015.12.005. NaN with one class.
    """
    result = np.full(len(view.weights), np.nan)
    keep = (view.positives > 0) & (view.negatives > 0)
    if keep.any():
        offset = log_odds(view.sample.probability)
        ones = np.ones((view.sample.n, 1))
        result[keep] = _fit(view.weights[keep], view.sample.outcome, ones, offset)[:, 0]
    return result


def calibration_error(view: Resampled) -> np.ndarray:
    """Return the expected calibration error over ten bins of equal width.

    Weighted mean over the bins of |mean probability - share of positives|. It is above 0 even for
    perfect probabilities, the more so the smaller the sample.
    """
    inside = _bin_of(view.sample.probability)[:, None] == np.arange(BINS)
    gap = (view.sample.probability - view.sample.outcome)[:, None] * inside
    return ratio(np.abs(view.weights @ gap).sum(axis=1), view.total)


def calibration_points(
    sample: Sample,
    bins: int = BINS,
    level: float = LEVEL,
    prevalence: float | None = None,
) -> pd.DataFrame:
    """Return the points of a calibration plot: `bins` groups of about equal size.

    Parameters
    ----------
    prevalence
        Share of positives that the plot is for; the sample's own where absent. Probabilities and
        observed shares are moved alike, by what the share alone changes in their odds.

    Returns
    -------
    pandas.DataFrame
        `bin`, `n`, `probability` (mean), `observed` (share of positives) with Wilson's interval
        `ci_low`, `ci_high`. Observations with the same probability stay together.
    """
    m = sample.positives
    factor = 1.0
    if prevalence is not None and 0 < m < sample.n:
        factor = odds_factor(m, sample.n - m, prevalence)

    rank = np.searchsorted(np.sort(sample.probability), sample.probability, side="left")
    group = (rank * bins) // max(sample.n, 1)
    rows = []
    for number, which in enumerate(np.unique(group), start=1):
        inside = group == which
        count, found = int(inside.sum()), int(sample.outcome[inside].sum())
        shares = np.array([found / count, *wilson(found, count, level)])
        probability = sample.probability[inside]
        if factor != 1:
            shares, probability = times_odds(shares, factor), times_odds(probability, factor)
        rows.append((number, count, float(probability.mean()), *map(float, shares)))
    names = ["bin", "n", "probability", "observed", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def _bin_of(probability: np.ndarray) -> np.ndarray:
    edges = np.linspace(0, 1, BINS + 1)
    return np.searchsorted(edges[1:-1], probability)


def _overlapping(view: Resampled) -> np.ndarray:
    """(B,) True where no threshold separates the classes."""
    m = view.sample.positives
    scores = view.sample.probability

    def extremes(weights: np.ndarray, sorted_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = weights > 0
        first = np.argmax(drawn, axis=1)
        last = drawn.shape[1] - 1 - np.argmax(drawn[:, ::-1], axis=1)
        return sorted_scores[first], sorted_scores[last]

    if m in (0, view.sample.n):
        return np.zeros(len(view.weights), dtype=bool)
    low_pos, high_pos = extremes(view.positive_weights, scores[:m])
    low_neg, high_neg = extremes(view.negative_weights, scores[m:])
    both = (view.positives > 0) & (view.negatives > 0)
    return both & (low_pos < high_neg) & (low_neg < high_pos)


def _fit(
    weights: np.ndarray, outcome: np.ndarray, design: np.ndarray, offset: np.ndarray | float = 0.0
) -> np.ndarray:
    """Weighted logistic regressions by Newton's method, all at once: (B, n) -> (B, q), q = 1, 2.

    Steps are cut to keep far-off starts from diverging; rows that do not converge are NaN.
    """
    q = design.shape[1]
    coefficient = np.zeros((len(weights), q))
    second = np.stack([design[:, i] * design[:, j] for i in range(q) for j in range(q)], axis=1)
    todo = np.arange(len(weights))
    for _ in range(_ITERATIONS):
        w = weights[todo]
        mean = 1 / (1 + np.exp(-(coefficient[todo] @ design.T + offset)))
        slope = (w * (outcome - mean)) @ design
        curvature = ((w * mean * (1 - mean)) @ second).reshape(-1, q, q)
        curvature += 1e-12 * np.eye(q)
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        size = np.abs(step).max(axis=1)
        step *= np.minimum(1, _LARGEST_STEP / np.maximum(size, 1e-300))[:, None]
        coefficient[todo] += step
        todo = todo[size > 1e-9]
        if not len(todo):
            break
    coefficient[todo] = np.nan
    return coefficient
