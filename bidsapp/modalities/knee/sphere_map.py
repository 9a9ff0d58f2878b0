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

from bidsapp.modalities.knee.anatomy import Bone
from bidsapp.modalities.knee.surface import Surface, centre_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_EDGE = 1e-9
_NEAR_POLE = np.deg2rad(10)
_SHEET_MM = 1.0
_SEEN_MM = 1.0
GRAZING = 0.02
"""Least cosine between ray and normal: what is steeper counts as this steep."""
_MOST_KNOWN = 0.5


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
    pixel, triangle = _candidates(points, surface.triangles, grid)
    hits = _hits(points, surface, grid, pixel, triangle)
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
