"""What this process may use: CPUs and memory, as the kernel and the cgroup allow."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus() -> int:
    """Count the CPUs that this process may use (affinity and cgroup quota), at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cpus()
    return max(1, min(cpus or 1, quota) if quota else cpus or 1)


def available_memory_gb() -> float:
    """Memory in GB (10^9 bytes) that this process may use: nine tenths of what there is."""
    import psutil

    total = float(psutil.virtual_memory().total)
    limit = _cgroup_memory()
    return 0.9 * (min(total, limit) if limit else total) / 1e9


def _cgroup_cpus() -> int | None:
    """Whole CPUs of the quota, cgroup 2 and then 1; None where there is no limit."""
    words = _words(_CGROUP / "cpu.max")
    if len(words) == 2 and words[0] != "max":
        return max(1, int(words[0]) // int(words[1]))
    quota = _words(_CGROUP / "cpu" / "cpu.cfs_quota_us")
    period = _words(_CGROUP / "cpu" / "cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        return max(1, int(quota[0]) // int(period[0]))
    return None


def _cgroup_memory() -> float | None:
    for path in (_CGROUP / "memory.max", _CGROUP / "memory" / "memory.limit_in_bytes"):
        words = _words(path)
        if words and words[0].isdigit():
            return float(words[0])
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
