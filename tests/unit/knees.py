"""Synthetic knees for tests, on disk and in memory."""

import json
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from bidsapp.modalities.knee.label_map import LabelMap
from bidsapp.modalities.knee.label_names import structures_of
from bidsapp.modalities.knee.synthetic import NAMES, Person, knee_labels, origin

SPACING = (1.3, 1.1, 1.1)
# The image lies a little askew in the scanner, and the leg beside its middle.
_TILT = nib.eulerangles.euler2mat(0.06, -0.04, 0.08)


@cache
def plain_knee() -> np.ndarray:
    return knee_labels(spacing=SPACING)


def affine_of(side: str = "R", spacing: tuple[float, ...] = SPACING) -> np.ndarray:
    """Of a right knee's array, or of its mirror image as a left leg has it."""
    affine = np.eye(4)
    affine[:3, :3] = _TILT @ np.diag(spacing)
    affine[:3, 3] = _TILT @ origin() + [70, 10, -5]
    return affine if side == "R" else np.diag([-1.0, 1, 1, 1]) @ affine


def label_map(
    data: np.ndarray | None = None,
    affine: np.ndarray | None = None,
    names: dict[int, str] | None = None,
) -> LabelMap:
    """A label map in memory; the plain right knee by default."""
    structures = structures_of(names or dict(enumerate(NAMES)), ("femur",), "table")
    array = plain_knee() if data is None else data
    return LabelMap(array.astype(np.int16), affine_of() if affine is None else affine, structures)


def without_sides(labels: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """One label for both tibial plates, as many label maps have it."""
    joined = np.where(labels == 5, 4, labels)
    names = {n: name for n, name in enumerate(NAMES) if n not in (4, 5)}
    return joined, {**names, 4: "tibial_cartilage"}


def write_knee(
    folder: Path,
    stem: str = "sub-01_acq-DESS",
    data: np.ndarray | None = None,
    affine: np.ndarray | None = None,
    names: dict[int, str] | None = None,
) -> Path:
    """Write a label map with its table; gives the image's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}_desc-knee_dseg.nii.gz"
    array = plain_knee() if data is None else data
    image = nib.Nifti1Image(array, affine_of() if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    table = names if names is not None else dict(enumerate(NAMES))
    lines = ["index\tname", *(f"{number}\t{name}" for number, name in table.items())]
    path.with_name(f"{stem}_desc-knee_dseg.tsv").write_text("\n".join(lines) + "\n")
    return path


def write_echoes(
    folder: Path,
    stem: str = "sub-01",
    times: tuple[float, ...] = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07),
    t2: np.ndarray | float = 40.0,
    affine: np.ndarray | None = None,
    shape: tuple[int, int, int] = (14, 60, 68),
) -> list[Path]:
    """Write echoes of one or a map of T2 (ms), over the whole knee; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = affine_of(spacing=(9.0, 2.1, 2.1)) if affine is None else affine
    paths = []
    for number, time in enumerate(times, start=1):
        signal = np.broadcast_to(1000 * np.exp(-1000 * time / np.asarray(t2, float)), shape)
        path = folder / f"{stem}_echo-{number}_MESE.nii.gz"
        nib.save(nib.Nifti1Image(signal.astype(np.float32), grid), path)
        path.with_name(f"{stem}_echo-{number}_MESE.json").write_text(json.dumps({"EchoTime": time}))
        paths.append(path)
    return paths


def thinned(amount: float = 0.0, thickness: float = 1.0) -> np.ndarray:
    return knee_labels(Person(thickness=thickness, thinned=amount), SPACING)
