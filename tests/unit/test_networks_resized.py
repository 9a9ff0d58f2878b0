"""Images brought to one size on their way into a network."""

import numpy as np
import pytest
import torch

from bidsapp.networks.registry import build_network
from bidsapp.networks.resized import Resized
from bidsapp.recipes import load_recipe
from bidsapp.recipes.network import Network


def stage_sizes(section: Network, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sizes of what the four stages of a ResNet give."""
    network = build_network(section, 1, shape=shape).eval()
    found: list[tuple[int, ...]] = []
    for name, module in network.named_children():
        if name.startswith("layer"):
            module.register_forward_hook(lambda _m, _i, given: found.append(tuple(given.shape[2:])))
    with torch.no_grad():
        assert network(torch.zeros(1, 1, *shape)).shape == (1, 2)
    return found


def test_the_stages_are_as_large_as_the_paper_prints() -> None:
    section = load_recipe("wei2023").with_variant("resnet18_2d_224").network
    assert section.resize == 224
    sizes = stage_sizes(section, (79, 95, 30))
    assert sizes == [(56, 56), (28, 28), (14, 14), (7, 7)]


def test_a_volume_is_resized_along_all_axes_and_weights_stay_the_same() -> None:
    plain = Network(name="resnet", depth=10, stem_stride=2, stem_pool=True, start="random")
    small = plain.model_copy(update={"resize": 32})
    one, other = (
        build_network(section, 1, seed=3, shape=(20, 44, 30)) for section in (plain, small)
    )
    for name, values in one.state_dict().items():
        assert torch.equal(values, other.state_dict()[name]), name
    x = torch.rand(2, 1, 32, 32, 32)
    assert torch.equal(one.eval()(x), other.eval()(x))  # of that size already
    assert other(torch.rand(2, 1, 20, 44, 30)).shape == (2, 1)


@pytest.mark.parametrize("shape", [(50, 41), (20, 33, 27)])
def test_a_smooth_image_keeps_its_values_and_its_gradient_reaches_the_image(
    shape: tuple[int, ...],
) -> None:
    axes = [np.linspace(0, np.pi, n) for n in shape]
    image = np.prod(np.stack(np.meshgrid(*map(np.sin, axes), indexing="ij")), axis=0)
    x = torch.tensor(image[None, None], dtype=torch.float32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        (given,) = Resized(32)(torch.nn.Identity(), (x,))
    assert given.dtype == torch.float32
    assert given.shape[2:] == (32,) * len(shape)
    centres = [(np.arange(32) + 0.5) * n / 32 - 0.5 for n in shape]
    sines = [np.sin(c * np.pi / (n - 1)) for c, n in zip(centres, shape, strict=True)]
    wanted = np.prod(np.stack(np.meshgrid(*sines, indexing="ij")), axis=0)
    inner = (slice(1, -1),) * len(shape)
    assert np.abs(given.detach().numpy()[0, 0][inner] - wanted[inner]).max() < 0.02
    given.sum().backward()
    assert x.grad is not None
    assert float(x.grad.sum()) == pytest.approx(32 ** len(shape), rel=1e-4)


def test_grad_cam_lays_stages_where_they_look_on_the_image_as_it_was() -> None:
    """Cells of a stage lie where those of a network of that size lie, measured in its image."""
    from bidsapp.saliency.methods.grad_cam import centres

    plain = Network(name="resnet", depth=10, dims=2, stem_stride=2, stem_pool=True, start="random")
    small = plain.model_copy(update={"resize": 64})
    shape = (40, 128, 6)
    one, other = (build_network(section, 1, shape=shape).eval() for section in (plain, small))
    start, jump = centres(one, torch.zeros(1, 1, 64, 64, 6), (4, 4))
    found = centres(other, torch.zeros(1, 1, *shape), (4, 4))
    for axis, n in enumerate(shape[:2]):
        assert found[0][axis] == pytest.approx((start[axis] + 0.5) * n / 64 - 0.5)
        assert found[1][axis] == pytest.approx(jump[axis] * n / 64)
