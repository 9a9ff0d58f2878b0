"""Files are whole or absent: after failures, kills, and with many writers at once."""

import errno
import json
import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from bidsapp.derivatives import atomic_path, prepare_output, publish, write_json, write_text
from bidsapp.derivatives.atomic import appears
from bidsapp.errors import CannotCreateOutput, InputOutputError, UsageError
from tests.integration.running import validation_errors

MARKER = "sub-01_desc-preproc_T1w.json"
NAMES = ("sub-01_desc-preproc_T1w.nii.gz", "sub-01_desc-brain_mask.nii.gz", MARKER)


def test_a_file_appears_when_the_block_succeeds(tmp_path: Path) -> None:
    final = tmp_path / "new" / "sub-01_T1w.nii.gz"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.name.endswith("sub-01_T1w.nii.gz")
        assert temporary.name.startswith(".")
        temporary.write_text("all of it")
        assert not final.exists()
    assert final.read_text() == "all of it"
    assert [path.name for path in final.parent.iterdir()] == [final.name]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    final = tmp_path / "file.txt"
    final.write_text("before")
    with suppress(ZeroDivisionError), atomic_path(final) as temporary:
        temporary.write_text("hal")
        1 / 0  # noqa: B018
    assert final.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [
        (errno.ENOSPC, InputOutputError, "No space left"),
        (errno.EROFS, CannotCreateOutput, "read-only"),
        (errno.EACCES, CannotCreateOutput, "who owns"),
    ],
)
def test_trouble_on_the_disk_is_told_with_the_file(
    number: int, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught, atomic_path(tmp_path / "file.txt"):
        raise OSError(number, os.strerror(number))
    assert says in str(caught.value)
    assert "file.txt" in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CannotCreateOutput, match="cannot be made"),
        atomic_path(tmp_path / "file" / "below" / "x.txt"),
    ):
        pass


def test_text_that_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "description.json"
    write_json(path, {"Name": "Étude «1»"})
    os.utime(path, ns=(1, 1))
    write_json(path, {"Name": "Étude «1»"})
    assert path.stat().st_mtime_ns == 1
    write_text(path, "new")
    assert path.read_text() == "new"


def test_json_holds_numpy_values_and_no_nan(tmp_path: Path) -> None:
    values = {
        "nan": float("nan"),
        "list": [np.float32(1.5), -np.inf, (np.int64(3), None)],
        "deep": {1: np.bool_(True)},
    }
    write_json(tmp_path / "x.json", values)
    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail)
    assert found == {"nan": None, "list": [1.5, None, [3, None]], "deep": {"1": True}}


def staged(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(content)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("before", [None, "old", "neighbour"])
def test_a_set_is_put_in_place_and_the_staging_folder_goes(
    before: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / "sub-01" / "anat"
    if before is not None:
        folder.mkdir(parents=True)
        for name in NAMES if before == "old" else ["sub-01_desc-other_T1w.json"]:
            (folder / name).write_text(before)
    publish(staged(tmp_path / ".staging" / "a", "new"), folder, MARKER)
    found = contents(folder)
    kept = found.pop("sub-01_desc-other_T1w.json", None)
    assert kept == ("neighbour" if before == "neighbour" else None)
    assert found == dict.fromkeys(NAMES, "new")
    assert not (tmp_path / ".staging" / "a").exists()


def killed_at(step: int, staging: Path, folder: Path) -> None:
    """Publish, and die as if killed at the n-th move."""
    real: Callable[..., None] = os.replace
    moves = iter(range(100))

    def replace(*paths: Path) -> None:
        if next(moves) == step:
            os._exit(9)
        real(*paths)

    os.replace = replace  # type: ignore[assignment]
    publish(staging, folder, MARKER)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_set_that_was_killed_half_way_has_no_marker(step: int, tmp_path: Path) -> None:
    folder = staged(tmp_path / "anat", "old")
    process = multiprocessing.get_context("fork").Process(
        target=killed_at, args=(step, staged(tmp_path / "staging", "new"), folder)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    assert MARKER not in contents(folder)
    publish(staged(tmp_path / "again", "new"), folder, MARKER)
    assert contents(folder) == dict.fromkeys(NAMES, "new")


def publish_often(root: Path, name: str, folder: Path) -> None:
    for turn in range(40):
        publish(staged(root / f"{name}-{turn}", "same"), folder, MARKER)


def test_several_publishers_of_one_set_leave_one_whole_set(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "anat"
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=publish_often, args=(tmp_path / ".staging", name, folder))
        for name in "abcd"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert contents(folder) == dict.fromkeys(NAMES, "same")
    assert not list((tmp_path / ".staging").iterdir())


@pytest.mark.parametrize(
    "generated", [[], [{"Name": "fMRIPrep"}], None, 5, "x", [5, [{}]], {"a": 1}]
)
def test_a_folder_with_another_dataset_is_not_written_to(generated: object, tmp_path: Path) -> None:
    bids, out = tmp_path / "bids", tmp_path / "out"
    bids.mkdir()
    out.mkdir()
    theirs = out / "dataset_description.json"
    theirs.write_text(json.dumps({"Name": "theirs", "GeneratedBy": generated}))
    before = theirs.read_text()
    with pytest.raises(UsageError, match="holds another dataset"):
        prepare_output(out, bids)
    assert theirs.read_text() == before
    assert not (out / ".bidsignore").exists()


@pytest.mark.parametrize("name", ["scratch", "#1", "!not", "a*", "[ab]", "it's 100 % mine?"])
def test_a_work_folder_inside_the_output_is_hidden_from_validators(
    name: str, tmp_path: Path
) -> None:
    """Whatever its name would mean as a pattern; and nothing else is."""
    out, work = tmp_path / "out", tmp_path / "out" / name / "deep"
    (tmp_path / "bids").mkdir()
    prepare_output(out, tmp_path / "bids", work)
    work.mkdir(parents=True)
    (work / "file.nii").touch()
    (out / "ab").mkdir()
    (out / "ab" / "other.nii").touch()
    places = {error.rpartition(" ")[2] for error in validation_errors(out)[1]}
    assert "/ab/other.nii" in places
    assert all(place.startswith("/ab/") for place in places)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EEXIST])
def test_a_share_that_forbids_what_is_there_is_no_trouble(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFS and 9p answer a rename onto a folder of another run so; neither can be mounted here."""
    staging, folder = tmp_path / "staging", tmp_path / "sub-01"
    staging.mkdir()
    (staging / "done.json").write_text("{}")

    def first(here: Path, target: Path) -> None:
        Path(target).mkdir()
        raise OSError(number, "as a share says it")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", first)
        publish(staging, folder, "done.json")
    assert (folder / "done.json").is_file()

    def forbidden(here: Path, target: Path) -> None:
        raise OSError(errno.EACCES, "as a share says it")

    staging.mkdir()
    (staging / "done.json").write_text("{}")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", forbidden)
        with pytest.raises(CannotCreateOutput, match="check who owns"):
            publish(staging, tmp_path / "sub-02", "done.json")


def test_what_another_host_made_is_waited_for(tmp_path: Path) -> None:
    """As over NFS, where it shows later; on two hosts: tests/faults/test_shared_disks.py."""
    there, late = tmp_path / "there", tmp_path / "late"
    there.mkdir()
    assert appears(there)
    maker = threading.Timer(0.5, late.mkdir)
    maker.start()
    assert appears(late)
    assert late.is_dir()
    maker.join()
