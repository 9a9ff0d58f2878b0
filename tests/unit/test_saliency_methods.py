"""Methods against finite differences, against the definition written out, and against traps."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from bidsapp.errors import UsageError
from bidsapp.networks.registry import build_network
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.known_names import SaliencyMethod
from bidsapp.recipes.network import Network
from bidsapp.saliency.methods import METHODS, Answer, Method, Question
from bidsapp.saliency.methods.grad_cam import centres, stage_of
from tests.unit.saliency_checks import (
    CHECKS,
    is_zero_for_a_network_that_answers_all_images_alike,
)

NETWORKS = {
    "resnet 10": ("resnet", 10, 10, {}),
    "resnet 10 compact": ("resnet", 10, 16, {"stem_stride": 2, "stem_pool": True}),
    "resnet 10 dilated": ("resnet", 10, 10, {"dilation": True, "shortcut": "A", "stem_stride": 2}),
    "resnet 18": ("resnet", 18, 10, {"stem_stride": 2, "shortcut": "A"}),
    "densenet 121": ("densenet", 121, 32, {}),
    "se-resnext 50": ("seresnext", 50, 32, {}),
}


def network_of(key: str, channels: int = 2, seed: int = 0) -> nn.Module:
    name, depth, _, options = NETWORKS[key]
    section = Network(name=name, depth=depth, start="random", **options)
    return build_network(section, channels, seed).double()


def images_of(key: str, n: int = 2, channels: int = 2) -> torch.Tensor:
    edge = NETWORKS[key][2]
    generator = torch.Generator().manual_seed(3)
    return torch.randn((n, channels, edge, edge + 2, edge), generator=generator).double()


def ask(network: nn.Module, target: str = "logit", at_once: int = 8, **settings) -> Question:
    if settings.get("method") == "occlusion":
        settings = {"patch_mm": 20.0} | settings
    if settings.get("method") in ("smoothgrad", "integrated_gradients"):
        settings = {"samples": 4} | settings
    section = Saliency.model_validate({"target": target} | settings)
    baseline = torch.full((1, 1, 1, 1, 1), -1.3, dtype=torch.float64)
    return Question(Answer(network, target), section, baseline, (2.0, 2.0, 2.0), (5, 6), at_once)


class Planar(nn.Module):
    """A network whose every method can be worked out by hand: one convolution, then a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = nn.Conv3d(1, 3, 3, padding=1, bias=False)
        self.head = nn.Linear(3, 1)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer4(x).mean((2, 3, 4)))


def test_every_method_that_a_recipe_may_name_is_there():
    assert set(METHODS) == set(get_args(SaliencyMethod))


@pytest.mark.parametrize("target", ["logit", "probability"])
@pytest.mark.parametrize("key", NETWORKS)
def test_the_gradient_agrees_with_finite_differences(key, target):
    question, x = ask(network_of(key), target), images_of(key)
    found = METHODS["gradient"].explain(x, question)
    generator = torch.Generator().manual_seed(1)
    # along the map itself, where a gradient that was cut somewhere cannot hide, and at random
    for step in (found, torch.randn(x.shape, generator=generator, dtype=torch.float64)):
        step = 1e-7 * step / step.abs().max()
        with torch.no_grad():
            difference = (question.answer(x + step) - question.answer(x - step)) / 2
        expected = (found * step).sum((1, 2, 3, 4))
        assert difference.numpy() == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-16)


@pytest.mark.parametrize("key", NETWORKS)
def test_gradient_times_input_is_the_slope_towards_the_baseline(key):
    question, x = ask(network_of(key)), images_of(key)
    found = METHODS["gradient_x_input"].explain(x, question).sum((1, 2, 3, 4))
    toward, h = x - question.against(x), 1e-7
    with torch.no_grad():
        slope = (question.answer(x + h * toward) - question.answer(x - h * toward)) / (2 * h)
    assert found.numpy() == pytest.approx(slope.numpy(), rel=1e-3)


def test_gradient_times_input_does_not_depend_on_where_the_z_score_has_its_zero():
    network, x = network_of("resnet 10", channels=1).eval(), images_of("resnet 10", channels=1)

    class Shifted(nn.Module):
        def forward(self, x):
            return network((x - 0.4) / 0.2)

    def map_of(network, baseline, x):
        question = Question(Answer(network), Saliency(), baseline, (2, 2, 2), (1, 2), 2)
        return METHODS["gradient_x_input"].explain(x, question)

    zero = torch.zeros((1, 1, 1, 1, 1), dtype=torch.float64)
    one = map_of(Shifted(), zero, x)
    other = map_of(network, (zero - 0.4) / 0.2, (x - 0.4) / 0.2)
    assert torch.allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("key", NETWORKS)
def test_integrated_gradients_share_out_the_whole_difference(key):
    network, x = network_of(key), images_of(key, n=1)
    # new networks have no offsets: on the line through 0 the slope is constant, two nodes do;
    # only the gates of squeeze and excitation bend the way
    samples, share = (24, 0.01) if key.startswith("se") else (2, 1e-6)
    question = ask(network, method="integrated_gradients", samples=samples)
    question = replace(question, baseline=0.25 * x)
    total = METHODS["integrated_gradients"].explain(x, question).sum()
    with torch.no_grad():
        difference = question.answer(x) - question.answer(0.25 * x)
    assert total.item() == pytest.approx(difference.item(), rel=share)


def test_integrated_gradients_are_complete_where_the_slope_changes():
    question = ask(Planar(), "probability", method="integrated_gradients", samples=16)
    x = 5 * images_of("resnet 10", channels=1)
    found = METHODS["integrated_gradients"].explain(x, question)
    with torch.no_grad():
        difference = question.answer(x) - question.answer(question.against(x))
    assert found.sum((1, 2, 3, 4)).numpy() == pytest.approx(difference.numpy(), rel=1e-5)


class Jumpy(torch.nn.Module):
    """A slope that jumps at many places on the way, which no small number of nodes hits."""

    def forward(self, x):
        """Map images to (B, 1)."""
        total = x.sum((1, 2, 3, 4))
        places = torch.linspace(0.05, 0.95, 7, dtype=x.dtype)
        return 10 * (total[:, None] - places).clamp_min(0).sum(1, keepdim=True)


def test_integrated_gradients_take_more_nodes_where_few_miss_the_difference(caplog):
    x = torch.full((2, 1, 2, 2, 2), 1 / 8, dtype=torch.float64)
    x[1] *= 0.5
    one = ask(Jumpy(), method="integrated_gradients", samples=2)
    found = METHODS["integrated_gradients"].explain(x, one)
    answers = one.answer(x)
    assert found.sum((1, 2, 3, 4)).numpy() == pytest.approx(answers.numpy(), rel=0.01)
    alone = METHODS["integrated_gradients"].explain(x[1:], one)
    assert torch.equal(alone, found[1:])
    assert not caplog.text


def test_integrated_gradients_tell_what_is_off_at_the_most_nodes(caplog, monkeypatch):
    monkeypatch.setattr("bidsapp.saliency.methods.integrated.MOST_NODES", 2)
    x = torch.full((1, 1, 2, 2, 2), 0.08, dtype=torch.float64)
    METHODS["integrated_gradients"].explain(
        x, ask(Jumpy(), method="integrated_gradients", samples=2)
    )
    assert "with 2 nodes a map still misses" in caplog.text


def test_smoothgrad_is_the_mean_of_signed_gradients_and_not_their_root_mean_square():
    network, x = network_of("resnet 10", channels=1), images_of("resnet 10", channels=1)
    question = ask(network, method="smoothgrad", samples=3, noise=0.2)
    found = METHODS["smoothgrad"].explain(x, question)
    expected = torch.zeros_like(x)
    for i, seed in enumerate(question.seeds):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(3):
            noise = torch.randn(x.shape[1:], generator=generator, dtype=torch.float64)
            leaf = (x[i : i + 1] + 0.2 * x[i].std() * noise).requires_grad_()
            expected[i] += torch.autograd.grad(network(leaf).sum(), leaf)[0][0] / 3
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert (found < 0).any()


@pytest.mark.parametrize("key", NETWORKS)
@pytest.mark.parametrize("stage", [1, 4])
def test_grad_cam_is_that_of_captum_in_sign_and_rank(key, stage):
    network, x = network_of(key), images_of(key)
    question = ask(network, method="grad_cam", stage=stage)
    found = METHODS["grad_cam"].explain(x, question)
    leaf = x.clone().requires_grad_()
    layer = stage_of(network, stage)
    coarse = LayerGradCam(question.answer, layer).attribute(leaf)
    start, jump = centres(network, x[:1], coarse.shape[2:])
    # where a voxel of the stage is centred on one of the image, the two are the same number
    at = [torch.arange(n) * j + s for n, s, j in zip(coarse.shape[2:], start, jump, strict=True)]
    kept = [(a >= 0) & (a < n) & (a == a.round()) for a, n in zip(at, x.shape[2:], strict=True)]
    picked, expected = found[:, 0], coarse.detach()[:, 0]
    for axis, (a, k) in enumerate(zip(at, kept, strict=True), start=1):
        picked = picked.index_select(axis, a[k].long())
        expected = expected.index_select(axis, torch.nonzero(k).flatten())
    assert torch.allclose(picked, expected, rtol=1e-9, atol=1e-15)
    assert found.min() >= expected.min() - 1e-12


@pytest.mark.parametrize("key", NETWORKS)
def test_grad_cam_by_captum_is_the_definition_of_selvaraju(key):
    network, x = network_of(key).eval(), images_of(key)
    kept = {}
    hook = stage_of(network, 3).register_forward_hook(lambda m, i, o: kept.update(out=o))
    x.requires_grad_()
    logit = network(x).sum()
    hook.remove()
    (slope,) = torch.autograd.grad(logit, kept["out"])
    expected = (slope.mean((2, 3, 4), keepdim=True) * kept["out"]).sum(1, keepdim=True)
    found = LayerGradCam(ask(network).answer, stage_of(network, 3)).attribute(x)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-15)


def test_grad_cam_is_not_inverted():
    network = Planar()
    network.layer4.weight.data.zero_()
    network.layer4.weight.data[0, 0, 1, 1, 1] = 1
    network.head.weight.data = torch.tensor([[2.0, 0, 0]], dtype=torch.float64)
    x = torch.zeros(1, 1, 6, 6, 6, dtype=torch.float64)
    x[0, 0, 2, 3, 4], x[0, 0, 1, 1, 1] = 5, -5
    found = METHODS["grad_cam"].explain(x, ask(network, method="grad_cam", stage=4))[0, 0]
    assert np.unravel_index(int(found.argmax()), found.shape) == (2, 3, 4)
    assert found[1, 1, 1] < 0


@pytest.mark.parametrize("key", NETWORKS)
def test_grad_cam_lays_a_stage_where_its_voxels_look(key):
    network = network_of(key, channels=1).eval()
    # weights that are all alike make the centre of what a voxel sees the centre of its gradient
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            layer.weight.data.fill_(1e-3)
        if isinstance(layer, nn.MaxPool3d):
            layer.forward = lambda x, own=layer: nn.functional.avg_pool3d(
                x, own.kernel_size, own.stride, own.padding, own.ceil_mode
            )
    kept = {}
    hook = stage_of(network, 2).register_forward_hook(lambda m, i, o: kept.update(out=o))
    edge = max(NETWORKS[key][2], 8)
    x = torch.ones((1, 1, 80, edge, edge), dtype=torch.float64, requires_grad=True)
    network(x)
    hook.remove()
    start, jump = centres(network, x.detach(), kept["out"].shape[2:])
    middle = kept["out"].shape[2] // 2
    (slope,) = torch.autograd.grad(kept["out"][:, :, middle].sum(), x)
    profile = slope[0, 0].sum((1, 2))
    centre = float((profile * torch.arange(80)).sum() / profile.sum())
    assert centre == pytest.approx(start[0] + middle * jump[0], abs=0.6)


def test_occlusion_is_how_far_the_answer_falls():
    network = Planar()
    generator = torch.Generator().manual_seed(2)
    x = torch.randn((1, 1, 4, 4, 4), generator=generator, dtype=torch.float64)
    question = ask(network, method="occlusion", patch_mm=2.0)
    found = METHODS["occlusion"].explain(x, question)
    hidden = x.clone()
    hidden[0, 0, 1, 2, 3] = -1.3
    with torch.no_grad():
        fall = question.answer(x) - question.answer(hidden)
    # captum counts in float32
    assert found[0, 0, 1, 2, 3].item() == pytest.approx(fall.item(), rel=1e-6)
    # the masked answer itself, which some libraries give, is another number
    assert found[0, 0, 1, 2, 3].item() != pytest.approx(question.answer(hidden).item(), rel=0.1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_every_method(check, method):
    check(method)


def test_a_method_that_breaks_a_rule_fails_its_check(monkeypatch):
    """The checks see a method that no test names: they are asked of whatever is registered."""
    biased = Method(
        lambda x, question: METHODS["gradient"].explain(x, question) + 1, True, True, ""
    )
    monkeypatch.setattr("tests.unit.saliency_checks.METHODS", METHODS | {"gradient": biased})
    with pytest.raises(AssertionError):
        is_zero_for_a_network_that_answers_all_images_alike("gradient")


def test_a_network_without_stages_is_refused_for_grad_cam_by_name():
    with pytest.raises(UsageError, match=r"saliency\.stage: Linear has no stage 4"):
        stage_of(nn.Linear(2, 1), 4)
