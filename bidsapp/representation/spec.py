"""What a network eats, as the recipe's ``representation`` section asks: window and channels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.recipes.images import Representation
from bidsapp.spaces import read_space
from bidsapp.spaces.files import Whole, window_in
from bidsapp.spaces.slice import whole_slice
from bidsapp.spaces.volume import slab, volume

SPACES: Mapping[str, Callable[[Representation, Whole], Space]] = MappingProxyType(
    {
        "slab": lambda spec, whole: window_in(
            whole,
            lambda shape, affine: slab(shape, affine, spec.plane or "axial", spec.slices or 30),
        ),
        "volume": lambda spec, whole: window_in(
            whole, lambda shape, affine: volume(shape, affine, spec.pad)
        ),
        "slice": lambda spec, whole: whole_slice(*_grid(whole)),
        "sphere": lambda spec, whole: read_space(whole.told),
    }
)


def space_of(spec: Representation, whole: Whole) -> Space:
    """Find the part of a prepared map that a recipe keeps.

    Raises
    ------
    UsageError
        If the grid has fewer slices than asked for, or more voxels than the padded volume.
    BadData
        If the grid is not upright (RAS without rotation), a slice is asked for and the image has
        several, or a sphere and the file describes none.
    """
    return SPACES[spec.kind](spec, whole)


def _grid(whole: Whole) -> tuple[tuple[int, int, int], np.ndarray]:
    if whole.values.ndim != 3 or whole.affine is None:
        raise BadData(f"expected one 3D volume, found shape {whole.values.shape}")
    x, y, z = whole.values.shape
    return (x, y, z), whole.affine


def unit_and_range(name: str, scaling: str) -> tuple[str, tuple[float, float]]:
    """Name unit and usual range of a channel's values before the z-score."""
    channel = channel_named(name)
    if scaling == "robust" and channel.arbitrary:
        return "robust standard deviations (IQR / 1.349) from the median of the own brain", (-6, 10)
    return channel.unit, channel.value_range
