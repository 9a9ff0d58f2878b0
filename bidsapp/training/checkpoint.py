"""Checkpoints: everything that a killed run needs to end as if it had not been killed."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bidsapp.derivatives import atomic_path
from bidsapp.intake.archives import check_archive

FORMAT = 2
"""Of the file; what another version began with another arithmetic is begun anew."""
LOGGER = logging.getLogger("nocicast")


@dataclass
class Progress:
    """Where training stands after an epoch.

    Attributes
    ----------
    epoch
        Epochs done.
    history
        One row per epoch.
    best_loss, best_epoch, best_weights
        The epoch kept so far, where epochs are compared.
    environments
        Every environment that took part; more than one if the run was resumed elsewhere.
    """

    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    best_weights: dict[str, torch.Tensor] | None = None
    environments: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    fingerprint: str,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write a checkpoint, whole or not at all.

    No state of a random generator is in it: each epoch seeds its own from the seed, the repeat,
    the fold and its number.
    """
    values = {field_: getattr(progress, field_) for field_ in Progress.__dataclass_fields__}
    # through a stream: torch's own writer does not say that the disk is full
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(
            {
                "format": FORMAT,
                "fingerprint": fingerprint,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "progress": values,
            },
            stream,
        )


def load_checkpoint(
    path: Path, fingerprint: str, network: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Progress:
    """Continue from a checkpoint if it is there, belongs to this very task and can be read."""
    if not path.is_file():
        return Progress()
    try:
        check_archive(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
        if found["fingerprint"] != fingerprint:
            LOGGER.info("%s belongs to another task: starting from the first epoch", path)
            return Progress()
        if found.get("format") != FORMAT:
            LOGGER.warning("%s is of another version: starting from the first epoch", path)
            return Progress()
        progress = Progress(**found["progress"])
        network.load_state_dict(found["network"])
        optimizer.load_state_dict(found["optimizer"])
    except Exception as error:  # torch raises many types for a damaged file
        reason = str(error).split("\n")[0]
        LOGGER.warning("%s cannot be used (%s): starting from the first epoch", path, reason)
        return Progress()
    LOGGER.info("%s: continuing after epoch %d", path, progress.epoch)
    return progress
