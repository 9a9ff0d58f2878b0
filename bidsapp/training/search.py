"""The search of one fold: its inner networks, and the fold with a setting of the grid."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.errors import UsageError
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.search import INNER_FOLDS, Search, Setting
from bidsapp.recipes.search_settings import alternatives, at_setting, followed, networks
from bidsapp.recipes.start import named_variant
from bidsapp.representation.chain import Chain
from bidsapp.training.columns import LEARNING, SPLITS
from bidsapp.training.inner_folds import Division
from bidsapp.training.run import check_steps, column_texts, splits_of
from bidsapp.training.stages import Outcomes, known, with_outcomes, with_people
from bidsapp.training.task import FoldTask, read_rows

TABLE = "search.tsv"


@dataclass(frozen=True)
class Trial:
    """One network of a search: a setting on an inner fold.

    Attributes
    ----------
    number
        Of the setting in the order of the grid, from 1.
    setting
        Its values.
    task
        The network; its held-out people are those of the inner fold.
    """

    number: int
    setting: Setting
    task: FoldTask

    @property
    def node_name(self) -> str:
        """Name of its node."""
        task = self.task
        variant = "".join(c if c.isalnum() else "_" for c in task.variant)
        inner = "" if task.inner is None else f"_i{task.inner}"
        return f"{variant}_r{task.repeat}_f{task.fold}_s{self.number}{inner}"


def search_of(task: FoldTask) -> Search | None:
    """Give the search that is still to be done for a fold."""
    return task.recipe.training.search


def networks_of(task: FoldTask) -> int:
    """Count the trainings of a fold, those of its search among them."""
    return networks(task.recipe)


def division_of(search: Search) -> Division:
    """Say how a search divides the people of a training fold."""
    return Division(
        "training.search.inner_size" if search.inner_size else "training.search.inner_folds",
        "leave training.search out",
        search.inner_folds or INNER_FOLDS,
        search.inner_size,
    )


def inner_roles(
    recipe: Recipe, cohort: pd.DataFrame, fold: pd.DataFrame, repeat: int, number: int
) -> list[tuple[int, str, str]]:
    """Divide the people from whom a fold learns, for the search of a variant.

    The inner networks are trained as the fold's own network is: where that has people to validate
    on, so have they, as large a share.

    Parameters
    ----------
    recipe
        Of the variant.
    cohort
        The cohort table.
    fold
        Rows of the splits: `participant_id` and `role`.
    repeat, number
        Which fold it is.

    Returns
    -------
    list of (inner, role, participant_id)

    Raises
    ------
    UsageError
        There are too few people of a class.
    """
    search = recipe.training.search
    assert search is not None
    learned = fold[fold["role"].isin(LEARNING)]
    share = float((learned["role"] == "validation").mean())
    people = cohort[cohort["participant_id"].isin(learned["participant_id"])]
    seeds = (recipe.protocol.seed, repeat, number, 3)
    grouped = recipe.binds([recipe.base])
    where = f"repeat {repeat}, fold {number}"
    return division_of(search).roles(people, grouped, share, seeds, where)


def check_searches(
    recipe: Recipe,
    variants: Sequence[str],
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    stages: Mapping[str, Outcomes | None] = MappingProxyType({}),
) -> None:
    """Refuse, before any work, searches of which some fold could not be settled.

    Parameters
    ----------
    recipe
        Of the run.
    variants
        Those that are scored.
    cohort, splits
        The tables of the run.
    stages
        Those that are trained for others to begin with, and what they predict where that is not the
        run's outcome.

    Raises
    ------
    UsageError, BadData
        A training fold has too few people of a class, or no fold holds out people of both where
        they are to choose by the AUC; or a step cannot be fitted in an inner fold. The message
        names ``training.search``.
    """
    for name in (*variants, *stages):
        one = recipe.with_variant(name)
        search, table, own = one.training.search, cohort, splits_of(recipe, name, variants, splits)
        if search is None:
            continue
        if (outcomes := stages.get(name)) is not None:
            table = with_outcomes(cohort, outcomes)
            own = known(own, table)
        if search.fit == "dataset":
            _require_judges(search, table, own)
            continue
        reading = _distinct_chains(one)
        texts = column_texts(table)
        for repeat, fold in own[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
            here = own[(own["repeat"] == repeat) & (own["fold"] == fold)]
            roles = inner_roles(one, table, here, int(repeat), int(fold))
            inner = pd.DataFrame(roles, columns=pd.Index(["fold", "role", "participant_id"]))
            for setting in reading:
                where = f"training.search: repeat {repeat}, fold {fold}, inner fold"
                check_steps(setting, table, inner.assign(repeat=0), where, texts)


def _distinct_chains(recipe: Recipe) -> list[Recipe]:
    """Give a setting of each chain of steps that reads columns; most settings share one."""
    found = {repr(one.representation): one for one in alternatives(recipe)}
    return [one for one in found.values() if Chain.of(one.representation).reads_columns]


def _require_judges(search: Search, cohort: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse to choose by the AUC of people of one class."""
    outcome = cohort.groupby("participant_id")["outcome"].agg(["min", "max"])
    held = splits[splits["role"] == "test"].join(outcome, on="participant_id")
    both = held.groupby(["repeat", "fold"]).agg({"min": "min", "max": "max"})
    if search.metric == "auc" and not (both["min"] < both["max"]).any():
        raise UsageError(
            "training.search.metric: settings are to be chosen by the AUC of the people who are "
            "held out, and every fold holds out people of one class, of whom there is none: take "
            "log_loss or brier, or fewer folds."
        )


def trials(task: FoldTask) -> list[Trial]:
    """List the networks of a fold's search, and write the splits that they read.

    Nobody whom the fold holds out is in an inner fold. Where the recipe chooses by held-out
    results (mode paper), the networks are those of the fold itself.

    Parameters
    ----------
    task
        The fold; what it begins with has its setting.
    """
    search = search_of(task)
    assert search is not None
    place = task.folder / "search"
    parts: dict[int | None, Path] = {None: task.splits}
    if search.fit == "train_fold":
        parts = _written_parts(task)
    found = []
    for number, setting in enumerate(search.settings, 1):
        tried = at(task, setting)
        for inner, splits in parts.items():
            part = "outer" if inner is None else f"inner-{inner}"
            folder = place / _folder_name("setting", setting) / part

            # settings that differ in nothing that it follows share what they begin with
            def first_folder(first: FoldTask, part: str = part) -> Path:
                return place / _folder_name(f"start-{first.variant}", first.setting or {}) / part

            one = with_people(
                tried,
                repeat=task.repeat,
                fold=task.fold,
                inner=inner,
                folder=folder,
                cohort=task.cohort,
                splits=splits,
                first_folder=first_folder,
                pool=task.pool,
            )
            found.append(Trial(number, setting, one))
    return found


def _folder_name(what: str, setting: Setting) -> str:
    """Name a folder by the setting itself, so that it stays when the grid grows."""
    text = json.dumps(setting, sort_keys=True, default=str)
    return f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _written_parts(task: FoldTask) -> dict[int | None, Path]:
    cohort = read_rows(task.cohort)
    people = task.table[task.table["role"] != ""].drop_duplicates("participant_id")
    roles = inner_roles(task.recipe, cohort, people, task.repeat, task.fold)
    table = pd.DataFrame(roles, columns=pd.Index(["inner", "role", "participant_id"]))
    table = table.assign(repeat=task.repeat, fold=task.fold).sort_values(
        ["inner", "participant_id"]
    )
    parts: dict[int | None, Path] = {}
    for inner, rows in table.groupby("inner"):
        parts[int(str(inner))] = task.folder / "search" / f"inner-{inner}.tsv"
        write_table(parts[int(str(inner))], rows[list(SPLITS)])
    return parts


def at(task: FoldTask, setting: Setting) -> FoldTask:
    """Give a fold with a setting of its search, and without the search.

    What it begins with is of the same architecture: a network of its own where the variant's is
    another.
    """
    from bidsapp.networks.weights import weights_file

    recipe = at_setting(task.recipe, setting)
    name = named_variant(recipe)
    first = None
    if name is not None:
        first = next(one for one in (*task.starts, task.first) if one and one.variant == name)
        own, changed = followed(first.recipe, setting)
        if changed:
            place = task.folder / "search" / _folder_name(f"start-{name}", changed) / "whole"
            file = weights_file(own.network, task.given or first.weights)
            first = replace(first, recipe=own, setting=changed, folder=place, weights=file)
    weights = weights_file(recipe.network, task.given or task.weights)
    return replace(task, recipe=recipe, setting=setting, first=first, weights=weights)


def unsettled(task: FoldTask, recipe: Recipe) -> FoldTask:
    """Give a fold as it was before its search, for the search to be done anew on other outcomes.

    Parameters
    ----------
    task
        A fold of the run.
    recipe
        Of the run.
    """
    own = recipe.with_variant(task.variant)
    name = named_variant(own)
    if own.training.search is None:
        first = None if task.first is None else unsettled(task.first, recipe)
        return replace(task, first=first)
    starts = tuple(unsettled(one, recipe) for one in task.starts)
    mine = next((one for one in starts if one.variant == name), None)
    return replace(task, recipe=own, setting=None, first=mine, starts=starts)
