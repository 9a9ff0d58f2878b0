"""Runs of the container image, as a user of Docker or Singularity starts them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.labs import lab

IMAGE = "nocicast"
# Of one run; what builds images has limits of its own, so tests count without their fixtures.
TIMEOUT = 900
# Small enough for minutes: one plane of few slices, two folds of two epochs.
QUICK_STUDY = (
    *("--recipe", "t1w", "--outcome", "chronic_pain", "--positive", "1", "--variants", "axial"),
    *("--set", "protocol.folds=2", "training.epochs=2", "representation.slices=6"),
    "evaluation.baselines=[majority]",
)


def home() -> Path:
    """Where the engine keeps its images and its configuration."""
    return Path(os.environ.get("CONTAINERS_HOME", Path.home() / ".cache" / "container-lab"))


def podman_environment() -> dict[str, str]:
    """Environment in which podman finds the images that were built."""
    return os.environ | {
        "CONTAINERS_STORAGE_CONF": str(home() / "storage.conf"),
        "CONTAINERS_CONF": str(home() / "containers.conf"),
    }


def run_lab(
    *arguments: str,
    timeout: float = TIMEOUT,
    cwd: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Let the engine's program do something."""
    return subprocess.run(
        [str(lab("containers")), *arguments],
        env=os.environ | dict(more or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run_image(
    *arguments: object, uid: int = 1000, mounts: Mapping[str, Path], options: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the app in its image: any user, root file system read-only, no network.

    `mounts` maps places in the container, ``/data:ro`` for instance, to folders.
    """
    volumes = " ".join(f"-v {folder}:{place}" for place, folder in mounts.items())
    # podman leaves a file `oom` where it is started, of containers that the kernel stopped
    with tempfile.TemporaryDirectory() as folder_of_podman:
        return run_lab(
            "run",
            IMAGE,
            *map(str, arguments),
            cwd=Path(folder_of_podman),
            more={"RUN_AS": f"{uid}:{uid}", "MOUNTS": f"{options} {volumes}"},
        )


def podman(*arguments: str) -> str:
    """What podman says."""
    done = subprocess.run(
        ["podman", *arguments],
        env=podman_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def owners(folder: Path) -> set[tuple[int, int]]:
    """User and group of everything in a folder."""
    return {(p.lstat().st_uid, p.lstat().st_gid) for p in folder.rglob("*")}


def given_to(source: Path, target: Path, uid: int) -> Path:
    """Copy a folder, and make all of the copy a user's."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, uid, uid)
    return target
