"""Maps as NIfTI images with their sidecars, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives import atomic_path, write_json

EXTENSION = ".nii.gz"
SCANNER, STANDARD = 1, 4
"""NIfTI's codes of the scanner's own space and of a standard space."""


def write_map(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray,
    sidecar: Mapping[str, Any],
    codes: tuple[int, int] = (STANDARD, STANDARD),
) -> None:
    """Write a map and, before it, its sidecar; `codes` as `write_image` takes them."""
    write_json(path.with_name(path.name.removesuffix(EXTENSION) + ".json"), sidecar)
    write_image(path, volume, affine, codes)


def write_image(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray,
    codes: tuple[int, int] = (STANDARD, STANDARD),
) -> None:
    """Write a float32 NIfTI image, whole or not at all.

    Parameters
    ----------
    path
        Of the image.
    volume
        (x, y, z).
    affine
        4 × 4, its voxels to RAS millimetres.
    codes
        Of sform and qform: in whose millimetres that is, the template's unless said.
    """
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(volume, np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    for put, code in zip((image.set_sform, image.set_qform), codes, strict=True):
        put(affine, code=code)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
