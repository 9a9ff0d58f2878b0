"""A T1w image from disk: checked, repaired where that is safe, in RAS order."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData, NoInput
from bidsapp.normalization.intensity import level

# A brain cannot be registered from fewer slices than this along any axis.
MIN_VOXELS = 16
MIN_EXTENT_MM = 60.0


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
    unit
        How many units of `data` make one of the file.
    doubts
        Those of `notes` that keep the verdict from ``pass``.
    outside, holes
        What was not measured; see `bidsapp.normalization.intensity.Levelled`.
    """

    data: np.ndarray
    affine: np.ndarray
    notes: list[str] = field(default_factory=list)
    orientation_known: bool = True
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
        affine, too small, or constant.
    """
    import nibabel as nib

    image = _opened(path)
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
    data = _data(path, image).reshape(shape[:3])
    ras = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
    slope, intercept = _scaling(image)
    try:
        found = level(np.ascontiguousarray(ras.dataobj), slope=slope, intercept=intercept)
    except ValueError as error:
        raise BadData(f"{path} {error}.") from error
    return Head(
        found.data,
        ras.affine,
        notes + found.notes,
        known,
        found.factor,
        found.doubts,
        found.outside,
        found.holes,
    )


def _opened(path: Path):  # type: ignore[no-untyped-def]
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        if path.stat().st_size == 0:
            raise BadData(f"{path} is empty (0 bytes); copy or convert it again.")
        return nib.load(path)
    except BadData:
        raise
    except FileNotFoundError as error:
        raise NoInput(f"{path} is not there.") from error
    except PermissionError as error:
        raise NoInput(f"{path} may not be read: {error.strerror}.") from error
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise BadData(
            f"{path} is not a NIfTI image that can be read ({_first_line(error)}); "
            "copy or convert it again."
        ) from error
    except Exception as error:
        # nibabel raises types of its own for headers that make no sense
        raise BadData(f"{path} has a damaged NIfTI header ({_first_line(error)}).") from error


def _data(path: Path, image) -> np.ndarray:  # type: ignore[no-untyped-def]
    slope, intercept = _scaling(image)
    # float32 holds every integer of 16 bits, but not each of 32, or beside a large intercept
    wide = image.get_data_dtype().itemsize > 4 or image.get_data_dtype().kind in "iu"
    wide = wide and (image.get_data_dtype().itemsize > 2 or abs(intercept) > 2**20 * abs(slope))
    try:
        return np.asarray(image.dataobj, dtype=np.float64 if wide else np.float32)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadData(
            f"{path} is damaged or cut short ({_first_line(error)}); copy or convert it again."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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


def _scaling(image) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Slope and intercept by which the integers of a file become intensities; 1 and 0 if none."""
    slope, intercept = getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)
    return (float(slope), float(intercept)) if np.ndim(slope) == np.ndim(intercept) == 0 else (1, 0)
