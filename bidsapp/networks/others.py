"""DenseNet-121 and SE-ResNeXt-50 (MONAI's), with one logit."""

import torch

from bidsapp.errors import UsageError
from bidsapp.recipes.learning import Network


def build_densenet(section: Network, in_channels: int) -> torch.nn.Module:
    """DenseNet-121 with one logit.

    Raises
    ------
    UsageError
        For another depth.
    """
    from monai.networks.nets import DenseNet121

    _only_depth(section, "densenet", 121)
    return DenseNet121(spatial_dims=3, in_channels=in_channels, out_channels=1)


def build_seresnext(section: Network, in_channels: int) -> torch.nn.Module:
    """SE-ResNeXt-50 (32×4d) with one logit.

    Raises
    ------
    UsageError
        For another depth.
    """
    from monai.networks.nets import SEResNext50

    _only_depth(section, "seresnext", 50)
    return SEResNext50(spatial_dims=3, in_channels=in_channels, num_classes=1)


def _only_depth(section: Network, name: str, depth: int) -> None:
    if section.depth != depth:
        raise UsageError(f"network.depth: a {name} of {section.depth} is not built, only {depth}")
