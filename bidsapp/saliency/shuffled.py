"""A fold trained anew on outcomes that were dealt out at random among its training people."""

from csv import QUOTE_NONE
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.training.exchange import shuffled_outcomes
from bidsapp.training.task import FoldTask


def shuffled_task(task: FoldTask, folder: Path, seed: int) -> FoldTask:
    """Make the task of a fold whose training outcomes are permuted.

    Participants with the same number of scans exchange their outcomes whole, across groups, so
    that nothing is left to learn but a person's scans stay together; the held-out people keep
    theirs.

    Parameters
    ----------
    task
        The fold as it was trained.
    folder
        Where the shuffled cohort table and the results go.
    seed
        Of the permutation.
    """
    table = pd.read_csv(task.cohort, sep="\t", dtype=str, keep_default_na=False, quoting=QUOTE_NONE)
    learning = task.table.loc[task.table["role"].isin(["train", "validation"]), "participant_id"]
    mine = table["participant_id"].isin(set(learning))
    rng = np.random.default_rng([seed, task.repeat, task.fold])
    table.loc[mine, "outcome"] = shuffled_outcomes(table[mine], False, rng).astype(str)
    path = folder / "cohort.tsv"
    write_table(path, table)
    return replace(task, cohort=path, folder=folder)
