"""deepbet's network, computed only where its answer is read and without copies of whole volumes.

The arithmetic is that of deepbet's own program. What differs is the order: instances are normalised
after the largest value of a pool was taken, intensities before they are repeated to the network's
grid, and the last layers run only for voxels that are looked up afterwards. deepbet is under the
MIT License, whose text is in NOTICE; its weights come with its package.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_EPSILON = 1e-5  # of deepbet's instance normalisation
_ROWS = 2**14  # voxels that are looked at together: so many stay in a processor's cache
_PLANES = 8  # of the first layer's output that are made together


@dataclass(frozen=True)
class LinkNet:
    """A three-dimensional LinkNet of deepbet.

    Attributes
    ----------
    weights
        Tensors by the names that deepbet's file gives them, on the device, in the order
        ``channels_last_3d``, float32 or bfloat16.

    References
    ----------
    Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural
    Networks, Computers in Biology and Medicine 2024.
    """

    weights: "Mapping[str, Tensor]"

    @classmethod
    def of(
        cls, program: "torch.nn.Module", device: "torch.device", dtype: "torch.dtype"
    ) -> "LinkNet":
        """Take the weights out of deepbet's program."""
        import torch

        return cls(
            {
                name: value.to(device, dtype, memory_format=torch.channels_last_3d)
                if value.ndim == 5
                else value.to(device, torch.float32)
                for name, value in program.state_dict().items()
            }
        )

    def evidence(
        self, image: "Tensor", sources: "tuple[Tensor, ...]", places: "tuple[Tensor, ...]"
    ) -> "Tensor":
        """Logit of brain, less that of the rest.

        Parameters
        ----------
        image
            (x, y, z) float32, intensities as `normalised` gives them.
        sources
            Per axis, the voxel of `image` that each voxel of the network's grid repeats; as many
            as can be divided by 32.
        places
            Per axis, the voxels of the network's grid whose answers are wanted.

        Returns
        -------
        Tensor
            One float32 for each combination of places.
        """
        import torch

        with torch.inference_mode():
            return self._last(self._features(image, sources), places)

    def _features(self, image: "Tensor", sources: "tuple[Tensor, ...]") -> "Tensor":
        """Give what the last layer sees, not normalised: 8 channels on half the network's grid."""
        first = self._first(image, sources)
        downs = [first]
        for level in range(4):
            x = downs[-1]
            for block in (1, 2):
                x = self._block(x, f"down{level}.block{block}", halved=level > 0 and block == 1)
            downs.append(x)
        x = downs[4]
        for level in range(4):
            x = self._up(x, f"up{level}", doubled=level < 3)
            x = x.add_(downs[3 - level])
        x = self._doubled(x, "tp_conv1.0")
        return self._convolved(_normalised(x, relu=True), "conv.0")

    def _first(self, image: "Tensor", sources: "tuple[Tensor, ...]") -> "Tensor":
        """Convolve by 7 × 7 × 7 in steps of two, normalise, take the largest of 3 × 3 × 3."""
        import torch

        weight = self.weights["init.0.weight"]
        size = len(sources[0])
        planes = image.to(weight.dtype)[:, sources[1]][:, :, sources[2]]
        planes = torch.nn.functional.pad(planes, (3, 3, 3, 3))
        moments, pooled = _Moments(len(weight), weight.device), []
        for start in range(0, size // 2, _PLANES):
            low, high = 2 * start - 3, 2 * (start + _PLANES) + 2
            slab = planes[sources[0][max(low, 0) : min(high, size)]]
            slab = torch.nn.functional.pad(slab, (0, 0, 0, 0, max(-low, 0), max(high - size, 0)))
            out = torch.nn.functional.conv3d(slab[None, None], weight, stride=2)
            out = out.permute(0, 2, 3, 4, 1)[0]
            moments.add(out)
            pooled.append(_largest(_largest(out, 1), 2))
        x = _largest(torch.cat(pooled), 0)
        return _applied(x, *moments.found(), relu=True).permute(3, 0, 1, 2)[None]

    def _block(self, x: "Tensor", name: str, *, halved: bool) -> "Tensor":
        """Two convolutions beside a short cut."""
        stride = 2 if halved else 1
        y = self._convolved(x, f"{name}.double_conv.0", stride)
        y = self._convolved(_normalised(y, relu=True), f"{name}.double_conv.3")
        y = _normalised(y)
        if halved:
            x = _normalised(self._convolved(x, f"{name}.downsample.0", stride))
        return y.add_(x).relu_()

    def _up(self, x: "Tensor", name: str, *, doubled: bool) -> "Tensor":
        x = _normalised(self._convolved(x, f"{name}.conv1.0"), relu=True)
        widen = self._doubled if doubled else self._turned
        x = _normalised(widen(x, f"{name}.tp_conv.0"), relu=True)
        return _normalised(self._convolved(x, f"{name}.conv2.0"), relu=True)

    def _convolved(self, x: "Tensor", name: str, stride: int = 1) -> "Tensor":
        weight, bias = self._of(name)
        return _convolved(x, weight, bias, stride)

    def _turned(self, x: "Tensor", name: str) -> "Tensor":
        """Apply a transposed convolution in steps of one: an ordinary one by turned weights."""
        weight, bias = self._of(name)
        return _convolved(x, weight.transpose(0, 1).flip(2, 3, 4), bias)

    def _doubled(self, x: "Tensor", name: str) -> "Tensor":
        """Apply a transposed convolution in steps of two."""
        import torch

        weight, bias = self._of(name)
        return torch.nn.functional.conv_transpose3d(
            x, weight, bias, stride=2, padding=1, output_padding=1
        )

    def _of(self, name: str) -> "tuple[Tensor, Tensor | None]":
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        return weight, None if bias is None else bias.to(weight.dtype)

    def _last(self, features: "Tensor", places: "tuple[Tensor, ...]") -> "Tensor":
        """Split each voxel in eight, for the places wanted."""
        import torch

        x = features.permute(0, 2, 3, 4, 1)[0]
        moments = _Moments(x.shape[-1], x.device)
        moments.add(x)
        halves, rows = zip(
            *((place // 2).unique(return_inverse=True) for place in places), strict=True
        )
        x = x[halves[0]][:, halves[1]][:, :, halves[2]]
        x = _applied(x, *moments.found(), relu=True).float()
        weight, bias = self.weights["tp_conv2.weight"].float(), self.weights["tp_conv2.bias"]
        eighths = (weight[:, 1] - weight[:, 0]).reshape(weight.shape[0], 8)
        y = (x.flatten(0, 2) @ eighths + (bias[1] - bias[0])).unflatten(0, x.shape[:3])
        y = y.unflatten(3, (2, 2, 2)).permute(0, 3, 1, 4, 2, 5)
        y = y.reshape([2 * len(half) for half in halves])
        for axis, (row, place) in enumerate(zip(rows, places, strict=True)):
            wanted = 2 * row + place % 2
            if not torch.equal(wanted, torch.arange(y.shape[axis], device=y.device)):
                y = y.index_select(axis, wanted)
        return y


def _convolved(x: "Tensor", weight: "Tensor", bias: "Tensor | None", stride: int = 1) -> "Tensor":
    """Convolve; on a CPU always by oneDNN, which torch leaves aside for small images."""
    import torch

    pad = (weight.shape[-1] // 2,) * 3
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return torch.nn.functional.conv3d(x, weight, bias, stride, pad)
    return torch.ops.aten.mkldnn_convolution(x, weight, bias, pad, (stride,) * 3, (1, 1, 1), 1)


class _Moments:
    """Mean and variance of each channel, over values that come in parts, the channel last."""

    def __init__(self, channels: int, device: "torch.device") -> None:
        import torch

        self.count = 0
        self.sums = torch.zeros((2, channels), dtype=torch.float64, device=device)

    def add(self, values: "Tensor") -> None:
        for rows in _rows(values):
            part = rows.float()
            self.count += len(part)
            self.sums[0] += part.sum(0)
            self.sums[1] += part.square().sum(0)

    def found(self) -> "tuple[Tensor, Tensor]":
        mean, square = self.sums / self.count
        # of values that are all alike a rounding error is left, which may be below 0
        return mean, (square - mean * mean).clamp_(min=0)


def _rows(values: "Tensor") -> "Iterator[Tensor]":
    """Walk through the voxels of a volume whose channels come last."""
    yield from values.reshape(-1, values.shape[-1]).split(_ROWS)


def _normalised(x: "Tensor", *, relu: bool = False) -> "Tensor":
    """Bring each channel to mean 0 and variance 1, in place."""
    last = x.permute(0, 2, 3, 4, 1)
    if not last.is_contiguous():
        last = last.contiguous()
    moments = _Moments(x.shape[1], x.device)
    moments.add(last)
    return _applied(last, *moments.found(), relu=relu).permute(0, 4, 1, 2, 3)


def _applied(x: "Tensor", mean: "Tensor", variance: "Tensor", *, relu: bool) -> "Tensor":
    """Subtract the mean and divide by the root of the variance, in place; channels come last."""
    x = x.contiguous()  # else what is written to rows would be written to a copy
    scale = (variance + _EPSILON).rsqrt()
    shift = (-mean * scale).float()
    scale = scale.float()
    for rows in _rows(x):
        part = rows.float().mul_(scale).add_(shift)  # float32: a view of the rows themselves
        if relu:
            part.relu_()
        if part.data_ptr() != rows.data_ptr():
            rows.copy_(part)
    return x


def _largest(x: "Tensor", axis: int) -> "Tensor":
    """Largest of three neighbours along an axis, in steps of two, none before the first."""
    import torch

    even, odd = (x.unflatten(axis, (-1, 2)).select(axis + 1, which) for which in (0, 1))
    out = torch.maximum(even, odd)
    size = out.shape[axis]
    if size > 1:
        later = out.narrow(axis, 1, size - 1)
        torch.maximum(later, odd.narrow(axis, 0, size - 1), out=later)
    return out


def normalised(image: "Tensor", low: float, high: float, sources: "tuple[Tensor, ...]") -> "Tensor":
    """Scale intensities as deepbet does, as if the image had been repeated to the grid already."""
    x = ((image - low) / (high - low)).clamp_(0, 1)
    counts = [
        source.bincount(minlength=size).to(x.dtype)
        for source, size in zip(sources, image.shape, strict=True)
    ]
    number = 1.0
    for source in sources:
        number *= len(source)

    def total(values: "Tensor") -> "Tensor":
        return (((values @ counts[2]) @ counts[1]) @ counts[0]).double()

    mean = total(x) / number
    x -= mean.to(x.dtype)
    deviation = (total(x.square()) / (number - 1)).sqrt()
    return x.mul_((0.226 / deviation).to(x.dtype)).add_(0.449)


def repeated(size: int, grid: int) -> "Tensor":
    """Say which voxel of an axis each voxel of another grid repeats (``nearest-exact``)."""
    import torch

    line = torch.arange(size, dtype=torch.float32)[None, None]
    return torch.nn.functional.interpolate(line, grid, mode="nearest-exact")[0, 0].long()
