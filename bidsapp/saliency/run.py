"""Saliency of a run: every fold explained, the maps checked, written, and handed to the group."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bidsapp.contracts.fitted import leaking, stamp_text
from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.unit import Unit
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import NociCastError, NoInput, joint_code
from bidsapp.evaluation.tsv import read_table
from bidsapp.execution.failures import Failure, find_failure, forget_failures
from bidsapp.execution.run import Running, run_workflow
from bidsapp.execution.status import StatusLine, telling
from bidsapp.execution.work import own_folder
from bidsapp.options import RunOptions
from bidsapp.saliency.apart import write_apart
from bidsapp.saliency.component_files import PICTURE, all_of
from bidsapp.saliency.component_people import matched_channels
from bidsapp.saliency.component_run import write_all_components
from bidsapp.saliency.component_table import Joined, read_effects
from bidsapp.saliency.evidence import gather_evidence
from bidsapp.saliency.group_maps import Further, write_group
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.saliency.guided_files import write_guided
from bidsapp.saliency.guided_table import Guides
from bidsapp.saliency.masks import mask_of
from bidsapp.saliency.native import without_native
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.plan import ExplainStep, plan_steps, workflow_of
from bidsapp.saliency.planes import unlike, write_planes
from bidsapp.saliency.sanity import judge
from bidsapp.saliency.stack import MapStack, join, read_stack
from bidsapp.saliency.surface_files import code_of_surface, try_on_surface
from bidsapp.saliency.train_test_figure import draw, panel_of
from bidsapp.saliency.verdict import Findings, together
from bidsapp.spaces.files import whole_space
from bidsapp.training.fold_node import WORKERS_IMPORT
from bidsapp.training.splits_file import splits_of

if TYPE_CHECKING:
    from bidsapp.training.run import TrainingRun
    from bidsapp.training.task import FoldTask


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
    work
        Work folder of the app.
    native
        Whether to write each participant's map on the scan's own voxels too.
    nulls
        Of the voxelwise comparison, of the variants that have one.
    """

    cohort: pd.DataFrame
    mask: Path
    output_dir: Path
    folder: Path
    template_label: str
    resolution: str
    work: Path
    native: bool = False
    nulls: Mapping[str, VoxelNull] = field(default_factory=dict)

    @cached_property
    def images(self) -> dict[Unit, str]:
        """Unit to its image, a path inside `output_dir` or a BIDS URI."""
        rows = self.cohort.astype(object).fillna("").astype(str).to_dict("records")
        return {Unit.of(row): row["image"] for row in rows}


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
                    done[variant] = _write_variant(own, about)
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
    _write_ensembles(training, tasks, done, about)
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


def _write_variant(steps: Sequence[ExplainStep], about: Explaining) -> Findings:
    """Write all that follows from the maps of one variant."""
    task = steps[0].task
    settings = task.recipe.saliency
    place = about.folder / "saliency" / task.variant
    stack = join([step.folder for step in steps if step.kind == "test"], _stack_folder(steps[0]))
    findings = judge(gather_evidence(steps, stack, about.folder, about.mask))
    leaks = task.recipe.leaks("network")
    findings.write(place / "sanity.tsv", stamp_text(leaks))
    modality = modality_named(task.recipe.preparation.modality)
    where = MapPlace(
        place, about.output_dir, about.template_label, about.resolution, about.images,
        about.native, partial(modality.home, channel=task.recipe.representation.channels[0]),
        modality.way_back,
    )  # fmt: skip
    write_people(stack, where, findings.plain(), settings, leaks)
    shared = _shared(task, about, [task.variant])
    shared |= {"sanity": findings.plain(), "images": task.images}
    shared["leaks"] = leaks
    _forget_training(place)
    if not stack.space.common:
        images = {unit: about.output_dir / image for unit, image in about.images.items()}
        write_apart(stack, place, task.recipe, images, about.work, shared)
        return findings
    null = about.nulls.get(task.variant)
    joined = read_effects(steps)
    further = _further(steps, stack, shared["regions"], joined, about)
    file = _stack_folder(steps[0]) / "matched.npy"
    matched = None if joined is None else matched_channels(steps, joined, file)
    write_group(
        *(stack, place), settings=settings, null=null, further=further, matched=matched, **shared
    )
    if settings.on_surface:
        work = _stack_folder(steps[0])
        try_on_surface(stack, place, task.recipe, where, about.cohort, work, shared)
    for step in steps:
        if step.kind == "train":
            training = read_stack(step.folder)
            write_group(training, place / "training", settings=settings, **shared)
            _draw_best_fold(step, stack, place / "best_fold.png", about)
    return findings


def _further(
    steps: Sequence[ExplainStep],
    stack: MapStack,
    regions: Mapping[str, np.ndarray],
    joined: Joined | None,
    about: Explaining,
) -> Further | None:
    """Say what else is written of held-out maps: weighted averages, the worth of components."""
    recipe = steps[0].task.recipe
    wanted = [_guided(steps, stack, regions, about)] if recipe.saliency.guided else []
    if joined is not None:
        wanted.append(lambda files: write_all_components(steps, joined, files, about))
    return all_of(wanted) if wanted else None


def _guided(
    steps: Sequence[ExplainStep],
    stack: MapStack,
    regions: Mapping[str, np.ndarray],
    about: Explaining,
) -> Further:
    """Say how averages weighted by these maps are written."""
    task = steps[0].task
    own = [step.folder / "untrained" for step in steps if step.kind == "test"]
    guides = Guides(stack, join(own, _stack_folder(steps[0]) / "untrained"))
    parts = {name: task.images.space.cut(cells) for name, cells in regions.items()}
    surfaces = {unit: about.output_dir / image for unit, image in about.images.items()}
    return lambda files: write_guided(
        guides, task.images, parts, about.cohort, task.recipe, files, surfaces
    )


def _forget_training(place: Path) -> None:
    """Take away an earlier run's pictures, and what it showed of its best fold."""
    shutil.rmtree(place / "training", ignore_errors=True)
    for name in ("best_fold.png", PICTURE):
        (place / name).unlink(missing_ok=True)


def _draw_best_fold(step: ExplainStep, stack: MapStack, path: Path, about: Explaining) -> None:
    """Draw training and held-out people of one fold side by side."""
    task, best = step.task, stack.rows
    chosen = np.flatnonzero((best["repeat"] == task.repeat) & (best["fold"] == task.fold))
    held_out = replace(
        stack, rows=best.iloc[chosen].reset_index(drop=True), values=stack.values[chosen]
    )
    inside = mask_of(stack.space, about.mask)
    fwhm = task.recipe.saliency.smoothing_fwhm_mm
    panels = [
        panel_of(title, one, task.images, inside, fwhm)
        for title, one in (("training", read_stack(step.folder)), ("held out", held_out))
    ]
    stamp = stamp_text(task.recipe.leaks("maps"))
    note = f"{stack.about['units']}; fold {task.fold}, the best on its held-out people. {stamp}"
    draw(panels, path, note)


def _stack_folder(step: ExplainStep) -> Path:
    """Where the maps of all folds of a step's variant lie."""
    return step.folder.parent / step.task.recipe.saliency.method


def _shared(task: "FoldTask", about: Explaining, variants: Sequence[str]) -> dict[str, Any]:
    """Give what the group's maps of variants and ensembles need alike."""
    splits = read_table(about.folder / "splits.tsv", ("participant_id", "role"))
    return {
        "splits": pd.concat([splits_of(splits, name) for name in variants]),
        "template_label": about.template_label,
        "mask": about.mask,
        "scores": read_frame(about.folder / "scores.tsv", None),
        "covariates": about.cohort,
        "seed": task.recipe.evaluation.seed,
        "regions": modality_named(task.recipe.preparation.modality).regions(task.images.space),
    }


def _write_ensembles(
    training: "TrainingRun",
    tasks: Sequence["FoldTask"],
    done: Mapping[str, Findings],
    about: Explaining,
) -> None:
    """Join the maps of the variants of each ensemble of the run, where all of them are there."""
    first = {task.variant: task for task in reversed(tasks)}
    wanted = tasks[0].recipe.preparation
    others = {v for v in training.variants if training.recipe.with_variant(v).preparation != wanted}
    for name, ensemble in training.recipe.ensembles.items():
        place = about.folder / "saliency" / name
        if set(ensemble.of) <= others:  # joined where these are explained
            continue
        if set(ensemble.of) & others and name in training.recipe.run:
            shutil.rmtree(place, ignore_errors=True)
            if ensemble.of[0] not in others:
                print(f"{name}: no joined map, as its variants are given images of several "
                      "preparations", file=sys.stderr)  # fmt: skip
            continue
        if name not in training.recipe.run or not set(ensemble.of) <= set(done):
            shutil.rmtree(place, ignore_errors=True)
            continue
        one = first[ensemble.of[0]]
        sections = {variant: first[variant].recipe.saliency for variant in ensemble.of}
        why = unlike(sections)
        if why:
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map, as its variants' maps differ: {why}", file=sys.stderr)
            continue
        stacks = {
            variant: read_stack(training.folder / "maps" / variant / section.method)
            for variant, section in sections.items()
        }
        if not all(stack.space.common for stack in stacks.values()):
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map, as the maps lie in people's own spaces", file=sys.stderr)
            continue
        verdict = together([done[variant] for variant in ensemble.of], ensemble.of)
        settings, shared = one.recipe.saliency, _shared(one, about, ensemble.of)
        shared["sanity"] = verdict
        shared["leaks"] = leaking(
            step for variant in ensemble.of for step in first[variant].recipe.leaks("network")
        )
        try:
            write_planes(name, stacks, place, settings=settings, rule=ensemble.rule, **shared)
        except NociCastError as error:
            shutil.rmtree(place, ignore_errors=True)
            print(f"{name}: no joined map: {error}", file=sys.stderr)
