"""Slices: a box on one slice of an image, in anatomical order, mirrored or not, resized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bidsapp.errors import BadData
from bidsapp.spaces.described import MOST_VOXELS, read_affine, read_voxels, unusable
from bidsapp.spaces.grid import RegularGrid
from bidsapp.spaces.nifti import EXTENSION, SCANNER, write_map

Pair = tuple[int, int]
Triple = tuple[int, int, int]
_LEFT_RIGHT = 0


@dataclass(frozen=True)
class Slice(RegularGrid):
    """A box on one slice of a 3D image, as a picture for a network, and the way back.

    Whichever way the image is stored, the picture's two axes run right, anterior, superior (the
    two of these that lie in the slice, in this order): that is read from the affine, never from the
    order of the voxels. Where it is `mirrored`, its first axis runs left instead. The box may
    stick out of the image; what sticks out is padding. Where the picture has other numbers of
    cells than the box has voxels, measurements are interpolated linearly, over as many voxels as a
    cell covers.

    Attributes
    ----------
    grid_shape
        Voxels of the image.
    grid_affine
        Its affine, 4×4, voxel index to mm (RAS+); any orientation, oblique too.
    axis, index
        The voxel axis (0, 1, 2) across which the slice lies, and its number from 0.
    start, extent
        First voxel and number of voxels of the box along the two other voxel axes, in their order
        in the file.
    shape
        Cells of the picture.
    mirrored
        Whether left and right change place, so that left and right sides can be compared.
    label
        Value of BIDS' ``space``.

    Raises
    ------
    BadData
        If the slice is not in the image, the box or the picture is empty, or a slice that has no
        left and right (a sagittal one) is to be mirrored.
    """

    kind: ClassVar[str] = "slice"
    cell: ClassVar[str] = "pixel"
    field: ClassVar[str] = "the picture"
    extension: ClassVar[str] = EXTENSION

    grid_shape: Triple
    grid_affine: tuple[tuple[float, ...], ...]
    axis: int
    index: int
    start: Pair
    extent: Pair
    shape: Pair
    mirrored: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        if np.shape(self.grid_affine) != (4, 4) or not np.linalg.det(self.grid_affine):
            raise BadData(f"a slice needs an affine of 4×4 that can be inverted: {self}")
        if self.axis not in (0, 1, 2) or not 0 <= self.index < self.grid_shape[self.axis]:
            raise BadData(
                f"slice {self.index} across voxel axis {self.axis} is not in an image of "
                f"{self.grid_shape} voxels"
            )
        if min(*self.extent, *self.shape) < 1:
            raise BadData(f"a slice needs a box of 1 voxel or more, got {self.extent} voxels")
        if self.mirrored and _LEFT_RIGHT not in self._world:
            raise BadData("a sagittal slice has no left and right, so it cannot be mirrored")

    @cached_property
    def _in_plane(self) -> Pair:
        """Voxel axes of the slice, in the order of the file."""
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second

    @cached_property
    def _orientation(self) -> np.ndarray:
        """(3, 2): world axis of each voxel axis, and 1 or -1 for its direction."""
        from nibabel.orientations import io_orientation

        return np.asarray(io_orientation(np.array(self.grid_affine)), int)

    @cached_property
    def _world(self) -> Pair:
        """World axes (0 right, 1 anterior, 2 superior) of the slice's voxel axes, in the file."""
        first, second = (int(self._orientation[axis, 0]) for axis in self._in_plane)
        return first, second

    @cached_property
    def _turned(self) -> bool:
        """Whether the picture's first axis is the file's second."""
        return self._world[0] > self._world[1]

    @cached_property
    def _flipped(self) -> tuple[bool, bool]:
        """Whether each axis of the picture runs against the file's, first the picture's first."""
        against = [
            (self._orientation[axis, 1] < 0) != (self.mirrored and world == _LEFT_RIGHT)
            for axis, world in zip(self._in_plane, self._world, strict=True)
        ]
        first, second = reversed(against) if self._turned else against
        return bool(first), bool(second)

    @property
    def upright_extent(self) -> Pair:
        """Voxels of the box along the picture's axes: the shape that needs no resizing."""
        first, second = self.extent
        return (second, first) if self._turned else (first, second)

    @property
    def affine(self) -> np.ndarray:
        """From a cell of the picture (u, v, 0) to its place in the person, mm (RAS+), 4×4."""
        to_voxel = np.zeros((4, 4))
        to_voxel[3, 3] = 1
        to_voxel[self.axis, 2], to_voxel[self.axis, 3] = 1, self.index
        places = reversed(range(2)) if self._turned else range(2)
        for axis, place in enumerate(places):
            voxels, cells = self.extent[place], self.shape[axis]
            step, first = voxels / cells, voxels / cells / 2 - 0.5
            if self._flipped[axis]:
                step, first = -step, voxels - 1 - first
            row = self._in_plane[place]
            to_voxel[row, axis], to_voxel[row, 3] = step, first + self.start[place]
        return np.array(self.grid_affine) @ to_voxel

    def cut(self, whole: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Take the picture out of images, (..., I, J, K): (..., *shape).

        Raises
        ------
        ValueError
            If the last three axes are not the image.
        """
        if whole.shape[-3:] != self.grid_shape:
            raise ValueError(f"expected an image of {self.grid_shape}, got {whole.shape[-3:]}")
        picture = np.take(whole, self.index, axis=whole.ndim - 3 + self.axis)
        inner, outer = self._overlap()
        box = np.full((*picture.shape[:-2], *self.extent), fill, picture.dtype)
        box[inner] = picture[outer]
        upright = np.swapaxes(box, -1, -2) if self._turned else box
        return resize(self._flip(upright), self.shape)

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Lay pictures, (..., *shape), onto the person's slice, un-mirrored: (..., I, J, K).

        Raises
        ------
        ValueError
            If the last two axes are not the picture.
        """
        if block.shape[-2:] != self.shape:
            raise ValueError(f"expected a picture of {self.shape}, got {block.shape[-2:]}")
        size = self.extent[::-1] if self._turned else self.extent
        upright = self._flip(resize(block, size))
        box = np.swapaxes(upright, -1, -2) if self._turned else upright
        whole = np.full((*block.shape[:-2], *self.grid_shape), fill, block.dtype)
        inner, outer = self._overlap()
        picture = np.moveaxis(whole, whole.ndim - 3 + self.axis, -1)[..., self.index]
        picture[outer] = box[inner]
        return whole

    def facts(self) -> dict[str, Any]:
        """Say which box of which slice the picture is."""
        return {
            "Axis": self.axis,
            "Slice": self.index,
            "Start": list(self.start),
            "Extent": list(self.extent),
            "Shape": list(self.shape),
            "Mirrored": self.mirrored,
        }

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write a map on the grid of the person's image, 0 outside of the box, with its sidecar."""
        codes = (SCANNER, SCANNER)
        write_map(path, self.put_back(block), np.array(self.grid_affine), sidecar, codes)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return {
            "kind": self.kind,
            "label": self.label,
            "grid_shape": list(self.grid_shape),
            "grid_affine": [list(row) for row in self.grid_affine],
            "axis": self.axis,
            "index": self.index,
            "start": list(self.start),
            "extent": list(self.extent),
            "shape": list(self.shape),
            "mirrored": self.mirrored,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Slice":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing or is not what it should be.
        """
        try:
            i, j, k = read_voxels("grid_shape", values["grid_shape"], 3)
            a, b = read_voxels("start", values["start"], 2, -MOST_VOXELS)
            c, d = read_voxels("extent", values["extent"], 2)
            e, f = read_voxels("shape", values["shape"], 2)
            rows = read_affine(values["grid_affine"])
            axis, index = int(values["axis"]), int(values["index"])
            mirrored, label = bool(values["mirrored"]), str(values["label"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unusable("slice", error) from error
        return cls((i, j, k), rows, axis, index, (a, b), (c, d), (e, f), mirrored, label)

    def _flip(self, picture: np.ndarray) -> np.ndarray:
        axes = [axis for axis, flipped in zip((-2, -1), self._flipped, strict=True) if flipped]
        return np.flip(picture, axes)

    def _overlap(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Index what is in both, first in the box, then in the slice, in the order of the file."""
        inner: list[Any] = [...]
        outer: list[Any] = [...]
        sizes = [self.grid_shape[axis] for axis in self._in_plane]
        for start, size, grid in zip(self.start, self.extent, sizes, strict=True):
            low, high = max(start, 0), max(min(start + size, grid), 0)
            low = min(low, high)
            inner.append(slice(low - start, high - start))
            outer.append(slice(low, high))
        return tuple(inner), tuple(outer)


def picture(shape: Pair, spacing_mm: tuple[float, float], label: str = "") -> Slice:
    """Give the space of pictures that have one frame in common, for what is said of a group.

    Parameters
    ----------
    shape
        Cells along the two axes.
    spacing_mm
        Edge lengths of a cell.
    label
        Value of BIDS' ``space``.

    Returns
    -------
    Slice
        All of an image of one slice, whose first two axes run right and anterior, with 0 mm in its
        middle. An image of ``(*shape, 1)`` voxels is the whole.
    """
    affine = np.diag([*spacing_mm, float(np.mean(spacing_mm)), 1.0])
    affine[:2, 3] = [-mm * (n - 1) / 2 for mm, n in zip(spacing_mm, shape, strict=True)]
    return whole_slice((*shape, 1), affine, label)


def whole_slice(grid_shape: Triple, affine: np.ndarray, label: str = "") -> Slice:
    """Keep all of an image that has one slice, in its own anatomical order.

    Raises
    ------
    BadData
        If the image has several slices along each of its axes.
    """
    thin = [axis for axis, n in enumerate(grid_shape) if n == 1]
    if not thin:
        raise BadData(f"representation.kind slice takes an image of one slice, not {grid_shape}")
    axis = thin[-1]
    first, second = (n for place, n in enumerate(grid_shape) if place != axis)
    rows = tuple(tuple(float(x) for x in row) for row in np.asarray(affine, float))
    plain = Slice(grid_shape, rows, axis, 0, (0, 0), (first, second), (first, second), label=label)
    return replace(plain, shape=plain.upright_extent)


def resize(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Bring the last two axes to other numbers of cells; the same numbers change nothing.

    Floating-point values are interpolated linearly between the centres of cells, by a triangle as
    wide as the larger of the two cells, so that nothing is skipped where there are fewer of
    them; a constant stays what it is. Whole numbers and truths come from the nearest cell.
    """
    floating = np.issubdtype(values.dtype, np.floating)
    for axis, size in zip((-2, -1), shape, strict=True):
        old = values.shape[axis]
        if size == old:
            continue
        if floating:
            weights = triangles(old, size)
            moved = np.moveaxis(np.asarray(values, np.float64), axis, -1) @ weights.T
            values = np.moveaxis(moved, -1, axis).astype(values.dtype)
        else:
            nearest = np.floor((np.arange(size) + 0.5) * old / size).astype(int)
            values = np.take(values, nearest, axis)
    return values


def triangles(old: int, new: int) -> np.ndarray:
    """Give weights of linear interpolation, (new, old); each row adds up to 1."""
    step = old / new
    centres = (np.arange(new) + 0.5) * step - 0.5
    centres = np.clip(centres, 0, old - 1)  # beyond the outermost centres, constant
    weights = np.maximum(0, 1 - np.abs(np.arange(old) - centres[:, None]) / max(step, 1.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
