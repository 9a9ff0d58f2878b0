"""SE-ResNeXt-50 (32×4d, MONAI's)."""

import torch

from bidsapp.contracts.network import NetworkOffer
from bidsapp.recipes.network import Network

OFFER = NetworkOffer(
    name="seresnext",
    title="SE-ResNeXt-{depth} [@hu2018]",
    depths=(50,),
    dims=(2, 3),
    stages=("layer0", "layer1", "layer2", "layer3", "layer4"),
)


def build(section: Network, in_channels: int) -> torch.nn.Module:
    """Build an SE-ResNeXt-50 (32×4d)."""
    from monai.networks.nets import SEResNext50

    return SEResNext50(
        spatial_dims=section.dims, in_channels=in_channels, num_classes=section.outputs
    )
