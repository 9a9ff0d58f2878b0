"""Undisturbed runs of the app's jobs, once for all workers, as each takes its time."""

import fcntl
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.jobs import GROUP, Job


@pytest.fixture(scope="session")
def benches(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Job], Bench]:
    """Give the undisturbed run of a job; the first who asks makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base

    def of(job: Job) -> Bench:
        trained = of(GROUP).calm if job.takes_bundle else Path()
        folder = shared / f"bench-{job.name}"
        folder.mkdir(exist_ok=True)
        done = folder / "bench.pickle"
        with (shared / f"bench-{job.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder)  # of one who failed
                folder.mkdir()
                done.write_bytes(pickle.dumps(Bench.undisturbed(job, folder, trained)))
            return pickle.loads(done.read_bytes())

    return of


@pytest.fixture
def bench(request: pytest.FixtureRequest, benches: Callable[[Job], Bench]) -> Bench:
    """The undisturbed run of the job that a test names."""
    return benches(request.param)
