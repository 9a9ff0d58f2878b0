"""A real Slurm, and a dataset of heads for its jobs."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidsapp.phantom.dataset import make_phantom
from tests.labs import brought_up


def _answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and ("idle" in done.stdout or "mix" in done.stdout)


@pytest.fixture(scope="session", autouse=True)
def slurm() -> Iterator[None]:
    """A cluster that takes jobs: the one that is there, or one that is brought up here."""
    if _answers():
        yield
        return
    brought_up("slurm", "start", installs=("slurmctld", "slurmd", "munged"))
    yield
    brought_up("slurm", "stop")


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic heads."""
    return make_phantom(tmp_path_factory.mktemp("heads") / "phantom", participants=2)
