import numpy as np
import pytest
import torch
from monai.networks.nets.resnet import resnet18
from torch import nn

from bidsapp.errors import UsageError
from bidsapp.networks import blocks
from bidsapp.networks.blocks import (
    RepeatableAvgPool3d,
    RepeatableMaxPool3d,
    ShortcutA,
    SmallSafeConv3d,
)
from bidsapp.networks.convolution import seen_layer
from bidsapp.networks.memory import training_bytes
from bidsapp.networks.predict import in_batches, predict_logits, probability
from bidsapp.networks.registry import build_network, count_parameters
from bidsapp.recipes import load_recipe
from bidsapp.recipes.network import Network
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from tests.unit.network_checks import CHECKS, every_network

CPU = torch.device("cpu")


def network(name="resnet", depth=10, seed=0, channels=1, shape=None, **options):
    return build_network(
        Network(name=name, depth=depth, start="random", **options), channels, seed, shape
    )


@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(10, 14_356_033), (18, 32_986_689), (34, 63_296_321), (50, 46_157_121)],
)
def test_parameters_are_those_of_the_specification(depth, parameters):
    assert count_parameters(network(depth=depth)) == parameters


def test_voxnet_has_the_parameters_that_teh_2022_states():
    model = network("voxnet", 4, channels=30, shape=(91, 109, 91), dropout=0.3)
    assert count_parameters(model) == 1_376_641  # 120,000 + 27,648 + 1,228,832 + 161
    assert model(torch.zeros(1, 30, 91, 109, 91)).shape == (1, 1)
    recipe = load_recipe("teh2022")  # whose images are padded to the printed grid
    assert count_parameters(build_network(recipe.network, 30, 0, recipe.representation.pad)) == (
        count_parameters(model)
    )
    assert recipe.with_variant("compact").representation.pad is None
    with pytest.raises(UsageError, match="at least 19 voxels"):
        network("voxnet", 4, shape=(20, 18, 20))
    with pytest.raises(UsageError, match="needs the shape"):
        network("voxnet", 4)


def _strong_in_a_channel(people, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(people).remainder(2).float()
    sizes = torch.exp(0.3 * torch.randn((people, channels), generator=generator))
    sizes[:, 2] *= 1 + labels
    noise = torch.randn((people, channels, 6, 6, 6), generator=generator)
    network_there = torch.zeros(6, 6, 6)
    network_there[2:4, 2:4, 2:4] = 4
    return noise + sizes[..., None, None, None] * network_there, labels


def test_the_pooled_network_keeps_the_channel_that_differs_and_few_others():
    model = network("pooled", 1, channels=20)
    assert count_parameters(model) == 41
    x, labels = _strong_in_a_channel(24, 20, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03, weight_decay=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        answer = nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], labels)
        answer.backward()
        optimizer.step()
    weights = (model.gate.weight * model.fc.weight[0]).abs().detach()
    assert weights.argmax() == 2
    assert (weights < 0.1 * weights.max()).sum() >= 10
    new, truth = _strong_in_a_channel(60, 20, 1)
    with torch.no_grad():
        logits = model.eval()(new)[:, 0]
        ahead = logits[truth == 1][:, None] > logits[truth == 0]
        assert ahead.float().mean() > 0.9
        # brighter by a factor, whatever the channel: no difference between people
        assert torch.allclose(model(new * 5)[:, 0] - logits, (model(new * 5)[:, 0] - logits)[0])
        assert torch.isfinite(model(torch.zeros_like(new[:1]))).all()


SMALL = {
    "resnet 10 compact": ("resnet", 10, {"stem_stride": 2, "stem_pool": True}),
    "resnet 10 shortcut A": ("resnet", 10, {"shortcut": "A"}),
    "resnet 10 dilated": ("resnet", 10, {"dilation": True, "shortcut": "A", "stem_stride": 2}),
    "resnet 18": ("resnet", 18, {"stem_stride": 2}),
    "resnet 34": ("resnet", 34, {"stem_stride": 2}),
    "resnet 50": ("resnet", 50, {"stem_stride": 2}),
    "densenet": ("densenet", 121, {}),
    "seresnext": ("seresnext", 50, {}),
    "resnext": ("resnext", 50, {"stem_stride": 2, "stem_pool": True}),
    "voxnet": ("voxnet", 4, {"shape": (32, 32, 32)}),
    "pooled": ("pooled", 1, {}),
}


# What is no option is checked of every network, in network_checks.
@pytest.mark.parametrize("key", [key for key, (name, *_) in SMALL.items() if "resn" in name])
def test_the_input_gradient_agrees_with_finite_differences(key):
    name, depth, options = SMALL[key]
    edge = 32 if name != "resnet" else 10
    model = network(name, depth, **options).double().eval()
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((1, 1, edge, edge, edge), generator=generator, dtype=torch.float64)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    # Along the gradient itself, where a gradient that was cut somewhere cannot hide.
    directions = [gradient / gradient.norm()]
    directions.append(torch.randn(x.shape, generator=generator, dtype=torch.float64))
    for direction in directions:
        step = 1e-6 * direction / direction.abs().max()
        with torch.no_grad():
            difference = (model(x + step) - model(x - step)).item() / 2
        assert difference == pytest.approx((gradient * step).sum().item(), rel=1e-4)


@pytest.mark.parametrize("key", ["resnet 18", "resnet 10 dilated", "seresnext"])
def test_weight_gradients_agree_with_finite_differences_in_training_mode(key):
    name, depth, options = SMALL[key]
    edge = 40 if name != "resnet" else 24
    model = network(name, depth, **options).double().train()
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((2, 1, edge, edge, edge), generator=generator, dtype=torch.float64)
    side = torch.tensor([1.0, -2.0], dtype=torch.float64)
    first = next(model.parameters())
    (gradient,) = torch.autograd.grad((model(x).flatten() * side).sum(), first)
    step = 1e-7 * gradient / gradient.abs().max()
    values = []
    with torch.no_grad():
        for sign in (1, -1):
            first += sign * step
            values.append((model(x).flatten() * side).sum().item())
            first -= sign * step
    assert (values[0] - values[1]) / 2 == pytest.approx((gradient * step).sum().item(), rel=1e-3)


def test_the_shortcut_loads_monais_checkpoint_gives_its_logits_and_not_its_gradient():
    theirs = resnet18(
        spatial_dims=3,
        n_input_channels=1,
        conv1_t_stride=1,
        no_max_pool=True,
        num_classes=1,
        shortcut_type="A",
        bias_downsample=True,
    ).eval()
    ours = network(depth=18).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.rand((1, 1, 11, 12, 13), generator=torch.Generator().manual_seed(3))
    gradients, logits = [], []
    for model in (ours, theirs):
        probe = x.clone().requires_grad_()
        logits.append(model(probe))
        gradients.append(torch.autograd.grad(logits[-1].sum(), probe)[0].flatten())
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)
    assert torch.cosine_similarity(*gradients, dim=0) < 0.9


def test_the_shortcut_keeps_every_second_voxel_and_adds_empty_channels():
    x = torch.rand(2, 3, 5, 6, 7)
    y = ShortcutA(8, 2)(x)
    assert y.shape == (2, 8, 3, 3, 4)
    torch.testing.assert_close(y[:, :3], nn.functional.avg_pool3d(x, 1, 2))
    assert (y[:, 3:] == 0).all()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "dims"), every_network())
def test_every_network(check, name, dims):
    check(name, dims)


def test_a_network_that_breaks_a_rule_fails_its_check(monkeypatch):
    """The checks see a network that no test names: they are asked of whatever is offered."""

    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)

        def forward(self, x):
            return self.fc(x.mean((1, 2, 3, 4), keepdim=True)[..., 0, 0, 0].detach() + x.mean())

    monkeypatch.setattr("tests.unit.network_checks.built", lambda *_, **options: Leaky())
    monkeypatch.setattr("tests.unit.network_checks.kept", lambda *_: Leaky())
    for broken in CHECKS[1:6]:
        with pytest.raises((AssertionError, AttributeError)):
            broken("resnet", 3)


def test_unknown_names_and_depths_are_refused():
    with pytest.raises(UsageError, match=r"network.name: 'vgg' is not one of densenet, .*resnet"):
        build_network(Network.model_construct(name="vgg"), 1)
    for name, depth in (("resnet", 12), ("densenet", 169), ("seresnext", 101)):
        with pytest.raises(UsageError, match=rf"network.depth: {name} offers .*, got {depth}"):
            network(name, depth)


# Shapes for which oneDNN's bfloat16 weight gradient holds memory that nobody wrote, and others.
@pytest.mark.parametrize(
    "shape", [(2, 5, 6), (2, 2, 1), (4, 3, 1), (3, 1, 3), (1, 1, 1), (6, 5, 7)]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_weight_gradients_hold_no_foreign_memory(shape, stride):
    generator = torch.Generator().manual_seed(0)
    conv = SmallSafeConv3d(64, 64, 3, stride=stride, padding=1, bias=False)
    conv.to(memory_format=torch.channels_last_3d)
    x = torch.randn((3, 64, *shape), generator=generator)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    side = torch.randn(conv(x).shape, generator=generator)
    gradients = []
    for enabled in (False, True, True):
        conv.zero_grad()
        poison = [torch.full((n,), torch.nan) for n in (10, 1000, 20_000, 100_000, 400_000) * 3]
        del poison
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            y = conv(x)
        y.backward(side.to(y.dtype))
        gradients.append(conv.weight.grad.clone())
    exact, first, second = gradients
    assert torch.equal(first, second)
    assert (first - exact).norm() < 0.02 * exact.norm()


def reference(conv, x, side):
    """Output and gradients in float64, where no library of convolutions is at work."""
    probe = x.double().contiguous().requires_grad_()
    weight = conv.weight.detach().double().contiguous().requires_grad_()
    y = nn.functional.conv3d(probe, weight, None, conv.stride, conv.padding, conv.dilation)
    y.backward(side.double())
    return y.detach(), probe.grad, weight.grad


# The first convolution on thin slabs, on which oneDNN's float32 kernels crash or give numbers
# that differ from run to run; dilated ones; shapes that are computed as usual; and the first
# convolution on larger ones, which is computed from its taps.
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "shape"),
    [
        *((7, 2, 1, shape) for shape in [(5, 6, 5), (6, 9, 9), (7, 3, 7), (9, 2, 9), (9, 9, 1)]),
        *((7, 1, 1, shape) for shape in [(1, 9, 9), (4, 9, 9), (9, 1, 9), (8, 9, 9)]),
        *((7, 2, 1, shape) for shape in [(10, 9, 8), (8, 13, 16)]),
        (7, 1, 2, (15, 14, 16)),
        *((3, 1, 2, shape) for shape in [(5, 4, 3), (2, 6, 6)]),
        *((3, 1, 1, shape) for shape in [(2, 9, 9), (1, 1, 1)]),
    ],
)
def test_no_shape_gives_wrong_numbers(kernel, stride, dilation, shape, bfloat16):
    generator = torch.Generator().manual_seed(0)
    channels, padding = (1 if kernel == 7 else 64), dilation * (kernel - 1) // 2
    conv = SmallSafeConv3d(
        channels, 64, kernel, stride=stride, padding=padding, dilation=dilation, bias=False
    )
    conv.to(memory_format=torch.channels_last_3d)
    x = torch.randn((2, channels, *shape), generator=generator)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    size = [(n - 1) // stride + 1 for n in shape]
    side = torch.randn((2, 64, *size), generator=generator)
    exact = reference(conv, x, side)
    for _ in range(2):
        probe = x.clone(memory_format=torch.preserve_format).requires_grad_()
        conv.zero_grad()
        poison = [torch.full((n,), torch.nan) for n in (10, 1000, 20_000, 100_000) * 3]
        del poison
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            y = conv(probe)
        y.backward(side.to(y.dtype))
        for found, expected in zip((y, probe.grad, conv.weight.grad), exact, strict=True):
            error = (found.double() - expected).norm() / expected.norm()
            assert error < (0.02 if bfloat16 else 1e-5)


def test_what_of_a_kernel_only_sees_padding_is_left_out_and_nothing_else():
    rng = np.random.default_rng(0)
    trimmed = 0
    for _ in range(1000):
        kernel, shape, padding = (rng.integers(low, 4, 3).tolist() for low in (1, 1, 0))
        step, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        extents = [dilation * (k - 1) + 1 for k in kernel]
        if any(n + 2 * p < e for n, p, e in zip(shape, padding, extents, strict=True)):
            continue
        conv = nn.Conv3d(2, 3, kernel, step, padding, dilation).double()
        x = torch.from_numpy(rng.standard_normal((2, 2, *shape)))
        layer = seen_layer(conv, shape)
        torch.testing.assert_close(layer(x), conv(x))
        trimmed += layer.kernel_size != conv.kernel_size
    assert trimmed > 50
    conv = nn.Conv3d(4, 4, 3, padding=1)
    assert seen_layer(conv, (9, 2, 1)).kernel_size == (3, 3, 1)
    assert seen_layer(conv, (1, 1, 1)).kernel_size == (1, 1, 1)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("with_bias", [False, True])
def test_wide_kernels_over_few_channels_give_the_librarys_numbers(channels, with_bias):
    generator = torch.Generator().manual_seed(0)
    conv = SmallSafeConv3d(channels, 16, (7, 5, 7), stride=(2, 1, 2), padding=(3, 2, 3))
    if not with_bias:
        conv.bias = None
    image = torch.randn((2, channels, 12, 11, 10), generator=generator)
    image = image.contiguous(memory_format=torch.channels_last_3d)
    for wanted in (True, False):
        x = image.clone(memory_format=torch.preserve_format).requires_grad_(wanted)
        expected = nn.Conv3d.forward(conv, x)
        found = conv(x)
        side = torch.randn(found.shape, generator=generator)
        inputs = [*conv.parameters(), *([x] if wanted else [])]
        pairs = zip(
            torch.autograd.grad(found, inputs, side),
            torch.autograd.grad(expected, inputs, side),
            strict=True,
        )
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("channels", "kernel", "wanted", "expected"),
    [
        (1, 7, False, 1),
        (1, 7, True, 1),
        (2, 7, True, 1),
        (2, 7, False, 0),
        (3, 7, True, 0),
        (1, 3, True, 0),
    ],
)
def test_first_layers_are_computed_from_their_taps(monkeypatch, channels, kernel, wanted, expected):
    seen = []
    real = blocks.convolve_by_taps
    monkeypatch.setattr(blocks, "convolve_by_taps", lambda *given: seen.append(1) or real(*given))
    conv = SmallSafeConv3d(channels, 4, kernel, stride=2, padding=kernel // 2)
    conv(torch.rand((1, channels, 10, 11, 12)).requires_grad_(wanted))
    assert len(seen) == expected


def test_other_paddings_and_float64_are_as_the_library_has_them():
    generator = torch.Generator().manual_seed(0)
    for edge, kernel in ((12, 7), (3, 3)):
        conv = SmallSafeConv3d(1, 4, kernel, padding=kernel // 2, padding_mode="replicate")
        x = torch.rand((1, 1, edge, edge, edge), generator=generator)
        torch.testing.assert_close(conv(x), nn.Conv3d.forward(conv, x))
        conv = SmallSafeConv3d(1, 4, kernel, padding=kernel // 2).double()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = conv(x.double())
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, nn.Conv3d.forward(conv, x.double()))


# Torch would rather have torch.export, which platforms that serve traced models do not read yet.
@pytest.mark.filterwarnings("ignore:`torch.jit.trace(_method)?` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_network_can_be_traced_and_differentiated_by_functions():
    model = network(stem_stride=2, stem_pool=True).eval()
    x = torch.rand((2, 1, 18, 20, 17), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(model, x)(x), model(x))
    probe = x.clone().requires_grad_()
    model(probe).sum().backward()
    rows = torch.func.jacrev(model)(x).sum(dim=(0, 1))
    torch.testing.assert_close(rows, probe.grad, rtol=1e-4, atol=1e-6)


def test_a_network_pools_in_the_numbers_it_computes_in_and_rectifies_after():
    model = network(stem_stride=2, stem_pool=True)
    x = torch.rand((2, 1, 20, 20, 20), generator=torch.Generator().manual_seed(0))
    given = {}
    for name in ("bn1", "maxpool", "layer1"):
        model.get_submodule(name).register_forward_hook(
            lambda layer, inputs, output, name=name: given.update({name: (inputs[0], output)})
        )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(x)
    assert {tensor.dtype for pair in given.values() for tensor in pair} == {torch.bfloat16}
    as_usual = nn.functional.max_pool3d(nn.functional.relu(given["bn1"][1].float()), 3, 2, 1)
    assert torch.equal(given["layer1"][0].float(), as_usual)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("shape", [(9, 8, 7), (4, 5, 6), (2, 1, 3)])
def test_the_repeatable_max_pool_is_the_librarys(shape, ceil):
    pool = RepeatableMaxPool3d(3, stride=2, padding=1, ceil_mode=ceil)
    x = torch.rand((2, 3, *shape), generator=torch.Generator().manual_seed(0))
    results = []
    for run in (pool, pool.repeatable):
        probe = x.clone().requires_grad_()
        y = run(probe)
        y.backward(torch.arange(y.numel(), dtype=torch.float32).view(y.shape))
        results.append((y.detach(), probe.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_the_repeatable_average_pool_is_the_librarys():
    pool = RepeatableAvgPool3d(2)
    x = torch.rand((2, 3, 5, 4, 7), generator=torch.Generator().manual_seed(0))
    results = []
    for run in (pool, pool.repeatable):
        probe = x.clone().requires_grad_()
        y = run(probe)
        y.square().sum().backward()
        results.append((y.detach(), probe.grad))
    torch.testing.assert_close(*results)


def test_no_pool_of_a_stem_is_left_whose_gradient_varies_on_a_gpu():
    pools = [m for m in network(stem_pool=True).modules() if "Pool3d" in type(m).__name__]
    assert RepeatableMaxPool3d in {type(m) for m in pools}


def test_memory_follows_the_voxels_the_batch_and_the_width_of_numbers():
    deep = Network(depth=18, start="random")
    slab = training_bytes(deep, 1, (79, 95, 30), 6, 2)
    assert 5e9 < slab < 12e9  # 4.7 GB of activations and 0.5 GB of weights were measured
    assert training_bytes(deep, 1, (79, 95, 30), 6, 4) > 1.7 * slab
    assert training_bytes(deep, 1, (157, 189, 60), 6, 2) > 6 * slab
    compact = Network(depth=10, stem_stride=2, stem_pool=True, start="random")
    assert training_bytes(compact, 1, (79, 95, 30), 6, 2) < 1e9


def test_logits_keep_float32_under_autocast():
    model = network(stem_stride=2, stem_pool=True).eval()
    x = torch.rand((40, 1, 12, 12, 12), generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        logits = model(x)
    assert logits.dtype == torch.float32
    assert len(logits.unique()) == 40


def test_logits_do_not_depend_on_the_batch_and_the_mode_is_kept():
    model = network(stem_stride=2, stem_pool=True).train()
    array = np.random.default_rng(0).random((7, 1, 16, 16, 16)).astype(np.float16)
    as_it_is = PerBatch()
    cohort = DeviceCohort(ImageRows(array), CPU)
    rows = np.array([5, 0, 3, 6, 1])
    together = predict_logits(model, cohort, rows, as_it_is, batch_size=5)
    alone = predict_logits(model, cohort, rows, as_it_is, batch_size=1)
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert model.training
    assert len(predict_logits(model, cohort, rows[:0], as_it_is)) == 0


def test_probabilities_do_not_overflow():
    p = probability(np.array([-1e4, -2.0, 0, 2, 1e4]))
    np.testing.assert_allclose(p, [0, 1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1])


def test_no_batch_of_one_is_left_over():
    assert [len(b) for b in in_batches(np.arange(13), 6)] == [6, 7]
    assert [len(b) for b in in_batches(np.arange(14), 6)] == [6, 6, 2]
    assert [len(b) for b in in_batches(np.arange(1), 6)] == [1]
