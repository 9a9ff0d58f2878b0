"""VoxNet: two convolutions, each followed by a pool, and two dense layers."""

from collections.abc import Sequence

import torch
from torch import nn

from bidsapp.contracts.network import NetworkOffer
from bidsapp.errors import UsageError
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="voxnet",
    title="VoxNet [@maturana2015]",
    depths=(4,),
    dims=(3,),
    stages=("conv1 bn1", "conv2 bn2"),
    options=("dropout",),
    sized=True,
    least=19,
)
_FILTERS, _UNITS = 32, 32


class VoxNet(nn.Module):
    """Map images (B, C, X, Y, Z) of one size to logits (B, outputs).

    The pool after both convolutions and 32 units give 1.377 million parameters at 30 channels
    and 91 × 109 × 91 voxels, as Teh et al. (2022) state; with one pool and 128 units there are 45.
    """

    def __init__(
        self, in_channels: int, shape: Sequence[int], outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, _FILTERS, 5, stride=2, bias=False)
        self.bn1 = nn.BatchNorm3d(_FILTERS)
        self.conv2 = nn.Conv3d(_FILTERS, _FILTERS, 3, bias=False)
        self.bn2 = nn.BatchNorm3d(_FILTERS)
        self.pool = nn.MaxPool3d(2)
        self.act = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        cells = [((((size - 5) // 2 + 1) // 2) - 2) // 2 for size in shape]
        if min(cells) < 1:
            raise UsageError(
                f"network.name: voxnet needs images of at least {OFFER.least} voxels along each "
                f"axis, got {' × '.join(map(str, shape))}; network.resize: {OFFER.least} brings "
                "them to that size"
            )
        self.dense = nn.Linear(_FILTERS * cells[0] * cells[1] * cells[2], _UNITS)
        self.fc = nn.Linear(_UNITS, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to logits (B, outputs)."""
        x = self.pool(self.act(self.bn1(self.conv1(x))))
        x = self.pool(self.act(self.bn2(self.conv2(x))))
        x = self.dropout(self.act(self.dense(x.flatten(1))))
        head: torch.Tensor = self.fc(x)
        return head


def build(section: Network, in_channels: int, shape: Sequence[int]) -> nn.Module:
    """Build a VoxNet for images of this size (voxels along x, y, z)."""
    return VoxNet(in_channels, shape, section.outputs, section.dropout)
