"""Integrated gradients: the answer's difference from the baseline, shared out among voxels."""

import logging

import torch

from bidsapp.saliency.methods.question import Question

LOGGER = logging.getLogger("nocicast")
# A map is complete when its sum is the answer's difference within this share of it, or within
# this much of a logit: where an image is answered as its baseline is, a share means nothing.
TOLERANCE = 0.01
LEAST_DIFFERENCE = 1.0
MOST_NODES = 512


def integrated_gradients(x: torch.Tensor, question: Question) -> torch.Tensor:
    """Integrate the gradient along the line from the baseline to the image.

    Sundararajan et al. 2017, by captum: Gauss–Legendre quadrature with ``settings.samples`` nodes.
    The sum over voxels and channels is the answer's difference between image and baseline
    (completeness). Where it misses that by more than 1 % and by more than .01, as the kinks of a
    trained network make it, the nodes are doubled for that image, up to 512; what is off even then
    is told.

    Returns
    -------
    torch.Tensor
        Shape of `x`, signed, in units of the answer.
    """
    nodes = question.settings.samples or 1
    baseline = question.against(x).contiguous()
    with torch.no_grad():
        difference = question.answer(x) - question.answer(baseline)
    maps = _integral(x, baseline, nodes, question)
    missed = _missed(maps, difference)
    while nodes < MOST_NODES and (missed > TOLERANCE).any():
        nodes *= 2
        again = torch.nonzero(missed > TOLERANCE).flatten()
        finer = _integral(x[again], baseline[again], nodes, question)
        now = _missed(finer, difference[again])
        better = now < missed[again]
        maps[again[better]] = finer[better]
        missed[again[better]] = now[better]
    worst = float(missed.max()) if len(missed) else 0.0
    if worst > TOLERANCE:
        LOGGER.warning(
            "integrated gradients: with %d nodes a map still misses the answer's difference "
            "between image and baseline by %.1f %%",
            nodes,
            100 * worst,
        )
    return maps


def _integral(
    x: torch.Tensor, baseline: torch.Tensor, nodes: int, question: Question
) -> torch.Tensor:
    from captum.attr import IntegratedGradients

    found = IntegratedGradients(question.answer).attribute(
        x.detach().clone(),
        baselines=baseline,
        n_steps=nodes,
        internal_batch_size=max(question.at_once, len(x)),
    )
    return found.detach().to(x.dtype)


def _missed(maps: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """Share of the answer's difference, or of a logit if that is more, that maps miss; (B,)."""
    totals = maps.sum(dim=tuple(range(1, maps.ndim)), dtype=torch.float64)
    wanted = difference.double()
    return (totals - wanted).abs() / wanted.abs().clamp_min(LEAST_DIFFERENCE)
