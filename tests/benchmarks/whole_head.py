"""What one training step of each network of wei2023 takes on a whole head: memory and seconds.

Run from the repository root: ``python -m tests.benchmarks.whole_head`` (many minutes on a CPU).
Each network has a process of its own, whose highest resident memory is told; libraries and images
are in it. ``--at-once`` images of the batch are in memory together, as ``training.at_once`` has it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

NETWORKS = ("resnet18", "resnet34", "resnet50", "resnext50", "densenet121")


def main() -> None:
    """Time every network, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 170))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(one_step(given.alone, tuple(given.shape), given.batch, given.at_once)))
        return
    shape = "x".join(map(str, given.shape))
    print(f"a step of {given.batch} images of {shape}, {given.at_once} in memory at once, CPU")
    for name in given.networks:
        arguments = [sys.executable, "-m", "tests.benchmarks.whole_head", *sys.argv[1:]]
        done = subprocess.run(
            [*arguments, "--alone", name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
            print(f"{name:12} failed: {why[0]}", flush=True)
            continue
        found = json.loads(done.stdout)
        print(
            f"{name:12} {found['parameters'] / 1e6:6.2f} M parameters  {found['cpu']:7.1f} CPU s  "
            f"{found['wall']:7.1f} s  {found['gb']:5.2f} GB  {found['dtype']}",
            flush=True,
        )


def one_step(name: str, shape: tuple[int, ...], batch: int, at_once: int) -> dict[str, object]:
    """Take one step as the training loop takes it: augmentation, parts of a batch, optimiser.

    Parameters
    ----------
    name
        Variant of the recipe.
    shape
        Voxels of an image.
    batch, at_once
        Images of the step, and in memory together.
    """
    import numpy as np
    import torch

    from bidsapp.networks.predict import place
    from bidsapp.networks.registry import build_network, count_parameters
    from bidsapp.recipes import load_recipe
    from bidsapp.representation.device import autocast, precision_dtype
    from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
    from bidsapp.representation.image_rows import ImageRows
    from bidsapp.training.inputs import FoldData, prepare
    from bidsapp.training.loop import in_parts, loss_of
    from bidsapp.training.optimizer import build_optimizer

    recipe = load_recipe("wei2023").with_variant(name)
    device, section = torch.device("cpu"), recipe.training
    dtype = precision_dtype(section.precision, device)
    images = np.random.default_rng(0).random((batch, 1, *shape), np.float32).astype(np.float16)
    labels = torch.from_numpy((np.arange(batch) % 2).astype(np.float32))
    numbers = [np.full((batch, 1), value, np.float32) for value in (0.5, 0.29)]
    rows = np.arange(batch)
    cohort = DeviceCohort(ImageRows(images), device)
    scale = PerBatch.on(device, [(numbers[0], numbers[1])])
    data = FoldData(cohort, labels, scale, rows, rows[:0], rows[:0])
    network = place(build_network(recipe.network, 1), device).train()
    optimizer = build_optimizer(network, section)
    generator = torch.Generator(device).manual_seed(0)
    wall, cpu = time.perf_counter(), time.process_time()
    (loaded,) = data.cohort.batches([rows])
    x = prepare(loaded, rows, data, section, generator)
    optimizer.zero_grad(set_to_none=True)
    for part in in_parts(batch, at_once):
        with autocast(device, dtype):
            outputs = network(x[part])
        loss = loss_of(outputs, labels[rows[part]], section.positive_weight)
        (loss * (part.stop - part.start) / batch).backward()
    optimizer.step()
    return {
        "parameters": count_parameters(network),
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "dtype": str(dtype).removeprefix("torch."),
    }


if __name__ == "__main__":
    main()
