"""What a killed run leaves is swept up by the next; what anybody works in, or owns, is not."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bidsapp.derivatives import atomic_path, prepare_output, temporary
from bidsapp.derivatives.temporary import MARKER, PREFIX, sweep, temporary_folder
from tests.integration.running import tree

OLD = time.time() - 7 * 24 * 3600

WRITE = """
import sys, time
from pathlib import Path
from bidsapp.derivatives import atomic_path
with atomic_path(Path(sys.argv[1])) as path:
    path.write_text("half of i")
    print("writing", flush=True)
    sys.stdin.read()
    path.write_text("all of it")
"""


NAMED = f"{PREFIX}{{}}0123456789abcdef-image.nii.gz"


@pytest.fixture(autouse=True)
def _another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process sweeps each place once."""
    monkeypatch.setattr(temporary, "_swept", set())


def again() -> None:
    temporary._swept.clear()


def writer(final: Path) -> subprocess.Popen[bytes]:
    """Another process in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(final)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    return process


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(PREFIX))


def age(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (OLD, OLD), follow_symlinks=False)


def test_a_folder_is_there_for_a_block_and_gone_afterwards(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert list(tmp_path.iterdir()) == []
    with suppress(ZeroDivisionError), temporary_folder(tmp_path) as folder:
        (folder / "file").touch()
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_what_it_holds_may_be_moved_out(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "file").touch()
        folder.rename(tmp_path / "final")
    assert tree(tmp_path).keys() == {"final", "final/file"}


def test_the_next_run_sweeps_up_after_a_kill_and_spares_who_is_at_work(tmp_path: Path) -> None:
    """However young what is left is, and however old what is at work."""
    killed, working = writer(tmp_path / "one.json"), writer(tmp_path / "two.json")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(left(tmp_path)) == 2
    for name in left(tmp_path):
        age(tmp_path / name)
    with atomic_path(tmp_path / "three.json") as path:
        path.write_text("{}")
    assert len(left(tmp_path)) == 1
    working.communicate()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["three.json", "two.json"]
    assert (tmp_path / "two.json").read_text() == "all of it"


def test_the_output_folder_is_swept_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "bids").mkdir()
    prepare_output(tmp_path / "out", tmp_path / "bids")
    killed = writer(tmp_path / "out" / "one.json")
    killed.kill()
    killed.communicate()
    assert left(tmp_path / "out")
    again()
    prepare_output(tmp_path / "out", tmp_path / "bids")
    assert not left(tmp_path / "out")


def made(folder: Path, machine: str = "another") -> Path:
    """What another machine left, with something in it."""
    (folder / "new").mkdir(parents=True)
    (folder / MARKER).write_text(machine)
    (folder / "new" / "file").write_text("part")
    return folder


def test_what_another_machine_left_is_swept_when_nothing_has_changed_for_a_day(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / f"{PREFIX}1")
    age(folder)
    os.utime(folder / "new" / "file")  # it is still being written to
    sweep(tmp_path)
    assert folder.is_dir()
    again()
    age(folder)
    sweep(tmp_path)
    assert not folder.exists()


def test_a_file_of_another_machine_is_swept_when_it_has_not_changed_for_a_day(
    tmp_path: Path,
) -> None:
    mine, old, young = (
        tmp_path / NAMED.format(who) for who in (temporary._machine(), "00000001", "00000002")
    )
    for path in (mine, old, young):
        path.touch()
    os.utime(old, (OLD, OLD))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [young]


def test_a_long_name_fits(tmp_path: Path) -> None:
    final = tmp_path / ("ä" * 120 + ".nii.gz")
    with atomic_path(final) as path:
        assert path.name.endswith(".nii.gz")
        path.write_text("whole")
    assert [one.name for one in tmp_path.iterdir()] == [final.name]


def test_what_has_no_marker_is_not_ours(tmp_path: Path) -> None:
    theirs = tmp_path / f"{PREFIX}settings"
    (theirs / "new").mkdir(parents=True)
    (theirs / "new" / "thesis.txt").write_text("somebody's")
    for name in (f"{PREFIX}file", f"{PREFIX}settings.yaml", f"{PREFIX}0123456789abcdef-x"):
        (tmp_path / name).write_text("somebody's")
        os.utime(tmp_path / name, (OLD, OLD))
    age(theirs)
    before = tree(tmp_path)
    sweep(tmp_path)
    assert tree(tmp_path) == before


def test_links_are_left_and_never_followed(tmp_path: Path) -> None:
    store = made(tmp_path / "store", temporary._machine())
    (tmp_path / NAMED.format(temporary._machine())).symlink_to(store / "new" / "file")
    (tmp_path / f"{PREFIX}link").symlink_to(store)
    ours = made(tmp_path / f"{PREFIX}ours", temporary._machine())
    (ours / "new" / "out").symlink_to(store)
    linked = tmp_path / f"{PREFIX}marker"
    linked.mkdir()
    (linked / MARKER).symlink_to(store / MARKER)
    sweep(tmp_path)
    assert (store / "new" / "file").read_text() == "part"
    assert (tmp_path / f"{PREFIX}link").is_symlink()
    assert (tmp_path / NAMED.format(temporary._machine())).is_symlink()
    assert not ours.exists()
    assert linked.is_dir()


def test_an_empty_folder_is_swept_only_when_it_is_old(tmp_path: Path) -> None:
    """A run that is about to put its marker there must find it."""
    folder = tmp_path / f"{PREFIX}empty"
    folder.mkdir()
    sweep(tmp_path)
    assert folder.is_dir()
    again()
    age(folder)
    sweep(tmp_path)
    assert not folder.exists()


def test_what_other_people_left_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path / f"{PREFIX}1", temporary._machine())
    age(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    sweep(tmp_path)
    assert folder.is_dir()


def test_without_locks_only_age_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(temporary.fcntl, "flock", unsupported)
    with temporary_folder(tmp_path) as working:
        again()
        sweep(tmp_path)
        assert working.is_dir()
    young, old = (made(tmp_path / f"{PREFIX}{name}", temporary._machine()) for name in "ab")
    age(old)
    again()
    sweep(tmp_path)
    assert young.is_dir()
    assert not old.exists()


MANY = """
import sys
from pathlib import Path
from bidsapp.derivatives import atomic_path, temporary
for turn in range(150):
    temporary._swept.clear()
    with atomic_path(Path(sys.argv[1]) / f"{sys.argv[2]}-{turn % 7}.txt") as path:
        path.write_text("whole")
"""


def test_many_that_sweep_and_write_at_once_do_not_disturb_one_another(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path), name], stderr=subprocess.PIPE)
        for name in "abcd"
    ]
    said = [run.communicate()[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said
    assert len(list(tmp_path.iterdir())) == 28
    assert {path.read_text() for path in tmp_path.iterdir()} == {"whole"}
