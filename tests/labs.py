"""Programs that bring up what a test needs of a machine: a container engine, a cluster."""

import os
import subprocess
from pathlib import Path

import pytest


def lab(name: str) -> Path:
    """A program beside the checkout or in ``$NOCICAST_TEST_TOOLS``, or a skip that says so."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "tools"
    program = Path(os.environ.get("NOCICAST_TEST_TOOLS", beside)) / name
    if not program.is_file():
        pytest.skip(f"{program} is not there; set NOCICAST_TEST_TOOLS")
    return program


def brought_up(name: str, *arguments: str, timeout: float = 600) -> None:
    """Let such a program do something, or skip with what it said."""
    done = subprocess.run(
        [lab(name), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{name} {' '.join(arguments)} ended with {done.returncode}: {done.stdout}")
