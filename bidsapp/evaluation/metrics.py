"""The table of metrics: name, function, and why a value can be undefined."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bidsapp.evaluation import calibration, confusion, discrimination
from bidsapp.evaluation.resampled import Resampled
from bidsapp.evaluation.sample import Sample

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
        Metric("auc", discrimination.auc, False, prevalence=False),
        Metric("average_precision", discrimination.average_precision, False),
        Metric("brier", discrimination.brier, False, needs_both=False),
        Metric("brier_skill", discrimination.brier_skill, False, range=(-INFINITE, 1.0)),
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
        Metric("accuracy", confusion.accuracy, True, needs_both=False),
        Metric("balanced_accuracy", confusion.balanced_accuracy, True, prevalence=False),
        Metric(
            "sensitivity",
            confusion.sensitivity,
            True,
            "no positives",
            needs_both=False,
            prevalence=False,
        ),
        Metric(
            "specificity",
            confusion.specificity,
            True,
            "no negatives",
            needs_both=False,
            prevalence=False,
        ),
        Metric("precision", confusion.precision, True, _NO_CALL, needs_both=False),
        Metric(
            "negative_predictive_value",
            confusion.negative_predictive_value,
            True,
            "nobody was called negative",
            needs_both=False,
        ),
        Metric("f1", confusion.f1, True, "no positives", needs_both=False),
        Metric("mcc", confusion.mcc, True, _NO_CALL_EITHER, range=(-1.0, 1.0)),
        Metric(
            "plr",
            confusion.plr,
            True,
            "no false positives: the ratio has no finite value",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric(
            "nlr",
            confusion.nlr,
            True,
            "no true negatives: the ratio has no finite value",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric("macro_precision", confusion.macro_precision, True, _NO_CALL_EITHER),
        Metric("macro_f1", confusion.macro_f1, True),
        Metric(
            "macro_plr",
            confusion.macro_plr,
            True,
            "no errors: the ratio is infinite",
            prevalence=False,
            range=(0.0, INFINITE),
        ),
        Metric(
            "macro_nlr",
            confusion.macro_nlr,
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
