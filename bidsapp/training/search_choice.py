"""The choice of a setting for each fold, by what the inner networks of its search scored."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import read_frame
from bidsapp.drawing.wording import many
from bidsapp.errors import UsageError
from bidsapp.intake.json_text import read_own_json
from bidsapp.recipes.search import HIGHER, Search, value_words
from bidsapp.training.passing import forget
from bidsapp.training.search import Trial, at, search_of, trials
from bidsapp.training.search_metric import metric_of
from bidsapp.training.task import FoldTask

_DIGITS = 6
_ALIKE = 10
"""Decimals to which means are compared: what differs beyond them is no difference."""


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
        In some fold no setting could be judged; the message says what its networks came to.
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
    for place, row in enumerate(known):
        if np.isinf(row).all():
            groups = tried if search.fit == "dataset" else tried[place : place + 1]
            raise UsageError(f"{tasks[place].label}: {_why_none(groups, search)}")
    chosen = known.round(_ALIKE).argmax(axis=1)
    done = []
    for task, table, best in zip(tasks, tables, chosen, strict=True):
        table["chosen"] = ["true" if k == best else "false" for k in range(len(table))]
        done.append(at(task, search.settings[best]))
    return done, pd.concat(tables, ignore_index=True)


def _why_none(tried: Sequence[Sequence[Trial]], search: Search) -> str:
    """Say why no setting could be judged: what became of the networks of some folds' searches."""
    diverged, alike, unknown = [], 0, 0
    every = [one for group in tried for one in group]
    for one in every:
        record, scores = read_own_json(one.task.record_file), read_frame(one.task.scores_file, None)
        if "diverged" in record:
            diverged.append(f"{one.task.label}: {record['diverged']}")
        elif np.isnan(metric_of(search.metric, scores)):
            lone = search.metric == "auc" and scores["outcome"].nunique() < 2
            alike, unknown = alike + lone, unknown + (not lone)
    told = []
    if diverged:
        told.append(
            f"the loss of {len(diverged)} was no longer finite ({diverged[0]}): take lower rates "
            "(training.lr), or training.precision: float32"
        )
    if alike:
        told.append(
            f"{alike} held out people of one class, of whom there is no AUC: take "
            "training.search.metric: log_loss or brier, or fewer folds"
        )
    if unknown:
        told.append(
            f"{unknown} gave probabilities that are not finite: take training.precision: float32"
        )
    networks = many(len(every), "network")
    return f"no setting of training.search could be judged. Of {networks}, {'; '.join(told)}."


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
        is settled too, all folds of a variant together, as a run does.
    train
        Trains and scores a network.
    """
    begun = {one.record_file: one for task in tasks for one in _begun(task)}
    ready = dict(zip(begun, searched([*begun.values()], train), strict=True)) if begun else {}
    done = [
        replace(
            task,
            first=None if task.first is None else ready[task.first.record_file],
            starts=tuple(ready.get(one.record_file, one) for one in task.starts),
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


def _begun(task: FoldTask) -> list[FoldTask]:
    """List what a fold begins with, or settings of its search do."""
    first = [] if task.first is None else [task.first]
    return [*first, *(task.starts if search_of(task) else ())]
