"""Small studies for the group level: normalised images with a planted cuboid, tables, a recipe."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from bidsapp.cli import main
from tests.integration.running import TIMEOUT, Ended, command, environment

SPACE = "MNI152NLin2009aSym"
GRIDS = {1: (157, 189, 156), 2: (79, 95, 79)}
ORIGIN = (-78.0, -112.0, -70.0)
CUBOID_MM = (slice(-20, 20), slice(-40, 0), slice(-10, 30))  # right, anterior, superior

RECIPE = """\
name: small
summary: A compact network on six axial slices, for tests
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 6}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, weights: random}
training: {epochs: 2, batch_size: 4, lr: {head: 1e-3, backbone: 1e-3}, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 200}
variants:
  sagittal: {representation: {plane: sagittal, slices: 10}}
  paper:
    mode: paper
    representation.zscore: dataset
    evaluation.best_fold: true
    saliency.folds: best
  both: {representation.channels: [t1w, log_jacobian]}
  pretrained: {network.weights: medicalnet}
ensembles:
  mean: {of: [base, sagittal], rule: mean}
"""


def affine_of(resolution: int) -> np.ndarray:
    """Voxel to millimetre of the app's grids."""
    affine = np.diag([resolution, resolution, resolution, 1.0])
    affine[:3, 3] = ORIGIN
    return affine


def brain(seed: int, positive: bool, resolution: int = 2) -> np.ndarray:
    """Noise in blocks of 8 voxels, 0 to .5; positives have a cuboid of 1."""
    shape = GRIDS[resolution]
    coarse = np.random.default_rng(seed).random([n // 8 + 1 for n in shape], np.float32) / 2
    whole = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[tuple(slice(n) for n in shape)]
    if positive:
        box = [
            slice(int((part.start - o) / resolution), int((part.stop - o) / resolution))
            for part, o in zip(CUBOID_MM, ORIGIN, strict=True)
        ]
        whole[tuple(box)] = 1
    return whole


def save(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    """Write an image and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)


def write_normalised(out: Path, who: str, voxels: np.ndarray, **quality: object) -> None:
    """Write what the participant level writes of ``sub-01`` or ``sub-01_ses-1`` on a grid."""
    resolution = next(res for res, shape in GRIDS.items() if shape == voxels.shape)
    stem = f"{who}_space-{SPACE}_res-{resolution}_desc"
    folder, affine = out.joinpath(*who.split("_"), "anat"), affine_of(resolution)
    save(folder / f"{stem}-preproc_T1w.nii.gz", voxels, affine)
    save(folder / f"{stem}-logjacobian_statmap.nii.gz", voxels - np.float32(0.5), affine)
    source = hashlib.sha256(voxels.tobytes()).hexdigest()
    verdict = {"verdict": "pass", "reasons": []} | quality
    content = {"Quality": verdict, "SourceSHA256": source}
    (folder / f"{stem}-preproc_T1w.json").write_text(json.dumps(content))


def write_dataset(bids: Path, table: Sequence[Sequence[object]], columns: Sequence[str]) -> None:
    """Write a dataset's description, its participants.tsv and the participants' folders."""
    bids.mkdir(parents=True, exist_ok=True)
    description = {"Name": "Small study", "BIDSVersion": "1.10.0"}
    (bids / "dataset_description.json").write_text(json.dumps(description))
    lines = ["\t".join(map(str, row)) for row in ((*columns,), *table)]
    (bids / "participants.tsv").write_text("\n".join(lines) + "\n")
    for row in table:
        (bids / str(row[0])).mkdir(exist_ok=True)


def make_study(root: Path, people: int = 16) -> None:
    """Write ``bids``, ``out`` and ``small.yaml``; every second participant is positive."""
    rows = []
    for i in range(people):
        who, positive = f"sub-{i:02d}", bool(i % 2)
        write_normalised(root / "out", who, brain(i, positive))
        rows.append((who, "yes" if positive else "no", 20 + 3 * i % 50, "FM"[i // 2 % 2]))
    write_dataset(root / "bids", rows, ("participant_id", "chronic", "age", "sex"))
    (root / "small.yaml").write_text(RECIPE)


def copy_study(source: Path, target: Path) -> Path:
    """Copy a study; large files, which the app only ever replaces whole, are linked."""

    def link(one: str, other: str) -> None:
        if one.endswith((".nii.gz", ".safetensors", ".npy")):
            os.link(one, other)
        else:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)
    return target


def group_arguments(root: Path, *arguments: object, maps: bool = False) -> tuple[Any, ...]:
    """Arguments of a group run of a study, on one CPU; maps take longer than all the rest."""
    fixed: tuple[object, ...] = ("--recipe", root / "small.yaml", "--device", "cpu", "--nprocs", 1)
    if not maps:
        fixed = (*fixed, "--no-saliency")
    return (root / "bids", root / "out", "group", *fixed, *arguments)


def run_group(root: Path, *arguments: object) -> Ended:
    """Run the group level on a small study as a user does."""
    return start(*group_arguments(root, *arguments))


def start(bids_dir: Path, output_dir: Path, *arguments: object) -> Ended:
    """Run the app as a user does; the level is among the arguments."""
    done = subprocess.run(
        command(bids_dir, output_dir, *arguments),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Ended(bids_dir, output_dir, done.returncode, done.stdout, done.stderr)


def table_of(path: Path) -> pd.DataFrame:
    """A table of the app's, every value as it is written."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def tell_settings(out: Path, **settings: object) -> None:
    """Let the sidecars of all images of T1w tell what they were made with, as those of the app."""
    usual = {"template": SPACE, "resolution": 2, "box": "spm12", "intensity": "minmax", "seed": 0}
    for path in out.glob("sub-*/**/*desc-preproc_T1w.json"):
        content = json.loads(path.read_text())
        told = usual | {"speed": "default", "version": "0.1.0"} | settings
        path.write_text(json.dumps(content | {"Settings": told}))


def first_run(folder: Path) -> Ended:
    """A study and a run of two variants and their mean, which several tests look at."""
    make_study(folder)
    tell_settings(folder / "out", speed="fast")  # not what its recipe says
    return run_group(folder, "--variants", "mean")


def rerun(root: Path, *arguments: object, maps: bool = False) -> int:
    """Run the group level in this process, which has everything imported already."""
    try:
        return main([str(argument) for argument in group_arguments(root, *arguments, maps=maps)])
    except SystemExit as stop:
        return int(stop.code or 0)
