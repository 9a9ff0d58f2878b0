"""Images that another pipeline normalised, through the group level: -d NAME=PATH."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.group_studies import (
    SPACE,
    affine_of,
    brain,
    make_study,
    rerun,
    save,
    table_of,
)
from tests.integration.running import tree


def write_prep(root: Path, people: int = 12) -> None:
    """Write what fMRIPrep leaves: whole heads and masks, left to right, on a grid of its own."""
    own = affine_of(2)
    flipped = own @ np.array([[-1, 0, 0, 78], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    mask = np.zeros((79, 95, 79), np.uint8)
    mask[10:-10, 10:-10, 10:-10] = 1
    for i in range(people):
        folder = root / f"sub-{i:02d}" / "anat"
        stem = f"sub-{i:02d}_space-{SPACE}_desc"
        head = 100 + 900 * brain(i, bool(i % 2))
        save(folder / f"{stem}-preproc_T1w.nii.gz", head[::-1].astype(np.int16), flipped)
        save(folder / f"{stem}-brain_mask.nii.gz", mask[::-1], flipped)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study without the participant level, and derivatives of another pipeline."""
    make_study(tmp_path, 12)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").mkdir()
    write_prep(tmp_path / "prep")
    return tmp_path


def test_who_has_run_fmriprep_needs_no_participant_level(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(study / "prep")
    assert rerun(study, "-d", f"prep={study / 'prep'}") == 0
    assert "prep has no" not in capsys.readouterr().err  # of what no network takes nothing is said
    folder = study / "out" / "group" / "small"
    cohort = table_of(folder / "cohort.tsv")
    uri = f"bids:prep:sub-00/anat/sub-00_space-{SPACE}_desc-preproc_T1w.nii.gz"
    assert cohort["image"][0] == uri
    assert set(cohort["quality"]) == {"n/a"}
    scores = table_of(folder / "scores.tsv").astype({"probability": float})
    positive = scores["outcome"] == "1"
    assert len(scores) == 12
    assert scores["probability"][positive].min() > scores["probability"][~positive].max()
    assert tree(study / "prep") == before


def test_a_recipe_that_needs_the_log_jacobian_refuses_what_lacks_it(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(study, "--variants", "both", "-d", f"prep={study / 'prep'}") == 65
    said = capsys.readouterr().err
    assert "nobody is left (no log-Jacobian: 12)" in said
    assert not (study / "out" / "group").exists()


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("prep={study}/nowhere", 66, "is not a folder"),
        ("prep={study}/bids", 64, "no T1w in space MNI152NLin2009aSym; spaces there: none"),
        ("=", 64, "expected NAME=PATH"),
    ],
)
def test_derivatives_that_do_not_serve(
    given: str, code: int, says: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(study, "-d", given.format(study=study)) == code
    assert says in capsys.readouterr().err


def test_a_space_that_is_not_the_recipes_is_refused_with_those_that_are_there(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in [*(study / "prep").rglob("*.nii.gz")]:
        path.rename(path.with_name(path.name.replace(SPACE, "MNI152NLin6Asym")))
    assert rerun(study, "-d", f"prep={study / 'prep'}") == 64
    said = capsys.readouterr().err
    assert "spaces there: MNI152NLin6Asym" in said
    assert "--template" in said
