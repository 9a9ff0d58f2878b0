"""A known signal, planted into any image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import UsageError


@dataclass(frozen=True)
class Region:
    """A cuboid in MNI space: its name, centre and size, in mm (RAS)."""

    name: str
    centre_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]


RIGHT_INSULA = Region("right insula", (38.0, 4.0, 1.0), (14.0, 34.0, 24.0))


def plant_cuboid(
    image: np.ndarray,
    affine: np.ndarray,
    centre_mm: Sequence[float],
    size_mm: Sequence[float],
    contrast: float,
    *,
    relative: bool = True,
) -> np.ndarray:
    """Plant a cuboid signal into an image.

    Parameters
    ----------
    image
        Array (x, y, z); left as it is.
    affine
        4 × 4, from voxel indices to RAS millimetres.
    centre_mm, size_mm
        Centre and full edge lengths of the cuboid along the world's axes. A voxel on its border
        gets the share of the contrast that lies inside (for axes that run along the world's).
    contrast
        What is planted: 0.2 makes the region 20 % brighter.
    relative
        If False, `contrast` is added in the image's own units; for maps around zero, such as the
        log-Jacobian.

    Returns
    -------
    numpy.ndarray
        float32, same shape.

    Raises
    ------
    UsageError
        The cuboid lies wholly outside the image.
    """
    inside = np.ones(image.shape, dtype=np.float32)
    indices = np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij", sparse=True)
    for axis in range(3):
        row = affine[axis]
        world = sum(float(row[k]) * indices[k] for k in range(3)) + float(row[3])
        voxel = float(np.linalg.norm(row[:3]))
        offset, half = world - centre_mm[axis], size_mm[axis] / 2
        overlap = np.minimum(offset + voxel / 2, half) - np.maximum(offset - voxel / 2, -half)
        inside *= np.clip(overlap / voxel, 0, 1).astype(np.float32)
    if not inside.any():
        raise UsageError(
            f"The cuboid at {tuple(centre_mm)} mm of size {tuple(size_mm)} mm is outside the image."
        )
    added = np.float32(contrast) * inside
    return (image * (1 + added) if relative else image + added).astype(np.float32)
