"""Networks of slices beside networks of volumes: parameters, axes, outputs, stages."""

import numpy as np
import pytest
import torch

from bidsapp.contracts.network import network_offers
from bidsapp.errors import UsageError
from bidsapp.networks.blocks import mend
from bidsapp.networks.predict import logit_of
from bidsapp.networks.registry import build_network, count_parameters, slice_axis
from bidsapp.recipes.analysis import Saliency
from bidsapp.recipes.network import Network
from bidsapp.saliency.methods import METHODS, Answer, Question

OFFERS = network_offers()


def network(name="resnet", depth=18, channels=1, shape=None, seed=0, **options):
    section = Network(name=name, depth=depth, start="random", **options)
    return build_network(section, channels, seed, shape)


# As torchvision publishes them with 1,000 classes: 11,689,512, 21,797,672, 25,557,032, 25,028,904
# and 7,978,856; here with one output in the place of 1,000.
@pytest.mark.parametrize(
    ("name", "depth", "published", "features"),
    [
        ("resnet", 18, 11_689_512, 512),
        ("resnet", 34, 21_797_672, 512),
        ("resnet", 50, 25_557_032, 2048),
        ("resnext", 50, 25_028_904, 2048),
        ("densenet", 121, 7_978_856, 1024),
    ],
)
def test_parameters_of_slices_are_the_published_ones(name, depth, published, features):
    stem = {"stem_stride": 2, "stem_pool": True, "shortcut": "B"} if "res" in name else {}
    built = network(name, depth, channels=3, shape=(64, 64, 1), dims=2, **stem)
    assert count_parameters(built) == published - 999 * (features + 1)


def test_parameters_of_volumes_with_two_outputs_are_those_of_the_specification():
    built = network(stem_stride=2, stem_pool=True, shortcut="B", shortcut_bias=True, outputs=2)
    assert count_parameters(built) == 33_161_922


@pytest.mark.parametrize("shape", [(4, 24, 26), (24, 5, 26), (24, 26, 1)])
def test_slices_along_the_shortest_axis_become_channels(shape):
    axis = int(np.argmin(shape))
    built = network(depth=10, channels=2, shape=shape, dims=2, stem_stride=2).eval()
    assert slice_axis(built) == axis
    assert built.conv1.in_channels == 2 * shape[axis]
    x = torch.rand(3, 2, *shape)
    # By hand: channel by channel, slice by slice.
    slices = [x[:, c].select(1 + axis, k) for c in range(2) for k in range(shape[axis])]
    with torch.no_grad():
        torch.testing.assert_close(built(x), type(built).forward(built, torch.stack(slices, 1)))


def test_what_a_network_does_not_offer_is_refused():
    with pytest.raises(UsageError, match=r"network.dims: 2 needs the shape"):
        network(dims=2)
    with pytest.raises(UsageError, match=r"network.depth: resnext offers 50, got 18"):
        network("resnext", 18)


def test_two_outputs_answer_as_the_softmax_does():
    outputs = torch.randn(5, 2, dtype=torch.float64)
    expected = torch.softmax(outputs, 1)[:, 1]
    torch.testing.assert_close(torch.sigmoid(logit_of(outputs)), expected)
    one = torch.randn(5, 1)
    torch.testing.assert_close(logit_of(one), one[:, 0])


@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_maps_of_slices_lie_on_the_image(method):
    shape = (32, 5, 40)
    built = network(depth=10, shape=shape, dims=2, stem_stride=2).double().eval()
    x = torch.rand(2, 1, *shape, dtype=torch.float64)
    question = Question(
        Answer(built), Saliency(method=method, stage=2), torch.zeros(1, 1, 1, 1, 1),
        (2.0, 2.0, 2.0), (0, 1), 2,
    )  # fmt: skip
    found = METHODS[method].explain(x, question)
    assert found.shape == x.shape
    if method == "grad_cam":
        assert torch.equal(found[:, :, :, :1].expand_as(found), found)
    else:
        step = 1e-6 * found / found.abs().max()
        with torch.no_grad():
            change = (question.answer(x + step) - question.answer(x - step)) / 2
        assert change.numpy() == pytest.approx((found * step).sum((1, 2, 3, 4)).numpy(), rel=1e-4)


# Sizes for which oneDNN's weight gradients of pictures hold memory that nobody wrote, and others.
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 1), (9, 7)])
@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(1, 2, 1), (3, 1, 1), (3, 2, 1), (7, 2, 1), (3, 2, 4)]
)
def test_convolutions_of_slices_agree_with_float64(size, kernel, stride, groups, dtype):
    generator = torch.Generator().manual_seed(0)
    for channels, out in ((4, 8), (32, 32)):
        conv = torch.nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups)
        with torch.no_grad():
            for weight in conv.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator).bfloat16())
        conv = mend(torch.nn.Sequential(conv), "head")[0].to(memory_format=torch.channels_last)
        x = torch.randn(4, channels, *size, generator=generator).bfloat16().float()
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = conv(x)
        side = torch.randn(y.shape, generator=generator).bfloat16().float()
        got = torch.autograd.grad((y.float() * side).sum(), (x, conv.weight))
        xd, wd = x.detach().double().requires_grad_(), conv.weight.detach().double()
        wd.requires_grad_()
        yd = torch.nn.functional.conv2d(
            xd, wd, conv.bias.double(), stride, kernel // 2, groups=groups
        )
        right = torch.autograd.grad((yd * side.double()).sum(), (xd, wd))
        for a, b in ((y, yd), *zip(got, right, strict=True)):
            off = (a.double() - b).abs().max() / (b.abs().max() + 1e-9)
            assert off < (0.02 if dtype == torch.bfloat16 else 1e-5)
