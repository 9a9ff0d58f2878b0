"""Case mix: how different two cohorts are, and what of a fall in AUC that alone would explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.calibration import log_odds
from bidsapp.evaluation.intervals import LEVEL, normal_quantile
from bidsapp.evaluation.tsv import is_missing, numeric, unusable

DROP = ("step", "auc", "ci_low", "ci_high", "difference", "note")
MEMBERSHIP = ("auc", "ci_low", "ci_high", "columns", "training", "validation", "note")
_FOLDS = 10
_DRAWS = 500


def model_based_auc(logit: np.ndarray) -> float:
    """AUC that these people would give if the logits were true.

    The model-based concordance of van Klaveren et al. 2016 (doi:10.1002/sim.6997): of all pairs
    of two people, weighted by the probability that the first is positive and the second is not,
    the share in which the first has the higher logit, ties counted half. It depends on who the
    people are and on no outcome.

    Parameters
    ----------
    logit
        (n,) calibrated log odds; NaN for fewer than two people.
    """
    x = np.sort(np.asarray(logit, float))
    if len(x) < 2:
        return float("nan")
    p = np.exp(-np.logaddexp(0.0, -x))
    below = np.concatenate([[0.0], np.cumsum(1 - p)])
    left = np.searchsorted(x, x, side="left")
    right = np.searchsorted(x, x, side="right")
    # nobody is paired with themselves
    own = 1 - p
    wins = (p * (below[left] + (below[right] - below[left] - own) / 2)).sum()
    pairs = (p * (below[-1] - own)).sum()
    return float(wins / pairs)


@dataclass(frozen=True)
class Drop:
    """A difference of AUC between two cohorts, taken apart.

    Attributes
    ----------
    table
        Columns `DROP`: training, expected in the new people, observed.
    case_mix, model
        AUC that the people cost, and that the model costs; NaN where it cannot be told.
    note
        Why it cannot, or what it supposes.
    """

    table: pd.DataFrame
    case_mix: float
    model: float
    note: str = ""


def explain_drop(
    told: Mapping[str, Any],
    probability: np.ndarray,
    observed: tuple[float, float, float],
    seed: int = 0,
    level: float = LEVEL,
) -> Drop:
    """Take apart the difference between the AUC of training (held out) and that in new people.

    The model's probabilities in the new people are first calibrated as they were in the held-out
    people of training. What AUC these probabilities promise in the new people, if they hold, is
    what their case mix leaves; what is missing from it to what was observed is the model.

    Parameters
    ----------
    told
        As `aggregates.held_out_facts` gave it; empty where a bundle holds none.
    probability
        (n,) of the new people, a row each.
    observed
        AUC in the new people, with its interval.
    """
    nothing = pd.DataFrame(columns=pd.Index(DROP))
    nan = float("nan")
    if not told:
        return Drop(nothing, nan, nan, "the bundle tells nothing of its held-out scores")
    if told.get("slope") is None or told.get("intercept") is None:
        return Drop(nothing, nan, nan, "the held-out scores of training had no calibration slope")
    if told["slope"] <= 0:
        why = "the held-out scores of training did not rise with the outcome: nothing to expect"
        return Drop(nothing, nan, nan, why)
    logit = told["intercept"] + told["slope"] * log_odds(np.asarray(probability, float))
    expected = model_based_auc(logit)
    rng = np.random.default_rng(seed)
    draws = [model_based_auc(logit[rng.integers(0, len(logit), len(logit))]) for _ in range(_DRAWS)]
    edge = 50 * (1 - level)
    low, high = np.nanpercentile(draws, [edge, 100 - edge]) if len(logit) > 1 else (nan, nan)
    z = normal_quantile(level)
    before = float(told["auc"])
    half = [_widen(before, told[name], z) for name in ("auc_low", "auc_high")]
    rows = [
        ("training, held out", before, *half, nan, "single fold models, each on people unseen"),
        (
            *("expected in these people", expected, float(low), float(high)),
            *(expected - before, "if probabilities hold as they held in training: the case mix"),
        ),
        (
            *("observed in these people", *observed, observed[0] - expected),
            "what the case mix does not explain: the model, or chance",
        ),
    ]
    table = pd.DataFrame(rows, columns=pd.Index(DROP))
    note = (
        "It supposes that the mean of the fold models is calibrated as single fold models were "
        "in training."
    )
    return Drop(table, expected - before, observed[0] - expected, note)


def _widen(centre: float, one_error: object, z: float) -> float:
    """Stretch a limit of one standard error to z of them, on the logit scale."""
    if not isinstance(one_error, int | float):
        return float("nan")
    ends = np.clip([centre, float(one_error)], 1e-6, 1 - 1e-6)
    middle, edge = np.log(ends) - np.log1p(-ends)
    return float(1 / (1 + np.exp(-(middle + z * (edge - middle)))))


def membership(
    first: pd.DataFrame,
    second: pd.DataFrame,
    columns: Sequence[str],
    seed: int = 0,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Tell from columns which of two cohorts people are of: how different the cohorts are.

    A logistic regression, penalised, scored by people it was not fitted on (stratified folds);
    an AUC of .5 says that nobody can tell, 1 that the cohorts have nothing in common (Debray et
    al. 2015, doi:10.1016/j.jclinepi.2014.06.018).

    Parameters
    ----------
    first, second
        The cohorts, a row per person, text.
    columns
        That both have.

    Returns
    -------
    pandas.DataFrame
        One row, columns `MEMBERSHIP`; NaN with the reason where it cannot be fitted.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from bidsapp.evaluation.estimates import estimate_aucs

    both = pd.concat([first, second], ignore_index=True)
    label = np.repeat([0, 1], [len(first), len(second)])
    used, parts = [], []
    for name in columns:
        block = _coded(both[name]) if name in both else None
        if block is not None:
            used.append(name)
            parts.append(block)
    nan = float("nan")
    fewest = min(len(first), len(second))
    why = ""
    if fewest < 5:
        why = f"{fewest} people in the smaller cohort; it needs 5"
    elif not parts:
        why = "the cohorts have no column in common that a model can take"
    if why:
        row = (nan, nan, nan, ", ".join(used), len(first), len(second), why)
        return pd.DataFrame([row], columns=pd.Index(MEMBERSHIP))
    x = np.concatenate(parts, axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    score = cross_val_predict(model, x, label, cv=folds, method="predict_proba")[:, 1]
    (found,), _ = estimate_aucs(label.astype(bool), score)
    limits = found.interval(level)
    row = (
        *(found.value, limits.low, limits.high, ", ".join(used), len(first), len(second)),
        "of .5 nobody can tell the cohorts apart, of 1 they have nothing in common",
    )
    return pd.DataFrame([row], columns=pd.Index(MEMBERSHIP))


def _coded(values: pd.Series) -> np.ndarray | None:
    """Code a column as numbers, (n, k), missing ones by the middle and by a column of their own."""
    if unusable(values):
        return None
    missing = values.map(is_missing).to_numpy(bool)
    numbers = numeric(values)
    if numbers is not None:
        missing = numbers.isna().to_numpy()
        block = numbers.fillna(numbers.median()).to_numpy(float)[:, None]
    else:
        text = values.where(~missing, "").astype(str)
        levels = sorted(set(text[~missing]))
        if len(levels) < 2 and not missing.any():
            return None
        block = np.stack([(text == level).to_numpy(float) for level in levels[1:]] or [missing], 1)
        block = block.astype(float)
    if missing.any() and not missing.all():
        block = np.concatenate([block, missing[:, None].astype(float)], axis=1)
    return block if np.ptp(block, axis=0).any() else None
