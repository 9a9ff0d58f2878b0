"""Weights and pictures that are the same everywhere, made from names and numbers alone."""

import hashlib
import zlib
from collections.abc import Mapping

import numpy as np
import torch


def written(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Values of a weight, from its name; of a size at which signals neither grow nor fade."""
    # the legacy generator, whose stream numpy promises never to change
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1)
    if name.endswith("running_var"):
        values = draw.uniform(0.5, 1.5, shape)
    elif len(shape) > 1:
        values = draw.normal(0, np.sqrt(1.5 / np.prod(shape[1:])), shape)
    else:
        values = draw.normal(0, 0.1, shape)
        if name.endswith("weight"):
            values += 1
    return torch.from_numpy(values.astype(np.float32))


def write_weights(network: torch.nn.Module) -> None:
    """Give a network the values that its names say."""
    state = network.state_dict()
    network.load_state_dict({name: written(name, tuple(state[name].shape)) for name in state})


def picture(seed: int, *shape: int) -> torch.Tensor:
    """Numbers from 0 to 1."""
    return torch.from_numpy(np.random.RandomState(seed).uniform(0, 1, shape).astype(np.float32))


def layout_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Hash of all names and shapes, in their order."""
    lines = [f"{name} {tuple(value.shape)}" for name, value in state.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
