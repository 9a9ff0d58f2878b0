"""What a person of 200 volumes costs, raw to denoised at 2 mm, beside their own T1w image.

``python -m tests.benchmarks.bold_cost FOLDER [--data DATA] [--volumes 200]``. The T1w image is a
real one (pumi-minitest); the series is the mean of that person's own, 64 × 64 × 36 voxels of 3.4 ×
3.4 × 4 mm, of a head that moves, whose signal changes slowly here and there, with noise. Slices
have their times and the phase is known, so that every step has its work. Both levels of the work
are one call of the app on one core; CPU seconds come from the sidecars.

A second person with the same T1w image gives what that costs once everything is loaded, a third
what 80 volumes cost with a T1w image of 1 mm (the same one, interpolated) beside those of the
second.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from bidsapp.intake.images import read_numbers
from tests.benchmarks.knee import DATA
from tests.unit.test_bold_motion import _matrices

SHAPE, SIZES, TR = (64, 64, 36), np.array([3.4, 3.4, 4.0]), 2.5
TIMES, GB, MB = 15.0, 3.0, 120.0
_WAVES, _CHANGE, _NOISE = 6, 0.01, 0.015


def series(source: np.ndarray, source_affine: np.ndarray, volumes: int) -> tuple[Any, np.ndarray]:
    """Series of a moving head, int16 (*SHAPE, volumes), and its affine."""
    rng = np.random.default_rng(0)
    centre = (source_affine @ np.append((np.array(source.shape) - 1) / 2, 1))[:3]
    affine = np.diag([*SIZES, 1.0])
    affine[:3, 3] = centre - SIZES * (np.array(SHAPE) - 1) / 2
    steps = rng.standard_normal((volumes, 6)) * [*(0.04,) * 3, *(4e-4,) * 3]
    matrices = _matrices(np.cumsum(steps, axis=0), centre)
    grid = np.indices(SHAPE).reshape(3, -1)
    points = affine @ np.vstack([grid, np.ones(grid.shape[1])])
    coefficients = spline_filter(source, 3)
    places = [gaussian_filter(rng.standard_normal(SHAPE), 3).astype("f4") for _ in range(_WAVES)]
    waves = np.stack([one / one.std() for one in places])
    hertz, phase = rng.uniform(0.01, 0.08, _WAVES), rng.uniform(0, 2 * np.pi, _WAVES)
    data = np.empty((*SHAPE, volumes), np.int16)
    scale = 1000 / np.percentile(source, 98)
    for number, matrix in enumerate(matrices):
        there = np.linalg.inv(source_affine) @ np.linalg.inv(matrix) @ points
        head = map_coordinates(coefficients, there[:3], order=3, prefilter=False).reshape(SHAPE)
        courses = np.sin(2 * np.pi * hertz * number * TR + phase).astype("f4")
        change = 1 + _CHANGE * np.tensordot(courses, waves, axes=1)
        noise = _NOISE * 1000 * rng.standard_normal(SHAPE, np.float32)
        data[..., number] = np.clip(scale * head * change + noise, 0, 32000)
    return data, affine


def write_person(folder: Path, label: str, t1w: Path, data: Any, affine: np.ndarray) -> None:
    """Write one person's T1w image and series with its times."""
    for kind in ("anat", "func"):
        (folder / label / kind).mkdir(parents=True, exist_ok=True)
    shutil.copy(t1w, folder / label / "anat" / f"{label}_T1w.nii.gz")
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = TR
    path = folder / label / "func" / f"{label}_task-rest_bold.nii.gz"
    nib.save(image, path)
    slices = np.argsort(np.r_[0 : SHAPE[2] : 2, 1 : SHAPE[2] : 2]) * TR / SHAPE[2]
    told = {
        "TaskName": "rest",
        "RepetitionTime": TR,
        "SliceTiming": slices.round(4).tolist(),
        "PhaseEncodingDirection": "j-",
        "TotalReadoutTime": 0.03,
    }
    path.with_name(f"{label}_task-rest_bold.json").write_text(json.dumps(told))


def refine(path: Path, finer: int) -> None:
    """Put an image onto voxels so many times finer along each axis, linearly."""
    values, affine = read_numbers(path)
    values = values.reshape(values.shape[:3])
    grid = np.indices([finer * size for size in values.shape]) / finer
    fine = map_coordinates(values, grid, order=1, mode="nearest")
    nib.save(nib.Nifti1Image(fine, affine @ np.diag([1 / finer] * 3 + [1])), path)


def resident_gb(process: psutil.Process) -> float:
    """Memory of a process and of all that it started, pages that they share counted twice."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total / 1e9


def seconds(out: Path, pattern: str) -> dict[str, float]:
    """CPU seconds of every step, from the one sidecar that the pattern finds."""
    (path,) = out.glob(pattern)
    told: dict[str, float] = json.loads(path.read_text())["CPUSeconds"]
    return told


def main() -> int:
    """Print seconds per step; 1 where time, memory or size pass their bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    parser.add_argument("--volumes", type=int, default=200)
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    raw, out = given.folder / "raw", given.folder / "out"
    person = given.data / "pumi-minitest" / "sub-001"
    mean, source_affine = read_numbers(person / "func" / "sub-001_task-rest_bold.nii.gz")
    data, affine = series(mean.mean(axis=-1), source_affine, given.volumes)
    t1w = person / "anat" / "sub-001_T1w.nii.gz"
    write_person(raw, "sub-01", t1w, data, affine)
    for label in ("sub-02", "sub-03"):
        write_person(raw, label, t1w, data[..., :80], affine)
    refine(raw / "sub-03" / "anat" / "sub-03_T1w.nii.gz", 2)
    (raw / "dataset_description.json").write_text('{"Name": "one series", "BIDSVersion": "1.10.0"}')
    command = [sys.executable, "-m", "bidsapp", str(raw), str(out), "participant"]
    command += ["--recipe", "teh2022", "--nprocs", "1", "--skip-bids-validation"]
    command += ["-w", str(given.folder / "work")]
    said = given.folder / "said.txt"
    with said.open("w") as words:
        process = psutil.Popen(command, stdout=words, stderr=subprocess.STDOUT)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, resident_gb(process))
            time.sleep(0.1)
    if process.returncode:
        print(said.read_text(), file=sys.stderr)
        return 2
    bold = seconds(out, "sub-01/func/*_desc-denoised_bold.json")
    other = seconds(out, "sub-02/anat/*_desc-preproc_T1w.json")["total"]
    coarse, fine = (
        seconds(out, f"{label}/func/*_desc-denoised_bold.json")["total"]
        for label in ("sub-02", "sub-03")
    )
    size = sum(one.stat().st_size for one in (out / "sub-01" / "func").iterdir()) / 1e6
    print(f"{given.volumes} volumes of {' × '.join(map(str, SHAPE))} voxels, raw to denoised, 2 mm")
    for step, spent in bold.items():
        print(f"{step:<12}{spent:7.1f} s of CPU")
    times = bold["total"] / other
    each = bold["total"] / given.volumes * 1000 / 60
    print(f"the T1w image of the same head {other:.1f} s: {times:.1f} times (bar: {TIMES:g})")
    print(f"80 volumes {coarse:.1f} s; with a T1w image of 1 mm in place of 2 mm {fine:.1f} s")
    print(f"peak memory {peak:.2f} GB (bar: {GB:g}); {size:.0f} MB of files (bar: {MB:g})")
    print(
        f"per 1,000 volumes: {each:.0f} minutes of one core; fMRIPrep is published to take about "
        "30 minutes of 20 cores"
    )
    return int(times > TIMES or peak > GB or size > MB)


if __name__ == "__main__":
    sys.exit(main())
