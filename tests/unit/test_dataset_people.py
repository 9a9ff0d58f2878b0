"""Nobody is lost without a word: labels of tables and folders, groups, reasons of exclusion."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.dataset.losses import loss_notes
from bidsapp.dataset.matching import bare_label, match_labels
from bidsapp.errors import BadData
from bidsapp.recipes.learning import Protocol
from bidsapp.training.splits import make_splits
from tests.unit.cohort_trees import build, normalise, reasons, rule, study

PAIN = rule("pain", [1])


def dataset(tmp_path: Path, labels: list[str], rows: list[str], header: str = "pain") -> Path:
    """Images and folders of labels, and rows of participants.tsv."""
    root = tmp_path / "bids"
    for number, label in enumerate(labels):
        normalise(tmp_path / "out", f"sub-{label}", number)
    study(root, "", tuple(dict.fromkeys(f"sub-{label.partition('_')[0]}" for label in labels)))
    (root / "participants.tsv").write_text("\n".join([f"participant_id\t{header}", *rows]) + "\n")
    return root


def values(ids: list[str]) -> list[str]:
    return [f"{name}\t{number % 2}" for number, name in enumerate(ids)]


@pytest.mark.parametrize(
    "ids",
    [
        ["1", "2", "10"],
        ["01", "02", "10"],
        ["sub-1", "sub-02", "sub-10"],
        ["SUB-01", "Sub-02", "sub_10"],
        ["sub01", "subject_2", "Sub 10"],
        ["1.0", "2.0", "10.0"],  # a column that a program read as decimal numbers
        ["001", "002", "010"],
        [" 01", "02 ", "sub-10"],
    ],
)
def test_labels_that_differ_in_zeros_and_letters_are_matched_and_told(
    tmp_path: Path, ids: list[str]
) -> None:
    dataset(tmp_path, ["01", "02", "10"], values(ids))
    cohort = build(tmp_path, PAIN)
    assert cohort.table["participant_id"].tolist() == ["sub-01", "sub-02", "sub-10"]
    assert cohort.table["outcome"].tolist() == [0, 1, 0]
    assert cohort.exclusions.empty
    told = [note for note in cohort.notes if "match those of folders" in note]
    assert len(told) == (ids[0] != "01" and ids[0] != " 01")
    if ids[0] == "SUB-01":
        assert "3 labels match" in told[0]
        assert "SUB-01 is sub-01" in told[0]


def test_signs_and_letters_of_sites_are_matched(tmp_path: Path) -> None:
    dataset(tmp_path, ["CON001", "PAT002", "PAT003"], values(["con_1", "Pat-2", "PAT 3"]))
    cohort = build(tmp_path, PAIN)
    assert cohort.table["participant_id"].tolist() == ["sub-CON001", "sub-PAT002", "sub-PAT003"]


@pytest.mark.parametrize(
    ("labels", "ids", "says"),
    [
        (["01", "001", "2"], ["1", "2"], "1 may each be sub-001 or sub-01"),
        (["01", "2"], ["1", "001", "2"], "sub-001 and sub-1 may each be sub-01"),
        (["01", "1", "2"], ["01", "001", "2"], "sub-001 and sub-01 may each be sub-1"),
        (["A", "2"], ["a", "sub-SUB-A", "2"], "may each be sub-A"),
    ],
)
def test_labels_that_could_be_several_are_refused_with_their_names(
    tmp_path: Path, labels: list[str], ids: list[str], says: str
) -> None:
    dataset(tmp_path, labels, values(ids))
    with pytest.raises(BadData) as caught:
        build(tmp_path, PAIN)
    assert says in str(caught.value)
    assert "participants.tsv" in str(caught.value)


def test_a_label_with_its_own_row_is_left_alone(tmp_path: Path) -> None:
    dataset(tmp_path, ["01", "2"], ["01\t1", "1\t0", "2\t0"])
    cohort = build(tmp_path, PAIN)
    assert cohort.table["outcome"].tolist() == [1, 0]
    assert reasons(cohort) == {"sub-1": "no normalised image"}


def test_every_table_is_matched_by_itself_and_sessions_too(tmp_path: Path) -> None:
    root = dataset(tmp_path, ["01_ses-01", "02_ses-01"], ["01\tF", "02\tM"], "sex")
    for label in ("01", "02"):
        (root / f"sub-{label}" / "ses-01").mkdir()
    (root / "phenotype").mkdir()
    (root / "phenotype" / "pain.tsv").write_text(
        "participant_id\tsession_id\tpain\n1\t1\t1\n2\t1\t0\n1\t12mo\t0\n2\t12mo\t1\n"
    )
    cohort = build(tmp_path, PAIN)
    assert cohort.table["outcome"].tolist() == [1, 0]
    assert cohort.table["sex"].tolist() == ["F", "M"]
    assert build(tmp_path, rule("pain@12mo", [1])).table["outcome"].tolist() == [0, 1]
    assert build(tmp_path, rule("pain@1", [1])).table["outcome"].tolist() == [1, 0]


label = st.text(string.ascii_letters + string.digits, min_size=1, max_size=4)


@given(st.lists(label, max_size=8, unique_by=bare_label), st.data())
def test_one_to_one_is_matched_whatever_the_spelling(known: list[str], data: st.DataObject) -> None:
    spelled = []
    for name in known:
        zeros = data.draw(st.sampled_from(["", "0", "00"])) if name[0].isdigit() else ""
        case = data.draw(st.sampled_from([str.lower, str.upper, str]))
        spelled.append(data.draw(st.sampled_from(["", "sub-", "SUB_"])) + zeros + case(name))
    found = match_labels(spelled, known)
    assert not found.unclear
    assert {found.renamed.get(name, name) for name in spelled} == set(known)


@given(st.lists(label, max_size=8, unique=True), st.lists(label, max_size=8, unique=True))
def test_no_two_rows_become_one_person(tabled: list[str], known: list[str]) -> None:
    found = match_labels(tabled, known)
    now = [found.renamed.get(name, name) for name in tabled]
    assert len(set(now)) == len(tabled)
    assert set(found.renamed.values()) <= set(known) - set(tabled)


def test_who_has_no_family_is_one_alone_and_twins_stay_together(tmp_path: Path) -> None:
    rows = [f"{n:02d}\t{n % 2}\t{f'fam{n // 4}' if n < 8 else 'n/a'}" for n in range(24)]
    dataset(tmp_path, [f"{n:02d}" for n in range(24)], rows, "pain\tfamily")
    cohort = build(tmp_path, PAIN, group_column="family")
    assert len(cohort.table) == 24
    assert cohort.table["group"].tolist()[:9] == [*["fam0"] * 4, *["fam1"] * 4, "sub-08"]
    assert "Groups: 16 people have no value in family; each is a group of their own" in "".join(
        cohort.notes
    )
    protocol = Protocol(kind="kfold", folds=4, stratified=True, groups="family")
    splits = make_splits(cohort.table, protocol)
    tested = splits[splits["role"] == "test"].set_index("participant_id")["fold"]
    assert len(tested) == 24
    for family in range(2):
        assert tested[[f"sub-{n:02d}" for n in range(4 * family, 4 * family + 4)]].nunique() == 1


def test_a_family_in_two_spellings_is_one(tmp_path: Path) -> None:
    rows = ["1\t1\tSmith", "2\t0\tsmith", "3\t1\t7", "4\t0\t07", "5\t0\t8"]
    dataset(tmp_path, list("12345"), rows, "pain\tfamily")
    cohort = build(tmp_path, PAIN, group_column="family")
    assert cohort.table["group"].tolist() == ["Smith", "Smith", "7", "7", "8"]
    told = "Groups: 'Smith' and 'smith', '7' and '07' in family are taken as one group each."
    assert told in cohort.notes


def test_who_is_named_as_a_family_is_in_it(tmp_path: Path) -> None:
    """The twin's label stands in the family column of one twin alone."""
    dataset(tmp_path, ["1", "2", "3"], ["1\t1\tn/a", "2\t0\tsub-1", "3\t0\tn/a"], "pain\tfamily")
    cohort = build(tmp_path, PAIN, group_column="family")
    assert cohort.table["group"].tolist() == ["sub-1", "sub-1", "sub-3"]


def test_a_family_known_at_one_visit_is_that_of_the_person(tmp_path: Path) -> None:
    root = dataset(tmp_path, ["1_ses-1", "1_ses-2", "2_ses-1"], ["1\tF", "2\tM"], "sex")
    (root / "phenotype").mkdir()
    (root / "phenotype" / "kin.tsv").write_text(
        "participant_id\tsession_id\tfamily\n1\t1\tn/a\n1\t2\tA\n2\t1\tn/a\n"
    )
    cohort = build(tmp_path, rule("sex", ["F"]), group_column="family")
    assert cohort.table["group"].tolist() == ["A", "A", "sub-2"]


def test_reasons_are_told_with_counts_and_an_example(tmp_path: Path) -> None:
    rows = [f"{n:02d}\t{'n/a' if n in (3, 4) else n % 2}" for n in range(12)]
    dataset(tmp_path, [f"{n:02d}" for n in range(11)], rows)
    normalise(tmp_path / "out", "sub-05", 5, "fail")
    notes = build(tmp_path, PAIN).notes
    assert "Left out, by reason (4 people or scans):" in notes
    assert "  no outcome: 2 (sub-03, sub-04); sub-03: no value in pain" in notes
    assert "  failed quality: 1 (sub-05); sub-05: NCC 0.4 < 0.65" in notes
    assert any(note.startswith("  no normalised image: 1 (sub-11); sub-11:") for note in notes)
    # sub-11 has an outcome and no image, the others an image
    assert notes[-1].startswith("WARNING: 4 of 12 people (33%) who have an image or an outcome")


def test_one_in_ten_is_no_warning_and_more_is() -> None:
    people = {f"sub-{n}" for n in range(20)}
    for lost, warns in ((2, False), (3, True)):
        gone = {f"sub-{n}" for n in range(lost)}
        excluded = {(who, ""): ("no outcome", "no value in pain") for who in gone}
        notes = loss_notes(excluded, people - gone, people)
        assert notes[1].startswith(f"  no outcome: {lost} (sub-0, sub-1")
        assert notes[-1].startswith("WARNING") is warns
    assert loss_notes({}, people, people) == []
    # who has neither image nor outcome is no loss
    excluded = {(f"sub-x{n}", ""): ("no normalised image", "none") for n in range(50)}
    assert not any("WARNING" in note for note in loss_notes(excluded, people, people))


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = dataset(tmp_path, ["1", "2"], values(["1", "2"]))
    (root / "phenotype").mkdir()
    (root / "phenotype" / "mood.tsv").write_text("participant_id;mood\n1;3\n")
    notes = build(tmp_path, PAIN).notes
    assert any("mood.tsv: no column participant_id" in note for note in notes)


def test_unclear_labels_in_a_table_that_nobody_needs_are_no_end(tmp_path: Path) -> None:
    root = dataset(tmp_path, ["01", "2"], values(["01", "2"]))
    (root / "phenotype").mkdir()
    (root / "phenotype" / "mood.tsv").write_text("participant_id\tmood\n1\t3\n001\t4\n")
    cohort = build(tmp_path, PAIN)
    assert any("mood.tsv: sub-001 and sub-1 may each be sub-01" in note for note in cohort.notes)
    assert "mood" not in cohort.table
