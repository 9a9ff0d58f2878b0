"""A folder that cannot be read costs one participant or session, never the run."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bidsapp.cli import main
from bidsapp.dataset import validation
from bidsapp.dataset.own_output import find_own
from bidsapp.dataset.scans import imaged_scans
from bidsapp.errors import NoInput
from bidsapp.modalities.t1w.elsewhere import find_derivatives
from tests.unit.cohort_trees import SPACE, build, heads, normalise, reasons, study
from tests.unit.dataset_trees import chosen, make, select
from tests.unit.unprivileged import as_anybody, open_folder

NAMES = [f"sub-{who}_T1w.nii.gz" for who in ("01", "02", "03", "04")]
SESSIONS = [f"sub-02_ses-{name}_T1w.nii.gz" for name in ("a", "b")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    select(make(tmp_path / "sound", *NAMES))  # imports all that is needed
    with open_folder() as folder:
        yield folder


def closed(path: Path) -> None:
    path.chmod(0)


def listed_only(path: Path) -> None:
    path.chmod(0o444)


def circle(path: Path) -> None:
    for one in sorted(path.rglob("*"), reverse=True):
        one.rmdir() if one.is_dir() else one.unlink()
    path.rmdir()
    path.symlink_to(path.name)


UNREADABLE = {"closed": closed, "listed only": listed_only, "a circle of links": circle}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("part", ["sub-02", "sub-02/anat"])
@pytest.mark.parametrize("database", [False, True])
def test_a_participant_whose_folder_cannot_be_read_is_refused_alone(
    spoil: Callable[[Path], None], part: str, database: bool, place: Path
) -> None:
    root = make(place / "study", *NAMES)
    spoil(root / part)
    options = {"bids_database_dir": place / "base"} if database else {}
    (place / "base").mkdir()
    (place / "base").chmod(0o777)
    with as_anybody():
        for _ in range(1 + database):
            selection = select(root, **options)
            assert chosen(selection) == [name for name in NAMES if "sub-02" not in name]
            [refusal] = selection.refusals
            assert (refusal.participant, refusal.session) == ("02", None)
            assert refusal.error is NoInput
            assert f"{root / part} cannot be read" in refusal.reason


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("part", ["ses-b", "ses-b/anat"])
def test_a_session_whose_folder_cannot_be_read_is_refused_alone(
    spoil: Callable[[Path], None], part: str, place: Path
) -> None:
    root = make(place / "study", *SESSIONS, NAMES[0])
    spoil(root / "sub-02" / part)
    with as_anybody():
        selection = select(root)
        assert chosen(selection) == [NAMES[0], SESSIONS[0]]
        assert [(r.participant, r.session) for r in selection.refusals] == [("02", "b")]
        assert chosen(select(root, session_label=("a",))) == [SESSIONS[0]]
        assert imaged_scans(root, "anat", "T1w")[0] == ("sub-01", "")


@pytest.mark.parametrize("name", [b"sub-\xff", b"sub-02/anat/sub-02_\xff_T1w.nii.gz"])
def test_a_name_that_is_no_text_costs_one_participant(name: bytes, tmp_path: Path) -> None:
    """As older systems wrote umlauts; pybids ends with a program error."""
    root = make(tmp_path / "study", *NAMES)
    path = os.path.join(os.fsencode(root), name)
    os.mkdir(path) if b"T1w" not in name else open(path, "wb").close()
    selection = select(root)
    [refusal] = selection.refusals
    assert "\\udcff" in refusal.reason
    assert "is not UTF-8 text" in refusal.reason
    assert len(selection.choices) == (4 if b"T1w" not in name else 3)


def test_where_nobody_can_be_read_each_reason_is_told(place: Path) -> None:
    root = make(place / "study", *NAMES[:2])
    for label in ("01", "02"):
        closed(root / f"sub-{label}")
    with as_anybody(), pytest.raises(NoInput) as caught:
        select(root)
    assert str(caught.value).count("cannot be read (Permission denied)") == 2


def test_a_dataset_that_cannot_be_read_is_told_so(place: Path) -> None:
    root = make(place / "study", *NAMES)
    closed(root)
    with as_anybody(), pytest.raises(NoInput, match=r"study cannot be read \(Permission"):
        select(root)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def plug(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:  # such an address may have 108 bytes
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("spoil", "says"), [(pipe, "a pipe"), (plug, "a socket"), (device, "a device")]
)
def test_an_image_that_is_no_file_is_refused_before_it_is_waited_for(
    spoil: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    root = make(tmp_path / "study", *NAMES)
    image = root / "sub-02" / "anat" / NAMES[1]
    image.unlink()
    spoil(image)
    selection = select(root)
    assert len(selection.choices) == 3
    [refusal] = selection.refusals
    assert refusal.reason == f"sub-02/anat/{NAMES[1]}: it is {says}, not a file"


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("part", ["sub-3", "sub-3/anat"])
@pytest.mark.parametrize("normalised", [False, True])
def test_a_raw_folder_that_cannot_be_read_does_not_end_a_group_run(
    spoil: Callable[[Path], None], part: str, normalised: bool, place: Path
) -> None:
    rows = "".join(f"{number} {number % 2}\n" for number in range(1, 5))
    root = study(place / "bids", f"participant_id chronic\n{rows}")
    make(root, *[f"sub-{number}_T1w.nii.gz" for number in range(1, 5)])
    for number in range(1, 5):
        if number != 3 or normalised:
            normalise(place / "out", f"sub-{number}", number)
    spoil(root / part)
    with as_anybody():
        cohort = build(place)
    notes = "\n".join(cohort.notes)
    assert len(cohort.table) == 3 + normalised
    assert "cannot be read" in notes
    if normalised:
        assert "WARNING: scanner and site of 1 scans are not known: the folder" in notes
    else:
        assert "no normalised image: 1 (sub-3); sub-3: the folder" in notes
        assert "WARNING: 1 of 4 people" in notes


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("part", ["sub-3", "sub-3/anat"])
def test_a_plan_tells_who_cannot_be_read_from_who_has_no_image(
    spoil: Callable[[Path], None], part: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{number} {number % 2}\n" for number in range(1, 7))
    root = study(place / "bids", f"participant_id chronic\n{rows}")
    make(root, *[f"sub-{number}_T1w.nii.gz" for number in range(1, 6)])
    words = ("--recipe", "t1w", "--outcome", "chronic", "--positive", "1", "--plan")
    assert main([str(root), str(place / "out"), "group", *words]) == 0
    assert "3 positive and 2 negative people" in capsys.readouterr().out
    spoil(root / part)
    with as_anybody():
        assert main([str(root), str(place / "out"), "group", *words]) == 0
    said = capsys.readouterr()
    assert "2 positive and 2 negative people" in said.out
    assert "folder not readable: 1 (sub-3); sub-3: the folder" in said.err
    assert "no image: 1 (sub-6)" in said.err


@pytest.mark.skipif(validation.find_validator() is None, reason="no validator")
def test_the_validator_is_shown_only_what_it_can_read(place: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """It ends at the first folder that it may not read, with nobody's files looked at."""
    root = make(place / "study", *NAMES)
    closed(root / "sub-02" / "anat")
    (root / "sub-03" / "anat" / "sub-03_nonsense.txt").touch()
    shown = []
    monkeypatch.setattr(
        validation, "_run", lambda program, view, *more: shown.extend(os.listdir(view)) or "stopped"
    )
    with as_anybody():
        validation.validate_dataset(root)
    assert sorted(shown) == ["dataset_description.json", "sub-01", "sub-03", "sub-04"]


def test_a_folder_of_results_that_cannot_be_read_leaves_out_one_person(place: Path) -> None:
    rows = "".join(f"{number} {number % 2}\n" for number in range(1, 7))
    study(place / "bids", f"participant_id chronic\n{rows}")
    for number in range(1, 7):
        normalise(place / "out", f"sub-{number}", number)
    closed(place / "out" / "sub-3" / "anat")
    circle(place / "out" / "sub-4")
    with as_anybody():
        cohort = build(place)
        assert len(cohort.table) == 4
        why = reasons(cohort)
    assert why["sub-3"] == why["sub-4"] == "folder not readable"
    detail = dict(
        zip(cohort.exclusions["participant_id"], cohort.exclusions["detail"], strict=True)
    )
    assert "sub-3/anat cannot be read (Permission denied)" in detail["sub-3"]
    with as_anybody():
        for found in (
            find_own(place / "out", heads(SPACE)),
            find_derivatives("x", place / "out", heads(SPACE)),
        ):
            assert set(found.unusable) == {("sub-3", ""), ("sub-4", "")}
