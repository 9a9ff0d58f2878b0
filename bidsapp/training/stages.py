"""Training in stages: a variant's folds that begin with the same folds of another variant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bidsapp.contracts.unit import units_in
from bidsapp.dataset.tables import write_table
from bidsapp.errors import UsageError
from bidsapp.recipes import Recipe
from bidsapp.recipes.start import named_variant
from bidsapp.training.columns import LEARNING, ROLES, SPLITS
from bidsapp.training.task import FoldTask, read_rows

Outcomes = Mapping[tuple[str, ...], int | None]
"""Participant and session (empty where there is none), and the part where scans have them, to 0,
1 or None where it is not known."""


def linked(tasks: Sequence[FoldTask]) -> list[FoldTask]:
    """Let every fold know the fold that its network begins with, at any remove.

    Parameters
    ----------
    tasks
        All folds of all variants and stages, in any order.
    """
    by_place = {(task.variant, task.repeat, task.fold): task for task in tasks}

    def link(task: FoldTask) -> FoldTask:
        name, search = named_variant(task.recipe), task.recipe.training.search
        if search is not None:
            begun = dict.fromkeys([*search.begun_with, *([name] if name else [])])
            ready = tuple(link(by_place[one, task.repeat, task.fold]) for one in begun)
            task = replace(task, starts=ready)
        if name is None:
            return task
        return replace(task, first=link(by_place[name, task.repeat, task.fold]))

    return [link(task) for task in tasks]


def dependent_of(recipe: Recipe, stage: str, variants: Sequence[str]) -> str:
    """Name one of the variants that begin with a stage, whose splits are the stage's too."""
    return next(name for name in variants if stage in recipe.stages([name]))


def stage_files(
    folder: Path, cohort: Path, splits: pd.DataFrame, outcomes: Outcomes | None
) -> tuple[Path, Path]:
    """Write the tables of a stage: its outcomes, and the splits of the variant that needs it.

    Parameters
    ----------
    folder
        Of the stage.
    cohort
        The file ``cohort.tsv``.
    splits
        Columns repeat, fold, participant_id, role.
    outcomes
        What the stage itself predicts; None where that is the run's outcome.

    Returns
    -------
    cohort, splits
        The files; who has no outcome there has no part in the splits.

    Raises
    ------
    UsageError
        A fold would learn from scans of one class only.
    """
    files = (cohort, folder / "splits.tsv")
    if outcomes is not None:
        table = with_outcomes(read_rows(cohort), outcomes)
        splits = known(splits, table)
        _require_both(splits, table, folder.name)
        files = (folder / "cohort.tsv", files[1])
        write_table(files[0], table)
    write_table(files[1], splits[list(SPLITS)])
    return files


def with_outcomes(cohort: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    """Give the cohort table with the outcomes of a stage, missing where they are not known."""
    keys = [unit.key for unit in units_in(cohort)]
    return cohort.assign(outcome=pd.array([outcomes.get(key) for key in keys], dtype="Int64"))


def known(splits: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Leave people out of splits of whom some scan has no outcome."""
    lacking = set(table.loc[table["outcome"].isna(), "participant_id"])
    return splits[~splits["participant_id"].isin(lacking)]


def _require_both(splits: pd.DataFrame, table: pd.DataFrame, stage: str) -> None:
    # scans, not people: one person's visits may be of both classes, as baseline and follow-up
    learned = splits[splits["role"].isin(LEARNING)]
    for (repeat, fold), rows in learned.groupby(["repeat", "fold"]):
        scans = table[table["participant_id"].isin(rows["participant_id"])]
        if scans["outcome"].nunique() < 2:
            raise UsageError(
                f"variant {stage}: repeat {repeat}, fold {fold} would learn from scans of one "
                "class only. Check its outcome."
            )


def with_people(
    task: FoldTask,
    *,
    repeat: int,
    fold: int,
    folder: Path,
    cohort: Path,
    splits: Path,
    first_folder: Callable[[FoldTask], Path],
    inner: int | None = None,
    pool: Path | None = None,
) -> FoldTask:
    """Give a task, and those that it begins with, another cohort table and other splits.

    Parameters
    ----------
    task
        The fold as it was planned.
    repeat, fold, folder, cohort, splits
        Of the new task.
    first_folder
        Gives the folder of a task that it begins with. Its people are those of the new task; an
        outcome of its own stays as it is.
    inner
        Number of the inner fold, where the people are part of a fold's training people.
    pool
        Folder of all variants' folders, where the new task lies in one; see `FoldTask`.
    """
    moved = replace(
        task,
        repeat=repeat,
        fold=fold,
        folder=folder,
        cohort=cohort,
        splits=splits,
        first=None,
        starts=(),
        inner=inner,
        pool=pool,
    )

    def begun(first: FoldTask) -> FoldTask:
        place = first_folder(first)
        own = cohort if first.cohort == task.cohort else first.cohort
        roles = moved.table.loc[moved.table["role"].isin(ROLES)].drop_duplicates("participant_id")
        people = roles[["participant_id", "role"]].assign(repeat=repeat, fold=fold)
        if own != cohort:
            outcomes = read_rows(own)
            there = outcomes["outcome"].isin(["0", "1"])
            people = known(people, outcomes.assign(outcome=outcomes["outcome"].where(there)))
        write_table(place / "splits.tsv", people[list(SPLITS)])
        return with_people(
            first,
            repeat=repeat,
            fold=fold,
            folder=place,
            cohort=own,
            splits=place / "splits.tsv",
            first_folder=first_folder,
            inner=inner,
            pool=pool,
        )

    return replace(
        moved,
        first=None if task.first is None else begun(task.first),
        starts=tuple(begun(one) for one in task.starts if task.recipe.training.search),
    )
