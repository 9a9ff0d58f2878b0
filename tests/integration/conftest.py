"""Runs of the app that several tests look at; each happens once, whatever the workers."""

import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.bad_images import FAST, make_bad_dataset
from tests.integration.group_studies import copy_study, make_study
from tests.integration.heads import make_heads, t1w
from tests.integration.running import Ended, run_app, tree

# Everything that a folder may be called and that a shell, a pattern or an address takes apart.
ODD = "ä % %s [x] #1 ?a=b&c;d"


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, Callable[[Path], object]], tuple[Path, object]]:
    """Do something in a folder that is shared by the workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base

    def do(name: str, work: Callable[[Path], object]) -> tuple[Path, object]:
        folder = shared / name
        folder.mkdir(exist_ok=True)
        result = shared / f"{name}.pickle"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not result.exists():
                result.write_bytes(pickle.dumps(work(folder)))
            return folder, pickle.loads(result.read_bytes())

    return do


@pytest.fixture(scope="session")
def heads(once, real_data: Path) -> Ended:  # type: ignore[no-untyped-def]
    """Two people, one of them stored in six ways, in folders with difficult names."""

    def work(folder: Path) -> Ended:
        dataset = folder / ODD / 'l\'étude "1" à côté'
        make_heads(dataset, real_data)
        return run_app(dataset, folder / ODD / "-sorties d'été")

    return once("heads", work)[1]


@pytest.fixture(scope="session")
def bad(once, real_data: Path) -> tuple[Ended, dict[str, str]]:  # type: ignore[no-untyped-def]
    """Bad images and a good one; with the hashes of the dataset before the run."""

    def work(folder: Path) -> tuple[Ended, dict[str, str]]:
        make_bad_dataset(folder / "bad", t1w(real_data, "IXI014"), FAST)
        before = tree(folder / "bad")
        return run_app(folder / "bad", folder / "out", "--skip-bids-validation"), before

    return once("bad", work)[1]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that can be run."""
    root = tmp_path_factory.mktemp("study")
    make_study(root)
    return root


@pytest.fixture
def study(clean: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return copy_study(clean, tmp_path / "study")
