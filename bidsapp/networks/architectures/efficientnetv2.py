"""EfficientNetV2-B0, -B1 and -B2: small networks of pictures (Tan and Le 2021)."""

import math
from dataclasses import replace

import torch

from bidsapp.contracts.network import NetworkOffer
from bidsapp.networks.mobile_blocks import MobileNet, StagePlan, dense_head, plain_head
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="efficientnetv2",
    title="EfficientNetV2-B{depth} [@tan2021]",
    depths=(0, 1, 2),
    dims=(2,),
    stages=(
        "conv_stem bn1",
        "blocks.0",
        "blocks.1",
        "blocks.2",
        "blocks.3",
        "blocks.4",
        "blocks.5",
        "conv_head bn2",
    ),
    starts={"imagenet": (0, 1, 2)},
    imagenet_files={
        0: ("tf_efficientnetv2_b0-c7cc451f.pth",),
        1: ("tf_efficientnetv2_b1-be6e41b0.pth",),
        2: ("tf_efficientnetv2_b2-847de54e.pth",),
    },
    imagenet_home="https://github.com/rwightman/pytorch-image-models/releases/download/"
    "v0.1-effv2-weights/",
    options=("head", "dropout", "drop_path", "colours"),
)
B0 = (
    StagePlan("plain", 1, 3, 1, 1, 16),
    StagePlan("fused", 2, 3, 2, 4, 32),
    StagePlan("fused", 2, 3, 2, 4, 48),
    StagePlan("inverted", 3, 3, 2, 4, 96, 0.25),
    StagePlan("inverted", 5, 3, 1, 6, 112, 0.25),
    StagePlan("inverted", 8, 3, 2, 6, 192, 0.25),
)
# How much wider and deeper than B0.
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build EfficientNetV2-B0, -B1 or -B2: (B, C, X, Y) to (B, section.outputs)."""
    width, depth = SCALES[section.depth]
    features = rounded(1280 * width)
    stages = [
        replace(
            plan,
            channels=rounded(plan.channels * width),
            repeats=math.ceil(plan.repeats * depth),
        )
        for plan in B0
    ]
    head = (
        plain_head(features, section.outputs)
        if section.head == "linear"
        else dense_head(features, section.outputs, section.dropout)
    )
    return MobileNet(
        stages,
        stem=rounded(32 * width),
        features=features,
        in_channels=in_channels,
        head=head,
        activation=torch.nn.SiLU,
        drop_path=section.drop_path,
        imagenet=section.colours == "imagenet",
    )


def rounded(channels: float) -> int:
    """Round a number of channels to a multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)
