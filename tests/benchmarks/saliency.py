"""What maps cost, in training steps, and how well each method finds what was planted.

Run from the repository root:
``python -m tests.benchmarks.saliency --parts cost``, and
``python -m tests.benchmarks.saliency --parts planted --normalised OUT`` with an output folder of
the participant level, into whose normalised images a cuboid is planted for half of the people.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from bidsapp.networks.predict import place
from bidsapp.networks.registry import build_network
from bidsapp.normalization.compute import threads
from bidsapp.phantom.region import RIGHT_INSULA, plant_cuboid
from bidsapp.recipes import load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.device import autocast, precision_dtype
from bidsapp.representation.sample import CohortRow
from bidsapp.representation.zscore import ZScore
from bidsapp.saliency.attribute import attribute
from bidsapp.saliency.lens import Lens
from bidsapp.saliency.methods import METHODS
from bidsapp.saliency.smoothing import MaskedSmoother
from bidsapp.training.fold import load_fold, train_fold
from bidsapp.training.loop import loss_of
from bidsapp.training.optimizer import build_optimizer
from bidsapp.training.task import FoldTask

CPU = torch.device("cpu")
SLAB = (79, 95, 30)
BATCH = 6
SAMPLES = 16
TOP = 0.01
AGGREGATIONS = ("mean |map|", "mean |map|, smoothed", "mean map", "mean map, smoothed")


def settings_of(method: str) -> Saliency:
    """The recipe's section for a method, with fewer draws than its default."""
    given = {"method": method, "smoothing_fwhm_mm": 5.0}
    if method in ("smoothgrad", "integrated_gradients"):
        given["samples"] = SAMPLES
    return Saliency.model_validate(given)


def lens_of(method: str, zscore: ZScore) -> Lens:
    """How images are looked at."""
    return Lens(settings_of(method), zscore, (2.0, 2.0, 2.0), CPU, BATCH)


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Median CPU seconds; the first run only warms up."""
    found = []
    for _ in range(times + 1):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found[1:])


def cost(methods: Sequence[str], times: int) -> None:
    """Print each method's cost for a batch as a multiple of a training step on the same batch."""
    recipe = load_recipe("t1w").with_variant("image_axial")
    network = place(build_network(recipe.network, 1), CPU).train()
    optimizer = build_optimizer(network, recipe.training)
    images = np.random.default_rng(0).random((BATCH, 1, *SLAB), np.float32).astype(np.float16)
    x = torch.from_numpy(images).float().contiguous(memory_format=torch.channels_last_3d)
    labels = torch.tensor([0.0, 1.0] * (BATCH // 2))
    dtype = precision_dtype("auto", CPU)

    def step(kind: torch.dtype) -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(CPU, kind):
            logits = network(x)
        loss_of(logits, labels, 1.0).backward()
        optimizer.step()

    trained = seconds_of(lambda: step(dtype), times)
    exact = trained if dtype == torch.float32 else seconds_of(lambda: step(torch.float32), times)
    print(f"compact ResNet-10, {BATCH} axial slabs, one thread, CPU seconds")
    print(f"training step: {trained:.2f} s ({dtype}), {exact:.2f} s (float32)")
    names = [str(i) for i in range(BATCH)]
    for method in methods:
        lens = lens_of(method, ZScore("none"))
        few = 1 if method == "occlusion" else BATCH
        own = images[:few]
        spent = seconds_of(lambda a=own, b=lens, n=few: attribute(network, a, names[:n], b), times)
        a_person = spent / few
        print(
            f"{method:<22}{a_person:8.2f} s a person, {a_person * BATCH / trained:8.1f} training "
            f"steps a batch ({a_person * BATCH / exact:.1f} in float32)",
            flush=True,
        )


def planted_tasks(out: Path, folder: Path, seed: int, contrast: float, people: int) -> FoldTask:
    """Plant a cuboid into the normalised images of a random half; one fold of four."""
    files = sorted(out.glob("sub-*/**/*_res-2_desc-preproc_T1w.nii.gz"))[:people]
    rng = np.random.default_rng(seed)
    outcome = rng.permutation(np.arange(len(files)) % 2)
    rows, lines, splits = [], [], []
    for i, (file, positive) in enumerate(zip(files, outcome, strict=True)):
        image = nib.load(file)
        voxels = np.asarray(image.dataobj, np.float32)
        if positive:
            centre, size = RIGHT_INSULA.centre_mm, RIGHT_INSULA.size_mm
            voxels = plant_cuboid(voxels, image.affine, centre, size, contrast)
        who = f"sub-{i:03d}"
        path = folder / f"{who}.nii.gz"
        nib.save(nib.Nifti1Image(voxels, image.affine), path)
        rows.append(CohortRow(who, "", {"t1w": path}))
        lines.append((who, "n/a", int(positive)))
    for label in (0, 1):
        for i, index in enumerate(np.flatnonzero(outcome == label)):
            role = "test" if i % 4 == 0 else "train"
            splits.append((0, 0, f"sub-{index:03d}", role))
    table = pd.DataFrame(lines, columns=["participant_id", "session_id", "outcome"])
    table.to_csv(folder / "cohort.tsv", sep="\t", index=False)
    pd.DataFrame(splits, columns=["repeat", "fold", "participant_id", "role"]).to_csv(
        folder / "splits.tsv", sep="\t", index=False
    )
    recipe = load_recipe("t1w", (f"training.seed={seed}",)).with_variant("image_axial")
    array = build_cohort_array(rows, recipe.representation, folder / "arrays")
    return FoldTask(
        recipe,
        "planted",
        0,
        0,
        array.path,
        folder / "cohort.tsv",
        folder / "splits.tsv",
        folder / "fold",
        device="cpu",
        threads=1,
    )


def share_inside(values: np.ndarray, region: np.ndarray) -> float:
    """Share of the top 1 % of voxels, the largest values, that lie in the region."""
    top = np.argsort(-values, kind="stable")[: max(1, round(TOP * values.size))]
    return float(region[top].mean())


def planted_once(
    out: Path, seed: int, contrast: float, people: int, methods: Sequence[str], explained: int
) -> dict[tuple[str, str], float]:
    """Train on one planting; the share inside for every method and aggregation."""
    found: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        task = planted_tasks(out, Path(name), seed, contrast, people)
        train_fold(task)
        network, record = load_fold(task)
        rows = task.rows("test")
        rows = rows[task.table["outcome"].to_numpy()[rows] == 1][:explained]
        images = np.asarray(task.images.open()[rows])
        window = task.images.window
        everybody = np.asarray(task.images.open()[:, 0], np.float32)
        inside = (everybody > 0).mean(axis=0) > 0.5
        ones = np.zeros(window.grid_shape, np.float32)
        affine = np.array(window.grid_affine)
        place_mm = RIGHT_INSULA.centre_mm, RIGHT_INSULA.size_mm
        region = window.cut(plant_cuboid(ones, affine, *place_mm, 1.0, relative=False)) > 0.5
        smoother = MaskedSmoother(inside, (2.0, 2.0, 2.0), 5.0)
        zscore = ZScore.from_dict(record["zscore"])
        untrained = build_network(task.recipe.network, 1, seed + 1000)
        looked = [(method, network) for method in methods]
        looked.append(("gradient_x_input, untrained", untrained))
        for title, model in looked:
            method = title.partition(",")[0]
            few = 2 if method == "occlusion" else len(images)
            names = [str(i) for i in range(few)]
            maps = attribute(model, images[:few], names, lens_of(method, zscore)).sum(axis=1)
            size, signed = (v[inside] for v in (np.abs(maps).mean(0), maps.mean(0)))
            each = (size, smoother(size), signed, smoother(signed))
            for aggregation, values in zip(AGGREGATIONS, each, strict=True):
                found[title, aggregation] = share_inside(values, region[inside])
        best = min(1.0, region[inside].sum() / round(TOP * inside.sum()))
        found["best possible", AGGREGATIONS[0]] = float(best)
        found["by chance", AGGREGATIONS[0]] = float(region[inside].mean())
    return found


def planted(options: argparse.Namespace) -> None:
    """Print the share inside, mean over seeds, with the least and the largest."""
    tables = []
    for seed in range(options.seeds):
        one = planted_once(
            options.normalised,
            seed,
            options.contrast,
            options.people,
            options.methods,
            options.explained,
        )
        tables.append(one)
        print(f"seed {seed}: {one['gradient_x_input', AGGREGATIONS[-1]]:.2f}", flush=True)
    print(f"share of the top 1 % inside; contrast {options.contrast}, {options.seeds} seeds")
    print("| method | " + " | ".join(AGGREGATIONS) + " |")
    print("|---" * (len(AGGREGATIONS) + 1) + "|")
    for title in dict.fromkeys(title for title, _ in tables[0]):
        cells = []
        for aggregation in AGGREGATIONS:
            values = [
                table[title, aggregation] for table in tables if (title, aggregation) in table
            ]
            spread = f"{min(values):.2f}–{max(values):.2f}" if values else ""
            cells.append(f"{statistics.mean(values):.2f} ({spread})" if values else "")
        print(f"| {title} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=("cost", "planted"), default=["cost"])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--times", type=int, default=2, help="timed repeats after one of warm-up")
    parser.add_argument("--normalised", type=Path, help="output folder of the participant level")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--explained", type=int, default=6, help="held-out positives a seed")
    parser.add_argument("--contrast", type=float, default=0.2, help="0.2: a fifth brighter")
    options = parser.parse_args()
    with threads(1):
        if "cost" in options.parts:
            cost(options.methods, options.times)
        if "planted" in options.parts:
            if options.normalised is None:
                parser.error("--parts planted needs --normalised OUT")
            planted(options)


if __name__ == "__main__":
    main()
