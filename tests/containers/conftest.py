"""The container image, built once; datasets to run it on."""

import os
import shutil
from pathlib import Path

import pytest

from bidsapp import __version__
from bidsapp.phantom.dataset import make_phantom
from tests.containers.engine import IMAGE, home, podman, podman_environment, run_image, run_lab
from tests.integration.heads import add, t1w
from tests.integration.running import tree
from tests.labs import brought_up

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this checkout; layers that did not change are taken from the last build."""
    brought_up("containers", "setup", installs=("podman", "buildah", "mmdebstrap"), timeout=900)
    done = run_lab("build", IMAGE, str(ROOT), timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return IMAGE


@pytest.fixture(scope="session")
def sif(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image as a Singularity image."""
    file = tmp_path_factory.mktemp("sif") / "nocicast.sif"
    done = run_lab("sif", image, str(file), timeout=1800)
    if not (home() / "sid" / "usr" / "bin" / "apptainer").exists():
        pytest.skip(f"apptainer could not be installed: {done.stdout}{done.stderr}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return file


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic heads, four of them with a brighter insula."""
    folder = tmp_path_factory.mktemp("heads") / "phantom"
    return make_phantom(folder, participants=8, effect=0.6)


@pytest.fixture(scope="session")
def normalised(image: str, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom through the participant level, as user 1000."""
    out = tmp_path_factory.mktemp("phantom-out")
    shutil.chown(out, 1000, 1000)
    before = tree(phantom)
    arguments = ("/data", "/out", "participant", "--speed", "fast", "--nprocs", 2)
    done = run_image(*arguments, mounts={"/data:ro": phantom, "/out": out})
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree(phantom) == before
    return out


@pytest.fixture(scope="session")
def two_people(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """Two real heads as a dataset."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("people") / "dataset"
    for label in ("IXI014", "IXI033"):
        add(folder, label, nib.Nifti1Image.load(t1w(real_data, label)))
    return folder


@pytest.fixture
def owned(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Make folders that belong to a user."""
    if os.getuid() != 0:
        pytest.skip("only root can give folders to other users")

    def make(name: str, uid: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        shutil.chown(folder, uid, uid)
        return folder

    return make


@pytest.fixture
def docker(tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``docker`` on the PATH that is podman, for programs that call it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shim = folder / "docker"
    shim.write_text('#!/bin/sh\nexec podman "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    for name in ("CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF"):
        monkeypatch.setenv(name, podman_environment()[name])
    podman("tag", f"localhost/{image}", f"docker.io/library/nocicast:{__version__}")
    return shim
