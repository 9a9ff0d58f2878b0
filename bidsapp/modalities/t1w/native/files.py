"""NIfTI files of a box: images of people, and the mask of all boxes of a preparation."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives.atomic import atomic_path
from bidsapp.spaces.nifti import OWN_GRID, SCANNER


def write_box(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Write values in a box over one person's head; the header says that the grid is theirs alone.

    The gzip header carries neither name nor time, so that equal voxels give equal files.
    """
    import nibabel as nib

    image: Any = nib.Nifti1Image(np.ascontiguousarray(data), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["intent_name"] = OWN_GRID
    image.set_sform(affine, code=SCANNER)
    image.set_qform(affine, code=SCANNER, strip_shears=True)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(image.to_bytes())


def write_frame(path: Path, box: tuple[int, int, int], axes: str, spacing: float) -> Path:
    """Write the mask of all boxes, 1 everywhere, with its middle at 0 mm, if it is not there."""
    if path.is_file():
        return path
    affine = np.zeros((4, 4))
    for axis, letter in enumerate(axes):
        world = next(place for place, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        affine[world, axis] = spacing if letter in "RAS" else -spacing
    affine[:3, 3] = -affine[:3, :3] @ (np.array(box) - 1) / 2
    affine[3, 3] = 1
    with atomic_path(path) as temporary:
        write_box(temporary, np.ones(box, np.uint8), affine)
    return path
