"""A T1w image from disk: checked, repaired where that is safe, in RAS order."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.header import placement
from bidsapp.intake.images import open_image
from bidsapp.modalities.t1w.intensity import level

# A brain cannot be registered from fewer slices than this along any axis.
MIN_VOXELS = 16
MIN_EXTENT_MM = 60.0
# No scanner's field of view is as wide: the units of the header are others, or it is damaged.
MAX_EXTENT_MM = 1000.0


@dataclass
class Head:
    """A head as the scanner saw it.

    Attributes
    ----------
    data
        Intensities (x, y, z), float32, finite, in RAS order: the axes run closest to left–right,
        posterior–anterior, inferior–superior, as far as the header can be trusted. Air is 0.
    affine
        4 × 4, voxel indices to RAS millimetres.
    notes
        What was repaired or is doubtful, a sentence each.
    orientation_known
        False where the header holds no orientation at all, or two that contradict each other.
    qform_affine
        4 × 4 for the same voxels by the header's qform, where that is sound and disagrees with
        `affine`; else None.
    unit
        How many units of `data` make one of the file.
    doubts
        Those of `notes` that keep the verdict from ``pass``.
    outside, holes
        What was not measured; see `bidsapp.modalities.t1w.intensity.Levelled`.
    """

    data: np.ndarray
    affine: np.ndarray
    notes: list[str] = field(default_factory=list)
    orientation_known: bool = True
    qform_affine: np.ndarray | None = None
    unit: float = 1.0
    doubts: list[str] = field(default_factory=list)
    outside: np.ndarray | None = None
    holes: np.ndarray | None = None

    @property
    def voxel_sizes(self) -> np.ndarray:
        """Voxel sizes (3,) in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))


def read_head(path: Path) -> Head:
    """Read a T1w image.

    Raises
    ------
    NoInput
        The file is not there or may not be read.
    BadData
        It is empty, damaged, not a single three-dimensional grey-scale volume, without a usable
        affine, too small, too large, or constant.
    """
    image = open_image(path)
    stored, shape = image.get_data_dtype(), image.shape
    if stored.fields is not None or stored.kind == "c":
        raise BadData(f"{path} holds colours or complex numbers; a T1w image must be grey-scale.")
    if len(shape) < 3 or any(size == 0 for size in shape):
        raise BadData(f"{path} has the shape {shape}; a T1w image must have three dimensions.")
    if len(shape) > 3 and any(size != 1 for size in shape[3:]):
        raise BadData(
            f"{path} holds {int(np.prod(shape[3:]))} volumes (shape {shape}); a T1w image must be "
            "one volume. Average them or keep one before running."
        )
    place = placement(path, image)
    _check_size(path, shape[:3], place.affine)
    values, slope, intercept = _values(image)
    try:
        found = level(values.reshape(shape[:3]), slope=slope, intercept=intercept)
    except ValueError as error:
        raise BadData(f"{path} {error}.") from error
    head = canonical(found.data, place.affine)
    head.notes += [*place.notes, *found.notes]
    head.orientation_known = place.orientation_known
    if place.qform_affine is not None:
        head.qform_affine = place.qform_affine @ np.linalg.inv(place.affine) @ head.affine
    head.unit, head.doubts = found.factor, found.doubts
    head.outside, head.holes = (
        None if mask is None else canonical(mask.astype(np.uint8), place.affine).data > 0
        for mask in (found.outside, found.holes)
    )
    return head


def canonical(data: np.ndarray, affine: np.ndarray) -> Head:
    """Turn voxels (x, y, z) to RAS order; `affine` (4 × 4) is from their indices to RAS mm."""
    import nibabel as nib

    ras = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    return Head(np.ascontiguousarray(ras.dataobj), ras.affine)


def _check_size(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> None:
    extent = np.array(shape) * np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if min(shape) < MIN_VOXELS or extent.min() < MIN_EXTENT_MM:
        raise BadData(
            f"{path} is {' × '.join(map(str, shape))} voxels "
            f"({' × '.join(f'{size:.0f}' for size in extent)} mm); a whole brain needs at least "
            f"{MIN_VOXELS} voxels and {MIN_EXTENT_MM:.0f} mm along each axis."
        )
    if extent.max() > MAX_EXTENT_MM:
        raise BadData(
            f"{path} covers {' × '.join(f'{size:.0f}' for size in extent)} mm; at most "
            f"{MAX_EXTENT_MM:.0f} mm along each axis are expected of a head. Check the voxel size "
            "in its header, or crop it."
        )


def _values(image) -> tuple[np.ndarray, float, float]:  # type: ignore[no-untyped-def]
    """Intensities of an image, and the slope and intercept by which stored integers became them.

    float32, as far as that holds what is stored: not all integers of 32 bits, nor those beside a
    large intercept.
    """
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    stored = image.get_data_dtype()
    whole = stored.kind in "iu"
    wide = stored.itemsize > (2 if whole else 4) or (whole and abs(intercept) > 2**20 * abs(slope))
    return np.asarray(image.dataobj, dtype=np.float64 if wide else np.float32), slope, intercept
