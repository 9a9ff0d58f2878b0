"""Damaged files of every kind that users give: a value or a message of the app, and nothing else.

Each kind is read in a process of its own without a network, which a hook of the interpreter
watches: no socket, no program, no class out of a pickle, nothing written outside of the folder; at
most 10 s and 2 GB a file.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.folder_targets import ALL

CASES = int(os.environ.get("NOCICAST_FUZZ_CASES", "500"))
FIRST = int(os.environ.get("NOCICAST_FUZZ_FIRST", "0"))


def without_network() -> list[str]:
    """Begin a command with what takes the network away; with nothing where it may not be."""
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode == 0:
        return [unshare, "-rn"]
    return []


@pytest.mark.parametrize("target", ALL)
def test_damaged_files_end_in_a_value_or_a_message(target: str, tmp_path: Path) -> None:
    command = [*without_network(), sys.executable, "-m", "tests.faults.fuzzing", target]
    done = subprocess.run(
        [*command, "--cases", str(CASES), "--first", str(FIRST), "--keep", str(tmp_path / "found")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600 + CASES,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    ends = dict(re.findall(r"'(\w+)': (\d+)", done.stdout))
    # damage that nothing notices, or that nothing survives, tries little
    assert int(ends.get("read", 0)) > 0, done.stdout
    if target != "phenotype":  # read when a column is asked for
        assert int(ends.get("refused", 0)) > 0, done.stdout


def test_the_watch_sees_what_it_is_there_for(tmp_path: Path) -> None:
    """A hook that lets everything pass would make the tests above pass too."""
    code = (
        "import os, socket, subprocess, sys, pickle\n"
        "from pathlib import Path\n"
        "from tests.faults.watched import Forbidden, Watch\n"
        "folder, outside = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "watch = Watch(folder)\n"
        "evil = pickle.dumps(os.system)\n"
        "for deed in (\n"
        "    lambda: socket.socket(),\n"
        "    lambda: subprocess.run(['true']),\n"
        "    lambda: os.system('true'),\n"
        "    lambda: pickle.loads(evil),\n"
        "    lambda: (outside / 'a').write_text('x'),\n"
        "    lambda: (outside / 'b').mkdir(),\n"
        "):\n"
        "    watch.on = True\n"
        "    try:\n"
        "        deed()\n"
        "    except Forbidden:\n"
        "        print('seen')\n"
        "    watch.on = False\n"
        "watch.on = True\n"
        "(folder / 'c').write_text('x')\n"
    )
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(inside), str(outside)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["seen"] * 6
    assert not list(outside.iterdir())
