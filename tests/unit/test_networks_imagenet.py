"""ImageNet weights in the layouts of torchvision and timm, for networks of slices."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData, NoInput, UsageError
from bidsapp.networks import imagenet
from bidsapp.networks.origin import initial_weights, require_origin, weights_words
from bidsapp.networks.registry import build_network
from bidsapp.networks.weights import check_weights, load_weights, weights_file
from bidsapp.recipes import apply_values
from bidsapp.recipes.network import Network
from tests.unit.synthetic_cohort import small_recipe

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BLOCKS = {18: (2, (2, 2, 2, 2)), 34: (2, (3, 4, 6, 3)), 50: (3, (3, 4, 6, 3))}


def norm(name, width):
    shapes = {f"{name}.{part}": (width,) for part in NORM[:4]}
    return shapes | {f"{name}.num_batches_tracked": ()}


def residual(depth, groups=1):
    """Names and shapes of torchvision's resnet and resnext50_32x4d, written down from its docs."""
    convolutions, layers = BLOCKS[depth]
    found = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    before = 64
    for stage, blocks in enumerate(layers):
        width = 64 * 2**stage
        out = width if convolutions == 2 else 4 * width
        for block in range(blocks):
            at = f"layer{stage + 1}.{block}"
            if convolutions == 2:
                shapes = [(width, before, 3, 3), (width, width, 3, 3)]
            else:
                inner = width * (2 if groups > 1 else 1)
                shapes = [
                    (inner, before, 1, 1), (inner, inner // groups, 3, 3), (out, inner, 1, 1),
                ]  # fmt: skip
            for place, shape in enumerate(shapes, start=1):
                found |= {f"{at}.conv{place}.weight": shape} | norm(f"{at}.bn{place}", shape[0])
            if block == 0 and before != out:
                found[f"{at}.downsample.0.weight"] = (out, before, 1, 1)
                found |= norm(f"{at}.downsample.1", out)
            before = out
    return found | {"fc.weight": (1000, before), "fc.bias": (1000,)}


def dense(first=""):
    """Names and shapes of densenet121; its published file writes norm.1 where others have norm1."""
    found = {"features.conv0.weight": (64, 3, 7, 7)} | norm("features.norm0", 64)
    width = 64
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            found |= norm(f"{at}.norm{first}1", width) | norm(f"{at}.norm{first}2", 128)
            found[f"{at}.conv{first}1.weight"] = (128, width, 1, 1)
            found[f"{at}.conv{first}2.weight"] = (32, 128, 3, 3)
            width += 32
        if block < 4:
            at = f"features.transition{block}"
            found |= norm(f"{at}.norm", width) | {f"{at}.conv.weight": (width // 2, width, 1, 1)}
            width //= 2
    found |= norm("features.norm5", width)
    return found | {"classifier.weight": (1000, width), "classifier.bias": (1000,)}


LAYOUTS = {
    "resnet18": ("resnet", 18, residual(18)),
    "resnet34": ("resnet", 34, residual(34)),
    "resnet50": ("resnet", 50, residual(50)),
    "resnext50": ("resnext", 50, residual(50, groups=32)),
    "densenet121": ("densenet", 121, dense()),
    "densenet121 as published": ("densenet", 121, dense(".")),
}


def section(name, depth, **more):
    stem = {"stem_stride": 2, "stem_pool": True} if "res" in name else {}
    return Network(name=name, depth=depth, dims=2, start="imagenet", **stem, **more)


def write(path, shapes, seed=0, drop=()):
    """Numbers of which each tensor has its own, so that one in another's place is seen."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith(tuple(drop)):
            continue
        one = torch.rand(shape[:1] or (), generator=generator)
        value = one.reshape(shape[:1] + (1,) * (len(shape) - 1)).expand(shape)
        tensors[name] = value.long() if name.endswith("tracked") else value
    torch.save(tensors, path)
    return tensors


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_weight_of_a_published_layout_finds_its_place(tmp_path, layout):
    name, depth, shapes = LAYOUTS[layout]
    path = tmp_path / "weights.pth"
    # torch before 0.4.1 counted no batches, and torchvision's older files have no such numbers
    drop = ("num_batches_tracked",) if "published" in layout else ()
    theirs = write(path, shapes, drop=drop)
    wanted = section(name, depth)
    network = build_network(wanted, 1, seed=1, shape=(64, 64, 3))
    head = {k: v.clone() for k, v in network.state_dict().items() if k.startswith(("fc", "class"))}
    record = load_weights(network, wanted, 1, path)
    assert record.kind == "imagenet"
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    ours = network.state_dict()
    assert all(torch.equal(ours[k], v) for k, v in head.items())
    backbone = [v for k, v in ours.items() if k not in head and not k.endswith("tracked")]
    given = [v for k, v in theirs.items() if not k.startswith(("fc", "class", "x")) and v.dim() > 0]
    # Layer by layer: torchvision's order is that in which its layers work, as is ours.
    assert sorted(tuple(v.shape) for v in given) == sorted(tuple(v.shape) for v in backbone)
    assert sorted(float(v.flatten()[0]) for v in given) == sorted(
        float(v.flatten()[0]) for v in backbone
    )
    if name != "densenet":
        assert all(torch.equal(ours[k], theirs[k]) for k in theirs if not k.startswith("fc"))
    else:
        one = "features.denseblock2.denselayer3."
        sign = "." if "published" in layout else ""
        assert torch.equal(ours[f"{one}layers.norm2.bias"], theirs[f"{one}norm{sign}2.bias"])


def test_a_file_of_another_network_is_refused_with_its_keys(tmp_path):
    path = tmp_path / "weights.pth"
    write(path, residual(34))
    wanted = section("resnet", 18)
    with pytest.raises(BadData, match=r"unexpected layer1\.2\.bn1\.bias"):
        check_weights(wanted, 1, path, (64, 64, 3))
    shapes = residual(18)
    del shapes["layer3.0.downsample.0.weight"]
    write(path, shapes)
    with pytest.raises(BadData, match=r"missing layer3\.0\.downsample\.0\.weight"):
        check_weights(wanted, 1, path, (64, 64, 3))


@settings(deadline=None)
@given(
    channels=st.integers(1, 40),
    kernel=st.integers(0, 2**31).map(
        lambda seed: torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(seed)).double()
    ),
)
def test_slices_that_are_alike_give_what_a_grey_picture_gave(channels, kernel):
    wide = imagenet.for_channels(kernel, channels)
    assert wide.shape == (4, channels, 3, 3)
    picture = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    grey = torch.nn.functional.conv2d(picture.expand(1, 3, 8, 8), kernel)
    slices = torch.nn.functional.conv2d(picture.expand(1, channels, 8, 8), wide)
    if channels % 3 == 0 or channels == 1:
        torch.testing.assert_close(slices, grey)
    else:  # the last colours of an incomplete round weigh more, by less than their share
        assert (slices - grey).abs().max() <= 9 * 3 / channels


def test_without_a_file_the_message_says_where_to_get_it_and_no_hub_is_asked(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("a hub was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    wanted = section("resnext", 50)
    network = build_network(wanted, 1, shape=(64, 64, 3))
    with pytest.raises(NoInput, match=r"--weights FILE.*network\.start=random") as caught:
        load_weights(network, wanted, 1, None)
    assert "https://download.pytorch.org/models/resnext50_32x4d-7cdf4587.pth" in str(caught.value)
    with pytest.raises(NoInput, match="is not there"):
        load_weights(network, wanted, 1, tmp_path / "none.pth")


def test_a_folder_of_files_is_searched_by_torchvisions_names(tmp_path):
    wanted = section("resnet", 50)
    assert weights_file(wanted, tmp_path) == tmp_path / "resnet50-0676ba61.pth"
    (tmp_path / "resnet50-11ad3fa6.pth").touch()
    assert weights_file(wanted, tmp_path) == tmp_path / "resnet50-11ad3fa6.pth"
    assert weights_file(wanted, tmp_path / "mine.pth") == tmp_path / "mine.pth"


def test_a_file_is_known_by_the_digits_of_its_name_or_needs_a_word(tmp_path):
    path = tmp_path / "resnet18-f37072fd.pth"  # a name proves nothing
    write(path, residual(18))
    wanted = section("resnet", 18)
    with pytest.raises(UsageError, match="no file that MedicalNet or torchvision published"):
        require_origin(wanted, path)
    assert imagenet.published_by_torchvision("f37072fd" + 56 * "0")
    assert not imagenet.published_by_torchvision("f37072f" + 57 * "0")
    known = initial_weights(wanted, path).plain() | {"sha256": "f37072fd" + 56 * "0"}
    assert "pretrained on ImageNet" in weights_words(known)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network.dims": 3}, "ImageNet's weights go with network.dims: 2"),
        ({"network.depth": 10}, "no ImageNet weights for resnet of depth 10"),
        ({"network.shortcut": "A"}, "ImageNet's weights for depth 18 have shortcut B"),
        ({"network.shortcut_bias": True}, "ImageNet's weights have none"),
        ({"network": {"name": "seresnext", "depth": 50}}, "no ImageNet weights for seresnext; use"),
    ],
)
def test_what_imagenet_does_not_have_is_refused(changes, message):
    recipe = small_recipe(network={"depth": 18, "dims": 2, "start": "imagenet"})
    assert recipe.network.resolved_shortcut == "B"
    with pytest.raises(UsageError, match=message):
        apply_values(recipe, changes)
