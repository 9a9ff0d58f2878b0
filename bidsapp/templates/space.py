"""The template's brain as an image, and the grids that derivatives are written on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bidsapp.errors import BadData, UsageError
from bidsapp.intake.images import open_image
from bidsapp.recipes.known_names import SPM12_BOX
from bidsapp.templates.template import Template

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

# Where SPM12's bounding box begins, in mm.
_SPM12_ORIGIN = (-78.0, -112.0, -70.0)
BOXES = ("spm12", "template")


class Grid(NamedTuple):
    """Voxels in space.

    Attributes
    ----------
    shape
        Number of voxels along x, y, z.
    affine
        4 × 4, from voxel indices to RAS millimetres.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]

    @property
    def matrix(self) -> np.ndarray:
        """`affine` as an array (4, 4) of float64."""
        return np.array(self.affine, dtype=float)


def grid_of(path: Path) -> Grid:
    """Read the grid of an image from its header."""
    image: Any = open_image(path)
    x, y, z = image.shape[:3]
    return Grid((int(x), int(y), int(z)), tuple(tuple(map(float, row)) for row in image.affine))


def _ras_grid(shape: tuple[int, int, int], origin: tuple[float, float, float], size: float) -> Grid:
    rows = [[0.0] * 4 for _ in range(4)]
    for axis in range(3):
        rows[axis][axis], rows[axis][3] = float(size), float(origin[axis])
    rows[3][3] = 1.0
    return Grid(shape, tuple(tuple(row) for row in rows))


def output_grid(box: str, resolution: float, template: Template) -> Grid:
    """Give the grid that normalised images are written on.

    Parameters
    ----------
    box
        ``spm12``: SPM12's box, 79 × 95 × 79 at 2 mm, 157 × 189 × 156 at 1 mm, origin
        (−78, −112, −70). ``template``: the template's own field of view, starting at the centre
        of its first voxel.
    resolution
        Voxel size in mm, one of `SPM12_BOX`.
    template
        Read (its header alone) only for the box ``template``.

    Returns
    -------
    Grid
        (shape, affine), RAS.

    Raises
    ------
    UsageError
        The box or the resolution is not one of those.
    """
    if resolution not in SPM12_BOX:
        known = ", ".join(map(str, SPM12_BOX))
        raise UsageError(f"resolution {resolution} mm is not offered; choose one of {known}.")
    if box == "spm12":
        x, y, z = SPM12_BOX[int(resolution)]
        return _ras_grid((x, y, z), _SPM12_ORIGIN, resolution)
    if box == "template":
        return _field_of_view(_canonical(template), resolution)
    raise UsageError(f"box {box!r} is not known; choose one of {', '.join(BOXES)}.")


def _field_of_view(image: "Nifti1Image", size: float) -> Grid:
    shape = np.asarray(image.shape[:3])
    zooms = np.asarray(image.header.get_zooms()[:3], dtype=float)
    nx, ny, nz = (int(n) for n in np.floor((shape - 1) * zooms / size + 1e-3) + 1)
    x, y, z = (float(value) for value in image.affine[:3, 3])
    return _ras_grid((nx, ny, nz), (x, y, z), size)


def _canonical(template: Template) -> "Nifti1Image":
    import nibabel as nib

    image = nib.as_closest_canonical(open_image(template.t1w))
    if image.ndim != 3:
        raise BadData(f"{template.t1w} has {image.ndim} dimensions; a template must have 3.")
    rotation = image.affine[:3, :3]
    if not np.allclose(rotation, np.diag(np.diag(rotation)), atol=1e-3):
        raise BadData(
            f"The axes of {template.t1w} do not run along x, y and z; "
            "such a template cannot define an output space."
        )
    return image


def filled_brain(t1w: np.ndarray) -> np.ndarray:
    """Mask of a skull-stripped image: what is above zero, holes filled; bool, same shape."""
    from scipy.ndimage import binary_fill_holes

    return binary_fill_holes(t1w > 0)


def brain_template(template: Template) -> tuple["Nifti1Image", "Nifti1Image"]:
    """Load the template's brain at 1 mm.

    Parameters
    ----------
    template
        As `resolve_template` gives it.

    Returns
    -------
    brain : Nifti1Image
        RAS, 1 mm, float32, zero outside the brain; intensities as the template stores them.
    mask : Nifti1Image
        The brain mask on the same grid, uint8.

    Raises
    ------
    BadData
        The mask is not on the grid of the T1w, or the image is not three-dimensional.
    """
    import nibabel as nib

    image = _canonical(template)
    data = np.asarray(image.dataobj, dtype=np.float32)
    if template.brain_mask is None:
        mask = filled_brain(data)
    else:
        mask_image = nib.as_closest_canonical(open_image(template.brain_mask))
        if mask_image.shape != image.shape or not np.allclose(
            mask_image.affine, image.affine, atol=1e-3
        ):
            raise BadData(f"{template.brain_mask} and {template.t1w} are not on one grid.")
        mask = np.asarray(mask_image.dataobj) > 0.5
    data = np.where(mask, data, 0).astype(np.float32)

    grid = _field_of_view(image, 1.0)
    affine = image.affine
    if not np.allclose(image.header.get_zooms()[:3], 1.0, atol=1e-3):
        data, mask = _resampled(data, mask, image.affine, grid)
        affine = grid.matrix
    brain, brain_mask = (nib.Nifti1Image(array, affine) for array in (data, mask.astype(np.uint8)))
    for result in (brain, brain_mask):
        result.header.set_xyzt_units("mm", "sec")
    return brain, brain_mask


def _resampled(
    data: np.ndarray, mask: np.ndarray, affine: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import affine_transform, gaussian_filter

    zooms = np.diag(affine)[:3]
    to_source = np.linalg.inv(affine) @ grid.matrix
    # Against aliasing, where the template is finer than what it is brought to.
    blur = np.where(zooms < 0.75, 0.5 / zooms, 0.0)
    soft = gaussian_filter(mask.astype(np.float32), blur)
    smooth = gaussian_filter(data, blur)
    soft, smooth = (
        affine_transform(array, to_source[:3, :3], to_source[:3, 3], grid.shape, order=1)
        for array in (soft, smooth)
    )
    inside = soft > 0.5
    return np.where(inside, smooth, 0).astype(np.float32), inside
