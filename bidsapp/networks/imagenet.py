"""ImageNet weights as torchvision and timm publish them, for networks of slices."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from bidsapp.contracts.network import network_offers
from bidsapp.recipes.network import Network

DATASET = "ImageNet (photographs of everyday things, 1,000 classes)"
_DIGITS = 8
_COUNTER = "num_batches_tracked"  # which files of torch before 0.4.1 lack


def file_names(section: Network) -> tuple[str, ...]:
    """Names of the published files for one network."""
    return network_offers()[section.name].imagenet_files.get(section.depth, ())


def where_to_get(section: Network) -> str:
    """Say where the weights of a network are to be had; nothing is ever downloaded."""
    names = file_names(section)
    home = network_offers()[section.name].imagenet_home
    several = f"one of {', '.join(names)}" if len(names) > 1 else "".join(names)
    return (
        f"ImageNet weights are {several}, at {home}{names[0]}, or the weights of the same network "
        "of timm. Download the file and name it with --weights FILE, or begin "
        "with random weights: --set network.start=random."
    )


def published_by_torchvision(sha256: str) -> bool:
    """Tell whether a file is torchvision's, by the digits of the hash that its name ends in."""
    return any(
        name.rpartition("-")[2].startswith(sha256[:_DIGITS] + ".")
        for offer in network_offers().values()
        for names in offer.imagenet_files.values()
        for name in names
    )


def as_named_here(
    given: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], section: Network
) -> dict[str, Any]:
    """Give tensors of a file the names and the first layer of a network here.

    Parameters
    ----------
    given
        By the names that torchvision or timm has.
    wanted
        Of the network, by its own names.
    section
        Says which network it is.

    Returns
    -------
    dict
        By names here; those that match no rule stay as they are, for a list of what is unexpected.
    """
    rules = network_offers()[section.name].imagenet_names
    found = {}
    for name, value in given.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[name] = value
    for name, value in wanted.items():
        if name.endswith(_COUNTER) and name not in found:
            found[name] = torch.zeros_like(value)
    first = next(iter(wanted))
    if isinstance(kernel := found.get(first), torch.Tensor) and kernel.dim() == 4:
        found[first] = for_channels(kernel, wanted[first].shape[1])
    return found


def for_channels(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """Make a first layer for three colours one for any number of channels.

    As ``adapt_input_conv`` of timm does: one channel gets the sum of the kernels of red, green
    and blue; several get them in turn, scaled by three over their number, so that slices which
    are alike give what a grey picture gave (to the last colour, where three does not divide it).

    Parameters
    ----------
    kernel
        Shape (out, 3, k, k); others are left as they are.
    channels
        Of the network.
    """
    if kernel.shape[1] != 3 or channels == 3:
        return kernel
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    return kernel.repeat(1, -(-channels // 3), 1, 1)[:, :channels] * (3 / channels)
