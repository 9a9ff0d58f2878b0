"""Images brought to one size on their way into a network, so that maps lie on them as they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bidsapp.spaces.slice import triangles


@dataclass(frozen=True)
class Resized:
    """Interpolate what a network is given, linearly, to one size along every axis.

    Where cells become larger, each is a weighted mean of all that it covers. Done as products with
    matrices, whose gradient is the same in every run on any device.

    Attributes
    ----------
    size
        Cells along every axis.
    """

    size: int

    def __call__(self, network: torch.nn.Module, given: tuple[Any, ...]) -> tuple[torch.Tensor]:
        """Map (B, C, X, Y) or (B, C, X, Y, Z) to (B, C, size, …)."""
        (x,) = given
        with torch.autocast(x.device.type, enabled=False):
            for axis in range(2, x.ndim):
                if x.shape[axis] != self.size:
                    weights = torch.from_numpy(triangles(x.shape[axis], self.size)).to(x)
                    x = (x.movedim(axis, -1) @ weights.T).movedim(-1, axis)
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        return (x.contiguous(memory_format=layout),)


def inner_grid(
    network: torch.nn.Module, shape: Sequence[int]
) -> tuple[tuple[int, ...], list[tuple[float, float]]]:
    """Give the size at which a network sees images, and where on the image its cells lie.

    Parameters
    ----------
    network
        Any; where it does not resize, its cells are those of the image.
    shape
        Of the image along the axes that count as space in the network.

    Returns
    -------
    size
        Cells along these axes.
    grid
        Start and jump along each: cell k is centred on cell start + k · jump of the image.
    """
    hooks = network._forward_pre_hooks.values()
    size = next((hook.size for hook in hooks if isinstance(hook, Resized)), None)
    if size is None:
        return tuple(shape), [(0.0, 1.0)] * len(shape)
    return (size,) * len(shape), [((n / size - 1) / 2, n / size) for n in shape]
