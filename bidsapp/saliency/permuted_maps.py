"""Maps of pipelines on permuted outcomes, as nipype nodes: the null of the voxelwise comparison."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from nipype.interfaces.base import File, traits

from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256, plain_sha256
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.training.permuted import Beside, PermutedInput, TrainPermuted
from bidsapp.training.permuted_runs import PermutedRun
from bidsapp.training.run import TrainingRun
from bidsapp.training.task import FoldTask

FILE = "maps_null.json"


def comparable(masks: Mapping[str, Path]) -> dict[str, Path]:
    """Keep the variants whose maps lie in a space that people have in common.

    Parameters
    ----------
    masks
        Variant to the mask of where its images' values lie on their grid.
    """
    from bidsapp.spaces.files import whole_space

    return {name: mask for name, mask in masks.items() if whole_space(mask).common}


def beside(
    training: TrainingRun,
    masks: Mapping[str, Path],
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Beside:
    """Have every permuted pipeline explain its held-out people, before its networks are dropped.

    Parameters
    ----------
    training
        The run.
    masks
        Variant to the mask of where its images' values lie on their grid; no others are explained.
    tables
        Variant to its own cohort table, where its images are of another preparation.
    """
    covariates = dict.fromkeys(masks, training.cohort_file)
    for name, table in tables.items():
        covariates[name] = training.folder / "permuted" / f"cohort_{name}.tsv"
        make_folder(covariates[name].parent)
        write_table(covariates[name], table)
    shared = {
        "masks": {name: str(path) for name, path in masks.items()},
        "covariates": {name: str(path) for name, path in covariates.items()},
    }
    return Beside(
        MapPermuted,
        lambda run: shared | {"maps_key": maps_key(run, masks)},
        lambda run: bool(_read(run, masks)),
    )


def maps_key(run: PermutedRun, masks: Mapping[str, Path]) -> str:
    """Hash all that a permutation's largest statistics depend on."""
    sections = {task.variant: task.recipe.saliency.plain() for task in run.tasks}
    prints = {name: file_sha256(mask) for name, mask in masks.items()}
    return plain_sha256([run.key, sections, prints])


def write_largest(folder: Path, key: str, largest: Mapping[str, tuple[float, float]]) -> None:
    """Write the largest |t| and enhancement over voxels of each variant of one permutation."""
    write_record(folder / FILE, {"key": key, "largest": {k: list(v) for k, v in largest.items()}})


def read_nulls(runs: Sequence[PermutedRun], masks: Mapping[str, Path]) -> dict[str, VoxelNull]:
    """Collect the nulls of the variants from permutations that were explained."""
    found: dict[str, list[Sequence[float]]] = {}
    tested: dict[str, bool] = {}
    for run in runs:
        for variant, largest in _read(run, masks).items():
            found.setdefault(variant, []).append(largest)
        tested |= {task.variant: task.recipe.saliency.tfce for task in run.tasks}
    nulls = {}
    for variant, rows in found.items():
        t, tfce = np.array(rows, float).T
        nulls[variant] = VoxelNull(t, tfce if tested[variant] else None)
    return nulls


def _read(run: PermutedRun, masks: Mapping[str, Path]) -> dict[str, Any]:
    """Read what a permutation's maps gave; empty where that is not there, or of other settings."""
    content = read_record(run.folder / FILE)
    return dict(content["largest"]) if content.get("key") == maps_key(run, masks) else {}


class _MappedInput(PermutedInput):
    masks = traits.Dict(traits.Str(), File(exists=True), mandatory=True,
        desc="variant that is explained to the mask of its images' grid")  # fmt: skip
    covariates = traits.Dict(traits.Str(), File(exists=True), mandatory=True,
        desc="variant to a table of its people")  # fmt: skip
    maps_key = traits.Str(mandatory=True, desc="hash of all that the statistics depend on")


class MapPermuted(TrainPermuted):
    """Train, score and explain every fold of one permutation; keep the largest statistics."""

    input_spec = _MappedInput

    def _used(self, task: FoldTask) -> bool:
        from bidsapp.derivatives.sealed import read_record

        if task.variant not in self.inputs.masks:
            return True
        try:
            made = _mark(task).read_text(encoding="utf-8") == self._key(task)
        except (OSError, UnicodeDecodeError):
            return False
        return made and bool(read_record(_maps(task) / "done.json"))

    def _use(self, task: FoldTask) -> None:
        from bidsapp.derivatives import write_text
        from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold

        if task.variant not in self.inputs.masks:
            return
        mask = Path(self.inputs.masks[task.variant])
        explain_fold(FoldMapsTask(task, _maps(task), mask, "test", checks=False))
        write_text(_mark(task), self._key(task))

    def _finish(self, tasks: Sequence[FoldTask]) -> None:
        largest = {}
        for variant in dict.fromkeys(task.variant for task in tasks):
            if variant in self.inputs.masks:
                largest[variant] = self._largest([one for one in tasks if one.variant == variant])
        write_largest(Path(self.inputs.record).parent, self.inputs.maps_key, largest)
        for task in tasks:
            if task.variant in self.inputs.masks:
                shutil.rmtree(_maps(task))

    def _largest(self, tasks: Sequence[FoldTask]) -> tuple[float, float]:
        """Compare the maps of one variant; none of their files is open after that.

        Over NFS a folder with an open file cannot be removed.
        """
        from bidsapp.saliency.group_test import largest_statistics
        from bidsapp.saliency.masks import mask_of
        from bidsapp.saliency.people import people_maps
        from bidsapp.saliency.stack import together
        from bidsapp.training.earlier_run import read_text_table

        variant, settings = tasks[0].variant, tasks[0].recipe.saliency
        covariates = read_text_table(Path(self.inputs.covariates[variant]))
        stack = together([_maps(task) for task in tasks])
        inside = mask_of(stack.space, Path(self.inputs.masks[variant]))
        people = people_maps(stack, inside, fwhm_mm=settings.smoothing_fwhm_mm)
        return largest_statistics(people, covariates, settings.covariates, settings.tfce)

    def _key(self, task: FoldTask) -> str:
        return f"{self.inputs.maps_key} {task.fingerprint}"


def _maps(task: FoldTask) -> Path:
    return task.folder / "maps"


def _mark(task: FoldTask) -> Path:
    """File that says of which fold and settings the maps are; written last."""
    return _maps(task) / "of.txt"
