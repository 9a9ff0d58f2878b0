"""All that follows from the maps of one variant: checks, people's maps, the group's, its tests."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bidsapp.contracts.fitted import stamp_text
from bidsapp.contracts.modality import modality_named
from bidsapp.saliency.apart import write_apart
from bidsapp.saliency.component_files import PICTURE, all_of
from bidsapp.saliency.component_people import matched_channels
from bidsapp.saliency.component_run import write_all_components
from bidsapp.saliency.component_table import Joined, read_effects
from bidsapp.saliency.evidence import gather_evidence
from bidsapp.saliency.explaining import Explaining, shared_by_variants
from bidsapp.saliency.group_maps import Further, write_group
from bidsapp.saliency.guided_files import write_guided
from bidsapp.saliency.guided_table import Guides
from bidsapp.saliency.masks import mask_of
from bidsapp.saliency.participant_maps import MapPlace, write_people
from bidsapp.saliency.plan import ExplainStep
from bidsapp.saliency.sanity import judge
from bidsapp.saliency.stack import MapStack, join, read_stack
from bidsapp.saliency.surface_files import try_on_surface
from bidsapp.saliency.train_test_figure import draw, panel_of
from bidsapp.saliency.verdict import Findings


def write_variant(steps: Sequence[ExplainStep], about: Explaining) -> Findings:
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
    shared = shared_by_variants(task, about, [task.variant])
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
