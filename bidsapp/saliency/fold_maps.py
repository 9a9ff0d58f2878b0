"""The maps of one fold: of whom, by which network, and with which checks; safe to repeat."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bidsapp.contracts.unit import with_part
from bidsapp.dataset.tables import read_frame
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.execution.compute import threads
from bidsapp.networks.predict import probability
from bidsapp.representation.image_rows import ImageRows
from bidsapp.saliency.attribute import (
    Lens,
    attribute,
    images_of,
    lens_of,
    logits_of,
    map_channels,
    map_names,
    units_of,
)
from bidsapp.saliency.checks import FoldChecks, check_fold
from bidsapp.saliency.component_effects import FILE, component_effects, has_components
from bidsapp.saliency.randomised import cascade
from bidsapp.saliency.stack import COLUMNS, MapStack, stack_files
from bidsapp.training.fold import load_fold
from bidsapp.training.task import FoldTask

FORMAT = 4
SHAPING = (
    *("method", "target", "absolute", "scale", "smoothing_fwhm_mm"),
    *("samples", "noise", "stage", "patch_mm"),
)


@dataclass(frozen=True)
class FoldMapsTask:
    """What one process needs to explain one fold.

    Attributes
    ----------
    task
        The trained fold.
    folder
        Of the results.
    mask
        The template's brain mask on the images' grid.
    role
        Who is explained: ``test`` or ``train``.
    checks
        Whether to randomise weights and to insert and delete voxels, too.
    """

    task: FoldTask
    folder: Path
    mask: Path
    role: str = "test"
    checks: bool = True

    @property
    def record_file(self) -> Path:
        """Written last: where it is, the maps are there."""
        return self.folder / "done.json"

    @property
    def checks_file(self) -> Path:
        """What the sanity checks need of this fold."""
        return self.folder / "checks.npz"

    @property
    def untrained_folder(self) -> Path | None:
        """Of the maps of the same people by a network that was never trained, where wanted."""
        wanted = self.checks and self.task.recipe.saliency.guided
        return self.folder / "untrained" if wanted else None

    @cached_property
    def components_file(self) -> Path | None:
        """What each component is worth to the network, where its channels are components."""
        wanted = self.role == "test" and self.checks and has_components(self.task)
        return self.folder / FILE if wanted else None

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the cohort's array that are explained."""
        return self.task.rows(self.role)

    @cached_property
    def fingerprint(self) -> str:
        """All that the maps depend on, as JSON."""
        return json.dumps(
            {
                "format": FORMAT,
                "fold": self.task.fingerprint,
                "model": file_sha256(self.task.model_file),
                "saliency": _shaping(self.task),
                "threshold": self.task.recipe.evaluation.threshold,
                "mask": file_sha256(self.mask),
                "role": self.role,
                "checks": self.checks,
                **({"components": 1} if self.components_file else {}),
            },
            sort_keys=True,
        )


def _shaping(task: FoldTask) -> dict[str, Any]:
    """Give the settings that shape a fold's maps and checks; those of the group's map do not."""
    section = task.recipe.saliency.plain()
    shaping = {key: value for key, value in section.items() if key in SHAPING}
    return shaping | ({"untrained": True} if section.get("guided") else {})


def is_explained(job: FoldMapsTask) -> bool:
    """Tell whether the folder holds the maps of this very fold with these settings."""
    found = read_record(job.record_file)
    return bool(found) and found.get("fingerprint") == job.fingerprint


def explain_fold(job: FoldMapsTask) -> Path:
    """Explain the answers of a fold's network; if that is done already, do nothing.

    Writes the fold's `MapStack`, `checks.npz` where checks are asked for, and `done.json` last.

    Returns
    -------
    Path
        The record.

    Raises
    ------
    BadData
        If the fold is not trained.
    """
    if is_explained(job):
        return job.record_file
    job.record_file.unlink(missing_ok=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    with threads(job.task.threads or torch.get_num_threads()):
        network, record = load_fold(job.task)
        lens = lens_of(job.task)
        images = images_of(job.task, job.rows, lens).loaded()
        table = _rows(job, network, lens, record, images)
        values = attribute(network, images, map_names(table), lens)
        stack = MapStack(
            table,
            values,
            map_channels(lens.settings, lens.fitted.channels(job.task.images.channels)),
            job.task.images.space,
            about_of(job.task, job.role),
        )
        stack.write(job.folder)
        if job.checks:
            checks = check_fold(job.task, network, lens, stack, job.rows, job.mask)
            _write_checks(job.checks_file, checks)
        if job.components_file:
            component_effects(job.task, network, lens, job.rows).write(job.components_file)
        if job.untrained_folder:
            drawn = untrained_maps(job.task, network, images, map_names(table), lens)
            replace(stack, values=drawn).write(job.untrained_folder)
    files = [*stack_files(job.folder), *([job.checks_file] if job.checks else [])]
    files += stack_files(job.untrained_folder) if job.untrained_folder else []
    files += [job.components_file] if job.components_file else []
    write_record(job.record_file, {"fingerprint": job.fingerprint}, files)
    return job.record_file


def untrained_maps(
    task: FoldTask, network: torch.nn.Module, images: ImageRows, names: list[str], lens: Lens
) -> np.ndarray:
    """Explain the same images by a network of the same kind whose weights are drawn anew."""
    channels = len(lens.fitted.channels(task.images.channels))
    seed = int(np.random.SeedSequence([*task.seeds, 2]).generate_state(1)[0])
    shape = task.images.space.shape
    drawn = cascade(network, task.recipe.network, channels, seed, whole_only=True, shape=shape)
    (maps,) = [attribute(one, images, names, lens) for _, one in drawn]
    return maps


def about_of(task: FoldTask, role: str) -> dict[str, Any]:
    """Say of a stack of this variant what holds whatever the fold.

    Settings that do not shape a fold's maps are left out: a stack outlives their change.
    """
    recipe = task.recipe
    return {
        "variant": task.variant,
        "method": recipe.saliency.method,
        "target": recipe.saliency.target,
        "units": units_of(recipe.saliency, recipe.representation.input_unit),
        "threshold": recipe.evaluation.threshold,
        "role": role,
    }


def _rows(
    job: FoldMapsTask,
    network: torch.nn.Module,
    lens: Lens,
    record: dict[str, Any],
    images: ImageRows,
) -> pd.DataFrame:
    """Say of each map whose it is and what the network answered."""
    task = job.task
    people = task.table.iloc[job.rows]
    if job.role == "test":
        scores = read_frame(task.scores_file, None)
        answers = scores["probability"].to_numpy()
    else:
        answers = probability(logits_of(network, images, task, lens))
    return people.assign(
        repeat=task.repeat,
        fold=task.fold,
        probability=answers,
        model_sha256=record["model_sha256"],
    )[with_part(COLUMNS, people)].reset_index(drop=True)


def _write_checks(path: Path, checks: FoldChecks) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **checks.arrays())
