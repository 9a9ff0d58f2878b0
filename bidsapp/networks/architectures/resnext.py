"""ResNeXt-50 (32×4d): residual blocks whose middle convolution works in 32 groups."""

from typing import Any

import torch
from monai.networks.layers.factories import Conv, Norm
from monai.networks.nets.resnet import ResNetBottleneck

from bidsapp.contracts.network import NetworkOffer
from bidsapp.networks.architectures.resnet import STAGES, build_residual
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="resnext",
    title="ResNeXt-{depth} 32×4d [@xie2017]",
    depths=(50,),
    dims=(2, 3),
    stages=("conv1 bn1", "layer1", "layer2", "layer3", "layer4"),
    options=("shortcut", "shortcut_bias", "stem_stride", "stem_pool"),
    starts={"imagenet": (50,)},
    imagenet_files={50: ("resnext50_32x4d-7cdf4587.pth", "resnext50_32x4d-1a0047aa.pth")},
)
GROUPS = 32


class GroupedBottleneck(ResNetBottleneck):
    """A bottleneck twice as wide inside, in 32 groups (Xie et al. 2017, table 1, 32×4d)."""

    def __init__(
        self, in_planes: int, planes: int, spatial_dims: int = 3, stride: int = 1, **other: Any
    ) -> None:
        wide = 2 * planes
        super().__init__(in_planes, wide, spatial_dims, stride, **other)
        convolution, norm = Conv[Conv.CONV, spatial_dims], Norm[Norm.BATCH, spatial_dims]
        self.conv2 = convolution(
            wide, wide, kernel_size=3, stride=stride, padding=1, groups=GROUPS, bias=False
        )
        out = planes * self.expansion
        self.conv3 = convolution(wide, out, kernel_size=1, bias=False)
        self.bn3 = norm(out)


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build a ResNeXt-50 (32×4d)."""
    return build_residual(section, in_channels, GroupedBottleneck, STAGES[section.depth][1])
