"""A T1w image from disk: checked, repaired where that is safe, in RAS order."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.images import open_image

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
        posterior–anterior, inferior–superior, as far as the header can be trusted.
    affine
        4 × 4, voxel indices to RAS millimetres.
    notes
        What was repaired or is doubtful, a sentence each.
    orientation_known
        False where the header holds no orientation at all, or two that contradict each other.
    """

    data: np.ndarray
    affine: np.ndarray
    notes: list[str] = field(default_factory=list)
    orientation_known: bool = True

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
    import nibabel as nib

    image = open_image(path)
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind == "c":
        raise BadData(f"{path} holds colours or complex numbers; a T1w image must be grey-scale.")
    shape = image.shape
    if len(shape) < 3 or any(size == 0 for size in shape):
        raise BadData(f"{path} has the shape {shape}; a T1w image must have three dimensions.")
    if len(shape) > 3 and any(size != 1 for size in shape[3:]):
        raise BadData(
            f"{path} holds {int(np.prod(shape[3:]))} volumes (shape {shape}); a T1w image must be "
            "one volume. Average them or keep one before running."
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    _check_affine(path, affine)
    _check_size(path, shape[:3], affine)
    notes: list[str] = []
    known = _orientation_known(image, notes)
    data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape[:3])
    data = _repaired(path, data, notes)
    ras = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    return Head(np.ascontiguousarray(ras.dataobj), ras.affine, notes, known)


def _check_affine(path: Path, affine: np.ndarray) -> None:
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(matrix)) < 1e-6:
        raise BadData(
            f"{path} has an affine that maps no volume (zero, flat or not finite); "
            "repair its sform or qform, or convert it again."
        )
    sizes = np.sqrt((matrix**2).sum(axis=0))
    if sizes.max() > 10 or sizes.min() < 0.1:
        raise BadData(
            f"{path} has voxels of {sizes[0]:.3g} × {sizes[1]:.3g} × {sizes[2]:.3g} mm; "
            "a T1w image is expected to have 0.1 to 10 mm. Check the units of its header."
        )


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


def _orientation_known(image, notes: list[str]) -> bool:  # type: ignore[no-untyped-def]
    """Whether sform and qform say one thing about left and right."""
    header = image.header
    if not hasattr(header, "get_sform"):
        return True
    sform, scode = header.get_sform(coded=True)
    qform, qcode = header.get_qform(coded=True)
    if not scode and not qcode:
        notes.append(
            "The header holds no orientation (sform and qform codes are 0); "
            "that of the first Analyze images was assumed, so left and right are not certain."
        )
        return False
    if scode and qcode and np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        notes.append(
            "The header's sform and qform contradict each other about left and right; "
            "the sform was used."
        )
        return False
    return True


def _repaired(path: Path, data: np.ndarray, notes: list[str]) -> np.ndarray:
    finite = np.isfinite(data)
    bad = data.size - int(np.count_nonzero(finite))
    if bad:
        data = np.where(finite, data, np.float32(0))
        notes.append(f"{bad} of {data.size} voxels were NaN or infinite and were set to 0.")
    if bad > data.size // 2:
        raise BadData(f"{path} has no number in {bad} of {data.size} voxels.")
    if data.min() == data.max():
        raise BadData(f"{path} is constant: every voxel is {data.flat[0]:g}.")
    return data
