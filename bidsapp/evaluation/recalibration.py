"""Recalibration of a model on new people: intercept, or intercept and slope, cross-validated.

The order of people by their scores, and with it the AUC, stays what it was; only what the
probabilities say changes (Steyerberg 2019, Clinical Prediction Models, chapter 20).
"""

import numpy as np
import pandas as pd

from bidsapp.contracts.recalibration import Recalibration
from bidsapp.contracts.unit import PARTICIPANT
from bidsapp.evaluation.calibration import log_odds

FOLDS = 10
FEWEST = 10
"""People of each class that a recalibration needs, at least; of each coefficient ten events."""
_ITERATIONS = 100
_LARGEST_STEP = 2.0


def fit_recalibration(outcome: np.ndarray, probability: np.ndarray, kind: str) -> Recalibration:
    """Fit a recalibration by maximum likelihood; `kind` is one of `recalibration.KINDS`.

    Parameters
    ----------
    outcome, probability
        (n,) of people whom the model has not seen.
    kind
        ``intercept`` or ``slope``.

    Raises
    ------
    ValueError
        One class only; no finite slope, or one that is not above 0: the scores do not rise with
        the outcome, and no recalibration mends that.
    """
    intercept, slope = fit_logistic(np.asarray(outcome), log_odds(np.asarray(probability)), kind)
    if slope <= 0:
        raise ValueError(f"the slope is {slope:.2f}: the scores do not rise with the outcome")
    return Recalibration(kind, intercept, slope)


def fit_logistic(outcome: np.ndarray, logit: np.ndarray, kind: str) -> tuple[float, float]:
    """Regress the outcome on a logit: intercept and slope, the slope 1 for kind ``intercept``.

    Raises
    ------
    ValueError
        One class only, no spread, or classes that a threshold separates.
    """
    truth, x = np.asarray(outcome, bool), np.asarray(logit, float)
    if truth.all() or not truth.any():
        raise ValueError("only one class among the outcomes")
    shape = np.ones((len(x), 1)) if kind == "intercept" else np.stack([np.ones_like(x), x], 1)
    if kind != "intercept":
        if x.std() == 0:
            raise ValueError("all scores are the same: no slope")
        if x[truth].min() > x[~truth].max() or x[truth].max() < x[~truth].min():
            raise ValueError("a threshold separates the classes: the slope has no finite value")
    offset = x if kind == "intercept" else np.zeros_like(x)
    found = np.zeros(shape.shape[1])
    for _ in range(_ITERATIONS):
        mean = np.exp(-np.logaddexp(0.0, -(shape @ found + offset)))
        weight = np.maximum(mean * (1 - mean), 1e-12)
        step = np.linalg.solve((shape * weight[:, None]).T @ shape, shape.T @ (truth - mean))
        size = float(np.abs(step).max())
        found += step * min(1.0, _LARGEST_STEP / max(size, 1e-300))
        if size < 1e-10:
            break
    return float(found[0]), 1.0 if kind == "intercept" else float(found[1])


def cross_validated(rows: pd.DataFrame, kind: str, seed: int = 0) -> pd.DataFrame:
    """Recalibrate everybody by coefficients of other people.

    Parameters
    ----------
    rows
        `participant_id`, `outcome`, `probability` and whatever else, a row per unit.
    kind
        ``intercept`` or ``slope``.
    seed
        Of the division into `FOLDS` folds (fewer where a class has fewer people), stratified;
        all rows of a participant are in one.

    Returns
    -------
    pandas.DataFrame
        The rows, with their recalibrated `probability` and the `fold` they were held out in.

    Raises
    ------
    ValueError
        A class has fewer than `FEWEST` people, or a fold cannot be fitted.
    """
    people = rows.groupby(PARTICIPANT, sort=True)["outcome"].max()
    counts = people.value_counts().reindex([0, 1], fill_value=0)
    if counts.min() < FEWEST:
        raise ValueError(
            f"{counts[1]} positive and {counts[0]} negative people; it needs {FEWEST} of each"
        )
    folds = min(FOLDS, int(counts.min()))
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for value in (1, 0):
        names = people.index[people == value].to_numpy()
        for place, name in enumerate(rng.permutation(names)):
            fold_of[str(name)] = place % folds
    fold = rows[PARTICIPANT].astype(str).map(fold_of).to_numpy()
    outcome = rows["outcome"].to_numpy(int)
    probability = rows["probability"].to_numpy(float)
    new = np.empty(len(rows))
    for one in range(folds):
        held = fold == one
        new[held] = fit_recalibration(outcome[~held], probability[~held], kind).apply(
            probability[held]
        )
    return rows.assign(probability=new, fold=fold)
