"""Networks by the name that the recipe uses, built from a seed and nothing else."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from bidsapp.errors import UsageError
from bidsapp.networks.blocks import mend
from bidsapp.networks.others import build_densenet, build_seresnext
from bidsapp.networks.resnet import build_resnet
from bidsapp.recipes.learning import Network

NETWORKS: Mapping[str, Callable[[Network, int], torch.nn.Module]] = MappingProxyType(
    {"resnet": build_resnet, "densenet": build_densenet, "seresnext": build_seresnext}
)


def build_network(section: Network, in_channels: int, seed: int = 0) -> torch.nn.Module:
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

    Returns
    -------
    torch.nn.Module
        float32, maps (B, C, X, Y, Z) to logits of shape (B, 1).

    Raises
    ------
    UsageError
        If no network has this name or this depth.
    """
    if section.name not in NETWORKS:
        raise UsageError(
            f"network.name: {section.name!r} is not one of {', '.join(sorted(NETWORKS))}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NETWORKS[section.name](section, in_channels)
    return mend(network, head_name(network))


def head_name(network: torch.nn.Module) -> str:
    """Dotted name of the layer that gives the logit (the last linear layer with one output)."""
    heads = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer.out_features == 1
    ]
    return heads[-1]


def count_parameters(network: torch.nn.Module) -> int:
    """Count the trainable numbers."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
