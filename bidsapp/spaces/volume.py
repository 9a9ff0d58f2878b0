"""Volumes: a box of a template's grid, cut out for the network and put back for saliency."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bidsapp.errors import BadData, UsageError
from bidsapp.spaces.described import MOST_VOXELS, read_affine, read_voxels, unusable
from bidsapp.spaces.grid import RegularGrid
from bidsapp.spaces.nifti import EXTENSION, write_map

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Volume(RegularGrid):
    """A box of a template grid; it may stick out, and what sticks out is padding.

    Attributes
    ----------
    grid_shape
        Voxels of the full grid along x, y, z.
    grid_affine
        The full grid's affine, 4×4, voxel index to millimetres (RAS+).
    start
        Index in the full grid of the window's first voxel; negative where it is padded.
    shape
        Voxels of the window along x, y, z.
    label
        Value of BIDS' ``space``; empty where the one who writes knows it.
    """

    kind: ClassVar[str] = "volume"
    cell: ClassVar[str] = "voxel"
    field: ClassVar[str] = "the brain mask"
    extension: ClassVar[str] = EXTENSION

    grid_shape: Triple
    grid_affine: tuple[tuple[float, ...], ...]
    start: Triple
    shape: Triple
    label: str = ""

    def __post_init__(self) -> None:
        cannot = "the description of the window cannot be used:"
        if np.shape(self.grid_affine) != (4, 4):
            raise BadData(f"{cannot} grid_affine is not 4×4")
        if min(*self.shape, *self.grid_shape) < 1:
            raise BadData(f"{cannot} shape {self.shape} of a grid of {self.grid_shape}")
        if not abs(np.linalg.det(self.grid_affine)) > 0:
            raise BadData(f"{cannot} grid_affine maps no volume")

    @property
    def affine(self) -> np.ndarray:
        """Affine of the window itself, 4×4 float64."""
        affine = np.array(self.grid_affine, float)
        affine[:3, 3] += affine[:3, :3] @ np.array(self.start, float)
        return affine

    def cut(self, volume: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Take the window out of full-grid data, shape (..., X, Y, Z).

        Raises
        ------
        ValueError
            If the last three axes are not the full grid.
        """
        if volume.shape[-3:] != self.grid_shape:
            raise ValueError(f"expected a grid of {self.grid_shape}, got {volume.shape[-3:]}")
        inner, outer = self._overlap()
        block = np.full((*volume.shape[:-3], *self.shape), fill, volume.dtype)
        block[inner] = volume[outer]
        return block

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Lay window data, shape (..., x, y, z), into the full grid; `fill` where there is none.

        Raises
        ------
        ValueError
            If the last three axes are not the window.
        """
        if block.shape[-3:] != self.shape:
            raise ValueError(f"expected a window of {self.shape}, got {block.shape[-3:]}")
        inner, outer = self._overlap()
        volume = np.full((*block.shape[:-3], *self.grid_shape), fill, block.dtype)
        volume[outer] = block[inner]
        return volume

    def facts(self) -> dict[str, Any]:
        """Say where the window lies in the full grid."""
        return {"Start": list(self.start), "Shape": list(self.shape)}

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write a map on the full grid, 0 outside of the window, with its sidecar."""
        write_map(path, self.put_back(block), np.array(self.grid_affine), sidecar)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        told = {"label": self.label} if self.label else {}
        return told | {
            "grid_shape": list(self.grid_shape),
            "grid_affine": [list(row) for row in self.grid_affine],
            "start": list(self.start),
            "shape": list(self.shape),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Volume":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing or is not what it should be.
        """
        try:
            window = cls(
                _triple(read_voxels("grid_shape", values["grid_shape"], 3)),
                read_affine(values["grid_affine"]),
                _triple(read_voxels("start", values["start"], 3, -MOST_VOXELS)),
                _triple(read_voxels("shape", values["shape"], 3)),
                str(values.get("label", "")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unusable("window", error) from error
        return window

    def _overlap(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Index what is in both, first in the window, then in the grid."""
        inner: list[Any] = [...]
        outer: list[Any] = [...]
        for start, size, grid in zip(self.start, self.shape, self.grid_shape, strict=True):
            low, high = max(start, 0), min(start + size, grid)
            inner.append(slice(low - start, high - start))
            outer.append(slice(low, high))
        return tuple(inner), tuple(outer)


def slab(grid_shape: Triple, affine: np.ndarray, plane: str, slices: int) -> Volume:
    """Keep the middle slices of a plane; of an odd rest the smaller part comes first.

    Raises
    ------
    UsageError
        If the plane is unknown or the grid has fewer slices.
    """
    if plane not in PLANES:
        raise UsageError(f"representation.plane: {plane!r} is not one of {', '.join(PLANES)}")
    axis = PLANES[plane]
    if not 1 <= slices <= grid_shape[axis]:
        raise UsageError(
            f"representation.slices: {slices} {plane} slices asked for, "
            f"the grid {grid_shape} has {grid_shape[axis]}"
        )
    start, shape = [0, 0, 0], list(grid_shape)
    start[axis] = (grid_shape[axis] - slices) // 2
    shape[axis] = slices
    return Volume(_triple(grid_shape), _rows(affine), _triple(start), _triple(shape))


def volume(grid_shape: Triple, affine: np.ndarray, pad: Triple | None = None) -> Volume:
    """Keep the whole grid, padded evenly to `pad` voxels where given; an odd rest goes to the end.

    Raises
    ------
    UsageError
        If the grid is larger than `pad`.
    """
    shape = _triple(pad or grid_shape)
    if any(new < old for new, old in zip(shape, grid_shape, strict=True)):
        raise UsageError(f"representation.pad: {shape} is smaller than the grid {grid_shape}")
    start = [-((new - old) // 2) for new, old in zip(shape, grid_shape, strict=True)]
    return Volume(_triple(grid_shape), _rows(affine), _triple(start), shape)


def _triple(values: Any) -> Triple:
    a, b, c = (int(v) for v in values)
    return a, b, c


def _rows(affine: np.ndarray) -> tuple[tuple[float, ...], ...]:
    rows = np.asarray(affine, float)
    off_axis = rows[:3, :3] - np.diag(np.diag(rows[:3, :3]))
    if rows.shape != (4, 4) or np.any(np.diag(rows)[:3] <= 0) or np.abs(off_axis).max() > 1e-4:
        raise BadData(
            "a window needs a grid whose axes run right, anterior, superior (RAS) without "
            f"rotation; got the affine {rows.tolist()}"
        )
    return tuple(tuple(float(x) for x in row) for row in rows)
