"""Memory that a fold is expected to take, to plan with and to warn of."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidsapp.training.task import FoldTask

if TYPE_CHECKING:
    import torch

LOGGER = logging.getLogger("nocicast")

# Memory of a process that has its libraries loaded.
_LIBRARIES_GB = 1.0


def fold_memory(tasks: Sequence[FoldTask], mem_gb: float) -> float:
    """Memory in GB to plan for one fold.

    A fold that needs more than there is runs alone. On a GPU it is the GPU's memory that counts.
    """
    planned = 0.0
    for task in _one_of_each(tasks):
        device, step, images = _memory_needed(task)
        planned = max(planned, step + images if device.type == "cpu" else 4 * _LIBRARIES_GB)
    return min(planned, mem_gb)


def warn_of_memory(tasks: Sequence[FoldTask], mem_gb: float) -> None:
    """Warn of variants of which a fold is expected to take more memory than there is, in GB."""
    from bidsapp.representation.device import memory_bytes

    for task in _one_of_each(tasks):
        device, needed, _ = _memory_needed(task)  # images that find no room are streamed
        gpu = device.type != "cpu"
        there = memory_bytes(device) / 1e9 if gpu else mem_gb
        if needed > there:
            LOGGER.warning(
                "variant %s: a fold is expected to take %s GB of memory and %s has %s GB: it "
                "may fail. A smaller training.batch_size takes less.",
                task.variant,
                _digits(needed),
                device if gpu else "this machine (--mem)",
                _digits(there),
            )


def resident_bytes(task: FoldTask, mem_gb: float) -> float | None:
    """Room for the cohort's images in a fold on a CPU; None where all that it takes is there.

    A cohort that is larger is streamed from its file, with the same results.
    """
    device, step, images = _memory_needed(task)
    if device.type != "cpu" or step + images <= mem_gb:
        return None
    return max(0.0, mem_gb - step) * 1e9


def _digits(gigabytes: float) -> str:
    """Write so many GB as a person would: 128, 1.4, 0.2."""
    return f"{gigabytes:.0f}" if gigabytes >= 10 else f"{gigabytes:.2g}"


def _one_of_each(tasks: Sequence[FoldTask]) -> list[FoldTask]:
    """One fold of each variant and setting: the others need the same."""
    return list({(task.variant, str(task.setting)): task for task in tasks}.values())


def _memory_needed(task: FoldTask) -> tuple["torch.device", float, float]:
    """Where a fold is trained, and the memory in GB that it takes there: work, and images."""
    from bidsapp.networks.memory import training_bytes
    from bidsapp.representation.before_fitting import network_channels
    from bidsapp.representation.device import precision_dtype, resolve_device

    device, training, images = resolve_device(task.device), task.recipe.training, task.images
    width = precision_dtype(training.precision, device).itemsize
    shape = images.space.shape
    channels = len(network_channels(task.recipe.representation, images.channels))
    batch = training.at_once or training.batch_size
    step = training_bytes(task.recipe.network, channels, shape, batch, width)
    stored = images.nbytes * channels / len(images.channels)
    return device, _LIBRARIES_GB + step / 1e9, stored / 1e9
