"""Networks by the name that the recipe uses, built from a seed and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from bidsapp.contracts.network import network_offers
from bidsapp.errors import UsageError
from bidsapp.networks.blocks import mend
from bidsapp.networks.columns_head import with_columns
from bidsapp.networks.resized import Resized
from bidsapp.recipes.network import Network


def build_network(
    section: Network,
    in_channels: int,
    seed: int = 0,
    shape: Sequence[int] | None = None,
    columns: int = 0,
) -> torch.nn.Module:
    """Build a network with random weights drawn from `seed`.

    The global random generator is left as it was found.

    Parameters
    ----------
    section
        The recipe's network section: ``name`` and what that network reads (``depth``, …).
    in_channels
        Channels of the input.
    seed
        Seed of the initial weights.
    shape
        Of the input: voxels along x, y, z, or x, y of pictures; needed with ``dims: 2``, where the
        slices of volumes along their shortest axis become channels, and by networks that are made
        for one size.
    columns
        Numbers of each person that go into the last layer beside the features; see
        `columns_head.with_columns`.

    Returns
    -------
    torch.nn.Module
        float32, maps (B, C, X, Y, Z), or (B, C, X, Y) of pictures, to logits of shape (B, 1), or
        (B, 2) with ``outputs: 2``.

    Raises
    ------
    UsageError
        If no network has this name, this depth or takes so many dimensions.
    """
    offers = network_offers()
    if section.name not in offers:
        raise UsageError(
            f"network.name: {section.name!r} is not one of {', '.join(sorted(offers))}"
        )
    offer = offers[section.name]
    for key, given, there in (
        ("depth", section.depth, offer.depths),
        ("dims", section.dims, offer.dims),
    ):
        if given not in there:
            choices = ", ".join(map(str, there))
            raise UsageError(f"network.{key}: {section.name} offers {choices}, got {given}")
    flat = None
    if section.dims == 2 and shape is None:
        raise UsageError("network.dims: 2 needs the shape of the images")
    if section.dims == 3 and shape is not None and len(shape) == 2:
        raise UsageError(
            "network.dims: 3 takes volumes, and these images are pictures; say dims: 2"
        )
    if section.dims == 2 and shape is not None and len(shape) == 3:
        flat = SlicesAsChannels(min(range(3), key=lambda axis: (shape[axis], -axis)))
        in_channels *= shape[flat.axis]
    if offer.sized and shape is None:
        raise UsageError(f"network.name: {section.name} needs the shape of the images")
    given_shape = tuple(section.resize or size for size in shape or ())
    sizes = (given_shape,) if offer.sized else ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        builder = import_module(f"bidsapp.networks.architectures.{section.name}")
        network: torch.nn.Module = builder.build(section, in_channels, *sizes)
        head = head_name(network)
        network = with_columns(mend(network, head), head, columns)
    if flat is not None:
        network.register_forward_pre_hook(flat)
    if section.resize is not None:
        network.register_forward_pre_hook(Resized(section.resize))
    return network


@dataclass(frozen=True)
class SlicesAsChannels:
    """Hand a network of slices the slices of an image as channels.

    Attributes
    ----------
    axis
        0, 1 or 2 (x, y, z): the axis along which the slices are counted.
    """

    axis: int

    def __call__(self, network: torch.nn.Module, given: tuple[Any, ...]) -> tuple[torch.Tensor]:
        """Map (B, C, X, Y, Z) to (B, C · slices, …), the slices of a channel side by side."""
        (x,) = given
        flat = x.movedim(2 + self.axis, 2).flatten(1, 2)
        return (flat.contiguous(memory_format=torch.channels_last),)


def slice_axis(network: torch.nn.Module) -> int | None:
    """Find the axis whose slices a network takes as channels; None for one that takes volumes."""
    hooks = network._forward_pre_hooks.values()
    return next((hook.axis for hook in hooks if isinstance(hook, SlicesAsChannels)), None)


def freeze(network: torch.nn.Module, section: Network) -> list[torch.nn.Module]:
    """Keep the weights of the first stages as they are.

    Parameters
    ----------
    network
        As `build_network` makes it.
    section
        ``frozen`` says how many stages, counted from the input.

    Returns
    -------
    list of torch.nn.Module
        The layers that are kept; in training they belong into evaluation mode, as the statistics
        of their batch normalisation are kept, too.
    """
    stages = network_offers()[section.name].stages[: section.frozen]
    layers = [network.get_submodule(name) for stage in stages for name in stage.split()]
    for layer in layers:
        layer.requires_grad_(False)
    return layers


def head_name(network: torch.nn.Module) -> str:
    """Dotted name of the layer that gives the logit, or both: the last linear layer."""
    layers = network.named_modules()
    return [name for name, layer in layers if isinstance(layer, torch.nn.Linear)][-1]


def head_prefix(network: torch.nn.Module) -> str:
    """Beginning of the names of the head's weights: those that no other network's can stand for.

    That of the last linear layer, or of all layers after the global mean where a network says so.
    """
    return str(getattr(network, "head", head_name(network))) + "."


def count_parameters(network: torch.nn.Module) -> int:
    """Count the trainable numbers."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
