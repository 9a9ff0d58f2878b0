"""nipype nodes of the normalisation: typed files in, typed files out.

Each node ends with a ``record``: CPU seconds and whatever the sidecars will say of its step.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    TraitedSpec,
    traits,
)

from bidsapp.execution.failures import Step


class _Inputs(BaseInterfaceInputSpec):
    nthreads = traits.Int(1, usedefault=True, desc="threads that this step may use")


@contextmanager
def _measured(record: dict[str, Any], step: str, nthreads: int) -> Iterator[None]:
    """Hold the block to its threads and note the CPU seconds it took."""
    from bidsapp.execution.compute import threads
    from bidsapp.execution.kept_memory import kept_memory

    start = time.process_time()
    with threads(nthreads), kept_memory(every_size=True):
        yield
    record.setdefault("seconds", {})[step] = round(time.process_time() - start, 3)


class _ExtractBrainInputs(_Inputs):
    t1w = File(exists=True, mandatory=True, desc="T1w image of the dataset")
    device = traits.Str("cpu", usedefault=True, desc="auto, cpu, cuda or cuda:<index>")
    speed = traits.Str("default", usedefault=True, desc="fast, default or precise")


class _ExtractBrainOutputs(TraitedSpec):
    head = File(exists=True, desc="checked image, float32, RAS order")
    mask = File(exists=True, desc="brain mask on the grid of head")
    record = traits.Dict(desc="seconds, notes, doubts, unit")


class ExtractBrain(Step):
    """Read, check and repair a T1w image, and find its brain."""

    input_spec = _ExtractBrainInputs
    output_spec = _ExtractBrainOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.execution.compute import has_bfloat16, resolve_device
        from bidsapp.modalities.t1w import files, steps
        from bidsapp.modalities.t1w.brainmask import extract_brain
        from bidsapp.modalities.t1w.reading import read_head
        from bidsapp.modalities.t1w.speeds import speed_named

        record: dict[str, Any] = {}

        with _measured(record, "brain_mask", self.inputs.nthreads):
            device = resolve_device(self.inputs.device)
            head = read_head(Path(self.inputs.t1w))
            grid = speed_named(self.inputs.speed).mask_grid
            mask = extract_brain(head, device, grid=grid)
            mask = steps.measured(head, mask, f"{self.inputs.t1w}: ")
            record.update(
                notes=head.notes,
                orientation_known=head.orientation_known,
                unit=head.unit,
                doubts=head.doubts,
                qform_affine=None if head.qform_affine is None else head.qform_affine.tolist(),
                device=str(device),
                precision="bfloat16" if has_bfloat16(device) else "float32",
            )
            self._results["head"] = files.write_array(folder / "head.nii", head.data, head.affine)
            self._results["mask"] = files.write_array(folder / "mask.nii", mask, head.affine)
        self._results["record"] = record


class _CorrectBiasInputs(_Inputs):
    head = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    speed = traits.Str(mandatory=True, desc="fast, default or precise")


class _CorrectBiasOutputs(TraitedSpec):
    corrected = File(exists=True, desc="bias-corrected image, cropped to the brain and a margin")
    mask = File(exists=True, desc="brain mask on the cropped grid")
    record = traits.Dict(desc="seconds, notes")


class CorrectBias(Step):
    """Crop to the brain and divide by the bias field."""

    input_spec = _CorrectBiasInputs
    output_spec = _CorrectBiasOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.modalities.t1w import files, steps
        from bidsapp.modalities.t1w.speeds import speed_named

        record: dict[str, Any] = {}

        with _measured(record, "bias_field", self.inputs.nthreads):
            head, mask = files.read_head_and_mask(self.inputs.head, self.inputs.mask, {})
            corrected, cropped = steps.correct(head, mask, speed_named(self.inputs.speed))
            self._results["corrected"] = files.write_image(folder / "corrected.nii", corrected)
            self._results["mask"] = files.write_image(folder / "cropped.nii", cropped)
            record["notes"] = head.notes
        self._results["record"] = record


class _RegisterInputs(_Inputs):
    corrected = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    fixed = File(exists=True, mandatory=True, desc="template's brain on the registration grid")
    speed = traits.Str(mandatory=True)
    seed = traits.Int(0, usedefault=True)


class _RegisterOutputs(TraitedSpec):
    affine = File(exists=True, desc="template to participant, 4 × 4, RAS, text")
    field = File(exists=True, desc="displacements before the affine, LPS mm")
    record = traits.Dict(desc="seconds")


class Register(Step):
    """Affine and deformable registration to the template."""

    input_spec = _RegisterInputs
    output_spec = _RegisterOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.modalities.t1w import files, steps
        from bidsapp.modalities.t1w.speeds import speed_named

        record: dict[str, Any] = {}

        with _measured(record, "registration", self.inputs.nthreads):
            fixed = files.read_image(self.inputs.fixed)
            found = steps.fit(
                files.read_image(self.inputs.corrected),
                files.read_image(self.inputs.mask),
                steps.Target(fixed, fixed),
                speed_named(self.inputs.speed),
                seed=self.inputs.seed,
                nthreads=self.inputs.nthreads,
            )
            affine, field = folder / "affine.txt", folder / "field.mha"
            found.spatial.save(affine, field)
        self._results.update(affine=str(affine), field=str(field), record=record)


class _AssessInputs(_RegisterInputs):
    head = File(exists=True, mandatory=True)
    head_mask = File(exists=True, mandatory=True)
    head_record = traits.Dict(desc="record of ExtractBrain")
    affine = File(exists=True, mandatory=True)
    field = File(exists=True, mandatory=True)
    judged = File(exists=True, mandatory=True, desc="template's brain at 2 mm")
    device = traits.Str("cpu", usedefault=True)


class _AssessOutputs(TraitedSpec):
    corrected = File(exists=True)
    mask = File(exists=True)
    affine = File(exists=True)
    field = File(exists=True)
    head = File(exists=True)
    head_mask = File(exists=True)
    quality = traits.Dict(desc="bidsapp.modalities.t1w.quality.Quality.plain()")
    record = traits.Dict(desc="seconds, notes, whether the qform took the place of the sform")


class Assess(Step):
    """Judge the normalisation; where it fails, try the other form, then all orientations."""

    input_spec = _AssessInputs
    output_spec = _AssessOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.contracts.measure import FAIL
        from bidsapp.execution.compute import resolve_device
        from bidsapp.modalities.t1w import files, steps
        from bidsapp.modalities.t1w.speeds import speed_named
        from bidsapp.modalities.t1w.transform import SpatialMap

        given = self.inputs
        record: dict[str, Any] = {}
        with _measured(record, "quality", given.nthreads):
            target = steps.Target(files.read_image(given.fixed), files.read_image(given.judged))
            found = steps.Fit(
                files.read_image(given.corrected),
                files.read_image(given.mask),
                SpatialMap.load(Path(given.affine), Path(given.field)),
            )
            head, mask = files.read_head_and_mask(given.head, given.head_mask, given.head_record)
            quality = steps.assess(found, target, head, mask)
        for name in ("corrected", "mask", "affine", "field", "head", "head_mask"):
            self._results[name] = getattr(given, name)
        if quality.verdict == FAIL:
            with _measured(record, "rescue", given.nthreads):
                speed, device = speed_named(given.speed), resolve_device(given.device)
                seeds = {"seed": given.seed, "nthreads": given.nthreads}
                placed = steps.by_qform(head, target, speed, device, **seeds)
                again = placed or steps.rescue(head, target, speed, device, **seeds)
                if placed is not None:
                    record["qform"] = True
                    self._results["head"] = files.write_array(
                        folder / "head.nii", placed.head.data, placed.head.affine
                    )
                if again is not None:
                    quality = again.quality
                    record["notes"] = again.notes
                    self._results.update(files.write_fit(folder, again.fit))
                    self._results["head_mask"] = files.write_array(
                        folder / "mask.nii", again.mask, again.head.affine
                    )
        if quality.bright_share:
            record["notes"] = [*record.get("notes", []), steps.told_bright(quality)]
        self._results.update(quality=quality.plain(), record=record)
