"""One scan under two names: refused across a fold, left out, or kept together."""

import re
from pathlib import Path

import pytest

from tests.integration.group_studies import brain, first_run, rerun, table_of, write_normalised
from tests.integration.running import described

SMALL = ("--set", "training.epochs=1", "representation.slices=2", "evaluation.bootstrap=0")


@pytest.fixture
def with_copy(study: Path) -> Path:
    """A study in which sub-16 is sub-03 mirrored, with other noise, and told to be negative."""
    scan = brain(3, True)[::-1].copy()
    scan[40, 50, 40] += 0.001
    write_normalised(study / "out", "sub-16", scan)
    (study / "bids" / "sub-16").mkdir()
    table = study / "bids" / "participants.tsv"
    table.write_text(table.read_text() + "sub-16\tno\t33\tF\n")
    return study


def test_a_copy_in_another_fold_is_refused_with_both_names(
    with_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(with_copy, *SMALL, "protocol.folds=8") == 65
    said = capsys.readouterr().err
    assert "1 pair of participants have one scan, or nearly" in said
    assert re.search(r"sub-03 and sub-16 \(0\.9\d, mirrored\)", said)
    for way in ("inputs.near_duplicates=exclude", "inputs.near_duplicates=together"):
        assert way in said
    pairs = table_of(Path(said.rpartition("All pairs: ")[2].strip()))
    assert pairs["near_duplicate"].tolist() == ["true"]
    assert not (with_copy / "out" / "group" / "small" / "cohort.tsv").exists()


@pytest.mark.slow
def test_a_copy_can_be_left_out_by_name(with_copy: Path) -> None:
    assert rerun(with_copy, *SMALL, "inputs.near_duplicates=exclude") == 0
    run = with_copy / "out" / "group" / "small"
    assert "sub-16" not in set(table_of(run / "cohort.tsv")["participant_id"])
    out = table_of(run / "exclusions.tsv").set_index("participant_id").loc["sub-16"]
    assert out["reason"] == "near-duplicate"
    assert re.fullmatch(
        r"of sub-03 \(correlation 0\.9\d, mirrored\); sub-03 is kept", out["detail"]
    )
    words = (run / "logs" / "CITATION.md").read_text()
    assert "count as one scan: all but the first of each were left out" in words
    described(run / "near_duplicates.tsv")


def test_one_person_under_two_names_is_kept_on_one_side(
    with_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wish = "inputs.near_duplicates=together"
    assert rerun(with_copy, *SMALL, wish, "protocol.folds=4") == 0
    assert "on one side of every split: sub-03 and sub-16" in capsys.readouterr().err
    run = with_copy / "out" / "group" / "small"
    groups = table_of(run / "cohort.tsv").set_index("participant_id")["group"]
    assert groups["sub-03"] == groups["sub-16"] == "sub-03"
    splits = table_of(run / "splits.tsv").set_index(["fold", "participant_id"])["role"].unstack()
    assert (splits["sub-03"] == splits["sub-16"]).all()
    words = (run / "logs" / "CITATION.md").read_text()
    assert "count as one scan: they were kept on the same side of every split" in words
    assert "with splits that were given in a file" not in words


@pytest.mark.slow
def test_a_study_without_copies_says_how_alike_the_most_alike_are(once) -> None:  # type: ignore[no-untyped-def]
    run = once("group_first", first_run)[1].output_dir / "group" / "small"
    pairs = table_of(run / "near_duplicates.tsv")
    assert pairs["near_duplicate"].tolist() == ["false"]
    most = float(pairs["correlation"].iloc[0])
    words = (run / "logs" / "CITATION.md").read_text()
    assert f"no two correlated at 0.50 or more (at most {most:.2f})" in words
