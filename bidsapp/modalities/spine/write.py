"""The node of one injection: region, sidecars and page into the output folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from bidsapp.execution.failures import Step

_SOFTWARE = ("nocicast", "numpy", "scipy", "nibabel", "nipype")


class _WriteInputs(BaseInterfaceInputSpec):
    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    command = traits.Str("", usedefault=True, desc="the command line, for the page")
    nthreads = traits.Int(1, usedefault=True)


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteRegion(Step):
    """Cut the region of an injection out, judge it, and put all files in place together."""

    input_spec = _WriteInputs
    output_spec = _WriteOutputs

    def _work(self, folder: Path) -> None:
        import time

        from bidsapp.contracts.modality import job_of
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.execution.compute import threads
        from bidsapp.modalities.spine.files import write_region_files
        from bidsapp.modalities.spine.page import RegionReport, write_region_report
        from bidsapp.modalities.spine.settings import SpinePreparation
        from bidsapp.modalities.spine.steps import facts_of, prepare

        job = job_of(self.inputs.job)
        names, provenance = job.names, job.provenance
        keys = SpinePreparation.model_fields
        told = {key: value for key, value in provenance.settings.items() if key in keys}
        with threads(self.inputs.nthreads):
            began = time.process_time()
            done = prepare(job.scan, job.part, SpinePreparation.model_validate(told))
            spent = round(time.process_time() - began, 3)
            facts = facts_of(done)

            def data(staging: Path) -> dict[str, Any]:
                files = [staging / names[key] for key in ("slice", "region", "picture")]
                write_region_files(done.region, *files)
                return facts

            def page(staging: Path, said: Mapping[str, Any], path: Path) -> None:
                report = RegionReport(
                    names, provenance, done.quality, said, staging, self.inputs.command
                )
                write_region_report(report, path)

            write_unit(
                names,
                provenance,
                done.quality,
                data=data,
                page=page,
                records=[{"notes": list(done.notes), "seconds": {"region": spent}}],
                software=_SOFTWARE,
                threads=self.inputs.nthreads,
            )
        self._results["verdict"] = done.quality["verdict"]
