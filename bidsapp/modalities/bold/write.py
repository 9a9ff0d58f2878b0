"""The node of one BOLD series: every step, then data, sidecars and page into the output folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import File

from bidsapp.contracts.job import Job
from bidsapp.contracts.prepared import UnitPage
from bidsapp.execution.write_node import Done, WriteInputs, WriteUnit


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
        from bidsapp.modalities.bold import files
        from bidsapp.modalities.bold.anatomy import anatomy_of
        from bidsapp.modalities.bold.page import write_series_page
        from bidsapp.modalities.bold.run_checks import each_run
        from bidsapp.modalities.bold.runs import joined, prepare_run

        names, settings = job.names, job.provenance.settings
        mask_file = Path(self.inputs.template_mask)
        device, nthreads = resolve_device(self.inputs.device), self.inputs.nthreads
        anatomy = anatomy_of(job)
        made = joined(
            [
                prepare_run(one, anatomy, mask_file, settings, device, nthreads)
                for one in each_run(job.scan)
            ]
        )
        run, aligned, standard = made.run, made.aligned, made.standard
        facts = {
            "timing": {"tr": run.timing.tr},
            "runs": [dict(one) for one in made.told],
            "confounds": settings["confounds"],
            "kept": [int(volume) for volume in made.cleaned.kept],
            "volumes": list(made.volumes),
            "about_confounds": made.confounds.about,
        }

        def data(staging: Path) -> Mapping[str, Any]:
            grid = (standard.mask, standard.affine)
            tr = run.timing.tr
            files.write_series(
                staging / names["denoised"], made.cleaned.series, *grid, tr, made.kept_of_runs()
            )
            if settings["keep_preproc"]:
                files.write_series(
                    staging / names["preproc"], standard.series, *grid, tr, made.volumes
                )
            files.write_map(staging / names["brain_mask"], standard.covered, *grid)
            mean = standard.series.mean(axis=0)
            files.write_map(staging / names["boldref"], mean, *grid)
            if settings["runs"] == "join":
                files.write_map(staging / names["run_means"], np.stack(made.means), *grid)
            files.write_table(staging / names["confounds"], made.confounds.table)
            files.write_rigid(staging / names["to_t1w"], aligned.to_series)
            return facts

        def page(unit: UnitPage, path: Path) -> None:
            write_series_page(unit, anatomy.normalised, mask_file, path)

        return Done(
            made.quality,
            data,
            page,
            records=[{"notes": made.notes, "seconds": made.seconds}],
            computed={"device": str(device), "precision": "float32"},
        )
