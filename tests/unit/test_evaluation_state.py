"""State files that were edited by hand, each refused with its file and line."""

import os

import numpy as np
import pytest

from bidsapp.errors import BadData, NoInput
from bidsapp.evaluation.state import read_state
from bidsapp.training.splits_file import splits_of
from tests.unit.evaluation_runs import write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", n=16, folds=4, variants=("axial", "coronal"))


def lines_of(path):
    return path.read_text().split("\n")


def change(path, line, column, value):
    """Put a value into one cell; lines count from 1."""
    lines = lines_of(path)
    cells = lines[line - 1].split("\t")
    cells[lines[0].split("\t").index(column)] = value
    lines[line - 1] = "\t".join(cells)
    path.write_text("\n".join(lines))


def cell(column, value, line=5):
    return lambda path: change(path, line, column, value)


def rewrite(how):
    return lambda path: path.write_text("\n".join(how(lines_of(path))))


def flip_outcome(path):
    now = lines_of(path)[4].split("\t")[5]
    change(path, 5, "outcome", "1" if now == "0" else "0")


def move_to_another_fold(path):
    now = int(lines_of(path)[4].split("\t")[4])
    change(path, 5, "fold", str(now % 4 + 1))


def drop_column(path):
    path.write_text("\n".join("\t".join(line.split("\t")[:-1]) for line in lines_of(path)))


WRONG_SCORES = {
    "participant removed": (rewrite(lambda t: [*t[:4], *t[5:]]), "line 16 ends variant 'axial'"),
    "last row removed": (rewrite(lambda t: [*t[:-2], ""]), "ends variant 'coronal' without"),
    "unknown participant": (cell("participant_id", "sub-9999"), "line 5: 'sub-9999 n/a' is not in"),
    "unknown session": (cell("session_id", "ses-7"), "line 5: .* is not in cohort.tsv"),
    "probability above 1": (cell("probability", "1.2"), "line 5: probability is '1.2'"),
    "probability below 0": (cell("probability", "-0.1"), "line 5: probability"),
    "probability NaN": (cell("probability", "NaN"), "line 5: probability is 'NaN'"),
    "probability n/a": (cell("probability", "n/a"), "line 5: probability is 'n/a'"),
    "probability empty": (cell("probability", ""), "line 5: probability"),
    "probability infinite": (cell("probability", "inf"), "line 5: probability"),
    "decimal comma": (cell("probability", "0,4"), "line 5: probability is '0,4'"),
    "percent": (cell("probability", "40%"), "line 5: probability is '40%'"),
    "outcome changed": (flip_outcome, "line 5: outcome .* cohort.tsv has the other outcome"),
    "outcome as a word": (cell("outcome", "chronic"), "line 5: outcome is 'chronic'"),
    "outcome 2": (cell("outcome", "2"), "line 5: outcome is '2'"),
    "outcome missing": (cell("outcome", "n/a"), "line 5: outcome is 'n/a'"),
    "fold changed": (move_to_another_fold, "line 5: .* only held-out participants"),
    "fold as a fraction": (cell("fold", "1.5"), "line 5: fold is '1.5'"),
    "repeat unknown": (cell("repeat", "9"), "line 5: .* absent"),
    "repeat beyond integers": (cell("repeat", "9" * 23), "line 5: repeat is '9+'"),
    "fold beyond integers": (
        cell("fold", "9" * 5000),
        r"line 5: fold is '9+ \[\.\.\. \d+ more characters \.\.\.\] 9+'",
    ),
    "repeat negative": (cell("repeat", "-1"), "line 5: repeat is '-1'"),
    "row duplicated": (rewrite(lambda t: [*t[:5], t[4], *t[5:]]), "line 6 repeats line 5"),
    "variant empty": (cell("variant", ""), "line 5: variant"),
    "variant misspelt": (cell("variant", "axail"), "ends variant 'a.*' without"),
    "wrong delimiter": (rewrite(lambda t: [x.replace("\t", ",") for x in t]), "line 1: one column"),
    "one line by commas": (rewrite(lambda t: [*t[:4], t[4].replace("\t", ","), *t[5:]]), "line 5"),
    "column missing": (drop_column, "line 1: column .'probability'. is missing"),
    "column renamed": (cell("probability", "score", line=1), "line 1: .*missing"),
    "column twice": (cell("fold", "repeat", line=1), "line 1: .*appears twice"),
    "column added": (rewrite(lambda t: [x + "\tx" for x in t[:-1]]), "line 1: unknown column"),
    "field added": (rewrite(lambda t: [*t[:4], t[4] + "\tx", *t[5:]]), "line 5 has 8 fields"),
    "blank line": (rewrite(lambda t: [*t[:4], "", *t[4:]]), "line 5 is blank"),
    "no rows": (rewrite(lambda t: [t[0], ""]), "line 2: no scores"),
    "empty file": (rewrite(lambda t: [""]), "line 1: the file is empty"),
    "not text": (lambda path: path.write_bytes(b"\xff\xfe\x00\x80"), "not UTF-8"),
}


@pytest.mark.parametrize("name", WRONG_SCORES)
def test_scores_edited_by_hand_are_refused_with_their_line(run, name):
    edit, message = WRONG_SCORES[name]
    edit(run / "scores.tsv")
    with pytest.raises(BadData, match=message) as caught:
        read_state(run)
    assert "scores.tsv" in str(caught.value)
    assert caught.value.exit_code == 65  # EX_DATAERR


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("cohort.tsv", cell("outcome", "n/a"), "line 5: outcome"),
        ("cohort.tsv", rewrite(lambda t: [*t[:5], t[4], *t[5:]]), "line 6 repeats line 5"),
        ("splits.tsv", cell("role", "tset"), "line 5: role is 'tset'"),
        ("splits.tsv", cell("participant_id", "sub-77"), "line 5: 'sub-77'"),
        ("splits.tsv", rewrite(lambda t: [*t[:5], t[4], *t[5:]]), "line 6 repeats line 5"),
    ],
)
def test_other_state_files_are_refused_with_their_line(run, file, edit, message):
    edit(run / file)
    with pytest.raises(BadData, match=message) as caught:
        read_state(run)
    assert file in str(caught.value)


@pytest.mark.parametrize("file", ["cohort.tsv", "splits.tsv", "scores.tsv"])
def test_missing_files_are_named(run, file):
    (run / file).unlink()
    with pytest.raises(NoInput, match=file):
        read_state(run)


def test_windows_line_ends_and_byte_order_marks_are_read(run):
    expected = read_state(run).scores
    for file in ("cohort.tsv", "splits.tsv", "scores.tsv"):
        text = (run / file).read_text().replace("\n", "\r\n")
        (run / file).write_bytes(("\ufeff" + text).encode())
    assert read_state(run).scores.equals(expected)


def test_what_is_read_is_typed_and_complete(tmp_path):
    ages = {"age": list(range(20, 36))}
    run = write_run(tmp_path, n=16, folds=4, repeats=2, sessions=2, covariates=ages)
    state = read_state(run)
    assert len(state.scores) == 16 * 2 * 2 * 3
    assert state.scores["probability"].between(0, 1).all()
    assert np.issubdtype(state.scores["fold"].dtype, np.integer)
    assert state.covariates == ["age"]
    assert state.exclusions.empty


def test_a_variant_may_have_splits_of_its_own(run):
    path = run / "splits.tsv"
    lines = lines_of(path)[:-1]
    common = [f"{line}\tn/a" for line in lines[1:]]
    own = [f"{line}\tcoronal" for line in lines[1:]]
    path.write_text("\n".join([lines[0] + "\tvariant", *common, *own, ""]))
    state = read_state(run)
    assert len(splits_of(state.splits, "coronal")) == len(splits_of(state.splits, "axial")) == 64
    assert set(splits_of(state.splits, "coronal")["variant"]) == {"coronal"}


def test_hold_out_scores_of_the_test_people_alone_are_complete(run):
    tested = {"sub-0000", "sub-0001", "sub-0002", "sub-0003"}
    people = [f"sub-{i:04d}" for i in range(16)]
    roles = [f"1\t1\t{who}\t{'test' if who in tested else 'train'}" for who in people]
    (run / "splits.tsv").write_text("\n".join(["repeat\tfold\tparticipant_id\trole", *roles, ""]))
    lines = lines_of(run / "scores.tsv")
    kept = [line for line in lines[1:] if line.split("\t")[0] in tested]
    for number, line in enumerate(kept):
        cells = line.split("\t")
        cells[4] = "1"
        kept[number] = "\t".join(cells)
    (run / "scores.tsv").write_text("\n".join([lines[0], *kept, ""]))
    assert len(read_state(run).scores) == 8


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["cohort.tsv", "splits.tsv", "scores.tsv"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link that leads round"])
def test_what_is_no_file_is_refused_and_never_waited_for(run, name, kind):
    path = run / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(name)
    with pytest.raises(NoInput, match=f"{name}: cannot be read"):
        read_state(run)
