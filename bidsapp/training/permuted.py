"""The whole pipeline with permuted outcomes: everything that sees an outcome is done anew."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.contracts.unit import unit_columns
from bidsapp.dataset.tables import read_frame, write_table
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.sealed import read_record
from bidsapp.errors import UsageError
from bidsapp.execution.failures import Step
from bidsapp.execution.run import Running, configure, run_workflow
from bidsapp.execution.status import StatusLine
from bidsapp.intake.json_text import read_own_json
from bidsapp.options import RunOptions
from bidsapp.training.fold_memory import fold_memory
from bidsapp.training.permute_outcomes import labels_of, shuffled_outcomes
from bidsapp.training.stages import with_people
from bidsapp.training.study import Study, study_splits
from bidsapp.training.task import FoldTask

if TYPE_CHECKING:
    from nipype import Workflow


FILE = "permuted_scores.tsv"
_DRAWS = 100


@dataclass(frozen=True)
class PermutedRun:
    """One permutation: its number and its folds.

    Attributes
    ----------
    number
        From 1.
    folder
        Of its files.
    key
        Hash of all that its scores depend on.
    tasks
        Every fold of every variant, on the permuted outcomes.
    """

    number: int
    folder: Path
    key: str
    tasks: tuple[FoldTask, ...]

    @property
    def record_file(self) -> Path:
        """Holds the key, and is written when every fold is scored."""
        return self.folder / "scored.json"

    @property
    def scored(self) -> bool:
        """Whether every fold is trained and scored."""
        return read_record(self.record_file).get("key") == self.key


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


def permuted_runs(
    study: Study, tasks: Sequence[FoldTask], cohort: pd.DataFrame, given: Path | None, count: int
) -> list[PermutedRun]:
    """Draw outcomes, divide the cohort by them, and list every fold that is to be trained.

    Splits are made anew from the permuted outcomes, as stratified splits are part of what saw
    them; outcomes with which they cannot be made are drawn again. Splits from a file stay, and
    outcomes then keep to people of the same roles. The numbers of the permutations are seeds: more
    of them later leaves the first as they are.

    Parameters
    ----------
    study, tasks
        The run and its own folds.
    cohort
        The cohort table.
    given
        The file of splits, where the person gave one.
    count
        How many permutations.

    Raises
    ------
    UsageError
        No permutation gives other outcomes: there is nothing to compare with.
    """
    kinds = {task.variant: task for task in tasks}
    settings = [task.fingerprint for task in kinds.values()]
    groups = study.recipe.group_column(study.variants)
    grouped = study.recipe.binds(study.variants)
    before = cohort["outcome"].to_numpy(dtype=int)
    runs = []
    changed = False
    for number in range(1, count + 1):
        table, splits = _draw(study, list(kinds), cohort, grouped, given, number)
        changed = changed or bool((table["outcome"].to_numpy() != before).any())
        folder = study.folder / "permuted" / f"{number:05d}"
        files = {"cohort": folder / "cohort.tsv", "splits": folder / "splits.tsv"}
        make_folder(folder)
        write_table(files["cohort"], table[[*unit_columns(table), "outcome"]])
        write_table(files["splits"], splits)
        texts = [path.read_text(encoding="utf-8") for path in files.values()]
        key = hashlib.sha256(json.dumps([settings, texts]).encode()).hexdigest()
        own = []
        for name, kind in kinds.items():
            mine = splits[splits["variant"] == name] if "variant" in splits else splits
            for repeat, fold in mine[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
                own.append(_task(kind, folder, files, int(repeat), int(fold)))
        runs.append(PermutedRun(number, folder, key, tuple(own)))
    if not changed:
        what = f"groups ({groups})" if groups else "people"
        if within := study.recipe.evaluation.permute_within:
            what += f" of the same {', '.join(within)}"
        raise UsageError(
            f"--permutations {count}: no permutation changes an outcome: no two {what} of the same "
            "make-up and different outcomes can change place."
        )
    return runs


def _task(
    kind: FoldTask, folder: Path, files: Mapping[str, Path], repeat: int, fold: int
) -> FoldTask:
    """Make a fold of a variant on permuted outcomes; also what it begins with."""

    def place(variant: str) -> Path:
        return folder / "folds" / variant / f"repeat-{repeat}_fold-{fold}"

    return with_people(
        kind,
        repeat=repeat,
        fold=fold,
        folder=place(kind.variant),
        cohort=files["cohort"],
        splits=files["splits"],
        first_folder=lambda first: place(first.variant),
    )


def _draw(
    study: Study,
    variants: Sequence[str],
    cohort: pd.DataFrame,
    grouped: bool,
    given: Path | None,
    number: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng([study.recipe.evaluation.seed, number])
    fixed = None if given is None else study_splits(study.recipe, variants, cohort, given)
    stratum = None if fixed is None else cohort["participant_id"].map(_roles(fixed))
    within = labels_of(cohort, study.recipe.evaluation.permute_within)
    if within is not None:
        stratum = within if stratum is None else stratum.astype(str) + "|" + within
    for _ in range(_DRAWS):
        table = cohort.assign(outcome=shuffled_outcomes(cohort, grouped, rng, stratum))
        if fixed is not None:
            return table, fixed
        try:
            return table, study_splits(study.recipe, variants, table, None)
        except UsageError as error:
            reason = str(error)
    raise UsageError(
        f"--permutations: of {_DRAWS} permutations of the outcomes, none could be divided as the "
        f"protocol says ({reason})"
    )


def _roles(splits: pd.DataFrame) -> dict[str, str]:
    """Whoever has the same roles everywhere may change place, where the splits are one scheme."""
    if "variant" in splits or splits["repeat"].nunique() > 1:
        return dict.fromkeys(splits["participant_id"], "")
    ordered = splits.sort_values(["participant_id", "fold"])
    role = ordered["fold"].astype(str) + ordered["role"]
    return {str(k): v for k, v in role.groupby(ordered["participant_id"]).agg(" ".join).items()}


def is_scored(task: FoldTask) -> bool:
    """Tell whether a fold's scores are there and of this very task; its model need not be."""
    record = read_record(task.record_file, [task.scores_file.name])
    return bool(record) and task.trained_as is not None


def permutation_workflow(
    study: Study, runs: Sequence[PermutedRun], memory_gb: float, beside: Beside | None = None
) -> "Workflow":
    """Make every permutation a node."""
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.training.fold_node import fold_inputs

    make = beside.node if beside else TrainPermuted
    steps = {
        _node_name(run): make(
            **(beside.inputs(run) if beside else {}),
            recipe=str(study.recipe_file),
            folds=[fold_inputs(study.recipe_file, task) for task in run.tasks],
            record=str(run.record_file),
            key=run.key,
            device=run.tasks[0].device,
            threads=run.tasks[0].threads or 1,
        )
        for run in runs
    }
    return side_by_side("permutations", study.folder, steps, memory_gb)


def permute_pipeline(
    study: Study,
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
    study, tasks
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
    count = study.recipe.evaluation.pipeline_permutations
    runs = permuted_runs(study, tasks, cohort, options.splits, count)
    waiting = [run for run in runs if not (run.scored and (beside is None or beside.made(run)))]
    if waiting:
        trainings = sum(len(run.tasks) for run in waiting)
        print(
            f"Permutations: {count} of the whole pipeline, {len(waiting)} to do: {trainings} "
            f"trainings{expected_time(tasks, trainings, options.nprocs)}.",
            flush=True,
        )
        _train(study, runs, waiting, options, folder, beside)
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
    study: Study,
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
    workflow = permutation_workflow(study, waiting, memory, beside)

    def share(label: str) -> float:
        folds = next(run for run in waiting if _label(run) == label).tasks
        parts = [1.0 if task.trained_as else task.share or 0.0 for task in folds]
        return sum(parts) / len(parts)

    with StatusLine(len(runs), "permutations", draw=False, share=share) as line:
        for _ in range(len(runs) - len(waiting)):
            line.skipped()

        def on_status(node: Any, status: str) -> None:
            line.noted(_label(by_name[node.name]), status)

        run_workflow(workflow, running, on_status)


def _label(run: PermutedRun) -> str:
    return f"permutation {run.number}"


def _node_name(run: PermutedRun) -> str:
    return f"permutation_{run.number:05d}"


def expected_time(tasks: Sequence[FoldTask], trainings: int, nprocs: int) -> str:
    """Say how long trainings will take, by what the run's own folds took; empty if not known."""
    try:
        records = [read_own_json(task.record_file) for task in tasks]
        mean = float(np.mean([record["seconds"] for record in records]))
    except (OSError, ValueError, KeyError):
        return ""
    return f", about {mean * trainings / max(1, nprocs) / 3600:.2g} hours by the run's own folds"


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

        recipe = load_recipe(self.inputs.recipe)
        tasks = [task_of(inputs, recipe, self._device) for inputs in self.inputs.folds]
        for place, task in enumerate(tasks):
            if not (is_scored(task) and self._used(task)):
                # scores of other outcomes must not be taken for those of the model to come
                task.scores_file.unlink(missing_ok=True)
                train_fold(task)
                score_fold(task)
                self._use(task)
            needed = {one.model_file for later in tasks[place + 1 :] for one in later.chain()}
            for one in task.chain():
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
