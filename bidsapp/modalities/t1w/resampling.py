"""One composed resampling into the output grid, and the scaling of intensities."""

from typing import TYPE_CHECKING

import numpy as np

from bidsapp.modalities.t1w.transform import SpatialMap

if TYPE_CHECKING:
    import SimpleITK as sitk


def resample_brain(
    corrected: "sitk.Image",
    mask: "sitk.Image",
    spatial: SpatialMap,
    reference: "sitk.Image",
    *,
    smooth: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring a brain into the template's space in a single interpolation.

    The image is interpolated by cubic B-splines before the mask is laid on it, so that the edge
    of the mask does not ring; overshoot is cut to the range that the brain had.

    Parameters
    ----------
    corrected
        Bias-corrected image, float32, with some surroundings of the brain.
    mask
        Brain mask on the same grid, uint8.
    spatial
        Template to participant.
    reference
        The output grid.
    smooth
        Whether to interpolate by cubic B-splines; linearly where not, which is enough for judging.

    Returns
    -------
    image : ndarray
        (x, y, z) float32, 0 outside the brain.
    mask : ndarray
        (x, y, z) bool.
    """
    import SimpleITK as sitk

    transform = spatial.forward()
    soft = sitk.Resample(
        sitk.Cast(mask, sitk.sitkFloat32), reference, transform, sitk.sitkLinear, 0.0
    )
    inside = sitk.GetArrayFromImage(soft).T >= 0.5
    how = sitk.sitkBSpline3 if smooth else sitk.sitkLinear
    moved = sitk.Resample(corrected, reference, transform, how, 0.0, sitk.sitkFloat32)
    brain = sitk.GetArrayViewFromImage(corrected)[sitk.GetArrayViewFromImage(mask) > 0]
    image = np.clip(sitk.GetArrayFromImage(moved).T, 0.0, brain.max())
    return np.where(inside, image, np.float32(0)), inside


def scale_intensity(image: np.ndarray, how: str, unit: float = 1.0) -> np.ndarray:
    """Scale one image by itself: ``minmax`` to 0…1, background included, or ``none``.

    Parameters
    ----------
    image
        Any shape.
    how
        ``minmax`` or ``none``.
    unit
        How many units of `image` make one of its file, to which ``none`` goes back.
    """
    if how == "none":
        return (image / np.float32(unit)).astype(np.float32)
    low, high = float(image.min()), float(image.max())
    return ((image - low) / max(high - low, 1e-30)).astype(np.float32)
