"""The whole pipeline with permuted outcomes: everything that sees an outcome is done anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.execution.failures import Step
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.execution.status import StatusLine
from bidsapp.intake.json_text import read_own_json
from bidsapp.options import RunOptions
from bidsapp.training.fold_memory import fold_memory
from bidsapp.training.fold_node import WORKERS_IMPORT
from bidsapp.training.permuted_runs import PermutedRun, permuted_runs
from bidsapp.training.run import TrainingRun
from bidsapp.training.same_network import trained_by
from bidsapp.training.search import networks_of
from bidsapp.training.task import FoldTask

if TYPE_CHECKING:
    from nipype import Workflow


FILE = "permuted_scores.tsv"


@dataclass(frozen=True)
class Beside:
    """What is made of the networks of each permutation beside their scores.

    Attributes
    ----------
    node
        A `TrainPermuted` that makes it.
    inputs
        Gives the inputs of the node that it has beside those of a `TrainPermuted`.
    made
        Tells whether it is there.
    """

    node: "type[TrainPermuted]"
    inputs: Callable[[PermutedRun], Mapping[str, Any]]
    made: Callable[[PermutedRun], bool]


def permutation_workflow(
    training: TrainingRun,
    runs: Sequence[PermutedRun],
    memory_gb: float,
    beside: Beside | None = None,
) -> "Workflow":
    """Make every permutation a node."""
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.training.fold_node import fold_inputs

    make = beside.node if beside else TrainPermuted
    steps = {
        _node_name(run): make(
            **(beside.inputs(run) if beside else {}),
            recipe=str(training.recipe_of_nodes),
            folds=[fold_inputs(training.recipe_of_nodes, task) for task in run.tasks],
            record=str(run.record_file),
            key=run.key,
            device=run.tasks[0].device,
            threads=run.tasks[0].threads or 1,
        )
        for run in runs
    }
    return side_by_side("permutations", training.folder, steps, memory_gb)


def permute_pipeline(
    training: TrainingRun,
    tasks: Sequence[FoldTask],
    cohort: pd.DataFrame,
    options: RunOptions,
    folder: Path,
    beside: Beside | None = None,
) -> list[PermutedRun]:
    """Train and score the pipeline on permuted outcomes, and write `permuted_scores.tsv`.

    What is scored already is kept, so that a killed run goes on where it was. The table has
    ``permutation`` and the columns of ``scores.tsv``, `outcome` being the permuted one, for the
    permutations of which every fold was scored.

    Parameters
    ----------
    training, tasks
        The run and its own folds.
    cohort
        The cohort table.
    options
        How to run.
    folder
        Of the run.
    beside
        What is made of the networks beside their scores.

    Returns
    -------
    list of PermutedRun
        Those of which every fold is scored.
    """
    count = training.recipe.evaluation.pipeline_permutations
    runs = permuted_runs(training, tasks, cohort, options.splits, count)
    waiting = [run for run in runs if not (run.scored and (beside is None or beside.made(run)))]
    if waiting:
        trainings = 0
        for run in waiting:
            again = trained_by(run.tasks)
            trainings += sum(networks_of(t) for k, t in enumerate(run.tasks) if k not in again)
        print(
            f"Permutations: {count} of the whole pipeline, {len(waiting)} to do: {trainings} "
            f"trainings{expected_time(tasks, trainings, options.nprocs)}.",
            flush=True,
        )
        _train(training, runs, waiting, options, folder, beside)
    whole = [run for run in runs if run.scored]
    if len(whole) < len(runs):
        print(f"{len(runs) - len(whole)} permutations are not whole; run again to resume.")
    tables = [
        read_frame(task.scores_file, None).assign(number=run.number)
        for run in whole
        for task in run.tasks
    ]
    if tables:
        scores = pd.concat(tables, ignore_index=True)
        scores.insert(0, "permutation", scores.pop("number"))
        write_table(folder / FILE, scores)
    return whole


def _train(
    training: TrainingRun,
    runs: Sequence[PermutedRun],
    waiting: Sequence[PermutedRun],
    options: RunOptions,
    folder: Path,
    beside: Beside | None,
) -> None:
    running = Running.of(options, folder / "logs")
    configure(running)
    by_name = {_node_name(run): run for run in waiting}
    memory = fold_memory(runs[0].tasks, options.mem_gb)
    workflow = permutation_workflow(training, waiting, memory, beside)

    def share(label: str) -> float:
        folds = next(run for run in waiting if _label(run) == label).tasks
        parts = [1.0 if task.trained_as else task.share or 0.0 for task in folds]
        return sum(parts) / len(parts)

    with StatusLine(len(runs), "permutations", draw=False, share=share) as line:
        for _ in range(len(runs) - len(waiting)):
            line.skipped()

        def on_status(node: Any, status: str) -> None:
            line.noted(_label(by_name[node.name]), status)

        run_workflow(workflow, running, on_status, WORKERS_IMPORT)


def _label(run: PermutedRun) -> str:
    return f"permutation {run.number}"


def _node_name(run: PermutedRun) -> str:
    return f"permutation_{run.number:05d}"


def expected_time(
    tasks: Sequence[FoldTask], trainings: int, nprocs: int, whose: str = "the run's own folds"
) -> str:
    """Say how long trainings will take, by what some tasks took; empty if not known."""
    try:
        records = [read_own_json(task.record_file) for task in tasks]
        mean = float(np.mean([record["seconds"] for record in records]))
    except (OSError, ValueError, KeyError):
        return ""
    return f", about {mean * trainings / max(1, nprocs) / 3600:.2g} hours by {whose}"


class PermutedInput(BaseInterfaceInputSpec):
    """What a node has to be told of a permutation."""

    recipe = File(exists=True, mandatory=True, desc="the resolved recipe of the run")
    folds = traits.List(traits.Dict(), mandatory=True, desc="what fold_inputs gives of each fold")
    record = traits.Str(mandatory=True, desc="file that says that all is scored")
    key = traits.Str(mandatory=True, desc="hash of all that the scores depend on")
    device = traits.Str("auto", usedefault=True)
    threads = traits.Int(1, usedefault=True)


class _PermutedOutput(TraitedSpec):
    scores = traits.List(File(exists=True), desc="held-out scores of each fold")


class TrainPermuted(Step):
    """Train and score every fold of one permutation; keep the scores, not the models."""

    input_spec = PermutedInput
    output_spec = _PermutedOutput
    one_per_gpu = True

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives.sealed import write_record
        from bidsapp.recipes import load_recipe
        from bidsapp.training.fold import score_fold, train_fold
        from bidsapp.training.fold_node import task_of
        from bidsapp.training.passing import score_and_forget
        from bidsapp.training.search_choice import searched

        recipe = load_recipe(self.inputs.recipe)
        planned = [task_of(inputs, recipe, self._device) for inputs in self.inputs.folds]
        tasks = searched(planned, partial(score_and_forget, trial=True))
        again = trained_by(tasks)
        for place, task in enumerate(tasks):
            if not (task.is_scored and self._used(task)):
                # scores of other outcomes must not be taken for those of the model to come
                task.scores_file.unlink(missing_ok=True)
                train_fold(task)
                score_fold(task)
                self._use(task)
            later = range(place + 1, len(tasks))
            needed = {one.model_file for k in later for one in tasks[k].chain()}
            needed |= {again[k].model_file for k in later if k in again}
            for one in (*task.chain(), *again.get(place, task).chain()):
                if one.model_file not in needed:
                    one.model_file.unlink(missing_ok=True)
                    one.fitted_file.unlink(missing_ok=True)
        self._finish(tasks)
        files = [task.scores_file for task in tasks]
        write_record(Path(self.inputs.record), {"key": self.inputs.key}, files)
        self._results.update(scores=[str(task.scores_file) for task in tasks])

    def _used(self, task: "FoldTask") -> bool:
        """Tell whether all that is made of a fold's network beside its scores is there."""
        return True

    def _use(self, task: "FoldTask") -> None:
        """Make of a trained network what is wanted beside its scores."""

    def _finish(self, tasks: "Sequence[FoldTask]") -> None:
        """Make what is wanted of all folds together."""
