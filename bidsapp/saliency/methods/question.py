"""What is asked of a network: which of its outputs is explained, and against which image."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bidsapp.networks.predict import logit_of
from bidsapp.recipes.analysis import Saliency


class Answer(torch.nn.Module):
    """A network's answer for the positive class, one number an image.

    Parameters
    ----------
    network
        Maps images (B, C, X, Y, Z) to (B, 1), or to (B, 2) one for each class. It is put into
        evaluation mode, and its weights are asked for no gradient, which spares a third of the
        work.
    target
        ``logit``, or ``probability`` for the logistic function of it.
    """

    def __init__(self, network: torch.nn.Module, target: str = "logit") -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.target = target

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, C, X, Y, Z) to answers (B,)."""
        logits = logit_of(self.network(x))
        return torch.sigmoid(logits) if self.target == "probability" else logits


@dataclass(frozen=True)
class Question:
    """What a method needs beside the images.

    Attributes
    ----------
    answer
        What is explained.
    settings
        The recipe's section: ``samples``, ``noise``, ``stage``, ``patch_mm``.
    baseline
        The image against which an image is explained, as the network would see it; it has one
        row, or one for each image, and any spatial axis may be one.
    voxel_mm
        Edge lengths of a voxel.
    seeds
        One for each image, for methods that draw: an image's map does not depend on its batch.
    at_once
        How many images the device may hold at once.
    """

    answer: Answer
    settings: Saliency
    baseline: torch.Tensor
    voxel_mm: tuple[float, ...]
    seeds: Sequence[int]
    at_once: int

    def against(self, x: torch.Tensor) -> torch.Tensor:
        """Give the baseline in the shape of these images."""
        return self.baseline.to(x).expand_as(x)
