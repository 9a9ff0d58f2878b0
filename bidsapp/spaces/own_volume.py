"""Boxes over people's own heads: one shape for all, and no place that people have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.spaces.nifti import OWN_GRID, SCANNER, write_map
from bidsapp.spaces.volume import Triple, Volume

_SAME = 0.01  # share by which the edges of voxels may differ


@dataclass(frozen=True)
class OwnVolume(Volume):
    """A box of which everybody has one of their own, in the order right, anterior, superior.

    `grid_shape`, `start` and `shape` are those of a `Volume`, after the stored box has been turned
    to RAS order; `grid_affine` has its voxel sizes, with the middle of the box at 0 mm, until
    `placed` puts it over one person's head.

    Attributes
    ----------
    axes
        Where the axes of the stored box run, such as ``PSR``.
    place
        The affine of one person's stored box, 4×4; empty where nobody's is meant.
    """

    kind: ClassVar[str] = "own_volume"
    common: ClassVar[bool] = False

    axes: str = "RAS"
    place: tuple[tuple[float, ...], ...] = ()

    @cached_property
    def _order(self) -> tuple[int, int, int]:
        """Stored axis of each of right, anterior and superior."""
        pairs = ("RL", "AP", "SI")
        x, y, z = (next(k for k, c in enumerate(self.axes) if c in pair) for pair in pairs)
        return x, y, z

    @cached_property
    def _against(self) -> tuple[int, ...]:
        """Axes of the RAS order, counted from the end, along which the stored box runs back."""
        return tuple(k - 3 for k in range(3) if self.axes[self._order[k]] in "LPI")

    @property
    def whole_shape(self) -> Triple:
        """Voxels of the box as it is stored."""
        back = np.argsort(self._order)
        a, b, c = (self.grid_shape[int(k)] for k in back)
        return a, b, c

    def cut(self, volume: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Take the window out of a stored box, shape (..., *whole_shape), turned to RAS order.

        Raises
        ------
        ValueError
            If the last three axes are not the box.
        """
        if volume.shape[-3:] != self.whole_shape:
            raise ValueError(f"expected a box of {self.whole_shape}, got {volume.shape[-3:]}")
        ahead = volume.ndim - 3
        turned = volume.transpose(*range(ahead), *(ahead + axis for axis in self._order))
        return super().cut(np.flip(turned, self._against), fill)

    def put_back(self, block: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Lay window data into the box as it is stored; `fill` where there is none."""
        upright = np.flip(super().put_back(block, fill), self._against)
        ahead = upright.ndim - 3
        back = np.argsort(self._order)
        return np.ascontiguousarray(
            upright.transpose(*range(ahead), *(ahead + int(axis) for axis in back))
        )

    def holds(self, shape: tuple[int, ...], affine: np.ndarray | None) -> bool:
        """Tell whether an image is such a box; where it lies is its own affair."""
        return tuple(shape) == self.whole_shape

    def same_whole(self, other: Space) -> bool:
        """Tell whether two boxes have one shape, one order of axes, and voxels of one size."""
        return (
            isinstance(other, OwnVolume)
            and (other.grid_shape, other.axes) == (self.grid_shape, self.axes)
            and np.allclose(other.spacing, self.spacing, rtol=_SAME)
        )

    def placed(self, affine: np.ndarray) -> "OwnVolume":
        """Give the box over one person's head, whose stored voxels lie by this affine."""
        return replace(self, place=tuple(tuple(float(x) for x in row) for row in affine))

    def facts(self) -> dict[str, Any]:
        """Say where the window lies in the box, and that the box is everybody's own."""
        return {**super().facts(), "Axes": self.axes, "Grid": "each participant's own"}

    def write(self, path: Path, block: np.ndarray, sidecar: Mapping[str, Any]) -> None:
        """Write a map over one person's head, or in the middle of nowhere if nobody's is meant."""
        affine = np.array(self.place) if self.place else self.stored_affine
        codes = (SCANNER, SCANNER)
        write_map(path, self.put_back(block), affine, sidecar, codes, OWN_GRID)

    @property
    def stored_affine(self) -> np.ndarray:
        """Affine of the stored box with its middle at 0 mm, 4×4."""
        sizes = np.diag(np.array(self.grid_affine))[:3]
        affine = np.zeros((4, 4))
        for world, axis in enumerate(self._order):
            affine[world, axis] = -sizes[world] if world - 3 in self._against else sizes[world]
        affine[:3, 3] = -affine[:3, :3] @ (np.array(self.whole_shape) - 1) / 2
        affine[3, 3] = 1
        return affine

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; not over whose head the box is."""
        return {"kind": self.kind, **super().to_dict(), "axes": self.axes}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "OwnVolume":
        """Read what `to_dict` wrote.

        Raises
        ------
        BadData
            If a key is missing or is not what it should be.
        """
        plain, axes = Volume.from_dict(values), str(values.get("axes", ""))
        if sorted("RLAPSI".find(letter) // 2 for letter in axes) != [0, 1, 2]:
            raise BadData(f"the description of the window cannot be used: axes {axes!r}")
        parts = plain.grid_shape, plain.grid_affine, plain.start, plain.shape, plain.label
        return cls(*parts, axes=axes)


def upright_box(shape: Sequence[int], affine: np.ndarray) -> tuple[Triple, np.ndarray, str]:
    """Give a stored box turned to RAS order: its voxels, its affine about 0 mm, and its axes.

    Parameters
    ----------
    shape, affine
        Of the image.
    """
    import nibabel as nib

    axes = "".join(str(code) for code in nib.aff2axcodes(affine))
    edges = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    pairs = ("RL", "AP", "SI")
    order = [next(k for k, code in enumerate(axes) if code in pair) for pair in pairs]
    x, y, z = (int(shape[axis]) for axis in order)
    sizes = np.round(edges[order], 4)
    own = np.diag([*sizes, 1.0])
    own[:3, 3] = -sizes * (np.array([x, y, z]) - 1) / 2
    return (x, y, z), own, axes


def own(space: Volume, axes: str) -> OwnVolume:
    """Make a window of an upright box a window of everybody's own."""
    return OwnVolume(
        space.grid_shape, space.grid_affine, space.start, space.shape, space.label, axes=axes
    )
