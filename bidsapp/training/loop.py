"""The loop: epochs over the training rows of one fold, resumable after any of them."""

import math
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bidsapp.errors import NociCastError
from bidsapp.networks.predict import in_batches, logit_of, place
from bidsapp.networks.registry import freeze
from bidsapp.recipes.learning import Training
from bidsapp.recipes.network import Network
from bidsapp.representation.device import autocast, environment
from bidsapp.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from bidsapp.training.inputs import FoldData, Inputs, inputs_of
from bidsapp.training.optimizer import build_optimizer, set_rates
from bidsapp.training.share_file import ShareFile

CHECKPOINT_SHARE = 0.02


class Diverged(NociCastError):
    """A loss is no longer finite; an answer of its own where a search tries a setting."""


@dataclass(frozen=True)
class LoopSettings:
    """How a fold is trained.

    Attributes
    ----------
    training, network
        The recipe's sections.
    seeds
        Seed, repeat and fold: with the epoch they seed every random draw.
    dtype
        bfloat16 for autocast, float32 for none.
    checkpoint
        File to continue from and to write to.
    fingerprint
        Of the task; a checkpoint of another task is not used.
    checkpoint_every_s
        At most one checkpoint in this many seconds (0: after each epoch); what a kill loses. None
        writes after each epoch, unless writing would take more than 2 % of the time.
    compile
        Whether to compile the network (CUDA only).
    label
        What the progress bar is called.
    share
        File that holds how much is done, for whoever tells of it; None writes none.
    """

    training: Training
    network: Network
    seeds: tuple[int, int, int]
    dtype: torch.dtype
    checkpoint: Path
    fingerprint: str
    checkpoint_every_s: float | None = None
    compile: bool = False
    label: str = ""
    share: Path | None = None


def fit(network: torch.nn.Module, data: FoldData, settings: LoopSettings) -> Progress:
    """Train a network on a fold; it ends with the weights of the epoch that is kept.

    Killed at any time and called again, it ends with the same bits.

    Returns
    -------
    Progress
        The loss curve, the epoch kept, the environments that took part.

    Raises
    ------
    Diverged
        If the loss is no longer finite.
    """
    section, device = settings.training, data.cohort.device
    place(network, device)
    kept = freeze(network, settings.network)
    optimizer = build_optimizer(network, section)
    progress = load_checkpoint(settings.checkpoint, settings.fingerprint, network, optimizer)
    here = environment(device, settings.dtype)
    if not progress.environments or progress.environments[-1] != here:
        progress.environments.append(here)
    steps = len(in_batches(data.train, section.batch_size))
    forward: Any = network
    if settings.compile and device.type == "cuda":
        forward = torch.compile(network)
    watched = _watched_rows(data, section)
    inputs = inputs_of(network, data, section, settings.dtype, forward, list(watched.values()))
    written, cost = time.monotonic(), 0.0
    share = ShareFile(settings.share)
    with tqdm(
        total=section.epochs * steps,
        initial=progress.epoch * steps,
        desc=settings.label,
        unit="step",
        disable=not sys.stderr.isatty(),
    ) as bar:
        while progress.epoch < section.epochs and not _stalled(progress, section):
            start = time.perf_counter()
            network.train()
            for layer in kept:
                layer.eval()
            loss = _train_epoch(inputs, optimizer, settings, progress.epoch, bar, share)
            losses = _watched(inputs, watched)
            if not math.isfinite(loss):
                raise Diverged(
                    f"{settings.label}: the training loss is {loss} in epoch {progress.epoch}; "
                    "lower training.lr or set training.precision=float32"
                )
            _record(progress, network, section, loss, losses, optimizer, start)
            bar.set_postfix(loss=f"{loss:.3f}", **{k: f"{v:.3f}" for k, v in losses.items()})
            waited = time.monotonic() - written
            every = settings.checkpoint_every_s
            if waited >= (cost / CHECKPOINT_SHARE if every is None else every):
                save_checkpoint(
                    settings.checkpoint, settings.fingerprint, network, optimizer, progress
                )
                now = time.monotonic()
                written, cost = now, now - written - waited
    share.remove()
    if progress.best_weights is not None:
        network.load_state_dict(progress.best_weights)
    network.eval()
    return progress


def in_parts(size: int, at_once: int | None) -> list[slice]:
    """Cut a batch into parts of at most `at_once` images, as even as can be."""
    count = -(-size // (at_once or size))
    edges = [size * k // count for k in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(edges)]


def loss_of(outputs: torch.Tensor, labels: torch.Tensor, positive_weight: float) -> torch.Tensor:
    """Cross-entropy of a network's outputs, mean over the batch, positives weighted.

    Of two outputs, the cross-entropy after a softmax is the binary one of their difference.
    """
    weight = torch.tensor(positive_weight, device=outputs.device)
    return torch.nn.functional.binary_cross_entropy_with_logits(
        logit_of(outputs), labels, pos_weight=weight
    )


def _train_epoch(
    inputs: Inputs,
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    epoch: int,
    bar: tqdm,
    share: ShareFile,
) -> float:
    section, data = settings.training, inputs.data
    device = data.cohort.device
    rng = np.random.default_rng([*settings.seeds, epoch])
    batches = in_batches(rng.permutation(data.train), section.batch_size)
    device_seed, dropout_seed = (int(seed) for seed in rng.integers(2**63 - 1, size=2))
    generator = torch.Generator(device).manual_seed(device_seed)
    total = torch.zeros((), device=device)
    # Dropout layers can only draw from the global generator: lend it to them, seeded.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(dropout_seed)
        given = inputs.batches(batches, generator)
        for step, (rows, x) in enumerate(zip(batches, given, strict=True)):
            done = (epoch * len(batches) + step) / (section.epochs * len(batches))
            set_rates(optimizer, section, done)
            optimizer.zero_grad(set_to_none=True)
            for part in in_parts(len(rows), section.at_once):
                with autocast(device, settings.dtype):
                    outputs = inputs.forward(x[part])
                loss = loss_of(outputs, data.labels[rows[part]], section.positive_weight)
                if section.at_once is not None:
                    # Of a part, its share of the batch's mean: the gradients add up to the batch's.
                    loss = loss * (part.stop - part.start) / len(rows)
                loss.backward()
                total += loss.detach() * len(rows)
            optimizer.step()
            bar.update()
            share.note((epoch * len(batches) + step + 1) / (section.epochs * len(batches)))
    return float(total) / len(data.train)


def _watched_rows(data: FoldData, section: Training) -> dict[str, np.ndarray]:
    """Rows whose loss is told after every epoch, by their role."""
    watched = {"validation": data.validation}
    if section.checkpoint == "test_fold":
        watched["test"] = data.test
    return {role: rows for role, rows in watched.items() if len(rows)}


def _watched(inputs: Inputs, watched: dict[str, np.ndarray]) -> dict[str, float]:
    losses, weight = {}, inputs.section.positive_weight
    for role, rows in watched.items():
        labels = inputs.data.labels[rows].double().cpu()
        outputs = torch.from_numpy(inputs.logits(rows)).unsqueeze(1)
        losses[role] = float(loss_of(outputs, labels.float(), weight))
    return losses


def _record(
    progress: Progress,
    network: torch.nn.Module,
    section: Training,
    loss: float,
    losses: dict[str, float],
    optimizer: torch.optim.Optimizer,
    start: float,
) -> None:
    progress.epoch += 1
    progress.history.append(
        {
            "epoch": progress.epoch,
            "train_loss": loss,
            **{f"{role}_loss": value for role, value in losses.items()},
            "rate_head": optimizer.param_groups[1]["lr"],
            "rate_backbone": optimizer.param_groups[0]["lr"],
            "seconds": time.perf_counter() - start,
        }
    )
    kept_by = {"inner": "validation", "test_fold": "test"}.get(section.checkpoint)
    judged_by = kept_by or ("validation" if section.early_stopping else None)
    if judged_by is None:
        progress.best_epoch = progress.epoch
    elif losses[judged_by] < progress.best_loss:
        progress.best_loss, progress.best_epoch = losses[judged_by], progress.epoch
        if kept_by:
            weights = network.state_dict().items()
            progress.best_weights = {name: w.detach().cpu().clone() for name, w in weights}


def _stalled(progress: Progress, section: Training) -> bool:
    if section.early_stopping is None:
        return False
    # Only the inner split may end training: the best so far is read from the loss curve itself.
    curve = [row["validation_loss"] for row in progress.history]
    return bool(curve) and len(curve) - 1 - int(np.argmin(curve)) >= section.early_stopping.patience
