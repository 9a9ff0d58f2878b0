"""Networks that several variants share: trained once where only what is made of them differs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bidsapp.derivatives.atomic import atomic_path, link_or_copy
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.training.task import FoldTask


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
    there = f"*/{task.folder.name}/{task.record_file.name}"
    for other in sorted(task.pool.glob(there)) if task.pool else ():
        if other == task.record_file:
            continue
        record = read_record(other, names)
        if not record or record.get("network_fingerprint") != task.network_fingerprint:
            continue
        for name in names:
            with atomic_path(task.folder / name) as temporary:
                temporary.unlink()
                link_or_copy(other.with_name(name), temporary)
        own = {
            "fingerprint": task.fingerprint,
            "variant": task.variant,
            "network_of": record.get("network_of", record["variant"]),
            **({"setting": dict(task.setting)} if task.setting else {}),
        }
        record.pop("setting", None)  # of the other's search
        write_record(task.record_file, record | own, [task.folder / name for name in names])
        return record | own
    return {}
