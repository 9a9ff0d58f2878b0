"""Maps of pipelines on permuted outcomes: the null of the voxelwise comparison."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bidsapp.derivatives.sealed import read_record, write_record
from bidsapp.derivatives.sidecars import file_sha256
from bidsapp.saliency.group_test import VoxelNull
from bidsapp.training.permuted import Beside
from bidsapp.training.permuted_runs import PermutedRun
from bidsapp.training.study import Study

FILE = "maps_null.json"


def beside(study: Study, mask: Path) -> Beside:
    """Have every permuted pipeline explain its held-out people, before its networks are dropped.

    Parameters
    ----------
    study
        The run.
    mask
        The template's brain mask on the images' grid.
    """
    from bidsapp.saliency.permuted_nodes import MapPermuted

    shared = {"mask": str(mask), "covariates": str(study.cohort_file)}
    return Beside(
        MapPermuted,
        lambda run: shared | {"maps_key": maps_key(run, mask)},
        lambda run: bool(_read(run, mask)),
    )


def maps_key(run: PermutedRun, mask: Path) -> str:
    """Hash all that a permutation's largest statistics depend on."""
    sections = {task.variant: task.recipe.saliency.plain() for task in run.tasks}
    text = json.dumps([run.key, sections, file_sha256(mask)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_largest(folder: Path, key: str, largest: Mapping[str, tuple[float, float]]) -> None:
    """Write the largest |t| and enhancement over voxels of each variant of one permutation."""
    write_record(folder / FILE, {"key": key, "largest": {k: list(v) for k, v in largest.items()}})


def read_nulls(runs: Sequence[PermutedRun], mask: Path) -> dict[str, VoxelNull]:
    """Collect the nulls of the variants from permutations that were explained."""
    found: dict[str, list[Sequence[float]]] = {}
    tested: dict[str, bool] = {}
    for run in runs:
        for variant, largest in _read(run, mask).items():
            found.setdefault(variant, []).append(largest)
        tested |= {task.variant: task.recipe.saliency.tfce for task in run.tasks}
    nulls = {}
    for variant, rows in found.items():
        t, tfce = np.array(rows, float).T
        nulls[variant] = VoxelNull(t, tfce if tested[variant] else None)
    return nulls


def _read(run: PermutedRun, mask: Path) -> dict[str, Any]:
    """Read what a permutation's maps gave; empty where that is not there, or of other settings."""
    content = read_record(run.folder / FILE)
    return dict(content["largest"]) if content.get("key") == maps_key(run, mask) else {}
