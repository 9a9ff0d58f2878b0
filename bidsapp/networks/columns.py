"""A 3D convolution as one matrix product: for layers of few voxels, where weights are the work."""

from itertools import product

import torch
from torch import nn

MOST_NUMBERS = 2**26
"""The largest matrix of columns, 128 MB in bfloat16; more is left to the library."""


def columns_size(conv: nn.Conv3d, x: torch.Tensor) -> int:
    """Count the numbers of the matrix that `convolve_by_columns` would make."""
    kernel = conv.weight.shape[2:].numel()
    return len(x) * torch.Size(_out_size(conv, x)).numel() * kernel * conv.in_channels


def convolve_by_columns(conv: nn.Conv3d, x: torch.Tensor) -> torch.Tensor:
    """Convolve by collecting each voxel's surroundings into a row (im2col).

    Chellapilla et al. 2006. The gradient is torch's own, of slices and a matrix product.

    Parameters
    ----------
    conv
        Not grouped, padded with a number of zeros.
    x
        (B, C, X, Y, Z); under autocast both sides are brought to its type.

    Returns
    -------
    torch.Tensor
        (B, O, X', Y', Z'), channels last in memory.
    """
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    pads = [p for padding in reversed(_numbers(conv.padding)) for p in (padding, padding)]
    padded = nn.functional.pad(x.to(dtype).permute(0, 2, 3, 4, 1), (0, 0, *pads))
    size = _out_size(conv, x)
    places = product(*(range(k) for k in conv.kernel_size))
    rows = torch.stack([_shifted(conv, padded, size, place) for place in places], dim=4)
    # channels last, the weights of an output lie in the order of such a row: this copies nothing
    weights = conv.weight.to(dtype).permute(0, 2, 3, 4, 1).reshape(conv.out_channels, -1)
    y = rows.reshape(-1, weights.shape[1]) @ weights.t()
    y = y.view(len(x), *size, conv.out_channels).permute(0, 4, 1, 2, 3)
    return y if conv.bias is None else y + conv.bias.to(dtype).view(-1, 1, 1, 1)


def _shifted(
    conv: nn.Conv3d, padded: torch.Tensor, size: list[int], place: tuple[int, ...]
) -> torch.Tensor:
    """Give what the kernel's voxel `place` sees, (B, X', Y', Z', C)."""
    for axis, (n, at) in enumerate(zip(size, place, strict=True), start=1):
        start, step = at * conv.dilation[axis - 1], conv.stride[axis - 1]
        padded = padded.narrow(axis, start, step * (n - 1) + 1)
        if step > 1:
            padded = padded[(slice(None),) * axis + (slice(None, None, step),)]
    return padded


def _out_size(conv: nn.Conv3d, x: torch.Tensor) -> list[int]:
    geometry = zip(
        x.shape[2:],
        _numbers(conv.padding),
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
