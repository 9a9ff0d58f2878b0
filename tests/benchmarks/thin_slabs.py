"""What a network over a thin slab costs on a CPU, beside the same network by torch's convolution.

Run as ``python -m tests.benchmarks.thin_slabs`` with ``OMP_NUM_THREADS=1``. A ResNet-10 (first
convolution of stride 2, max-pool) on six slabs of 79 × 95 voxels in float32: CPU milliseconds of a
step (forward, backward) and of an answer, alternately. Slabs of 6 slices are left out, as torch's
own gradient of the first layer is wrong on them, and may crash.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from bidsapp.networks.blocks import SmallSafeConv3d
from bidsapp.networks.registry import build_network
from bidsapp.recipes.network import Network

SLICES, BATCH, TIMES = (10, 30), 6, 5


def _cost(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def main() -> None:
    """Print the table."""
    section = Network(name="resnet", depth=10, stem_stride=2, stem_pool=True, start="random")
    own = SmallSafeConv3d.forward
    print("| slices | what | ours, ms | torch's convolution, ms | ratio |\n|---|---|---|---|---|")
    for slices in SLICES:
        shape = (79, 95, slices)
        network = build_network(section, 1, 0, shape)
        x = torch.randn((BATCH, 1, *shape), generator=torch.Generator().manual_seed(0))

        def step(network: nn.Module = network, x: torch.Tensor = x) -> None:
            network.train().zero_grad()
            network(x).sum().backward()

        def answer(network: nn.Module = network, x: torch.Tensor = x) -> None:
            with torch.inference_mode():
                network.eval()(x)

        for what, work in (("step", step), ("answer", answer)):
            spent: dict[str, list[float]] = {"ours": [], "torch": []}
            for _ in range(TIMES):
                for whose, forward in (("ours", own), ("torch", nn.Conv3d.forward)):
                    SmallSafeConv3d.forward = forward  # type: ignore[method-assign]
                    spent[whose].append(_cost(work))
            SmallSafeConv3d.forward = own  # type: ignore[method-assign]
            mine, other = (statistics.median(spent[whose]) for whose in ("ours", "torch"))
            print(f"| {slices} | {what} | {mine:.0f} | {other:.0f} | {mine / other:.2f} |")


if __name__ == "__main__":
    main()
