"""Triangle meshes seen from a point: which triangle lies in which direction, and how far away."""

from dataclasses import dataclass

import numpy as np

CANDIDATES = (16, 96)
"""Triangles that are tried in a direction, the nearest by angle; more where none of them is hit."""
_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh.

    Attributes
    ----------
    vertices
        (v, 3) in mm, RAS+.
    faces
        (f, 3) numbers of vertices.
    """

    vertices: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True, eq=False)
class Sampling:
    """A mesh as seen along some directions.

    Attributes
    ----------
    corners
        (..., 3) vertices of the triangle that is hit; 0 where there is none.
    shares
        (..., 3) barycentric shares of these.
    distance
        (...) mm from the centre; NaN where there is no triangle.
    """

    corners: np.ndarray
    shares: np.ndarray
    distance: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """(...) bool: where there is a triangle."""
        return np.isfinite(self.distance)

    @classmethod
    def of(cls, mesh: Mesh, centre: np.ndarray, directions: np.ndarray) -> "Sampling":
        """Find the triangle that is furthest away in each direction.

        Möller and Trumbore 1997 (doi:10.1080/10867651.1997.10487468), on the triangles whose
        middles lie nearest by angle.

        Parameters
        ----------
        mesh
            The surface.
        centre
            (3,) mm.
        directions
            (..., 3) unit vectors.
        """
        from scipy.spatial import cKDTree

        flat = directions.reshape(-1, 3)
        corners = np.asarray(mesh.vertices, np.float64)[mesh.faces] - centre
        middle = corners.mean(axis=1)
        length = np.linalg.norm(middle, axis=1, keepdims=True)
        tree = cKDTree(middle / np.where(length > 0, length, 1))
        best = np.full(len(flat), np.nan)
        face = np.zeros(len(flat), int)
        shares = np.zeros((len(flat), 3))
        for count in CANDIDATES:
            open_ = np.flatnonzero(~np.isfinite(best))
            if not len(open_):
                break
            near = tree.query(flat[open_], k=min(count, len(middle)))[1].reshape(len(open_), -1)
            for column in near.T:
                away, share = _hits(corners[column], flat[open_])
                further = np.isfinite(away) & ~(best[open_] >= away)
                rows = open_[further]
                best[rows], face[rows], shares[rows] = (
                    away[further],
                    column[further],
                    share[further],
                )
        seen = np.isfinite(best)
        vertices = np.where(seen[:, None], np.asarray(mesh.faces)[face], 0)
        shape = directions.shape[:-1]
        return cls(vertices.reshape(*shape, 3), shares.reshape(*shape, 3), best.reshape(shape))

    def look(self, values: np.ndarray, fill: float) -> np.ndarray:
        """Take (..., vertices) values in every direction; labels from the nearest vertex."""
        if np.issubdtype(values.dtype, np.floating):
            found = (values[..., self.corners] * self.shares).sum(axis=-1).astype(values.dtype)
        else:
            nearest = np.take_along_axis(
                self.corners, self.shares.argmax(axis=-1)[..., None], axis=-1
            )[..., 0]
            found = values[..., nearest]
        return np.where(self.seen, found, np.asarray(fill, values.dtype))


def _hits(triangles: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (n,) along rays from 0 to a triangle each, NaN beside it, and shares (n, 3)."""
    a, b, c = (triangles[:, corner] for corner in range(3))
    ab, ac = b - a, c - a
    normal = np.cross(rays, ac)
    volume = (ab * normal).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = -(a * normal).sum(axis=1) / volume
        turned = np.cross(-a, ab)
        v = (rays * turned).sum(axis=1) / volume
        away = (ac * turned).sum(axis=1) / volume
    hit = (u >= -_EDGE) & (v >= -_EDGE) & (u + v <= 1 + _EDGE) & (away > 0)
    shares = np.clip(np.stack([1 - u - v, u, v], axis=1), 0, 1)
    return np.where(hit, away, np.nan), np.where(hit[:, None], shares, 0)


def grid_faces(shape: tuple[int, int], flipped: bool = False) -> np.ndarray:
    """Join the cells of a picture that is closed along its first axis to triangles, (f, 3).

    Outside is where they are seen counter-clockwise; `flipped` where left and right changed place.
    """
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1] - 1), indexing="ij")
    here, beside = i * shape[1] + j, (i + 1) % shape[0] * shape[1] + j
    one = np.stack([here, beside, beside + 1], axis=-1).reshape(-1, 3)
    other = np.stack([here, beside + 1, here + 1], axis=-1).reshape(-1, 3)
    faces = np.concatenate([one, other])
    return faces[:, ::-1] if flipped else faces
