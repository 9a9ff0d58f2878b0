"""How long the compact variant of teh2022 takes at the size of its study, on two processes.

Run from the repository root: ``python -m tests.benchmarks.rest_study FOLDER``. 43 synthetic people,
29 of them responders in whom one network is stronger; their series are laid into a folder as
fMRIPrep leaves them (200 volumes of 4 mm, a table of confounds). Then the command, as a user gives
it: series denoised, a group ICA and a VoxNet in each fold, baselines, maps with their checks,
report.
"""

import argparse
import json
import re
import resource
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates

from bidsapp.modalities.bold.confounds import MOTION
from bidsapp.modalities.bold.files import lay_template
from bidsapp.modalities.bold.phantom import PLANTED
from bidsapp.modalities.bold.synthetic import NETWORKS, network_maps
from bidsapp.templates.resolve import resolve_template
from tests.benchmarks.neck_study import watched

PEOPLE, RESPONDERS, VOLUMES, TR = 43, 29, 200, 2.6
MINUTES, CORES = 15, 2
_MM = 4
_NAME = f"{{}}_task-rest_space-MNI152NLin2009aSym_res-{_MM}_desc-preproc_bold"


def write_people(folder: Path, people: int) -> None:
    """Write a BIDS dataset without scans, and everybody's series beside it."""
    _, mask_file = lay_template(
        resolve_template("MNI152NLin2009aSym", home=None), "spm12", _MM, folder
    )
    image = nib.Nifti1Image.load(mask_file)
    inside = np.asarray(image.dataobj) > 0.5
    scene = network_maps()
    there = np.argwhere(inside) @ image.affine[:3, :3].T + image.affine[:3, 3]
    at = np.linalg.inv(scene.affine) @ np.column_stack([there, np.ones(len(there))]).T
    networks = np.stack([map_coordinates(one, at[:3], order=1) for one in scene.fields])
    for name in ("bids", "prepared"):
        (folder / name).mkdir(parents=True)
        about = {"Name": "synthetic people at rest", "BIDSVersion": "1.10.0"}
        (folder / name / "dataset_description.json").write_text(json.dumps(about))
    rows = []
    for number in range(people):
        who, rng = f"sub-{number + 1:02d}", np.random.default_rng([7, number])
        responder = number < round(people * RESPONDERS / PEOPLE)
        series, table = _person(rng, networks, inside, responder)
        func = folder / "prepared" / who / "func"
        func.mkdir(parents=True)
        (folder / "bids" / who).mkdir()
        made = nib.Nifti1Image(series, image.affine)
        made.header.set_xyzt_units("mm", "sec")
        made.header.set_zooms((_MM, _MM, _MM, TR))
        made.to_filename(func / f"{_NAME.format(who)}.nii.gz")
        (func / f"{_NAME.format(who)}.json").write_text(json.dumps({"RepetitionTime": TR}))
        confounds = func / f"{who}_task-rest_desc-confounds_timeseries.tsv"
        table.to_csv(confounds, sep="\t", index=False, na_rep="n/a")
        named = "responder" if responder else "non-responder"
        rows.append((who, int(rng.integers(40, 75)), "FM"[int(rng.integers(2))], named))
    columns = ["participant_id", "age", "sex", "lidocaine_response"]
    pd.DataFrame(rows, columns=columns).to_csv(
        folder / "bids" / "participants.tsv", sep="\t", index=False
    )


def _person(
    rng: np.random.Generator, networks: np.ndarray, inside: np.ndarray, responder: bool
) -> tuple[np.ndarray, pd.DataFrame]:
    """Networks with courses of their own, a motion that shows, and noise, int16 (X, Y, Z, T)."""
    strength = 8 * np.exp(0.15 * rng.standard_normal(len(networks)))
    strength[list(NETWORKS).index(PLANTED)] *= 2 if responder else 1
    courses = gaussian_filter(rng.standard_normal((VOLUMES, len(networks))), (1, 0))
    courses = courses / courses.std(axis=0) * strength
    motion = np.cumsum(rng.standard_normal((VOLUMES, 6)), axis=0) * [0.02] * 6
    motion *= [1, 1, 1, 0.01, 0.01, 0.01]
    values = courses @ networks + 12 * rng.standard_normal((VOLUMES, networks.shape[1]))
    values += np.outer(motion[:, 0], 20 * rng.standard_normal(networks.shape[1])) + 1000
    series = np.zeros((*inside.shape, VOLUMES), np.int16)
    series[inside] = np.rint(values).T
    table = pd.DataFrame(motion, columns=list(MOTION))
    for column in MOTION:
        table[f"{column}_derivative1"] = table[column].diff()
    for prefix in ("w_comp_cor_", "c_comp_cor_"):
        for number in range(5):
            table[f"{prefix}{number:02d}"] = rng.standard_normal(VOLUMES)
    steps = np.abs(np.diff(motion, axis=0)) @ [1, 1, 1, 50, 50, 50]
    table["framewise_displacement"] = np.r_[np.nan, steps]
    return series, table


def study(folder: Path, people: int, words: list[str]) -> float:
    """Run the group level and print what it took; gives its CPU minutes."""
    for name in ("out", "work"):  # nothing of an earlier run may be kept
        shutil.rmtree(folder / name, ignore_errors=True)
    if not (folder / "bids").is_dir():
        write_people(folder, people)
    command = [sys.executable, "-m", "bidsapp", str(folder / "bids"), str(folder / "out"), "group"]
    command += ["--recipe", "teh2022", "--variants", "compact", "--skip-bids-validation"]
    command += ["-d", f"fmriprep={folder / 'prepared'}", "-w", str(folder / "work")]
    command += ["--nprocs", str(CORES), "--omp-nthreads", "1", "--device", "cpu", *words]
    lines = watched(command)
    marks = {"series denoised": r"Cohort: ", "all trained": r"\[(\d+)/\1\] .*: done"}
    for name, pattern in marks.items():
        wall, cpu, _ = next(line for line in lines if re.match(pattern, line[2]))
        print(f"{name} after {cpu / 60:.1f} CPU min, {wall / 60:.1f} min")
    wall, cpu, _ = lines[-1]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"{people} people with baselines, maps, checks and report: {cpu / 60:.1f} CPU min on "
        f"{CORES} processes (bar {MINUTES * CORES}), {wall / 60:.1f} min; largest process "
        f"{peak:.1f} GB"
    )
    return cpu / 60


def main() -> int:
    """Run the study, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rest_study")
    parser.add_argument("folder", type=Path, help="where people and results go")
    parser.add_argument("--people", type=int, default=PEOPLE, help="fewer, to try it")
    parser.add_argument("words", nargs="*", help="further words of the command")
    given = parser.parse_args()
    cpu = study(given.folder, given.people, given.words)
    return 0 if cpu <= MINUTES * CORES else 1


if __name__ == "__main__":
    raise SystemExit(main())
