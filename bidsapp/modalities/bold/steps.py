"""The steps of a preparation on values in memory; the nodes call them on files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from bidsapp.drawing.geometry import from_itk, reference_image, to_itk
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.cleaning import Cleaned, clean
from bidsapp.modalities.bold.confounds import Confounds, confounds_of, steady_start
from bidsapp.modalities.bold.coregister import coregister, refuse_turned
from bidsapp.modalities.bold.field import Susceptibility, fitted_field, none_because
from bidsapp.modalities.bold.motion import Motion, estimate_motion
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.resampling import points_in_t1w, resample
from bidsapp.modalities.bold.slice_times import correct_slice_times
from bidsapp.modalities.bold.strategies import STRATEGIES
from bidsapp.modalities.bold.tissues import tissue_masks
from bidsapp.spaces.grid import MaskedSmoother

if TYPE_CHECKING:
    import torch

# Of the template's brain, what has to lie in the field of view for there to be a series at all.
_LEAST_COVERED = 0.4
_Five = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Anatomy:
    """What the normalisation of the person's T1w image left.

    Attributes
    ----------
    image, mask
        The T1w image as acquired, and its brain mask on the same voxels.
    normalised, brain
        The brain in standard space, and its mask there.
    transform
        ITK's transform that brings the T1w image there.
    """

    image: Path
    mask: Path
    normalised: Path
    brain: Path
    transform: Path


@dataclass(frozen=True)
class Aligned:
    """A series whose motion and place are known.

    Attributes
    ----------
    motion
        Of the head during the series.
    mask
        Its brain on its own voxels.
    to_series
        4 × 4, RAS mm of the T1w image to RAS mm of the reference.
    steady
        Number of the first volume in steady state.
    field
        How the field displaces it.
    """

    motion: Motion
    mask: np.ndarray
    to_series: np.ndarray
    steady: int
    field: Susceptibility


@dataclass(frozen=True)
class Standard:
    """A series in standard space, inside the template's brain.

    Attributes
    ----------
    mask
        The template's brain on the output grid, V voxels.
    affine
        Of the grid.
    series
        Before denoising, float32, shape (T, V).
    covered
        Voxels inside the field of view, booleans (V,).
    brain
        Voxels of the person's own brain, booleans (V,).
    white, fluid
        Tissues, booleans (V,).
    """

    mask: np.ndarray
    affine: np.ndarray
    series: np.ndarray
    covered: np.ndarray
    brain: np.ndarray
    white: np.ndarray
    fluid: np.ndarray


def align(
    run: Run,
    anatomy: Anatomy,
    measured: Callable[[np.ndarray], Susceptibility] | None,
    *,
    seed: int,
    device: "torch.device",
    nthreads: int,
) -> Aligned:
    """Find the head's motion during a series, how it is stretched, and where it lies.

    Parameters
    ----------
    run, anatomy
        The series, and the person's T1w image.
    measured
        Finds the displacement of a mean volume by images of the field; None where nothing is to
        be corrected. Where it finds none, the series is bent to the T1w image, if that helps.
    seed, device, nthreads
        Of the registrations.
    """
    steady = steady_start(run.data)
    if run.data.shape[-1] - steady < run.data.shape[-1] / 2:
        steady = 0  # that is no beginning, but a drift or a fault; the measures tell of it
    rough = brain_mask(run.data[..., steady:].mean(axis=-1), run.affine)
    motion = estimate_motion(run.data, run.affine, rough, device)
    image, affine = read_numbers(anatomy.image)
    inside, _ = read_numbers(anatomy.mask)
    image = image.reshape(inside.shape)
    brain = np.where(inside > 0.5, image, 0)

    def images(field: Susceptibility) -> _Five:
        mean = motion.reference
        if field.displacement is not None:
            mean = field.displacement.undistorted(mean)
        return mean, run.affine, brain_mask(mean, run.affine), brain, affine

    field = none_because("") if measured is None else measured(motion.reference)
    place = coregister(*images(field), seed=seed, nthreads=nthreads)
    refuse_turned(*images(field), place, seed=seed, nthreads=nthreads)
    if measured is not None and field.method == "none" and run.phase is not None:
        seen = [
            on_series(values, affine, place, run) for values in (image, inside.astype(np.float32))
        ]
        field = fitted_field(run, motion.reference, seen[0], seen[1], field.why)
        if field.displacement is not None:
            place = coregister(*images(field), seed=seed, nthreads=nthreads)
    return Aligned(motion, brain_mask(motion.reference, run.affine), place, steady, field)


def on_series(
    values: np.ndarray, affine: np.ndarray, to_series: np.ndarray, run: Run
) -> np.ndarray:
    """Read an image of the T1w image's space at the voxels of a series, float32, linearly."""
    from scipy.ndimage import map_coordinates

    shape = run.data.shape[:3]
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    way = np.linalg.inv(affine) @ np.linalg.inv(to_series) @ run.affine
    at = grid @ way[:3, :3].T + way[:3, 3]
    # a voxel of the series holds several of the T1w image: their mean is read
    size = float(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).mean())
    wide = 0.425 * np.sqrt(np.maximum(run.voxel_sizes.mean() ** 2 - size**2, 0)) / size
    read = map_coordinates(gaussian_filter(values.astype(np.float32), wide), at.T, order=1)
    return np.asarray(read.reshape(shape))


def brain_mask(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Find the brain in a mean volume, booleans (X, Y, Z), by nilearn's mask of EPI.

    Raises
    ------
    BadData
        There is nothing in it.
    """
    import nibabel as nib
    from nilearn.masking import compute_epi_mask

    try:
        found = compute_epi_mask(nib.Nifti1Image(volume, affine), opening=1, exclude_zeros=True)
    except Exception as error:  # nilearn has exceptions of its own for masks
        raise BadData(f"No brain was found in the mean volume: {error}") from error
    mask = np.asarray(found.dataobj) > 0
    if not mask.any():
        raise BadData("No brain was found in the mean volume.")
    return mask


def to_standard(
    run: Run, aligned: Aligned, anatomy: Anatomy, template_mask: Path, device: "torch.device"
) -> Standard:
    """Bring every volume to the output grid in one interpolation.

    Raises
    ------
    BadData
        Less than 40 % of the template's brain lie in the field of view.
    """
    values, affine = read_numbers(template_mask)
    mask = values > 0.5
    points = points_in_t1w(anatomy.transform, mask.shape, affine, mask)
    there = points @ aligned.to_series[:3, :3].T + aligned.to_series[:3, 3]
    if aligned.field.displacement is not None:
        there = there + aligned.field.displacement.at(there, run.affine)
    data = correct_slice_times(run.data, run.timing)
    found = resample(data, run.affine, aligned.motion.matrices, there, device)
    share = float(found.covered.mean())
    if share < _LEAST_COVERED:
        raise BadData(
            f"{share:.0%} of the template's brain lie in the field of view of the series; at "
            f"least {_LEAST_COVERED:.0%} are needed. Look at the registration, or leave it out."
        )
    brain = on_grid(anatomy.brain, template_mask) > 0.5
    t1w = on_grid(anatomy.normalised, template_mask)
    size = float(np.abs(affine[0, 0]))
    white, fluid = tissue_masks(t1w, brain, size)
    return Standard(
        mask,
        affine,
        found.series,
        found.covered,
        brain[mask],
        white[mask] & found.covered,
        fluid[mask] & found.covered,
    )


def on_grid(path: Path, grid: Path) -> np.ndarray:
    """Read an image in standard space on the grid of another, float32, linearly where they differ.

    Parameters
    ----------
    path
        The image.
    grid
        Any image on the grid that is wanted, shape (X, Y, Z).
    """
    values, affine = read_numbers(path)
    other, wanted = read_numbers(grid)
    if values.shape == other.shape and np.allclose(affine, wanted, atol=1e-3):
        return values
    import SimpleITK as sitk

    moved = sitk.Resample(
        to_itk(values, affine),
        reference_image(other.shape, wanted),
        sitk.Transform(),
        sitk.sitkLinear,
        0.0,
    )
    return from_itk(moved)[0]


def confounds_in(standard: Standard, aligned: Aligned, tr: float) -> Confounds:
    """Compute the confounds of a series from its own brain."""
    inside = standard.covered & standard.brain
    return confounds_of(
        aligned.motion.parameters,
        standard.series[:, inside],
        standard.white[inside],
        standard.fluid[inside],
        tr,
        aligned.steady,
    )


def denoise(
    series: np.ndarray,
    covered: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    table: Any,
    tr: float,
    settings: Mapping[str, Any],
    name: str = "",
) -> Cleaned:
    """Denoise a series in standard space and smooth it, both inside the brain.

    Parameters
    ----------
    series, covered
        Values (T, V) inside `mask`, and which of its voxels hold any.
    mask, affine
        Of the output grid.
    table
        Confounds.
    tr
        Seconds between volumes.
    settings
        ``confounds``, ``band_pass_hz``, ``smoothing_fwhm_mm``.
    name
        For messages.
    """
    cleaned = clean(
        series[:, covered],
        table,
        STRATEGIES[settings["confounds"]],
        tr,
        tuple(settings["band_pass_hz"]),
        name,
    )
    whole = np.zeros((len(cleaned.kept), len(covered)), np.float32)
    whole[:, covered] = cleaned.series
    fwhm = float(settings["smoothing_fwhm_mm"])
    if fwhm > 0:
        inside = np.zeros_like(mask)
        inside[mask] = covered
        sizes = tuple(float(size) for size in np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))
        smooth = MaskedSmoother(inside, sizes, fwhm)
        for volume in whole:
            volume[covered] = smooth(volume[covered])
    return Cleaned(whole, cleaned.kept, cleaned.freedom)
