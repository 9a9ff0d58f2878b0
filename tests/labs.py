"""Programs that bring up what a test needs of a machine: a container engine, a cluster."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

# ``nproc``, by which the cluster counts its CPUs, answers with these where they are set.
_THREADS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")


def lab(name: str) -> Path:
    """A program beside the checkout or in ``$NOCICAST_TEST_TOOLS``, or a skip that says so."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "tools"
    program = Path(os.environ.get("NOCICAST_TEST_TOOLS", beside)) / name
    if not program.is_file():
        pytest.skip(f"{program} is not there; set NOCICAST_TEST_TOOLS")
    return program.resolve()


def brought_up(
    name: str, *arguments: str, installs: Sequence[str] = (), timeout: float = 600
) -> None:
    """Let such a program install and start something.

    Where one of the commands that it `installs` is missing afterwards, the test is skipped with
    what the program said; any other failure of the program is one of the test.
    """
    done = subprocess.run(
        [lab(name), *arguments],
        env={key: value for key, value in os.environ.items() if key not in _THREADS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    missing = [command for command in installs if shutil.which(command) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} cannot be installed: {done.stdout}")
    if done.returncode:
        pytest.fail(f"{name} {' '.join(arguments)} ended with {done.returncode}: {done.stdout}")
