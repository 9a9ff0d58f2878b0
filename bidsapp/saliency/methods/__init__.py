"""Saliency methods by the name that the recipe uses; a new one is a function and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from bidsapp.saliency.methods.grad_cam import grad_cam
from bidsapp.saliency.methods.gradients import gradient, gradient_x_input, smoothgrad
from bidsapp.saliency.methods.integrated import integrated_gradients
from bidsapp.saliency.methods.occlusion import occlusion
from bidsapp.saliency.methods.question import Answer, Question

__all__ = ["METHODS", "Answer", "Method", "Question"]


@dataclass(frozen=True)
class Method:
    """One way of explaining a network's answer.

    Attributes
    ----------
    explain
        Maps images (B, C, X, Y, Z) and a question to signed maps (B, C or 1, X, Y, Z).
    per_channel
        Whether there is a map for each channel; else there is one for all.
    cheap
        Whether it costs about as much as one backward pass.
    unit
        Of the maps, with ``{target}`` and ``{input}`` to be filled in.
    """

    explain: Callable[[torch.Tensor, Question], torch.Tensor]
    per_channel: bool
    cheap: bool
    unit: str


_PER_INPUT, _OF_TARGET = "{target} per {input}", "{target}"

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "gradient": Method(gradient, True, True, _PER_INPUT),
        "gradient_x_input": Method(gradient_x_input, True, True, _OF_TARGET),
        "smoothgrad": Method(smoothgrad, True, False, _PER_INPUT),
        "integrated_gradients": Method(integrated_gradients, True, False, _OF_TARGET),
        "grad_cam": Method(grad_cam, False, True, "{target} per voxel of the stage"),
        "occlusion": Method(occlusion, False, False, "fall of the {target}"),
    }
)
