"""Transforms with a known answer, and points to try them on."""

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from bidsapp.drawing.geometry import FLIP, to_itk
from bidsapp.modalities.t1w.transform import SpatialMap

Points = np.ndarray  # (n, 3), RAS millimetres

# A box about the origin, larger than a brain: 50 x 60 x 50 voxels of 4 mm.
SHAPE = (50, 60, 50)
GRID = np.array([[4.0, 0, 0, -98], [0, 4, 0, -118], [0, 0, 4, -98], [0, 0, 0, 1]])

# Waves of 6 mm and 150 mm: smooth, one to one, far from linear, and stretching along each axis.
_SIZE, _WAVE = 6.0, 2 * np.pi / 150


def grid_points(shape: tuple[int, ...] = SHAPE, affine: np.ndarray = GRID) -> Points:
    """Centres of the voxels of a grid, in C order."""
    indices = np.indices(shape).reshape(3, -1).T
    return indices @ affine[:3, :3].T + affine[:3, 3]


def waves(points: Points) -> Points:
    """Displacements (n, 3) in RAS mm."""
    x, y, z = (_WAVE * points).T
    moved = [np.sin(x + y + 0.4), np.sin(z) * np.cos(y + 1), np.cos(z - x)]
    return _SIZE * np.stack(moved, axis=1)


def still(points: Points) -> Points:
    """No displacement."""
    return np.zeros_like(points)


def field_image(displacement: Callable[[Points], Points]) -> sitk.Image:
    """Sample displacements (RAS mm to RAS mm) on the grid, as the package keeps them."""
    ras = displacement(grid_points()).reshape(*SHAPE, 3)
    components = [to_itk(np.float32(FLIP[a, a] * ras[..., a]), GRID) for a in range(3)]
    return sitk.Compose(components)


def oblique_affine(scale: float = 1.1) -> np.ndarray:
    """Scale and rotate by 20 degrees about two axes, and shift."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    affine = np.eye(4)
    nod, turn = (
        np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    )
    affine[:3, :3] = scale * nod @ turn
    affine[:3, 3] = (5, -8, 12)
    return affine


def mapped(affine: np.ndarray, displacement: Callable[[Points], Points], points: Points) -> Points:
    """Where points (RAS) go: the displacement acts first."""
    moved = points + displacement(points)
    return moved @ affine[:3, :3].T + affine[:3, 3]


def through(transform: sitk.Transform, points: Points) -> Points:
    """Where an ITK transform puts points, given and returned in RAS mm."""
    flip = np.diag(FLIP)[:3]
    return np.array([transform.TransformPoint((p * flip).tolist()) for p in points]) * flip


def wavy_map() -> SpatialMap:
    """An oblique affine after the waves."""
    return SpatialMap(oblique_affine(), field_image(waves))


def inner_points(count: int = 200, seed: int = 0) -> Points:
    """Points well inside the grid."""
    return np.random.default_rng(seed).uniform(-50, 50, (count, 3))
