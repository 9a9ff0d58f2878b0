"""Train one fold, score one fold: files in, files out, safe to kill and to repeat."""

import gc
import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from bidsapp.contracts.unit import with_part
from bidsapp.derivatives import atomic_path
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.errors import BadData, UsageError
from bidsapp.execution.kept_memory import kept_memory
from bidsapp.networks.origin import cohort_metadata
from bidsapp.networks.predict import place, probability
from bidsapp.networks.registry import build_network, count_parameters, slice_axis
from bidsapp.networks.weights import load_weights
from bidsapp.recipes.schema import Recipe
from bidsapp.representation.chain import Chain
from bidsapp.representation.device import precision_dtype, resolve_device, steady
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.checkpoint import Progress
from bidsapp.training.columns import LEARNING, SCORES
from bidsapp.training.inputs import FoldData
from bidsapp.training.loop import LoopSettings, fit
from bidsapp.training.same_network import take_over
from bidsapp.training.scoring import image_logits
from bidsapp.training.task import FoldTask

LOGGER = logging.getLogger("nocicast")
# Network, progress, fitted steps, what it began with, whether the cohort was streamed.
Trained = tuple[torch.nn.Module, Progress, Chain, dict[str, Any], bool]


def train_fold(task: FoldTask) -> Path:
    """Train one fold; if it is trained already, do nothing.

    Where its network begins with another variant's of the same fold, that is trained first. Where
    another variant has trained this very network, as variants of saliency methods do, it is taken
    over (`take_over`).

    Writes into the task's folder ``model.safetensors``, ``fitted.safetensors`` (what the steps of
    the representation found), ``history.tsv`` (loss curve) and, last, ``fold.json`` (seeds,
    environment, hashes).

    Returns
    -------
    Path
        The record, ``fold.json``.

    Raises
    ------
    UsageError
        If a role that is needed is empty, the device is not there or its memory too small.
    BadData, NoInput
        If an input file cannot be used.
    """
    if task.first is not None and not is_trained(task):
        train_fold(task.first)
        check_first(task, task.first)
    if is_trained(task) or take_over(task, _files_of(task)):
        return task.record_file
    task.folder.mkdir(parents=True, exist_ok=True)
    device = resolve_device(task.device)
    started = time.time()
    _check_roles(task)
    with steady(device, task.threads), kept_memory():
        network, progress, fitted, weights, streamed = _attempts(task, device)
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    stated = task.recipe.network.origin if task.first is None else None
    word = f", stated to be trained on {stated.dataset}" if stated else ""
    told = cohort_metadata(task.image_hashes, task.initial_file, word)
    with atomic_path(task.model_file) as temporary:
        safetensors.torch.save_file(state, temporary, metadata=told or None)
    fitted.save(task.fitted_file)
    history = pd.DataFrame(progress.history)
    with atomic_path(task.folder / "history.tsv") as temporary:
        history.to_csv(temporary, sep="\t", index=False, na_rep="n/a")
    record = {
        "fingerprint": task.fingerprint,
        "network_fingerprint": task.network_fingerprint,
        "variant": task.variant,
        "repeat": task.repeat,
        "fold": task.fold,
        "seed": task.recipe.training.seed,
        **({"setting": dict(task.setting)} if task.setting else {}),
        "participants": task.table["role"].value_counts().drop("", errors="ignore").to_dict(),
        "fitted": [step.name for step in fitted.declares()],
        "fitted_sha256": file_sha256(task.fitted_file),
        "weights": weights,
        "parameters": count_parameters(network),
        "epochs": progress.epoch,
        "epoch_kept": progress.best_epoch,
        "cohort_streamed": streamed,
        "environments": progress.environments,
        "seconds": round(time.time() - started, 3),
        "model_sha256": file_sha256(task.model_file),
    }
    write_record(task.record_file, record, _files_of(task))
    # A kill in the middle of writing leaves a part behind, which nobody else will take away.
    for leftover in (_checkpoint(task), *task.folder.glob(f".*-{_checkpoint(task).name}")):
        leftover.unlink(missing_ok=True)
    return task.record_file


def score_fold(task: FoldTask) -> pd.DataFrame:
    """Score the held-out participants of a trained fold, and write ``scores.tsv`` into its folder.

    Where the recipe takes its threshold from the inner split, those on whom no weights were fitted
    there are scored too, into ``inner_scores.tsv``.

    Returns
    -------
    pandas.DataFrame
        Columns participant_id, session_id, variant, repeat, fold, outcome, probability; one row
        per held-out scan.

    Raises
    ------
    BadData
        If the fold is not trained, or its model is damaged.
    """
    device = resolve_device(task.device)
    files = [*_files_of(task), task.scores_file]
    with steady(device, task.threads):
        network, record = load_fold(task)
        place(network, device)
        scores = _scored(task, "test", network, device)
        with atomic_path(task.scores_file) as temporary:
            scores.to_csv(temporary, sep="\t", index=False)
        if task.inner_wanted:
            inner = _scored(task, "validation", network, device)
            with atomic_path(task.inner_file) as temporary:
                inner.to_csv(temporary, sep="\t", index=False)
            files.append(task.inner_file)
    write_record(task.record_file, record, files)
    return scores


def _scored(
    task: FoldTask, role: str, network: torch.nn.Module, device: torch.device
) -> pd.DataFrame:
    """Score the people of one role by a fold's network, which is in place."""
    images = task.image_rows.picked(task.rows(role))
    logits = image_logits(task, network, fitted_of(task), images, device)
    people = task.table[task.table["role"] == role]
    return people.assign(
        variant=task.variant,
        repeat=task.repeat,
        fold=task.fold,
        probability=probability(logits),
    )[with_part(SCORES, people)].reset_index(drop=True)


def load_fold(task: FoldTask) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Open a trained fold: its network in evaluation mode on the CPU, and its record.

    Raises
    ------
    BadData
        If the fold is not trained for this very task, or its model is damaged.
    """
    if not is_trained(task):
        raise BadData(
            f"{task.label} is not trained: {task.record_file} is missing or belongs to other data"
        )
    record = _record(task)
    fitted = fitted_of(task)
    network = build_network(
        task.recipe.network,
        len(fitted.channels(task.images.channels)),
        shape=task.images.space.shape,
        columns=fitted.columns.width,
    )
    network.load_state_dict(safetensors.torch.load_file(task.model_file))
    return network.eval(), record


def fitted_of(task: FoldTask) -> Chain:
    """Open what the steps of the representation found in a trained fold."""
    return _chain(task.recipe).load(task.fitted_file)


def _chain(recipe: Recipe) -> Chain:
    return Chain.of(recipe.representation, recipe.network.covariates)


def _attempts(task: FoldTask, device: torch.device) -> Trained:
    """Train with the cohort resident; where memory does not last, once more with it streamed."""
    try:
        return _attempt(task, device, None)
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
    # Out here the error is gone, and with it the tensors that its traceback held on the device.
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    LOGGER.warning(
        "%s: not enough memory on %s with the cohort resident (%s): streaming it instead, "
        "with the same results but slower",
        task.label,
        device,
        reason,
    )
    try:
        return _attempt(task, device, 0.0)
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"{task.label}: {device} has too little memory for this network at "
            f"training.batch_size {task.recipe.training.batch_size}; use a smaller one, or fewer "
            "folds at once (--nprocs)"
        ) from error


def _attempt(task: FoldTask, device: torch.device, resident_bytes: float | None) -> Trained:
    recipe = task.recipe
    dtype = precision_dtype(recipe.training.precision, device)
    roles = {role: task.rows(role) for role in ("train", "validation", "test")}
    fitted, images = _chain(recipe).fit(
        task.image_rows, roles, task.table["outcome"].to_numpy(), task.folder
    )
    channels = len(fitted.channels(task.images.channels))
    shape = task.images.space.shape
    width = fitted.columns.width
    network = build_network(recipe.network, channels, _weights_seed(task), shape, width)
    weights = load_weights(network, recipe.network, channels, task.initial_file)
    budget = task.resident_bytes if resident_bytes is None else resident_bytes
    data = _fold_data(task, device, fitted, images, budget)
    data = replace(data, flat=slice_axis(network))
    streamed = data.cohort.resident is None
    settings = LoopSettings(
        recipe.training,
        recipe.network,
        task.seeds,
        dtype,
        _checkpoint(task),
        task.fingerprint,
        task.checkpoint_every_s,
        task.compile,
        task.label,
        task.progress_file,
    )
    return network, fit(network, data, settings), fitted, asdict(weights), streamed


def _fold_data(
    task: FoldTask,
    device: torch.device,
    fitted: Chain,
    images: ImageRows,
    resident_bytes: float | None,
) -> FoldData:
    labels = torch.from_numpy(task.table["outcome"].to_numpy(np.float32)).to(device)
    scale = PerBatch.of(device, fitted, images)
    cohort = DeviceCohort(images, device, resident_bytes)
    train, validation, test = (task.rows(role) for role in ("train", "validation", "test"))
    return FoldData(cohort, labels, scale, train, validation, test)


def is_trained(task: FoldTask) -> bool:
    """Tell whether the fold's folder holds a whole model of this very data and these settings.

    What was damaged since is none, and is trained anew.
    """
    return bool(_record(task)) and task.trained_as is not None


def _record(task: FoldTask) -> dict[str, Any]:
    return read_record(task.record_file, [file.name for file in _files_of(task)])


def _files_of(task: FoldTask) -> list[Path]:
    return [task.model_file, task.fitted_file, task.folder / "history.tsv"]


def check_first(task: FoldTask, first: FoldTask) -> None:
    """Refuse to begin with a network that learned from people whom a fold holds out.

    Raises
    ------
    BadData
        The two variants do not hold out the same people in this fold; the message names some.
    """
    learned = set(first.table.loc[first.table["role"].isin(LEARNING), "participant_id"])
    held_out = task.table.loc[task.table["role"] == "test", "participant_id"]
    seen = sorted(learned & set(held_out))
    if seen:
        more = f" and {len(seen) - 3} more" if len(seen) > 3 else ""
        raise BadData(
            f"{task.label} begins with {first.label}, which learned from people whom it holds out "
            f"({', '.join(seen[:3])}{more}). Give both variants the same splits."
        )


def _check_roles(task: FoldTask) -> None:
    for role in ("train", "test"):
        if not len(task.rows(role)):
            raise UsageError(f"{task.label}: splits.tsv has nobody in {role}")
    section = task.recipe.training
    if not len(task.rows("validation")):
        if section.early_stopping is not None:
            raise UsageError(
                f"{task.label}: training.early_stopping needs participants in role validation; "
                "set protocol.inner.size"
            )
        if section.checkpoint == "inner":
            raise UsageError(
                f"{task.label}: training.checkpoint=inner needs participants in role validation; "
                "set protocol.inner.size"
            )


def _weights_seed(task: FoldTask) -> int:
    return int(np.random.SeedSequence(task.seeds).generate_state(1)[0])


def _checkpoint(task: FoldTask) -> Path:
    return task.folder / "checkpoint.pt"
