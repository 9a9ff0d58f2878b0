"""Residual networks (MONAI's blocks) with the study's stem options and a true shortcut."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from monai.networks.nets.resnet import ResNet, ResNetBlock, ResNetBottleneck

from bidsapp.contracts.network import NetworkOffer
from bidsapp.networks.blocks import ShortcutA
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="resnet",
    title="ResNet-{depth} [@he2016]",
    depths=(10, 18, 34, 50),
    dims=(2, 3),
    stages=("conv1 bn1", "layer1", "layer2", "layer3", "layer4"),
    medicalnet_shortcut={10: "B", 18: "A", 34: "A", 50: "B"},
    options=("dilation", "shortcut", "shortcut_bias", "stem_stride", "stem_pool"),
    starts={"medicalnet": (10, 18, 34, 50), "imagenet": (18, 34, 50)},
    imagenet_files={
        18: ("resnet18-f37072fd.pth",),
        34: ("resnet34-b627a593.pth",),
        50: ("resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"),
    },
)
STAGES: Mapping[int, tuple[Any, tuple[int, ...]]] = MappingProxyType(
    {
        10: (ResNetBlock, (1, 1, 1, 1)),
        18: (ResNetBlock, (2, 2, 2, 2)),
        34: (ResNetBlock, (3, 4, 6, 3)),
        50: (ResNetBottleneck, (3, 4, 6, 3)),
    }
)


class TrueShortcutResNet(ResNet):
    """MONAI's ResNet, except that no shortcut is detached from the gradient."""

    def _make_layer(self, *args: Any, **kwargs: Any) -> torch.nn.Sequential:
        stage = super()._make_layer(*args, **kwargs)
        for block in stage.children():
            detached: Any = block.downsample
            if isinstance(detached, partial):
                block.downsample = ShortcutA(
                    detached.keywords["planes"], detached.keywords["stride"]
                )
        return stage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y[, Z]) to logits (B, outputs)."""
        x = self.bn1(self.conv1(x))
        # The largest of the rectified is the largest, rectified: the same bits from an eighth.
        x = self.act(x if self.no_max_pool else self.maxpool(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        head: Any = self.fc
        return head(self.avgpool(x).flatten(1))


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build a ResNet-10, -18, -34 or -50.

    Parameters
    ----------
    section
        ``depth``, ``dims``, ``stem_stride`` (of the first convolution, 7 voxels wide),
        ``stem_pool`` (whether a max-pool follows), ``shortcut``, ``shortcut_bias``, ``dilation``
        and ``outputs``.
    in_channels
        Channels of the input.
    """
    return build_residual(section, in_channels, *STAGES[section.depth])


def build_residual(
    section: Network, in_channels: int, block: Any, layers: tuple[int, ...]
) -> torch.nn.Module:
    """Build a residual network of any block, as `build` has it."""
    network = TrueShortcutResNet(
        block=block,
        layers=list(layers),
        block_inplanes=[64, 128, 256, 512],
        spatial_dims=section.dims,
        n_input_channels=in_channels,
        conv1_t_size=7,
        conv1_t_stride=section.stem_stride,
        no_max_pool=not section.stem_pool,
        shortcut_type=section.resolved_shortcut,
        num_classes=section.outputs,
        feed_forward=True,
        # A bias before a batch norm does nothing, and MedicalNet has none; MONAI's own has one.
        bias_downsample=section.shortcut_bias,
    )
    if section.dilation:
        for stage, dilation in ((network.layer3, 2), (network.layer4, 4)):
            _dilate(stage, dilation)
    return network


def _dilate(stage: torch.nn.Module, dilation: int) -> None:
    """Replace a stage's stride by dilation, as MedicalNet's own code has it."""
    for layer in stage.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d):
            axes = len(layer.kernel_size)
            layer.stride = (1,) * axes
            if layer.kernel_size == (3,) * axes:
                layer.dilation = layer.padding = (dilation,) * axes
        elif isinstance(layer, ShortcutA):
            layer.stride = 1
