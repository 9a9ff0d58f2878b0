"""How long the study of necks takes at its full size, beside a plain loop that reads files.

Run from the repository root: ``python -m tests.benchmarks.neck_study FOLDER``. As a user does it:
288 synthetic necks through both levels of the app on two processes, with maps, checks, baselines
and moved boxes as the recipe has them, from random weights. Beside it one fold of all epochs by the
plain loop of `tests.benchmarks.pictures`, times ten.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import torch

from bidsapp.modalities.spine.phantom import write_phantom
from tests.benchmarks.pictures import CORES, PEOPLE, pictures, plain_epochs


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


def watched(command: list[str]) -> list[tuple[float, float, str]]:
    """Run a command: of each line that it says, wall and CPU seconds until then.

    Raises
    ------
    SystemExit
        It ended with another code than 0.
    """
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


def _level(level: str, folder: Path, *words: str) -> list[tuple[float, float, str]]:
    """Watch a level of the app on two processes."""
    command = [sys.executable, "-m", "bidsapp", str(folder / "necks"), str(folder / "out"), level]
    command += ["--recipe", "wang2023", "--skip-bids-validation", "-w", str(folder / "work")]
    return watched([*command, "--nprocs", str(CORES), "--device", "cpu", *words])


def study(folder: Path, people: int, changes: list[str]) -> None:
    """Run the study through both levels and print what it took."""
    for name in ("out", "work"):  # nothing of an earlier run may be kept
        shutil.rmtree(folder / name, ignore_errors=True)
    if not (folder / "necks").is_dir():
        write_phantom(folder / "necks", people)
    wall, cpu, _ = _level("participant", folder)[-1]
    print(f"participant level: {people} necks, {wall / 60:.1f} min, {cpu / 60:.1f} CPU min")
    chosen = ("--variants", "b0", "--set", "network.start=random", *changes)
    lines = _level("group", folder, *chosen)
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
    first, mean = plain_epochs(pictures(), epochs - 1)
    plain = len(folds) * (first + mean * (epochs - 1))
    print(
        f"plain loop: {plain / 60:.1f} CPU min for {len(folds)} folds of {epochs} epochs (one fold "
        f"measured); the app took {trained[1] / plain:.2f} times as long until all were trained"
    )


def main() -> int:
    """Run the study, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.neck_study")
    parser.add_argument("folder", type=Path, help="where necks and results go")
    parser.add_argument("--people", type=int, default=PEOPLE, help="fewer, to try it")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipe")
    given = parser.parse_args()
    torch.set_num_threads(1)
    study(given.folder, given.people, given.set)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
