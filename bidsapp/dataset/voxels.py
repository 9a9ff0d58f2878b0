"""What is in an image, as a hash: the same brain under two names has the same one."""

import hashlib
import zlib
from pathlib import Path
from typing import Any

from bidsapp.errors import BadData


def voxel_hash(path: Path) -> str:
    """Hash the voxels of an image as numbers, whatever they were stored as.

    Parameters
    ----------
    path
        An image that nibabel reads.

    Returns
    -------
    str
        sha256 in hex, over the shape and the scaled values as little-endian float32 in C order.
        Header, storage type and compression do not enter.

    Raises
    ------
    BadData
        The file cannot be read.
    """
    import nibabel as nib
    import numpy as np
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nib.load(path)
        values = np.ascontiguousarray(image.dataobj, dtype="<f4")
    except (
        OSError, EOFError, ValueError, TypeError, zlib.error, ImageFileError, HeaderDataError,
    ) as error:  # fmt: skip
        raise BadData(f"{path} cannot be read: {error}") from None
    values = values + np.float32(0)  # minus zero is zero
    digest = hashlib.sha256(repr(values.shape).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()
