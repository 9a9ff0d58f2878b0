"""Blocks of mobile networks of pictures: inverted bottlenecks, plain and fused, and their body.

Sources: Tan and Le 2019 (EfficientNet), Tan and Le 2021 (EfficientNetV2), Hu et al. 2018
(squeeze and excitation), Huang et al. 2016 (stochastic depth). The names of the weights are those
under which timm publishes these networks, so that its files fit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from bidsapp.networks.blocks import GlobalMean, SmallSafeConv2d

EPSILON = 1e-3
"""Of every batch normalisation, as the published weights were trained with it (TensorFlow's)."""
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Red, green and blue of ImageNet, of intensities from 0 to 1."""


@dataclass(frozen=True)
class StagePlan:
    """A stage of equal blocks.

    Attributes
    ----------
    kind
        ``plain`` (one convolution), ``separable``, ``fused`` or ``inverted``.
    repeats
        Number of blocks.
    kernel
        Voxels along each side of the spatial convolution.
    stride
        Of the first block; the others have 1.
    expansion
        Channels inside a block over those that enter it.
    channels
        That leave it.
    squeeze
        Channels of the squeeze over those that enter the block; 0 without one.
    """

    kind: Literal["plain", "separable", "fused", "inverted"]
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int
    squeeze: float = 0.0


class SameConv2d(SmallSafeConv2d):
    """A convolution padded as TensorFlow's ``same``: as many outputs as strides begin.

    Where the padding is odd, the end has one pixel more than the beginning.
    """

    def __init__(
        self,
        inside: int,
        out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(inside, out, kernel, stride, groups=groups, bias=bias)

    def pads(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Pixels added before and behind along each axis of an input of these sizes."""
        found = []
        for n, kernel, stride in zip(sizes, self.kernel_size, self.stride, strict=True):
            whole = max((-(-n // stride) - 1) * stride + kernel - n, 0)
            found.append((whole // 2, whole - whole // 2))
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y) to (B, O, ⌈X / stride⌉, ⌈Y / stride⌉)."""
        pads = self.pads(x.shape[2:])
        flat = [number for pair in reversed(pads) for number in pair]
        return super().forward(nn.functional.pad(x, flat) if any(flat) else x)


class SqueezeExcite(nn.Module):
    """Weigh each channel by what the means of all channels say (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = GlobalMean()
        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)
        self.act1 = nn.SiLU()
        self.conv_expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y) to the same shape."""
        return x * torch.sigmoid(self.conv_expand(self.act1(self.conv_reduce(self.pool(x)))))


class DropPath(nn.Module):
    """Pass by a residual branch at random in training (stochastic depth, Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep or zero each image of (B, …); what is kept is scaled to the same mean."""
        if not self.training or self.rate == 0:
            return x
        shape = (len(x), *[1] * (x.dim() - 1))
        kept = torch.rand(shape, device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1 - self.rate)


class Block(nn.Module):
    """A block of one of four kinds, with a shortcut round it where its shape allows one.

    Parameters
    ----------
    plan
        Of the stage.
    inside
        Channels that enter.
    stride
        Of this block.
    activation
        Class of the activation.
    drop
        Probability of passing by its branch in training.
    """

    def __init__(
        self, plan: StagePlan, inside: int, stride: int, activation: type[nn.Module], drop: float
    ) -> None:
        super().__init__()
        wide, out = inside * plan.expansion, plan.channels
        self.layers: list[str] = []
        if plan.kind == "plain":
            self._add("conv", SameConv2d(inside, out, plan.kernel, stride), "bn1", out)
        elif plan.kind == "fused":
            self._add("conv_exp", SameConv2d(inside, wide, plan.kernel, stride), "bn1", wide)
            self._squeeze(plan, inside, wide)
            self._add("conv_pwl", SameConv2d(wide, out, 1), "bn2", out)
        else:
            if plan.kind == "inverted":
                self._add("conv_pw", SameConv2d(inside, wide, 1), "bn1", wide)
            deep = SameConv2d(wide, wide, plan.kernel, stride, groups=wide)
            self._add("conv_dw", deep, "bn2" if plan.kind == "inverted" else "bn1", wide)
            self._squeeze(plan, inside, wide)
            last = ("conv_pwl", "bn3") if plan.kind == "inverted" else ("conv_pw", "bn2")
            self._add(last[0], SameConv2d(wide, out, 1), last[1], out)
        self.act = activation()
        # the last normalisation of a bottleneck is linear
        self.linear_end = plan.kind != "plain"
        self.shortcut = stride == 1 and inside == out
        self.drop_path = DropPath(drop if self.shortcut else 0.0)

    def _add(self, name: str, convolution: nn.Module, norm: str, channels: int) -> None:
        self.add_module(name, convolution)
        self.add_module(norm, nn.BatchNorm2d(channels, eps=EPSILON))
        self.layers += [name, norm]

    def _squeeze(self, plan: StagePlan, inside: int, wide: int) -> None:
        if plan.squeeze:
            self.se = SqueezeExcite(wide, max(1, int(inside * plan.squeeze)))
            self.layers.append("se")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y) to (B, O, X / stride, Y / stride)."""
        y = x
        last = self.layers[-1] if self.linear_end else ""
        for name in self.layers:
            y = getattr(self, name)(y)
            if name.startswith("bn") and name != last:
                y = self.act(y)
        return x + self.drop_path(y) if self.shortcut else y


class Colours(nn.Module):
    """Make three colours of grey, as networks of photographs take them.

    Parameters
    ----------
    imagenet
        Bring each colour to ImageNet's mean and standard deviation; the grey is then expected from
        0 to 1. Otherwise it is repeated as it is.
    """

    mean: torch.Tensor
    sd: torch.Tensor

    def __init__(self, imagenet: bool) -> None:
        super().__init__()
        mean, sd = (IMAGENET_MEAN, IMAGENET_SD) if imagenet else ((0.0,) * 3, (1.0,) * 3)
        # no part of a file of weights: they belong to the pictures
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(sd).view(3, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, X, Y) to (B, 3, X, Y)."""
        return (x - self.mean) / self.sd


class MobileNet(nn.Module):
    """Stem, stages of blocks, a last convolution, the global mean, and a head.

    Parameters
    ----------
    stages
        From the input on.
    stem, features
        Channels of the first and of the last convolution.
    in_channels
        Of the input; one becomes three colours.
    head
        From (B, features) to (B, outputs).
    activation
        Class of the activations.
    drop_path
        Probability of passing by the last block in training; less before, in proportion.
    imagenet
        How one channel becomes three colours; see `Colours`.
    """

    head = "classifier"

    def __init__(
        self,
        stages: Sequence[StagePlan],
        stem: int,
        features: int,
        in_channels: int,
        head: nn.Module,
        activation: type[nn.Module],
        drop_path: float = 0.0,
        imagenet: bool = True,
    ) -> None:
        super().__init__()
        self.colours = Colours(imagenet) if in_channels == 1 else None
        self.conv_stem = SameConv2d(3 if in_channels == 1 else in_channels, stem, 3, 2)
        self.bn1 = nn.BatchNorm2d(stem, eps=EPSILON)
        self.act = activation()
        count, made, inside = sum(plan.repeats for plan in stages), 0, stem
        self.blocks = nn.Sequential()
        for plan in stages:
            blocks = nn.Sequential()
            for place in range(plan.repeats):
                stride = plan.stride if place == 0 else 1
                blocks.append(Block(plan, inside, stride, activation, drop_path * made / count))
                inside, made = plan.channels, made + 1
            self.blocks.append(blocks)
        self.conv_head = SameConv2d(inside, features, 1)
        self.bn2 = nn.BatchNorm2d(features, eps=EPSILON)
        self.global_pool = GlobalMean()
        self.classifier = head
        self._draw()

    def _draw(self) -> None:
        """Draw the initial weights (Tan and Le 2019: He et al. 2015 by what leaves a layer)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                leaving = layer.weight[0, 0].numel() * layer.out_channels // layer.groups
                nn.init.normal_(layer.weight, std=math.sqrt(2 / leaving))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y) to the last convolution's output, 1/32 as wide."""
        if self.colours is not None:
            x = self.colours(x)
        x = self.act(self.bn1(self.conv_stem(x)))
        return self.act(self.bn2(self.conv_head(self.blocks(x))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, X, Y) to (B, outputs)."""
        return self.classifier(self.global_pool(self.forward_features(x)).flatten(1))


def plain_head(features: int, outputs: int) -> nn.Module:
    """One linear layer."""
    return nn.Linear(features, outputs)


def dense_head(features: int, outputs: int, dropout: float) -> nn.Module:
    """Wang's head: 1024 units, rectified, dropout, normalised over the batch, one linear layer.

    Wang et al. (J Pain Res), table 1; momentum and epsilon of the normalisation are Keras' (.99
    and 1e-3).
    """
    return nn.Sequential(
        nn.Linear(features, 1024),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.BatchNorm1d(1024, eps=1e-3, momentum=0.01),
        nn.Linear(1024, outputs),
    )
