"""A bone's surface as a map over a sphere, seen from its centre, and the way back.

Every pixel is a direction; where its ray leaves the bone for good, the map has the value of the
surface, from the three points of the triangle by their barycentric weights. Points of the surface
get their values back from the four pixels around their own direction. What lies under another
sheet of the surface is not seen, and gets nothing; cartilage that folds over an edge is shown by
`bidsapp.modalities.knee.plate_map`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.modalities.knee.sphere_rays import Hits, SphereGrid, rays_met
from bidsapp.modalities.knee.surface import Surface, centre_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_EDGE = 1e-9
_SHEET_MM = 1.0
_SEEN_MM = 1.0
GRAZING = 0.02
"""Least cosine between ray and normal: what is steeper counts as this steep."""
_MOST_KNOWN = 0.5


@dataclass(frozen=True)
class SphereMap:
    """How a surface lies on a grid.

    Attributes
    ----------
    grid
        The grid.
    centre
        (3,) from where the surface is seen, in the knee's frame.
    corners, weights
        (pixels, 3) points of the triangle that a pixel shows, and their weights; corners are -1
        where a ray meets nothing.
    radius
        (pixels,) mm from the centre; NaN where a ray meets nothing.
    sheets
        (pixels,) how many sheets of the surface, more than a millimetre apart, the ray leaves by.
    facing
        (pixels,) cosine between ray and normal.
    within
        (points,) bool: the point's direction is within the grid.
    seen
        (points,) bool: it is on the outermost sheet too.
    back_pixels, back_weights
        (points, 4) pixels around a point's direction, and their weights.
    hits
        All that the rays meet.
    """

    grid: SphereGrid
    centre: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    radius: np.ndarray
    sheets: np.ndarray
    facing: np.ndarray
    within: np.ndarray
    seen: np.ndarray
    back_pixels: np.ndarray
    back_weights: np.ndarray
    hits: Hits

    @cached_property
    def forward(self) -> "csr_array":
        """(pixels, points) weights of the map's values; rows sum to 1, or to 0 without a hit."""
        from scipy.sparse import csr_array

        hit = self.corners[:, 0] >= 0
        pixel = np.repeat(np.flatnonzero(hit), 3)
        entries = (self.weights[hit].ravel(), (pixel, self.corners[hit].ravel()))
        return csr_array(entries, shape=(len(hit), len(self.seen)))

    @cached_property
    def backward(self) -> "csr_array":
        """(points, pixels) weights of values that return to the surface; 0 where it is not seen."""
        return self.back_to(self.seen)

    def back_to(self, points: np.ndarray) -> "csr_array":
        """(points, pixels) weights of values that return to the points of a mask."""
        from scipy.sparse import csr_array

        point = np.repeat(np.flatnonzero(points), 4)
        entries = (self.back_weights[points].ravel(), (point, self.back_pixels[points].ravel()))
        return csr_array(entries, shape=(len(points), len(self.radius)))

    @property
    def areas(self) -> np.ndarray:
        """(pixels,) mm² of the surface that each shows: solid angle, distance and slant."""
        slant = np.maximum(self.facing, GRAZING)
        return np.nan_to_num(self.grid.solid_angles * self.radius**2 / slant)

    def to_map(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) of (points,) values; NaN where most of the triangle has none."""
        shape = (self.grid.rows, self.grid.columns)
        return weighted(self.forward, values).reshape(shape)

    def to_surface(self, image: np.ndarray) -> np.ndarray:
        """(points,) of a (rows, columns) map; NaN where a point is not seen or its pixels empty."""
        return weighted(self.backward, np.asarray(image).ravel())

    def mean(self, image: np.ndarray) -> float:
        """Mean of a map over the surface that it shows, weighted by area."""
        return area_mean(np.asarray(image).ravel(), self.areas)


def area_mean(values: np.ndarray, areas: np.ndarray) -> float:
    """Mean of what is known, weighted by area; NaN where nothing is."""
    kept = np.isfinite(values) & (areas > 0)
    weights = areas[kept]
    return float((values[kept] * weights).sum() / weights.sum()) if kept.any() else float("nan")


def weighted(matrix: "csr_array", values: np.ndarray) -> np.ndarray:
    """Weighted means of what is known; NaN where less than half of the weight is."""
    known = np.isfinite(values)
    weight = matrix @ known.astype(float)
    total = matrix @ np.where(known, values, 0.0)
    return np.where(weight >= _MOST_KNOWN, total / np.maximum(weight, _EDGE), np.nan)


def lay_on_sphere(
    surface: Surface, grid: SphereGrid, centre: np.ndarray | None = None
) -> SphereMap:
    """Find what every pixel shows, and where every point finds itself again.

    Parameters
    ----------
    surface
        Closed, around the centre, in the knee's frame.
    grid
        As `grid_of` gives it.
    centre
        From where the surface is seen; the bone's centre of mass where absent.
    """
    middle = centre_of(surface) if centre is None else np.asarray(centre, float)
    points = surface.points - middle
    hits = rays_met(points, surface, grid)
    n = grid.rows * grid.columns
    hits = hits.picked(np.lexsort((hits.radius, hits.pixel)))  # the outermost comes last
    next_one = hits.pixel[1:] == hits.pixel[:-1]
    outermost = np.append(~next_one, True)[: len(hits.pixel)]
    corners, shares = np.full((n, 3), -1), np.zeros((n, 3))
    far, slant = np.full(n, np.nan), np.full(n, np.nan)
    last = hits.picked(outermost)
    corners[last.pixel], shares[last.pixel] = surface.triangles[last.triangle], last.weights
    far[last.pixel], slant[last.pixel] = last.radius, last.facing
    apart = np.append(next_one & (np.diff(hits.radius) > _SHEET_MM), False)[: len(hits.pixel)]
    sheets = np.bincount(hits.pixel[(apart | outermost) & (hits.facing > 0)], minlength=n)
    around, share, within, seen = _back(points, grid, far)
    return SphereMap(
        grid, middle, corners, shares, far, sheets, slant, within, seen, around, share, hits
    )


def _back(
    points: np.ndarray, grid: SphereGrid, radius: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four pixels around each point's direction, their weights; is it within the grid, and seen."""
    row, column, own = grid.places(points)
    low, left = np.floor(row).astype(int), np.floor(column).astype(int)
    up, right = row - low, column - left
    rows = np.stack([low, low, low + 1, low + 1], axis=1)
    columns = np.stack([left, left + 1, left, left + 1], axis=1)
    # Half a pixel below the lowest row lies the pole, and beyond it the opposite column.
    beyond = rows < 0
    rows, columns = np.where(beyond, -1 - rows, rows), columns + beyond * (grid.columns // 2)
    inside = (rows < grid.rows).all(1) & (row <= grid.rows - 0.5)
    rows = np.clip(rows, 0, grid.rows - 1)
    pixels = rows * grid.columns + columns % grid.columns
    weights = np.stack(
        [(1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right], axis=1
    )
    outer = np.nanmax(np.where(np.isfinite(radius[pixels]), radius[pixels], -np.inf), axis=1)
    surface = (np.nan_to_num(radius[pixels]) * weights).sum(1)
    seen = inside & (own >= np.minimum(surface, outer) - _SEEN_MM)
    return pixels, weights, inside, seen
