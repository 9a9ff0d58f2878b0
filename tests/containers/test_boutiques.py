"""Boutiques launches the app in its container from the descriptor."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.engine import TIMEOUT
from tests.integration.running import image_hashes

pytestmark = pytest.mark.timeout(TIMEOUT, func_only=True)

DESCRIPTOR = Path(__file__).resolve().parents[2] / "descriptors" / "nocicast.json"


def test_a_launch_in_the_container(docker: Path, two_people: Path, tmp_path: Path) -> None:
    """The example invocation with a participant that is there; by the user of this test."""
    place = tmp_path / "launch"
    shutil.copytree(two_people, place / "my_study")
    invocation = json.loads((DESCRIPTOR.parent / "invocation.json").read_text())
    invocation |= {"participant_label": ["IXI014"], "speed": "fast"}
    (place / "invocation.json").write_text(json.dumps(invocation))
    bosh = Path(sys.executable).parent / "bosh"
    done = subprocess.run(
        [
            *(str(bosh), "exec", "launch", "--no-pull", "-u", "-s", "--skip-data-collection"),
            *(str(DESCRIPTOR), "invocation.json"),
        ],
        cwd=place,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 normalised: 1 pass" in done.stdout + done.stderr
    assert len(image_hashes(place / "results", "IXI014")) == 6
    description = json.loads((place / "results" / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Container"]["Type"] == "docker"
