"""Prepared maps as they lie on disk, read for any space."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.intake.images import read_numbers
from bidsapp.spaces import read_space
from bidsapp.spaces.gifti import read_values
from bidsapp.spaces.volume import volume


class Whole(NamedTuple):
    """A map as a space's `cut` takes it.

    Attributes
    ----------
    values
        (..., *whole_shape).
    affine
        4×4 where the map is an image, voxel index to mm; None where it has none.
    told
        The space that the file itself describes, as `to_dict` wrote it; empty where it has none.
    """

    values: np.ndarray
    affine: np.ndarray | None
    told: Mapping[str, Any]


def read_whole(path: Path, dtype: str = "f4") -> Whole:
    """Read a map: a NIfTI image, or GIFTI values, which come in the shape that they tell of.

    Raises
    ------
    NoInput, BadData
        As `bidsapp.intake.images.read_numbers` and `bidsapp.spaces.gifti.read_values` do.
    """
    if path.suffix == ".gii":
        values, told = read_values(path)
        if told.get("kind") == "sphere" and not told.get("mesh"):
            values = values.reshape(told["shape"])
        return Whole(values.astype(dtype), None, told)
    return Whole(*read_numbers(path, dtype), {})


def whole_space(path: Path) -> Space:
    """Give the space of whole maps that lie as this one does: a volume, or what the file tells.

    Raises
    ------
    NoInput, BadData
        As `read_whole`.
    """
    found = read_whole(path)
    if found.affine is None:
        return read_space(found.told)
    x, y, z = found.values.shape[:3]
    return volume((x, y, z), found.affine)
