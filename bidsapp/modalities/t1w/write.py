"""The last node of the participant level: derivatives and report into the output folder."""

import time
from dataclasses import asdict
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
    t1w = File(exists=True, mandatory=True, desc="image of the dataset")
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
    names = traits.Dict(mandatory=True, desc="fields of OutputNames")
    provenance = traits.Dict(mandatory=True, desc="fields of Provenance")
    command = traits.Str("", usedefault=True, desc="the command line, for the report")
    nthreads = traits.Int(1, usedefault=True)


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteDerivatives(Step):
    """Resample, write data, sidecars and report aside, and put them in place together."""

    input_spec = _WriteInputs
    output_spec = _WriteOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives import OutputNames, atomic_path, publish
        from bidsapp.derivatives.atomic import make_folder
        from bidsapp.derivatives.names import sidecar_name
        from bidsapp.derivatives.sidecars import Provenance, report_mark, write_sidecars
        from bidsapp.derivatives.temporary import temporary_folder
        from bidsapp.drawing.thumbnails import thumbnail
        from bidsapp.execution.compute import threads
        from bidsapp.modalities.t1w.derive import Finished, merged_seconds, write_data_files

        given = self.inputs
        names = OutputNames(**(given.names | {"output_dir": Path(given.names["output_dir"])}))
        provenance = Provenance(**given.provenance)
        records = [
            given.head_record,
            given.bias_record,
            given.registration_record,
            given.quality_record,
        ]
        make_folder(names.output_dir)
        with temporary_folder(names.output_dir) as staging:
            began = time.process_time()
            with threads(given.nthreads):
                finished = Finished(
                    given.corrected,
                    given.mask,
                    given.affine,
                    given.field,
                    given.head_mask,
                    qform=bool(given.quality_record.get("qform")),
                )
                facts = write_data_files(
                    staging,
                    names,
                    Path(given.t1w),
                    finished,
                    given.template_image,
                    provenance.settings["intensity"],
                    given.head_record.get("unit", 1.0),
                )
                writing = {"seconds": {"derivatives": round(time.process_time() - began, 3)}}
                began = time.process_time()
                facts |= {
                    "notes": [note for record in records for note in record.get("notes", [])],
                    "software": _versions(),
                    "device": given.head_record["device"],
                    "precision": given.head_record["precision"],
                    "threads": given.nthreads,
                    "seconds": merged_seconds([*records, writing]),
                }
                report = self._report(names, provenance, facts, staging)
                with atomic_path(names.report) as page:
                    _write_report(report, page)
                    with page.open("a", encoding="utf-8") as stream:
                        stream.write(report_mark(provenance))
                spent = {"seconds": {"report": round(time.process_time() - began, 3)}}
                facts["seconds"] = merged_seconds([*records, writing, spent])
            write_sidecars(staging, names, provenance, given.quality, facts)
            publish(staging, names.folder, sidecar_name(names.preproc))
            thumbnail(names, provenance.key)
        self._results["verdict"] = given.quality["verdict"]

    def _report(self, names: Any, provenance: Any, facts: dict[str, Any], staging: Path) -> Any:
        from bidsapp.modalities.t1w.page import ParticipantReport

        given = self.inputs
        session = names.entities.get("session")
        title = f"sub-{names.entities['subject']}" + (f" ses-{session}" if session else "")
        settings = dict(asdict(provenance)["settings"])
        return ParticipantReport(
            title=title,
            source=provenance.source,
            chosen_because=provenance.selection,
            template=provenance.space,
            resolution=provenance.resolution,
            quality=dict(given.quality),
            notes=list(facts["notes"]),
            seconds={k: v for k, v in facts["seconds"].items() if k != "total"},
            settings=settings,
            versions=dict(facts["software"]),
            command=given.command,
            head=Path(given.head),
            head_mask=Path(given.head_mask),
            t1w=staging / names.preproc,
            mask=staging / names.brain_mask,
            template_brain=Path(given.template_image),
            log_jacobian=staging / names.log_jacobian,
            unit=given.head_record.get("unit", 1.0),
        )


def _write_report(report: Any, page: Path) -> None:
    from bidsapp.modalities.t1w.page import write_participant_report

    write_participant_report(report, page)


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
