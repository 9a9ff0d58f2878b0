"""What maps cost: each method as a multiple of a training step on the same batch.

Run from the repository root: ``python -m tests.benchmarks.saliency``.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from bidsapp.execution.compute import threads
from bidsapp.networks.predict import place
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.chain import Chain
from bidsapp.representation.device import autocast, precision_dtype
from bidsapp.saliency.attribute import Lens, attribute
from bidsapp.saliency.methods import METHODS
from bidsapp.training.loop import loss_of
from bidsapp.training.optimizer import build_optimizer

CPU = torch.device("cpu")
SLAB = (79, 95, 30)
BATCH = 6
# Timed with few draws and few cubes; what the preset takes follows from their number.
SAMPLES = 4
PATCH_MM = 48.0
PRESET = Saliency.preset


def settings_of(method: str) -> tuple[Saliency, float]:
    """Settings that are timed, and how many times as much work those of the preset are."""
    if method in ("smoothgrad", "integrated_gradients"):
        few = Saliency.model_validate({"method": method, "samples": SAMPLES})
        return few, PRESET["samples"] / SAMPLES
    if method == "occlusion":
        few = Saliency.model_validate({"method": method, "patch_mm": PATCH_MM})
        return few, cubes(PRESET["patch_mm"]) / cubes(PATCH_MM)
    return Saliency.model_validate({"method": method}), 1.0


def cubes(edge_mm: float) -> int:
    """Number of places of a cube that moves through the slab by half its edge."""
    count = 1
    for size in SLAB:
        edge = min(max(round(edge_mm / 2), 1), size)
        count *= 1 + -(-(size - edge) // max(edge // 2, 1))
    return count


def lens_of(method: str, fitted: Chain) -> Lens:
    """How images are looked at."""
    return Lens(settings_of(method)[0], fitted, (2.0, 2.0, 2.0), CPU, BATCH)


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
        lens = lens_of(method, Chain())
        few = 1 if method == "occlusion" else BATCH
        own = images[:few]
        spent = seconds_of(lambda a=own, b=lens, n=few: attribute(network, a, names[:n], b), times)
        a_person = spent / few * settings_of(method)[1]
        print(
            f"{method:<22}{a_person:8.2f} s a person, {a_person * BATCH / trained:8.1f} training "
            f"steps a batch ({a_person * BATCH / exact:.1f} in float32)",
            flush=True,
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--times", type=int, default=2, help="timed repeats after one of warm-up")
    options = parser.parse_args()
    with threads(1):
        cost(options.methods, options.times)


if __name__ == "__main__":
    main()
