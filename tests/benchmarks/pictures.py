"""How long training on regions of necks takes: ours beside a plain loop that reads files.

Run from the repository root: ``python -m tests.benchmarks.pictures``. EfficientNetV2-B0 with the
printed head on pictures of 100 × 100, batch 8, RMSprop: as many as train in one of ten folds of 288
(259), and 29 that are held out. Both take the same network, weights and optimiser in float32 on one
thread; the plain loop reads each picture's .nii.gz in every epoch, by torch's DataLoader.

``--whole FOLDER`` runs the study itself instead, as a user does: 288 synthetic necks through both
levels of the app on two processes, with maps, checks, baselines and moved boxes as the recipe has
them, from random weights. Beside it one fold of all epochs by the plain loop, times ten.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch

from bidsapp.modalities.spine.files import write_picture
from bidsapp.modalities.spine.phantom import write_phantom
from bidsapp.networks.registry import build_network
from bidsapp.recipes.learning import LearningRates, Network, Training
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.loop import FoldData, LoopSettings, fit

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

        image: Any = nib.load(self.files[i])
        values = image.get_fdata(dtype=np.float32)[None, ..., 0]
        return torch.from_numpy(np.ascontiguousarray(values)), torch.tensor([float(i % 2)])


def plain_epochs(values: np.ndarray, epochs: int) -> list[float]:
    """CPU seconds of the first epoch, and of one of several: a plain loop."""
    net = network().train()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=RATE, alpha=0.9, eps=1e-7)
    criterion = torch.nn.BCEWithLogitsLoss()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.nii.gz" for i in range(len(values))]
        for file, picture in zip(files, values, strict=True):
            write_picture(file, picture)
        held = len(values) // FOLDS + 1
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


def spent(process: psutil.Process) -> float:
    """CPU seconds of a process and of all that it started."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def watched(level: str, folder: Path, *words: str) -> list[tuple[float, float, str]]:
    """Run a level of the app: of each line that it says, wall and CPU seconds until then.

    Raises
    ------
    SystemExit
        It ended with another code than 0.
    """
    command = [sys.executable, "-m", "bidsapp", str(folder / "necks"), str(folder / "out"), level]
    command += ["--recipe", "wang2023", "--skip-bids-validation", "-w", str(folder / "work")]
    command += ["--nprocs", str(CORES), "--device", "cpu", *words]
    begun, lines = time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        tree = psutil.Process(process.pid)
        for line in process.stdout:
            cpu = spent(tree) if tree.is_running() else lines[-1][1]
            lines.append((time.monotonic() - begun, cpu, line.rstrip()))
    if process.returncode:
        print(*(line for _, _, line in lines), sep="\n", file=sys.stderr)
        raise SystemExit(2)
    return lines


def whole(folder: Path, people: int, changes: list[str]) -> None:
    """Run the study through both levels and print what it took."""
    for name in ("out", "work"):  # nothing of an earlier run may be kept
        shutil.rmtree(folder / name, ignore_errors=True)
    if not (folder / "necks").is_dir():
        write_phantom(folder / "necks", people)
    wall, cpu, _ = watched("participant", folder)[-1]
    print(f"participant level: {people} necks, {wall / 60:.1f} min, {cpu / 60:.1f} CPU min")
    chosen = ("--variants", "b0", "--set", "network.start=random", *changes)
    lines = watched("group", folder, *chosen)
    trained = next(line for line in lines if re.match(r"\[(\d+)/\1\] .*: done", line[2]))
    history = pd.read_csv(folder / "out/group/wang2023/history.tsv", sep="\t")
    folds = history[["repeat", "fold"]].drop_duplicates()
    epochs = len(history) // len(folds)
    print(
        f"group level on {CORES} processes: {len(folds)} folds of {epochs} epochs trained after "
        f"{trained[0] / 60:.1f} min, {trained[1] / 60:.1f} CPU min; with maps, checks, baselines "
        f"and report after {lines[-1][0] / 60:.1f} min, {lines[-1][1] / 60:.1f} CPU min",
        flush=True,
    )
    first, mean = plain_epochs(pictures()[:people], epochs - 1)
    plain = len(folds) * (first + mean * (epochs - 1))
    print(
        f"plain loop: {plain / 60:.1f} CPU min for {len(folds)} folds of {epochs} epochs (one fold "
        f"measured); the app took {trained[1] / plain:.2f} times as long until all were trained"
    )


def main() -> int:
    """Time both and print what a study takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pictures")
    parser.add_argument("--epochs", type=int, default=2, help="of each, after one that warms up")
    parser.add_argument("--whole", type=Path, metavar="FOLDER", help="run the study itself there")
    parser.add_argument("--people", type=int, default=PEOPLE, help="with --whole")
    parser.add_argument("--set", nargs="*", default=[], help="with --whole: changes of the recipe")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.whole:
        whole(given.whole, given.people, given.set)
        return 0
    epochs = given.epochs
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
