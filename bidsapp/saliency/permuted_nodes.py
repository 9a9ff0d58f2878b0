"""One permutation of the whole pipeline whose networks are explained, as a nipype node."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nipype.interfaces.base import File, traits

from bidsapp.training.permuted import PermutedInput, TrainPermuted

if TYPE_CHECKING:
    from bidsapp.training.task import FoldTask


class _MappedInput(PermutedInput):
    masks = traits.Dict(traits.Str(), File(exists=True), mandatory=True,
        desc="variant that is explained to the mask of its images' grid")  # fmt: skip
    covariates = traits.Dict(traits.Str(), File(exists=True), mandatory=True,
        desc="variant to a table of its people")  # fmt: skip
    maps_key = traits.Str(mandatory=True, desc="hash of all that the statistics depend on")


class MapPermuted(TrainPermuted):
    """Train, score and explain every fold of one permutation; keep the largest statistics."""

    input_spec = _MappedInput

    def _used(self, task: "FoldTask") -> bool:
        from bidsapp.derivatives.sealed import read_record

        if task.variant not in self.inputs.masks:
            return True
        try:
            made = _mark(task).read_text(encoding="utf-8") == self._key(task)
        except (OSError, UnicodeDecodeError):
            return False
        return made and bool(read_record(_maps(task) / "done.json"))

    def _use(self, task: "FoldTask") -> None:
        from bidsapp.derivatives import write_text
        from bidsapp.saliency.fold_maps import FoldMapsTask, explain_fold

        if task.variant not in self.inputs.masks:
            return
        mask = Path(self.inputs.masks[task.variant])
        explain_fold(FoldMapsTask(task, _maps(task), mask, "test", checks=False))
        write_text(_mark(task), self._key(task))

    def _finish(self, tasks: "Sequence[FoldTask]") -> None:
        from bidsapp.saliency.group_test import largest_statistics
        from bidsapp.saliency.masks import mask_of
        from bidsapp.saliency.people import people_maps
        from bidsapp.saliency.permuted_maps import write_largest
        from bidsapp.saliency.stack import join, read_stack
        from bidsapp.training.earlier_run import read_text_table

        largest = {}
        for variant in dict.fromkeys(task.variant for task in tasks):
            if variant not in self.inputs.masks:
                continue
            covariates = read_text_table(Path(self.inputs.covariates[variant]))
            own = [task for task in tasks if task.variant == variant]
            stack = join([read_stack(_maps(task)) for task in own])
            settings = own[0].recipe.saliency
            inside = mask_of(stack.space, Path(self.inputs.masks[variant]))
            people = people_maps(stack, inside, fwhm_mm=settings.smoothing_fwhm_mm)
            largest[variant] = largest_statistics(
                people, covariates, settings.covariates, settings.tfce
            )
        write_largest(Path(self.inputs.record).parent, self.inputs.maps_key, largest)
        for task in tasks:
            if task.variant in self.inputs.masks:
                shutil.rmtree(_maps(task))

    def _key(self, task: "FoldTask") -> str:
        return f"{self.inputs.maps_key} {task.fingerprint}"


def _maps(task: "FoldTask") -> Path:
    return task.folder / "maps"


def _mark(task: "FoldTask") -> Path:
    """File that says of which fold and settings the maps are; written last."""
    return _maps(task) / "of.txt"
