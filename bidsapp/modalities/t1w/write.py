"""The last node of the participant level: derivatives and report into the output folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step

# Whose versions shape the result.
_SOFTWARE = (
    "nocicast",
    "numpy",
    "nibabel",
    "SimpleITK",
    "deepbet",
    "picsl-greedy",
    "torch",
    "nipype",
)


class _WriteInputs(BaseInterfaceInputSpec):
    head = File(exists=True, mandatory=True)
    head_mask = File(exists=True, mandatory=True)
    corrected = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    affine = File(exists=True, mandatory=True)
    field = File(exists=True, mandatory=True)
    quality = traits.Dict(mandatory=True)
    head_record = traits.Dict(mandatory=True)
    bias_record = traits.Dict(mandatory=True)
    registration_record = traits.Dict(mandatory=True)
    quality_record = traits.Dict(mandatory=True)
    template_image = File(exists=True, mandatory=True, desc="template's brain on the output grid")
    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    command = traits.Str("", usedefault=True, desc="the command line, for the report")
    nthreads = traits.Int(1, usedefault=True)


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteDerivatives(Step):
    """Resample, write data, sidecars and report aside, and put them in place together."""

    input_spec = _WriteInputs
    output_spec = _WriteOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.contracts.modality import job_of
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.drawing.thumbnails import thumbnail
        from bidsapp.execution.compute import threads
        from bidsapp.modalities.t1w.derive import Finished, write_data_files
        from bidsapp.modalities.t1w.page import report_of, write_participant_report

        given = self.inputs
        job = job_of(given.job)
        names, provenance = job.names, job.provenance
        records = [
            given.head_record,
            given.bias_record,
            given.registration_record,
            given.quality_record,
        ]
        unit = given.head_record.get("unit", 1.0)
        finished = Finished(
            given.corrected,
            given.mask,
            given.affine,
            given.field,
            given.head_mask,
            qform=bool(given.quality_record.get("qform")),
        )

        def data(staging: Path) -> dict[str, Any]:
            intensity = provenance.settings["intensity"]
            return write_data_files(
                *(staging, names, job.scan.main.path, finished, given.template_image),
                *(intensity, unit),
            )

        def page(staging: Path, facts: Mapping[str, Any], path: Path) -> None:
            report = report_of(
                names,
                provenance,
                given.quality,
                facts,
                staging=staging,
                command=given.command,
                head=(Path(given.head), Path(given.head_mask)),
                template_brain=Path(given.template_image),
                unit=unit,
            )
            write_participant_report(report, path)

        with threads(given.nthreads):
            write_unit(
                names,
                provenance,
                given.quality,
                data=data,
                page=page,
                records=records,
                software=_SOFTWARE,
                device=given.head_record["device"],
                precision=given.head_record["precision"],
                threads=given.nthreads,
            )
            thumbnail(names, provenance.key)
        self._results["verdict"] = given.quality["verdict"]
