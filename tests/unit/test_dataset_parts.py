"""Tables whose rows are of parts of scans: whose value, what is told, what is refused."""

import csv
import json
from pathlib import Path

import pytest

from bidsapp.cli import main
from bidsapp.dataset.cohort import Cohort, build_cohort
from bidsapp.dataset.new_people import NewPeople
from bidsapp.dataset.normalized import Wanted
from bidsapp.dataset.tables import RepeatedRows, read_dataset_tables, read_table
from bidsapp.dataset.user_columns import Columns
from bidsapp.derivatives.finished import finished_images
from bidsapp.errors import BadData, UsageError
from bidsapp.modalities.knee.modality import MODALITY as KNEE
from bidsapp.modalities.spine.modality import MODALITY
from bidsapp.reports.overview import write_overview
from tests.unit.cohort_trees import rule, save, study

NECKS = Wanted(MODALITY, {"space": "foramen"})
HELPED = rule("helped", ["yes"])


def picture(out: Path, who: str, part: str, seed: int) -> None:
    """Write what the participant level writes for an injection."""
    folder = out.joinpath(*who.split("_"), "anat")
    image = save(folder / f"{who}_space-foramen_desc-{part}preproc_T2w.nii.gz", seed)
    told = {"Quality": {"verdict": "pass", "reasons": []}}
    image.with_name(image.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))


def phenotype(root: Path, text: str, name: str = "tfesi") -> None:
    (root / "phenotype").mkdir(exist_ok=True)
    (root / "phenotype" / f"{name}.tsv").write_text(text.replace(" ", "\t"))


def necks(tmp_path: Path, rows: str, people: str = "participant_id age\n01 40\n02 50\n") -> Path:
    """Two people: the first with the injections C6-L and C7-R, the second with C6-L."""
    bids = study(tmp_path / "bids", people, ("sub-01", "sub-02"))
    phenotype(bids, rows)
    for seed, (who, part) in enumerate((("sub-01", "C6L"), ("sub-01", "C7R"), ("sub-02", "C6L"))):
        picture(tmp_path / "out", who, part, seed)
    return bids


def build(tmp_path: Path, outcome: object = HELPED, **how: object) -> Cohort:
    return build_cohort(
        tmp_path / "bids", tmp_path / "out", outcome, wanted=NECKS, **how  # type: ignore[arg-type]
    )  # fmt: skip


def outcomes(cohort: Cohort) -> dict[str, int]:
    table = cohort.table
    who = table["participant_id"] + " " + table["part_id"]
    return dict(zip(who, table["outcome"], strict=True))


EACH = "participant_id part_id helped\n01 C6-L yes\n01 C7-R no\n02 C6-L no\n"


def test_a_model_is_given_the_columns_of_each_part_of_new_people(tmp_path: Path) -> None:
    bids = necks(tmp_path, EACH.replace("yes", "1").replace("no", "2"))
    units = [("sub-01", "", "C6L"), ("sub-01", "", "C7R"), ("sub-02", "", "C6L")]
    texts = NewPeople(bids).texts(["helped", "age"], units, MODALITY.read_part)
    assert texts == {"helped": ["1", "2", "2"], "age": ["40", "40", "50"]}


@pytest.mark.parametrize("labels", [("C6-L", "C7-R"), ("C6L", "c7r"), ("6-left", "C7_R")])
def test_every_part_has_the_outcome_of_its_row_however_it_is_written(
    tmp_path: Path, labels: tuple[str, str]
) -> None:
    rows = EACH.replace("C6-L yes", f"{labels[0]} yes").replace("C7-R", labels[1])
    necks(tmp_path, rows)
    cohort = build(tmp_path)
    assert outcomes(cohort) == {"sub-01 C6L": 1, "sub-01 C7R": 0, "sub-02 C6L": 0}
    assert list(cohort.table["group"]) == ["sub-01", "sub-01", "sub-02"]
    assert list(cohort.table["age"]) == ["40", "40", "50"]
    told = "Columns of participants hold for all parts of a person (1 person has several)."
    assert told in cohort.notes


def test_a_row_of_participants_is_spread_to_all_parts_and_told(tmp_path: Path) -> None:
    necks(tmp_path, EACH, "participant_id age better\n01 40 yes\n02 50 no\n")
    cohort = build(tmp_path, rule("better", ["yes"]))
    assert outcomes(cohort) == {"sub-01 C6L": 1, "sub-01 C7R": 1, "sub-02 C6L": 0}
    assert any(
        "Outcome better: a row is a person, not a part. 1 person has several parts" in note
        for note in cohort.notes
    )
    assert list(cohort.table["helped"]) == ["yes", "no", "no"]  # carried for each part


def test_parts_without_a_row_are_left_out_and_rows_without_an_image_are_told(
    tmp_path: Path,
) -> None:
    necks(tmp_path, EACH.replace("01 C7-R", "01 C5-R") + "03 C5-R no\n")
    cohort = build(tmp_path)
    assert outcomes(cohort) == {"sub-01 C6L": 1, "sub-02 C6L": 0}
    left = cohort.exclusions.set_index(["participant_id", "part_id"])["detail"]
    assert left["sub-01", "C7R"] == "no value in helped; tfesi has C5R, C6L of this participant"
    assert "tfesi: 1 rows are of parts that have no image: sub-01 C5R." in cohort.notes


def test_sessions_and_parts_together_give_each_its_own(tmp_path: Path) -> None:
    bids = study(tmp_path / "bids", "participant_id\n01\n02\n", ("sub-01", "sub-02"))
    phenotype(
        bids,
        "participant_id session_id part_id helped\n"
        "01 1 C6-L yes\n01 2 C6-L no\n01 2 C7-R yes\n02 1 C6-L no\n",
    )
    every = ("sub-01_ses-1 C6L", "sub-01_ses-2 C6L", "sub-01_ses-2 C7R", "sub-02_ses-1 C6L")
    for seed, text in enumerate(every):
        scan, part = text.split()
        picture(tmp_path / "out", scan, part, seed)
    found = build(tmp_path).table
    assert found["outcome"].tolist() == [1, 0, 1, 0]
    at_two = build(tmp_path, rule("helped@2", ["yes"])).table
    assert at_two[["session_id", "part_id", "outcome"]].to_numpy().tolist() == [
        ["ses-1", "C6L", 0], ["ses-2", "C6L", 0], ["ses-2", "C7R", 1]
    ]  # fmt: skip


def test_an_expression_over_rows_of_parts_is_of_the_person(tmp_path: Path) -> None:
    necks(tmp_path, EACH)
    cohort = build(tmp_path, rule(expression='count(helped == "yes") >= 1'))
    assert outcomes(cohort) == {"sub-01 C6L": 1, "sub-01 C7R": 1, "sub-02 C6L": 0}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (EACH + "01 C6-L no\n", "line 5 repeats line 2 (sub-01 C6-L). Keep one row for each part."),
        (EACH.replace("01 C7-R", "01 C6L"), "sub-01 C6-L and sub-01 C6L are one part, sub-01 C6L"),
        (EACH.replace("C7-R", "C9-R"), "part_id 'C9-R': level 'C9' is not one of C4, C5"),
        (EACH.replace("C7-R", "n/a"), "line 3 has no part_id; name the part"),
    ],
)
def test_what_is_no_part_or_one_twice_is_refused_in_words(
    tmp_path: Path, rows: str, said: str
) -> None:
    necks(tmp_path, rows)
    with pytest.raises(UsageError, match="column 'helped'") as refused:
        build(tmp_path)
    assert said in str(refused.value)


def test_participants_with_several_rows_of_parts_are_sent_to_phenotype(tmp_path: Path) -> None:
    path = study(tmp_path / "bids", EACH) / "participants.tsv"
    with pytest.raises(
        RepeatedRows, match=r"A row of participants\.tsv is a person\. Move"
    ) as found:
        read_table(path)
    assert "phenotype/parts.tsv" in str(found.value)


def test_images_of_no_part_take_what_all_parts_of_a_person_agree_on(tmp_path: Path) -> None:
    bids = study(tmp_path / "bids", "participant_id\n01\n02\n")
    phenotype(bids, "participant_id part_id sex pain\n01 L F 3\n01 R F 5\n02 R M 7\n")
    columns = Columns(*read_dataset_tables(bids))
    scans = [("sub-01", ""), ("sub-02", "")]
    assert columns.values("sex", scans).texts == ["F", "M"]
    pain = columns.values("pain", scans)
    assert pain.texts == [None, "7"]
    assert pain.ambiguous == {
        0: "pain has values for the parts L, R, and the images are of no part"
    }


def test_a_plan_counts_people_by_the_rows_of_their_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{n:02d} C6-L {'yes' if n % 2 else 'no'}\n" for n in range(3, 9))
    bids = necks(
        tmp_path, EACH + rows, "participant_id\n" + "".join(f"{n:02d}\n" for n in range(1, 9))
    )
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    asked = ("--recipe", "wang2023", "--set", "outcome.column=helped", "outcome.positive=[yes]")
    places = (str(bids), str(tmp_path / "none"), "group", *asked, "outcome.expression=null")
    assert main([*places, "--plan"]) == 0
    assert "4 positive and 4 negative people, each scored" in capsys.readouterr().out


def test_a_table_without_parts_reads_as_before(tmp_path: Path) -> None:
    path = study(tmp_path / "bids", "participant_id part_id age\n01 x 40\n") / "participants.tsv"
    table = read_table(path)
    assert not table.by_part
    assert table.columns["part_id"] == {("sub-01", ""): "x"}
    (path.parent / "own.tsv").write_text("participant_id\tpart_id\n01\tn/a\n")
    with pytest.raises(BadData, match="has no part_id"):
        read_table(path.parent / "own.tsv")


def test_level_and_side_are_those_of_the_part_where_no_table_has_them(tmp_path: Path) -> None:
    asked = ("injection_level", "injection_side", "age", "grade")
    necks(tmp_path, EACH)
    cohort = build(tmp_path, asked=asked, of_parts=asked)
    told = cohort.table.set_index(["participant_id", "part_id"])
    assert list(told["injection_level"]) == ["C6", "C7", "C6"]
    assert list(told["injection_side"]) == ["L", "R", "L"]
    assert "grade" not in told
    note = "No table has injection_level, injection_side: told by the parts of the images."
    assert note in cohort.notes
    assert "injection_level" not in build(tmp_path, asked=asked).table


def test_a_tables_own_level_is_kept_as_it_is(tmp_path: Path) -> None:
    necks(tmp_path, EACH, "participant_id age injection_level\n01 40 C8\n02 50 n/a\n")
    cohort = build(tmp_path, of_parts=("injection_level", "injection_side"))
    assert [value or "" for value in cohort.table["injection_level"]] == ["C8", "C8", ""]
    assert list(cohort.table["injection_side"]) == ["L", "R", "L"]


KNEES = Wanted(KNEE, {}, {"bones": ["tibia"]})


def knee(out: Path, who: str, part: str, side: str, seed: int, source: str = "") -> None:
    """Write what the participant level writes for a knee; the only one of a visit has no part."""
    folder = out.joinpath(*who.split("_"), "anat")
    image = save(folder / f"{who}_desc-{part}joint_dseg.nii.gz", seed)
    told = {"Quality": {"verdict": "pass", "reasons": []}, "KneeSide": side}
    told |= {"SourceSHA256": source or f"{who} {side}"}
    image.with_name(image.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))


def test_the_only_knee_of_a_visit_has_the_row_of_the_side_that_its_sidecar_tells(
    tmp_path: Path,
) -> None:
    bids = study(tmp_path / "bids", "participant_id\n01\n02\n03\n", ("sub-01", "sub-02", "sub-03"))
    phenotype(
        bids,
        "participant_id part_id helped\n01 left yes\n01 right no\n02 left no\n02 right yes\n"
        "03 right yes\n",
        "knees",
    )
    for seed, (who, part, side) in enumerate(
        (("sub-01", "L", "L"), ("sub-01", "R", "R"), ("sub-02", "", "R"), ("sub-03", "", "L"))
    ):
        knee(tmp_path / "out", who, part, side, seed)
    asked = {"wanted": KNEES, "of_parts": ["knee_side"]}
    cohort = build_cohort(bids, tmp_path / "out", HELPED, **asked)  # type: ignore[arg-type]
    table = cohort.table
    rows = table[["participant_id", "part_id", "outcome", "knee_side"]].fillna("").to_numpy()
    assert rows.tolist() == [
        ["sub-01", "L", 1, "L"],
        ["sub-01", "R", 0, "R"],
        ["sub-02", "", 1, "R"],
    ]
    (left,) = cohort.exclusions.to_dict("records")
    assert left["participant_id"] == "sub-03"
    assert left["detail"] == "no value in helped; knees has R of this participant"
    (bids / "sub-09").mkdir()
    with (bids / "participants.tsv").open("a") as table:
        table.write("09\n")
    details = build_cohort(bids, tmp_path / "out", HELPED, **asked).exclusions  # type: ignore[arg-type]
    absent = details.set_index("participant_id")["detail"]["sub-09"]
    assert f"none in {tmp_path / 'out'}" in absent
    texts = NewPeople(bids).texts(["helped"], [("sub-02", "", "R")], KNEE.read_part)
    assert texts == {"helped": ["yes"]}


def test_a_knee_that_was_the_only_one_of_its_visit_before_counts_once(tmp_path: Path) -> None:
    bids = study(tmp_path / "bids", "participant_id helped\n01 yes\n02 no\n", ("sub-01", "sub-02"))
    out = tmp_path / "out"
    for who, part, side, seed in (
        ("sub-01", "", "R", 0), ("sub-01", "R", "R", 0), ("sub-01", "L", "L", 1),
        ("sub-02", "", "R", 2),
    ):  # fmt: skip
        knee(out, who, part, side, seed)
    cohort = build_cohort(bids, out, HELPED, wanted=KNEES)
    assert cohort.table[["participant_id", "part_id"]].fillna("").to_numpy().tolist() == [
        ["sub-01", "L"], ["sub-01", "R"], ["sub-02", ""]
    ]  # fmt: skip
    knee(out, "sub-01", "", "R", 0, source="another scan of it")
    told = r"sub-01_desc-joint_dseg.nii.gz and sub-01_desc-Rjoint_dseg.nii.gz are .*: delete"
    with pytest.raises(BadData, match=told):
        build_cohort(bids, out, HELPED, wanted=KNEES)
    # nor is one taken in silence that was made with other settings
    knee(out, "sub-01", "", "R", 0)
    former = out / "sub-01" / "anat" / "sub-01_desc-joint_dseg.json"
    plain = json.loads(former.read_text())
    former.write_text(json.dumps(plain | {"Settings": {"pixels": 128}}))
    with pytest.raises(BadData, match=told):
        build_cohort(bids, out, HELPED, wanted=KNEES)
    assert "sub-01" in [one.label for one in finished_images(out)]
    former.write_text(json.dumps(plain))
    # a part that may not be used is not used by its former name either
    named = former.with_name("sub-01_desc-Rjoint_dseg.json")
    named.write_text(json.dumps({"KneeSide": "R"}))
    cohort = build_cohort(bids, out, HELPED, wanted=KNEES)
    assert list(cohort.table["part_id"].fillna("")) == ["L", ""]
    assert "no quality verdict" in list(cohort.exclusions["reason"])


def test_a_side_of_a_person_is_not_that_of_both_knees(tmp_path: Path) -> None:
    """Both would be of one side in every subgroup; with a row for each part, they are not."""
    bids = study(
        tmp_path / "bids", "participant_id knee_side\n01 right\n02 L\n", ("sub-01", "sub-02")
    )
    phenotype(
        bids, "participant_id part_id helped\n01 left yes\n01 right no\n02 left no\n", "knees"
    )
    for seed, (who, part, side) in enumerate(
        (("sub-01", "L", "L"), ("sub-01", "R", "R"), ("sub-02", "", "L"))
    ):
        knee(tmp_path / "out", who, part, side, seed)
    asked = {"wanted": KNEES, "asked": ["knee_side"], "of_parts": ["knee_side"]}
    with pytest.raises(BadData, match=r"column knee_side says right of sub-01, .* parts L and R"):
        build_cohort(bids, tmp_path / "out", HELPED, **asked)  # type: ignore[arg-type]
    (bids / "participants.tsv").write_text("participant_id\n01\n02\n")
    phenotype(bids, "participant_id part_id knee_side\n01 L left\n01 R right\n02 L L\n", "sides")
    cohort = build_cohort(bids, tmp_path / "out", HELPED, **asked)  # type: ignore[arg-type]
    assert list(cohort.table["knee_side"]) == ["left", "right", "L"]


def test_the_overview_tells_the_side_of_the_only_knee_of_a_visit(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for who, part, side, seed in (
        ("sub-01", "R", "R", 0), ("sub-01", "L", "L", 1), ("sub-02", "", "L", 2),
    ):  # fmt: skip
        knee(out, who, part, side, seed)
    write_overview(out, {})
    with (out / "group" / "quality.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    told = sorted((row["participant_id"], row["part_id"], row["part"]) for row in rows)
    assert told == [("sub-01", "L", "L"), ("sub-01", "R", "R"), ("sub-02", "n/a", "L")]
    assert "part" in json.loads((out / "group" / "quality.json").read_text())
    page = (out / "quality.html").read_text()
    assert "<title>Quality of 3 images of 2 people" in page
    assert ">sub-02 L</a>" in page


def test_a_knee_under_its_former_name_is_shown_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for who, part, side, seed in (
        ("sub-01", "", "R", 0), ("sub-01", "R", "R", 0), ("sub-01", "L", "L", 1),
        ("sub-02", "", "R", 2),
    ):  # fmt: skip
        knee(out, who, part, side, seed)
    assert [one.label for one in finished_images(out)] == ["sub-01 L", "sub-01 R", "sub-02"]
    knee(out, "sub-01", "", "R", 0, source="another scan of it")
    assert [one.label for one in finished_images(out)] == [
        "sub-01 L", "sub-01 R", "sub-01", "sub-02"
    ]  # fmt: skip
