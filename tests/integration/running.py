"""Runs of the app as a user starts it, and what they leave on the disk."""

import hashlib
import json
import os
import subprocess
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from bidsapp.dataset.validation import find_validator

TIMEOUT = 1200


def command(*arguments: object) -> list[str]:
    """How the app is started."""
    return [sys.executable, "-m", "bidsapp", *map(str, arguments)]


def environment() -> dict[str, str]:
    """One thread a process, as several run side by side."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    bids_dir: Path
    output_dir: Path
    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """Everything on the terminal."""
        return self.stdout + self.stderr

    def sidecar(self, label: str) -> dict[str, Any]:
        """Sidecar of a participant's normalised T1w."""
        return json.loads(find(self.output_dir, label, "_desc-preproc_T1w.json").read_text())


def run_app(bids_dir: Path, output_dir: Path, *arguments: object) -> Ended:
    """Run the participant level on two CPUs."""
    parts = command(bids_dir, output_dir, "participant", "--nprocs", 2, *arguments)
    done = subprocess.run(
        parts, env=environment(), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    return Ended(bids_dir, output_dir, done.returncode, done.stdout, done.stderr)


def find(output_dir: Path, label: str, ending: str) -> Path:
    """The one file of a participant that ends so."""
    found = list((output_dir / f"sub-{label}").rglob(f"*{ending}"))
    assert len(found) == 1, f"{len(found)} files of sub-{label} end with {ending}"
    return found[0]


def voxels(output_dir: Path, label: str, ending: str) -> np.ndarray:
    """Voxels of one of a participant's images."""
    return np.asarray(nib.Nifti1Image.load(find(output_dir, label, ending)).dataobj)


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its relative path; folders are named too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = digest
    return found


LISTS = Path(__file__).parents[1] / "data"
WRITE = "NOCICAST_WRITE_EXPECTED"
"""Set in the environment, it makes the lists anew instead of comparing with them."""


def as_expected(name: str, *folders: Path) -> None:
    """Compare the files below folders with a list that people read: tests/data/expected_*.txt."""
    found = sorted(
        str(path.relative_to(folder.parent))
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    )
    listed = LISTS / f"expected_{name}.txt"
    if WRITE in os.environ:
        listed.parent.mkdir(exist_ok=True)
        listed.write_text("\n".join(found) + "\n", encoding="utf-8")
    assert found == listed.read_text(encoding="utf-8").splitlines()


def image_hashes(output_dir: Path, *labels: str) -> dict[str, str]:
    """SHA-256 of the images and transforms of some participants, or of all."""
    return {
        name: digest
        for name, digest in tree(output_dir).items()
        if name.endswith((".nii.gz", ".h5"))
        and name.startswith("sub-")
        and (not labels or name.split("/")[0].removeprefix("sub-") in labels)
    }


def validation_errors(dataset: Path) -> tuple[int, list[str]]:
    """Status and errors of the BIDS validator."""
    program = find_validator()
    assert program is not None
    done = subprocess.run(
        [program, str(dataset), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [f"{i['code']} {i.get('location')}" for i in issues if i.get("severity") == "error"]
    return done.returncode, errors


def described(table: Path) -> dict[str, Any]:
    """The data dictionary of a table, which must name its columns, each with words."""
    told = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert list(told) == table.read_text(encoding="utf-8").split("\n", 1)[0].split("\t"), table
    for column, words in told.items():
        assert len(words["Description"]) > 8, (table, column)
        assert set(words) <= {"Description", "Units", "Levels"}
    return told


def telling(output_dir: Path, *secrets: str) -> list[str]:
    """Files outside of work and logs that hold one of the words, in their names or unpacked."""
    found = []
    for path in sorted(output_dir.rglob("*")):
        inside = path.relative_to(output_dir)
        if inside.parts[0] == "work" or "logs" in inside.parts or not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            with suppress(zlib.error):  # an image that was damaged on purpose
                content = content[:100] + zlib.decompress(content, 31)
        if any(word.encode() in content or word in str(inside) for word in secrets):
            found.append(str(inside))
    return found


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks."""
    one, other = one > 0, other > 0
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def carried(image: Path, reference: Path, transform: Path) -> np.ndarray:
    """Bring a label map onto another grid with a transform file, as any ITK tool does."""
    moved = sitk.Resample(
        sitk.ReadImage(str(image)),
        sitk.ReadImage(str(reference)),
        sitk.ReadTransform(str(transform)),
        sitk.sitkNearestNeighbor,
    )
    return sitk.GetArrayFromImage(moved).T


def centre_mm(mask: np.ndarray, image: Path) -> np.ndarray:
    """Centre of a mask on the grid of an image, RAS mm."""
    centre = np.argwhere(mask).mean(axis=0)
    return (nib.Nifti1Image.load(image).affine @ (*centre, 1))[:3]
