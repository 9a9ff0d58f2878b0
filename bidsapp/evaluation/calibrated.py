"""Fit what a model's probability is worth, with an interval, on people whom it had not seen.

A logistic regression of the outcome on the logit of held-out probabilities (Cox 1958; Platt 1999),
with Jeffreys' prior, so that it is finite where a threshold separates the classes (Firth 1993,
doi:10.1093/biomet/80.1.27), and Wald's interval of the line at a person's logit. The held-out
scores of a cross-validation are those of its single fold models, and the answer of a bundle is
their mean: the variance is multiplied by what that of a cross-validated result is
(`held_out.inflation_of`). A person with several scans weighs as one.

Venn-Abers intervals (Vovk & Petej 2014, arXiv:1211.0025) were tried beside it and are not used:
one of their two ends is calibrated, but they hold a person's probability in a third of the cases
only (`tests.benchmarks.calibrated`).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.contracts.calibrated import Calibrated
from bidsapp.contracts.unit import PARTICIPANT, unit_columns
from bidsapp.evaluation.calibration import log_odds
from bidsapp.evaluation.held_out import inflation_of
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.tsv import read_table
from bidsapp.evaluation.validation_files import fold_models

FEWEST = 10
"""People of each class that it needs, at least."""
_ITERATIONS = 100
_LARGEST_STEP = 2.0
_SAME = 1e-9


def fit_calibrated(
    outcome: np.ndarray,
    probability: np.ndarray,
    person: np.ndarray,
    inflation: float = 1.0,
    level: float = LEVEL,
) -> tuple[Calibrated | None, str]:
    """Fit the line and its variance.

    Parameters
    ----------
    outcome, probability, person
        (n,) of forecasts that no model had seen; whose they are.
    inflation
        What the variance is multiplied by; 1 where one given model made all of them.
    level
        Of the interval.

    Returns
    -------
    calibrated
        None where it cannot be had.
    why
        The reason then; empty else.
    """
    truth, x = np.asarray(outcome, float), log_odds(np.asarray(probability, float))
    code = np.unique(np.asarray(person).astype(str), return_inverse=True)[1]
    weight = 1.0 / np.bincount(code)[code] if len(code) else np.zeros(0)
    counts = [float(weight[truth == value].sum()) for value in (1, 0)]
    if min(counts) < FEWEST:
        return None, (
            f"{counts[0]:.0f} positive and {counts[1]:.0f} negative people; it needs {FEWEST} of "
            "each"
        )
    if np.ptp(x) < _SAME:
        return None, "all probabilities are the same"
    shape = np.stack([np.ones_like(x), x], axis=1)
    found, covariance = _jeffreys(shape, truth, weight)
    if found[1] <= 0:
        return None, "held-out probabilities do not rise with the outcome"
    spread = covariance * inflation
    variance = (float(spread[0, 0]), float(spread[0, 1]), float(spread[1, 1]))
    people = int(code.max()) + 1
    return Calibrated(float(found[0]), float(found[1]), variance, level, people), ""


def _jeffreys(
    shape: np.ndarray, truth: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a weighted logistic regression with Jeffreys' prior: coefficients and covariance."""
    found = np.zeros(shape.shape[1])
    for _ in range(_ITERATIONS):
        mean = np.exp(-np.logaddexp(0.0, -(shape @ found)))
        each = weight * np.maximum(mean * (1 - mean), 1e-12)
        covariance = np.linalg.inv((shape * each[:, None]).T @ shape)
        leverage = each * np.einsum("ij,jk,ik->i", shape, covariance, shape)
        step = covariance @ (shape.T @ (weight * (truth - mean) + leverage * (0.5 - mean)))
        size = float(np.abs(step).max())
        found = found + step * min(1.0, _LARGEST_STEP / max(size, 1e-300))
        if size < 1e-9:
            break
    return found, covariance


def calibrated_of_run(scores: pd.DataFrame, splits: pd.DataFrame) -> tuple[Calibrated | None, str]:
    """Fit it on everybody whom a variant held out.

    Parameters
    ----------
    scores, splits
        Of the variant; probabilities of several repeats are averaged.
    """
    keys = unit_columns(scores)
    pooled = scores.groupby(keys, sort=True)[["outcome", "probability"]].mean()
    return fit_calibrated(
        pooled["outcome"].to_numpy(float),
        pooled["probability"].to_numpy(float),
        pooled.index.get_level_values(PARTICIPANT).to_numpy(),
        inflation_of(splits),
    )


def calibrated_of_validation(folder: Path) -> Calibrated | None:
    """Fit it on the people of a validation, by what the mean of the fold models said of them."""
    cohort = read_table(folder / "cohort.tsv", (PARTICIPANT, "outcome"))
    keys = unit_columns(cohort)
    mean = fold_models(folder).mean(axis=1).rename("probability").reset_index()
    rows = cohort[[*keys, "outcome"]].merge(mean, on=keys, how="inner")
    return fit_calibrated(
        rows["outcome"].to_numpy(float),
        rows["probability"].to_numpy(float),
        rows[PARTICIPANT].to_numpy(),
    )[0]
