"""A known signal planted into a cohort's normalised images, as copies; and where a map finds it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.dataset.scans import voxel_hash
from bidsapp.derivatives import atomic_path
from bidsapp.errors import BadData, UsageError
from bidsapp.intake.images import read_numbers
from bidsapp.phantom.region import Region, plant_cuboid

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort

TOP_SHARE = 0.01


@dataclass(frozen=True)
class Located:
    """Where a map has its largest values.

    Attributes
    ----------
    inside
        Share of the map's largest 1 % of voxels that lie in the cuboid.
    chance
        Share of all its voxels that do: what a map that knows nothing would give.
    possible
        The most that `inside` could be: below 1 where the cuboid has fewer voxels than the top.
    voxels
        How many voxels the largest 1 % are.
    """

    inside: float
    chance: float
    possible: float
    voxels: int


def plant(
    cohort: "Cohort", outcome: np.ndarray, region: Region, contrast_sd: float, folder: Path
) -> "Cohort":
    """Add a cuboid to the images of positives; the files of the cohort stay as they are.

    Parameters
    ----------
    cohort
        Its `files` lie on one grid.
    outcome
        0 or 1 for every scan: whose images are changed, and what the cohort then says.
    region
        The cuboid.
    contrast_sd
        What is added inside of it, in units of the standard deviation between scans there (the
        root of the mean over voxels of the variance over scans).
    folder
        Where the copies go, named by what went into them.

    Returns
    -------
    Cohort
        The same scans, with `outcome`, the copies' files and the hashes of their voxels.

    Raises
    ------
    UsageError
        The cuboid lies outside the images, or all images are the same there.
    BadData
        An image cannot be read.
    """
    sd = spread_inside([scan.image for scan in cohort.files], region)
    if not sd > 0:
        raise UsageError(
            f"simulation: all images are alike in the cuboid at {region.centre_mm} mm; name a "
            "place inside the brain (--simulate-centre)."
        )
    files, table = [], cohort.table.assign(outcome=np.asarray(outcome, dtype=int))
    hashes = list(table["sha256"])
    for place, scan in enumerate(cohort.files):
        if outcome[place]:
            copy = _planted_copy(scan.image, region, contrast_sd * sd, folder)
            channels = {
                name: copy if path == scan.image else path for name, path in scan.channels.items()
            }
            scan = replace(scan, image=copy, channels=channels)
            hashes[place] = voxel_hash(copy)
        files.append(scan)
    return replace(cohort, table=table.assign(sha256=hashes), files=tuple(files))


def spread_inside(images: Sequence[Path], region: Region) -> float:
    """Pool the variance between images over the voxels of a cuboid; give its root."""
    rows = []
    for path in images:
        data, affine = read_numbers(path)
        rows.append(data[cuboid(data.shape, affine, region) > 0.5])
    return float(np.sqrt(np.var(np.stack(rows), axis=0, ddof=1).mean()))


def grid_of(image: Path) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of an image."""
    data, affine = read_numbers(image)
    return (data.shape[0], data.shape[1], data.shape[2]), affine


def cuboid(shape: Sequence[int], affine: np.ndarray, region: Region) -> np.ndarray:
    """Share of every voxel that lies in the cuboid, float32.

    Raises
    ------
    UsageError
        None of it lies in the image.
    """
    nothing = np.zeros(tuple(shape), np.float32)
    return plant_cuboid(nothing, affine, region.centre_mm, region.size_mm, 1.0, relative=False)


def locate(image: Path, region: Region, sign: float = 1.0) -> Located:
    """Tell how much of a saliency map's top lies in the cuboid.

    Parameters
    ----------
    image
        A map in standard space; its voxels are those that are finite and not 0.
    region
        The cuboid.
    sign
        Of the contrast: what is darker in positives shows as a negative value.

    Raises
    ------
    BadData
        The map cannot be read or is empty.
    """
    data, affine = read_numbers(image)
    known = np.isfinite(data) & (data != 0)
    if not known.any():
        raise BadData(f"{image} is 0 everywhere.")
    inside = cuboid(data.shape, affine, region)[known] > 0.5
    values = np.sign(sign) * data[known]
    count = max(1, round(TOP_SHARE * len(values)))
    top = np.argpartition(values, -count)[-count:]
    possible = min(1.0, float(inside.sum()) / count)
    return Located(float(inside[top].mean()), float(inside.mean()), possible, count)


def _planted_copy(image: Path, region: Region, added: float, folder: Path) -> Path:
    import nibabel as nib

    parts = [str(image), image.stat().st_mtime_ns, vars(region), added]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
    target = folder / f"{image.name.split('.')[0]}_{name}.nii"
    if not target.exists():
        data, affine = read_numbers(image)
        changed = plant_cuboid(
            data, affine, region.centre_mm, region.size_mm, added, relative=False
        )
        with atomic_path(target) as temporary:
            nib.Nifti1Image(changed, affine).to_filename(temporary)
    return target
