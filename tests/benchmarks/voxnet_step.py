"""What a training step of VoxNet costs at the size of Teh et al. (2022), beside a plain loop.

Run as ``python -m tests.benchmarks.voxnet_step [--people N] [--steps N]``. Maps of 30 components at
2 mm (91 × 109 × 91 voxels, noise) lie in a file as 16-bit numbers, as the group level keeps them;
the plain loop has the same file under a torch Dataset and DataLoader, and the same network, in
float32. Both in one thread; CPU seconds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bidsapp.networks.predict import in_batches, place
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.representation.device import autocast
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.inputs import FoldData, prepare
from bidsapp.training.loop import loss_of
from bidsapp.training.optimizer import build_optimizer

SHAPE, COMPONENTS, BATCH = (91, 109, 91), 30, 4
# The study: 43 people, 10 folds, 100 epochs.
PEOPLE, FOLDS, EPOCHS = 43, 10, 100
MOST = 1.0
CPU = torch.device("cpu")


class Maps(torch.utils.data.Dataset):
    """The file as a plain loop reads it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __len__(self) -> int:
        """Count the people."""
        return len(self.array)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give one person's maps and label."""
        return torch.from_numpy(self.array[i].astype(np.float32)), torch.tensor(float(i % 2))


def ours(array: np.ndarray, steps: int, dtype: torch.dtype) -> float:
    """CPU seconds of a step of the app's loop."""
    recipe = load_recipe("teh2022")
    rows = np.arange(len(array))
    data = FoldData(
        DeviceCohort(ImageRows(array), CPU),
        torch.from_numpy((rows % 2).astype(np.float32)),
        PerBatch.on(CPU, []),
        *(rows, rows[:0], rows[:0]),
    )
    network = place(build_network(recipe.network, COMPONENTS, 0, SHAPE), CPU).train()
    optimizer = build_optimizer(network, recipe.training)
    generator = torch.Generator(CPU).manual_seed(0)
    batches = in_batches(rows, BATCH)[: steps + 1]
    begun = time.process_time()
    for number, (some, images) in enumerate(
        zip(batches, data.cohort.batches(batches), strict=True)
    ):
        if number == 1:  # the first one makes ready
            begun = time.process_time()
        x = prepare(images, some, data, recipe.training, generator)
        with autocast(CPU, dtype):
            logits = network(x)
        loss_of(logits, data.labels[some], 1.0).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return (time.process_time() - begun) / steps


def plain(array: np.ndarray, steps: int) -> float:
    """CPU seconds of a step of a loop as one writes it."""
    network = build_network(load_recipe("teh2022").network, COMPONENTS, 0, SHAPE).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, eps=0.1)
    criterion = torch.nn.BCEWithLogitsLoss()
    loader = torch.utils.data.DataLoader(Maps(array), BATCH, shuffle=True)
    begun = time.process_time()
    for number, (x, y) in enumerate(loader):
        if number == 1:
            begun = time.process_time()
        if number > steps:
            break
        optimizer.zero_grad()
        criterion(network(x)[:, 0], y).backward()
        optimizer.step()
    return (time.process_time() - begun) / steps


def main() -> int:
    """Time both; 1 where a step of ours costs more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        array = np.lib.format.open_memmap(
            Path(folder) / "maps.npy", "w+", np.float16, (given.people, COMPONENTS, *SHAPE)
        )
        rng = np.random.default_rng(0)
        for one in array:
            one[:] = rng.standard_normal(one.shape, np.float32)
        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        spent = {name: ours(array, given.steps, dtype) for name, dtype in kinds.items()}
        theirs = plain(array, given.steps)
    steps = FOLDS * EPOCHS * -(-PEOPLE * (FOLDS - 1) // FOLDS // BATCH)
    print(f"VoxNet on {COMPONENTS} maps of {' × '.join(map(str, SHAPE))}, batches of {BATCH}")
    print(f"plain torch loop, float32   {theirs:6.2f} s of CPU a step")
    for name, seconds in spent.items():
        whole = seconds * steps / 3600
        print(
            f"ours, {name:8}              {seconds:6.2f} s, {seconds / theirs:.2f} times; "
            f"{FOLDS} folds of {EPOCHS} epochs, {steps} steps: {whole:.0f} h of one core"
        )
    return 0 if min(spent.values()) <= MOST * theirs else 1


if __name__ == "__main__":
    raise SystemExit(main())
