"""The table of metrics: name, function, and why a value can be undefined."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bidsapp.evaluation import calibration
from bidsapp.evaluation.resampled import Resampled, ratio
from bidsapp.evaluation.sample import Sample


def accuracy(view: Resampled) -> np.ndarray:
    """Share of right decisions."""
    return ratio(view.tp + view.tn, view.total)


def sensitivity(view: Resampled) -> np.ndarray:
    """Share of positives called positive (recall)."""
    return ratio(view.tp, view.positives)


def specificity(view: Resampled) -> np.ndarray:
    """Share of negatives called negative."""
    return ratio(view.tn, view.negatives)


def precision(view: Resampled) -> np.ndarray:
    """Share of positives among those called positive (positive predictive value)."""
    return ratio(view.tp, view.tp + view.fp)


def negative_predictive_value(view: Resampled) -> np.ndarray:
    """Share of negatives among those called negative."""
    return ratio(view.tn, view.tn + view.fn)


def balanced_accuracy(view: Resampled) -> np.ndarray:
    """Mean of sensitivity and specificity, which is also the macro recall of wei2023."""
    return (sensitivity(view) + specificity(view)) / 2


def f1(view: Resampled) -> np.ndarray:
    """2 TP / (2 TP + FP + FN); NaN without positives."""
    score = ratio(2 * view.tp, 2 * view.tp + view.fp + view.fn)
    return np.where(view.positives > 0, score, np.nan)


def mcc(view: Resampled) -> np.ndarray:
    """Matthews correlation; NaN where a row or column of the table is empty."""
    called = view.tp + view.fp
    product = called * view.positives * view.negatives * (view.total - called)
    return ratio(view.tp * view.tn - view.fp * view.fn, np.sqrt(product))


def plr(view: Resampled) -> np.ndarray:
    """Positive likelihood ratio, sensitivity / (1 - specificity); NaN without false positives."""
    return ratio(sensitivity(view), ratio(view.fp, view.negatives))


def nlr(view: Resampled) -> np.ndarray:
    """Negative likelihood ratio, (1 - sensitivity) / specificity; NaN without true negatives."""
    return ratio(ratio(view.fn, view.positives), specificity(view))


def macro_precision(view: Resampled) -> np.ndarray:
    """Mean of the two classes' predictive values."""
    return (precision(view) + negative_predictive_value(view)) / 2


def macro_f1(view: Resampled) -> np.ndarray:
    """Mean of the two classes' F1."""
    other = ratio(2 * view.tn, 2 * view.tn + view.fp + view.fn)
    return (f1(view) + np.where(view.negatives > 0, other, np.nan)) / 2


def macro_plr(view: Resampled) -> np.ndarray:
    """Likelihood ratio of the macro recall R, R / (1 - R), as wei2023 prints it."""
    recall = balanced_accuracy(view)
    return ratio(recall, 1 - recall)


def macro_nlr(view: Resampled) -> np.ndarray:
    """(1 - R) / R for the macro recall R, as wei2023 prints it."""
    recall = balanced_accuracy(view)
    return ratio(1 - recall, recall)


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


ONE_CLASS = "only one class among the outcomes"
NOBODY = "no observations"


@dataclass(frozen=True)
class Metric:
    """A metric found by its name.

    Attributes
    ----------
    compute
        Resampled view -> (B,) values, NaN where undefined.
    decision
        Whether it depends on a threshold.
    undefined
        Why it can be undefined although both classes are there.
    needs_both
        Whether one class alone makes it undefined.
    prevalence
        Whether it depends on how many positives there are among all, so that an interval has to
        let that vary too.
    range
        Its smallest and largest value.
    """

    name: str
    compute: Callable[[Resampled], np.ndarray]
    decision: bool
    undefined: str = ""
    needs_both: bool = True
    prevalence: bool = True
    range: tuple[float, float] = (0.0, 1.0)


INFINITE = float("inf")
_NO_CALL = "nobody was called positive"
_NO_CALL_EITHER = "everybody was called the same"
METRICS = {
    metric.name: metric
    for metric in (
        Metric("auc", auc, False, prevalence=False),
        Metric("average_precision", average_precision, False),
        Metric("brier", brier, False, needs_both=False),
        Metric("brier_skill", brier_skill, False, range=(-INFINITE, 1.0)),
        Metric(
            "calibration_slope",
            calibration.calibration_slope,
            False,
            "constant scores, or a threshold separates the classes: the slope has no finite value",
            range=(-INFINITE, INFINITE),
        ),
        Metric(
            "calibration_intercept",
            calibration.calibration_intercept,
            False,
            "no finite fit",
            range=(-INFINITE, INFINITE),
        ),
        Metric("calibration_error", calibration.calibration_error, False, needs_both=False),
        Metric("accuracy", accuracy, True, needs_both=False),
        Metric("balanced_accuracy", balanced_accuracy, True, prevalence=False),
        Metric(
            "sensitivity",
            sensitivity,
            True,
            "no positives",
            needs_both=False,
            prevalence=False,
        ),
        Metric(
            "specificity",
            specificity,
            True,
            "no negatives",
            needs_both=False,
            prevalence=False,
        ),
        Metric("precision", precision, True, _NO_CALL, needs_both=False),
        Metric(
            "negative_predictive_value",
            negative_predictive_value,
            True,
            "nobody was called negative",
            needs_both=False,
        ),
        Metric("f1", f1, True, "no positives", needs_both=False),
        Metric("mcc", mcc, True, _NO_CALL_EITHER, range=(-1.0, 1.0)),
        Metric(
            "plr",
            plr,
            True,
            "no false positives: the ratio has no finite value",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric(
            "nlr",
            nlr,
            True,
            "no true negatives: the ratio has no finite value",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric("macro_precision", macro_precision, True, _NO_CALL_EITHER),
        Metric("macro_f1", macro_f1, True),
        Metric(
            "macro_plr",
            macro_plr,
            True,
            "no errors: the ratio is infinite",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric(
            "macro_nlr",
            macro_nlr,
            True,
            "no right decision: the ratio is infinite",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
    )
}


def point_estimates(sample: Sample, names: tuple[str, ...] = tuple(METRICS)) -> dict[str, float]:
    """Every metric of one sample; NaN where undefined."""
    if sample.n == 0:
        return dict.fromkeys(names, float("nan"))
    view = Resampled(sample)
    return {name: float(METRICS[name].compute(view)[0]) for name in names}


def why_undefined(name: str, sample: Sample) -> str:
    """Say why a metric of this sample is undefined."""
    if sample.n == 0:
        return NOBODY
    if METRICS[name].needs_both and sample.outcome.all() | ~sample.outcome.any():
        return ONE_CLASS
    return METRICS[name].undefined or ONE_CLASS
