"""Inner cross-fitting: networks by which a fold's training people are scored without a leak."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bidsapp.contracts.unit import with_part
from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.execution.failures import find_failure
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe
from bidsapp.recipes.learning import Protocol
from bidsapp.training.columns import LEARNING, SCORES, SPLITS
from bidsapp.training.inner_folds import Division
from bidsapp.training.inner_run import score_inner
from bidsapp.training.permuted import expected_time
from bidsapp.training.run import TrainingRun, check_steps
from bidsapp.training.same_network import alike, trained_by
from bidsapp.training.stages import with_people
from bidsapp.training.task import FoldTask

SCORES_FILE, SPLITS_FILE = "crossfit_scores.tsv", "crossfit_splits.tsv"
_COLUMNS = ("variant", "repeat", "fold", "inner", "participant_id", "role")


def crossfitted(recipe: Recipe, variants: Sequence[str]) -> tuple[str, ...]:
    """Name the variants whose training people need scores of networks that did not see them."""
    plan = recipe.evaluation
    joined = {name for members in plan.stack.values() for name in members}
    return tuple(name for name in variants if plan.clinical or name in joined)


def crossfit_splits(
    recipe: Recipe, variants: Sequence[str], cohort: pd.DataFrame, splits: pd.DataFrame
) -> pd.DataFrame:
    """Divide the training people of every fold into inner folds.

    The inner networks of a fold are trained as its own network is: where that has people to
    validate on, so have they, as large a share, drawn from their own training people. Groups stay
    together, and nobody whom the fold tests is in any part. The same cohort, splits and seed give
    the same inner folds.

    Parameters
    ----------
    recipe
        Of the run.
    variants
        Those that are scored.
    cohort
        The cohort table.
    splits
        As `training.run_splits` gives them.

    Returns
    -------
    pandas.DataFrame
        Columns variant, repeat, fold, inner, participant_id, role: ``test`` for whoever is scored
        by that inner network.

    Raises
    ------
    UsageError
        A training fold has fewer people, or groups, of a class than inner folds; the message names
        ``evaluation.stacking_folds``.
    """
    wanted = crossfitted(recipe, variants)
    grouped = recipe.binds(variants)
    division = Division(
        "evaluation.stacking_folds",
        "leave evaluation.clinical out",
        recipe.evaluation.stacking_folds,
    )
    rows: list[tuple[Any, ...]] = []
    for name in wanted:
        own = splits[splits["variant"] == name] if "variant" in splits else splits
        one = recipe.with_variant(name)
        for repeat, fold in own[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
            here = own[(own["repeat"] == repeat) & (own["fold"] == fold)]
            learned = here[here["role"].isin(LEARNING)]
            share = float((learned["role"] == "validation").mean())
            people = cohort[cohort["participant_id"].isin(learned["participant_id"])]
            seeds = (one.protocol.seed, int(repeat), int(fold), 2)
            where = f"repeat {repeat}, fold {fold}"
            roles = division.roles(people, grouped, share, seeds, where)
            rows += [(name, int(repeat), int(fold), k, person, role) for k, role, person in roles]
            parts = pd.DataFrame(roles, columns=pd.Index(["fold", "role", "participant_id"]))
            where = f"evaluation.stacking_folds: {where}, inner fold"
            check_steps(one, cohort, parts.assign(repeat=0), where)
    table = pd.DataFrame(rows, columns=pd.Index(_COLUMNS))
    return table.sort_values(list(_COLUMNS[:5]), ignore_index=True)


def crossfit_tasks(
    training: TrainingRun, tasks: Sequence[FoldTask], inner: pd.DataFrame
) -> list[FoldTask]:
    """List the inner networks of every fold, and write the splits that each of them reads.

    Parameters
    ----------
    training, tasks
        The run and its folds.
    inner
        As `crossfit_splits` gives them.
    """
    by_place = {(task.variant, task.repeat, task.fold): task for task in tasks}
    found = []
    keys = inner[list(_COLUMNS[:4])].drop_duplicates()
    for name, repeat, fold, number in keys.itertuples(index=False):
        rows = inner[(inner[list(_COLUMNS[:4])] == [name, repeat, fold, number]).all(axis=1)]
        task = by_place.get((name, repeat, fold))
        if task is None:  # its variant is not whole
            continue
        place = training.folder / "inner" / f"inner-{number}"
        own = place / "folds" / name / f"repeat-{repeat}_fold-{fold}"
        splits = own / "splits.tsv"
        write_table(splits, rows[list(SPLITS)])

        def first_folder(first: FoldTask, place: Path = place, name: str = name) -> Path:
            at = f"repeat-{first.repeat}_fold-{first.fold}"
            return place / "stages" / name / first.variant / at

        found.append(
            with_people(
                task,
                repeat=repeat,
                fold=fold,
                inner=number,
                folder=own,
                cohort=task.cohort,
                splits=splits,
                first_folder=first_folder,
                pool=place / "folds",
            )
        )
    return found


def planned_folds(protocol: Protocol, groups: int = 0) -> int:
    """Foretell how many networks a protocol trains; 0 where groups decide that are not known."""
    times = (protocol.repeats or 1) * (protocol.inner.folds or 1)
    if protocol.kind in ("holdout", "temporal"):
        return times
    return times * (groups if protocol.kind == "leave_one_group_out" else (protocol.folds or 8))


def crossfit_cost(recipe: Recipe, variants: Sequence[str], trained: Sequence[str]) -> str:
    """Say how many networks the added value takes beside the run's own; empty where none.

    Parameters
    ----------
    recipe, variants
        Of the run.
    trained
        The variant of every network that the run trains anyway.
    """
    wanted = crossfitted(recipe, variants)
    if not wanted:
        return ""
    inner = recipe.evaluation.stacking_folds
    wanted = tuple(name for name in wanted if name not in alike(recipe, wanted))
    own = sum(trained.count(name) for name in wanted)
    return (
        f"Added value: {own * inner} networks more, {inner} inner folds for each of the {own} of "
        f"{', '.join(wanted)}; together about {inner - 1} times as much training as these."
    )


def crossfit(
    training: TrainingRun,
    tasks: Sequence[FoldTask],
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    options: RunOptions,
    folder: Path,
) -> dict[str, tuple[str, int]]:
    """Score every fold's training people by networks that did not see them.

    Writes ``crossfit_scores.tsv`` and ``crossfit_splits.tsv`` into the run's folder. What is
    scored already is kept, so that a killed run goes on where it was; a network is removed when
    its people are scored.

    Parameters
    ----------
    training, tasks
        The run and its trained folds.
    cohort, splits
        The tables of the run.
    options
        How to run.
    folder
        Of the run.

    Returns
    -------
    dict
        Variants that are not whole -> reason and exit code; they have no rows in the files.
    """
    for name in (SCORES_FILE, SPLITS_FILE):
        (folder / name).unlink(missing_ok=True)
    inner = crossfit_splits(training.recipe, training.variants, cohort, splits)
    steps = crossfit_tasks(training, tasks, inner)
    if not steps:
        return {}
    again = trained_by(steps)
    waiting = sum(not task.is_scored for k, task in enumerate(steps) if k not in again)
    print(
        f"Added value: {len(steps) - len(again)} inner networks, {waiting} to train"
        f"{expected_time(tasks, waiting, options.nprocs)}.",
        flush=True,
    )
    by_name = {_node_name(task): task for task in steps}
    after = {_node_name(steps[k]): _node_name(other) for k, other in again.items()}
    error = score_inner(training, "crossfit", by_name, options, folder, after)
    failed: dict[str, tuple[str, int]] = {}
    for task in steps:
        if not task.is_scored:
            failure = find_failure(training.folder / "crossfit" / _node_name(task), error)
            failed.setdefault(task.variant, (f"{task.label}: {failure.message}", failure.exit_code))
    whole = [task for task in steps if task.variant not in failed]
    if whole:
        tables = [
            read_frame(task.scores_file, None).assign(inner=task.inner, variant=task.variant)
            for task in whole
        ]
        scores = pd.concat(tables, ignore_index=True)
        columns = with_part(SCORES, scores)
        columns.insert(columns.index("fold") + 1, "inner")
        write_table(folder / SCORES_FILE, scores[columns])
        there = inner[~inner["variant"].isin(list(failed))]
        write_table(folder / SPLITS_FILE, there)
    return failed


def _node_name(task: FoldTask) -> str:
    variant = "".join(c if c.isalnum() else "_" for c in task.variant)
    return f"{variant}_r{task.repeat}_f{task.fold}_i{task.inner}"
