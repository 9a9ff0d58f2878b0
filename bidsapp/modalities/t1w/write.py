"""The last node of the participant level: derivatives and report into the output folder."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, traits

from bidsapp.contracts.job import Job
from bidsapp.contracts.prepared import UnitPage
from bidsapp.execution.kept_memory import kept_memory
from bidsapp.execution.write_node import Done, WriteInputs, WriteUnit


class _Inputs(WriteInputs):
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


class WriteDerivatives(WriteUnit):
    """Resample, write data, sidecars and report aside, and put them in place together."""

    input_spec = _Inputs
    software = (
        *("nocicast", "numpy", "nibabel", "SimpleITK", "deepbet", "picsl-greedy", "torch"),
        "nipype",
    )

    def _done(self, job: Job) -> Done:
        from bidsapp.modalities.t1w.derive import Finished, write_data_files
        from bidsapp.modalities.t1w.page import report_of, write_participant_report

        given = self.inputs
        unit_of_head = given.head_record.get("unit", 1.0)
        finished = Finished(
            given.corrected,
            given.mask,
            given.affine,
            given.field,
            given.head_mask,
            qform=bool(given.quality_record.get("qform")),
        )

        def data(staging: Path) -> dict[str, Any]:
            intensity = job.provenance.settings["intensity"]
            with kept_memory(every_size=True):
                return write_data_files(
                    *(staging, job.names, job.scan.main.path, finished, given.template_image),
                    *(intensity, unit_of_head),
                )

        def page(unit: UnitPage, path: Path) -> None:
            report = report_of(
                unit,
                head=(Path(given.head), Path(given.head_mask)),
                template_brain=Path(given.template_image),
                unit_of_head=unit_of_head,
            )
            write_participant_report(report, path)

        return Done(
            given.quality,
            data,
            page,
            records=[
                given.head_record,
                given.bias_record,
                given.registration_record,
                given.quality_record,
            ],
            computed={key: given.head_record[key] for key in ("device", "precision")},
        )
