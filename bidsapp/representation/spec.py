"""What a network eats, as the recipe's ``representation`` section asks: window, channels, scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bidsapp.recipes.images import Representation
from bidsapp.representation.scope import FittedStep
from bidsapp.representation.window import Triple, Window, slab, volume


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
    """

    name: str
    unit: str
    scale: float
    masked: bool
    value_range: tuple[float, float]


CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        "t1w": Channel("t1w", "relative intensity, 0 to 1 within the image", 1.0, False, (0, 1)),
        "log_jacobian": Channel(
            "log_jacobian",
            "natural logarithm of native volume over template volume",
            1.0,
            True,
            (-2, 2),
        ),
    }
)

WINDOWS: Mapping[str, Callable[[Representation, Triple, np.ndarray], Window]] = MappingProxyType(
    {
        "slab": lambda spec, shape, affine: slab(
            shape, affine, spec.plane or "axial", spec.slices or 30
        ),
        "volume": lambda spec, shape, affine: volume(shape, affine, spec.pad),
    }
)


def window_of(spec: Representation, grid_shape: Triple, affine: np.ndarray) -> Window:
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
    if spec.zscore == "none":
        return ()
    return (FittedStep(f"representation.zscore={spec.zscore}", spec.zscore),)
