"""What is in an image, as a hash: the same brain under two names has the same one."""

import hashlib
from pathlib import Path


def voxel_hash(path: Path) -> str:
    """Hash the voxels of an image as numbers, whatever they were stored as.

    Parameters
    ----------
    path
        A NIfTI image.

    Returns
    -------
    str
        sha256 in hex, over the shape and the scaled values as little-endian float32 in C order.
        Header, storage type and compression do not enter.

    Raises
    ------
    NoInput, BadData
        As `bidsapp.intake.images.read_numbers`.
    """
    import numpy as np

    from bidsapp.intake.images import read_numbers

    values = np.ascontiguousarray(read_numbers(path, "<f4")[0])
    values = values + np.float32(0)  # minus zero is zero
    digest = hashlib.sha256(repr(values.shape).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()
