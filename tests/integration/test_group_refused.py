"""What a group run refuses or leaves out, in words a person can act on, and with which code."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.dataset.cohort import Cohort, build_cohort
from bidsapp.execution.work import OWN
from bidsapp.recipes import load_recipe
from bidsapp.recipes.images import Outcome
from bidsapp.training.splits import make_splits
from tests.integration.group_studies import (
    SPACE,
    affine_of,
    brain,
    rerun,
    save,
    write_normalised,
)
from tests.integration.running import tree
from tests.unit.cohort_trees import heads

Edit = Callable[[Path], object]


def participants(change: Callable[[str], str]) -> Edit:
    """Change the text of participants.tsv."""

    def edit(root: Path) -> None:
        path = root / "bids" / "participants.tsv"
        path.write_text(change(path.read_text()))

    return edit


def splits(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    """Write two folds by hand, changed."""

    def edit(root: Path) -> None:
        rows = [
            (0, fold, f"sub-{i:02d}", "test" if i // 2 % 2 == fold else "train")
            for fold in (0, 1)
            for i in range(16)
        ]
        columns = pd.Index(["repeat", "fold", "participant_id", "role"])
        table = change(pd.DataFrame(rows, columns=columns))
        table.to_csv(root / "splits.tsv", sep="\t", index=False)

    return edit


def in_train_too(table: pd.DataFrame) -> pd.DataFrame:
    leak = table[(table["role"] == "test") & (table["fold"] == 0)].head(1).assign(role="train")
    return pd.concat([table, leak])


def also_tested_in_the_other_fold(table: pd.DataFrame) -> pd.DataFrame:
    other = (table["participant_id"] == "sub-00") & (table["fold"] == 1)
    return table.assign(role=table["role"].where(~other, "test"))


def without_images(root: Path) -> None:
    shutil.rmtree(root / "out")
    (root / "out").mkdir()


def same_image_twice(root: Path) -> None:
    shutil.rmtree(root / "out" / "sub-03")
    write_normalised(root / "out", "sub-03", brain(5, True))


REFUSED: dict[str, tuple[Edit | None, tuple[str, ...], int, tuple[str, ...]]] = {
    "no such outcome": (
        *(None, ("--outcome", "pain", "--positive", "1"), 64),
        ("no column 'pain'", "chronic: no (8), yes (8)", "age: numbers from 20 to"),
    ),
    "which values are positive": (
        *(None, ("--outcome", "chronic"), 64),
        ("--outcome chronic needs --positive VALUE",),
    ),
    "no value is positive": (
        *(None, ("--outcome", "chronic", "--positive", "maybe"), 64),
        ("no value of 'chronic' is positive (maybe)", "it has no (8), yes (8)"),
    ),
    "several values that are not positive": (
        *(participants(lambda text: text.replace("sub-00\tno", "sub-00\twithdrawn")), (), 64),
        (
            "which values of 'chronic' are negative? Besides the positive (yes) it has no (7), "
            "withdrawn (1)",
            "--negative no",
        ),
    ),
    "a code for missing in an expression": (
        participants(lambda text: re.sub(r"(sub-04\tno)\t\d+", r"\1\t999", text)),
        ("--set", "outcome.expression=age >= 60", "outcome.column=null", "outcome.positive=null"),
        64,
        ("age: 999 (1) look like missing values", "--set 'tables.missing=[age=999]'"),
    ),
    "a label that may be two people": (
        participants(lambda text: text.replace("sub-03", "sub-3").replace("sub-05", "sub-003")),
        *((), 65),
        ("sub-003 and sub-3 may each be sub-03", "participants.tsv"),
    ),
    "one class only": (
        *(participants(lambda text: text.replace("\tno\t", "\tn/a\t")), (), 65),
        ("8 positive and 0 negative scans", "Left out: no outcome: 8", "--positive"),
    ),
    "fewer of a class than folds": (
        *(None, ("--set", "protocol.folds=9"), 64),
        ("protocol.folds: 9 folds", "only 8 participants are negative", "--set protocol.folds=8"),
    ),
    "a row twice": (
        *(participants(lambda text: text + "sub-03\tno\t30\tF\n"), (), 65),
        ("participants.tsv", "line 18 repeats line 5 (sub-03)"),
    ),
    "a participant in train and test": (
        *(splits(in_train_too), ("--splits", "{study}/splits.tsv"), 65),
        ("splits.tsv is refused", "sub-00 is in test and in train of repeat 0, fold 0"),
    ),
    "a participant tested twice": (
        *(splits(also_tested_in_the_other_fold), ("--splits", "{study}/splits.tsv"), 65),
        ("sub-00 is tested in 2 folds",),
    ),
    "a stranger in the splits": (
        *(splits(lambda t: t.replace("sub-07", "sub-70")), ("--splits", "{study}/splits.tsv"), 65),
        ("participant 'sub-70' is not in the cohort", "sub-07 of the cohort is never tested"),
    ),
    "no splits": (None, ("--splits", "{study}/none.tsv"), 66, ("none.tsv cannot be read",)),
    "a value out of range": (
        *(None, ("--set", "training.epochs=0"), 64),
        ("training.epochs: should be greater than or equal to 1, got 0",),
    ),
    "more slices than there are": (
        *(None, ("--set", "representation.slices=100"), 64),
        ("representation.slices: 100 is more than the 79 axial slices",),
    ),
    "an unknown variant": (
        *(None, ("--variants", "coronal"), 64),
        ("variant 'coronal' is unknown", "sagittal"),
    ),
    "a z-score over the dataset": (
        *(None, ("--set", "representation.zscore=dataset"), 64),
        ("representation.zscore: dataset is refused in strict mode", "held-out images"),
    ),
    "an epoch chosen on the test fold": (
        *(None, ("--set", "training.checkpoint=test_fold"), 64),
        ("training.checkpoint: test_fold is refused in strict mode",),
    ),
    "no weights": (
        *(None, ("--variants", "pretrained"), 66),
        ("--weights FILE", "https://github.com/Tencent/MedicalNet", "network.start=random"),
    ),
    "weights that are not there": (
        *(None, ("--variants", "pretrained", "--weights", "{study}/none.pth"), 66),
        ("none.pth is not there", "https://github.com/Tencent/MedicalNet"),
    ),
    "weights that are damaged": (
        lambda root: (root / "weights.pth").write_bytes(b"PK\x03\x04 cut short"),
        ("--variants", "pretrained", "--weights", "{study}/weights.pth"),
        65,
        ("weights.pth is damaged or cut short", "Recipe small"),
    ),
    "weights that nothing needs": (
        *(None, ("--weights", "{study}/small.yaml"), 64),
        ("network.start: random",),
    ),
    "no participant level yet": (
        *(without_images, (), 66),
        ("no normalised T1w with space-MNI152NLin2009aSym_res-2", "run the participant level"),
    ),
    "a resolution that is not there": (
        *(None, ("--resolution", "1"), 66),
        ("space-MNI152NLin2009aSym_res-1", "run the participant level"),
    ),
    "an image under two names": (
        *(same_image_twice, (), 65),
        ("the same image under 2 names", "sub-03", "sub-05"),
    ),
    "nothing to evaluate": (
        *(None, ("--evaluate-only", "--run-label", "smal"), 66),
        ("group/smal holds no scores.tsv; no run under", "leave out --evaluate-only"),
    ),
    "a plan for derivatives that hold nothing": (
        *(None, ("-d", "prep={study}/bids", "--plan"), 64),
        ("-d prep=", "no T1w in space MNI152NLin2009aSym"),
    ),
    "a plan for a folder that is no dataset": (
        lambda root: (root / "empty").mkdir(),
        *(("-d", "prep={study}/empty", "--plan"), 66),
        ("-d prep=", "no sub-<label> folder"),
    ),
    "a model and a recipe": (
        *(None, ("--model", "{study}/model"), 64),
        ("--model", "leave out --recipe"),
    ),
    "a work folder in the dataset": (
        *(None, ("--work-dir", "{study}/bids/work"), 64),
        ("--work-dir", "never written to"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_any_work(
    name: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit, arguments, code, says = REFUSED[name]
    if edit:
        edit(study)
    before = tree(study / "bids")
    work = () if "--work-dir" in arguments else ("--work-dir", tmp_path / "work")
    given = [argument.format(study=study) for argument in arguments]
    assert rerun(study, *work, *given) == code
    said = capsys.readouterr().err
    for words in says:
        assert words in said
    assert "Traceback" not in said
    assert tree(study / "bids") == before
    assert not (study / "out" / "group").exists()
    assert not (tmp_path / "work" / OWN / "group").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 66),  # no images anywhere
        (("--plan",), 0),
        (("-d", "own={study}/out", "--outcome", "pain", "--positive", "1"), 64),
        (("-d", "own={study}/out", "--set", "protocol.folds=9"), 64),
        (("-d", "own={study}/out", "--splits", "{study}/none.tsv"), 66),
        (("-d", "own={study}/out", "--template", "MNINoSuchSpace"), 64),
        (("-d", "own={study}/out", "--nipype-plugin", "NoSuch"), 64),
        (("-d", "own={study}/bids"), 64),
    ],
)
def test_a_folder_that_was_not_there_is_not_begun(
    arguments: tuple[str, ...], code: int, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in (study / "out").rglob("*_T1w.nii.gz"):
        name = image.name.replace("preproc_T1w", "brain_mask")
        save(image.with_name(name), np.ones((79, 95, 79), np.uint8), affine_of(2))
    before = tree(study)
    given = [argument.format(study=study) for argument in arguments]
    place = (study / "bids", study / "fresh" / "out", "group", "--recipe", study / "small.yaml")
    assert main([*map(str, place), *given]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert tree(study) == before


def test_who_was_left_out_is_told_before_and_after_training(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels without zeros, a withdrawal, a failed image: counts and examples, in the plan too."""
    participants(lambda text: text.replace("sub-0", ""))(study)
    participants(lambda text: re.sub(r"^0\tno", "0\twithdrawn", text, flags=re.MULTILINE))(study)
    write_normalised(study / "out", "sub-03", brain(3, True), verdict="fail", reasons=["NCC .4"])
    says = (
        "10 labels match those of folders but for zeros, capitals or signs, one to one: sub-0 is",
        "Outcome chronic: negative: no (7).",
        "Outcome chronic: missing: withdrawn (1).",
        "neither positive nor negative: 1 (sub-00); sub-00: chronic is 'withdrawn'",
        "failed quality: 1 (sub-03); sub-03: NCC .4",
        "WARNING: 2 of 16 people (12%) who have an image or an outcome are not in the cohort.",
    )
    named = ("--set", "outcome.negative=[no]")
    assert rerun(study, *named, "--plan") == 0
    said = capsys.readouterr()
    for words in says:
        assert words in said.err
    assert "7 positive and 7 negative people" in said.out
    assert rerun(study, *named, "training.epochs=1", "--no-saliency") == 0
    said = capsys.readouterr()
    for words in says:
        assert words in said.err
    assert "Cohort: 14 scans, 7 positive, 7 negative; 2 excluded" in said.out
    run = study / "out" / "group" / "small"
    for words in says:
        assert words in (run / "logs" / "cohort.txt").read_text()
    words = (run / "logs" / "CITATION.md").read_text()
    assert "the variable chronic, positive where it is yes and negative where it is no." in words
    card = (run / "model" / "base" / "docs" / "README.md").read_text()
    assert "the probability of chronic = yes (as against no)" in card
    assert "negative: no" in (run / "report.html").read_text()


def test_a_dataset_that_is_not_there(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(study / "bids")
    assert rerun(study) == 66
    assert "does not exist" in capsys.readouterr().err


def cohort_of(study: Path, column: str = "chronic", positive: str = "yes") -> Cohort:
    """The cohort of a study, for an outcome."""
    rule = Outcome(column=column, positive=(positive,))
    return build_cohort(study / "bids", study / "out", rule, wanted=heads(SPACE))


def excluded(cohort: Cohort) -> dict[str, tuple[str, str]]:
    """Who is not in the cohort: participant to reason and detail."""
    rows = cohort.exclusions.to_dict("records")
    return {row["participant_id"]: (row["reason"], row["detail"]) for row in rows}


def test_failed_rescued_and_unjudged_images_are_left_out_with_their_reasons(study: Path) -> None:
    out = study / "out"
    write_normalised(out, "sub-03", brain(3, True), verdict="fail", reasons=["NCC 0.40 < 0.65"])
    write_normalised(out, "sub-04", brain(4, False), verdict="warn", rescued=True)
    next((out / "sub-05").rglob("*_T1w.json")).unlink()
    write_normalised(out, "sub-06", brain(6, False), verdict="warn", reasons=["edge"])
    found = excluded(cohort_of(study))
    assert found.keys() == {"sub-03", "sub-04", "sub-05"}
    assert found["sub-03"] == ("failed quality", "NCC 0.40 < 0.65")
    assert found["sub-04"][0] == "left and right not verified"
    assert found["sub-05"][0] == "no quality verdict"


def test_people_without_images_and_images_without_people_are_named(study: Path) -> None:
    shutil.rmtree(study / "out" / "sub-03")
    (study / "bids" / "sub-77").mkdir()
    write_normalised(study / "out", "sub-88", brain(88, True))
    found = {who: reason for who, (reason, _) in excluded(cohort_of(study)).items()}
    assert found == {
        "sub-03": "no normalised image",
        "sub-77": "no normalised image",
        "sub-88": "participant without rows",
    }


def test_text_and_missing_values_in_a_column_of_numbers(study: Path) -> None:
    participants(
        lambda text: (
            text.replace("sub-00\tno", "sub-00\tunknown")
            .replace("sub-02\tno", "sub-02\tn/a")
            .replace("\tno\t", "\t0\t")
            .replace("\tyes\t", "\t1\t")
        )
    )(study)
    found = excluded(cohort_of(study, positive="1"))
    assert {who: reason for who, (reason, _) in found.items()} == {
        "sub-00": "neither positive nor negative",
        "sub-02": "no outcome",
    }
    assert "unknown" in found["sub-00"][1]


def by_session(study: Path) -> None:
    """Give everybody an outcome in each of two sessions: every second, then the first eight."""
    for i in range(16):
        first, second = ("yes" if value else "no" for value in (i % 2, i < 8))
        lines = ["session_id\tlater", f"ses-1\t{first}", f"ses-2\t{second}"]
        who = f"sub-{i:02d}"
        (study / "bids" / who / f"{who}_sessions.tsv").write_text("\n".join(lines) + "\n")


def test_an_outcome_of_two_sessions_for_images_of_none_must_be_named(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_session(study)
    assert rerun(study, "--outcome", "later", "--positive", "yes") == 65
    said = capsys.readouterr().err
    assert "session ambiguous: 16" in said
    assert "later@1" in said
    assert cohort_of(study, "later@1").table["outcome"].tolist() == [0, 1] * 8
    assert cohort_of(study, "later@2").table["outcome"].tolist() == [1] * 8 + [0] * 8


def test_every_session_has_its_outcome_and_stays_with_its_person(study: Path) -> None:
    by_session(study)
    shutil.rmtree(study / "out")
    for i in range(16):
        for session in (1, 2):
            name = f"sub-{i:02d}_ses-{session}"
            write_normalised(study / "out", name, brain(100 * session + i, False))
    table = cohort_of(study, "later").table
    assert len(table) == 32
    expected = [outcome for i in range(16) for outcome in (i % 2, int(i < 8))]
    assert table["outcome"].tolist() == expected
    made = make_splits(table, load_recipe(study / "small.yaml").protocol)
    assert made.groupby("participant_id")["fold"].count().tolist() == [2] * 16
    tested = made[made["role"] == "test"]
    assert sorted(tested["participant_id"]) == sorted(set(table["participant_id"]))
