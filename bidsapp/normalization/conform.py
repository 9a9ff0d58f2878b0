"""Images that another pipeline normalised, brought onto the recipe's grid."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.derivatives import atomic_path
from bidsapp.errors import BadData
from bidsapp.normalization.geometry import from_itk, to_itk
from bidsapp.normalization.resampling import scale_intensity

if TYPE_CHECKING:
    from bidsapp.dataset.cohort import Cohort


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
        The same people, with files that lie on the grid.
    """
    files = []
    for scan in cohort.files:
        if scan.dataset:
            image = conform_image(scan.image, scan.mask, grid, intensity, folder)
            scan = replace(scan, image=image, log_jacobian=None)
        files.append(scan)
    return replace(cohort, files=tuple(files))


def conform_image(image: Path, mask: Path | None, grid: Path, intensity: str, folder: Path) -> Path:
    """Mask, resample and scale one image in standard space.

    Raises
    ------
    BadData
        The image cannot be read, or has no brain inside the grid.
    """
    import nibabel as nib
    import SimpleITK as sitk

    parts = [str(path) + str(path.stat().st_mtime_ns) for path in (image, mask, grid) if path]
    name = hashlib.sha256("|".join([*parts, intensity]).encode()).hexdigest()[:20]
    target = folder / f"{image.name.split('.')[0]}_{name}.nii"
    if target.exists():
        return target
    reference = sitk.ReadImage(str(grid))
    data, affine = _read(image)
    whole = sitk.Resample(to_itk(data, affine), reference, sitk.Transform(), sitk.sitkBSpline3, 0.0)
    brain = np.clip(from_itk(whole)[0], max(0.0, float(data.min())), float(data.max()))
    if mask is not None:
        soft = sitk.Resample(
            to_itk(*_read(mask)), reference, sitk.Transform(), sitk.sitkLinear, 0.0
        )
        brain = np.where(from_itk(soft)[0] >= 0.5, brain, 0)
    if not brain.any():
        raise BadData(f"{image} shows no brain where the recipe's grid lies.")
    _, grid_affine = from_itk(reference)
    scaled = scale_intensity(brain.astype(np.float32), intensity)
    with atomic_path(target) as temporary:
        nib.Nifti1Image(scaled, grid_affine).to_filename(temporary)
    return target


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nibabel as nib

    try:
        image: Any = nib.load(path)
        data = np.asarray(image.dataobj, dtype=np.float32)
    except Exception as error:
        raise BadData(f"{path} cannot be read as an image ({error}).") from error
    if data.ndim != 3 or not np.isfinite(data).all():
        raise BadData(f"{path} must be one volume of finite numbers; it has shape {data.shape}.")
    return data, image.affine
