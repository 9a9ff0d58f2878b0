"""What the workflow costs beyond its steps: a cohort, the same again from cache, and start-up.

Run as ``python -m tests.benchmarks.overhead [--parts cohort startup] [--nprocs 2]`` from the
repository root, on an otherwise idle machine: all of it is wall time, the load is printed beside.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.startup import make_tree

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PARTS = ("cohort", "startup")
# Name of the node that every participant begins with, and so of its folder.
FIRST_NODE = "extract"
MOST_OVERHEAD, MOST_CACHED, MOST_STARTUP = 1.25, 1.0, 5.0


def command(dataset: Path, output: Path, nprocs: int, *more: str) -> list[str]:
    """Command line of the participant level."""
    fixed = ["participant", "--nprocs", str(nprocs), *more]
    return [sys.executable, "-m", "bidsapp", str(dataset), str(output), *fixed]


def timed(arguments: list[str], log: Path) -> float:
    """Run to the end; gives the wall seconds."""
    start = time.perf_counter()
    with log.open("ab") as stream:
        subprocess.run(arguments, check=True, stdout=stream, stderr=stream)
    return time.perf_counter() - start


def load() -> str:
    """Load averages, as text."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def verdict(value: float, most: float) -> str:
    """Say whether a bar is met."""
    return f"bar {most}: {'met' if value <= most else 'NOT met'}"


def cohort(dataset: Path, nprocs: int) -> None:
    """Wall seconds of a cohort against its CPU seconds, and of a run that finds all done."""
    with tempfile.TemporaryDirectory() as folder:
        output, log = Path(folder) / "out", Path(folder) / "log"
        before = load()
        wall = timed(command(dataset, output, nprocs), log)
        after = load()
        again = timed(command(dataset, output, nprocs), log)
        sidecars = list(output.glob("sub-*/**/anat/*_desc-preproc_T1w.json"))
        seconds = [json.loads(path.read_text())["CPUSeconds"]["total"] for path in sidecars]
    ideal = sum(seconds) / nprocs
    print(f"load {before} before, {after} after")
    print(
        f"{len(seconds)} participants, {nprocs} processes: {wall:.1f} s of wall time; CPU seconds "
        f"{sum(seconds):.1f} (median {statistics.median(seconds):.2f}), over {nprocs} {ideal:.1f}"
    )
    ratio, each = wall / ideal, again / len(seconds)
    print(f"wall / ideal: {ratio:.3f} ({verdict(ratio, MOST_OVERHEAD)})")
    print(
        f"all cached: {again:.1f} s, {each:.3f} s a participant ({verdict(each, MOST_CACHED)})",
        flush=True,
    )


@dataclass(frozen=True)
class Start:
    """How long a run took to its first node, and what it then held in memory."""

    seconds: float
    peak_mb: float
    all_mb: float


def start_once(dataset: Path, nprocs: int) -> Start:
    """Run up to the first node that has a folder in the work directory, and stop the run."""
    with tempfile.TemporaryDirectory() as folder:
        output, work = Path(folder) / "out", Path(folder) / "work"
        # the files are empty: the validator would refuse them, and only indexing is timed
        more = ("-w", str(work), "--skip-bids-validation")
        began = time.perf_counter()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                command(dataset, output, nprocs, *more),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                while not any(work.rglob(FIRST_NODE)):
                    if process.poll() is not None:
                        said = (Path(folder) / "log").read_text().splitlines()
                        raise SystemExit("No node began:\n" + "\n".join(said[-5:]))
                    time.sleep(0.01)
                seconds = time.perf_counter() - began
                peak = _field(Path(f"/proc/{process.pid}/status"), "VmHWM:")
                together = sum(_memory(process.pid))
            finally:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: the run and its workers
                process.wait()
        time.sleep(0.5)  # the workers are not ours to wait for
        return Start(seconds, peak / 1024, together / 1024)


def _field(path: Path, name: str) -> float:
    lines = (line.split() for line in path.read_text().splitlines())
    return next((float(line[1]) for line in lines if line and line[0] == name), 0.0)


def _memory(session: int) -> list[float]:
    """Proportional memory (kB) of each process of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                found.append(_field(folder / "smaps_rollup", "Pss:"))
        except OSError:
            continue
    return found


def startup(participants: int, nprocs: int, repeats: int) -> None:
    """Seconds to the first node on a large dataset, each time without a database."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        make_tree(dataset, participants)
        before = load()
        starts = [start_once(dataset, nprocs) for _ in range(repeats)]
    times = [start.seconds for start in starts]
    middle = statistics.median(times)
    print(f"load {before} before, {load()} after")
    print(
        f"{participants} participants to the first node: {middle:.2f} s (median of "
        f"{', '.join(f'{value:.2f}' for value in times)}; {verdict(middle, MOST_STARTUP)})"
    )
    print(
        f"main process {max(start.peak_mb for start in starts):.0f} MB at its peak; all processes "
        f"together {max(start.all_mb for start in starts):.0f} MB at the first node",
        flush=True,
    )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--participants", type=int, default=1000, help="of the start-up tree")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("NOCICAST_TEST_DATA", DATA))
    )
    given = parser.parse_args()
    if "cohort" in given.parts:
        cohort(given.data.absolute() / "ixi2mm_dev48", given.nprocs)
    if "startup" in given.parts:
        startup(given.participants, given.nprocs, given.repeats)


if __name__ == "__main__":
    main()
