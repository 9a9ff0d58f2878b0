"""A /dev/shm that is full or read-only is told as that, before any work begins."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bidsapp.execution.shared_memory import check_shared_memory

_CODE = "from bidsapp.cli import main; import sys; sys.exit(main(sys.argv[1:]))"


def own_mounts() -> bool:
    """Whether this machine lets a process have a /dev/shm of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_where_locks_can_be_shared_nothing_is_said() -> None:
    check_shared_memory()


@pytest.mark.skipif(not own_mounts(), reason="needs the right to mount")
@pytest.mark.parametrize(
    ("options", "reason"),
    [("ro", "Read-only file system"), ("size=4k,nr_inodes=2", "No space left on device")],
)
def test_locks_that_cannot_be_shared(tmp_path: Path, options: str, reason: str) -> None:
    (tmp_path / "bids" / "sub-1").mkdir(parents=True)
    (tmp_path / "bids" / "dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    line = f'mount -t tmpfs -o {options} tmpfs /dev/shm && exec "$@"'
    arguments = [str(tmp_path / "bids"), str(tmp_path / "out"), "group", "--recipe", "t1w"]
    command = [sys.executable, "-c", _CODE, *arguments, "--outcome", "pain", "--positive", "1"]
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", line, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 73
    assert f"/dev/shm cannot be used ({reason})" in ended.stderr
    assert "--nipype-plugin Linear" in ended.stderr
    assert not (tmp_path / "out").exists()
