"""Spheres: what a surface looks like from a point inside, as a picture of longitudes, latitudes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.spaces.described import read_voxels, unusable
from bidsapp.spaces.gifti import EXTENSION, MESH, packed, unpacked, write_mesh, write_values
from bidsapp.spaces.graph import Graph
from bidsapp.spaces.grid import adjacency, grid_pairs
from bidsapp.spaces.surface import Mesh, Sampling, grid_faces

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Pair = tuple[int, int]
WHOLE = (-float(np.pi) / 2, float(np.pi) / 2)


@dataclass(frozen=True, eq=False)
class Sphere(Graph):
    """A map over the directions from a point: longitude along the first axis, latitude the second.

    Cells are equal steps of both angles, so those near a pole are small: means weigh them by their
    size. Longitude runs all the way round, from -pi at the first cell's border, counter-clockwise
    seen from above (from right to anterior); the last cell touches the first.

    Without a mesh the picture is the whole, as for maps that people have in common. With one, the
    whole is a value at each of its vertices: `cut` looks outward along the middle of each cell and
    takes the surface that is furthest away, `put_back` gives each vertex that is seen so the value
    in its direction.

    Attributes
    ----------
    shape
        Cells along longitude and latitude.
    latitudes
        The lowest and the highest border, in radians; a pole is at ±pi/2.
    radius
        Distance of the surface from the centre in mm: one number, or (longitudes, latitudes) of
        them. With a mesh it is that of the mesh, and what is given here is where there is none.
    centre
        mm, RAS+.
    mirrored
        Whether left and right change place, so that left and right sides can be compared.
    weights
        ``area``: a cell's size is the area of the surface in it, mm². ``solid_angle``: steradians.
    mesh
        The person's own surface.
    label
        Value of BIDS' ``space``.

    Raises
    ------
    BadData
        If the latitudes do not rise within ±pi/2, a radius is not above 0, or the picture has
        fewer than three longitudes.
    """

    kind: ClassVar[str] = "sphere"
    cell: ClassVar[str] = "pixel"
    field: ClassVar[str] = "the map"
    extension: ClassVar[str] = EXTENSION

    shape: Pair
    latitudes: tuple[float, float] = WHOLE
    radius: float | np.ndarray = 1.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirrored: bool = False
    weights: str = "area"
    mesh: Mesh | None = None
    label: str = ""

    def __post_init__(self) -> None:
        low, high = self.latitudes
        if not WHOLE[0] - 1e-9 <= low < high <= WHOLE[1] + 1e-9:
            raise BadData(f"a sphere's latitudes must rise within ±pi/2, got {low:g} to {high:g}")
        if self.shape[0] < 3 or self.shape[1] < 1:
            raise BadData(f"a sphere needs 3 longitudes and 1 latitude or more, got {self.shape}")
        radius = np.asarray(self.radius)
        if radius.shape not in ((), self.shape) or not np.all(np.isfinite(radius) & (radius > 0)):
            raise BadData(
                f"a sphere's radius must be above 0 mm, one number or {self.shape} of them"
            )
        if self.weights not in ("area", "solid_angle"):
            raise BadData(f"a sphere's weights are area or solid_angle, not {self.weights!r}")

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """The vertices of the mesh, or the picture where there is none."""
        return self.shape if self.mesh is None else (len(self.mesh.vertices),)

    @property
    def spacing(self) -> tuple[float, float]:
        """Arcs in mm between neighbours, at the mean radius and where they are the largest."""
        steps, widest = self._steps, float(np.cos(self._latitude).max())
        mean = float(self.distance.mean())
        return mean * steps[0] * widest, mean * steps[1]

    @property
    def _steps(self) -> tuple[float, float]:
        return 2 * np.pi / self.shape[0], (self.latitudes[1] - self.latitudes[0]) / self.shape[1]

    @cached_property
    def _latitude(self) -> np.ndarray:
        """(latitudes,) of the middles of cells."""
        return np.asarray(self.latitudes[0] + (np.arange(self.shape[1]) + 0.5) * self._steps[1])

    @cached_property
    def directions(self) -> np.ndarray:
        """(longitudes, latitudes, 3) unit vectors from the centre to each cell, in the person."""
        longitude = -np.pi + (np.arange(self.shape[0]) + 0.5) * self._steps[0]
        flat = np.cos(self._latitude)
        x, y = np.outer(np.cos(longitude), flat), np.outer(np.sin(longitude), flat)
        z = np.broadcast_to(np.sin(self._latitude), self.shape)
        return np.stack([-x if self.mirrored else x, y, z], axis=-1)

    @cached_property
    def _sampling(self) -> Sampling | None:
        if self.mesh is None:
            return None
        return Sampling.of(self.mesh, np.array(self.centre), self.directions)

    @property
    def seen(self) -> np.ndarray:
        """Bool of the picture: where there is a surface; everywhere without a mesh."""
        return np.ones(self.shape, bool) if self._sampling is None else self._sampling.seen

    @cached_property
    def distance(self) -> np.ndarray:
        """(longitudes, latitudes) of the surface from the centre, in mm."""
        told = np.asarray(self.radius)
        exact = told if told.ndim == 0 else told.astype(np.float32)  # as it is written down
        radius = np.array(np.broadcast_to(exact, self.shape), np.float64)
        if self._sampling is not None:
            radius[self.seen] = self._sampling.distance[self.seen]
        return radius

    def cut(self, whole: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Look at values of the whole, (..., vertices) or pictures: (..., *shape).

        Raises
        ------
        ValueError
            If the last axes are not `whole_shape`.
        """
        if whole.shape[-len(self.whole_shape) :] != self.whole_shape:
            raise ValueError(f"expected values of {self.whole_shape}, got {whole.shape}")
        if self._sampling is None:
            return whole.copy()
        return self._sampling.look(whole, fill)

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Give pictures, (..., *shape), to the vertices that are seen: (..., vertices).

        Raises
        ------
        ValueError
            If the last two axes are not the picture.
        """
        if block.shape[-2:] != self.shape:
            raise ValueError(f"expected a picture of {self.shape}, got {block.shape[-2:]}")
        if self.mesh is None:
            return block.copy()
        whole = np.full((*block.shape[:-2], *self.whole_shape), fill, block.dtype)
        place, share, reached = self._vertices
        flat = block.reshape(*block.shape[:-2], -1)
        if np.issubdtype(block.dtype, np.floating):
            whole[..., reached] = (flat[..., place] * share).sum(axis=-1)
        else:
            nearest = np.take_along_axis(place, share.argmax(axis=1)[:, None], 1)[:, 0]
            whole[..., reached] = flat[..., nearest]
        return whole

    @cached_property
    def _vertices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells about each vertex that is seen and their shares, (m, 4) each, and which it is."""
        assert self.mesh is not None
        away = np.asarray(self.mesh.vertices, np.float64) - self.centre
        if self.mirrored:
            away = away * [-1, 1, 1]
        length = np.linalg.norm(away, axis=1)
        latitude = np.arcsin(np.clip(away[:, 2] / np.where(length > 0, length, 1), -1, 1))
        u = (np.arctan2(away[:, 1], away[:, 0]) + np.pi) / self._steps[0] - 0.5
        v = (latitude - self.latitudes[0]) / self._steps[1] - 0.5
        reached = (length > 0) & (v >= -0.5 - 1e-9) & (v <= self.shape[1] - 0.5 + 1e-9)
        v = np.clip(v, 0, self.shape[1] - 1)
        i, j = np.floor(u).astype(int), np.minimum(np.floor(v).astype(int), self.shape[1] - 1)
        right, up = u - i, v - j
        columns = np.stack([i, i + 1, i, i + 1], axis=1) % self.shape[0]
        rows = np.minimum(np.stack([j, j, j + 1, j + 1], axis=1), self.shape[1] - 1)
        share = np.stack(
            [(1 - right) * (1 - up), right * (1 - up), (1 - right) * up, right * up], axis=1
        )
        place = columns * self.shape[1] + rows
        near = (self.distance.ravel()[place] * share).sum(axis=1)
        reached &= length >= near - 2 * max(self.spacing)  # not behind what is seen
        return place[reached], share[reached], reached

    def points(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells, 3) where the surface is in the middle of each cell, mm, RAS+."""
        every = np.asarray(self.centre) + self.directions * self.distance[..., None]
        return np.asarray(every.reshape(-1, 3) if inside is None else every[inside])

    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(cells,) area of the surface in mm², or solid angle, by what `weights` says.

        A cell of the solid angle W at the distance r has the area ``r sqrt(r² + |grad r|²) W``,
        the gradient being that over the unit sphere.
        """
        borders = self.latitudes[0] + np.arange(self.shape[1] + 1) * self._steps[1]
        angle = np.broadcast_to(np.diff(np.sin(borders)) * self._steps[0], self.shape)
        if self.weights == "area":
            r = self.distance
            along = (np.roll(r, -1, 0) - np.roll(r, 1, 0)) / (2 * self._steps[0])
            up = np.gradient(r, self._steps[1], axis=1) if self.shape[1] > 1 else 0 * r
            slope = np.square(along / np.cos(self._latitude)) + np.square(up)
            angle = r * np.sqrt(np.square(r) + slope) * angle
        return np.asarray(angle.ravel() if inside is None else angle[inside])

    def neighbours(self, inside: np.ndarray | None = None, corners: bool = True) -> "csr_array":
        """(cells, cells) 1 where two touch, round in longitude; over a pole with corners."""
        mask = np.ones(self.shape, bool) if inside is None else np.asarray(inside, bool)
        pairs = grid_pairs(mask, corners, wrapped=(0,))
        if corners:
            number = np.full(self.shape, -1)
            number[mask] = np.arange(int(mask.sum()))
            for row, pole, there in ((0, WHOLE[0], 0), (-1, WHOLE[1], 1)):
                if abs(self.latitudes[there] - pole) < 1e-6:
                    ring = number[:, row]
                    across = np.stack([ring, np.roll(ring, self.shape[0] // 2)], axis=1)
                    pairs = np.concatenate([pairs, across[(across >= 0).all(axis=1)]])
        return adjacency(mask, pairs)

    def holds(self, shape: tuple[int, ...], affine: np.ndarray | None) -> bool:
        """Tell whether a map has as many values as the whole, and no affine."""
        return affine is None and tuple(shape) == self.whole_shape

    def same_whole(self, other: Space) -> bool:
        """Tell whether two spheres have one picture and one surface."""
        if not isinstance(other, Sphere) or self.to_dict().keys() != other.to_dict().keys():
            return False
        return self.to_dict() == other.to_dict()

    def facts(self) -> dict[str, Any]:
        """Say which directions the picture shows."""
        return {
            "Shape": list(self.shape),
            "Latitudes": list(self.latitudes),
            "Centre": list(self.centre),
            "Mirrored": self.mirrored,
            "Weights": self.weights,
        }

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write a map as GIFTI, put back onto the mesh, with its sidecar and the surface itself.

        The surface lies beside it as ``sphere_mesh.surf.gii`` (of the picture where there is no
        mesh), one for all maps of a folder.
        """
        if self.mesh is None:
            points, faces = self.points(), grid_faces(self.shape, flipped=self.mirrored)
        else:
            points, faces = self.mesh.vertices, self.mesh.faces
        name = f"sphere{'' if not self.label else f'-{self.label}'}_mesh{MESH}"
        write_mesh(path.with_name(name), points, faces)
        told = dict(sidecar) | {"Surface": name}
        write_values(path, self.put_back(block), json.dumps(self.to_dict()), told)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts, for JSON; arrays are packed."""
        one = np.ndim(self.radius) == 0
        return {
            "kind": self.kind,
            "label": self.label,
            "shape": list(self.shape),
            "latitudes": list(self.latitudes),
            "radius": float(self.radius) if one else packed(np.asarray(self.radius, np.float32)),
            "centre": list(self.centre),
            "mirrored": self.mirrored,
            "weights": self.weights,
            "mesh": None
            if self.mesh is None
            else {"vertices": packed(self.mesh.vertices), "faces": packed(self.mesh.faces)},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sphere":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing or cannot be used.
        """
        try:
            a, b = read_voxels("shape", values["shape"], 2)
            low, high = values["latitudes"]
            x, y, z = values["centre"]
            told, mesh = values["radius"], values["mesh"]
            return cls(
                (a, b),
                (float(low), float(high)),
                unpacked(told) if isinstance(told, Mapping) else float(told),
                (float(x), float(y), float(z)),
                bool(values["mirrored"]),
                str(values["weights"]),
                None if mesh is None else Mesh(unpacked(mesh["vertices"]), unpacked(mesh["faces"])),
                str(values["label"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unusable("sphere", error) from error
