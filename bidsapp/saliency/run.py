"""Saliency of a run: every fold explained, and what follows variant by variant."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.contracts.modality import modality_named
from bidsapp.errors import NociCastError, NoInput, joint_code
from bidsapp.execution.failures import Failure, find_failure, forget_failures
from bidsapp.execution.run import Running, run_workflow
from bidsapp.execution.status import StatusLine, telling
from bidsapp.execution.work import own_folder
from bidsapp.options import RunOptions
from bidsapp.saliency.ensemble_maps import write_ensembles
from bidsapp.saliency.explaining import Explaining
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.saliency.native import without_native
from bidsapp.saliency.plan import ExplainStep, plan_steps, workflow_of
from bidsapp.saliency.surface_files import code_of_surface
from bidsapp.saliency.variant_maps import write_variant
from bidsapp.saliency.verdict import Findings
from bidsapp.spaces.files import whole_space
from bidsapp.training.fold_node import WORKERS_IMPORT

if TYPE_CHECKING:
    from bidsapp.training.run import TrainingRun
    from bidsapp.training.task import FoldTask


def explain(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    cohort: pd.DataFrame,
    mask: Path,
    options: RunOptions,
    memory_gb: float,
    nulls: Mapping[str, VoxelNull] | None = None,
) -> int:
    """Explain every fold of every variant and write what follows.

    Under ``saliency/<variant>`` of the run's folder: a map for every held-out scan,
    ``sanity.tsv``, and the group's maps; under ``saliency/<ensemble>`` the group's maps of
    variants joined. A variant whose maps cannot be made is named on stderr; the others are made.

    Parameters
    ----------
    training
        The run.
    tasks
        The trained and scored folds.
    cohort
        The table of ``cohort.tsv``.
    mask
        The template's brain mask on the images' grid.
    options
        Of the run.
    memory_gb
        To plan with for one fold.
    nulls
        Of the voxelwise comparison, variant by variant, once pipelines were permuted: folds that
        are explained stay as they are, and what follows from them is written anew.

    Returns
    -------
    int
        Exit code: 0, or that of what failed; 66 where a map on a scan's own voxels was asked for
        and could not be made.
    """
    wanted = tasks[0].recipe.preparation
    labels = modality_named(wanted.modality).labels(wanted, own_folder(options.work_dir))
    folder = training.recipe_file.parent
    about = Explaining(
        cohort, mask, options.output_dir, folder, labels.get("space", ""), labels.get("res", ""),
        own_folder(options.work_dir), options.native_maps, nulls or {},
    )  # fmt: skip
    steps = plan_steps(training, tasks, mask)
    if nulls is None:
        failed = _run(training, steps, memory_gb, Running.of(options, folder / "logs"))
    else:
        unfinished = {step.task.variant for step in steps if not step.finished}
        steps, failed = [step for step in steps if step.task.variant not in unfinished], {}
    codes = set()
    done: dict[str, Findings] = {}
    for variant in dict.fromkeys(step.task.variant for step in steps):
        own = [step for step in steps if step.task.variant == variant]
        failure = next((failed[step.name] for step in own if step.name in failed), None)
        if failure is None:
            print(f"{variant}: checks, group maps and their tests ...", flush=True)
            try:
                with telling(f"{variant}: checks, group maps and their tests"):
                    done[variant] = write_variant(own, about)
                print(f"{variant}: sanity checks of the maps: {_said(done[variant])}", flush=True)
                common = whole_space(mask).common
                if about.native and common and without_native(folder / "saliency" / variant):
                    codes.add(NoInput.exit_code)
                if own[0].task.recipe.saliency.on_surface:
                    codes.add(code_of_surface(folder / "saliency" / variant))
                continue
            except NociCastError as error:
                failure = Failure("", str(error), error.exit_code, expected=True)
        shutil.rmtree(folder / "saliency" / variant, ignore_errors=True)
        print(f"variant {variant}: no maps: {failure.message.splitlines()[0]}", file=sys.stderr)
        codes.add(failure.exit_code)
    write_ensembles(training, tasks, done, about)
    return joint_code(codes)


def _said(findings: Findings) -> str:
    """Put the verdict in the words of a terminal."""
    told = findings.plain()["sentences"]
    why = [text for text in told if text.startswith(("Fail", "Not decisive"))]
    return " ".join([f"{findings.verdict}.", *why]) if why else findings.verdict


def _run(
    training: "TrainingRun", steps: Sequence[ExplainStep], memory_gb: float, running: Running
) -> dict[str, Failure]:
    """Run the steps; gives those that failed."""
    forget_failures(training.folder / "saliency")
    for step in steps:
        if step.kind == "half":
            # whether it is of these data is known only where its cohort was divided
            (step.folder / "done.json").unlink(missing_ok=True)
    by_name = {step.name: step for step in steps}
    workflow = workflow_of(training, steps, "saliency", memory_gb)
    with StatusLine(len(steps), "steps", draw=False) as line:

        def on_status(node: Any, status: str) -> None:
            line.noted(by_name[node.name].label, status)

        error = run_workflow(workflow, running, on_status, WORKERS_IMPORT)
    return {
        step.name: find_failure(training.folder / "saliency" / step.name, error)
        for step in steps
        if not step.finished
    }
