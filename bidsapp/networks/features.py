"""The features that the last layer of a network judges an image by."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from bidsapp.networks.registry import head_name


@contextmanager
def captured(network: torch.nn.Module) -> Iterator[list[np.ndarray]]:
    """Collect what the last linear layer is given, (B, d) float32 a batch, in the order of calls.

    What the network answers stays bit for bit the same.
    """
    kept: list[np.ndarray] = []

    def keep(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        kept.append(given[0].detach().float().flatten(1).cpu().numpy())

    handle = network.get_submodule(head_name(network)).register_forward_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()
