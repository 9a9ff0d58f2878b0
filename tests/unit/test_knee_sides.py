"""Two knees of one visit: which side each file is told to be of, and which files go together."""

from pathlib import Path
from typing import Any

import pytest

from bidsapp.contracts.modality import modality_named
from bidsapp.contracts.scan import Scan
from bidsapp.dataset.sources import ScanSelection, select_scans
from bidsapp.errors import BadData, NothingSelected, UsageError
from bidsapp.modalities.knee.settings import KneePreparation
from bidsapp.modalities.knee.side import side_in_name
from bidsapp.modalities.knee.told_side import told_side, told_sides
from bidsapp.options import RunOptions
from tests.unit.dataset_trees import make

KNEE = modality_named("knee")
DERIVED = '{"Name": "Labels", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}'


def knees(tmp_path: Path, *names: str) -> Path:
    """Empty files; label maps go into a derivative dataset."""
    root = tmp_path / "bids"
    make(root, *(name for name in names if "_dseg" not in name))
    labels = [name for name in names if "_dseg" in name]
    make(root / "derivatives" / "labels", *labels, description=DERIVED)
    return root


def pick(root: Path, filters: Any = None, **how: Any) -> ScanSelection:
    settings = KneePreparation(**how)
    options = RunOptions(
        bids_dir=root,
        output_dir=root.parent / "out",
        work_dir=root.parent / "work",
        analysis_level="participant",
        bids_filters=filters or {},
    )
    sources = KNEE.sources_for(settings.plain())
    return select_scans(options, sources, None, KNEE.told_parts(root, settings))


def files(scan: Scan) -> list[str]:
    return [file.path.name for some in scan.files.values() for file in some]


def by_side(selection: ScanSelection) -> dict[str, list[str]]:
    return {scan.part: files(scan) for scan in selection.scans}


def sides(*tags: str, echoes: int = 0) -> list[str]:
    """Image, label map and echoes of one visit for each tag."""
    found = []
    for tag in tags:
        found += [f"sub-01_{tag}_T2w.nii.gz", f"sub-01_{tag}_desc-knee_dseg.nii.gz"]
        found += [f"sub-01_{tag}_echo-{n}_MESE.nii.gz" for n in range(1, echoes + 1)]
    return found


@pytest.mark.parametrize(
    "tags",
    [
        ("acq-DESSleft", "acq-DESSright"),
        ("acq-Left", "acq-RIGHT"),
        ("acq-L", "acq-R"),
        ("acq-leftDESS_run-1", "acq-rightDESS_run-1"),
        ("acq-DESS_rec-left", "acq-DESS_rec-right"),
    ],
)
def test_each_knee_of_a_visit_is_a_scan_with_its_own_files(
    tmp_path: Path, tags: tuple[str, str]
) -> None:
    root = knees(tmp_path, *sides(*tags, echoes=2))
    found = pick(root, t2=True)
    assert not found.refusals
    assert by_side(found) == {side: sides(tag, echoes=2) for side, tag in zip("LR", tags)}  # noqa: B905
    assert [list(KNEE.parts(scan, KneePreparation())) for scan in found.scans] == [["L"], ["R"]]
    assert found.scans[0].main.reason == "the T2w of part L among 2"


def test_a_visit_with_one_knee_is_one_unit_without_a_part_as_it_was(tmp_path: Path) -> None:
    for tag in ("acq-DESSleft", "acq-DESS"):
        root = knees(tmp_path / tag, *sides(tag, echoes=2))
        assert by_side(pick(root, t2=True)) == {"": sides(tag, echoes=2)}


def test_a_knee_is_named_alike_whatever_else_is_asked_for(tmp_path: Path) -> None:
    """Else the left knee prepared anew alone would lie beside its former files."""
    names = sides("acq-DESSleft", "acq-DESSright", echoes=2)
    root = knees(tmp_path, *names)
    for chosen in ({"image": {"acquisition": "DESSleft"}}, {"labels": {"acquisition": "DESSleft"}}):
        found = pick(root, chosen, t2=True)
        assert by_side(found) == {"L": sides("acq-DESSleft", echoes=2)}
    table(root, "filename knee_side\nanat/sub-01_acq-DESSright_T2w.nii.gz upper\n")
    assert by_side(pick(root, {"image": {"acquisition": "DESSleft"}})).keys() == {""}


def test_files_of_the_other_knee_are_never_taken(tmp_path: Path) -> None:
    """One knee's image alone, with label maps and echoes of both."""
    names = sides("acq-DESSleft", "acq-DESSright", echoes=2)
    root = knees(tmp_path, *(name for name in names if name != "sub-01_acq-DESSright_T2w.nii.gz"))
    assert by_side(pick(root, t2=True)) == {"": sides("acq-DESSleft", echoes=2)}


def table(root: Path, rows: str, name: str = "sub-01_scans.tsv") -> None:
    (root / "sub-01" / name).write_text(rows.replace(" ", "\t"))


RUNS = "filename knee_side\nanat/sub-01_run-1_T2w.nii.gz right\nanat/sub-01_run-2_T2w.nii.gz L\n"


@pytest.mark.parametrize("entity", ["run", "chunk"])
def test_scans_tsv_tells_where_names_do_not_and_the_same_number_goes_together(
    tmp_path: Path, entity: str
) -> None:
    root = knees(tmp_path, *sides(f"{entity}-1", f"{entity}-2", echoes=2))
    table(root, RUNS.replace("run", entity))
    found = by_side(pick(root, t2=True))
    assert found == {
        "L": sides(f"{entity}-2", echoes=2),
        "R": sides(f"{entity}-1", echoes=2),
    }


def test_hemi_in_a_name_is_a_side_too(tmp_path: Path) -> None:
    found = pick(knees(tmp_path, *sides("hemi-L", "hemi-R")))
    assert by_side(found) == {side: sides(f"hemi-{side}") for side in "LR"}


def test_sides_that_are_not_told_are_refused_with_how_to_tell_them(tmp_path: Path) -> None:
    root = knees(tmp_path, *sides("run-1", "run-2"))
    with pytest.raises(UsageError) as told:
        pick(root)
    assert "2 T2w images where one is needed" in str(told.value)
    assert "acq-DESSleft" in str(told.value)
    assert "column knee_side of sub-<label>[_ses-<label>]_scans.tsv" in str(told.value)
    table(root, RUNS.rpartition("anat")[0])  # one of the two alone
    with pytest.raises(UsageError, match="2 T2w images where one is needed"):
        pick(root)
    # one side for all knees leaves nothing to tell them apart by
    table(root, RUNS)
    with pytest.raises(UsageError, match="2 T2w images where one is needed"):
        pick(root, side="R")


def test_what_was_told_of_knees_that_are_not_told_apart_is_said(tmp_path: Path) -> None:
    root = knees(tmp_path, *sides("run-1", "run-2"))

    def said() -> str:
        with pytest.raises(UsageError) as told:
            pick(root)
        text = str(told.value)
        assert text.index("name the side in each file") < text.index("one of them is not wanted")
        return text

    runs = [f"sub-01_run-{n}_T2w.nii.gz" for n in (1, 2)]
    assert f"{runs[0]} has no side, {runs[1]} has no side" in said()
    table(root, RUNS.replace("right", "left"))
    assert "both are told L by sub-01_scans.tsv; of two knees one must be R" in said()
    table(root, RUNS.replace("L", "n/a"))
    assert f"{runs[0]} is R by sub-01_scans.tsv, {runs[1]} has no side" in said()
    root = knees(tmp_path / "named", *sides("acq-left_run-1", "acq-left_run-2"))
    assert "both are told L by their names; of two knees one must be R" in said()


def test_two_images_of_one_knee_do_no_harm_to_the_other(tmp_path: Path) -> None:
    tags = ("acq-DESSleft", "acq-DESSright_run-1", "acq-DESSright_run-2")
    found = pick(knees(tmp_path, *sides(*tags)))
    assert by_side(found) == {"L": sides("acq-DESSleft")}
    (refusal,) = found.refusals
    assert (refusal.part, refusal.exit_code) == ("R", UsageError.exit_code)
    assert refusal.reason.startswith("2 T2w images of part R where one is needed")
    assert '"run"' in refusal.reason


def test_a_knee_without_its_label_map_does_no_harm_to_the_other(tmp_path: Path) -> None:
    names = [n for n in sides("acq-DESSleft", "acq-DESSright") if "right_desc" not in n]
    found = pick(knees(tmp_path, *names))
    assert by_side(found) == {"L": sides("acq-DESSleft")}
    (refusal,) = found.refusals
    assert (refusal.part, refusal.error) == ("R", NothingSelected)
    assert "no dseg (labels)" in refusal.reason
    assert "sub-01_acq-DESSleft_desc-knee_dseg.nii.gz" in refusal.reason


def test_echoes_that_could_be_of_either_knee_are_not_guessed(tmp_path: Path) -> None:
    names = sides("acq-DESSleft", "acq-DESSright")
    root = knees(tmp_path, *names, "sub-01_echo-1_MESE.nii.gz", "sub-01_echo-2_MESE.nii.gz")
    with pytest.raises(NothingSelected) as told:
        pick(root, t2=True)
    assert "no MESE (echoes)" in str(told.value)
    assert "there is sub-01_echo-1_MESE.nii.gz" in str(told.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (RUNS.replace("right", "upper"), "sub-01_scans.tsv: side 'upper' is neither L nor R"),
        ("filename knee_side\nanat/sub-01_acq-left_T2w.nii.gz R\n", "is told differently"),
    ],
)
def test_what_tells_a_side_wrongly_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    tags = ("acq-left", "acq-right") if "acq" in rows else ("run-1", "run-2")
    root = knees(tmp_path, *sides(*tags))
    table(root, rows)
    with pytest.raises(BadData, match="No T2w image is left") as told:
        pick(root)
    assert said in str(told.value)


def test_sessions_and_label_tables_that_contradict_are_refused_before_work(
    tmp_path: Path,
) -> None:
    root = knees(tmp_path, *sides("acq-left"))
    (scan,) = pick(root).scans
    with pytest.raises(BadData, match="no table names its labels"):
        KNEE.check_scan(scan, KneePreparation())
    names = root / "derivatives" / "labels" / "dseg.tsv"
    named = ["femur", "femoral cartilage", "tibia", "tibial cartilage", "patella", "PC"]
    names.write_text("index\tname\n" + "".join(f"{n}\t{x}\n" for n, x in enumerate(named, 1)))
    KNEE.check_scan(scan, KneePreparation())
    names.write_text(names.read_text().replace("tibial cartilage", "gristle"))
    with pytest.raises(BadData, match="no label is called tibial_cartilage"):
        KNEE.check_scan(scan, KneePreparation())
    KNEE.check_scan(scan, KneePreparation(bones=["femur"]))
    (root / "participants.tsv").write_text("participant_id\tknee_side\nsub-01\tright\n")
    with pytest.raises(BadData, match=r"participants.tsv says R"):
        KNEE.check_scan(scan, KneePreparation(bones=["femur"]))
    KNEE.check_scan(scan, KneePreparation(bones=["femur"], side="L"))


def test_names_that_say_both_sides_are_refused() -> None:
    assert side_in_name("sub-left_ses-right_acq-DESS_T2w.nii.gz") is None
    assert side_in_name("sub-01_acq-DESSright_T2w.nii.gz") == "R"
    with pytest.raises(BadData, match="says left and right"):
        side_in_name("sub-01_acq-left_rec-right_T2w.nii.gz")


@pytest.mark.parametrize(
    ("labels", "side"),
    [
        ("acq-DESSleft acq-left acq-leftDESS acq-kneeLeft acq-left2 acq-L hemi-l rec-LEFT", "L"),
        ("acq-DESSright desc-rightDESS label-Right acq-3right acq-dessRIGHT desc-R", "R"),
        ("acq-leftover acq-rightcoil rec-leftshift acq-upright acq-Upright rec-bright", None),
        ("acq-dessleft acq-leftRight task-left task-copyright dir-right run-L acq-ACLEFT", None),
    ],
)
def test_a_side_is_a_word_of_its_own(labels: str, side: str | None) -> None:
    """Who is asked loses a minute; who is told the wrong side loses the knee."""
    for label in labels.split():
        assert side_in_name(f"sub-01_{label}_T2w.nii.gz") == side, label


def test_what_is_said_of_a_person_says_nothing_of_one_of_two_knees(tmp_path: Path) -> None:
    root = knees(tmp_path, *sides("acq-DESSleft"))
    (root / "participants.tsv").write_text("participant_id\tknee_side\nsub-01\tright\n")
    names = [root / "sub-01" / "anat" / "sub-01_acq-DESSleft_T2w.nii.gz"]
    assert told_side(root, "01", None, names) == {names[0].name: "L", "participants.tsv": "right"}
    assert told_side(root, "01", None, names, part="L") == {names[0].name: "L"}
    assert told_sides(root).of("01", None, names[0]) == "L"


@pytest.mark.parametrize(("text", "side"), [("L", "L"), ("left", "L"), ("Right knee", "R")])
def test_parts_of_tables_are_sides(text: str, side: str) -> None:
    assert KNEE.read_part(text) == side
    assert KNEE.of_part(side) == {"knee_side": side}
    with pytest.raises(ValueError, match="expected L or R"):
        KNEE.read_part("both")
