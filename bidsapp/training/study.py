"""All folds of all variants of a run: their splits, their arrays, their tasks, their scores."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bidsapp.dataset.cohort import Cohort
from bidsapp.dataset.tables import read_frame
from bidsapp.errors import UsageError
from bidsapp.networks.bundle_images import TrainingImage
from bidsapp.recipes import Recipe
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.sample import CohortRow
from bidsapp.training.splits import make_splits
from bidsapp.training.splits_file import read_splits
from bidsapp.training.task import FoldTask

if TYPE_CHECKING:
    import torch

LOGGER = logging.getLogger("nocicast")

# Memory of a process that has its libraries loaded.
_LIBRARIES_GB = 1.0
# What may not differ between the variants of one run, as they share one cohort table.
_SHARED = ("inputs", "outcome", "preparation", "protocol.groups")


@dataclass(frozen=True)
class Study:
    """What the folds of a run read.

    Attributes
    ----------
    recipe
        The run's recipe, with its variants.
    variants
        Names of those that are trained.
    recipe_file, cohort_file, splits_file
        The state files.
    folder
        Where folds keep what they need to be resumed.
    """

    recipe: Recipe
    variants: tuple[str, ...]
    recipe_file: Path
    cohort_file: Path
    splits_file: Path
    folder: Path


def check_variants(recipe: Recipe, variants: Sequence[str]) -> None:
    """Refuse variants that need images, outcomes or groups of their own.

    Raises
    ------
    UsageError
        A variant's images, outcome or groups differ from those of the others.
    """
    first = recipe.with_variant(variants[0])
    for name in variants[1:]:
        other = recipe.with_variant(name)
        for key in _differing(first, other):
            raise UsageError(
                f"variants {variants[0]} and {name} differ in {key}, so that they cannot "
                f"share one cohort; run {name} by itself: --variants {name} --run-label {name}."
            )


def _differing(one: Recipe, other: Recipe) -> list[str]:
    return [key for key in _SHARED if attrgetter(key)(one) != attrgetter(key)(other)]


def sharing_variants(
    recipe: Recipe, variants: Sequence[str], ensembles: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Those of the variants that can share the first one's cohort, and how to run the others.

    Returns
    -------
    variants, ensembles
        What one run can hold, in the order given.
    apart
        A sentence for each set of variants that needs images or outcomes of its own: which they
        are, and the commands that make their images and run them.
    """
    first = recipe.with_variant(variants[0])
    together: list[str] = []
    others: dict[str, list[str]] = {}
    for name in variants:
        own = recipe.with_variant(name)
        differ = _differing(first, own)
        if not differ:
            together.append(name)
            continue
        images = _images_for(own, first) if "preparation" in differ else ""
        reason = f"{' and '.join(differ)} other than that of {variants[0]}: {images}run group"
        others.setdefault(reason, []).append(name)
    apart = [
        f"Not in this run: {', '.join(names)} ({reason} --variants {' '.join(names)} "
        f"--run-label {recipe.name}-{names[0]})."
        for reason, names in others.items()
    ]
    whole = tuple(name for name in ensembles if set(recipe.ensembles[name].of) <= set(together))
    return tuple(together), whole, apart


def _images_for(own: Recipe, first: Recipe) -> str:
    """How the participant level makes the images of a variant."""
    changed = [
        f"--set preparation.{name}={value}"
        for name, value in own.preparation.plain().items()
        if value != getattr(first.preparation, name)
    ]
    return f"run participant {' '.join(changed)} for its images, then "


def study_splits(
    recipe: Recipe, variants: Sequence[str], cohort: pd.DataFrame, given: Path | None
) -> pd.DataFrame:
    """Make the splits of all variants, or read and check those of a file.

    Returns
    -------
    pandas.DataFrame
        Columns repeat, fold, participant_id, role; where variants have protocols of their own,
        also variant.
    """
    grouped = recipe.binds(variants)
    if given is not None:
        return read_splits(given, cohort, grouped, variants)
    protocols = {name: recipe.with_variant(name).protocol for name in variants}
    first = protocols[variants[0]]
    if all(protocol == first for protocol in protocols.values()):
        return make_splits(cohort, first, grouped)
    tables = []
    for name, protocol in protocols.items():
        table = make_splits(cohort, protocol, grouped)
        table.insert(0, "variant", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def fold_tasks(
    study: Study,
    rows: Sequence[CohortRow],
    splits: pd.DataFrame,
    template_mask: Path,
    *,
    device: str,
    threads: int,
    weights: Path | None,
) -> list[FoldTask]:
    """Build each array once, and list every fold of every variant.

    Parameters
    ----------
    study
        The run.
    rows
        The cohort's scans.
    splits
        As `study_splits` gives them.
    template_mask
        The template's brain mask on the images' grid.
    device, threads, weights
        For every task.
    """
    tasks = []
    for name in study.variants:
        recipe = study.recipe.with_variant(name)
        array = build_cohort_array(
            rows, recipe.representation, study.folder / "arrays", template_mask
        )
        own = splits[splits["variant"] == name] if "variant" in splits else splits
        for repeat, fold in own[["repeat", "fold"]].drop_duplicates().itertuples(index=False):
            tasks.append(
                FoldTask(
                    recipe=recipe,
                    variant=name,
                    repeat=int(repeat),
                    fold=int(fold),
                    array=array.path,
                    cohort=study.cohort_file,
                    splits=study.splits_file,
                    folder=study.folder / "folds" / name / f"repeat-{repeat}_fold-{fold}",
                    weights=_weights(recipe, weights),
                    device=device,
                    threads=threads,
                )
            )
    return tasks


def _weights(recipe: Recipe, given: Path | None) -> Path | None:
    from bidsapp.networks.weights import weights_file

    return None if recipe.network.weights == "random" else weights_file(recipe.network, given)


def training_workflow(study: Study, tasks: Sequence[FoldTask], name: str, memory_gb: float) -> Any:
    """Make every fold a node."""
    from bidsapp.execution.jobs import side_by_side
    from bidsapp.training.fold_node import TrainFold, fold_inputs

    steps = {node_name(task): TrainFold(**fold_inputs(study.recipe_file, task)) for task in tasks}
    return side_by_side(name, study.folder, steps, memory_gb)


def fold_memory(tasks: Sequence[FoldTask], mem_gb: float) -> float:
    """Memory in GB to plan for one fold.

    A fold that needs more than there is runs alone. On a GPU it is the GPU's memory that counts.
    """
    planned = 0.0
    for task in _one_of_each(tasks):
        device, needed = _memory_needed(task)
        planned = max(planned, needed if device.type == "cpu" else 4 * _LIBRARIES_GB)
    return min(planned, mem_gb)


def warn_of_memory(tasks: Sequence[FoldTask], mem_gb: float) -> None:
    """Warn of variants of which a fold is expected to take more memory than there is, in GB."""
    from bidsapp.representation.device import memory_bytes

    for task in _one_of_each(tasks):
        device, needed = _memory_needed(task)
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


def _digits(gigabytes: float) -> str:
    """Write so many GB as a person would: 128, 1.4, 0.2."""
    return f"{gigabytes:.0f}" if gigabytes >= 10 else f"{gigabytes:.2g}"


def _one_of_each(tasks: Sequence[FoldTask]) -> list[FoldTask]:
    """One fold of each variant: the others need the same."""
    return list({task.variant: task for task in tasks}.values())


def _memory_needed(task: FoldTask) -> tuple["torch.device", float]:
    """Where a fold is trained, and the memory in GB that it is expected to take there."""
    from bidsapp.networks.memory import training_bytes
    from bidsapp.representation.device import precision_dtype, resolve_device

    device, training, images = resolve_device(task.device), task.recipe.training, task.images
    width = precision_dtype(training.precision, device).itemsize
    shape, channels = images.window.shape, len(images.channels)
    batch = training.at_once or training.batch_size
    step = training_bytes(task.recipe.network, channels, shape, batch, width)
    return device, _LIBRARIES_GB + (step + images.nbytes) / 1e9


def forget_other_folds(tasks: Sequence[FoldTask]) -> None:
    """Take away results that lie where a fold's will be, and are of other data or settings.

    Where a fold fails, what an earlier run left in its place would else be taken for its own.
    """
    from bidsapp.training.fold import is_trained

    for task in tasks:
        if not is_trained(task):
            task.record_file.unlink(missing_ok=True)
            task.scores_file.unlink(missing_ok=True)


def seen_images(tasks: Sequence[FoldTask], cohort: Cohort) -> list[TrainingImage]:
    """List the scans that folds of one variant trained on or chose their epoch by, as hashes.

    Parameters
    ----------
    tasks
        The folds, in the order of the bundle's models.
    cohort
        Whose rows are those of the folds' array.
    """
    found = []
    hashes = zip(cohort.table["sha256"], cohort.files, strict=True)
    roles = zip(*(task.table["role"] for task in tasks), strict=True)
    for (voxels, scan), parts in zip(hashes, roles, strict=True):
        unseen = tuple(k for k, role in enumerate(parts) if role not in ("train", "validation"))
        if len(unseen) < len(tasks):
            found.append(TrainingImage(str(voxels), scan.source_sha256, unseen))
    return found


def node_name(task: FoldTask) -> str:
    """Name of a task's node: letters, digits and underscores."""
    variant = "".join(c if c.isalnum() else "_" for c in task.variant)
    return f"{variant}_r{task.repeat}_f{task.fold}"


def gather_scores(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put the held-out scores of all folds together, in the order of the tasks."""
    tables = [read_frame(task.scores_file, None) for task in tasks]
    return pd.concat(tables, ignore_index=True)


def gather_history(tasks: Sequence[FoldTask]) -> pd.DataFrame:
    """Put the loss curves of all folds together."""
    tables = []
    for task in tasks:
        table = read_frame(task.folder / "history.tsv", None, ["n/a"])
        table = table.assign(variant=task.variant, repeat=task.repeat, fold=task.fold)
        tables.append(table.set_index(["variant", "repeat", "fold"]).reset_index())
    return pd.concat(tables, ignore_index=True)
