"""3D convolutions in ways that suit a CPU: layers of few voxels, layers of one or two channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import nn

MOST_NUMBERS = 2**26
"""The largest matrix of columns, 128 MB in bfloat16; more is left to the library."""
Geometry = tuple[tuple[int, int, int, int], ...]
"""Kernel, dilation, stride and voxels of the output along each axis."""
CHANNEL_BLOCK = 8
"""Channels are filled up to a multiple of this, as vector instructions take them together."""


@dataclass(frozen=True)
class Layer:
    """A 3D convolution without groups, padded with a number of zeros.

    Attributes
    ----------
    weight
        (O, C, kernel…).
    bias
        (O,), or None.
    stride, padding, dilation
        Along each axis, in voxels.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(self.weight.shape[2:])

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.weight.shape[1]

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight.shape[0]

    def turned(self, axis: int) -> "Layer":
        """Change places between an axis and the last one."""
        order = [2 if place == axis else axis if place == 2 else place for place in range(3)]

        def swapped(values: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(values[place] for place in order)

        return Layer(
            self.weight.transpose(2 + axis, 4),
            self.bias,
            swapped(self.stride),
            swapped(self.padding),
            swapped(self.dilation),
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, X, Y, Z) as the library does."""
        return nn.functional.conv3d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation
        )


def layer_of(conv: nn.Conv3d) -> Layer:
    """Take what a convolution computes with; it is not grouped and padded with zeros."""
    padding = _numbers(conv.padding)
    return Layer(conv.weight, conv.bias, conv.stride, padding, conv.dilation)


def seen_layer(conv: nn.Conv3d, shape: Sequence[int]) -> Layer:
    """Leave out the planes of a kernel that lie on padding wherever the kernel is put.

    Of a kernel of three voxels that is put on an axis of one, two only ever see zeros: in the
    last stages of a network over a thin slab that is two thirds of the products.

    Parameters
    ----------
    conv
        Not grouped, padded with a number of zeros.
    shape
        (X, Y, Z) of the input.

    Returns
    -------
    Layer
        With the same output; the gradient of what was left out is 0, as it is anyway.
    """
    kept, paddings = [], []
    axes = (shape, conv.kernel_size, _numbers(conv.padding), conv.stride, conv.dilation)
    for n, kernel, padding, step, dilation in zip(*axes, strict=True):
        last = step * ((n + 2 * padding - dilation * (kernel - 1) - 1) // step)
        # where the plane lies at the first and at the last place of the kernel
        starts = [(plane, plane * dilation - padding) for plane in range(kernel)]
        seen = [plane for plane, at in starts if at < n and at + last >= 0]
        seen = seen or list(range(kernel))
        before, after = padding - seen[0] * dilation, padding - (kernel - 1 - seen[-1]) * dilation
        alike = before == after >= 0 and len(seen) < kernel
        kept.append(slice(seen[0], seen[-1] + 1) if alike else slice(None))
        paddings.append(before if alike else padding)
    whole = layer_of(conv)
    if kept == [slice(None)] * len(kept):
        return whole
    weight = conv.weight[(slice(None), slice(None), *kept)]
    return replace(whole, weight=weight, padding=tuple(paddings))


def columns_size(conv: Layer, x: torch.Tensor) -> tuple[int, int]:
    """Count rows and columns of the matrix that `convolve_by_columns` would make."""
    kernel = conv.weight.shape[2:].numel()
    return len(x) * torch.Size(_out_size(conv, x)).numel(), kernel * conv.in_channels


def convolve_by_columns(conv: Layer, x: torch.Tensor) -> torch.Tensor:
    """Convolve by collecting each voxel's surroundings into a row (im2col).

    Chellapilla et al. 2006.

    Parameters
    ----------
    conv
        The layer.
    x
        (B, C, X, Y, Z); under autocast both sides are brought to its type.

    Returns
    -------
    torch.Tensor
        (B, O, X', Y', Z'), channels last in memory.
    """
    dtype = computed_in(x)
    pads = [p for padding in reversed(conv.padding) for p in (padding, padding)]
    padded = nn.functional.pad(x.to(dtype).permute(0, 2, 3, 4, 1), (0, 0, *pads))
    size = _out_size(conv, x)
    if torch.is_grad_enabled() and padded.requires_grad:
        rows: torch.Tensor = _Rows.apply(padded, _geometry(conv, size))
    else:
        rows = _rows(padded, _geometry(conv, size))
    # channels last, the weights of an output lie in the order of such a row: this copies nothing
    weights = conv.weight.to(dtype).permute(0, 2, 3, 4, 1).reshape(conv.out_channels, -1)
    y = rows.reshape(-1, weights.shape[1]) @ weights.t()
    y = y.view(len(x), *size, conv.out_channels).permute(0, 4, 1, 2, 3)
    return y if conv.bias is None else y + conv.bias.to(dtype).view(-1, 1, 1, 1)


def convolve_picture_by_columns(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Convolve a picture by collecting each pixel's surroundings into a row (im2col).

    Parameters
    ----------
    conv
        Not grouped, padded with a number of zeros.
    x
        (B, C, X, Y); under autocast both sides are brought to its type.

    Returns
    -------
    torch.Tensor
        (B, O, X', Y').
    """
    dtype = computed_in(x)
    padding = _numbers(conv.padding)
    axes = zip(x.shape[2:], padding, conv.dilation, conv.kernel_size, conv.stride, strict=True)
    size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in axes]
    seen = nn.functional.unfold(x.to(dtype), conv.kernel_size, conv.dilation, padding, conv.stride)
    y = conv.weight.to(dtype).flatten(1) @ seen
    y = y.view(len(x), conv.out_channels, *size)
    return y if conv.bias is None else y + conv.bias.to(dtype).view(-1, 1, 1)


class _Rows(torch.autograd.Function):
    """What the kernel sees at each of its places, (B, X', Y', Z', K, C) from (B, X, Y, Z, C).

    The gradient goes back place by place into one array; torch's own makes an array for each.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(padded: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        return _rows(padded, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        padded, ctx.geometry = inputs
        ctx.shape = padded.shape

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (rows,) = gradients
        whole = rows.new_zeros(ctx.shape)
        for number, place in enumerate(_places(ctx.geometry)):
            _shifted(whole, place, ctx.geometry).add_(rows[..., number, :])
        return whole, None


def convolve_by_taps(conv: Layer, x: torch.Tensor, axis: int = 2) -> torch.Tensor:
    """Convolve with what the kernel sees along one axis as channels.

    The same products, summed in another order. oneDNN wants 8 or 16 channels to work on at a time:
    with one channel, its gradient of the input takes six times as long, and in bfloat16 the output
    1.6 times (torch 2.13, kernels of 7 voxels).

    Parameters
    ----------
    conv
        The layer.
    x
        (B, C, X, Y, Z); under autocast both sides are brought to its type.
    axis
        0, 1 or 2.

    Returns
    -------
    torch.Tensor
        (B, O, X', Y', Z'), channels last in memory where `axis` is 2.
    """
    if axis != 2:
        turned = convolve_by_taps(conv.turned(axis), x.transpose(2 + axis, 4))
        return turned.transpose(2 + axis, 4)
    dtype, taps, last = computed_in(x), conv.kernel_size[2], conv.padding[2]
    padded = nn.functional.pad(x.to(dtype).permute(0, 2, 3, 4, 1), (0, 0, last, last))
    n = _out_size(conv, x)[2]
    at = (tap * conv.dilation[2] for tap in range(taps))
    seen = [_along(padded, 3, start, conv.stride[2], n) for start in at]
    empty = -(taps * conv.in_channels) % CHANNEL_BLOCK
    if empty:
        seen.append(seen[0].new_zeros((*seen[0].shape[:4], empty)))
    weights = conv.weight.to(dtype).permute(0, 4, 1, 2, 3).flatten(1, 2).unsqueeze(-1)
    weights = nn.functional.pad(weights, (0, 0, 0, 0, 0, 0, 0, empty))
    return nn.functional.conv3d(
        torch.cat(seen, dim=4).permute(0, 4, 1, 2, 3),
        weights.contiguous(memory_format=torch.channels_last_3d),
        conv.bias,
        (*conv.stride[:2], 1),
        (*conv.padding[:2], 0),
        (*conv.dilation[:2], 1),
    )


def _geometry(conv: Layer, size: list[int]) -> Geometry:
    return tuple(zip(conv.kernel_size, conv.dilation, conv.stride, size, strict=True))


def _places(geometry: Geometry) -> Iterator[tuple[int, ...]]:
    return product(*(range(kernel) for kernel, _, _, _ in geometry))


def _rows(padded: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    return torch.stack([_shifted(padded, place, geometry) for place in _places(geometry)], dim=4)


def computed_in(x: torch.Tensor) -> torch.dtype:
    """Give the type that autocast computes a convolution of `x` in."""
    kind = x.device.type
    cast = torch.is_autocast_enabled(kind) and x.dtype != torch.float64
    return torch.get_autocast_dtype(kind) if cast else x.dtype


def _shifted(padded: torch.Tensor, place: tuple[int, ...], geometry: Geometry) -> torch.Tensor:
    """Give what the kernel's voxel `place` sees, (B, X', Y', Z', C)."""
    for axis, (at, (_, dilation, step, n)) in enumerate(zip(place, geometry, strict=True), start=1):
        padded = _along(padded, axis, at * dilation, step, n)
    return padded


def _along(padded: torch.Tensor, axis: int, start: int, step: int, n: int) -> torch.Tensor:
    """Give every `step`-th voxel from `start` on along an axis of (B, X, Y, Z, C), n of them."""
    seen = padded.narrow(axis, start, step * (n - 1) + 1)
    return seen[(slice(None),) * axis + (slice(None, None, step),)] if step > 1 else seen


def _out_size(conv: Layer, x: torch.Tensor) -> list[int]:
    geometry = zip(
        x.shape[2:],
        conv.padding,
        conv.dilation,
        conv.kernel_size,
        conv.stride,
        strict=True,
    )
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in geometry]


def _numbers(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(padding, str):
        raise ValueError(f"padding {padding!r} is not a number of voxels")
    return padding
