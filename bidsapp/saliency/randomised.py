"""Networks whose weights are drawn anew, level by level from the head (Adebayo et al. 2018)."""

from collections.abc import Iterator, Sequence

import torch

from bidsapp.networks.columns_head import columns_of
from bidsapp.networks.registry import build_network
from bidsapp.recipes.network import Network

# Containers that hold nearly all of a network and are no level by themselves.
_CONTAINERS = ("features", "class_layers")


def levels_of(network: torch.nn.Module) -> list[tuple[str, ...]]:
    """Group the names of a network's numbers by level, from the head down to the stem.

    A level is a stage or a layer beside the stages; layers of a stage's kind of name (``conv1``,
    ``bn1``) that follow one another directly make one level.

    Returns
    -------
    list of tuple of str
        Every name of the state dict once, head first.
    """
    levels: dict[str, list[str]] = {}
    for name in network.state_dict():
        parts = name.split(".")
        key = ".".join(parts[:2]) if parts[0] in _CONTAINERS else parts[0]
        levels.setdefault(key, []).append(name)
    joined: list[list[str]] = []
    small_before = False
    layers = dict(network.named_modules())
    for key, names in levels.items():
        small = not list(layers[key].children()) and key != next(reversed(levels))
        if small and small_before:
            joined[-1] += names
        else:
            joined.append(list(names))
        small_before = small
    return [tuple(names) for names in reversed(joined)]


def cascade(
    network: torch.nn.Module,
    section: Network,
    channels: int,
    seed: int,
    whole_only: bool = False,
    shape: Sequence[int] | None = None,
) -> Iterator[tuple[str, torch.nn.Module]]:
    """Draw the weights of one level after the other anew, keeping what was drawn before.

    Parameters
    ----------
    network
        Trained; left as it is.
    section
        The recipe's network section, from which new weights are drawn.
    channels, shape
        Of the input; the shape as `build_network` has it.
    seed
        Of the new weights.
    whole_only
        Give only the last network, of which no trained weight is left.

    Yields
    ------
    level : str
        The last level drawn anew, by its first layer's name.
    network : torch.nn.Module
        In evaluation mode; the same object each time.
    """
    columns = columns_of(network)
    fresh = build_network(section, channels, seed, shape, columns).state_dict()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    mixed = build_network(section, channels, shape=shape, columns=columns)
    mixed = mixed.to(next(network.parameters()).device)
    levels = levels_of(network)
    for number, names in enumerate(levels, start=1):
        state |= {name: fresh[name] for name in names}
        if whole_only and number < len(levels):
            continue
        mixed.load_state_dict(state)
        yield _title(names), mixed.eval()


def _title(names: tuple[str, ...]) -> str:
    parts = names[0].split(".")
    return ".".join(parts[:2]) if parts[0] in _CONTAINERS else parts[0]
