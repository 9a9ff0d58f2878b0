"""Networks that several variants share: trained once where only what is made of them differs."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.derivatives.atomic import atomic_path, link_or_copy
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.recipes.schema import Recipe
from bidsapp.training.task import FoldTask

_SHAPING = (
    *("inputs", "outcome", "preparation", "representation"),
    *("network", "training", "protocol"),
)
"""Sections of a recipe on which weights depend."""


def trained_by(tasks: Sequence[FoldTask]) -> dict[int, FoldTask]:
    """Find the folds whose network is trained for another variant's fold already.

    Parameters
    ----------
    tasks
        All folds of all variants, in the order in which they are trained.

    Returns
    -------
    dict
        Place of a fold in `tasks` to the first fold with the same network.
    """
    first: dict[str, FoldTask] = {}
    found = {}
    for place, task in enumerate(tasks):
        if task.pool is None:
            continue
        other = first.setdefault(task.network_fingerprint, task)
        if other is not task:
            found[place] = other
    return found


def shared_words(tasks: Sequence[FoldTask]) -> str:
    """Say which variants share their networks with which; empty where none do.

    Where settings are searched for, two variants may come to the same one in some folds.
    """
    found = [(tasks[place], other) for place, other in trained_by(tasks).items()]
    pairs: dict[str, str] = {}
    some: dict[tuple[str, str], int] = {}
    for task, other in found:
        if task.setting is None and other.setting is None:
            pairs[task.variant] = other.variant
        else:
            names = (task.variant, other.variant)
            some[names] = some.get(names, 0) + 1
    told = [
        f"{' and '.join(mine)} differ{'s' if len(mine) == 1 else ''} from {other} only in what is "
        "made of the networks, which are trained once"
        for other in dict.fromkeys(pairs.values())
        if (mine := [name for name, whose in pairs.items() if whose == other])
    ]
    count = Counter(task.variant for task in tasks)
    told += [
        f"{times} of {count[name]} networks of {name} are those of {other}, as settings agree there"
        for (name, other), times in some.items()
    ]
    return "; ".join(told)


def take_over(task: FoldTask, files: Iterable[Path]) -> dict[str, Any]:
    """Take over the network that another variant of the run trained for the same fold, if one did.

    Parameters
    ----------
    task
        The fold, which is not trained.
    files
        What a trained fold keeps beside its record, in the task's folder.

    Returns
    -------
    dict
        The record as it was written; empty where nobody trained this network.
    """
    names = [file.name for file in files]
    for other, record in _twins(task, names):
        for name in names:
            with atomic_path(task.folder / name) as temporary:
                temporary.unlink()
                link_or_copy(other.with_name(name), temporary)
        return _as_own(task, record, names)
    return {}


def take_scores(task: FoldTask) -> dict[str, Any]:
    """Take over the scores of a network that another variant trained for the same people.

    As `take_over`, for networks of which nothing but scores is kept.
    """
    for other, record in _twins(task, [task.scores_file.name]):
        scores = read_frame(other.with_name(task.scores_file.name), None)
        write_table(task.scores_file, scores.assign(variant=task.variant))
        return _as_own(task, record, [task.scores_file.name])
    return {}


def _twins(task: FoldTask, names: Sequence[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Find records of the same network in other variants' folders, the named files beside it."""
    if task.pool is None or not task.record_file.is_relative_to(task.pool):
        return
    _, *place = task.record_file.relative_to(task.pool).parts
    for other in sorted(task.pool.glob("/".join(["*", *place]))):
        record = {} if other == task.record_file else read_record(other, names)
        if record and record.get("network_fingerprint") == task.network_fingerprint:
            yield other, record


def _as_own(task: FoldTask, record: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Write the record of another variant's network as that of a task."""
    own = {
        "fingerprint": task.fingerprint,
        "variant": task.variant,
        "network_of": record.get("network_of", record["variant"]),
        **({"setting": dict(task.setting)} if task.setting else {}),
    }
    record.pop("setting", None)  # of the other's search
    write_record(task.record_file, record | own, [task.folder / name for name in names])
    return record | own


def alike(recipe: Recipe, variants: Sequence[str]) -> dict[str, str]:
    """Name the variants whose networks are those of another, by what the recipe says of them.

    Returns
    -------
    dict
        Variant to the first of `variants` with the same networks.
    """
    first: dict[str, str] = {}
    found = {}
    for name in variants:
        one = recipe.with_variant(name)
        told = json.dumps([getattr(one, section).plain() for section in _SHAPING], default=str)
        if first.setdefault(told, name) != name:
            found[name] = first[told]
    return found
