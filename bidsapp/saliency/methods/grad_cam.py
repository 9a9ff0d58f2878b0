"""Grad-CAM at any stage of a network, laid where the stage's voxels really look."""

from collections.abc import Sequence
from typing import Any

import torch

from bidsapp.contracts.network import network_offers
from bidsapp.errors import UsageError
from bidsapp.networks.mobile_blocks import SameConv2d
from bidsapp.networks.registry import slice_axis
from bidsapp.networks.resized import inner_grid
from bidsapp.saliency.methods.question import Question

_KINDS = (
    torch.nn.Conv2d,
    torch.nn.Conv3d,
    torch.nn.MaxPool2d,
    torch.nn.MaxPool3d,
    torch.nn.AvgPool2d,
    torch.nn.AvgPool3d,
)


def grad_cam(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Weigh a stage's activation by its mean gradient (Selvaraju et al. 2017), by captum.

    Negative values are kept: they speak against the positive class.

    Returns
    -------
    torch.Tensor
        (B, 1, X, Y, Z), signed, in units of the answer per voxel of the stage, interpolated
        linearly between the centres of what these voxels see.
    """
    from captum.attr import LayerGradCam

    network = question.answer.network
    layer = stage_of(network, question.settings.stage or 4)
    axis = slice_axis(network)
    # captum asks the layer's output for a gradient, which weights without one would not give it
    leaf = x.detach().requires_grad_(True)
    coarse = LayerGradCam(question.answer, layer).attribute(leaf, relu_attributions=False)
    start, jump = centres(network, x[:1], coarse.shape[2:])
    if axis is not None:
        # A network of slices has one value for all slices of a place.
        coarse = coarse.unsqueeze(2 + axis)
        start.insert(axis, 0.0)
        jump.insert(axis, 1.0)
    return _spread(coarse.detach(), x.shape[2:], start, jump).to(x.dtype)


def stage_of(network: torch.nn.Module, stage: int) -> torch.nn.Module:
    """Find the layer that ends a stage, counted from 1 after the stem.

    Raises
    ------
    UsageError
        If the network has no such stage.
    """
    layers = dict(network.named_modules())
    for offer in network_offers().values():
        names = [name.split()[-1] for name in offer.stages[1:]]
        if stage <= len(names) and names[stage - 1] in layers:
            return layers[names[stage - 1]]
    raise UsageError(
        f"saliency.stage: {type(network).__name__} has no stage {stage}; "
        "use another saliency.method"
    )


def centres(
    network: torch.nn.Module, image: torch.Tensor, size: Sequence[int]
) -> tuple[list[float], list[float]]:
    """Where the voxels of an inner layer look, from strides, kernels and padding.

    Parameters
    ----------
    network
        The network.
    image
        One image, (1, C, X, Y, Z).
    size
        Spatial size of the layer: three numbers, or two of a network of slices.

    Returns
    -------
    start, jump
        Voxel k of the layer is centred on voxel start + k · jump of the image, on each axis
        (Dumoulin and Visin 2016). Stretching the layer over the image instead, as is usual, is
        off by up to half of a jump: 30 mm in the last stage of a compact network.
    """
    shape, axis = list(image.shape[2:]), slice_axis(network)
    if axis is not None:
        shape.pop(axis)
    own, grid = inner_grid(network, shape)
    known = {own: grid}

    def note(layer: Any, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        before, after = tuple(given[0].shape[2:]), tuple(output.shape[2:])
        if after in known or before not in known:
            return
        keys, axes = ("kernel_size", "stride", "padding", "dilation"), len(after)
        parts = [_each(getattr(layer, key, 1), axes) for key in keys]
        if isinstance(layer, SameConv2d):  # how much is padded hangs on the image's size
            parts[2] = tuple(first for first, _ in layer.pads(before))
        known[after] = [
            (start + jump * (d * (k - 1) / 2 - p), jump * s)
            for (start, jump), k, s, p, d in zip(known[before], *parts, strict=True)
        ]

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, _KINDS)]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    found = known[tuple(size)]
    return [start for start, _ in found], [jump for _, jump in found]


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def _spread(
    coarse: torch.Tensor, size: Sequence[int], start: Sequence[float], jump: Sequence[float]
) -> torch.Tensor:
    """Interpolate linearly along each axis in turn; beyond the outermost centres, constant."""
    for axis, (n, first, step) in enumerate(zip(size, start, jump, strict=True), start=2):
        last = coarse.shape[axis] - 1
        place = (torch.arange(n, device=coarse.device, dtype=coarse.dtype) - first) / step
        place = place.clamp(0, last)
        low = place.floor().clamp(max=max(last - 1, 0)).long()
        high = (low + 1).clamp(max=last)
        shape = [1] * coarse.ndim
        shape[axis] = n
        share = (place - low).view(shape)
        coarse = coarse.index_select(axis, low) * (1 - share) + (
            coarse.index_select(axis, high) * share
        )
    return coarse
