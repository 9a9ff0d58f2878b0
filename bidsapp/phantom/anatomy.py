"""How one head differs from the template: a random deformation that is known both ways."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bidsapp.phantom.region import Region

_FIELD_MM = 4.0  # spacing of the deformation's grid


@dataclass(frozen=True)
class Anatomy:
    """How one participant's head differs from the template, both ways.

    A point x (RAS mm) of the scanner lies at ``exp(velocity)(affine · x)`` of the template.

    Attributes
    ----------
    affine
        4 × 4, from scanner to template, before the deformation.
    velocity
        Stationary velocity (3, nx, ny, nz) in mm, on a grid of 4 mm.
    origin
        World coordinates of that grid's first point, mm.
    """

    affine: np.ndarray
    velocity: np.ndarray
    origin: np.ndarray

    @cached_property
    def _forward(self) -> np.ndarray:
        return _exponential(self.velocity)

    @cached_property
    def _backward(self) -> np.ndarray:
        return _exponential(-self.velocity)

    def to_template(self, points: np.ndarray) -> np.ndarray:
        """Where scanner points (n, 3), RAS mm, lie in the template; (n, 3), RAS mm."""
        moved = points @ self.affine[:3, :3].T + self.affine[:3, 3]
        return moved + self._displaced(self._forward, moved)

    def to_scanner(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `to_template`, within about 0.1 mm."""
        moved = points + self._displaced(self._backward, points)
        inverse = np.linalg.inv(self.affine)
        return moved @ inverse[:3, :3].T + inverse[:3, 3]

    def _displaced(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        from scipy.ndimage import map_coordinates

        at = ((points - self.origin) / _FIELD_MM).T
        return np.stack(
            [map_coordinates(part, at, order=1, mode="nearest") for part in field], axis=-1
        )


def _exponential(velocity: np.ndarray, steps: int = 6) -> np.ndarray:
    """Displacement of the flow of a stationary velocity, by scaling and squaring.

    Arsigny et al., MICCAI 2006, doi:10.1007/11866565_113. Same shape and units as `velocity`.
    """
    from scipy.ndimage import map_coordinates

    grid = np.indices(velocity.shape[1:], dtype=float)
    field = velocity / 2**steps
    for _ in range(steps):
        at = grid + field / _FIELD_MM
        field = field + np.stack(
            [map_coordinates(part, at, order=1, mode="nearest") for part in field]
        )
    return field


def draw_anatomy(
    rng: np.random.Generator, warp_mm: float, region: Region, volume_effect: float
) -> Anatomy:
    """Draw the size, place, turn and deformation of one head.

    Parameters
    ----------
    rng
        Where all of it is drawn from.
    warp_mm
        Root mean square of the deformation's velocity, mm.
    region, volume_effect
        Where the local volume differs besides, and by how much (0.1 is 10 % larger, 0 is not).
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial.transform import Rotation

    # The template is larger than nearly every head, so a head's size is 0.86 to 0.96 of it.
    size = rng.uniform(0.87, 0.95) * rng.uniform(0.985, 1.015, 3)
    to_scanner = np.eye(4)
    rotation = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True)
    to_scanner[:3, :3] = rotation.as_matrix() * size
    to_scanner[:3, 3] = rng.uniform(-8, 8, 3)

    origin = np.array([-110.0, -150.0, -130.0])
    shape = (56, 66, 62)
    noise = rng.standard_normal((3, *shape))
    velocity = np.stack([gaussian_filter(part, 14 / _FIELD_MM, mode="constant") for part in noise])
    velocity *= warp_mm / np.sqrt((velocity**2).sum(0).mean())
    if volume_effect:
        velocity += _growth(shape, origin, region, volume_effect)
    return Anatomy(np.linalg.inv(to_scanner), velocity, origin)


def _growth(
    shape: tuple[int, ...], origin: np.ndarray, region: Region, volume_effect: float
) -> np.ndarray:
    """Velocity under which the tissue at the region's centre has 1 + `volume_effect` its volume."""
    points = np.indices(shape).reshape(3, -1).T * _FIELD_MM + origin
    away = points - np.array(region.centre_mm)
    width = np.array(region.size_mm) / 2
    bell = np.exp(-0.5 * ((away / width) ** 2).sum(1))
    inward = -np.log1p(volume_effect) / 3 * away * bell[:, None]
    return inward.T.reshape(3, *shape)
