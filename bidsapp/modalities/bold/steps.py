"""The steps from an aligned series to a denoised one in standard space, on values in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bidsapp.drawing.geometry import from_itk, reference_image, to_itk
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.modalities.bold.alignment import Aligned
from bidsapp.modalities.bold.anatomy import Anatomy
from bidsapp.modalities.bold.cleaning import Cleaned, clean, wanted_columns
from bidsapp.modalities.bold.confounds import Confounds, confounds_of
from bidsapp.modalities.bold.reading import Run
from bidsapp.modalities.bold.resampling import points_in_t1w, resample
from bidsapp.modalities.bold.slice_times import correct_slice_times
from bidsapp.modalities.bold.strategies import STRATEGIES, Strategy
from bidsapp.modalities.bold.tissues import tissue_masks
from bidsapp.spaces.grid import MaskedSmoother

if TYPE_CHECKING:
    import torch

# Of the template's brain, what has to lie in the field of view for there to be a series at all.
_LEAST_COVERED = 0.4


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


def confounds_in(
    standard: Standard, aligned: Aligned, tr: float, strategy: Strategy, name: str = ""
) -> Confounds:
    """Compute the confounds of a series from its own brain.

    Raises
    ------
    BadData
        Too little of a tissue lies on the output grid for what the strategy takes out.
    """
    inside = standard.covered & standard.brain
    white, fluid = standard.white[inside], standard.fluid[inside]
    found = confounds_of(
        aligned.motion.parameters, standard.series[:, inside], white, fluid, tr, aligned.steady
    )
    missing = [one for one in wanted_columns(strategy) if one not in found.table.columns]
    if missing:
        size = float(np.abs(standard.affine[0, 0]))
        raise BadData(
            f"{name}: {white.sum()} voxels of {size:g} mm are white matter away from grey, and "
            f"{fluid.sum()} fluid of the ventricles, inside the brain of its T1w image: too few "
            f"for {', '.join(missing[:3])}. Look at the page of the T1w image; where that is "
            "right, choose another preparation.confounds, or a smaller preparation.resolution."
        )
    return found


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
