"""Images that another pipeline normalised, brought onto the recipe's grid."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.dataset.left_out import conformed_files
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import is_whole, seal
from bidsapp.drawing.geometry import from_itk, to_itk
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.t1w.intensity import level, require_measured
from bidsapp.modalities.t1w.resampling import scale_intensity

if TYPE_CHECKING:
    import SimpleITK as sitk

    from bidsapp.dataset.cohort import Cohort
    from bidsapp.dataset.normalized import NormalizedImage


def conform_cohort(cohort: "Cohort", grid: Path, intensity: str, folder: Path) -> "Cohort":
    """Resample what does not come from this app; its own images are on the grid already.

    Parameters
    ----------
    cohort
        Its `files` name the images.
    grid
        Any image on the recipe's grid.
    intensity
        ``minmax`` or ``none``.
    folder
        Where the conformed images go, named by what went into them.

    Returns
    -------
    Cohort
        The same people, with files that lie on the grid; without those who have no such file.
    """

    def conformed(scan: "NormalizedImage") -> "NormalizedImage":
        image = conform_image(scan.image, scan.mask, grid, intensity, folder)
        channels = {
            # maps are there in another output folder of this app
            name: image if path == scan.image else conform_map(path, grid, folder)
            for name, path in scan.channels.items()
        }
        return replace(scan, image=image, channels=channels)

    return conformed_files(cohort, conformed)


def conform_image(image: Path, mask: Path | None, grid: Path, intensity: str, folder: Path) -> Path:
    """Mask, resample and scale one image in standard space.

    Raises
    ------
    BadData
        The image cannot be read, or has no brain inside the grid.
    """
    import SimpleITK as sitk

    target = _target(image, folder, [path for path in (image, mask, grid) if path], intensity)
    if is_whole(target):
        return target
    reference = sitk.ReadImage(str(grid))
    data, affine = _read(image, finite=False)
    try:
        found = level(data)
    except ValueError as error:
        raise BadData(f"{image} {error}.") from error

    def moved(values: np.ndarray, affine: np.ndarray, how: int) -> np.ndarray:
        there = sitk.Resample(to_itk(values, affine), reference, sitk.Transform(), how, 0.0)
        return from_itk(there)[0]

    highest = max(0.0, float(found.data.max()))
    brain = np.clip(moved(found.data, affine, sitk.sitkBSpline3), 0.0, highest)
    if mask is not None:
        inside = moved(*_read(mask), sitk.sitkLinear) >= 0.5
        brain = np.where(inside, brain, 0)
        if found.holes is not None:
            holes = inside & (moved(found.holes, affine, sitk.sitkNearestNeighbor) > 0)
            lost, all_of_it = int(np.count_nonzero(holes)), int(np.count_nonzero(inside))
            require_measured(lost, all_of_it, f"{image}: ")
    if not brain.any():
        raise BadData(f"{image} shows no brain where the recipe's grid lies.")
    scaled = scale_intensity(brain.astype(np.float32), intensity, found.factor)
    _write(target, scaled, reference)
    return target


def conform_map(path: Path, grid: Path, folder: Path) -> Path:
    """Resample a smooth map in standard space linearly; its values stay what they are.

    Raises
    ------
    BadData
        The map cannot be read.
    """
    import SimpleITK as sitk

    target = _target(path, folder, [path, grid], "map")
    if not is_whole(target):
        reference = sitk.ReadImage(str(grid))
        moved = sitk.Resample(
            to_itk(*_read(path)), reference, sitk.Transform(), sitk.sitkLinear, 0.0
        )
        _write(target, from_itk(moved)[0], reference)
    return target


def _target(image: Path, folder: Path, made_of: Sequence[Path], how: str) -> Path:
    """Name a conformed image by what went into it."""
    parts = [f"{path}{path.stat().st_mtime_ns}" for path in made_of]
    name = hashlib.sha256("|".join([*parts, how]).encode()).hexdigest()[:20]
    return folder / f"{image.name.split('.')[0]}_{name}.nii"


def _write(target: Path, data: np.ndarray, reference: "sitk.Image") -> None:
    import nibabel as nib

    with atomic_path(target) as temporary:
        nib.Nifti1Image(data, from_itk(reference)[1]).to_filename(temporary)
    seal(target)


def _read(path: Path, finite: bool = True) -> tuple[np.ndarray, np.ndarray]:
    data, affine = read_numbers(path)
    if data.ndim != 3 or (finite and not np.isfinite(data).all()):
        raise BadData(f"{path} must be one volume of finite numbers; it has shape {data.shape}.")
    return data, affine
