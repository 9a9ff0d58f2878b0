"""Gather what the maps of a variant are judged by: folds, halves of the people, the forecast."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bidsapp.contracts.fitted import stamp_text
from bidsapp.evaluation.chance import Forecast, read_forecast
from bidsapp.recipes import Recipe
from bidsapp.saliency.checks import FoldChecks
from bidsapp.saliency.masks import mask_of
from bidsapp.saliency.plain_images import judged_mask
from bidsapp.saliency.plan import ExplainStep
from bidsapp.saliency.sanity import Evidence
from bidsapp.saliency.stack import MapStack, read_stack


def gather_evidence(
    steps: Sequence[ExplainStep], stack: MapStack, folder: Path, mask: Path
) -> Evidence:
    """Gather what `bidsapp.saliency.sanity.judge` needs of one variant.

    Parameters
    ----------
    steps
        Of the variant, explained.
    stack
        Maps of its held-out people.
    folder
        Of the run.
    mask
        Of the space that people have in common.
    """
    task = steps[0].task
    return Evidence(
        folds=[
            FoldChecks.read(step.folder / "checks.npz") for step in steps if step.kind == "test"
        ],
        halves=_halves_of(steps),
        forecast=forecast_of(folder, task.variant, task.recipe),
        images=task.images,
        outcome=task.table["outcome"].to_numpy(),
        inside=judged_mask(task.images, mask_of(stack.space, mask), task.recipe),
        fwhm_mm=task.recipe.saliency.smoothing_fwhm_mm,
        space=stack.space,
    )


def _halves_of(steps: Sequence[ExplainStep]) -> np.ndarray | None:
    """Mean map of the held-out people by each network of a half, (2, 1 + shuffles, X, Y, Z)."""
    found = {
        (step.half, step.shuffle): read_stack(step.folder).values.sum(axis=1).mean(axis=0)
        for step in steps
        if step.kind == "half"
    }
    if not found:
        return None
    count = 1 + max(shuffle for _, shuffle in found)
    return np.array([[found[half, k] for k in range(count)] for half in (0, 1)])


def forecast_of(folder: Path, variant: str, recipe: Recipe) -> Forecast:
    """Read by what a variant's forecast is judged, and whether held-out people were seen."""
    leaks = recipe.leaks("scores")
    stamp = stamp_text(leaks)
    are = "are not" if any(step.certain for step in leaks) else "may not be"
    seen = f"{stamp}: the scores {are} those of people unseen" if stamp else ""
    return replace(read_forecast(folder, variant), leak=seen)
