"""How long training on regions of necks takes: ours beside a plain loop that reads files.

Run from the repository root: ``python -m tests.benchmarks.pictures``. EfficientNetV2-B0 with the
printed head on pictures of 100 × 100, batch 8, RMSprop: as many as train in one of ten folds of 288
(259), and 29 that are held out. Both take the same network, weights and optimiser in float32 on one
thread; the plain loop reads each picture's .nii.gz in every epoch, by torch's DataLoader.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bidsapp.modalities.spine.files import write_picture
from bidsapp.networks.registry import build_network
from bidsapp.recipes.learning import LearningRates, Training
from bidsapp.recipes.network import Network
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.inputs import FoldData
from bidsapp.training.loop import LoopSettings, fit

SIZE, PEOPLE, FOLDS, EPOCHS, CORES = 100, 288, 10, 26, 2
RATE, BATCH = 1e-5, 8
SECTION = Network(name="efficientnetv2", depth=0, dims=2, start="random", head="dense",
                  drop_path=0.2)  # fmt: skip


def pictures() -> np.ndarray:
    """Noise in the range of a region's picture, uint8 (people, size, size)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (PEOPLE, SIZE, SIZE), np.uint8)


def network() -> torch.nn.Module:
    """The network, the same weights each time."""
    return build_network(SECTION, 1, 0, (SIZE, SIZE))


def our_epochs(values: np.ndarray, epochs: int) -> list[float]:
    """CPU seconds of the first epoch, and of one of several: a fold as the app trains it."""
    cpu = torch.device("cpu")
    images = (values / 255).astype(np.float16)[:, None]
    rows = np.arange(PEOPLE)
    train, test = rows[PEOPLE // FOLDS + 1 :], rows[: PEOPLE // FOLDS + 1]
    labels = torch.from_numpy((rows % 2).astype(np.float32))
    nothing = np.zeros((PEOPLE, 1), np.float32)
    scale = PerBatch.on(cpu, [(nothing, nothing + 1)])
    data = FoldData(DeviceCohort(ImageRows(images), cpu), labels, scale, train, rows[:0], test)
    seconds = []
    for count in (1, epochs):  # the first one warms up
        section = Training(
            optimizer="rmsprop",
            decay=0.9,
            epsilon=1e-7,
            batch_size=BATCH,
            lr=LearningRates(head=RATE, backbone=RATE),
            weight_decay=0.0,
            epochs=count,
            precision="float32",
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "checkpoint.pt"
            settings = LoopSettings(section, SECTION, (0, 0, 0), torch.float32, file, "x")
            before = time.process_time()
            fit(network(), data, settings)
            seconds.append((time.process_time() - before) / count)
    return seconds


class Files(torch.utils.data.Dataset):
    """What a plain loop does: every picture from its file, every time."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read one."""
        import nibabel as nib

        image: Any = nib.Nifti1Image.load(self.files[i])
        values = image.get_fdata(dtype=np.float32)[None, ..., 0]
        return torch.from_numpy(np.ascontiguousarray(values)), torch.tensor([float(i % 2)])


def plain_epochs(values: np.ndarray, epochs: int) -> list[float]:
    """CPU seconds of the first epoch, and of one of several: a plain loop."""
    net = network().train()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=RATE, alpha=0.9, eps=1e-7)
    criterion = torch.nn.BCEWithLogitsLoss()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.nii.gz" for i in range(PEOPLE)]
        for file, picture in zip(files, values, strict=True):
            write_picture(file, picture)
        held = PEOPLE // FOLDS + 1
        train, test = Files(files[held:]), Files(files[:held])
        for _ in range(1 + epochs):
            before = time.process_time()
            net.train()
            for x, y in torch.utils.data.DataLoader(train, BATCH, shuffle=True, drop_last=True):
                optimizer.zero_grad()
                criterion(net(x), y).backward()
                optimizer.step()
            net.eval()
            with torch.inference_mode():
                for x, y in torch.utils.data.DataLoader(test, BATCH):
                    criterion(net(x), y)
            seconds.append(time.process_time() - before)
    return [seconds[0], sum(seconds[1:]) / epochs]


def main() -> int:
    """Time both and print what a study takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pictures")
    parser.add_argument("--epochs", type=int, default=2, help="of each, after one that warms up")
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    values = pictures()
    found = {}
    for name, run in (("ours", our_epochs), ("plain", plain_epochs)):
        seconds = run(values, epochs)
        found[name] = seconds[-1]
        hours = FOLDS * EPOCHS * seconds[-1] / CORES / 3600
        print(
            f"{name:<6} {seconds[-1]:7.1f} CPU s an epoch (first one {seconds[0]:.1f}); "
            f"{FOLDS} folds of {EPOCHS} epochs on {CORES} cores: about {hours:.2f} h, extrapolated"
        )
    print(f"ours takes {found['ours'] / found['plain']:.2f} times as long as the plain loop")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
