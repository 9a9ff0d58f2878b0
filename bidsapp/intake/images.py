"""The one reader of NIfTI images: to the last byte, checksums included, sizes checked first."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from bidsapp.errors import BadData, NoInput
from bidsapp.intake.header import from_files, placement
from bidsapp.intake.packed import unpack
from bidsapp.intake.regular import open_regular

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

# A whole head at 0.3 mm; beyond, a header is wrong, or a file is made to fill the memory.
MAX_VOXELS = 2**29
MAX_BYTES = 2**32
_HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has 348


def open_image(path: Path) -> "Nifti1Image":
    """Open a NIfTI image and check all that can be checked of its file.

    A compressed image is read to its end, where its checksum and length are; its values then come
    from memory. Of an uncompressed one, which carries no checksum, the length is checked.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``, NIfTI-1 or NIfTI-2.

    Returns
    -------
    Nifti1Image
        Its `dataobj` has every voxel that the header announces. Where these lie is to be asked of
        `bidsapp.intake.header.placement`: nibabel's `affine` may be missing.

    Raises
    ------
    NoInput
        The file is not there, may not be read, or is a pipe, a device or a folder.
    BadData
        It is empty, damaged, cut short or no NIfTI, or announces more than `MAX_VOXELS` voxels or
        `MAX_BYTES` bytes.
    """
    try:
        with open_regular(path) as stream:
            start = stream.read(_HEADER_BYTES)
            if not start:
                raise BadData(f"{path} is empty (0 bytes); copy or convert it again.")
            if not path.name.lower().endswith(".gz"):
                needed = _needed(path, start)
                return _image(path, path, start, path.stat().st_size - needed)
            stream.seek(0)
            content = unpack(path, stream, lambda first: _needed(path, first), _HEADER_BYTES)
        missing = len(content) - _needed(path, content[:_HEADER_BYTES])
        return _image(path, io.BytesIO(content), content[:_HEADER_BYTES], missing)
    except FileNotFoundError as error:
        raise NoInput(f"{path} is not there.") from error
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}.") from error


def read_numbers(path: Path, dtype: str = "f4") -> tuple[np.ndarray, np.ndarray]:
    """Read the values of an image, whatever they were stored as.

    Parameters
    ----------
    path
        As for `open_image`.
    dtype
        numpy's name of the type that is wanted.

    Returns
    -------
    data
        Scaled values, in the shape of the file.
    affine
        4 × 4, voxel indices to RAS millimetres.

    Raises
    ------
    NoInput, BadData
        As `open_image`; also where the image holds colours or complex numbers.
    """
    values, affine, _ = read_with_intent(path, dtype)
    return values, affine


def read_with_intent(path: Path, dtype: str = "f4") -> tuple[np.ndarray, np.ndarray, bytes]:
    """Read values and affine as `read_numbers`, and the header's ``intent_name``."""
    image = open_image(path)
    if image.get_data_dtype().kind not in "iuf":
        raise BadData(f"{path} holds colours or complex numbers; plain numbers are expected.")
    affine = placement(path, image, any_size=True).affine
    intent = bytes(image.header["intent_name"].tobytes()).rstrip(b"\0")
    return np.asarray(image.dataobj, dtype=dtype), affine, intent


def _kind(path: Path, start: bytes) -> Any:
    """Find the class of image that begins so."""
    import nibabel as nib

    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        if kind.header_class.may_contain_header(start):
            return kind
    raise BadData(
        f"{path} is not a NIfTI image that can be read (it has no NIfTI header); "
        "copy or convert it again."
    )


def _needed(path: Path, start: bytes) -> int:
    """Say how many bytes a file has to hold that begins so; refuse what is beyond the limits."""
    kind = _kind(path, start).header_class
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        shape = [int(size) for size in header.get_data_shape()]
        voxels = math.prod(shape)
        first = int(header.get_data_offset())
        needed = first + voxels * int(header.get_data_dtype().itemsize)
    except Exception as error:  # nibabel raises many types for headers that make no sense
        raise _bad_header(path, error) from error
    if min(shape, default=0) < 0 or needed < 0:
        raise _bad_header(path, ValueError(f"its size is {shape}"))
    if first < header.single_vox_offset - 4:  # four bytes that say whether extensions follow
        raise _bad_header(path, ValueError(f"vox_offset {first} lies within the header itself"))
    if voxels > MAX_VOXELS or needed > MAX_BYTES:
        raise BadData(
            f"{path}: the header announces {' × '.join(map(str, shape))} voxels "
            f"({needed / 1e9:.1f} GB); at most {MAX_VOXELS} voxels and {MAX_BYTES / 1e9:.1f} GB "
            "are read. Crop or resample the image; if it is not that large, convert it again."
        )
    return needed


def _image(path: Path, content: Path | BinaryIO, start: bytes, spare: int) -> "Nifti1Image":
    """Make an image of a file, or of its unpacked bytes, with so many bytes more than needed."""
    kind = _kind(path, start)
    try:
        source = str(content) if isinstance(content, Path) else content
        image = from_files(kind, kind.make_file_map({"image": source}))
    except OSError:
        raise
    except Exception as error:
        raise _bad_header(path, error) from error
    if spare < 0:
        raise BadData(
            f"{path} is damaged or cut short (it lacks {-spare} bytes of what its header "
            "announces); copy or convert it again."
        )
    return image


def _bad_header(path: Path, error: Exception) -> BadData:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return BadData(f"{path} has a damaged NIfTI header ({reason}); copy or convert it again.")
