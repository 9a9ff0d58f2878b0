"""CPUs and memory as the kernel and the cgroup allow."""

import os
from pathlib import Path

import psutil
import pytest

from bidsapp.execution import available_cpus, available_memory_gb, resources
from bidsapp.execution.resources import memory_kills

# A limit that no machine reaches, as cgroup 1 writes "none".
UNLIMITED = "9223372036854771712"


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resources, "_CGROUP", tmp_path)
    monkeypatch.setattr(resources, "_OWN", tmp_path / "own")
    for name in ("SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
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


OF_A_JOB = "4:memory:/slurm/uid_1000/job_7\n3:cpu,cpuacct:/slurm/uid_1000/job_7\n0::/slurmd/job_7\n"


@pytest.mark.parametrize(
    ("folder", "file", "text"),
    [
        ("slurmd/job_7", "cpu.max", "300000 100000"),
        ("slurmd", "cpu.max", "300000 100000"),
        ("cpu/slurm/uid_1000/job_7", "cpu.cfs_quota_us", "300000"),
    ],
)
def test_the_quota_of_a_batch_job_outside_of_a_container(
    cgroup: Path, folder: str, file: str, text: str
) -> None:
    (cgroup / "own").write_text(OF_A_JOB)
    (cgroup / folder).mkdir(parents=True)
    (cgroup / folder / file).write_text(text)
    (cgroup / folder / "cpu.cfs_period_us").write_text("100000")
    assert available_cpus() == 3


@pytest.mark.parametrize(
    "file",
    ["slurmd/job_7/memory.max", "memory/slurm/uid_1000/job_7/memory.limit_in_bytes"],
)
def test_the_memory_of_a_batch_job_and_not_of_its_neighbour(cgroup: Path, file: str) -> None:
    (cgroup / "own").write_text(OF_A_JOB)
    for job, text in (("job_7", "2000000000"), ("job_8", "1000000000")):
        path = cgroup / file.replace("job_7", job)
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert available_memory_gb() == pytest.approx(1.8)


def test_what_slurm_gave_the_job(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    assert available_cpus() == 2
    assert available_memory_gb() == pytest.approx(0.9 * 1000 * 2**20 / 1e9)
    put(cgroup, cpu_dot_max="100000 100000", memory_dot_max="500000000")
    assert available_cpus() == 1
    assert available_memory_gb() == pytest.approx(0.45)


def test_kills_for_want_of_memory_are_counted_in_the_innermost_cgroup(cgroup: Path) -> None:
    assert memory_kills() == 0
    put(cgroup, memory_dot_events="low 0\noom 5\noom_kill 7\noom_group_kill 0")
    assert memory_kills() == 7
    put(cgroup, own="0::/job_12/step_0")
    put(cgroup, job_12__memory_dot_events="oom_kill 3")  # that of the step cannot be read
    assert memory_kills() == 3
    put(cgroup, job_12__memory_dot_events="oom_kill")  # torn
    assert memory_kills() == 7


def test_kills_in_a_cgroup_of_kind_1(cgroup: Path) -> None:
    told = "oom_kill_disable 0\nunder_oom 0\noom_kill 2"
    put(cgroup, memory__memory_dot_oom_control=told)
    assert memory_kills() == 2
