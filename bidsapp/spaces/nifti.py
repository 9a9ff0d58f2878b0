"""Maps as NIfTI images with their sidecars, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives import atomic_path, write_json

EXTENSION = ".nii.gz"
SCANNER, STANDARD = 1, 4
"""NIfTI's codes of the scanner's own space and of a standard space."""
OWN_GRID = b"own grid"
"""``intent_name`` of images whose grid is one participant's own: all of a preparation are of one
shape, and a voxel is no place of the body that people have in common."""


def write_map(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray,
    sidecar: Mapping[str, Any],
    codes: tuple[int, int] = (STANDARD, STANDARD),
    intent: bytes = b"",
) -> None:
    """Write a map and, before it, its sidecar; the rest as `write_image` takes it."""
    write_json(path.with_name(path.name.removesuffix(EXTENSION) + ".json"), sidecar)
    write_image(path, volume, affine, codes, intent)


def write_image(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray,
    codes: tuple[int, int] = (STANDARD, STANDARD),
    intent: bytes = b"",
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
    intent
        ``intent_name`` of the header: `OWN_GRID`, or empty.
    """
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(volume, np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    if intent:
        image.header["intent_name"] = intent
    for put, code in zip((image.set_sform, image.set_qform), codes, strict=True):
        put(affine, code=code)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
