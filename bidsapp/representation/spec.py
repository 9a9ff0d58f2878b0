"""What a network eats, as the recipe's ``representation`` section asks: window and channels."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bidsapp.contracts.modality import channel_named
from bidsapp.recipes.images import Representation
from bidsapp.spaces.volume import Triple, Volume, slab, volume

WINDOWS: Mapping[str, Callable[[Representation, Triple, np.ndarray], Volume]] = MappingProxyType(
    {
        "slab": lambda spec, shape, affine: slab(
            shape, affine, spec.plane or "axial", spec.slices or 30
        ),
        "volume": lambda spec, shape, affine: volume(shape, affine, spec.pad),
    }
)


def window_of(spec: Representation, grid_shape: Triple, affine: np.ndarray) -> Volume:
    """Find the box of the template grid that a recipe keeps.

    Raises
    ------
    UsageError
        If the grid has fewer slices than asked for, or more voxels than the padded volume.
    BadData
        If the grid is not upright (RAS without rotation).
    """
    return WINDOWS[spec.kind](spec, grid_shape, affine)


def unit_and_range(name: str, scaling: str) -> tuple[str, tuple[float, float]]:
    """Name unit and usual range of a channel's values before the z-score."""
    channel = channel_named(name)
    if scaling == "robust" and channel.arbitrary:
        return "robust standard deviations (IQR / 1.349) from the median of the own brain", (-6, 10)
    return channel.unit, channel.value_range
