"""Meshes: a value at each point of a surface that people have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.spaces.described import unusable
from bidsapp.spaces.gifti import EXTENSION, MESH, packed, unpacked, write_mesh, write_values
from bidsapp.spaces.graph import Graph
from bidsapp.spaces.surface import Mesh

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class MeshSpace(Graph):
    """The points of a triangle mesh; its edges say which are neighbours.

    A point stands for a third of the triangles that it is a corner of. Block and whole are the
    same: (points,) values.

    Attributes
    ----------
    mesh
        Points in mm, and triangles.
    label
        Value of BIDS' ``space``.

    Raises
    ------
    BadData
        A triangle names a point that is not there, or there is no triangle.
    """

    kind: ClassVar[str] = "mesh"
    extension: ClassVar[str] = EXTENSION

    mesh: Mesh
    label: str = ""

    def __post_init__(self) -> None:
        points, faces = np.asarray(self.mesh.vertices), np.asarray(self.mesh.faces)
        shaped = points.ndim == 2 and faces.ndim == 2 and points.shape[1] == faces.shape[1] == 3
        if not shaped or not len(faces) or faces.min() < 0 or faces.max() >= len(points):
            raise BadData(
                "a mesh needs (n, 3) points and (m, 3) triangles of these, one or more; got "
                f"{points.shape} and {faces.shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """As many as there are points."""
        return (len(self.mesh.vertices),)

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """As many as there are points."""
        return self.shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Mean length of an edge, mm."""
        pairs = self.neighbours().tocoo()
        points = self.points()
        apart = np.linalg.norm(points[pairs.row] - points[pairs.col], axis=1)
        return (float(apart.mean()),)

    def cut(self, whole: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Copy (..., points) values.

        Raises
        ------
        ValueError
            If the last axis is not the points.
        """
        if whole.shape[-1:] != self.shape:
            raise ValueError(f"expected values of {self.shape[0]} points, got {whole.shape}")
        return whole.copy()

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Copy (..., points) values.

        Raises
        ------
        ValueError
            If the last axis is not the points.
        """
        return self.cut(block)

    def points(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(points, 3) mm."""
        every = np.asarray(self.mesh.vertices, np.float64)
        return every if inside is None else every[inside]

    @cached_property
    def _areas(self) -> np.ndarray:
        a, b, c = (self.points()[self.mesh.faces[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        found = np.bincount(self.mesh.faces.ravel(), np.repeat(area, 3), minlength=self.shape[0])
        # a point of no triangle, or of none with an area, still counts for something
        return np.maximum(found, 1e-9 * max(float(found.max()), 1e-9))

    def sizes(self, inside: np.ndarray | None = None) -> np.ndarray:
        """(points,) area that each stands for, mm²."""
        return self._areas if inside is None else self._areas[inside]

    @cached_property
    def _near(self) -> "csr_array":
        from scipy.sparse import coo_array

        faces, n = np.asarray(self.mesh.faces, int), self.shape[0]
        pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
        near = coo_array((np.ones(len(pairs), np.uint8), pairs.T), shape=(n, n)).tocsr()
        near.setdiag(0)
        near.eliminate_zeros()
        near.data[:] = 1
        return near

    def neighbours(self, inside: np.ndarray | None = None, corners: bool = True) -> "csr_array":
        """(points, points) 1 where two share an edge, with or without `corners`."""
        if inside is None:
            return self._near
        kept = np.flatnonzero(inside)
        return self._near[kept][:, kept].tocsr()

    def holds(self, shape: tuple[int, ...], affine: np.ndarray | None) -> bool:
        """Tell whether there is a value for each point, and no affine."""
        return affine is None and tuple(shape) == self.shape

    def same_whole(self, other: Space) -> bool:
        """Tell whether two have one mesh."""
        return (
            isinstance(other, MeshSpace)
            and self.shape == other.shape
            and np.allclose(self.points(), other.points(), atol=1e-3)
            and np.array_equal(self.mesh.faces, other.mesh.faces)
        )

    def facts(self) -> dict[str, Any]:
        """Say how many points there are."""
        return {"Points": self.shape[0], "Triangles": len(self.mesh.faces)}

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write values as GIFTI with their sidecar, and the surface beside them."""
        name = f"surface{'' if not self.label else f'-{self.label}'}_mesh{MESH}"
        write_mesh(path.with_name(name), self.mesh.vertices, self.mesh.faces)
        told = dict(sidecar) | {"Surface": name}
        write_values(path, self.put_back(block), json.dumps(self.to_dict()), told)

    def to_dict(self) -> dict[str, Any]:
        """Plain texts for JSON; arrays are packed."""
        return {
            "kind": self.kind,
            "label": self.label,
            "vertices": packed(np.asarray(self.mesh.vertices, np.float32)),
            "faces": packed(np.asarray(self.mesh.faces, np.int32)),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MeshSpace":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing or cannot be used.
        """
        try:
            mesh = Mesh(unpacked(values["vertices"]), unpacked(values["faces"]))
            return cls(mesh, str(values["label"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unusable("mesh", error) from error
