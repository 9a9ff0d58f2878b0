"""Prepared maps as they lie on disk, read for any space."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.intake.images import read_with_intent
from bidsapp.spaces import read_space
from bidsapp.spaces.gifti import read_values
from bidsapp.spaces.nifti import OWN_GRID
from bidsapp.spaces.own_volume import OwnVolume, own, upright_box
from bidsapp.spaces.volume import Volume, volume


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
        Of an image that says that its grid is one person's own, the kind alone.
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
    values, affine, intent = read_with_intent(path, dtype)
    return Whole(values, affine, {"kind": OwnVolume.kind} if intent == OWN_GRID else {})


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
    return window_in(found, volume)


def window_in(whole: Whole, make: Callable[[tuple[int, int, int], np.ndarray], Volume]) -> Volume:
    """Make a window of an image's grid, or of the upright box where the grid is a person's own.

    Parameters
    ----------
    whole
        An image.
    make
        Gives the window of an upright grid, from its voxels and affine.

    Raises
    ------
    BadData
        The whole is no 3D image.
    """
    if whole.values.ndim != 3 or whole.affine is None:
        raise BadData(f"expected one 3D volume, found shape {whole.values.shape}")
    if whole.told.get("kind") == OwnVolume.kind:
        shape, affine, axes = upright_box(whole.values.shape, whole.affine)
        return own(make(shape, affine), axes)
    x, y, z = whole.values.shape
    return make((x, y, z), whole.affine)
