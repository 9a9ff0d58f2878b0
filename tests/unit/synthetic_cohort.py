"""A small cohort with a known answer, and tasks on it, for the tests of training and bundles."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from bidsapp.recipes.schema import Recipe
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.sample import CohortRow
from bidsapp.training.splits import make_splits
from bidsapp.training.task import FoldTask

AFFINE = np.array([[2, 0, 0, -20], [0, 2, 0, -24], [0, 0, 2, -20], [0, 0, 0, 1.0]])


def small_recipe(**sections: Any) -> Recipe:
    """A compact network on an axial slab of 12 slices; sections are merged into the defaults."""
    values: dict[str, Any] = {
        "name": "small",
        "summary": "for tests",
        "outcome": {"column": "pain", "positive": ["yes"]},
        "representation": {"kind": "slab", "plane": "axial", "slices": 12},
        "network": {
            "name": "resnet",
            "depth": 10,
            "stem_stride": 2,
            "stem_pool": True,
            "start": "random",
        },
        "training": {"epochs": 2, "batch_size": 6},
        "protocol": {"kind": "kfold", "folds": 4},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section if isinstance(section, dict) else section
    return Recipe.model_validate(values)


def write_cohort(
    folder: Path,
    n: int = 24,
    contrast: float = 0.5,
    shape: tuple[int, int, int] = (20, 24, 20),
    seed: int = 0,
    shuffle: bool = False,
) -> tuple[list[CohortRow], pd.DataFrame]:
    """Noise images; every second participant has a cuboid of `contrast` and is positive."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows, outcomes = [], []
    for i in range(n):
        image = rng.random(shape, np.float32) * 0.5
        if i % 2:
            image[6:12, 8:14, 8:14] += contrast
        label = f"sub-{i:02d}"
        images = {}
        for name, volume in (("t1w", image), ("log_jacobian", image - 0.5)):
            images[name] = folder / f"{label}_{name}.nii.gz"
            nib.save(nib.Nifti1Image(volume.astype(np.float32), AFFINE), images[name])
        rows.append(CohortRow(label, "", images))
        outcomes.append(i % 2)
    if shuffle:
        outcomes = list(rng.permutation(outcomes))
    people = [row.participant_id for row in rows]
    table = pd.DataFrame({"participant_id": people, "session_id": "n/a", "outcome": outcomes})
    table.to_csv(folder / "cohort.tsv", sep="\t", index=False)
    return rows, table


def prepare_tasks(
    folder: Path,
    recipe: Recipe,
    checkpoint_every_s: float = 1e9,
    mask: Path | None = None,
    **cohort: Any,
) -> list[FoldTask]:
    """Write cohort, splits and array into `folder`; one task per fold, on the CPU."""
    rows, table = write_cohort(folder, **cohort)
    splits = make_splits(table, recipe.protocol)
    splits.to_csv(folder / "splits.tsv", sep="\t", index=False)
    array = build_cohort_array(rows, recipe.representation, folder / "arrays", mask)
    folds = splits[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    return [
        FoldTask(
            recipe,
            "base",
            int(repeat),
            int(fold),
            array.path,
            folder / "cohort.tsv",
            folder / "splits.tsv",
            folder / f"repeat-{repeat}_fold-{fold}",
            device="cpu",
            threads=1,
            checkpoint_every_s=checkpoint_every_s,
        )
        for repeat, fold in folds
    ]


def train_and_score(task: FoldTask) -> None:
    """Run a task as a process of its own would."""
    from bidsapp.training.fold import score_fold, train_fold

    train_fold(task)
    score_fold(task)
