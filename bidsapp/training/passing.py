"""Networks that are trained for the scores of whom they hold out, and not kept."""

from collections.abc import Iterable

import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.sealed import write_record
from bidsapp.training.columns import SCORES
from bidsapp.training.same_network import take_scores
from bidsapp.training.task import FoldTask


def score_and_forget(task: FoldTask, *, trial: bool = False) -> None:
    """Train a network for the scores of the people whom it holds out, and keep nothing but them.

    Where another variant's is the same network, its scores are taken over.

    Parameters
    ----------
    task
        The network.
    trial
        Whether it is one of a search: what it begins with is kept, for others that begin with the
        same, and a loss that is no longer finite is noted in its record and no failure.
    """
    from bidsapp.training.fold import score_fold, train_fold
    from bidsapp.training.loop import Diverged

    if not task.is_scored:
        task.scores_file.unlink(missing_ok=True)  # of other people or settings
        try:
            if task.first is not None:  # its weights are part of what this network is
                train_fold(task.first)
            if not take_scores(task):
                train_fold(task)
                score_fold(task)
        except Diverged as error:
            if not trial:
                raise
            note_diverged(task, str(error))
    forget([task] if trial else task.chain())


def forget(tasks: Iterable[FoldTask]) -> None:
    """Remove the networks of some tasks."""
    for one in tasks:
        one.model_file.unlink(missing_ok=True)
        one.fitted_file.unlink(missing_ok=True)


def note_diverged(task: FoldTask, why: str) -> None:
    """Note in the record of an inner network that its loss was no longer finite."""
    record = {
        "fingerprint": task.fingerprint,
        "network_fingerprint": task.network_fingerprint,
        "variant": task.variant,
        "model_sha256": "",
        "diverged": why,
        "epochs": 0,
        "seconds": 0.0,
    }
    write_table(task.scores_file, pd.DataFrame(columns=pd.Index(SCORES)))
    write_record(task.record_file, record, [task.scores_file])
