"""Saliency of a run: every fold explained, the maps checked, written, and handed to the group."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bidsapp.errors import NociCastError
from bidsapp.execution.failures import Failure, find_failure, forget_failures
from bidsapp.execution.run import Running, run_workflow
from bidsapp.representation.sample import read_mask
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.plan import ExplainStep, plan_steps, workflow_of
from bidsapp.saliency.sanity import Evidence, Findings, judge
from bidsapp.saliency.stack import MapStack, read_stack

if TYPE_CHECKING:
    from bidsapp.training.study import Study
    from bidsapp.training.task import FoldTask

_COVARIATES = ("age", "sex")


@dataclass(frozen=True)
class Explaining:
    """What the maps of a run need beside its folds.

    Attributes
    ----------
    cohort
        The table of ``cohort.tsv``.
    mask
        The template's brain mask on the images' grid.
    output_dir
        The derivatives dataset.
    folder
        Of the run, ``<out>/group/<label>``.
    template_label, resolution
        Values of BIDS' ``space`` and ``res``.
    memory_gb
        To plan with for one fold.
    native
        Whether to write each participant's map on the scan's own voxels too.
    """

    cohort: pd.DataFrame
    mask: Path
    output_dir: Path
    folder: Path
    template_label: str
    resolution: int
    memory_gb: float
    native: bool = False


def explain(
    study: "Study", tasks: Sequence["FoldTask"], about: Explaining, running: Running
) -> int:
    """Explain every fold of every variant and write what follows.

    Under ``<folder>/saliency/<variant>``: a map for every held-out scan, ``sanity.tsv``, and the
    group's maps. A variant whose maps cannot be made is named on stderr; the others are.

    Parameters
    ----------
    study
        The run.
    tasks
        The trained and scored folds.
    about
        What the maps need beside.
    running
        How nodes are run.

    Returns
    -------
    int
        Exit code: 0, or that of what failed.
    """
    steps = plan_steps(study, tasks, about.mask)
    failed = _run(study, steps, about, running)
    codes = set()
    for variant in dict.fromkeys(step.task.variant for step in steps):
        own = [step for step in steps if step.task.variant == variant]
        failure = next((failed[step.name] for step in own if step.name in failed), None)
        if failure is None:
            try:
                sentence = _write_variant(own, about)
                print(f"{variant}: saliency {sentence}", flush=True)
                continue
            except NociCastError as error:
                failure = Failure("", str(error), error.exit_code, expected=True)
        reason = failure.message.splitlines()[0]
        print(f"variant {variant}: no saliency: {reason}", file=sys.stderr)
        codes.add(failure.exit_code)
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _run(
    study: "Study", steps: Sequence[ExplainStep], about: Explaining, running: Running
) -> dict[str, Failure]:
    """Run the steps; gives those that failed."""
    forget_failures(study.folder / "saliency")
    done = 0
    by_name = {step.name: step for step in steps}

    def on_status(node: Any, status: str) -> None:
        nonlocal done
        if status in ("end", "exception"):
            done += 1
            word = "done" if status == "end" else "failed"
            print(f"[{done}/{len(steps)}] {by_name[node.name].label}: {word}", flush=True)

    workflow = workflow_of(study, steps, "saliency", about.memory_gb)
    error = run_workflow(workflow, running, on_status)
    return {
        step.name: find_failure(study.folder / "saliency" / step.name, error)
        for step in steps
        if not step.finished
    }


def _write_variant(steps: Sequence[ExplainStep], about: Explaining) -> str:
    """Write all that follows from the maps of one variant; gives the verdict in words."""
    task = steps[0].task
    recipe, settings = task.recipe, task.recipe.saliency
    place = about.folder / "saliency" / task.variant
    stack = join([read_stack(step.folder) for step in steps if step.kind == "test"])
    work = steps[0].folder.parent / settings.method
    stack.write(work)
    findings = _judged(steps, stack, about)
    findings.write(place / "sanity.tsv")
    images = {
        (row["participant_id"], row["session_id"] or "n/a"): row["image"]
        for row in about.cohort.fillna("").astype(str).to_dict("records")
    }
    where = MapPlace(
        place, about.output_dir, about.template_label, about.resolution, images, about.native
    )
    write_people(stack, where, findings.plain())
    kept = [name for name in _COVARIATES if name in about.cohort]
    shared: dict[str, Any] = {
        "template_label": about.template_label,
        "mask": about.mask,
        "covariates": about.cohort[["participant_id", *kept]] if kept else None,
        "sanity": findings.plain(),
        "seed": recipe.evaluation.seed,
        "images": task.images,
    }
    write_group(read_stack(work), place, settings=settings, **shared)
    for step in steps:
        if step.kind == "train":
            own = settings.model_copy(update={"folds": "all"})
            write_group(read_stack(step.folder), place / "training", settings=own, **shared)
    return f"{findings.verdict}: {place}"


def _judged(steps: Sequence[ExplainStep], stack: MapStack, about: Explaining) -> Findings:
    task = steps[0].task
    tests = [step for step in steps if step.kind == "test"]
    order = [(step.task.repeat, step.task.fold) for step in tests]
    shuffled = {
        order.index((step.task.repeat, step.task.fold)): np.asarray(
            read_stack(step.folder).values.sum(axis=(0, 1))
        )
        for step in steps
        if step.kind == "shuffled"
    }
    affine = np.array(stack.window.grid_affine)
    evidence = Evidence(
        folds=[FoldChecks.read(step.folder / "checks.npz") for step in tests],
        shuffled=shuffled,
        scores=stack.rows,
        images=task.images,
        outcome=task.table["outcome"].to_numpy(),
        inside=stack.window.cut(read_mask(about.mask)),
        fwhm_mm=task.recipe.saliency.smoothing_fwhm_mm,
        zooms=(float(affine[0, 0]), float(affine[1, 1]), float(affine[2, 2])),
    )
    return judge(evidence)


def join(stacks: Sequence[MapStack]) -> MapStack:
    """Put the stacks of several folds together, in their order."""
    first = stacks[0]
    rows = pd.concat([stack.rows for stack in stacks], ignore_index=True)
    values = np.concatenate([stack.values for stack in stacks])
    return MapStack(rows, values, first.channels, first.window, json.loads(json.dumps(first.about)))
