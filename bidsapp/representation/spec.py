"""What a network eats, as the recipe's ``representation`` section asks: window, channels, scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bidsapp.recipes.images import Representation
from bidsapp.representation.scope import FittedStep
from bidsapp.spaces.volume import Triple, Volume, slab, volume


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
