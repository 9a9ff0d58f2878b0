"""The node of one BOLD series: every step, then data, sidecars and page into the output folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, File, TraitedSpec, traits

from bidsapp.execution.failures import Step

_SOFTWARE = (
    *("nocicast", "numpy", "scipy", "nibabel", "nilearn", "nipype", "torch", "SimpleITK"),
    "picsl-greedy",
)


class _WriteInputs(BaseInterfaceInputSpec):
    job = traits.Dict(mandatory=True, desc="bidsapp.contracts.job.Job.plain()")
    template_mask = File(exists=True, mandatory=True, desc="brain mask on the output grid")
    command = traits.Str("", usedefault=True, desc="the command line, for the page")
    device = traits.Str("cpu", usedefault=True, desc="auto, cpu, cuda or cuda:<index>")
    nthreads = traits.Int(1, usedefault=True)


class _WriteOutputs(TraitedSpec):
    verdict = traits.Str(desc="pass, warn or fail")


class WriteSeries(Step):
    """Prepare, denoise and judge a series, and put all its files in place together."""

    input_spec = _WriteInputs
    output_spec = _WriteOutputs

    def _work(self, folder: Path) -> None:
        from bidsapp.contracts.modality import job_of
        from bidsapp.derivatives.unit import write_unit
        from bidsapp.execution.compute import resolve_device, threads
        from bidsapp.modalities.bold import files, steps
        from bidsapp.modalities.bold.page import SeriesReport, write_series_report
        from bidsapp.modalities.bold.quality import measure
        from bidsapp.modalities.bold.reading import read_run

        given = self.inputs
        job = job_of(given.job)
        names, provenance = job.names, job.provenance
        settings, mask_file = provenance.settings, Path(given.template_mask)
        seconds: dict[str, float] = {}
        with threads(given.nthreads):
            device = resolve_device(given.device)
            with _timed(seconds, "reading"):
                anatomy = files.anatomy_of(job)
                metadata = files.metadata_of(job.scan)
                if settings["slice_timing"] == "none":
                    metadata.pop("SliceTiming", None)
                run = read_run(job.scan.main.path, metadata)
            with _timed(seconds, "alignment"):
                aligned = steps.align(
                    run, anatomy, seed=settings["seed"], device=device, nthreads=given.nthreads
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
            }

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

            def page(staging: Path, said: Mapping[str, Any], path: Path) -> None:
                report = SeriesReport(
                    *(names, provenance, quality, said, staging, given.command),
                    t1w=anatomy.normalised,
                    template_mask=mask_file,
                )
                write_series_report(report, path)

            write_unit(
                names,
                provenance,
                quality,
                data=data,
                page=page,
                records=[{"notes": run.notes, "seconds": seconds}],
                software=_SOFTWARE,
                device=str(device),
                precision="float32",
                threads=given.nthreads,
            )
        self._results["verdict"] = quality["verdict"]


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note the CPU seconds of a step."""
    import time

    start = time.process_time()
    yield
    seconds[step] = round(time.process_time() - start, 3)
