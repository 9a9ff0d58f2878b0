"""EfficientNet-Lite0: the small one without squeeze and excitation, for plain hardware."""

import torch

from bidsapp.contracts.network import NetworkOffer
from bidsapp.networks.mobile_blocks import MobileNet, StagePlan, dense_head, plain_head
from bidsapp.recipes.learning import Network

OFFER = NetworkOffer(
    name="efficientnet_lite",
    title="EfficientNet-Lite{depth} [@tan2019]",
    depths=(0,),
    dims=(2,),
    stages=(
        "conv_stem bn1",
        "blocks.0",
        "blocks.1",
        "blocks.2",
        "blocks.3",
        "blocks.4",
        "blocks.5",
        "blocks.6",
        "conv_head bn2",
    ),
    options=("head", "dropout", "drop_path", "colours"),
)
LITE0 = (
    StagePlan("separable", 1, 3, 1, 1, 16),
    StagePlan("inverted", 2, 3, 2, 6, 24),
    StagePlan("inverted", 2, 5, 2, 6, 40),
    StagePlan("inverted", 3, 3, 2, 6, 80),
    StagePlan("inverted", 3, 5, 1, 6, 112),
    StagePlan("inverted", 4, 5, 2, 6, 192),
    StagePlan("inverted", 1, 3, 1, 6, 320),
)


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build EfficientNet-Lite0: (B, C, X, Y) to (B, section.outputs)."""
    head = (
        plain_head(1280, section.outputs)
        if section.head == "linear"
        else dense_head(1280, section.outputs, section.dropout)
    )
    return MobileNet(
        LITE0,
        stem=32,
        features=1280,
        in_channels=in_channels,
        head=head,
        activation=torch.nn.ReLU6,
        drop_path=section.drop_path,
        imagenet=section.colours == "imagenet",
    )
