"""What every network has to keep to, of volumes and of slices, however small the image."""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module

import torch
from torch import nn

from bidsapp.contracts.network import network_offers
from bidsapp.networks.blocks import RepeatableAvgPool3d, RepeatableMaxPool3d
from bidsapp.networks.registry import build_network, freeze, head_name
from bidsapp.recipes.network import Network

EDGE, EDGE_WITHOUT_STEPS = 32, 10
"""Voxels of an image; of one for a volume's network whose first layer takes no steps."""


def every_network() -> list[tuple[str, int]]:
    """List each network there is, once for slices and once for volumes where it takes both."""
    offers = network_offers().values()
    return [(offer.name, dims) for offer in offers for dims in offer.dims]


def shape_for(name: str, dims: int) -> tuple[int, int, int]:
    """Give an image as small as the network can take it."""
    if dims == 2:
        return EDGE, EDGE, 1
    edge = EDGE_WITHOUT_STEPS if "stem_stride" in network_offers()[name].options else EDGE
    return edge, edge, edge


def section(name: str, dims: int, **options: object) -> Network:
    depth = network_offers()[name].depths[0]
    return Network(name=name, depth=depth, dims=dims, start="random", **options)


def built(name: str, dims: int, seed: int = 0, channels: int = 1, **options: object) -> nn.Module:
    return build_network(section(name, dims, **options), channels, seed, shape_for(name, dims))


@cache
def kept(name: str, dims: int) -> nn.Module:
    """Build it once for the checks that change nothing."""
    return built(name, dims).eval()


def images(name: str, dims: int, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((count, 1, *shape_for(name, dims)), generator=generator, dtype=dtype)


def is_offered_as_its_file_says(name: str, dims: int) -> None:
    module = import_module(f"bidsapp.networks.architectures.{name}")
    assert network_offers()[name] == module.OFFER
    assert module.__name__.rpartition(".")[2] == name
    assert set(module.OFFER.options) <= set(Network.model_fields)


def draws_its_first_weights_from_the_seed_alone(name: str, dims: int) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = built(name, dims, 3, 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    same, other = built(name, dims, 3, 2), built(name, dims, 4, 2)
    pairs = zip(first.state_dict().values(), same.state_dict().values(), strict=True)
    assert all(torch.equal(one, again) for one, again in pairs)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def answers_every_image_by_itself(name: str, dims: int) -> None:
    network, x = kept(name, dims), images(name, dims, 3)
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(one[None]) for one in x])
    assert together.shape == (3, 1)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def answers_with_as_many_numbers_as_asked_for(name: str, dims: int) -> None:
    for outputs in (1, 2):
        network = built(name, dims, outputs=outputs)
        assert network.get_submodule(head_name(network)).out_features == outputs


def has_a_gradient_that_agrees_with_finite_differences(name: str, dims: int) -> None:
    network, x = built(name, dims).double().eval(), images(name, dims, 1, torch.float64)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    # along the gradient itself, where a gradient that was cut somewhere cannot hide
    generator = torch.Generator().manual_seed(2)
    for direction in (gradient, torch.randn(x.shape, generator=generator, dtype=x.dtype)):
        step = 1e-6 * direction / direction.abs().max()
        with torch.no_grad():
            difference = ((network(x + step) - network(x - step)) / 2).sum()
        assert torch.isclose(difference, (gradient * step).sum(), rtol=1e-4)


def has_its_stages_in_order_and_keeps_those_that_are_frozen(name: str, dims: int) -> None:
    stages = network_offers()[name].stages
    network = built(name, dims, frozen=len(stages) - 1)
    names = [layer for stage in stages for layer in stage.split()]
    seen: list[str] = []
    for layer in names:
        note = partial(lambda layer, *_: seen.append(layer), layer)
        network.get_submodule(layer).register_forward_hook(note)
    held = freeze(network, section(name, dims, frozen=len(stages) - 1))
    network.train()
    for part in held:
        part.eval()
    network(images(name, dims, 2)).sum().backward()
    assert seen == names
    last = stages[-1].split()
    for layer in names:
        parameters = list(network.get_submodule(layer).parameters())
        assert all((one.grad is not None) == (layer in last) for one in parameters)
    before = names[: -len(last)]
    assert not before or any(list(network.get_submodule(one).parameters()) for one in before)


def has_no_pool_whose_gradient_varies_on_a_gpu(name: str, dims: int) -> None:
    layers = kept(name, dims).modules()
    pools = {type(layer) for layer in layers if "Pool3d" in type(layer).__name__}
    fixed = {kind for kind in pools if "Adaptive" in kind.__name__}
    assert pools - fixed <= {RepeatableMaxPool3d, RepeatableAvgPool3d}


CHECKS: tuple[Callable[[str, int], None], ...] = (
    is_offered_as_its_file_says,
    draws_its_first_weights_from_the_seed_alone,
    answers_every_image_by_itself,
    answers_with_as_many_numbers_as_asked_for,
    has_a_gradient_that_agrees_with_finite_differences,
    has_its_stages_in_order_and_keeps_those_that_are_frozen,
    has_no_pool_whose_gradient_varies_on_a_gpu,
)
"""What every network has to keep to: called with its name, and 2 for slices or 3 for volumes."""
