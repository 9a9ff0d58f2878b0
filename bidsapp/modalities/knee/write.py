"""The node of one knee: measured, judged, and its files and page into the output folder."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nipype.interfaces.base import traits

from bidsapp.contracts.job import Job
from bidsapp.contracts.prepared import UnitPage
from bidsapp.errors import BadData
from bidsapp.execution.write_node import Done, WriteInputs, WriteUnit


class _Inputs(WriteInputs):
    bids_dir = traits.Str(mandatory=True, desc="where tables of the knee's side are")


class WriteKnee(WriteUnit):
    """Measure a knee, judge it, and put its files and page in place together."""

    input_spec = _Inputs
    software = ("nocicast", "numpy", "scipy", "nibabel", "scikit-image", "torch", "nipype")

    def _done(self, job: Job) -> Done:
        from bidsapp.execution.compute import resolve_device
        from bidsapp.modalities.knee.derive import write_data_files
        from bidsapp.modalities.knee.page import write_knee_page
        from bidsapp.modalities.knee.quality import quality_of

        settings = job.provenance.settings
        fits = settings["t2"] and settings["t2_from"] == "echoes"
        device = str(resolve_device(self.inputs.device)) if fits else "cpu"
        began = time.process_time()
        labels, knee, notes = _measured(job, Path(self.inputs.bids_dir), device)
        quality = quality_of(labels, knee, settings)
        seconds = {"measure": round(time.process_time() - began, 3)}

        def data(staging: Path) -> dict[str, Any]:
            return write_data_files(staging, job.names, labels, knee)

        def page(unit: UnitPage, path: Path) -> None:
            write_knee_page(unit, job.scan.main.path, path)

        return Done(
            quality,
            data,
            page,
            records=[{"notes": notes, "seconds": seconds}],
            computed={"device": device, "precision": "float64"},
        )


def _measured(job: Job, bids_dir: Path, device: str) -> tuple[Any, Any, Sequence[str]]:
    """Read a knee's files and measure it; with what has to be noted."""
    from bidsapp.intake.images import read_numbers
    from bidsapp.modalities.knee.echoes import read_echoes
    from bidsapp.modalities.knee.label_map import label_table, read_label_map, require_same_grid
    from bidsapp.modalities.knee.t2_map import metadata_of_map, read_t2_map
    from bidsapp.modalities.knee.told_side import told_side
    from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee

    settings, scan = job.provenance.settings, job.scan
    bones = tuple(settings["bones"])
    (file,) = scan.files["labels"]
    dataset = file.path.parents[len(Path(file.relative_path).parts) - 1]
    labels = read_label_map(file.path, label_table(file.path, dataset), bones)
    require_same_grid(labels, file.path, scan.main.path)
    some, (mapped,) = scan.files.get("echoes"), scan.files.get("t2_map", (None,))
    echoes = read_echoes([one.path for one in some]) if some else None
    t2_map = read_t2_map(mapped.path, metadata_of_map(mapped)) if mapped else None
    if settings["side"] == "auto":
        names = [scan.main.path, file.path]
        told = told_side(bids_dir, scan.participant, scan.session, names, job.part)
    else:
        told = {"preparation.side": settings["side"]}
    chosen = KneeSettings(
        bones=bones,
        rows=settings["pixels"],
        columns=settings["pixels"],
        printed=settings["printed"],
        t2_parameters=settings["t2_parameters"],
        skip_first_echo=settings["skip_first_echo"],
        align_echoes=settings["align_echoes"],
    )
    image = read_numbers(scan.main.path) if echoes and chosen.align_echoes else None
    try:
        knee = measure_knee(labels, told, chosen, echoes, device, image, t2_map)
    except BadData as error:  # of an array, which does not know its file
        of_map = mapped is not None and str(error).startswith(str(mapped.path))
        raise error if of_map else BadData(f"{file.path}: {error}") from None
    notes = [*labels.notes, *(echoes.notes if echoes else ())]
    if knee.echoes_at and knee.echoes_at.note:
        notes.append(knee.echoes_at.note)
    if knee.frame.mirrored:
        notes.append("A left knee: its maps are mirrored, so that they compare with right ones.")
    return labels, knee, notes
