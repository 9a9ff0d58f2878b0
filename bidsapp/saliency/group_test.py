"""Positives against negatives: who enters the test, which covariates, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bidsapp.dataset.covariates import user_name, users_column, users_columns
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.tables import is_missing, numeric, unusable
from bidsapp.saliency.max_t import MaxT, max_t
from bidsapp.saliency.people import PeopleMaps
from bidsapp.saliency.tfce import ClusterEnhancement

PERMUTATIONS = 1000
_FEWEST_OF_A_CLASS = 3
# Adjusted for where the recipe does not say otherwise, if the cohort has them.
USUAL = ("age", "sex")
_NO_COVARIATE = ("participant_id", "outcome")
_MOSTLY_MISSING = 0.2
_MOSTLY_THE_OUTCOME = 0.5
CROSS_VALIDATED = (
    "the test takes the fitted networks as given; as a person's outcome has trained the networks "
    "of the other folds, its p is approximate"
)
ONE_FAMILY = (
    "p is corrected over the voxels of this map by one statistic; not over variants, nor for "
    "looking at both t and its enhancement"
)


@dataclass(frozen=True)
class GroupTest:
    """The test of positives against negatives.

    Attributes
    ----------
    result
        At every voxel; t above 0 where the maps of positives are larger.
    positives, negatives
        How many people of each entered.
    covariates
        Columns adjusted for.
    within_folds
        Whether maps changed place within their fold only, each fold with an intercept.
    permutations
        Number of permutations.
    notes
        What was left out and why, and how far the p values can be trusted.
    """

    result: MaxT
    positives: int
    negatives: int
    covariates: tuple[str, ...]
    within_folds: bool
    permutations: int
    notes: tuple[str, ...]


def compare_groups(
    people: PeopleMaps,
    covariates: pd.DataFrame | None = None,
    columns: Sequence[str] | None = None,
    *,
    permutations: int = PERMUTATIONS,
    tfce: bool = True,
    seed: int = 0,
) -> tuple[GroupTest | None, list[str]]:
    """Test the maps of positives against those of negatives, voxel by voxel.

    Each participant enters with one map, the mean of its sessions; where the outcome differs
    between sessions of one participant, there is no test. With one repeat, maps change place
    within the folds where every fold has both classes, as a fold's maps come from one network;
    else over all.

    Parameters
    ----------
    people
        Smoothed maps.
    covariates
        `participant_id` and other columns, those of `cohort.tsv` for instance.
    columns
        Which of them to adjust for: numbers as they are, others as categories. By default `USUAL`
        where they are there, save one that by itself explains most of the outcome.
    permutations
        Number of permutations.
    tfce
        Whether to test enhanced maps too.
    seed
        Of the permutations.

    Raises
    ------
    UsageError
        If the table lacks a column that was named.

    Returns
    -------
    test
        None where there are too few people for one, or outcomes differ within people.
    notes
        Why there is no test; empty where there is one.
    """
    if not permutations:
        return None, ["no voxelwise test: no permutations were asked for"]
    both = people.scans.groupby("participant_id")["outcome"].nunique() > 1
    if both.any():
        return None, [
            f"no voxelwise test: {int(both.sum())} people are positive in one session and negative "
            f"in another ({', '.join(map(str, both.index[both][:3]))}, ...), so positives and "
            "negatives are not different people; a run on one session can be tested"
        ]
    table, values = _one_each(people)
    chosen, notes = _columns(table, covariates, columns)
    nuisance, names, known = _nuisance(table, covariates, chosen, notes)
    table, values = table[known].reset_index(drop=True), values[known]
    outcome = table["outcome"].to_numpy(float)
    positives, negatives = int(outcome.sum()), int((1 - outcome).sum())
    if min(positives, negatives) < _FEWEST_OF_A_CLASS:
        return None, [
            *notes,
            f"no voxelwise test: {positives} positives and {negatives} negatives, at least "
            f"{_FEWEST_OF_A_CLASS} of each are needed",
        ]
    folds = table.groupby("fold")["outcome"].nunique()
    within = people.repeats == 1 and len(folds) > 1 and bool((folds == 2).all())
    try:
        result = max_t(
            values,
            outcome,
            nuisance[known],
            permutations=permutations,
            blocks=table["fold"].to_numpy() if within else None,
            rng=np.random.default_rng([seed, 1]),
            enhance=ClusterEnhancement(people.inside) if tfce else None,
        )
    except BadData as error:
        return None, [*notes, f"no voxelwise test: {error}"]
    share = _explained(outcome, nuisance[known])
    if share > _MOSTLY_THE_OUTCOME:
        notes.append(
            f"{', '.join(names)} explain {share:.0%} of the outcome's variance: the test asks "
            "what the maps say beyond them"
        )
    notes += [CROSS_VALIDATED, ONE_FAMILY]
    test = GroupTest(result, positives, negatives, tuple(names), within, permutations, tuple(notes))
    return test, []


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


def _one_each(people: PeopleMaps) -> tuple[pd.DataFrame, np.ndarray]:
    """One row and one map per participant; its sessions are averaged."""
    key = people.scans["participant_id"].astype(str)
    groups = people.scans.groupby(key, sort=True).indices
    rows = [int(np.min(places)) for places in groups.values()]
    table = people.scans.loc[rows, ["participant_id", "outcome", "fold"]].reset_index(drop=True)
    if len(groups) == len(people.scans):
        return table, people.values[rows]
    values = np.stack([people.values[places].mean(axis=0) for places in groups.values()])
    return table, values


def _columns(
    table: pd.DataFrame, covariates: pd.DataFrame | None, columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Which covariates to adjust for, and notes."""
    if columns is not None:
        check_covariates(covariates, columns)
        return list(columns), []
    there = [] if covariates is None else [str(name) for name in covariates.columns]
    chosen, notes = [], []
    for name in [name for name in USUAL if users_column(there, name)]:
        values, _, known = _nuisance(table, covariates, [name], [])
        outcome = table["outcome"].to_numpy(float)[known]
        if values.size and _explained(outcome, values[known]) > _MOSTLY_THE_OUTCOME:
            notes.append(
                f"not adjusted for {name}, which by itself explains most of the outcome; "
                "saliency.covariates can ask for it"
            )
        else:
            chosen.append(name)
    return chosen, notes


def _nuisance(
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


def _explained(outcome: np.ndarray, nuisance: np.ndarray) -> float:
    """Share of the outcome's variance that covariates explain, 0 to 1."""
    if not nuisance.size or outcome.var() == 0:
        return 0.0
    design = np.column_stack([np.ones(len(outcome)), nuisance])
    left = outcome - design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    return float(1 - left.var() / outcome.var())
