"""Metrics of a decision: all are functions of the four counts of the confusion table."""

import numpy as np

from bidsapp.evaluation.resampled import Resampled, ratio


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
