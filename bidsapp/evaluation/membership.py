"""How different two cohorts are: a model that tells from columns which one people are of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.aggregates import CELL
from bidsapp.evaluation.intervals import LEVEL
from bidsapp.evaluation.tsv import is_missing, numeric, unusable

MEMBERSHIP = ("auc", "ci_low", "ci_high", "columns", "training", "validation", "note")
_FOLDS = 10


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


def correlation_of(people: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Give the correlations of the numbers of a cohort, over those who have all of them.

    With means and SDs (`aggregates.cohort_aggregates`) they are all that
    `membership_from_aggregates` needs.

    Parameters
    ----------
    people
        A row per person, text.
    columns
        Numbers; one without spread is left out.

    Returns
    -------
    dict
        `columns` and `values`, (k, k); empty where fewer than `CELL` people for each column are
        complete.
    """
    found = {name: numeric(people[name]) for name in columns}
    numbers = pd.DataFrame({name: one for name, one in found.items() if one is not None}).dropna()
    numbers = numbers.loc[:, numbers.nunique() > 1]
    if not len(numbers.columns) or len(numbers) < CELL * (1 + len(numbers.columns)):
        return {}
    values = np.atleast_2d(np.corrcoef(numbers.to_numpy(float), rowvar=False))
    return {"columns": list(numbers.columns), "values": values.tolist()}


def membership_from_aggregates(told: Mapping[str, Any], people: pd.DataFrame) -> pd.DataFrame:
    """Tell how different new people are from a cohort of which aggregates alone are known.

    The AUC of the linear discriminant of the numbers, from both cohorts' means, SDs and
    correlations, as if they were normally distributed: Φ(D / √2), D² being Mahalanobis' distance
    with its bias taken off (Lachenbruch & Mickey 1968, doi:10.2307/1266219).

    Parameters
    ----------
    told
        ``columns``, ``correlation`` and ``people`` as a bundle has them.
    people
        The new cohort, a row per person, text.

    Returns
    -------
    pandas.DataFrame
        One row, columns `MEMBERSHIP`, without an interval; NaN with the reason where it cannot be
        told.
    """
    from scipy.stats import norm

    before = {one["column"]: one for one in told.get("columns", ()) if one["kind"] == "numbers"}
    joint = told.get("correlation") or {"columns": [], "values": []}
    parts = {name: numeric(people[name]) for name in joint["columns"] if name in people}
    new = pd.DataFrame({name: one for name, one in parts.items() if one is not None}).dropna()
    used = [name for name in new.columns if name in before and new[name].nunique() > 1]
    count, k = int(told.get("people", 0)), len(used)
    nan = float("nan")
    if not k or len(new) < 5 or count + len(new) < k + 4:
        why = "too few people, or no numbers that both cohorts have"
        row = (nan, nan, nan, ", ".join(used), count, len(people), why)
        return pd.DataFrame([row], columns=pd.Index(MEMBERSHIP))
    places = [joint["columns"].index(name) for name in used]
    correlation = np.asarray(joint["values"], float)[np.ix_(places, places)]
    sd = np.array([before[name]["sd"] for name in used])
    mean = np.array([before[name]["mean"] for name in used])
    own = np.atleast_2d(np.cov(new[used].to_numpy(float), rowvar=False))
    free = count + len(new) - 2
    pooled = ((count - 1) * correlation * np.outer(sd, sd) + (len(new) - 1) * own) / free
    gap = new[used].to_numpy(float).mean(axis=0) - mean
    squared = float(gap @ np.linalg.pinv(pooled) @ gap)
    squared = squared * (free - k - 1) / free - k * (1 / count + 1 / len(new))
    auc = float(norm.cdf(np.sqrt(max(squared, 0.0) / 2)))
    note = (
        "from the bundle's means, SDs and correlations, numbers alone, as if normally distributed: "
        "of .5 nobody can tell the cohorts apart, of 1 they have nothing in common"
    )
    row = (auc, nan, nan, ", ".join(used), count, len(new), note)
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
