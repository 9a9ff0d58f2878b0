"""DenseNet-121 (MONAI's)."""

import torch

from bidsapp.contracts.network import NetworkOffer
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="densenet",
    title="DenseNet-{depth} [@huang2017]",
    depths=(121,),
    dims=(2, 3),
    stages=(
        "features.conv0 features.norm0",
        "features.denseblock1",
        "features.denseblock2",
        "features.denseblock3",
        "features.denseblock4",
    ),
    starts={"imagenet": (121,)},
    imagenet_names=(
        (r"(denselayer\d+\.)(norm|conv)\.?(\d)", r"\1layers.\2\3"),
        (r"^classifier\.", "class_layers.out."),
    ),
    imagenet_files={121: ("densenet121-a639ec97.pth",)},
)


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build a DenseNet-121."""
    from monai.networks.nets import DenseNet121

    return DenseNet121(
        spatial_dims=section.dims, in_channels=in_channels, out_channels=section.outputs
    )
