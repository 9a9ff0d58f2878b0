"""Baselines on the network's own folds, as scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.evaluation.baseline_models import BASELINES, Baseline, design_table, in_fold_model
from bidsapp.evaluation.state import COHORT_COLUMNS, choices, splits_of
from bidsapp.evaluation.tables import is_missing
from bidsapp.training.columns import SCORES


def baseline_scores(
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    names: Sequence[str],
    predictors: Sequence[str] = (),
    site: str | None = None,
    base: str = "",
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Fit baselines in every training fold and score its held-out people.

    Imputation, encoding and scaling are fitted in the training fold (roles train and validation),
    as is the model. Hyperparameters are fixed.

    Parameters
    ----------
    cohort, splits
        As `state.read_state` gives them.
    names
        Of `BASELINES`.
    predictors
        Columns for logistic, random_forest and xgboost.
    base
        The variant whose splits count as the run's own, where the splits table has a column
        `variant`; other variants' splits give scores under ``<variant>/<baseline>``.

    Returns
    -------
    scores : pandas.DataFrame
        In the columns of `scores.tsv`.
    skipped : dict
        Name of a baseline that could not be fitted -> reason.
    """
    skipped: dict[str, str] = {}
    parts = []
    for name in names:
        baseline = BASELINES.get(name)
        if baseline is None:
            skipped[name] = f"unknown baseline; there are {', '.join(BASELINES)}"
            continue
        if lacking := lacking_for(baseline, list(cohort.columns), predictors, site):
            skipped[name] = lacking
            continue
        columns = baseline.columns(list(cohort.columns), predictors, site)
        for prefix, own in _split_sets(splits, base).items():
            scored, reason = _on_folds(cohort, own, baseline.estimator, columns)
            if reason:
                skipped[prefix + name] = reason
            else:
                parts.append(scored.assign(variant=prefix + name))
    empty = pd.DataFrame(columns=pd.Index(SCORES))
    scores = pd.concat(parts, ignore_index=True)[list(SCORES)] if parts else empty
    return scores, skipped


def lacking_for(
    baseline: Baseline, there: Sequence[str], predictors: Sequence[str], site: str | None
) -> str:
    """Say what a baseline lacks in a cohort with the columns `there`; empty where nothing."""
    columns = baseline.columns(there, predictors, site)
    forbidden = [name for name in columns if name in COHORT_COLUMNS and name != "quality"]
    if forbidden:
        return f"{forbidden} may not be a predictor: it identifies people or is the outcome"
    absent = [name for name in columns if name not in there]
    if absent:
        return f"no column {absent} in cohort.tsv; {choices(there)}"
    if baseline.needs and not columns:
        return f"needs {baseline.needs}; there is none"
    return ""


def _split_sets(splits: pd.DataFrame, base: str) -> dict[str, pd.DataFrame]:
    """Prefix of the baselines' names -> the splits they are fitted on."""
    if "variant" not in splits:
        return {"": splits}
    variants = [str(name) for name in splits["variant"].drop_duplicates() if not is_missing(name)]
    own = splits_of(splits, base)
    sets = {"": own} if len(own) else {}
    return sets | {f"{name}/": splits_of(splits, name) for name in variants if name != base}


def _on_folds(
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    estimator: Callable[[], Any],
    columns: Sequence[str],
) -> tuple[pd.DataFrame, str]:
    table, numbers, categories = design_table(cohort, columns)
    parts = []
    keys = splits[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    for repeat, fold in keys:
        roles = splits[(splits["repeat"] == repeat) & (splits["fold"] == fold)]
        role = cohort["participant_id"].map(roles.set_index("participant_id")["role"])
        train = role.isin(["train", "validation"]).to_numpy()
        test = (role == "test").to_numpy()
        outcome = cohort["outcome"].to_numpy()
        if len(np.unique(outcome[train])) < 2:
            return pd.DataFrame(), f"repeat {repeat}, fold {fold} trains on one class only"
        if not test.any():
            continue
        model = in_fold_model(estimator(), numbers, categories)
        model.fit(table[train], outcome[train])
        probability = np.asarray(model.predict_proba(table[test])[:, 1], dtype=float)
        who = cohort.loc[test, ["participant_id", "session_id", "outcome"]]
        parts.append(who.assign(repeat=repeat, fold=fold, probability=probability))
    return pd.concat(parts), ""
