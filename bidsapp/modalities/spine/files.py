"""NIfTI files of one slice: the slice, the region, the picture, and the frame of all pictures."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives.atomic import atomic_path
from bidsapp.modalities.spine.region import LARGEST, Region, common_frame


def write_frame(path: Path, size: int) -> Path:
    """Write the mask of all pictures, 1 everywhere, where it is not there yet."""
    if not path.is_file():
        with atomic_path(path) as temporary:
            _write(temporary, np.ones((size, size, 1), np.uint8), common_frame(size).affine, 2)
    return path


def write_region_files(region: Region, slice_to: Path, region_to: Path, picture_to: Path) -> None:
    """Write what was made of one injection.

    Slice and region hold intensities as scanned; the picture is stored as 0 to 255 with a slope of
    1/255, so that it is read as 0 to 1.
    """
    _write(slice_to, region.slice.values[..., None], region.slice.affine, 1)
    _write(region_to, region.region.values[..., None], region.region.affine, 1)
    write_picture(picture_to, region.picture)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write what a network sees of a region, (size, size) uint8, in the pictures' common frame."""
    affine = common_frame(len(picture)).affine
    _write(path, picture[..., None], affine, 2, slope=1 / LARGEST)


def _write(path: Path, data: np.ndarray, affine: np.ndarray, code: int, slope: float = 1) -> None:
    """Write a volume; the gzip header carries neither name nor time."""
    import nibabel as nib

    image: Any = nib.Nifti1Image(np.ascontiguousarray(data), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code, strip_shears=True)
    if slope != 1:
        image.header.set_slope_inter(slope, 0)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(image.to_bytes())
