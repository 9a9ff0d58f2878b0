"""Networks trained on disjoint halves of a fold's people, on true and on shuffled outcomes."""

from pathlib import Path

import numpy as np

from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.training.columns import LEARNING
from bidsapp.training.permute_outcomes import shuffled_outcomes
from bidsapp.training.splits import into_folds, units_of
from bidsapp.training.stages import with_people
from bidsapp.training.task import FoldTask

FEWEST = 2  # of each class in a half


def half_task(task: FoldTask, folder: Path, half: int, shuffle: int) -> FoldTask:
    """Make the task of training on one half of a fold's people.

    The halves have no group in common and are alike in outcome; neither holds the people whom the
    fold holds out, so that those are explained by networks that have not seen them. Each network
    draws weights and order of its own: what is alike in the maps of two halves owes nothing to
    common people, weights or chance.

    Parameters
    ----------
    task
        The fold as it was trained.
    folder
        Where the cohort table, the splits and the results go.
    half
        0 or 1.
    shuffle
        0 for the true outcomes; from 1 on the number of a permutation of them within the half.
        Participants with as many scans exchange their outcomes whole, across groups, so that
        nothing is left to learn but a person's scans stay together.
    """
    cohort = read_frame(task.cohort)
    mine = members(task)[half]
    if shuffle:
        rng = np.random.default_rng([task.recipe.training.seed, *task.seeds[1:], half, shuffle])
        here = cohort["participant_id"].isin(mine)
        cohort.loc[here, "outcome"] = shuffled_outcomes(cohort[here], False, rng).astype(str)
    people = task.table.drop_duplicates("participant_id")
    kept = people["participant_id"].isin(mine) | (people["role"] == "test")
    place = 2 * shuffle + half
    splits = people.loc[kept, ["participant_id", "role"]].assign(repeat=task.repeat, fold=place)
    write_table(folder / "cohort.tsv", cohort)
    write_table(folder / "splits.tsv", splits)
    return with_people(
        task,
        repeat=task.repeat,
        fold=place,
        folder=folder,
        cohort=folder / "cohort.tsv",
        splits=folder / "splits.tsv",
        first_folder=lambda first: folder / f"start-{first.variant}",
    )


def members(task: FoldTask) -> tuple[list[str], list[str]]:
    """Divide the people whom a fold learns from into two halves, by groups and outcome."""
    table = task.table[task.table["role"].isin(LEARNING)]
    grouped = task.recipe.protocol.groups is not None
    if grouped:
        cohort = read_frame(task.cohort)
        group = cohort.drop_duplicates("participant_id").set_index("participant_id")["group"]
        table = table.assign(group=table["participant_id"].map(group))
    units = units_of(table, grouped)
    rng = np.random.default_rng([task.recipe.training.seed, *task.seeds[1:]])
    half = into_folds(units.counts, 2, rng, stratified=True)
    first, second = (units.people(np.flatnonzero(half == side)) for side in (0, 1))
    return first, second


def can_be_halved(task: FoldTask) -> bool:
    """Tell whether each half of a fold's people has `FEWEST` of each class."""
    positive = task.table.groupby("participant_id")["outcome"].max()
    counts = [positive[half].value_counts() for half in members(task)]
    return all(count.get(value, 0) >= FEWEST for count in counts for value in (0, 1))
