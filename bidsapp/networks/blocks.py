"""Small layers of our own that stand in for library layers with the wrong gradient or bits."""

from itertools import product
from typing import Any

import torch
from torch import nn

from bidsapp.networks.convolution import (
    MOST_NUMBERS,
    Layer,
    columns_size,
    computed_in,
    convolve_by_columns,
    convolve_by_taps,
    convolve_picture_by_columns,
    layer_of,
    seen_layer,
)

Triple = tuple[int, int, int]
FEW_CHANNELS = 4
"""Channels of an image, of which a wide kernel's taps along one axis can be channels too."""


class ShortcutA(nn.Module):
    """Parameter-free shortcut: every `stride`-th voxel, zeros for the channels that are new.

    He et al. 2016 (option A). Loads the same checkpoints as MONAI's shortcut "A", which cuts the
    gradient at this point; here it flows.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y[, Z]) to (B, channels, ⌈X/stride⌉, …)."""
        axes = x.dim() - 2
        every: list[Any] = [..., *[slice(None, None, self.stride)] * axes]
        kept = x[tuple(every)]
        return nn.functional.pad(kept, (0, 0) * axes + (0, self.channels - x.shape[1]))


class GlobalMean(nn.Module):
    """Mean over the spatial axes, kept as axes of one; deterministic on CUDA too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y[, Z]) to (B, C, 1, 1[, 1])."""
        half = x.dtype in (torch.bfloat16, torch.float16)
        spatial = tuple(range(2, x.dim()))
        return x.mean(spatial, keepdim=True, dtype=torch.float32 if half else None)


class LogitLinear(nn.Linear):
    """A linear layer that autocast leaves in float32.

    The eight bits of a bfloat16 logit would give different people the same score.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, features) to (B, outputs)."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class SmallSafeConv3d(nn.Conv3d):
    """A convolution that computes what oneDNN gets wrong, or slowly, on a CPU in another way.

    Where an axis of the input is no longer than the kernel (with its dilation) or the stride,
    oneDNN (as in torch 2.13) reads and writes memory that is not its own: numbers that differ from
    run to run, up to infinity, or a crash. Found by comparison with float64 over thousands of
    layers: in bfloat16 for every kernel, in the gradient of the weights and, along the first
    axis, in the output itself (on CPUs with AMX also pytorch issue 169688); in float32 for the
    7×7×7 kernel with stride 2, in the gradient of the weights. So in bfloat16 such layers become a
    matrix product, or leave autocast where that would be a large one, and in float32 where rows are
    few, as it is faster; kernels wider than three voxels take a short axis as channels, or are
    computed in float64, which oneDNN has no part in.

    What of a narrow kernel only ever sees padding is left out. Wide kernels over one channel, or
    over two where the gradient of the image is asked for, are slow, and computed by their taps.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, X, Y, Z)."""
        if x.device.type != "cpu":
            return super().forward(x)
        narrow = max(self.kernel_size) <= 3
        zeros = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        if self.groups == 1 and zeros:
            layer = seen_layer(self, x.shape[2:]) if narrow else layer_of(self)
            at_risk = self._at_risk(layer, x)
            if not at_risk:
                few = self.in_channels <= (2 if x.requires_grad else 1)
                return convolve_by_taps(layer, x) if few and not narrow else layer(x)
            if narrow:
                rows, columns = columns_size(layer, x)
                half = computed_in(x) == torch.bfloat16
                if rows * columns <= MOST_NUMBERS if half else rows <= self.out_channels:
                    return convolve_by_columns(layer, x)
                if not half:
                    return layer(x)
            elif len(at_risk) == 1 and self.in_channels <= FEW_CHANNELS:
                return convolve_by_taps(layer, x, at_risk[0])
        elif not self._at_risk(self, x):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            if narrow:
                return super().forward(x.to(self.weight.dtype))
            y = self._conv_forward(
                x.double(), self.weight.double(), None if self.bias is None else self.bias.double()
            )
            return y.to(self.weight.dtype)

    @staticmethod
    def _at_risk(layer: "nn.Conv3d | Layer", x: torch.Tensor) -> list[int]:
        """List the axes that are no longer than the kernel or the stride."""
        axes = zip(x.shape[2:], layer.kernel_size, layer.dilation, layer.stride, strict=True)
        return [a for a, (n, k, d, s) in enumerate(axes) if n <= max(d * (k - 1) + 1, s) > 1]


class SmallSafeConv2d(nn.Conv2d):
    """A convolution of pictures that computes what oneDNN gets wrong on a CPU in another way.

    As with `SmallSafeConv3d`: where an axis of the input is no longer than the kernel (with its
    dilation) or the stride, the gradient of the weights holds memory that is not its own.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, X, Y)."""
        if x.device.type != "cpu":
            return super().forward(x)
        extents = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        sizes = zip(x.shape[2:], extents, self.stride, strict=True)
        if not any(n <= max(e, s) > 1 for n, e, s in sizes):
            return super().forward(x)
        if self.groups == 1 and self.padding_mode == "zeros" and not isinstance(self.padding, str):
            return convolve_picture_by_columns(self, x)
        with torch.autocast("cpu", enabled=False):
            y = self._conv_forward(
                x.double(), self.weight.double(), None if self.bias is None else self.bias.double()
            )
            return y.to(self.weight.dtype)


class RepeatableMaxPool3d(nn.MaxPool3d):
    """A max-pool whose gradient has the same bits every time on a GPU too.

    CUDA adds the gradients of overlapping windows up in whatever order they come. Autocast would
    have it in float32, which takes twice the memory to choose the same voxels; their gradients are
    then added up in bfloat16 too.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool (B, C, X, Y, Z)."""
        if x.device.type != "cpu":
            return self.repeatable(x) if x.requires_grad else super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)

    def repeatable(self, x: torch.Tensor) -> torch.Tensor:
        """Pool in a way that is the same on every device."""
        triples = (_three(v) for v in (self.kernel_size, self.stride, self.padding))
        pooled: torch.Tensor = _MaxPool.apply(x, *triples, self.ceil_mode)
        return pooled


class _MaxPool(torch.autograd.Function):
    """Max-pooling that hands the gradient back in a fixed order."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, kernel: Triple, stride: Triple, padding: Triple, ceil: bool
    ) -> torch.Tensor:
        y, winner = nn.functional.max_pool3d(
            x, kernel, stride, padding, ceil_mode=ceil, return_indices=True
        )
        ctx.save_for_backward(winner)
        ctx.geometry = (x.shape, kernel, stride, padding)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (winner,) = ctx.saved_tensors
        (gradient,) = gradients
        shape, kernel, stride, padding = ctx.geometry
        axes = list(zip(winner.shape[2:], shape[2:], kernel, stride, padding, strict=True))
        padded = [max(s * (m - 1) + k, n + p) for m, n, k, s, p in axes]
        dtype = torch.promote_types(gradient.dtype, torch.float32)
        whole = torch.zeros((*shape[:2], *padded), dtype=dtype, device=gradient.device)
        for offset in product(*(range(k) for k in kernel)):
            # place, in the input, of the voxel that each window has at this offset
            x, y, z = (
                torch.arange(m, device=winner.device) * s + o - p
                for (m, _, _, s, p), o in zip(axes, offset, strict=True)
            )
            place = (x[:, None, None] * shape[3] + y[:, None]) * shape[4] + z
            there: list[Any] = [
                slice(o, o + s * (m - 1) + 1, s)
                for (m, _, _, s, _), o in zip(axes, offset, strict=True)
            ]
            whole[(..., *there)] += torch.where(winner == place, gradient, 0)
        inside: list[Any] = [slice(p, p + n) for _, n, _, _, p in axes]
        return whole[(..., *inside)].to(gradient.dtype), None, None, None, None


class RepeatableAvgPool3d(nn.AvgPool3d):
    """An average-pool over windows that do not overlap, as a mean; the same bits on a GPU too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool (B, C, X, Y, Z)."""
        return super().forward(x) if x.device.type == "cpu" else self.repeatable(x)

    def repeatable(self, x: torch.Tensor) -> torch.Tensor:
        """Pool in a way that is the same on every device."""
        for axis, k in enumerate(_three(self.kernel_size), start=2):
            x = x.narrow(axis, 0, x.shape[axis] // k * k)
        for axis, k in zip((4, 3, 2), reversed(_three(self.kernel_size)), strict=True):
            x = x.unflatten(axis, (x.shape[axis] // k, k))
        return x.mean((3, 5, 7))


def _three(value: Any) -> Triple:
    a, b, c = value if isinstance(value, tuple) else (value,) * 3
    return a, b, c


def mend(network: nn.Module, head: str) -> nn.Module:
    """Swap layers of a library network for ours, in place; the names of weights stay.

    Parameters
    ----------
    network
        With average pools to one voxel, convolutions and a linear head.
    head
        Dotted name of the layer that gives the logit.
    """
    for name, layer in list(network.named_modules()):
        # Where only forward differs the class alone changes; weights and settings stay.
        if name == head:
            layer.__class__ = LogitLinear
        elif type(layer) is nn.Conv3d:
            layer.__class__ = SmallSafeConv3d
        elif type(layer) is nn.Conv2d:
            layer.__class__ = SmallSafeConv2d
        elif type(layer) is nn.MaxPool3d and layer.dilation == 1:
            layer.__class__ = RepeatableMaxPool3d
        elif type(layer) is nn.AvgPool3d and layer.stride == layer.kernel_size:
            layer.__class__ = RepeatableAvgPool3d
        elif isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d):
            network.set_submodule(name, GlobalMean())
    return network
