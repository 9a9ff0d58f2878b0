"""Integrated gradients: the answer's difference from the baseline, shared out among voxels."""

import torch

from bidsapp.saliency.methods.question import Question


def integrated_gradients(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Integrate the gradient along the line from the baseline to the image.

    Sundararajan et al. 2017, by captum: Gauss–Legendre quadrature with ``settings.samples`` nodes.
    The sum over voxels and channels is the answer's difference between image and baseline, up to
    the quadrature's error.

    Returns
    -------
    torch.Tensor
        Shape of `x`, signed, in units of the answer.
    """
    from captum.attr import IntegratedGradients

    found = IntegratedGradients(question.answer).attribute(
        x.detach().clone(),
        baselines=question.against(x).contiguous(),
        n_steps=question.settings.samples or 1,
        internal_batch_size=max(question.at_once, len(x)),
    )
    return found.detach().to(x.dtype)
