"""One set of scores to rows of metrics: values, intervals, reasons for what is undefined."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.evaluation.bootstrap import bootstrap_intervals
from bidsapp.evaluation.estimates import auc_interval
from bidsapp.evaluation.intervals import LEVEL, Interval, likelihood_ratio_interval, wilson
from bidsapp.evaluation.metrics import METRICS, point_estimates, why_undefined
from bidsapp.evaluation.resampled import Resampled
from bidsapp.evaluation.sample import Sample, from_scores
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.thresholds import FITTED, UNDEFINED

ROW = ["metric", "value", "ci_low", "ci_high", "ci_method", "n", "note"]
_EDGE_NOTE = "probabilities of 0 or 1 were moved to 1e-6 from the edge"
_LOGISTIC = ("calibration_slope", "calibration_intercept")


def describe(
    rows: pd.DataFrame,
    threshold: pd.Series,
    settings: EvaluationSettings,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Every metric of one variant's rows, pooled over what repeats there are.

    Parameters
    ----------
    rows
        Rows of `scores.tsv` of one variant.
    threshold
        The fitted threshold of each row (`thresholds.fitted_threshold`), NaN where there is none.
    rng
        For the bootstrap; without it, only intervals that a formula gives.

    Returns
    -------
    pandas.DataFrame
        Columns `ROW`. Metrics of a decision appear twice, at the fixed threshold and, with
        ``@fitted`` behind the name, at the fitted one.
    """
    names = tuple(METRICS)
    table = describe_sample(from_scores(rows, settings.threshold), names, settings, rng)
    if settings.fitted_threshold == "none":
        return table
    decisions = tuple(name for name in names if METRICS[name].decision)
    if len(rows) and threshold.notna().all():
        second = describe_sample(from_scores(rows, threshold), decisions, settings, rng)
    else:
        n = int(table["n"].iloc[0])
        note = UNDEFINED[settings.fitted_threshold]
        second = pd.DataFrame(dict.fromkeys(ROW[1:4], np.nan), index=range(len(decisions)))
        second = second.assign(metric=decisions, n=n, note=note, ci_method="")[ROW]
    second["metric"] += FITTED
    return pd.concat([table, second], ignore_index=True)


def describe_sample(
    sample: Sample,
    names: Sequence[str] = tuple(METRICS),
    settings: EvaluationSettings | None = None,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Rows of metrics of one sample: columns `ROW`, NaN with its reason where undefined."""
    plan = settings or EvaluationSettings()
    values = point_estimates(sample, tuple(names))
    defined = [name for name in names if np.isfinite(values[name])]
    intervals = {name: formula_interval(name, sample, plan.level) for name in defined}
    drawn = [name for name in defined if not intervals[name].method and not intervals[name].note]
    if rng is not None and plan.resamples and drawn:
        intervals |= bootstrap_intervals(sample, drawn, plan.resamples, rng, level=plan.level)
    records = []
    for name in names:
        interval = intervals.get(name, Interval(note=why_undefined(name, sample)))
        notes = [interval.note]
        if name in _LOGISTIC and name in defined and _at_the_edge(sample):
            notes.append(_EDGE_NOTE)
        note = "; ".join(filter(None, notes))
        limits = (interval.low, interval.high, interval.method)
        records.append((name, values[name], *limits, sample.n, note))
    return pd.DataFrame(records, columns=pd.Index(ROW))


def formula_interval(name: str, sample: Sample, level: float = LEVEL) -> Interval:
    """Interval that needs no resampling; empty where there is none.

    AUC: DeLong. Proportions: Wilson. Likelihood ratios: Simel's log interval, Koopman's score
    interval with a count of zero. The last two only where every person has one observation.
    """
    if name == "auc":
        return auc_interval(sample.outcome, sample.probability, sample.participant, level)
    if sample.clustered:
        return Interval()
    tp, fn, fp, tn = (float(cell) for cell in Resampled(sample).confusion[0])
    ratios = {"plr": (tp, tp + fn, fp, fp + tn), "nlr": (fn, tp + fn, tn, fp + tn)}
    if name in ratios:
        limits = likelihood_ratio_interval(*ratios[name], level)
        if not np.isfinite(limits).all():
            return Interval(note="no interval: a class has nobody, or the ratio no upper limit")
        return Interval(*limits, "score (Koopman)" if min(tp, fn, fp, tn) == 0 else "log (Simel)")
    shares = {
        "accuracy": (tp + tn, sample.n),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "precision": (tp, tp + fp),
        "negative_predictive_value": (tn, tn + fn),
    }
    if name in shares:
        return Interval(*wilson(*shares[name], level), "Wilson")
    return Interval()


def _at_the_edge(sample: Sample) -> bool:
    return bool(((sample.probability == 0) | (sample.probability == 1)).any())
