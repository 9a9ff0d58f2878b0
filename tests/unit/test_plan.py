"""What --plan counts before anybody is normalised."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsapp.cli import main
from tests.unit.dataset_trees import make

OLD = ("--outcome", "age", "--positive", "old")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Eight people in the table; of 07 there is another image only, and of 08 no folder."""
    rows = [f"sub-{n:02d}\t{'old' if n % 2 else 'young'}\t{'n/a' if n == 6 else n}" for n in _all()]
    images = [f"sub-{n:02d}_T1w.nii.gz" for n in range(1, 6)]
    sessions = ("sub-06_ses-1_T1w.nii.gz", "sub-06_ses-2_T1w.nii.gz")
    root = make(tmp_path / "bids", *images, *sessions, "sub-07_T2w.nii.gz")
    (root / "participants.tsv").write_text("\n".join(["participant_id\tage\tsite", *rows]) + "\n")
    return root


def _all() -> range:
    return range(1, 9)


def plan(dataset: Path, *arguments: str) -> int:
    place = (str(dataset), str(dataset.parent / "out"), "group", "--recipe", "t1w")
    return main([*place, *OLD, "--plan", *arguments])


def test_people_without_an_image_are_not_counted(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(dataset) == 0
    said = capsys.readouterr()
    assert "3 positive and 3 negative people" in said.out
    left = f"no image: 2 (sub-07, sub-08); sub-07: there is no T1w in {dataset}"
    assert f"Left out, by reason (2 people or scans):\n  {left}\n" in said.err
    assert "WARNING: 2 of 8 people (25%) who have an image or an outcome are not in" in said.err
    assert "Outcome age: negative: young (4)." in said.err  # of scans, as after normalisation


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        (("--participant-label", "01", "02", "sub-04", "07"), (1, 2)),
        (("--participant-label", "01", "02", "06"), (1, 2)),
        (("--set", "protocol.groups=site"), (3, 3)),  # who has none is a group of their own
        (
            (
                *("--set", "protocol.groups=site", "protocol.kind=leave_one_group_out"),
                *("protocol.folds=null", "protocol.stratified=null"),
            ),
            (3, 2),  # who has no site cannot be left out by it
        ),
    ],
)
def test_a_plan_keeps_to_the_people_of_the_run(
    arguments: tuple[str, ...],
    counts: tuple[int, int],
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan(dataset, *arguments) == 0
    assert "{} positive and {} negative people".format(*counts) in capsys.readouterr().out


def test_a_plan_says_which_file_of_the_recipe_the_run_would_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Maps of components are named by the user: those not named, not there and no maps are told."""
    rows = [f"sub-{n:02d}\t{'old' if n % 2 else 'young'}" for n in range(1, 13)]
    names = [f"sub-{n:02d}/func/sub-{n:02d}_task-rest_bold.nii.gz" for n in range(1, 13)]
    root = make(tmp_path / "bids", *names)
    (root / "participants.tsv").write_text("\n".join(["participant_id\tage", *rows]) + "\n")
    key = "representation.fitted.template_components.maps"
    call = [str(root), str(tmp_path / "out"), "group", "--recipe", "rest", *OLD, "--plan"]
    flat = tmp_path / "flat.nii"
    nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)).to_filename(flat)
    maps = tmp_path / "maps.nii"
    nib.Nifti1Image(np.ones((4, 4, 4, 3), np.float32), np.eye(4)).to_filename(maps)
    for given, trouble in (
        ([], f"{key} names no file"),
        (["--set", f"{key}={tmp_path / 'no.nii.gz'}"], f"{tmp_path / 'no.nii.gz'} is not there"),
        (["--set", f"{key}={flat}"], f"{key}: {flat} has shape (4, 4, 4)"),
        (["--set", f"{key}={maps}"], ""),
    ):
        assert main([*call, *given]) == 0
        said = capsys.readouterr()
        assert "6 positive and 6 negative people" in said.out
        assert ("WARNING: the run itself would stop: " in said.err) == bool(trouble)
        assert trouble in said.err


def test_a_plan_says_that_the_run_would_stop_before_images_are_prepared(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(dataset, "--set", "protocol.folds=4") == 0
    said = capsys.readouterr().err
    trouble = "protocol.folds: 4 folds, but only 3 participants are negative"
    assert f"WARNING: the run itself would stop: {trouble}" in said
    assert "--set protocol.folds=3" in said
    assert plan(dataset, "--set", "protocol.folds=3") == 0
    assert "would stop" not in capsys.readouterr().err


def test_a_plan_keeps_to_the_sessions_of_the_run(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(dataset, "sub-01_ses-1_T1w.nii")
    assert plan(dataset, "--session-label", "1") == 0
    said = capsys.readouterr()
    assert "1 positive and 1 negative people" in said.out
    left = "no image: 6 (sub-02, sub-03, sub-04 and 3 more)"
    assert f"{left}; sub-02: there is no T1w in {dataset} of ses-1" in said.err


def test_a_label_that_nobody_has_is_refused_before_images_too(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(dataset, "--participant-label", "99") == 18
    assert "99 not in" in capsys.readouterr().err


def test_before_there_is_any_image_everybody_counts_and_it_is_said(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in dataset.rglob("*_T1w.nii.gz"):
        image.unlink()
    assert plan(dataset, "--participant-label", "01", "02", "08") == 0
    said = capsys.readouterr()
    assert "1 positive and 2 negative people" in said.out
    assert f"There is no T1w in {dataset} either" in said.err


def test_a_positive_value_in_other_letters_is_refused_before_images(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = dataset / "participants.tsv"
    table.write_text(table.read_text().replace("sub-02\tyoung", "sub-02\tOld"))
    assert plan(dataset) == 64
    assert "'age': 'Old' (1) differs from the positive value 'old'" in (capsys.readouterr().err)


def test_a_plan_for_people_of_one_class_is_refused(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(dataset, "--participant-label", "02", "04", "07") == 65
    assert "0 positive and 2 negative people: nobody is positive" in capsys.readouterr().err
    assert plan(dataset, "--participant-label", "01", "03", "08") == 65
    assert "nobody is negative" in capsys.readouterr().err
