"""The search of one fold: its inner networks, what they scored, and the setting that is chosen."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.errors import UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes.schema import Recipe
from bidsapp.recipes.search import (
    HIGHER,
    INNER_FOLDS,
    Search,
    Setting,
    at_setting,
    followed,
    networks,
    value_words,
)
from bidsapp.recipes.start import named_variant
from bidsapp.training.columns import LEARNING, SPLITS
from bidsapp.training.inner_folds import Division
from bidsapp.training.passing import forget
from bidsapp.training.search_metric import metric_of
from bidsapp.training.stages import with_people
from bidsapp.training.task import FoldTask, read_rows

TABLE = "search.tsv"
_DIGITS = 6
_ALIKE = 10
"""Decimals to which means are compared: what differs beyond them is no difference."""


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


def settled(
    tasks: Sequence[FoldTask], tried: Sequence[Sequence[Trial]]
) -> tuple[list[FoldTask], pd.DataFrame]:
    """Choose a setting for every fold of one variant by what its inner networks scored.

    The best mean over the inner folds wins; of equal ones that which is first in the grid.

    Parameters
    ----------
    tasks
        The folds.
    tried
        The scored networks of each.

    Returns
    -------
    tasks
        The folds with the settings that were chosen.
    table
        A row per fold and setting, as in ``search.tsv``.

    Raises
    ------
    UsageError
        In some fold the loss of some inner network of every setting was no longer finite.
    """
    search = search_of(tasks[0])
    assert search is not None
    tables = [_scored(task, own, search) for task, own in zip(tasks, tried, strict=True)]
    sign = 1 if search.metric in HIGHER else -1
    means = np.array([sign * table["mean"].to_numpy(float) for table in tables])
    if search.fit == "dataset":
        voting = means[~np.isnan(means).all(axis=1)]  # one class held out has no AUC, and no vote
        means = np.broadcast_to(voting.sum(axis=0) / (len(voting) or np.nan), means.shape)
    known = np.where(np.isnan(means), -np.inf, means)  # a setting that diverged is none to choose
    if lost := [task.label for task, row in zip(tasks, known, strict=True) if np.isinf(row).all()]:
        raise UsageError(
            f"{lost[0]}: no setting of training.search could be judged, as the loss of some inner "
            "network of each was no longer finite. Take lower rates (training.lr), or "
            "training.precision: float32."
        )
    chosen = known.round(_ALIKE).argmax(axis=1)
    done = []
    for task, table, best in zip(tasks, tables, chosen, strict=True):
        table["chosen"] = ["true" if k == best else "false" for k in range(len(table))]
        done.append(at(task, search.settings[best]))
    return done, pd.concat(tables, ignore_index=True)


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
            first = replace(
                first, recipe=own, setting=changed, folder=place, weights=file, pool=None
            )
    weights = weights_file(recipe.network, task.given or task.weights)
    return replace(task, recipe=recipe, setting=setting, first=first, weights=weights)


def _scored(task: FoldTask, tried: Sequence[Trial], search: Search) -> pd.DataFrame:
    """Make a fold's rows of ``search.tsv``, without the choice."""
    rows = []
    for number, group in groupby(tried, lambda one: one.number):
        own = list(group)
        records = [read_own_json(one.task.record_file) for one in own]
        values = [
            np.nan
            if "diverged" in record
            else metric_of(search.metric, read_frame(one.task.scores_file, None))
            for one, record in zip(own, records, strict=True)
        ]
        se = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
        rows.append(
            {
                "variant": task.variant,
                "repeat": task.repeat,
                "fold": task.fold,
                "setting": number,
                **{key: value_words(value) for key, value in own[0].setting.items()},
                "metric": search.metric,
                **(
                    {f"inner_{k}": round(value, _DIGITS) for k, value in enumerate(values)}
                    if search.fit == "train_fold"
                    else {}
                ),
                "mean": float(np.mean(values)),
                "se": round(se, _DIGITS),
                "epochs": float(np.mean([record["epochs"] for record in records])),
                "seconds": round(sum(float(record["seconds"]) for record in records), 1),
            }
        )
    return pd.DataFrame(rows)


def searched(tasks: Sequence[FoldTask], train: Callable[[FoldTask], Any]) -> list[FoldTask]:
    """Do the searches of some folds one network after the other, and give the folds settled.

    Parameters
    ----------
    tasks
        Folds of any variants; those without a search are given as they are. What they begin with
        is settled too.
    train
        Trains and scores a network.
    """
    done = [
        replace(
            task,
            first=None if task.first is None else searched([task.first], train)[0],
            starts=tuple(searched(task.starts, train)) if search_of(task) else task.starts,
        )
        for task in tasks
    ]
    for variant in dict.fromkeys(task.variant for task in done if search_of(task)):
        places = [k for k, task in enumerate(done) if task.variant == variant]
        own = [done[k] for k in places]
        tried = [trials(task) for task in own]
        every = [trial.task for group in tried for trial in group]
        for one in every:
            train(one)
        forget(one.first for one in every if one.first is not None)
        for place, task in zip(places, settled(own, tried)[0], strict=True):
            done[place] = task
    return done


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
