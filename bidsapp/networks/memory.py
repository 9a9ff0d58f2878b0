"""How much memory training a network takes, counted from its layers before it is trained."""

import math
from typing import Any

import torch
from torch import nn

from bidsapp.networks.registry import build_network, head_name
from bidsapp.recipes.network import Network

# Weight, gradient and the two moments of AdamW, float32 each.
_PER_PARAMETER = 16
# Peak over what convolutions and normalisations give, at the width of their numbers: measured
# 2.2 (ResNet-18) to 2.4 on a CPU, more where layers are so small that it does not matter.
_PEAK = 3.0
# Copies of a batch that augmentation and the z-score hold, float32.
_INPUT_COPIES = 4
_COUNTS: dict[tuple[str, int, tuple[int, ...]], tuple[float, int]] = {}


def training_bytes(
    section: Network, channels: int, shape: tuple[int, ...], batch_size: int, width: int
) -> float:
    """Estimate the peak memory of a training step, libraries and data set aside.

    Parameters
    ----------
    section
        The recipe's network section.
    channels, shape
        Of the network's input.
    batch_size
        Images a step; a batch may have one more.
    width
        Bytes of a number in autocast: 2 for bfloat16, 4 for float32.
    """
    numbers, weights = _counted(section, channels, shape)
    each = numbers * width * _PEAK + channels * math.prod(shape) * 4 * _INPUT_COPIES
    return each * (batch_size + 1) + weights * _PER_PARAMETER


def _counted(section: Network, channels: int, shape: tuple[int, ...]) -> tuple[float, int]:
    """Count what the layers give for one image, and the weights; each network once a process."""
    key = section.model_dump_json(), channels, shape
    if key not in _COUNTS:
        _COUNTS[key] = _count(section, channels, shape)
    return _COUNTS[key]


def _count(section: Network, channels: int, shape: tuple[int, ...]) -> tuple[float, int]:
    with torch.device("meta"):
        network = build_network(section, channels, shape=shape)
        x = torch.empty((2, channels, *shape))
    # The head's autocast knows no meta device, and its output is one number.
    network.set_submodule(head_name(network), nn.Identity())
    count = 0

    def add(layer: nn.Module, given: Any, output: torch.Tensor) -> None:
        nonlocal count
        count += output.numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.register_forward_hook(add)
    with torch.no_grad():
        network(x)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return count / len(x), weights
