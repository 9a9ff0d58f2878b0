"""Occlusion: how far the answer falls when a cube of the image is hidden."""

import torch

from bidsapp.saliency.methods.question import Question


def occlusion(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Hide a cube at a time, in all channels, and note by how much the answer falls.

    Zeiler and Fergus 2014, by captum. The cube of ``settings.patch_mm`` moves by half its edge; a
    voxel gets the mean over the cubes that hide it.

    Returns
    -------
    torch.Tensor
        (B, 1, X, Y, Z), signed, in units of the answer: above 0 where hiding lowers it.
    """
    from captum.attr import Occlusion

    edge = question.settings.patch_mm or 0.0
    sizes = zip(x.shape[2:], question.voxel_mm, strict=True)
    patch = [min(max(round(edge / mm), 1), n) for n, mm in sizes]
    found = Occlusion(question.answer).attribute(
        x.detach(),
        sliding_window_shapes=(x.shape[1], *patch),
        strides=(x.shape[1], *(max(n // 2, 1) for n in patch)),
        baselines=question.against(x).contiguous(),
        perturbations_per_eval=max(question.at_once // len(x), 1),
    )
    return found[:, :1].detach().to(x.dtype)
