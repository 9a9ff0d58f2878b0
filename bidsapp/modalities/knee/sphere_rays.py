"""Directions over a sphere, and where their rays meet the triangles of a surface."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bidsapp.modalities.knee.anatomy import Bone
from bidsapp.modalities.knee.surface import Surface

_EDGE = 1e-9
_NEAR_POLE = np.deg2rad(10)


@dataclass(frozen=True)
class SphereGrid:
    """Pixels over a sphere: rows of one elevation from the pole upwards, columns of one azimuth.

    Attributes
    ----------
    rows, columns
        How many.
    low, high
        Elevation in radians where the rows begin and end; the pole of the joint is -pi/2.
    axes
        (3, 3) rows: the directions of azimuth 0, of azimuth pi/2, and of the other pole, in the
        knee's frame (lateral, anterior, superior).
    """

    rows: int
    columns: int
    low: float
    high: float
    axes: np.ndarray

    @cached_property
    def elevation(self) -> np.ndarray:
        """(rows,) radians of the pixels' centres."""
        return self.low + (np.arange(self.rows) + 0.5) * (self.high - self.low) / self.rows

    @cached_property
    def azimuth(self) -> np.ndarray:
        """(columns,) radians of the pixels' centres, from -pi."""
        return -np.pi + (np.arange(self.columns) + 0.5) * 2 * np.pi / self.columns

    @cached_property
    def directions(self) -> np.ndarray:
        """(rows * columns, 3) unit vectors in the knee's frame, rows first."""
        elevation, azimuth = np.meshgrid(self.elevation, self.azimuth, indexing="ij")
        flat = np.cos(elevation)
        local = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], -1)
        return local.reshape(-1, 3) @ self.axes

    @cached_property
    def solid_angles(self) -> np.ndarray:
        """(rows * columns,) steradians."""
        edges = np.linspace(self.low, self.high, self.rows + 1)
        ring = np.diff(np.sin(edges)) * 2 * np.pi / self.columns
        return np.repeat(ring, self.columns)

    def places(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row and column of (n, 3) points around the centre, not rounded, and their distance."""
        radius = np.linalg.norm(points, axis=1)
        local = points @ self.axes.T / np.maximum(radius, _EDGE)[:, None]
        elevation = np.arcsin(np.clip(local[:, 2], -1, 1))
        azimuth = np.arctan2(local[:, 1], local[:, 0])
        row = (elevation - self.low) / (self.high - self.low) * self.rows - 0.5
        column = (azimuth + np.pi) / (2 * np.pi) * self.columns - 0.5
        return row, column, radius


def grid_of(
    bone: Bone,
    rows: int = 224,
    columns: int = 224,
    low: float = -np.pi / 2,
    high: float = np.pi / 8,
) -> SphereGrid:
    """Lay the printed grid so that its lowest row is the middle of the bone's joint surface."""
    up = -np.asarray(bone.pole, float)
    front = -np.asarray(bone.start, float)
    return SphereGrid(rows, columns, low, high, np.stack([front, np.cross(up, front), up]))


@dataclass(frozen=True)
class Hits:
    """Every meeting of a pixel's ray with a triangle, of whatever sheet.

    Attributes
    ----------
    pixel, triangle
        (hits,) which.
    weights
        (hits, 3) barycentric, of the triangle's corners.
    radius
        (hits,) mm from the centre.
    facing
        (hits,) cosine between ray and normal; below 0 where the ray enters the bone.
    """

    pixel: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    radius: np.ndarray
    facing: np.ndarray

    def picked(self, chosen: np.ndarray) -> "Hits":
        """Take some, by number or bool."""
        return Hits(
            self.pixel[chosen],
            self.triangle[chosen],
            self.weights[chosen],
            self.radius[chosen],
            self.facing[chosen],
        )


def rays_met(points: np.ndarray, surface: Surface, grid: SphereGrid) -> Hits:
    """Find every triangle that a ray of the grid meets.

    Parameters
    ----------
    points
        (n, 3) the surface's, seen from the centre.
    """
    pixel, triangle = _candidates(points, surface.triangles, grid)
    return _hits(points, surface, grid, pixel, triangle)


def _candidates(
    points: np.ndarray, triangles: np.ndarray, grid: SphereGrid
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pixel and triangle whose boxes of rows and columns touch.

    Triangles near a pole take all columns, as their azimuths say little there.
    """
    row, column, _ = grid.places(points)
    corner_rows, corner_columns = row[triangles], column[triangles]
    # A great circle between two corners runs beyond their rows by less than this at these sizes.
    low = np.clip(np.floor(corner_rows.min(1) - 0.5).astype(int), 0, grid.rows)
    high = np.clip(np.ceil(corner_rows.max(1) + 0.5).astype(int), -1, grid.rows - 1)
    wrapped = (corner_columns - corner_columns[:, :1] + grid.columns / 2) % grid.columns
    wrapped = wrapped - grid.columns / 2 + corner_columns[:, :1]
    first = np.floor(wrapped.min(1)).astype(int)
    last = np.ceil(wrapped.max(1)).astype(int)
    # A triangle that holds a pole, or is nearer to it than it is wide, takes all columns there.
    unit = points / np.maximum(np.linalg.norm(points, axis=1), _EDGE)[:, None]
    corners = unit[triangles]
    wide = np.max([np.linalg.norm(corners[:, i] - corners[:, i - 1], axis=1) for i in range(3)], 0)
    height = (corners @ grid.axes[2]).mean(1)
    to_pole = np.sqrt(np.maximum(2 - 2 * np.abs(height), 0))
    polar = to_pole < np.maximum(2 * wide, _NEAR_POLE)
    low = np.where(polar & (height < 0), 0, low)
    high = np.where(polar & (height > 0) & (low < grid.rows), grid.rows - 1, high)
    all_round = polar | (last - first > grid.columns / 2)
    first = np.where(all_round, 0, first)
    last = np.where(all_round, grid.columns - 1, last)
    tall, wide = np.maximum(high - low + 1, 0), last - first + 1
    sizes = tall * wide
    triangle = np.repeat(np.arange(len(triangles)), sizes)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = low[triangle] + within // wide[triangle]
    columns = (first[triangle] + within % wide[triangle]) % grid.columns
    return rows * grid.columns + columns, triangle


def _hits(
    points: np.ndarray,
    surface: Surface,
    grid: SphereGrid,
    pixel: np.ndarray,
    triangle: np.ndarray,
) -> Hits:
    """Keep the pairs whose ray meets the triangle (Möller & Trumbore 1997), with where it does."""
    a, b, c = (points[surface.triangles[triangle, i]] for i in range(3))
    ray = grid.directions[pixel]
    one, two = b - a, c - a
    across = np.cross(ray, two)
    determinant = (one * across).sum(1)
    safe = np.where(np.abs(determinant) > 1e-14, determinant, np.inf)
    u = (-a * across).sum(1) / safe
    turned = np.cross(-a, one)
    v = (ray * turned).sum(1) / safe
    t = (two * turned).sum(1) / safe
    hit = (u >= -_EDGE) & (v >= -_EDGE) & (u + v <= 1 + _EDGE) & (t > _EDGE)
    u, v = np.clip(u[hit], 0, 1), np.clip(v[hit], 0, 1)
    facing = (ray[hit] * surface.triangle_normals[triangle[hit]]).sum(1)
    weights = np.clip(np.stack([1 - u - v, u, v], axis=1), 0, 1)
    return Hits(pixel[hit], triangle[hit], weights, t[hit], facing)
