"""The searches of a run: said beforehand, trained side by side, settled, and kept as a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.drawing.wording import many
from bidsapp.errors import UsageError
from bidsapp.execution.failures import find_failure
from bidsapp.options import RunOptions
from bidsapp.recipes import Recipe
from bidsapp.recipes.search import METRICS
from bidsapp.recipes.search_settings import first_stages, networks
from bidsapp.training.crossfit import planned_folds
from bidsapp.training.fold_tables import stamped
from bidsapp.training.inner_run import score_inner
from bidsapp.training.passing import forget
from bidsapp.training.permuted import expected_time
from bidsapp.training.run import TrainingRun
from bidsapp.training.same_network import alike, take_scores
from bidsapp.training.search import TABLE, Trial, search_of, trials
from bidsapp.training.search_choice import settled
from bidsapp.training.task import FoldTask

Failed = dict[str, tuple[str, int]]
"""Variants that are not whole, with reason and exit code."""


def search_cost(recipe: Recipe, variants: Sequence[str], groups: int = 0) -> str:
    """Say how many networks the searches of a run take; empty where there is none.

    Parameters
    ----------
    recipe
        Of the run.
    variants
        All that is trained.
    groups
        How many groups there are, where they are left out in turn.
    """
    sentences = []
    twins = alike(recipe, variants)
    for name in variants:
        one = recipe.with_variant(name)
        search = one.training.search
        if search is None:
            continue
        if name in twins:
            sentences.append(f"{name}: the networks of {twins[name]}")
            continue
        folds, parts = planned_folds(one.protocol, groups), search.parts
        begun, times = first_stages(one), folds * networks(one)
        drawn = f" of {search.size}" if search.count < search.size else ""
        tried = f"{search.count}{drawn} settings"
        if begun:
            tried = f"({tried} + {many(begun, 'first stage')})"
        last = "1" if not begun else "2"
        where = f"{many(parts, 'inner fold')} + {last}"
        if search.fit == "dataset":
            where = f"the fold itself + {last}"
        most = "at most " * bool(begun)
        sentences.append(
            f"{name}: {many(folds, 'fold')} × ({tried} × {where}) = {most}{many(times, 'network')}"
        )
    if not sentences:
        return ""
    permuted = recipe.evaluation.pipeline_permutations
    again = f" Each of the {permuted} permuted pipelines takes as many again." if permuted else ""
    return f"Search: {'; '.join(sentences)}, compared by {_metrics(recipe, variants)}.{again}"


def _metrics(recipe: Recipe, variants: Sequence[str]) -> str:
    found = [recipe.with_variant(name).training.search for name in variants]
    return " or ".join(dict.fromkeys(METRICS[one.metric] for one in found if one is not None))


def search_settings(
    training: TrainingRun, tasks: Sequence[FoldTask], options: RunOptions, folder: Path
) -> tuple[list[FoldTask], Failed]:
    """Search for every fold of the variants that ask for it, and write what was tried.

    Writes ``search.tsv`` into the run's folder. Each inner network that is scored already is
    kept, so that a killed run goes on where it was.

    Parameters
    ----------
    training, tasks
        The run and its folds, those of stages first.
    options
        How to run.
    folder
        Of the run.

    Returns
    -------
    tasks
        The folds with the settings that were chosen; those of variants that are not whole are
        left out.
    failed
        These variants, with reason and exit code.
    """
    (folder / TABLE).unlink(missing_ok=True)
    done: dict[str, list[FoldTask]] = {}
    failed: Failed = {}
    tables = []
    for name in sorted({task.variant for task in tasks}, key=_depth_in(tasks)):
        own = [_with_settled_first(t, done) for t in tasks if t.variant == name]
        begun = {one.variant for task in own for one in (task.first, *task.starts) if one}
        if lacking := begun & set(failed):
            failed[name] = failed[min(lacking)]
        elif search_of(own[0]) is None:
            done[name] = own
        else:
            settled_ones, table, reason = _search(training, own, options, folder)
            if reason is not None:
                failed[name] = reason
            else:
                done[name] = settled_ones
                tables.append(table)
    if tables:
        write_table(folder / TABLE, stamped(_in_columns(tables), training.recipe))
    places = {(t.variant, t.repeat, t.fold): t for group in done.values() for t in group}
    kept = [places.get((task.variant, task.repeat, task.fold)) for task in tasks]
    there = [task for task in kept if task is not None]
    # of what settings could have begun with, only what some did is trained
    needed = {one.record_file for t in there if t.variant in training.variants for one in t.chain()}
    return [task for task in there if task.record_file in needed], failed


def _depth_in(tasks: Sequence[FoldTask]) -> Callable[[str], tuple[int, int]]:
    """Give a key that puts a variant behind those that it begins with, in the order of the run."""
    names = list(dict.fromkeys(task.variant for task in tasks))

    def depth_of(task: FoldTask) -> int:
        return 1 + max((depth_of(one) for one in (task.first, *task.starts) if one), default=0)

    depth = {task.variant: depth_of(task) for task in tasks}
    return lambda name: (depth[name], names.index(name))


def _with_settled_first(task: FoldTask, done: Mapping[str, Sequence[FoldTask]]) -> FoldTask:
    def ready(one: FoldTask) -> FoldTask:
        group = done.get(one.variant, ())
        return next((t for t in group if (t.repeat, t.fold) == (one.repeat, one.fold)), one)

    first = None if task.first is None else ready(task.first)
    return replace(task, first=first, starts=tuple(map(ready, task.starts)))


def _search(
    training: TrainingRun, tasks: Sequence[FoldTask], options: RunOptions, folder: Path
) -> tuple[list[FoldTask], pd.DataFrame, tuple[str, int] | None]:
    """Train the networks of one variant's search, and settle its folds; or say why not."""
    tried = [trials(task) for task in tasks]
    every = {one.node_name: one for own in tried for one in own}
    name = "".join(c if c.isalnum() else "_" for c in tasks[0].variant)
    for one in every.values():
        if one.task.first is None and not one.task.is_scored:  # else known when that is trained
            take_scores(one.task)
    scored = [one.task for one in every.values() if one.task.is_scored]
    waiting = len(every) - len(scored)
    took = ""
    if scored and waiting:
        took = expected_time(scored, waiting, options.nprocs, "those that are trained")
    print(
        f"Search of {tasks[0].variant}: {len(every)} networks, {waiting} to train{took}.",
        flush=True,
    )
    by_node = {node: one.task for node, one in every.items()}
    error = score_inner(
        *(training, f"search_{name}", by_node, options, folder),
        _after(by_node),
        trials=True,
    )
    forget(task.first for task in by_node.values() if task.first is not None)
    for node, one in every.items():
        if not one.task.is_scored:
            found = find_failure(training.folder / f"search_{name}" / node, error)
            return [], pd.DataFrame(), (_reason(one, found.message), found.exit_code)
    try:
        return *settled(tasks, tried), None
    except UsageError as error:
        return [], pd.DataFrame(), (str(error), error.exit_code)


def _after(tasks: Mapping[str, FoldTask]) -> dict[str, str]:
    """Let networks that begin with the same wait for the first of them, which trains it."""
    leaders: dict[Path, str] = {}
    found = {}
    for node, task in tasks.items():
        if task.first is None or task.is_scored:
            continue
        leader = leaders.setdefault(task.first.record_file, node)
        if leader != node:
            found[node] = leader
    return found


def _reason(one: Trial, message: str) -> str:
    return f"{one.task.label}: {message}"


def _in_columns(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of several variants together: settings first, then what they scored."""
    table = pd.concat(tables, ignore_index=True)
    head, tail = ["variant", "repeat", "fold", "setting"], ["mean", "se", "epochs", "seconds"]
    inner = [name for name in table.columns if name.startswith("inner_")]
    keys = [name for name in table.columns if "." in name]
    return table[[*head, *keys, "metric", *inner, *tail, "chosen"]]
