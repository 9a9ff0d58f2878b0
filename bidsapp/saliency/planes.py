"""Slabs in different planes joined into one map of the whole grid, for an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData


@dataclass(frozen=True)
class PlaneMap:
    """One variant's map.

    Attributes
    ----------
    name
        The variant.
    values
        (X, Y, Z) on the full template grid.
    covered
        (X, Y, Z) bool: where the variant's window and the mask are.
    """

    name: str
    values: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True)
class Combined:
    """A joined map.

    Attributes
    ----------
    values
        (X, Y, Z) float32; 0 where no variant looks.
    coverage
        (X, Y, Z) number of variants that look at the voxel.
    scales
        Variant to the root mean square that its map was divided by.
    """

    values: np.ndarray
    coverage: np.ndarray
    scales: dict[str, float]


def combine_planes(maps: Sequence[PlaneMap], scale: bool = True) -> Combined:
    """Average maps voxel by voxel over the variants whose window covers the voxel.

    Networks on different slabs differ in the size of their gradients for reasons that have nothing
    to do with place, so each map is first divided by its root mean square over its own window;
    the result has no unit then. A variant without a signal (a map of 0) stays 0.

    Parameters
    ----------
    maps
        At least one, on one grid.
    scale
        Whether to bring the maps to one scale; without, units are kept.

    Raises
    ------
    BadData
        If there is no map, the grids differ, a map is not finite, or covers nothing.
    """
    if not maps:
        raise BadData("no map to combine")
    shape = maps[0].values.shape
    total, coverage = np.zeros(shape), np.zeros(shape, np.uint8)
    scales = {}
    for one in maps:
        if one.values.shape != shape or one.covered.shape != shape:
            raise BadData(
                f"variant {one.name}: its map is on a grid of {one.values.shape}, that of "
                f"{maps[0].name} on {shape}; planes can be combined on one grid only"
            )
        inside = one.values[one.covered]
        if not inside.size or not np.isfinite(inside).all():
            raise BadData(f"variant {one.name}: its map covers nothing or is not finite")
        size = float(np.sqrt(np.mean(np.square(inside, dtype=float))))
        scales[one.name] = size if scale and size > 0 else 1.0
        total[one.covered] += inside / scales[one.name]
        coverage += one.covered
    values = np.divide(total, coverage, out=np.zeros(shape), where=coverage > 0)
    return Combined(values.astype(np.float32), coverage, scales)
