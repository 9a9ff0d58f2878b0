"""What a fold's training people look like to its network, and how far held-out people are."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsapp.contracts.abstention import SIGNALS
from bidsapp.contracts.unit import unit_columns
from bidsapp.networks.familiarity import FEWEST, Familiar, Look, quality_rows
from bidsapp.networks.features import captured
from bidsapp.networks.image_looks import block_sums, block_texture
from bidsapp.networks.predict import place, predict_logits
from bidsapp.representation.device import precision_dtype, resolve_device, steady
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.training.fold import fitted_of, load_fold
from bidsapp.training.task import FoldTask

Key = tuple[str, ...]


def familiar_people(
    tasks: Sequence[FoldTask], quality: Mapping[Key, Mapping[str, float]]
) -> tuple[Familiar, pd.DataFrame] | None:
    """Describe the training people of each fold, and measure those whom it holds out.

    Parameters
    ----------
    tasks
        The trained folds of one variant.
    quality
        Numbers of the preparation's quality, for each unit by the texts of its columns.

    Returns
    -------
    familiar
        Looks of each fold; no limits yet.
    distances
        A row per held-out scan and fold: unit, `repeat`, `fold`, and a column for each signal.
    None where a fold has fewer than `FEWEST` training people.
    """
    if any(len(np.unique(_people(task, "train"))) < FEWEST for task in tasks):
        return None
    table = tasks[0].table
    keys = list(table[unit_columns(table)].astype(str).itertuples(index=False, name=None))
    names, numbers = _usable([quality.get(key, {}) for key in keys])
    summaries = _summaries(tasks[0]) | {"quality": numbers}
    looks: dict[str, list[Look]] = {name: [] for name in SIGNALS if name != "quality" or names}
    parts = []
    for task in tasks:
        rows = {role: task.rows(role) for role in ("train", "test")}
        seen, held = (
            {name: values[rows[role]] for name, values in summaries.items()}
            | {"features": _features(task, rows[role])}
            for role in ("train", "test")
        )
        people = task.table.iloc[rows["test"]]
        part = people[unit_columns(people)].assign(repeat=task.repeat, fold=task.fold)
        for name, found in looks.items():
            found.append(Look.of(seen[name]))
            part[name] = found[-1].distance(held[name])
        parts.append(part)
    familiar = Familiar({name: tuple(found) for name, found in looks.items()}, names, None)
    return familiar, pd.concat(parts, ignore_index=True)


def _people(task: FoldTask, role: str) -> np.ndarray:
    return task.table.loc[task.table["role"] == role, "participant_id"].to_numpy()


def _usable(quality: Sequence[Mapping[str, float]]) -> tuple[tuple[str, ...], np.ndarray]:
    """Take the numbers that everybody has and that differ, in an order of their own."""
    every = sorted({name for one in quality for name in one})
    rows = quality_rows(quality, every)
    used = [k for k in range(len(every)) if np.isfinite(rows[:, k]).all() and np.ptp(rows[:, k])]
    return tuple(every[k] for k in used), rows[:, used]


def _summaries(task: FoldTask) -> dict[str, np.ndarray]:
    """Give what stands for everybody's image, (N, d), by each signal that needs no network."""
    told: dict[str, list[np.ndarray]] = {"intensities": [], "texture": []}
    for row in range(len(task.table)):
        image = task.image_rows[row]
        told["intensities"].append(block_sums(image))
        told["texture"].append(block_texture(image))
    return {name: np.stack(values) for name, values in told.items()}


def _features(task: FoldTask, rows: np.ndarray) -> np.ndarray:
    """Give what the last layer of a fold's network is given of some people, (n, d)."""
    device = resolve_device(task.device)
    picked = task.image_rows.picked(rows)
    with steady(device, task.threads):
        network, _ = load_fold(task)
        place(network, device)
        fitted = fitted_of(task)
        images = fitted.stored(picked, task.folder)
        every = np.arange(len(images))
        cohort = DeviceCohort(images, device, task.resident_bytes)
        scale = PerBatch.on(device, fitted.numbers(images, every))
        dtype = precision_dtype(task.recipe.training.precision, device)
        with captured(network) as kept:
            size = task.recipe.training.batch_size
            predict_logits(network, cohort, every, scale, dtype, size)
    return np.concatenate(kept)
