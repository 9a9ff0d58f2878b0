"""What a score is worth where fewer, or more, people are positive than in the cohort."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bidsapp.evaluation.bootstrap import bootstrap_intervals
from bidsapp.evaluation.describe import ROW
from bidsapp.evaluation.intervals import Interval, likelihood_ratio_interval
from bidsapp.evaluation.metrics import METRICS, why_undefined
from bidsapp.evaluation.resampled import Resampled, class_weights, odds_factor, times_odds
from bidsapp.evaluation.sample import Sample, from_scores
from bidsapp.evaluation.settings import EvaluationSettings

SCOPE = "prevalence="
AT_PREVALENCE = (
    "precision",
    "negative_predictive_value",
    "average_precision",
    "brier",
    "brier_skill",
    "calibration_slope",
    "calibration_intercept",
    "calibration_error",
)
_VALUES = ("precision", "negative_predictive_value")


def scope_of(prevalence: float) -> str:
    """Scope in metrics.tsv, as ``prevalence=0.05``."""
    return f"{SCOPE}{prevalence:g}"


def prevalence_table(
    rows: pd.DataFrame, settings: EvaluationSettings, rng: np.random.Generator | None
) -> pd.DataFrame:
    """Metrics of one variant that depend on the share of positives, at that of `settings`.

    Supposes that positives, and negatives, of the cohort are like those elsewhere, and only their
    share differs, as in a case-control cohort. Decisions are those of the network at its
    threshold. Probabilities are moved by what the share alone changes (`sample_at`); people are
    weighted so that positives have the share that is asked for.

    Returns
    -------
    pandas.DataFrame
        Columns `describe.ROW`; no rows with one class.
    """
    prevalence = settings.prevalence
    sample = from_scores(rows, settings.threshold)
    if prevalence is None or sample.positives in (0, sample.n):
        return pd.DataFrame(columns=pd.Index(ROW))
    moved = sample_at(sample, prevalence)
    view = Resampled(moved, class_weights(moved, np.ones((1, moved.n)), prevalence))
    values = {name: float(METRICS[name].compute(view)[0]) for name in AT_PREVALENCE}
    intervals = {} if sample.clustered else predictive_intervals(sample, prevalence, settings.level)
    drawn = [name for name in AT_PREVALENCE if np.isfinite(values[name]) and name not in intervals]
    if rng is not None and settings.resamples and drawn:
        intervals |= bootstrap_intervals(
            moved, drawn, settings.resamples, rng, level=settings.level, prevalence=prevalence
        )
    own = sample.positives / sample.n
    records = []
    for name in AT_PREVALENCE:
        interval = intervals.get(name, Interval())
        if not np.isfinite(values[name]):
            interval = Interval(note=why_undefined(name, sample))
        note = f"for {prevalence:.1%} positive; the cohort has {own:.1%}"
        note = "; ".join(filter(None, [note, interval.note]))
        limits = (interval.low, interval.high, interval.method)
        records.append((name, values[name], *limits, sample.n, note))
    return pd.DataFrame(records, columns=pd.Index(ROW))


def sample_at(sample: Sample, prevalence: float) -> Sample:
    """Move probabilities, and thresholds with them, to another share of positives.

    Their odds times ``[π / (1 - π)] / [m / n]`` for m positives and n negatives in the cohort, by
    Bayes' theorem: who is called positive stays so.
    """
    factor = odds_factor(sample.positives, sample.n - sample.positives, prevalence)
    return replace(
        sample,
        probability=times_odds(sample.probability, factor),
        threshold=times_odds(sample.threshold, factor),
    )


def predictive_intervals(sample: Sample, prevalence: float, level: float) -> dict[str, Interval]:
    """Intervals of the predictive values at a share of positives, from the likelihood ratios.

    The odds of a positive among those called positive are those of the share times the positive
    likelihood ratio; among those called negative, times the negative one.
    """
    tp, fn, fp, tn = (float(cell) for cell in Resampled(sample).confusion[0])
    prior = np.array(prevalence)
    found = {}
    if tp + fp:
        low, high = likelihood_ratio_interval(tp, tp + fn, fp, fp + tn, level)
        limits = (_times(prior, low), _times(prior, high))
        found[_VALUES[0]] = Interval(*limits, "likelihood ratio")
    if fn + tn:
        low, high = likelihood_ratio_interval(fn, tp + fn, tn, fp + tn, level)
        limits = (1 - _times(prior, high), 1 - _times(prior, low))
        found[_VALUES[1]] = Interval(*limits, "likelihood ratio")
    return found


def _times(prior: np.ndarray, ratio: float) -> float:
    return 1.0 if np.isinf(ratio) else float(times_odds(prior, ratio))
