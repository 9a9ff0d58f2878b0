"""Triangle surfaces: areas, normals, volumes, neighbours, distances to them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_TAUBIN_IN, _TAUBIN_OUT = 0.5, -0.53


@dataclass(frozen=True)
class Surface:
    """A closed surface whose triangles turn anticlockwise seen from outside.

    Attributes
    ----------
    points
        (n, 3) millimetres, float64.
    triangles
        (m, 3) numbers of points, int32.
    """

    points: np.ndarray
    triangles: np.ndarray

    @cached_property
    def _cross(self) -> np.ndarray:
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return np.asarray(np.cross(b - a, c - a))

    @cached_property
    def triangle_areas(self) -> np.ndarray:
        """(m,) mm²."""
        return np.asarray(np.linalg.norm(self._cross, axis=1) / 2)

    @cached_property
    def areas(self) -> np.ndarray:
        """(n,) mm² that each point stands for: a third of the triangles that it is a corner of."""
        return self._gathered(np.repeat(self.triangle_areas / 3, 3))

    @cached_property
    def normals(self) -> np.ndarray:
        """(n, 3) unit vectors outwards, the mean of the triangles' around, weighted by area."""
        summed = np.stack([self._gathered(np.repeat(self._cross[:, i], 3)) for i in range(3)], 1)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.asarray(summed / np.where(length > 0, length, 1))

    @cached_property
    def triangle_normals(self) -> np.ndarray:
        """(m, 3) unit vectors outwards; 0 of triangles without area."""
        length = np.linalg.norm(self._cross, axis=1, keepdims=True)
        return np.asarray(self._cross / np.where(length > 0, length, 1))

    @property
    def area(self) -> float:
        """Total, mm²."""
        return float(self.triangle_areas.sum())

    @property
    def volume(self) -> float:
        """Enclosed, mm³; negative where triangles turn inwards."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return float((a * np.cross(b, c)).sum() / 6)

    @property
    def closed(self) -> bool:
        """Whether every edge is one of exactly two triangles, in opposite directions."""
        edges = np.concatenate([self.triangles[:, [i, (i + 1) % 3]] for i in range(3)]).astype(int)
        key = edges[:, 0] * len(self.points) + edges[:, 1]
        back = edges[:, 1] * len(self.points) + edges[:, 0]
        return len(np.unique(key)) == len(key) and bool(np.isin(back, key).all())

    @cached_property
    def neighbours(self) -> "csr_array":
        """(n, n) symmetric, 1 where two points share an edge."""
        from scipy.sparse import csr_array

        edges = np.concatenate([self.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
        n = len(self.points)
        one_way = csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n))
        both = one_way + one_way.T
        both.data[:] = 1
        return csr_array(both)

    def mean(self, values: np.ndarray, where: np.ndarray | None = None) -> float:
        """Mean of (n,) values weighted by area, over the points of a mask that have a value."""
        kept = np.isfinite(values) if where is None else np.isfinite(values) & where
        weights = self.areas[kept]
        return float((values[kept] * weights).sum() / weights.sum()) if kept.any() else float("nan")

    def averaged(self, values: np.ndarray) -> np.ndarray:
        """Mean of (n,) values of a point and, for the other half, of the neighbours that have one.

        Evens out the steps of voxels over about the distance between points.
        """
        known = np.isfinite(values)
        number = self.neighbours @ known.astype(float)
        around = (self.neighbours @ np.where(known, values, 0.0)) / np.maximum(number, 1)
        return np.asarray(np.where(known & (number > 0), (values + around) / 2, values))

    def smoothed(self, rounds: int = 5) -> "Surface":
        """Even out the points without shrinking (Taubin 1995, doi:10.1145/218380.218473)."""
        degree = np.asarray(self.neighbours.sum(axis=1)).ravel()[:, None]
        points = self.points
        for _ in range(rounds):
            for step in (_TAUBIN_IN, _TAUBIN_OUT):
                points = points + step * (self.neighbours @ points / degree - points)
        return Surface(points, self.triangles)

    def moved(self, points: np.ndarray) -> "Surface":
        """Give the same triangles over other points."""
        return Surface(np.asarray(points, float), self.triangles)

    def mirrored(self) -> "Surface":
        """Give the mirror image along the first axis, its triangles turned round."""
        return Surface(self.points * [-1, 1, 1], self.triangles[:, ::-1])

    def _gathered(self, values: np.ndarray) -> np.ndarray:
        corners = self.triangles.ravel()
        return np.bincount(corners, weights=values, minlength=len(self.points))


def centre_of(surface: Surface) -> np.ndarray:
    """(3,) centre of mass of the enclosed volume."""
    a, b, c = (surface.points[surface.triangles[:, i]] for i in range(3))
    volumes = (a * np.cross(b, c)).sum(1) / 6
    return np.asarray(((a + b + c) / 4 * volumes[:, None]).sum(0) / volumes.sum())


def distance_to(surface: Surface, points: np.ndarray, candidates: int = 8) -> np.ndarray:
    """(k,) millimetres from (k, 3) points to a surface.

    Exact to the nearest of the triangles around the `candidates` nearest triangle centres
    (Ericson 2004, Real-Time Collision Detection, 5.1.5), which misses none on meshes of even
    triangles.
    """
    from scipy.spatial import cKDTree

    corners = surface.points[surface.triangles]
    centres = corners.mean(axis=1)
    nearest = cKDTree(centres).query(points, k=min(candidates, len(centres)))[1]
    best = np.full(len(points), np.inf)
    for column in np.atleast_2d(nearest.T):
        best = np.minimum(best, _to_triangle(points, corners[column]))
    return best


def _to_triangle(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    normal = np.cross(b - a, c - a)
    square = np.maximum((normal**2).sum(1), 1e-30)
    inside = np.ones(len(points), bool)
    to_edges = np.full(len(points), np.inf)
    for p, q in ((a, b), (b, c), (c, a)):
        edge, to = q - p, points - p
        inside &= (np.cross(edge, to) * normal).sum(1) >= 0
        along = (to * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-30)
        foot = p + np.clip(along, 0, 1)[:, None] * edge
        to_edges = np.minimum(to_edges, np.linalg.norm(points - foot, axis=1))
    height = np.abs(((points - a) * normal).sum(1)) / np.sqrt(square)
    return np.where(inside, height, to_edges)
