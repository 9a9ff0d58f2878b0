"""Covariates of the voxelwise comparison: which, how they are coded, and who has them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import user_name, users_column, users_columns
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.tsv import is_missing, numeric, unusable

# Adjusted for where the recipe does not say otherwise, if the cohort has them.
USUAL = ("age", "sex")
MOSTLY_THE_OUTCOME = 0.5
_NO_COVARIATE = ("participant_id", "outcome")
_MOSTLY_MISSING = 0.2


def check_covariates(covariates: pd.DataFrame | None, columns: Sequence[str] | None) -> None:
    """Refuse columns that the test cannot adjust for.

    Parameters
    ----------
    covariates
        `participant_id` and other columns.
    columns
        Those that were named; `USUAL` where None.

    Raises
    ------
    UsageError
        The user has no such column, or it is that of the participants or of the outcome.
    BadData
        Its values can be read neither as numbers nor as categories.
    """
    there = [] if covariates is None else [str(name) for name in covariates.columns]
    lacking = [name for name in columns or () if users_column(there, name) is None]
    own = [name for name in lacking if name in _NO_COVARIATE]
    if own:
        raise UsageError(
            f"saliency.covariates: {', '.join(own)} cannot be adjusted for, as it is what the test "
            "compares; leave it out"
        )
    if lacking:
        has = ", ".join(map(user_name, users_columns(there))) or "none"
        raise UsageError(
            f"saliency.covariates: the cohort has no column {', '.join(lacking)}; it has {has}"
        )
    for name in columns or ():
        place = users_column(there, name)
        if covariates is not None and (why := unusable(covariates[place])):
            raise BadData(f"saliency.covariates: {name} cannot be adjusted for: {why}")


def chosen_columns(
    table: pd.DataFrame, covariates: pd.DataFrame | None, columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Which covariates to adjust for, and notes."""
    there = [] if covariates is None else [str(name) for name in covariates.columns]
    if columns is not None:
        check_covariates(covariates, columns)
        return list(columns), []
    chosen, notes = [], []
    for name in [name for name in USUAL if users_column(there, name)]:
        values, _, known = nuisance_of(table, covariates, [name], [])
        outcome = table["outcome"].to_numpy(float)[known]
        if values.size and explained(outcome, values[known]) > MOSTLY_THE_OUTCOME:
            notes.append(
                f"not adjusted for {name}, which by itself explains most of the outcome; "
                "saliency.covariates can ask for it"
            )
        else:
            chosen.append(name)
    return chosen, notes


def nuisance_of(
    table: pd.DataFrame,
    covariates: pd.DataFrame | None,
    chosen: Sequence[str],
    notes: list[str],
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Design (people, columns), names of the covariates in it, and who has them all."""
    everyone = np.ones(len(table), bool)
    if covariates is None or not chosen:
        return np.empty((len(table), 0)), [], everyone
    first = covariates.drop_duplicates("participant_id").set_index("participant_id")
    first = first.reindex(table["participant_id"].astype(str))
    columns, names = [], []
    for name in chosen:
        texts = first[users_column(map(str, first.columns), name)].astype(object)
        if why := unusable(texts):
            notes.append(f"covariate {name}: {why}: not used")
            continue
        numbers = numeric(texts)  # an infinite one is missing
        there = ~texts.map(is_missing) if numbers is None else numbers.notna()
        known = there.to_numpy(bool)
        if (~known).mean() > _MOSTLY_MISSING:
            notes.append(f"covariate {name} is missing for {(~known).sum()} people: not used")
            continue
        coded = _coded(texts)
        if coded.shape[1] == 0 or coded.shape[1] > max(1, len(table) // 5):
            notes.append(f"covariate {name} has one value, or too many categories: not used")
            continue
        names.append(str(name))
        columns.append(coded)
        everyone &= known
    if not everyone.all():
        notes.append(f"{(~everyone).sum()} people lack a covariate and are not in the test")
    design = np.hstack(columns) if columns else np.empty((len(table), 0))
    return design, names, everyone


def _coded(values: pd.Series) -> np.ndarray:
    """Code a covariate as columns: its numbers, or one for each category but the first."""
    numbers = numeric(values.astype(object))
    if numbers is not None:
        filled = numbers.fillna(numbers.mean()).to_numpy(float)
        return filled[:, None] if np.ptp(filled) > 0 else np.empty((len(filled), 0))
    text = values.map(lambda value: "" if is_missing(value) else str(value)).to_numpy(str)
    levels = [level for level in np.unique(text) if level]
    return np.column_stack([text == level for level in levels[1:]] or [np.empty((len(text), 0))])


def explained(outcome: np.ndarray, nuisance: np.ndarray) -> float:
    """Share of the outcome's variance that covariates explain, 0 to 1."""
    if not nuisance.size or outcome.var() == 0:
        return 0.0
    design = np.column_stack([np.ones(len(outcome)), nuisance])
    left = outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    return float(1 - left.var() / outcome.var())
