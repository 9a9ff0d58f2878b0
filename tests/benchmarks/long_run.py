"""What a long run of the participant level holds on to: memory, files, room, and its speed.

Run as ``python -m tests.benchmarks.long_run DATASET [--participants N]``: real heads, those of the
dataset in turn as often as it takes, each under a label of its own, in one process; memory of the
main process and of the worker looked at every second while heads are prepared, that of the main
process also at the end, when the pages about all are made; files and MB of each person in the
output, the most there were in the work folder, what ``--clean-workdir`` leaves there, and CPU
seconds of the first ten people beside the last ten. Ends with 1 where memory grows by more than a
tenth over the later two thirds of the heads, a person has more than 60 files or 100 MB, the last
ten are slower than the first by more than a tenth, or something is left in the work folder.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

MOST_FILES, MOST_MB, GROWTH = 60, 100.0, 1.1
_DONE = "sub-*/anat/*_desc-preproc_T1w.json"


def _memory(process: psutil.Process) -> tuple[float, float]:
    """MB of the main process and of the largest of those that work for it."""
    own, others = 0.0, [0.0]
    try:
        own = process.memory_info().rss / 1e6
        others += [child.memory_info().rss / 1e6 for child in process.children(recursive=True)]
    except psutil.Error:
        pass
    return own, max(others)


def _size(folder: Path) -> tuple[int, float]:
    """Files and MB below a folder."""
    sizes = []
    for place, _, names in os.walk(folder):  # unlike rglob, does without a folder that is gone
        for name in names:
            with suppress(OSError):  # gone in this moment
                sizes.append((Path(place) / name).stat().st_size)
    return len(sizes), sum(sizes) / 1e6


def _grown(values: list[float]) -> tuple[float, float, float]:
    """Largest value in the second third and in the last, and their quotient."""
    third = len(values) // 3
    before, after = max(values[third : 2 * third]), max(values[2 * third :])
    return before, after, after / before


def _dataset(source: Path, target: Path, count: int) -> list[str]:
    """Write so many people with the heads of a dataset in turn; their labels."""
    heads = sorted(source.glob("sub-*/anat/*_T1w.nii.gz"))
    if not heads:
        raise SystemExit(f"{source} has no sub-*/anat/*_T1w.nii.gz")
    target.mkdir()
    shutil.copy(source / "dataset_description.json", target)
    labels = [f"sub-{number:03d}" for number in range(count)]
    for number, label in enumerate(labels):
        image = target / label / "anat" / f"{label}_T1w.nii.gz"
        image.parent.mkdir(parents=True)
        shutil.copyfile(heads[number % len(heads)], image)
    return labels


def main() -> int:
    """Run, look, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--participants", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        heads, out, work = (Path(name) / part for part in ("heads", "out", "work"))
        labels = _dataset(given.dataset, heads, given.participants)
        words = [heads, out, "participant", "--nprocs", 1, "--work-dir", work]
        words += ["--clean-workdir", "--skip-bids-validation", "--device", "cpu"]
        began = time.monotonic()
        run = psutil.Popen(
            [sys.executable, "-m", "bidsapp", *map(str, words)], stdout=subprocess.DEVNULL
        )
        mains, workers, most, pages = [], [], (0, 0.0), 0.0
        while run.poll() is None:
            time.sleep(1)
            own, other = _memory(run)
            if len(list(out.glob(_DONE))) == len(labels):
                pages = max(pages, own)
            else:
                mains, workers = [*mains, own], [*workers, other]
            most = max(most, _size(work))
        seconds = time.monotonic() - began
        if run.returncode:
            raise SystemExit(f"the run ended with {run.returncode}")
        left, left_mb = _size(work)
        marks = list(work.rglob("made-by-nocicast.txt"))
        each = [_size(out / label) for label in labels]
        told = sorted(out.glob(_DONE), key=lambda path: path.stat().st_mtime)
        spent = [json.loads(path.read_text())["CPUSeconds"]["total"] for path in told]
    first, last = statistics.median(spent[:10]), statistics.median(spent[-10:])
    met = last / first <= GROWTH
    print(f"{len(labels)} heads in {seconds:.0f} s of wall time, one process")
    for what, values in (("main process", mains), ("worker", workers)):
        before, after, growth = _grown(values)
        met = met and growth <= GROWTH
        print(f"memory of the {what}, second third of the run, last third: "
              f"{before:.0f} MB, {after:.0f} MB ({growth:.2f} times)")  # fmt: skip
    files, room = max(n for n, _ in each), max(mb for _, mb in each)
    met = met and files <= MOST_FILES and room <= MOST_MB
    print(f"memory of the main process at the end, when pages are made: {pages:.0f} MB")
    print(f"output of a person: at most {files} files, {room:.1f} MB")
    print(f"work folder: at most {most[0]} files, and {most[1]:.1f} MB then")
    print(f"left in it after --clean-workdir: {left} files, {left_mb:.2f} MB, "
          f"{len(marks)} of them the folder's marker")  # fmt: skip
    met = met and left == len(marks)
    print(f"CPU s of a head, median of the first ten, the last ten: {first:.2f}, {last:.2f} "
          f"({last / first:.2f} times)")  # fmt: skip
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
