"""What a network eats, as the recipe's ``representation`` section asks: window, channels, scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bidsapp.contracts.space import Space
from bidsapp.errors import BadData
from bidsapp.recipes.images import Representation
from bidsapp.representation.scope import FittedStep
from bidsapp.spaces import read_space
from bidsapp.spaces.files import Whole
from bidsapp.spaces.slice import whole_slice
from bidsapp.spaces.volume import slab, volume


@dataclass(frozen=True)
class Channel:
    """One map of a participant that becomes one input channel.

    Attributes
    ----------
    name, unit
        The recipe's name, and what one unit of the stored values is.
    scale
        The factor between the image file and the stored values.
    masked
        Whether values outside the template's brain mask are set to 0.
    value_range
        The range a model can expect, for its metadata.
    arbitrary
        Whether the unit differs from image to image and means nothing, as that of T1w; only such
        values are scaled by `Representation.scaling`.
    """

    name: str
    unit: str
    scale: float
    masked: bool
    value_range: tuple[float, float]
    arbitrary: bool


CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        "t1w": Channel(
            "t1w", "relative intensity, 0 to 1 within the image", 1.0, False, (0, 1), True
        ),
        "log_jacobian": Channel(
            "log_jacobian",
            "natural logarithm of native volume over template volume",
            1.0,
            True,
            (-2, 2),
            False,
        ),
    }
)

SPACES: Mapping[str, Callable[[Representation, Whole], Space]] = MappingProxyType(
    {
        "slab": lambda spec, whole: slab(*_grid(whole), spec.plane or "axial", spec.slices or 30),
        "volume": lambda spec, whole: volume(*_grid(whole), spec.pad),
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


def fitted_steps(spec: Representation) -> tuple[FittedStep, ...]:
    """List what a recipe's representation fits, for the scope rule."""
    steps = []
    if spec.scaling != "none":
        steps.append(FittedStep(f"representation.scaling={spec.scaling}", "image"))
    if spec.zscore != "none":
        steps.append(FittedStep(f"representation.zscore={spec.zscore}", spec.zscore))
    return tuple(steps)


def unit_and_range(name: str, scaling: str) -> tuple[str, tuple[float, float]]:
    """Name unit and usual range of a channel's values before the z-score."""
    channel = CHANNELS[name]
    if scaling == "robust" and channel.arbitrary:
        return "robust standard deviations (IQR / 1.349) from the median of the own brain", (-6, 10)
    return channel.unit, channel.value_range
