"""How well each method finds a cuboid that was planted into real heads.

Run from the repository root: ``python -m tests.benchmarks.planted --normalised OUT --work FOLDER``
with an output folder of the participant level. For each seed a cuboid is planted into the images
of a random half of the people, and as many folds are trained as asked for. Folds and maps stay in
FOLDER: a killed run goes on, and a run with more methods, seeds or folds adds to what is there.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from bidsapp.execution.compute import threads
from bidsapp.networks.registry import build_network
from bidsapp.phantom.region import RIGHT_INSULA, plant_cuboid
from bidsapp.recipes import load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.cohort_array import CohortArray, build_cohort_array
from bidsapp.representation.device_cohort import PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.representation.sample import CohortRow
from bidsapp.saliency.attribute import attribute, lens_of
from bidsapp.saliency.methods import METHODS
from bidsapp.spaces.grid import MaskedSmoother
from bidsapp.training.fold import load_fold, score_fold, train_fold
from bidsapp.training.task import FoldTask

TOP = 0.01
SPLIT = 4
DEFAULT = "gradient"
UNTRAINED = tuple(f"{method}, untrained" for method in (DEFAULT, "gradient_x_input"))
SIDES = ("mean |map|", "mean map")


def planted_tasks(options: argparse.Namespace, seed: int) -> list[FoldTask]:
    """Plant a cuboid into the normalised images of a random half; every fold of four."""
    edges = "x".join(f"{mm:g}" for mm in options.size)
    folder = options.work / f"{edges}mm_{options.contrast}_seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(options.normalised.glob("sub-*/**/*_res-2_desc-preproc_T1w.nii.gz"))
    files = files[: options.people]
    outcome = np.random.default_rng(seed).permutation(np.arange(len(files)) % 2)
    rows, lines = [], []
    for i, (file, positive) in enumerate(zip(files, outcome, strict=True)):
        who = f"sub-{i:03d}"
        path = folder / f"{who}.nii.gz"
        if not path.exists():
            _plant(file, path, options.contrast if positive else 0.0, options.size)
        rows.append(CohortRow(who, "", {"t1w": path}))
        lines.append((who, "n/a", int(positive)))
    splits = [
        (0, fold, f"sub-{person:03d}", "test" if place % SPLIT == fold else "train")
        for fold in range(SPLIT)
        for label in (0, 1)
        for place, person in enumerate(np.flatnonzero(outcome == label))
    ]
    tables = {
        "cohort": pd.DataFrame(lines, columns=["participant_id", "session_id", "outcome"]),
        "splits": pd.DataFrame(splits, columns=["repeat", "fold", "participant_id", "role"]),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    own = (f"training.seed={seed}", *options.set)
    recipe = load_recipe("t1w", own).with_variant("image_axial")
    array = build_cohort_array(rows, recipe.representation, folder / "arrays")
    name = "_".join(["fold", *(text.partition("=")[2] for text in options.set)])
    return [
        FoldTask(
            recipe,
            "planted",
            0,
            fold,
            array.path,
            folder / "cohort.tsv",
            folder / "splits.tsv",
            folder / f"{name}-{fold}",
            device="cpu",
            threads=1,
        )
        for fold in range(SPLIT)
    ]


def _plant(source: Path, target: Path, contrast: float, size: Sequence[float]) -> None:
    image = nib.Nifti1Image.load(source)
    voxels = np.asarray(image.dataobj, np.float32)
    if contrast:
        voxels = plant_cuboid(voxels, image.affine, RIGHT_INSULA.centre_mm, size, contrast)
    nib.save(nib.Nifti1Image(voxels, image.affine), target)


def fold_sums(task: FoldTask, title: str, samples: int) -> Mapping[str, np.ndarray]:
    """Sum the maps of a fold's true positives (untrained: of its positives) by one method.

    Gives ``n``, ``mean |map|`` and ``mean map`` (sums over channels, of n people).
    """
    method = title.partition(",")[0]
    path = task.folder / "benchmark" / f"{title.replace(', ', '_')}.npz"
    if path.is_file():
        return dict(np.load(path))
    network, _ = load_fold(task)
    rows = task.rows("test")
    chosen = task.table["outcome"].to_numpy()[rows] == 1
    if title in UNTRAINED:
        network = build_network(task.recipe.network, 1, task.recipe.training.seed + 1000)
    else:
        scores = pd.read_csv(task.scores_file, sep="\t")
        chosen &= scores["probability"].to_numpy() >= task.recipe.evaluation.threshold
    most = 1 if method == "occlusion" else len(rows)
    images = np.asarray(task.images.open()[rows[chosen][:most]])
    settings: dict[str, Any] = {"method": method}
    if method in ("smoothgrad", "integrated_gradients"):
        settings["samples"] = samples
    lens = replace(lens_of(task), settings=Saliency.model_validate(settings))
    maps = attribute(network, images, [str(i) for i in range(len(images))], lens).sum(axis=1)
    found = {"n": np.array(len(images)), SIDES[0]: np.abs(maps).sum(0), SIDES[1]: maps.sum(0)}
    path.parent.mkdir(exist_ok=True)
    np.savez(path, allow_pickle=False, **found)
    return found


def incomplete(task: FoldTask) -> float:
    """How far integrated gradients, at the preset's steps, are from the answer's difference.

    Of the fold's first positive, as a share of the difference.
    """
    path = task.folder / "benchmark" / "incomplete.txt"
    if not path.is_file():
        network, _ = load_fold(task)
        rows = task.rows("test")
        first = rows[task.table["outcome"].to_numpy()[rows] == 1][:1]
        image = np.asarray(task.images.open()[first])
        settings = Saliency.model_validate({"method": "integrated_gradients"})
        lens = replace(lens_of(task), settings=settings)
        total = float(attribute(network, image, ["0"], lens).sum(dtype=np.float64))
        scale = PerBatch.on(lens.device, lens.fitted.numbers(ImageRows(image), np.arange(1)))
        with torch.no_grad():  # float32, as maps are: bfloat16 is off by as much as is asked for
            seen = (torch.from_numpy(image), torch.zeros(image.shape))
            whole, nothing = (float(network(scale(x, slice(None)))) for x in seen)
        path.write_text(str(abs(total / (whole - nothing) - 1)))
    return float(path.read_text())


def share_inside(values: np.ndarray, region: np.ndarray) -> float:
    """Share of the top 1 % of voxels, the largest values, that lie in the region."""
    top = np.argsort(-values, kind="stable")[: max(1, round(TOP * values.size))]
    return float(region[top].mean())


def places(images: CohortArray, size: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Brain and cuboid in the slab, bool: brain is where most people's images are not 0."""
    inside = (np.asarray(images.open()[:, 0], np.float32) != 0).mean(axis=0) > 0.5
    window: Any = images.space
    nothing = np.zeros(window.grid_shape, np.float32)
    centre = RIGHT_INSULA.centre_mm
    cuboid = plant_cuboid(nothing, np.array(window.grid_affine), centre, size, 1.0, relative=False)
    return inside, window.cut(cuboid) > 0.5


def one_seed(options: argparse.Namespace, seed: int) -> dict[tuple[str, str], float]:
    """Share inside for every row and column of the table."""
    tasks = planted_tasks(options, seed)[: options.folds]
    inside, region = places(tasks[0].images, options.size)
    smoothers = [MaskedSmoother(inside, (2.0,) * 3, fwhm) for fwhm in options.fwhm]
    found: dict[tuple[str, str], float] = {}
    for task in tasks:
        train_fold(task)
        score_fold(task)
    lines = [(title, tasks[:1]) for title in (*options.methods, *UNTRAINED)]
    if len(tasks) > 1:
        lines += [(f"{title}, {len(tasks)} folds", tasks) for title in (DEFAULT, UNTRAINED[0])]
    for line, some in lines:
        title = line.removesuffix(f", {len(tasks)} folds")
        sums = [fold_sums(task, title, options.samples) for task in some]
        people = sum(int(one["n"]) for one in sums)
        found[line, "people"] = people
        if not people:
            continue
        for side in SIDES:
            mean = np.sum([one[side] for one in sums], axis=0)[inside] / people
            for smoother in smoothers:
                column = f"{side}, {smoother.fwhm_mm:g} mm"
                found[line, column] = share_inside(smoother(mean), region[inside])
    if "integrated_gradients" in options.methods:
        found["integrated_gradients", "incomplete"] = incomplete(tasks[0])
    chance = float(region[inside].mean())
    found["by chance", "mean map, 0 mm"] = chance
    found["best possible", "mean map, 0 mm"] = min(1.0, chance / TOP)
    return found


def main() -> None:
    """Measure one seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--normalised", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--contrast", type=float, default=0.3, help="0.3: 30 %% brighter")
    parser.add_argument(
        "--size",
        type=float,
        nargs=3,
        default=(20.0, 40.0, 30.0),
        help="edges in mm; a cuboid smaller than the top 1 %% cannot hold it",
    )
    parser.add_argument("--folds", type=int, default=1, help=f"how many of {SPLIT} are trained")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--samples", type=int, default=8, help="draws or steps of a map")
    parser.add_argument("--fwhm", type=float, nargs="+", default=[0.0, 5.0])
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipe t1w")
    options = parser.parse_args()
    tables = []
    with threads(1):
        for seed in options.seeds:
            tables.append(one_seed(options, seed))
            print_table(tables, options)


def print_table(tables: Sequence[Mapping[tuple[str, str], float]], options: Any) -> None:
    """Print the mean over the seeds so far, with the least and the largest."""
    columns = [f"{side}, {fwhm:g} mm" for side in SIDES for fwhm in options.fwhm]
    print(
        f"share of the top 1 % inside; {len(tables)} seeds, contrast {options.contrast}, "
        f"{' x '.join(f'{mm:g}' for mm in options.size)} mm"
    )
    print("| | people | " + " | ".join(columns) + " | incomplete |")
    print("|---" * (len(columns) + 3) + "|")
    for line in dict.fromkeys(line for line, _ in tables[0]):
        cells = (_cell(tables, line, name) for name in ("people", *columns, "incomplete"))
        print(f"| {line} | {' | '.join(cells)} |", flush=True)


def _cell(tables: Sequence[Mapping[tuple[str, str], float]], line: str, column: str) -> str:
    values = [table[line, column] for table in tables if (line, column) in table]
    if not values:
        return ""
    if column == "people":
        return f"{sum(values):.0f}"
    if column == "incomplete":
        return f"{statistics.mean(values):.4f} (to {max(values):.4f})"
    return f"{statistics.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
