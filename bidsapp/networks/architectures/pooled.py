"""Strength of each channel over the whole image, and one sparse linear layer."""

import torch
from torch import nn

from bidsapp.contracts.network import NetworkOffer
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="pooled",
    title="sparse linear network on the strength of each channel [@radenovic2019; @hoff2017]",
    depths=(1,),
    dims=(3,),
    stages=("gate",),
)
_POWER = 3
# Of an image without any value: its logarithm has to be finite.
_LEAST = 1e-12


class Strength(nn.Module):
    """Pool each channel to one number, the logarithm of its generalised mean.

    The mean of ``|x|³`` over voxels: strong voxels count more than the many that hold noise, and no
    voxel counts alone as in a maximum. Radenović et al. (2019), doi:10.1109/TPAMI.2018.2846566,
    begin with the same power; here it stays. Of the logarithm, as strengths differ by factors.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to (B, C), float32 or wider."""
        values = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        cubes = values.square() * values.abs()
        return cubes.flatten(2).mean(2).clamp_min(_LEAST).log() / _POWER


class Gate(nn.Module):
    """Multiply each number by one weight."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count).uniform_(0.5, 1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C) to (B, C)."""
        return x * self.weight


class Pooled(nn.Module):
    """Map images (B, C, X, Y, Z) to logits (B, outputs) by one number a channel.

    The weight of a channel is that of its gate times that of the last layer. Weight decay on both
    comes to an absolute penalty on their product, so that most channels get none (Hoff 2017,
    doi:10.1016/j.csda.2017.06.007): of many networks of the brain few tell people apart.
    """

    def __init__(self, in_channels: int, outputs: int) -> None:
        super().__init__()
        self.pool = Strength()
        self.norm = nn.BatchNorm1d(in_channels, affine=False)
        self.gate = Gate(in_channels)
        self.fc = nn.Linear(in_channels, outputs)
        nn.init.zeros_(self.fc.bias)

    def fixed(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to the strengths of their channels, (B, C)."""
        strengths: torch.Tensor = self.pool(x)
        return strengths

    def learned(self, features: torch.Tensor) -> torch.Tensor:
        """Map strengths (B, C) to logits (B, outputs)."""
        head: torch.Tensor = self.fc(self.gate(self.norm(features)))
        return head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to logits (B, outputs)."""
        return self.learned(self.fixed(x))


def build(section: Network, in_channels: int) -> nn.Module:
    """Build the network for so many channels."""
    return Pooled(in_channels, section.outputs)
