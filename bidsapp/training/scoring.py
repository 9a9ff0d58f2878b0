"""Score images by the network of a trained fold."""

import numpy as np
import torch

from bidsapp.networks.predict import predict_logits
from bidsapp.representation.chain import Chain
from bidsapp.representation.device import precision_dtype
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.task import FoldTask


def image_logits(
    task: FoldTask,
    network: torch.nn.Module,
    fitted: Chain,
    images: ImageRows,
    device: torch.device,
) -> np.ndarray:
    """Give the log odds of images, one for each row.

    Parameters
    ----------
    task
        The fold.
    network
        Its network, in place on the device.
    fitted
        What its steps of the representation found.
    images
        As the cohort's array has them, before anything that is fitted.
    device
        Where to compute.
    """
    stored = fitted.stored(images, task.folder)
    cohort = DeviceCohort(stored, device, task.resident_bytes)
    scale = PerBatch.of(device, fitted, stored)
    dtype = precision_dtype(task.recipe.training.precision, device)
    size = task.recipe.training.batch_size
    return predict_logits(network, cohort, np.arange(len(stored)), scale, dtype, size)
