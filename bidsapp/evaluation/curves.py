"""Points of the ROC and precision-recall curves, and the decision curve."""

import numpy as np
import pandas as pd

from bidsapp.evaluation.bootstrap import bootstrap_weights, strata_of
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.resampled import class_weights
from bidsapp.evaluation.sample import Sample


def _cumulated(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores descending; positives and negatives at or above each."""
    cut = np.unique(sample.probability)[::-1]
    m = sample.positives
    positive, negative = sample.probability[:m], sample.probability[m:]
    return (
        cut,
        m - np.searchsorted(positive, cut, side="left"),
        len(negative) - np.searchsorted(negative, cut, side="left"),
    )


def roc_points(sample: Sample) -> pd.DataFrame:
    """Corners of the ROC curve from (0, 0) to (1, 1); no rows with one class.

    Returns
    -------
    pandas.DataFrame
        `threshold` (called positive at or above it; infinite at the first point),
        `false_positive_rate`, `true_positive_rate`.
    """
    names = ["threshold", "false_positive_rate", "true_positive_rate"]
    m, n = sample.positives, sample.n - sample.positives
    if m == 0 or n == 0:
        return pd.DataFrame(columns=pd.Index(names), dtype=float)
    cut, positive, negative = _cumulated(sample)
    return pd.DataFrame(
        {
            names[0]: np.concatenate([[np.inf], cut]),
            names[1]: np.concatenate([[0.0], negative / n]),
            names[2]: np.concatenate([[0.0], positive / m]),
        }
    )


def precision_recall_points(sample: Sample) -> pd.DataFrame:
    """Points of the precision-recall curve; no rows without positives.

    Returns
    -------
    pandas.DataFrame
        `threshold`, `recall`, `precision`, one row per distinct score, recall ascending.
    """
    names = ["threshold", "recall", "precision"]
    if sample.positives == 0:
        return pd.DataFrame(columns=pd.Index(names), dtype=float)
    cut, positive, negative = _cumulated(sample)
    values = (cut, positive / sample.positives, positive / (positive + negative))
    return pd.DataFrame(dict(zip(names, values, strict=True)))


def decision_curve(
    sample: Sample,
    thresholds: np.ndarray | None = None,
    resamples: int = 0,
    rng: np.random.Generator | None = None,
    level: float = LEVEL,
    prevalence: float | None = None,
) -> pd.DataFrame:
    """Net benefit of acting on the score, on everybody, on nobody (Vickers & Elkin 2006).

    ``TP/n - FP/n * t/(1 - t)`` at each threshold probability t (doi:10.1177/0272989X06295361).
    It supposes that the probabilities mean what they say; see the calibration.

    Parameters
    ----------
    thresholds
        Each in 0..1, both excluded; 0.01 to 0.99 where absent.
    resamples
        Bootstrap over persons for the pointwise percentile interval; 0: none.
    prevalence
        Share of positives that the curve is for; the sample's own where absent. People are then
        weighted, and drawn within outcomes; probabilities are taken as they are (see
        `prevalence.sample_at`).

    Returns
    -------
    pandas.DataFrame
        `threshold`, `net_benefit`, `ci_low`, `ci_high`, `treat_all`, `treat_none`.
    """
    grid = np.round(np.arange(0.01, 1, 0.01), 2) if thresholds is None else np.asarray(thresholds)
    if ((grid <= 0) | (grid >= 1)).any():
        raise ValueError("threshold probabilities lie between 0 and 1, both excluded")
    odds = grid / (1 - grid)
    called = sample.probability[:, None] >= grid
    gain = np.where(sample.outcome[:, None], 1.0, -odds) * called / max(sample.n, 1)
    everybody = np.where(sample.outcome[:, None], 1.0, -odds) / max(sample.n, 1)
    low = high = np.full(len(grid), np.nan)
    ones = np.ones((1, sample.n))
    weigh = ones if prevalence is None else class_weights(sample, ones, prevalence)
    if resamples and sample.n:
        generator = np.random.default_rng(0) if rng is None else rng
        strata = strata_of(sample)
        if prevalence is None:
            strata = np.zeros_like(strata)
        draws = bootstrap_weights(sample, strata, resamples, generator)
        if prevalence is not None:
            draws = (class_weights(sample, weights, prevalence) for weights in draws)
        values = np.concatenate(
            [weights @ gain * (sample.n / weights.sum(axis=1))[:, None] for weights in draws]
        )
        low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return pd.DataFrame(
        {
            "threshold": grid,
            "net_benefit": (weigh @ gain)[0],
            "ci_low": low,
            "ci_high": high,
            "treat_all": (weigh @ everybody)[0],
            "treat_none": 0.0,
        }
    )
