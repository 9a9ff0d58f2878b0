"""Inner networks of a run, trained side by side for the scores of whom they hold out."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bidsapp.execution.failures import forget_failures
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.execution.status import StatusLine
from bidsapp.options import RunOptions
from bidsapp.training.fold_memory import fold_memory
from bidsapp.training.fold_node import WORKERS_IMPORT
from bidsapp.training.run import TrainingRun
from bidsapp.training.task import FoldTask


def score_inner(
    training: TrainingRun,
    name: str,
    tasks: Mapping[str, FoldTask],
    options: RunOptions,
    folder: Path,
    after: Mapping[str, str] = MappingProxyType({}),
    *,
    trials: bool = False,
) -> str:
    """Train and score inner networks; what is scored already is kept, the networks are not.

    Parameters
    ----------
    training
        The run.
    name
        Of the workflow, and of the folder of its nodes.
    tasks
        Name of the node to its network.
    options
        How to run.
    folder
        Of the run.
    after
        Name of a node to that of one that trains what both begin with.
    trials
        Whether they are those of a search: what they begin with is kept, and one whose loss is no
        longer finite has not failed.

    Returns
    -------
    str
        What the plugin said where it could not run anything; empty where nodes ran.
    """
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.training.fold_node import CrossFit, fold_inputs

    forget_failures(training.folder / name)
    waiting = {node: task for node, task in tasks.items() if not task.is_scored}
    if not waiting:
        return ""
    running = Running.of(options, folder / "logs")
    configure(running)
    steps = {
        node: CrossFit(trial=trials, **fold_inputs(training.recipe_of_nodes, task))
        for node, task in waiting.items()
    }
    memory = fold_memory(list(waiting.values()), options.mem_gb)
    first = {node: leader for node, leader in after.items() if {node, leader} <= set(waiting)}
    workflow = side_by_side(name, training.folder, steps, memory, first)
    by_label = {task.label: task for task in waiting.values()}
    with StatusLine(
        len(tasks), "inner networks", draw=False, share=lambda label: by_label[label].share
    ) as line:
        for _ in range(len(tasks) - len(waiting)):
            line.skipped()

        def on_status(node: Any, status: str) -> None:
            line.noted(waiting[node.name].label, status)

        return run_workflow(workflow, running, on_status, WORKERS_IMPORT)
