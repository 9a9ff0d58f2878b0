"""What this process may use: CPUs and memory, as the kernel, the cgroup and Slurm allow."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


# What OpenMP, OpenBLAS, MKL and ITK read when they are loaded.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def hold_threads(count: int) -> None:
    """Let libraries that are not loaded yet, here and in processes begun here, use so many."""
    os.environ |= dict.fromkeys(_THREADS, str(count))


def available_cpus() -> int:
    """Count the CPUs that this process may use, at least 1.

    The fewest of: affinity, quotas of the cgroup and of those around it, CPUs of the Slurm job.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [cpus or 1, *_cgroup_cpus(), *_numbers("SLURM_CPUS_ON_NODE")]
    return max(1, int(min(limits)))


def available_memory_gb() -> float:
    """Memory in GB (10^9 bytes) that this process may use: nine tenths of what there is.

    The least of: the machine's, limits of the cgroup and of those around it, that of the Slurm
    job.
    """
    import psutil

    slurm = [megabytes * 2**20 for megabytes in _numbers("SLURM_MEM_PER_NODE")]
    limits = [float(psutil.virtual_memory().total), *_cgroup_memory(), *slurm]
    return 0.9 * min(limits) / 1e9


def memory_kills() -> int:
    """Count the processes that the kernel stopped for want of memory in the cgroup of this one.

    The innermost that can be read, cgroup 2 or 1, from its beginning on; 0 where none can. Kills
    for want of memory of the whole machine count as well.
    """
    count = 0
    for controller, file in (("", "memory.events"), ("memory", "memory.oom_control")):
        for folder in _folders(controller):
            words = _words(folder / file)
            if "oom_kill" in words[:-1]:
                count = int(words[words.index("oom_kill") + 1])
    return count


def _numbers(variable: str) -> list[float]:
    """Value of an environment variable where it is a number above 0, in a list."""
    text = os.environ.get(variable, "")
    return [float(text)] if text.isdigit() and int(text) else []


def _cgroup_cpus() -> Iterator[float]:
    """Quotas in whole CPUs, of cgroup 2 and then 1."""
    for folder in _folders(""):
        words = _words(folder / "cpu.max")
        if len(words) == 2 and words[0] != "max":
            yield int(words[0]) // int(words[1])
    for folder in _folders("cpu"):
        quota = _words(folder / "cpu.cfs_quota_us")
        period = _words(folder / "cpu.cfs_period_us")
        if quota and period and int(quota[0]) > 0:
            yield int(quota[0]) // int(period[0])


def _cgroup_memory() -> Iterator[float]:
    """Limits in bytes, of cgroup 2 and then 1."""
    for controller, file in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        for folder in _folders(controller):
            words = _words(folder / file)
            if words and words[0].isdigit():
                yield float(words[0])


def _folders(controller: str) -> Iterator[Path]:
    """Folders of the cgroup this process is in and of those around it; cgroup 2 where unnamed.

    A container sees its own cgroup as the root; a batch job outside of one lies deeper.
    """
    own = ""
    for line in _lines(_OWN):
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (controller or number == "0"):
            own = path.strip("/")
    root = _CGROUP / controller
    yield root
    for part in Path(own).parts:
        root /= part
        yield root


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
