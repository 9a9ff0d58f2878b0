"""The node of one BOLD series: every step, then data, sidecars and page into the output folder."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import File

from bidsapp.contracts.job import Job
from bidsapp.contracts.prepared import UnitPage
from bidsapp.execution.write_node import Done, WriteInputs, WriteUnit

if TYPE_CHECKING:
    import numpy as np


class _Inputs(WriteInputs):
    template_mask = File(exists=True, mandatory=True, desc="brain mask on the output grid")


class WriteSeries(WriteUnit):
    """Prepare, denoise and judge a series, and put all its files in place together."""

    input_spec = _Inputs
    software = (
        *("nocicast", "numpy", "scipy", "nibabel", "nilearn", "nipype", "torch", "SimpleITK"),
        "picsl-greedy",
    )

    def _done(self, job: Job) -> Done:
        from bidsapp.execution.compute import resolve_device
        from bidsapp.modalities.bold import files, steps
        from bidsapp.modalities.bold.field import Susceptibility, measured_field
        from bidsapp.modalities.bold.page import write_series_page
        from bidsapp.modalities.bold.quality import measure
        from bidsapp.modalities.bold.reading import read_run

        names, settings = job.names, job.provenance.settings
        mask_file = Path(self.inputs.template_mask)
        seconds: dict[str, float] = {}
        device = resolve_device(self.inputs.device)
        with _timed(seconds, "reading"):
            anatomy = files.anatomy_of(job)
            metadata = files.series_metadata(job.scan, settings["slice_timing"])
            run = read_run(job.scan.main.path, metadata)

        def measured(mean: "np.ndarray") -> Susceptibility:
            return measured_field(run, mean, job.scan, metadata, device)

        with _timed(seconds, "alignment"):
            aligned = steps.align(
                run,
                anatomy,
                measured if settings.get("susceptibility") == "auto" else None,
                seed=settings["seed"],
                device=device,
                nthreads=self.inputs.nthreads,
            )
        with _timed(seconds, "resampling"):
            standard = steps.to_standard(run, aligned, anatomy, mask_file, device)
        with _timed(seconds, "confounds"):
            confounds = steps.confounds_in(standard, aligned, run.timing.tr)
        with _timed(seconds, "denoising"):
            cleaned = steps.denoise(
                standard.series,
                standard.covered,
                standard.mask,
                standard.affine,
                confounds.table,
                run.timing.tr,
                settings,
                job.scan.main.relative_path,
            )
        with _timed(seconds, "quality"):
            t1w = steps.on_grid(anatomy.normalised, mask_file)[standard.mask]
            quality = measure(run, aligned, standard, confounds.table, cleaned, t1w)
        facts = {
            "timing": {
                "tr": run.timing.tr,
                "start": run.timing.middle,
                "corrected": run.timing.slices is not None,
            },
            "confounds": settings["confounds"],
            "kept": [int(volume) for volume in cleaned.kept],
            "about_confounds": confounds.about,
            "susceptibility": aligned.field.plain(run.affine, aligned.mask),
        }
        notes = [*run.notes, *filter(None, [aligned.field.sentence])]

        def data(staging: Path) -> Mapping[str, Any]:
            grid = (standard.mask, standard.affine)
            tr = run.timing.tr
            files.write_series(staging / names["denoised"], cleaned.series, *grid, tr)
            if settings["keep_preproc"]:
                files.write_series(staging / names["preproc"], standard.series, *grid, tr)
            files.write_map(staging / names["brain_mask"], standard.covered, *grid)
            mean = standard.series.mean(axis=0)
            files.write_map(staging / names["boldref"], mean, *grid)
            files.write_table(staging / names["confounds"], confounds.table)
            files.write_rigid(staging / names["to_t1w"], aligned.to_series)
            return facts

        def page(unit: UnitPage, path: Path) -> None:
            write_series_page(unit, anatomy.normalised, mask_file, path)

        return Done(
            quality,
            data,
            page,
            records=[{"notes": notes, "seconds": seconds}],
            computed={"device": str(device), "precision": "float32"},
        )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note the CPU seconds of a step."""
    start = time.process_time()
    yield
    seconds[step] = round(time.process_time() - start, 3)
