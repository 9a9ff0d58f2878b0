"""The work folder: what is cleaned is what the app made, and never what others use or own."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from bidsapp.cli import main
from bidsapp.errors import CannotCreateOutput, TemporaryFailure, UsageError
from bidsapp.execution.work import (
    MARKER,
    OWN,
    alone,
    begin_work,
    check_work,
    claim,
    keep_shared_work,
    make_own_folder,
    prepare_temporary,
    work_place,
)
from bidsapp.options import RunOptions
from tests.integration.running import tree

SHARED = ("conformed", "template", "templateflow")


def options(root: Path, **changes: object) -> RunOptions:
    plain = RunOptions(root / "bids", root / "out", "group", root / "work", clean_workdir=True)
    return replace(plain, **changes)  # type: ignore[arg-type]


def filled(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file.nii.gz").write_text("somebody's")
    return folder


def test_work_is_claimed_by_one_process_at_a_time(tmp_path: Path) -> None:
    first = claim(tmp_path, "sub_01")
    assert first is not None
    assert claim(tmp_path, "sub_01") is None
    other = claim(tmp_path, "sub_02")
    assert other is not None
    first.close()
    again = claim(tmp_path, "sub_01")
    assert again is not None
    again.close()
    other.close()


def test_a_group_run_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "group" / "t1w"
    with alone(folder):
        again = alone(folder)
        with pytest.raises(TemporaryFailure, match=r"at work on .*--run-label"), again:
            pass
        with alone(folder.with_name("other")):
            pass
    with alone(folder):
        folder.mkdir(parents=True)
        folder.rename(folder.with_name("t1w_kept"))  # as an earlier run is set aside
        assert claim(tmp_path / "logs", "group-t1w") is None
    free = claim(tmp_path / "logs", "group-t1w")
    assert free is not None
    free.close()


def test_a_lock_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / ".t1w.lock").mkdir()
    with pytest.raises(CannotCreateOutput, match=r"\.t1w\.lock cannot be written"):
        claim(tmp_path, ".t1w")


def test_what_a_user_has_in_the_work_folder_is_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A TEMPLATEFLOW_HOME, a folder with the name of one of ours, anything."""
    given = options(tmp_path)
    for name in (*SHARED, "participant", "group", "tmp", "mine"):
        filled(given.work_dir / name)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(given.work_dir / "templateflow"))
    before = tree(given.work_dir)
    begin_work(given, SHARED)
    own = given.work_dir / OWN
    for name in SHARED:
        filled(own / name)
    begin_work(given, SHARED)
    assert [path.name for path in own.iterdir()] == [MARKER]
    after = tree(given.work_dir)
    assert {name: digest for name, digest in after.items() if OWN not in name} == before
    assert not capsys.readouterr().err


def test_a_folder_without_the_marker_is_not_ours(tmp_path: Path) -> None:
    given = options(tmp_path)
    theirs = filled(given.work_dir / OWN / "template")
    before = tree(tmp_path)
    says = rf"{OWN} was not made by this app .*--work-dir"
    with pytest.raises(UsageError, match=says):
        check_work(given)
    with pytest.raises(UsageError, match=says):
        begin_work(given, SHARED)
    with pytest.raises(UsageError, match=says), keep_shared_work(given):
        pass
    assert tree(tmp_path) == before
    assert theirs.is_dir()


def test_a_file_of_our_folders_name_is_refused(tmp_path: Path) -> None:
    given = options(tmp_path)
    given.work_dir.mkdir()
    (given.work_dir / OWN).write_text("somebody's")
    with pytest.raises(UsageError, match="was not made by this app"):
        check_work(given)


def test_what_is_foreign_in_our_folder_stays_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(tmp_path)
    own = make_own_folder(given.work_dir)
    filled(own / "notes")
    (own / "thesis.txt").write_text("somebody's")
    filled(own / "template")
    begin_work(given, SHARED)
    assert sorted(path.name for path in own.iterdir()) == sorted([MARKER, "notes", "thesis.txt"])
    assert "did not make it: notes, thesis.txt" in capsys.readouterr().err


def test_a_share_may_forbid_the_folder_that_another_run_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFS and 9p answer a rename onto a folder so; neither can be mounted here."""

    def first(here: Path, target: Path) -> None:
        shutil.copytree(here, target)
        raise OSError(errno.EACCES, "as a share says it")

    monkeypatch.setattr(Path, "rename", first)
    assert (make_own_folder(tmp_path) / MARKER).is_file()


def test_links_are_left_and_never_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(tmp_path)
    own = make_own_folder(given.work_dir)
    store = filled(tmp_path / "store")
    (own / "templateflow").symlink_to(store)
    (own / "template").mkdir()
    (own / "template" / "inside").symlink_to(store)
    (own / "template" / "file.nii").symlink_to(store / "deep" / "file.nii.gz")
    begin_work(given, SHARED)
    assert (store / "deep" / "file.nii.gz").read_text() == "somebody's"
    assert (own / "templateflow").is_symlink()
    assert not (own / "template").exists()
    assert "templateflow is a link and is left" in capsys.readouterr().err


def test_our_folder_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    given = options(tmp_path)
    there = make_own_folder(tmp_path / "disk")
    given.work_dir.mkdir()
    (given.work_dir / OWN).symlink_to(there)
    filled(there / "template")
    begin_work(given, SHARED)
    assert [path.name for path in there.iterdir()] == [MARKER]


@pytest.mark.parametrize("home", ["templateflow", "templateflow/deep"])
def test_a_home_of_templates_inside_our_folder_is_left(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(tmp_path)
    kept = filled(make_own_folder(given.work_dir) / "templateflow")
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(kept.parent / home))
    begin_work(given, SHARED)
    assert (kept / "deep" / "file.nii.gz").is_file()
    assert "TEMPLATEFLOW_HOME lies there" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["output_dir", "bids_dir"])
@pytest.mark.parametrize("place", [f"work/{OWN}", f"work/{OWN}/deep"])
def test_our_folder_may_not_hold_the_dataset_or_the_output(
    name: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="choose another folder"):
        check_work(options(tmp_path, **{name: tmp_path / place}))


def test_without_the_option_nothing_is_removed(tmp_path: Path) -> None:
    given = options(tmp_path, clean_workdir=False)
    own = make_own_folder(given.work_dir)
    filled(own / "template")
    before = tree(tmp_path)
    begin_work(given, SHARED)
    assert tree(tmp_path) == before


def test_one_run_does_not_clean_away_what_another_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = options(tmp_path, clean_workdir=False)
    cleaning = options(tmp_path)
    own = plain.work_dir / OWN
    with keep_shared_work(plain), keep_shared_work(cleaning):
        filled(own / "conformed")
        begin_work(cleaning, SHARED)
        assert (own / "conformed").is_dir()
        assert f"another run is using {own}" in capsys.readouterr().err
    begin_work(plain, SHARED)
    assert (own / "conformed").is_dir()
    begin_work(cleaning, SHARED)
    assert not (own / "conformed").exists()
    assert not capsys.readouterr().err


HOLD = """
import sys
from pathlib import Path
from bidsapp.execution.work import keep_shared_work
from bidsapp.options import RunOptions
root = Path(sys.argv[1])
with keep_shared_work(RunOptions(root / "bids", root / "out", "group", root / "work")):
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_process_holds_the_folder_until_it_ends_even_if_it_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        kept = filled(given.work_dir / OWN / "template")
        begin_work(given, SHARED)
        assert kept.is_dir()
        assert "another run is using" in capsys.readouterr().err
        other.kill()
    begin_work(given, SHARED)
    assert not kept.exists()


MAKE = """
import sys
from pathlib import Path
from bidsapp.execution.work import MARKER, make_own_folder
print((make_own_folder(Path(sys.argv[1])) / MARKER).is_file())
"""


def test_many_runs_make_one_folder(tmp_path: Path) -> None:
    """Whoever comes second finds it whole, with its marker."""
    command = [sys.executable, "-c", MAKE, str(tmp_path / "work")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [run.communicate()[0].strip() for run in runs] == [b"True"] * 4
    assert [path.name for path in (tmp_path / "work").iterdir()] == [OWN]


def test_without_any_folder_for_temporary_files_ours_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that is read-only; cleaning keeps the folder that is in use."""

    def none() -> str:
        raise FileNotFoundError

    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "DENO_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "gettempdir", none)
    given = options(tmp_path)
    prepare_temporary(given)
    place = given.work_dir / OWN / "tmp"
    assert os.environ["TMPDIR"] == str(place)
    filled(place / "left by a kill")
    begin_work(given, SHARED)
    assert list(place.iterdir()) == []


def test_a_refused_command_leaves_the_work_folder_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path / "work" / "template")
    before = tree(tmp_path)
    arguments = [tmp_path / "none", tmp_path / "out", "participant", "-w", tmp_path / "work"]
    assert main([*map(str, arguments), "--clean-workdir"]) == 66
    assert tree(tmp_path) == before


def test_runs_that_share_a_work_folder_keep_apart(tmp_path: Path) -> None:
    def place(bids: str, out: str, work: str) -> Path:
        given = RunOptions(tmp_path / bids, tmp_path / out, "participant", tmp_path / work)
        return work_place(given, "participant")

    assert place("a", "out_a", "scratch") == place("a", "out_a", "scratch")
    assert place("a", "out_a", "scratch") != place("b", "out_b", "scratch")
    assert place("a", "out", "out/work") == tmp_path / "out" / "work" / OWN / "participant"
