"""The node of one head in its own space: box, sidecars and page into the output folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from bidsapp.execution.failures import Step

_SOFTWARE = ("nocicast", "numpy", "scipy", "nibabel", "deepbet", "torch", "nipype")


class _WriteInputs(BaseInterfaceInputSpec):
    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    command = traits.Str("", usedefault=True, desc="the command line, for the page")
    device = traits.Str("cpu", usedefault=True, desc="auto, cpu, cuda or cuda:<index>")
    nthreads = traits.Int(1, usedefault=True)


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteHead(Step):
    """Lay a head into its box, judge it, and put all files in place together."""

    input_spec = _WriteInputs
    output_spec = _WriteOutputs

    def _work(self, folder: Path) -> None:
        import time

        from bidsapp.contracts.modality import job_of
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.drawing.thumbnails import thumbnail
        from bidsapp.execution.compute import has_bfloat16, resolve_device, threads
        from bidsapp.modalities.t1w.native.files import write_box
        from bidsapp.modalities.t1w.native.page import report_of, write_head_report
        from bidsapp.modalities.t1w.native.settings import NativePreparation
        from bidsapp.modalities.t1w.native.steps import prepare

        given = self.inputs
        job = job_of(given.job)
        names, provenance = job.names, job.provenance
        keys = NativePreparation.model_fields
        told = {key: value for key, value in provenance.settings.items() if key in keys}
        settings = NativePreparation.model_validate(told)
        with threads(given.nthreads):
            began = time.process_time()
            device = resolve_device(given.device)
            done = prepare(job.scan.main.path, settings, device)
            spent = round(time.process_time() - began, 3)

            def data(staging: Path) -> dict[str, Any]:
                write_box(staging / names[names.main.key], done.values, done.grid.affine)
                mask = done.brain.astype("uint8")
                write_box(staging / names["own_mask"], mask, done.grid.affine)
                return done.facts

            def page(staging: Path, said: Mapping[str, Any], path: Path) -> None:
                report = report_of(names, provenance, done.quality, said, staging, given.command)
                write_head_report(report, path)

            write_unit(
                names,
                provenance,
                done.quality,
                data=data,
                page=page,
                records=[{"notes": done.notes, "seconds": {"head": spent}}],
                software=_SOFTWARE,
                device=str(device),
                precision="bfloat16" if has_bfloat16(device) else "float32",
                threads=given.nthreads,
            )
            thumbnail(names, provenance.key)
        self._results["verdict"] = done.quality["verdict"]
