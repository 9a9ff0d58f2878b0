"""What every saliency method has to keep to, on small networks of volumes and of slices."""

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.network import Network
from bidsapp.saliency.methods import METHODS, Answer, Question

FEW = 4
"""Draws or steps, where a method takes any: fewer than by default, as the images are tiny."""
VOLUME, SLICES = (8, 10, 8), (12, 5, 14)


class Small(nn.Module):
    """Two convolutions with a kink, a mean, a line; of logits above 1, as trained networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(2, 4, 3, padding=1)
        self.layer4 = nn.Conv3d(4, 4, 3, stride=2, padding=1)
        self.fc = nn.Linear(4, 1)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layer4(self.conv1(x).relu()).relu().mean((2, 3, 4)))


def settings_of(method: str) -> Saliency:
    """Give the recipe's section as a user gets it who names the method and nothing else."""
    section = load_recipe("t1w", [f"saliency.method={method}"]).saliency
    return section.model_copy(update={"samples": FEW}) if section.samples else section


@cache
def network_of_slices() -> nn.Module:
    section = Network(
        name="resnet", depth=10, start="random", dims=2, stem_stride=2, stem_pool=True
    )
    return build_network(section, 2, 0, SLICES).double()


def images(shape: tuple[int, ...] = VOLUME) -> torch.Tensor:
    return torch.randn((2, 2, *shape), generator=torch.Generator().manual_seed(3)).double()


def ask(method: str, network: nn.Module, seeds: tuple[int, ...] = (5, 6)) -> Question:
    baseline = torch.full((1, 1, 1, 1, 1), -1.3, dtype=torch.float64)
    return Question(Answer(network), settings_of(method), baseline, (4.0, 4.0, 4.0), seeds, 8)


def explained(method: str, network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return METHODS[method].explain(x, ask(method, network))


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    # occlusion, by captum, counts in float32
    return torch.allclose(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()) + 1e-12)


def gives_finite_maps_of_the_size_of_the_image(method: str) -> None:
    for network, shape in ((Small(), VOLUME), (network_of_slices(), SLICES)):
        x = images(shape)
        found = explained(method, network, x)
        assert found.shape == (2, 2 if METHODS[method].per_channel else 1, *shape)
        assert found.dtype == x.dtype
        assert torch.isfinite(found).all()
        assert found.std() > 0
        assert not found.requires_grad


def gives_the_same_bits_twice_and_draws_from_no_global_generator(method: str) -> None:
    network = Small()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = explained(method, network, images())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(explained(method, network, images()), first)


def changes_nothing_that_the_caller_holds(method: str) -> None:
    network, x = Small(), images().requires_grad_()
    x.grad = torch.full_like(x, 7.0)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    image = x.detach().clone()
    with torch.inference_mode(False):
        explained(method, network, x)
    assert torch.equal(x.detach(), image)
    assert (x.grad == 7).all()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def does_not_depend_on_the_other_images_of_a_batch(method: str) -> None:
    network, x = Small(), images()
    together = explained(method, network, x)
    for i, seed in enumerate((5, 6)):
        alone = METHODS[method].explain(x[i : i + 1], ask(method, network, (seed,)))
        assert alike(alone[0], together[i])


def is_zero_for_a_network_that_answers_all_images_alike(method: str) -> None:
    network = Small()
    network.fc.weight.data.zero_()
    network.fc.bias.data.fill_(0.7)
    assert (explained(method, network, images()).abs() < 1e-9).all()


def grows_with_the_logit_and_turns_with_its_sign(method: str) -> None:
    network, x = Small(), images()
    one = explained(method, network, x)
    for factor in (3.0, -1.0):
        turned = Small()
        turned.fc.weight.data.mul_(factor)
        turned.fc.bias.data.mul_(factor)
        assert alike(explained(method, turned, x), factor * one)


def does_not_see_what_is_added_to_every_logit(method: str) -> None:
    network, x = Small(), images()
    one = explained(method, network, x)
    network.fc.bias.data.add_(2.5)
    assert alike(explained(method, network, x), one)


def gives_nothing_to_a_channel_that_the_network_does_not_look_at(method: str) -> None:
    network = Small()
    network.conv1.weight.data[:, 1] = 0
    x = images()
    found = explained(method, network, x)
    other = x.clone()
    other[:, 1] = 5 * other[:, 1].flip(-1)
    again = explained(method, network, other)
    assert found[:, 0].abs().max() > 0
    if METHODS[method].per_channel:
        assert (found[:, 1] == 0).all()
        assert alike(again[:, 0], found[:, 0])
    else:
        assert alike(again, found)


def is_called_cheap_if_it_asks_the_network_about_once(method: str) -> None:
    network, calls = Small(), []
    network.register_forward_hook(lambda *_: calls.append(1))
    explained(method, network, images())
    assert METHODS[method].cheap == (len(calls) <= 2), f"the network was asked {len(calls)} times"


def says_the_unit_of_its_maps(method: str) -> None:
    unit = METHODS[method].unit.format(target="logit", input="unit of the z-score")
    assert "logit" in unit
    assert not set("{}") & set(unit)


CHECKS: tuple[Callable[[str], None], ...] = (
    gives_finite_maps_of_the_size_of_the_image,
    gives_the_same_bits_twice_and_draws_from_no_global_generator,
    changes_nothing_that_the_caller_holds,
    does_not_depend_on_the_other_images_of_a_batch,
    is_zero_for_a_network_that_answers_all_images_alike,
    grows_with_the_logit_and_turns_with_its_sign,
    does_not_see_what_is_added_to_every_logit,
    gives_nothing_to_a_channel_that_the_network_does_not_look_at,
    is_called_cheap_if_it_asks_the_network_about_once,
    says_the_unit_of_its_maps,
)
"""What every saliency method has to keep to: called with its name."""
