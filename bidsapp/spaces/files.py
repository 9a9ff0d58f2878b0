"""Prepared maps as they lie on disk, read for any space."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bidsapp.intake.images import read_numbers


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
    """Read a map: a NIfTI image.

    Raises
    ------
    NoInput, BadData
        As `bidsapp.intake.images.read_numbers` does.
    """
    return Whole(*read_numbers(path, dtype), {})
