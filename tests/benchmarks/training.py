"""How fast a training step is: ours against a plain MONAI loop, and against the machine.

Run from the repository root: ``python -m tests.benchmarks.training`` (minutes on a CPU), or parts
of it with ``--parts``; ``--device cuda`` times whole epochs of 128 participants instead of steps.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.networks.nets import resnet18
from torch.utils.flop_counter import FlopCounterMode

from bidsapp.networks.predict import in_batches, place
from bidsapp.networks.registry import build_network
from bidsapp.recipes.learning import Training
from bidsapp.recipes.network import Network
from bidsapp.representation.device import autocast, precision_dtype, resolve_device
from bidsapp.representation.device_cohort import DeviceCohort, PerBatch
from bidsapp.representation.image_rows import ImageRows
from bidsapp.training.inputs import FoldData, prepare
from bidsapp.training.loop import loss_of
from bidsapp.training.optimizer import build_optimizer

GRID = (79, 95, 79)
SLAB = (79, 95, 30)
PARTS = ("matmul", "ours", "plain")
CLOCK = [time.perf_counter]
SECTION = Network(name="resnet", depth=18, start="random")
# The study: 8 folds, 3 planes, 50 epochs, 112 of 128 participants in training.
FOLDS, PLANES, EPOCHS, PARTICIPANTS = 8, 3, 50, 128


def monai_network() -> torch.nn.Module:
    """MONAI's own ResNet-18 with the study's stem."""
    return resnet18(
        spatial_dims=3,
        n_input_channels=1,
        conv1_t_size=7,
        conv1_t_stride=1,
        no_max_pool=True,
        num_classes=1,
        shortcut_type="A",
        bias_downsample=True,
    )


def flop_per_sample() -> float:
    """Floating-point operations of a forward and backward pass of one axial slab."""
    with torch.device("meta"):
        network = monai_network()
        x = torch.empty(1, 1, *SLAB)
    counter = FlopCounterMode(display=False)
    with counter:
        network(x).sum().backward()
    return float(counter.get_total_flops())


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Best measured rate of a matrix product, FLOP/s."""
    best = 0.0
    for n in (1024, 2048, 4096) if device.type == "cpu" else (4096, 8192, 16384):
        a = torch.randn(n, n, device=device).to(dtype)
        for _ in range(5):
            start = clock(device)
            a @ a
            best = max(best, 2 * n**3 / (clock(device) - start))
    return best


def clock(device: torch.device) -> float:
    """Seconds, after the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return CLOCK[0]()


def cohort_on(device: torch.device, n: int) -> FoldData:
    """Noise for `n` participants on the device, as training holds it."""
    images = np.random.default_rng(0).random((n, 1, *SLAB), np.float32).astype(np.float16)
    labels = torch.from_numpy((np.arange(n) % 2).astype(np.float32)).to(device)
    numbers = [np.full((n, 1), value, np.float32) for value in (0.5, 0.29)]
    scale = PerBatch.on(device, [(numbers[0], numbers[1])])
    cohort = DeviceCohort(ImageRows(images), device)
    rows = np.arange(n)
    return FoldData(cohort, labels, scale, rows, rows[:0], rows[:0])


def our_steps(device: torch.device, n: int, batch: int, compiled: bool) -> list[tuple[float, ...]]:
    """Seconds of the data path and of the whole step, for one pass over `n` images."""
    section = Training(batch_size=batch)
    data = cohort_on(device, n)
    network = place(build_network(SECTION, 1), device).train()
    forward = torch.compile(network) if compiled else network
    optimizer = build_optimizer(network, section)
    dtype = precision_dtype("auto", device)
    generator = torch.Generator(device).manual_seed(0)
    batches, seconds = in_batches(data.train, batch), []
    start = clock(device)
    for rows, images in zip(batches, data.cohort.batches(batches), strict=True):
        x = prepare(images, rows, data, section, generator)
        loaded = clock(device)
        with autocast(device, dtype):
            logits = forward(x)
        loss_of(logits, data.labels[rows], 1.0).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        end = clock(device)
        seconds.append((loaded - start, end - start))
        start = end
    return seconds


class NiftiDataset(torch.utils.data.Dataset):
    """What a plain loop does: every image from its file, every time."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        """Count the images."""
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read an image, cut the slab, scale it."""
        volume = nib.Nifti1Image.load(self.files[i]).get_fdata(dtype=np.float32)
        slab = (volume[None, :, :, 24:54] - 0.5) / 0.29
        return torch.from_numpy(slab), torch.tensor([float(i % 2)])


def plain_steps(device: torch.device, n: int, batch: int) -> list[tuple[float, ...]]:
    """The same for MONAI's network in float32 and a dataset that reads files."""
    network = monai_network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    criterion = torch.nn.BCEWithLogitsLoss()
    rng = np.random.default_rng(0)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.nii.gz" for i in range(n)]
        for file in files:
            nib.save(nib.Nifti1Image(rng.random(GRID, np.float32), np.eye(4)), file)
        start = clock(device)
        for x, y in torch.utils.data.DataLoader(NiftiDataset(files), batch):
            x, y = x.to(device), y.to(device)
            loaded = clock(device)
            optimizer.zero_grad()
            criterion(network(x), y).backward()
            optimizer.step()
            end = clock(device)
            seconds.append((loaded - start, end - start))
            start = end
    return seconds


def report(name: str, seconds: list[tuple[float, ...]], batch: int, flop: float) -> float:
    """Print a line and give the median step; the first step only warms up."""
    data, step = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
    rate = flop * batch / step
    print(
        f"{name:<28} {step:9.3f} s/step   data path {data:8.4f} s ({data / step:6.2%})   "
        f"{rate / 1e12:8.3f} TFLOP/s",
        flush=True,
    )
    return step


def main() -> None:
    """Time what is asked for and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2, help="timed steps after one of warm-up")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--compile", action="store_true", help="torch.compile too (CUDA)")
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="count this process's CPU seconds, for a machine that others use too (one thread)",
    )
    options = parser.parse_args()
    if options.cpu_seconds:
        CLOCK[0] = time.process_time
    torch.set_num_threads(options.threads)
    device = resolve_device(options.device)
    batch, flop = options.batch, flop_per_sample()
    steps = 20 if device.type == "cuda" else options.steps
    images = batch * (steps + 1)
    dtype = precision_dtype("auto", device)
    print(f"{device}, {options.threads} threads, {dtype}; {flop / 1e12:.3f} TFLOP a sample")
    found: dict[str, float] = {}
    jobs: dict[str, Callable[[], list[tuple[float, ...]]]] = {
        "ours": lambda: our_steps(device, images, batch, False),
        "plain": lambda: plain_steps(device, images, batch),
    }
    best = matmul_rate(device, dtype) if "matmul" in options.parts else None
    if best:
        print(f"best matrix product          {best / 1e12:.3f} TFLOP/s")
    for name in ("ours", "plain"):
        if name in options.parts:
            found[name] = report(name, jobs[name](), batch, flop)
    if options.compile and device.type == "cuda":
        found["ours"] = report("compiled", our_steps(device, images, batch, True), batch, flop)
    if "ours" in found and best:
        print(f"share of the best matrix product: {flop * batch / found['ours'] / best:.1%}")
    if len(found) == 2:
        print(f"plain / ours: {found['plain'] / found['ours']:.2f}")
    if "ours" in found:
        per_epoch = found["ours"] * PARTICIPANTS * (FOLDS - 1) / FOLDS / batch
        study = per_epoch * FOLDS * PLANES * EPOCHS
        print(
            f"an epoch of {PARTICIPANTS} participants: {per_epoch:.1f} s; the study: {study:.0f} s"
        )


if __name__ == "__main__":
    main()
