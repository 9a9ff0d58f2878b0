"""CPUs and memory as the kernel and the cgroup allow."""

import os
from pathlib import Path

import psutil
import pytest

from bidsapp.execution import available_cpus, available_memory_gb, resources

# A limit that no machine reaches, as cgroup 1 writes "none".
UNLIMITED = "9223372036854771712"


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resources, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    return tmp_path


def put(cgroup: Path, **files: str) -> None:
    for name, text in files.items():
        folder, _, file = name.rpartition("__")
        (cgroup / folder).mkdir(parents=True, exist_ok=True)
        (cgroup / folder / file.replace("_dot_", ".")).write_text(text + "\n")


def test_without_a_cgroup_the_affinity_counts(cgroup: Path) -> None:
    assert available_cpus() == 16


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("max 100000", 16), ("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)],
)
def test_a_quota_of_cgroup_2(cgroup: Path, text: str, cpus: int) -> None:
    put(cgroup, cpu_dot_max=text)
    assert available_cpus() == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 16), ("300000", 3), ("10000", 1)])
def test_a_quota_of_cgroup_1(cgroup: Path, quota: str, cpus: int) -> None:
    put(cgroup, cpu__cpu_dot_cfs_quota_us=quota, cpu__cpu_dot_cfs_period_us="100000")
    assert available_cpus() == cpus


def test_a_quota_above_the_affinity_gives_no_more(cgroup: Path) -> None:
    put(cgroup, cpu_dot_max="6400000 100000")
    assert available_cpus() == 16


@pytest.mark.parametrize("name", ["memory_dot_max", "memory__memory_dot_limit_in_bytes"])
def test_a_limit_on_memory(cgroup: Path, name: str) -> None:
    put(cgroup, **{name: "1000000000"})
    assert available_memory_gb() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("name", "text"),
    [("memory_dot_max", "max"), ("memory__memory_dot_limit_in_bytes", UNLIMITED)],
)
def test_no_limit_on_memory_is_that_of_the_machine(cgroup: Path, name: str, text: str) -> None:
    put(cgroup, **{name: text})
    assert available_memory_gb() == pytest.approx(0.9 * psutil.virtual_memory().total / 1e9)
