"""Between nibabel's arrays (RAS) and SimpleITK's images (LPS)."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS to LPS, and back


def to_itk(data: np.ndarray, affine: np.ndarray) -> "sitk.Image":
    """Wrap a scalar volume.

    Parameters
    ----------
    data
        (x, y, z); bool becomes uint8.
    affine
        4 × 4, voxel indices to RAS millimetres.

    Returns
    -------
    SimpleITK.Image
        The same voxels in LPS. A shear in the affine cannot be held by ITK: the nearest
        orthonormal directions are taken.
    """
    import SimpleITK as sitk

    array = data.astype(np.uint8) if data.dtype == bool else data
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    matrix = (FLIP @ affine)[:3, :3]
    spacing = np.sqrt((matrix**2).sum(axis=0))
    left, _, right = np.linalg.svd(matrix / spacing)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((left @ right).ravel().tolist())
    image.SetOrigin((FLIP @ affine)[:3, 3].tolist())
    return image


def from_itk(image: "sitk.Image") -> tuple[np.ndarray, np.ndarray]:
    """Give voxels (x, y, z) and the RAS affine (4 × 4) of a scalar image."""
    import SimpleITK as sitk

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, FLIP @ affine


def reference_image(shape: tuple[int, int, int], affine: np.ndarray) -> "sitk.Image":
    """Make an empty image that says on which grid to resample."""
    return to_itk(np.zeros(shape, dtype=np.uint8), affine)


def centre_of_mass(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre (3,) of the voxels of a mask, in RAS millimetres."""
    centre = np.array([axis.mean() for axis in np.nonzero(mask)])
    return (affine @ np.append(centre, 1.0))[:3]


def bounding_box(mask: np.ndarray, margin: np.ndarray) -> tuple[slice, slice, slice]:
    """Smallest box around a mask, widened by `margin` voxels (3,) and cut at the edges."""
    slices = []
    for axis, wide in enumerate(margin):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(mask.any(axis=others))
        low, high = inside[0] - int(wide), inside[-1] + 1 + int(wide)
        slices.append(slice(max(0, low), min(mask.shape[axis], high)))
    return slices[0], slices[1], slices[2]


def cropped_affine(affine: np.ndarray, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Affine (4 × 4) of what is left after cropping to `box`."""
    shifted = affine.copy()
    shifted[:3, 3] += affine[:3, :3] @ np.array([part.start for part in box], dtype=float)
    return shifted
