"""The nipype workflow of one knee: measured, judged and written in one node."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from bidsapp.contracts.job import Job
from bidsapp.contracts.modality import job_of
from bidsapp.execution.failures import Step
from bidsapp.options import RunOptions

_MEMORY_GB = 2.0
_SOFTWARE = ("nocicast", "numpy", "scipy", "nibabel", "scikit-image", "torch", "nipype")


def knee_workflow(name: str, job: Job, options: RunOptions) -> Any:
    """Make the workflow of one knee.

    Parameters
    ----------
    name
        Of the workflow; its folder in the work directory.
    job
        The knee, and where its derivatives go.
    options
        Device, threads, dataset, and the command line for the page.

    Returns
    -------
    nipype Workflow
    """
    from nipype.pipeline.engine import Node, Workflow

    step = WriteKnee(
        job=job.plain(),
        bids_dir=str(options.bids_dir),
        device=options.device,
        command=options.command,
        nthreads=options.omp_nthreads,
    )
    # always run: it is only here when its files are not in the output folder
    node = Node(step, name="write", n_procs=options.omp_nthreads, mem_gb=_MEMORY_GB, overwrite=True)
    workflow = Workflow(name=name)
    workflow.add_nodes([node])
    return workflow


class _Inputs(BaseInterfaceInputSpec):
    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    bids_dir = traits.Str(mandatory=True, desc="where tables of the knee's side are")
    device = traits.Str("cpu", usedefault=True, desc="auto, cpu, cuda or cuda:<index>")
    command = traits.Str("", usedefault=True, desc="the command line, for the page")
    nthreads = traits.Int(1, usedefault=True)


class _Outputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteKnee(Step):
    """Measure a knee, judge it, and put its files and page in place together."""

    input_spec = _Inputs
    output_spec = _Outputs

    def _work(self, folder: Path) -> None:
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.drawing.thumbnails import thumbnail
        from bidsapp.execution.compute import resolve_device, threads
        from bidsapp.modalities.knee.derive import write_data_files
        from bidsapp.modalities.knee.page import write_knee_page
        from bidsapp.modalities.knee.quality import quality_of

        given = self.inputs
        job = job_of(given.job)
        settings = job.provenance.settings
        with threads(given.nthreads):
            device = str(resolve_device(given.device)) if settings["t2"] else "cpu"
            began = time.process_time()
            labels, knee, notes = _measured(job, Path(given.bids_dir), device)
            quality = quality_of(labels, knee, settings)
            record = {
                "notes": notes,
                "seconds": {"measure": round(time.process_time() - began, 3)},
            }

            def data(staging: Path) -> dict[str, Any]:
                return write_data_files(staging, job.names, labels, knee)

            def page(staging: Path, facts: Mapping[str, Any], path: Path) -> None:
                image = job.scan.main.path
                write_knee_page(
                    *(job.names, job.provenance, quality, facts, staging, image),
                    *(given.command, path),
                )

            write_unit(
                job.names,
                job.provenance,
                quality,
                data=data,
                page=page,
                records=[record],
                software=_SOFTWARE,
                device=device,
                precision="float64",
                threads=given.nthreads,
            )
            thumbnail(job.names, job.provenance.key)
        self._results["verdict"] = quality["verdict"]


def _measured(job: Job, bids_dir: Path, device: str) -> tuple[Any, Any, Sequence[str]]:
    """Read a knee's files and measure it; with what has to be noted."""
    from bidsapp.modalities.knee.echoes import read_echoes
    from bidsapp.modalities.knee.label_map import label_table, read_label_map, require_same_grid
    from bidsapp.modalities.knee.told_side import told_side
    from bidsapp.modalities.knee.whole_knee import KneeSettings, measure_knee

    settings, scan = job.provenance.settings, job.scan
    bones = tuple(settings["bones"])
    (file,) = scan.files["labels"]
    dataset = file.path.parents[len(Path(file.relative_path).parts) - 1]
    labels = read_label_map(file.path, label_table(file.path, dataset), bones)
    require_same_grid(labels, file.path, scan.main.path)
    echoes = read_echoes([one.path for one in scan.files["echoes"]]) if settings["t2"] else None
    if settings["side"] == "auto":
        told = told_side(bids_dir, scan.participant, scan.session, [scan.main.path, file.path])
    else:
        told = {"preparation.side": settings["side"]}
    chosen = KneeSettings(
        bones=bones,
        rows=settings["pixels"],
        columns=settings["pixels"],
        printed=settings["printed"],
        t2_parameters=settings["t2_parameters"],
        skip_first_echo=settings["skip_first_echo"],
    )
    knee = measure_knee(labels, told, chosen, echoes, device)
    notes = list(echoes.notes) if echoes else []
    if knee.frame.mirrored:
        notes.append("A left knee: its maps are mirrored, so that they compare with right ones.")
    return labels, knee, notes
