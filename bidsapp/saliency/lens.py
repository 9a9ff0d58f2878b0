"""How the images of a fold are looked at, and what its network answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bidsapp.networks.predict import place, predict_logits
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.device import precision_dtype, resolve_device
from bidsapp.representation.device_cohort import DeviceCohort
from bidsapp.representation.window import Window
from bidsapp.representation.zscore import ZScore
from bidsapp.training.task import FoldTask


@dataclass(frozen=True)
class Lens:
    """How images are looked at: everything about their maps but the network.

    Attributes
    ----------
    settings
        The recipe's saliency section.
    zscore
        Of the fold that the network was trained in.
    voxel_mm
        Edge lengths of a voxel.
    device
        Where to compute.
    at_once
        Images in a batch.
    seed
        Of methods that draw.
    """

    settings: Saliency
    zscore: ZScore
    voxel_mm: tuple[float, float, float]
    device: torch.device
    at_once: int
    seed: int = 0


def voxel_mm(window: Window) -> tuple[float, float, float]:
    """Edge lengths of a window's voxels."""
    affine = np.array(window.grid_affine)
    return float(affine[0, 0]), float(affine[1, 1]), float(affine[2, 2])


def lens_of(task: FoldTask, record: dict[str, Any]) -> Lens:
    """How a trained fold's images are looked at."""
    return Lens(
        settings=task.recipe.saliency,
        zscore=ZScore.from_dict(record["zscore"]),
        voxel_mm=voxel_mm(task.images.window),
        device=resolve_device(task.device),
        at_once=task.recipe.training.batch_size,
        seed=task.recipe.training.seed,
    )


def logits_of(
    network: torch.nn.Module, images: np.ndarray, task: FoldTask, lens: Lens
) -> np.ndarray:
    """Logits of stored images, in the precision in which the fold was scored."""
    mean, sd = (torch.from_numpy(v).to(lens.device) for v in lens.zscore.numbers(images))
    dtype = precision_dtype(task.recipe.training.precision, lens.device)
    cohort = DeviceCohort(images, lens.device)
    place(network, lens.device)
    return predict_logits(network, cohort, np.arange(len(images)), mean, sd, dtype, lens.at_once)
