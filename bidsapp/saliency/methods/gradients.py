"""Gradient, gradient times input, and SmoothGrad."""

import torch

from bidsapp.saliency.methods.question import Question


def gradient(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Differentiate the answer with respect to every voxel (Simonyan et al. 2014).

    Parameters
    ----------
    x
        Images as the network sees them, (B, C, X, Y, Z); left as they are.
    question
        What is asked.

    Returns
    -------
    torch.Tensor
        Shape of `x`, signed: by how much the answer rises per unit of the network's input.
    """
    # a new leaf for each call: nothing is added to gradients that the caller may hold
    leaf = x.detach().requires_grad_(True)
    with torch.enable_grad():
        total = question.answer(leaf).sum()
        return torch.autograd.grad(total, leaf)[0].detach()


def gradient_x_input(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Multiply the gradient by the image's difference from the baseline (Shrikumar et al. 2016).

    With the difference in place of the input itself, the map does not depend on where the z-score
    puts its zero.

    Returns
    -------
    torch.Tensor
        Shape of `x`, signed, in units of the answer.
    """
    return gradient(x, question) * (x - question.against(x)).detach()


def smoothgrad(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Average the signed gradient over noisy copies of the image (Smilkov et al. 2017).

    The noise has ``settings.noise`` times the standard deviation that each channel of each image
    has, and is drawn on the CPU, so that a GPU sees the same.

    Returns
    -------
    torch.Tensor
        Shape of `x`, signed, in the units of the gradient.
    """
    settings = question.settings
    samples, noise = settings.samples or 1, settings.noise or 0.0
    spread = noise * x.std(dim=tuple(range(2, x.ndim)), keepdim=True)
    generators = [torch.Generator().manual_seed(seed) for seed in question.seeds]
    total = torch.zeros_like(x)
    for _ in range(samples):
        drawn = [torch.randn(x.shape[1:], generator=g, dtype=x.dtype) for g in generators]
        total += gradient(x + spread * torch.stack(drawn).to(x.device), question)
    return total / samples
