"""Baselines on the network's own folds, as scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.contracts.unit import unit_columns, with_part
from bidsapp.dataset.covariates import is_own, user_name, users_column
from bidsapp.errors import BadData
from bidsapp.evaluation.baseline_models import BASELINES, Baseline, design_table, in_fold_model
from bidsapp.evaluation.state import choices
from bidsapp.evaluation.tsv import is_missing, unusable
from bidsapp.training.columns import SCORES
from bidsapp.training.splits_file import splits_of

COLUMN = "column "
"""Stands before a column's name where a column is scored by itself."""


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
        if lacking := lacking_for(baseline, cohort, predictors, site):
            skipped[name] = lacking
            continue
        columns = baseline.columns(list(cohort.columns), predictors, site)
        for prefix, own in _split_sets(splits, base).items():
            scored, reason = _on_folds(cohort, own, baseline, columns)
            if reason:
                skipped[prefix + name] = reason
            else:
                parts.append(scored.assign(variant=prefix + name))
    columns = with_part(SCORES, cohort)
    empty = pd.DataFrame(columns=pd.Index(columns))
    scores = pd.concat(parts, ignore_index=True)[columns] if parts else empty
    return scores, skipped


def column_scores(
    cohort: pd.DataFrame, splits: pd.DataFrame, names: Sequence[str], base: str = ""
) -> pd.DataFrame:
    """Score held-out people by one column at a time, as the baseline site does by its own.

    Parameters
    ----------
    cohort, splits, base
        As in `baseline_scores`.
    names
        Columns, as the user names them.

    Returns
    -------
    pandas.DataFrame
        In the columns of `scores.tsv`; the variant is ``column <name>``, which no variant can be
        called. A column that cannot be fitted on some fold is not there.
    """
    parts = []
    for name in names:
        place = users_column(map(str, cohort.columns), name)
        for prefix, own in _split_sets(splits, base).items():
            scored, reason = _on_folds(cohort, own, BASELINES["site"], [str(place)])
            if not reason:
                parts.append(scored.assign(variant=f"{prefix}{COLUMN}{name}"))
    columns = with_part(SCORES, cohort)
    empty = pd.DataFrame(columns=pd.Index(columns))
    return pd.concat(parts, ignore_index=True)[columns] if parts else empty


def lacking_for(
    baseline: Baseline,
    cohort: pd.DataFrame,
    predictors: Sequence[str],
    site: str | None,
    later: Sequence[str] = (),
) -> str:
    """Say what a baseline lacks in a cohort; empty where nothing.

    Parameters
    ----------
    cohort
        The cohort table.
    predictors, site
        Names that the recipe gives.
    later
        Columns that are yet to be measured.
    """
    there = [*map(str, cohort.columns), *later]
    columns = baseline.columns(there, predictors, site)
    own = [name for name in columns if baseline.by_name and is_own(name)]
    if own:
        return (
            f"{', '.join(own)} may not be a predictor: the app itself writes it, and the tables "
            "have no column of that name"
        )
    absent = [name for name in columns if name not in there]
    if absent:
        listed = ", ".join(absent)
        return f"no column {listed} in cohort.tsv; {choices(map(str, cohort.columns))}"
    if baseline.needs and not columns:
        return f"needs {baseline.needs}; there is none"
    why = {name: unusable(cohort[name]) for name in columns if name in cohort}
    wrong = [f"{user_name(name)} cannot be used: {text}" for name, text in why.items() if text]
    return "; ".join(wrong)


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
    baseline: Baseline,
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
        model: Any = baseline.estimator()
        if not baseline.as_is:
            model = in_fold_model(model, numbers, categories)
        try:
            model.fit(table[train], outcome[train])
            probability = np.asarray(model.predict_proba(table[test])[:, 1], dtype=float)
        except BadData as error:  # a model of its own says what it cannot be fitted on
            return pd.DataFrame(), f"repeat {repeat}, fold {fold}: {error}"
        who = cohort.loc[test, [*unit_columns(cohort), "outcome"]]
        parts.append(who.assign(repeat=repeat, fold=fold, probability=probability))
    return pd.concat(parts), ""
