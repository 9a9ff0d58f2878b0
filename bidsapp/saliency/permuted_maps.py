"""Maps of pipelines on permuted outcomes: the null of the voxelwise comparison."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bidsapp.dataset.tables import write_table
from bidsapp.derivatives.atomic import make_folder
from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.training.permuted import Beside
from bidsapp.training.permuted_runs import PermutedRun
from bidsapp.training.run import TrainingRun

FILE = "maps_null.json"


def comparable(masks: Mapping[str, Path]) -> dict[str, Path]:
    """Keep the variants whose maps lie in a space that people have in common.

    Parameters
    ----------
    masks
        Variant to the mask of where its images' values lie on their grid.
    """
    from bidsapp.spaces.files import whole_space

    return {name: mask for name, mask in masks.items() if whole_space(mask).common}


def beside(
    training: TrainingRun,
    masks: Mapping[str, Path],
    tables: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> Beside:
    """Have every permuted pipeline explain its held-out people, before its networks are dropped.

    Parameters
    ----------
    training
        The run.
    masks
        Variant to the mask of where its images' values lie on their grid; no others are explained.
    tables
        Variant to its own cohort table, where its images are of another preparation.
    """
    from bidsapp.saliency.permuted_nodes import MapPermuted

    covariates = dict.fromkeys(masks, training.cohort_file)
    for name, table in tables.items():
        covariates[name] = training.folder / "permuted" / f"cohort_{name}.tsv"
        make_folder(covariates[name].parent)
        write_table(covariates[name], table)
    shared = {
        "masks": {name: str(path) for name, path in masks.items()},
        "covariates": {name: str(path) for name, path in covariates.items()},
    }
    return Beside(
        MapPermuted,
        lambda run: shared | {"maps_key": maps_key(run, masks)},
        lambda run: bool(_read(run, masks)),
    )


def maps_key(run: PermutedRun, masks: Mapping[str, Path]) -> str:
    """Hash all that a permutation's largest statistics depend on."""
    sections = {task.variant: task.recipe.saliency.plain() for task in run.tasks}
    prints = {name: file_sha256(mask) for name, mask in masks.items()}
    text = json.dumps([run.key, sections, prints], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_largest(folder: Path, key: str, largest: Mapping[str, tuple[float, float]]) -> None:
    """Write the largest |t| and enhancement over voxels of each variant of one permutation."""
    write_record(folder / FILE, {"key": key, "largest": {k: list(v) for k, v in largest.items()}})


def read_nulls(runs: Sequence[PermutedRun], masks: Mapping[str, Path]) -> dict[str, VoxelNull]:
    """Collect the nulls of the variants from permutations that were explained."""
    found: dict[str, list[Sequence[float]]] = {}
    tested: dict[str, bool] = {}
    for run in runs:
        for variant, largest in _read(run, masks).items():
            found.setdefault(variant, []).append(largest)
        tested |= {task.variant: task.recipe.saliency.tfce for task in run.tasks}
    nulls = {}
    for variant, rows in found.items():
        t, tfce = np.array(rows, float).T
        nulls[variant] = VoxelNull(t, tfce if tested[variant] else None)
    return nulls


def _read(run: PermutedRun, masks: Mapping[str, Path]) -> dict[str, Any]:
    """Read what a permutation's maps gave; empty where that is not there, or of other settings."""
    content = read_record(run.folder / FILE)
    return dict(content["largest"]) if content.get("key") == maps_key(run, masks) else {}
