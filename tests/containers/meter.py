"""Memory and CPU time of a container, read from its cgroup while it runs."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_CGROUP = Path("/sys/fs/cgroup")


@dataclass
class Reading:
    """What a container used.

    Attributes
    ----------
    peak_bytes
        Most memory at once without the page cache, all processes together.
    cpu_s, wall_s
        CPU time of all processes, and the time in which they used it.
    most_cpus
        Most CPUs at once, over any second.
    """

    peak_bytes: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    most_cpus: float = 0.0


def _folder(controller: str, container: str) -> Path | None:
    for root in (_CGROUP / controller, _CGROUP):
        found = next(root.glob(f"**/*libpod-{container}*"), None) if root.is_dir() else None
        if found is not None:
            return found
    return None


def _memory(folder: Path) -> int:
    lines = (folder / "memory.stat").read_text().splitlines()
    values = {name: int(value) for name, value in (line.split() for line in lines)}
    return values.get("total_rss", values.get("anon", 0))


def _cpu(folder: Path) -> float:
    if (folder / "cpuacct.usage").exists():
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    return int((folder / "cpu.stat").read_text().split()[1]) / 1e6


@contextmanager
def metered(identity: Path) -> Iterator[Reading]:
    """Read on while a container runs, whose id stands in a file that appears when it begins."""
    reading, ended = Reading(), threading.Event()
    samples: list[tuple[float, float]] = []

    def watch() -> None:
        while not ended.wait(0.05):
            try:
                container = identity.read_text().strip()
                memory, cpu = _folder("memory", container), _folder("cpuacct", container)
                if memory is None or cpu is None:
                    continue
                reading.peak_bytes = max(reading.peak_bytes, _memory(memory))
                samples.append((time.monotonic(), _cpu(cpu)))
            except (OSError, subprocess.SubprocessError):
                continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield reading
    finally:
        ended.set()
        thread.join()
    if len(samples) < 10:
        pytest.skip("the cgroup of a container cannot be read on this machine")
    reading.cpu_s = samples[-1][1]
    reading.wall_s = samples[-1][0] - samples[0][0]
    for began, used in samples:
        later = next(((t, u) for t, u in samples if t - began >= 1), None)
        if later is not None:
            rate = (later[1] - used) / (later[0] - began)
            reading.most_cpus = max(reading.most_cpus, rate)
