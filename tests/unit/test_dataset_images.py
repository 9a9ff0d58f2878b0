"""One image per participant and session, or a refusal that helps."""

import json
from pathlib import Path

import pytest

from bidsapp.errors import (
    BadData,
    InvalidDataset,
    NociCastError,
    NoInput,
    NothingSelected,
    UsageError,
)
from tests.unit.dataset_trees import chosen, filtered, make, select


def test_the_only_image_of_each_participant_and_session(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_T1w.nii.gz",
        "sub-02_ses-a_T1w.nii",
        "sub-02_ses-b_acq-x_T1w.nii.gz",
        "sub-02_ses-b_T2w.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/prep/sub-01/anat/sub-01_desc-x_T1w.nii.gz",
        "sourcedata/sub-01/anat/sub-01_acq-raw_T1w.nii.gz",
    )
    selection = select(root)
    assert [(c.participant, c.session) for c in selection.choices] == [
        ("01", None),
        ("02", "a"),
        ("02", "b"),
    ]
    assert not selection.refusals
    last = selection.choices[2]
    assert last.relative_path == "sub-02/ses-b/anat/sub-02_ses-b_acq-x_T1w.nii.gz"
    assert last.path == root / last.relative_path
    assert last.reason == "the only T1w"
    assert last.entities == {
        "subject": "02",
        "session": "b",
        "acquisition": "x",
        "suffix": "T1w",
        "extension": ".nii.gz",
        "datatype": "anat",
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("acq-mprage_T1w.nii.gz", "acq-space_T1w.nii.gz"), {"acquisition": [None, "mprage"]}),
        (("T1w.nii.gz", "rec-norm_T1w.nii.gz"), {"reconstruction": None}),
        (("run-01_T1w.nii.gz", "run-02_T1w.nii.gz"), {"run": [None, 1]}),
        (("echo-1_T1w.nii.gz", "echo-2_T1w.nii.gz"), {"echo": [None, 1]}),
        (("run-2_T1w.nii.gz", "run-10_T1w.nii.gz"), {"run": [None, 2]}),
        (
            ("T1w.nii.gz", "ce-gadolinium_T1w.nii.gz", "run-2_T1w.nii.gz"),
            {"ceagent": None, "run": None},
        ),
        (("acq-x_T1w.nii.gz", "acq-x_rec-a_T1w.nii.gz"), {"reconstruction": None}),
        (
            (
                "acq-a_run-1_T1w.nii.gz",
                "acq-a_run-2_T1w.nii.gz",
                "acq-b_run-1_T1w.nii.gz",
                "acq-b_run-2_T1w.nii.gz",
            ),
            {"acquisition": [None, "a"], "run": [None, 1]},
        ),
    ],
)
def test_several_images_are_refused_and_the_filter_that_is_offered_works(
    tmp_path: Path, names: tuple[str, ...], expected: dict[str, object]
) -> None:
    files = [f"sub-01_{name}" for name in names]
    root = make(tmp_path / "study", *files, "sub-02_T1w.nii.gz")
    selection = select(root, participant_label=("01", "02"))
    assert chosen(selection) == ["sub-02_T1w.nii.gz"]
    (refusal,) = selection.refusals
    assert (refusal.participant, refusal.error, refusal.exit_code) == ("01", UsageError, 64)
    assert all(name in refusal.reason for name in files)
    offered = json.loads(refusal.reason[refusal.reason.index("{") :])
    assert offered == {"t1w": expected}
    again = select(root, participant_label=("01",), bids_filters=offered)
    assert len(again.choices) == 1
    assert f"to take {chosen(again)[0]} and one image of everybody else" in refusal.reason
    everybody = select(root, bids_filters=offered)
    assert [choice.participant for choice in everybody.choices] == ["01", "02"]
    assert again.choices[0].reason.endswith(f"among {len(files)}")


def test_when_everybody_is_ambiguous_the_error_offers_the_filter(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_acq-a_T1w.nii.gz", "sub-01_acq-b_T1w.nii.gz")
    with pytest.raises(UsageError, match=r'\{"t1w": \{"acquisition": "a"\}\}'):
        select(root)


def test_only_magnitude_images_unless_asked(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_part-mag_T1w.nii.gz", "sub-01_part-phase_T1w.nii.gz")
    selection = select(root)
    assert chosen(selection) == ["sub-01_part-mag_T1w.nii.gz"]
    assert selection.choices[0].reason == "the only magnitude image among 2"


def test_sessions(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_ses-1_T1w.nii.gz",
        "sub-01_ses-01_T1w.nii.gz",
        "sub-02_ses-1_T1w.nii.gz",
        "sub-03_T1w.nii.gz",
    )
    selection = select(root, session_label=("01",))
    assert chosen(selection) == ["sub-01_ses-01_T1w.nii.gz"]
    assert [(r.participant, r.session, r.error) for r in selection.refusals] == [
        ("02", "01", NothingSelected),
        ("03", "01", NothingSelected),
    ]
    assert "there is one in 1" in selection.refusals[0].reason
    assert chosen(select(root, bids_filters=filtered(session=None))) == ["sub-03_T1w.nii.gz"]
    with pytest.raises(NothingSelected, match=r"2 not in .* Labels that exist: 01, 1"):
        select(root, session_label=("2",))
    with pytest.raises(NothingSelected, match="session=1"):
        select(
            root, participant_label=("01",), session_label=("01",),
            bids_filters=filtered(session="1"),
        )  # fmt: skip


def test_labels_that_do_not_exist(tmp_path: Path) -> None:
    labels = [f"{number:03d}" for number in range(1, 31)]
    root = make(tmp_path / "study", *[f"sub-{label}_T1w.nii.gz" for label in labels])
    with pytest.raises(NothingSelected) as caught:
        select(root, participant_label=("1",))
    assert "Did you mean 001?" in str(caught.value)
    assert "and 22 more" in str(caught.value)
    assert caught.value.exit_code == 18
    with pytest.raises(UsageError, match="99 not in"):
        select(root, participant_label=("001", "99"))
    assert len(select(root, participant_label=("002", "002")).choices) == 1


def test_participants_without_an_image_are_refused_with_the_reason(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_T1w.nii.gz",
        "sub-02_T2w.nii.gz",
        "sub-03/func/sub-03_task-rest_bold.nii.gz",
        "sub-04_acq-bad_T1w.nii.gz",
        "sub-06/anat/sub-07_T1w.nii.gz",
    )
    (root / "sub-05").mkdir()
    selection = select(root, bids_filters=filtered(acquisition=None))
    assert chosen(selection) == ["sub-01_T1w.nii.gz"]
    reasons = {refusal.participant: refusal for refusal in selection.refusals}
    assert set(reasons) == {"02", "03", "04", "05", "06"}
    assert "no T1w (.nii or .nii.gz) in sub-02" in reasons["02"].reason
    assert reasons["03"].error is NothingSelected
    assert "no acquisition" in reasons["04"].reason
    assert "sub-04_acq-bad_T1w.nii.gz" in reasons["04"].reason
    assert "datalad get sub-05" in reasons["05"].reason
    assert reasons["06"].error is BadData
    assert "must start with sub-06_" in reasons["06"].reason


def test_a_copy_of_a_folder_is_not_another_image(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_T1w.nii.gz",
        "sub-01_old/anat/sub-01_T1w.nii.gz",
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
        "sub-02/ses-1_old/anat/sub-02_ses-1_T1w.nii.gz",
    )
    selection = select(root)
    assert [(c.participant, c.session) for c in selection.choices] == [("01", None), ("02", "1")]
    assert [(r.participant, r.session) for r in selection.refusals] == [
        ("01_old", None),
        ("02", "1_old"),
    ]


def test_nothing_at_all_is_18(tmp_path: Path) -> None:
    root = make(tmp_path / "study", "sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz")
    with pytest.raises(NothingSelected, match="sub-02: no T1w"):
        select(root)


def test_links_are_followed_and_broken_ones_refused(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "store", "sub-01_T1w.nii.gz", description=None)
    root = make(tmp_path / "study", "sub-02_T1w.nii.gz")
    (root / "sub-01").symlink_to(elsewhere / "sub-01")
    (root / "sub-04").symlink_to(elsewhere / "sub-04")
    (root / "sub-03" / "anat").mkdir(parents=True)
    annexed = root / "sub-03" / "anat" / "sub-03_T1w.nii.gz"
    annexed.symlink_to("../../.git/annex/objects/no/where.nii.gz")
    selection = select(root)
    assert chosen(selection) == ["sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz"]
    assert selection.choices[0].path == root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    three, four = selection.refusals
    assert three.error is NoInput
    assert "datalad get sub-03/anat/sub-03_T1w.nii.gz" in three.reason
    assert four.error is NoInput
    assert "link to a folder that is not here" in four.reason


@pytest.mark.parametrize(
    "folder",
    ['it\'s a "study"', "données é ü", "sub-99/ses-7_run-2/func/study", "anat/acq-x", "a+b(c)[d]"],
)
def test_the_folder_above_the_dataset_does_not_matter(tmp_path: Path, folder: str) -> None:
    """pybids alone reads entities from the whole path: all would be participant 99."""
    root = make(tmp_path / folder, "sub-01_T1w.nii.gz", "sub-02_acq-y_T1w.nii.gz")
    for options in ({}, {"bids_database_dir": tmp_path / "base"}, {"participant_label": ("02",)}):
        selection = select(root, **options)
        assert [c.participant for c in selection.choices][-1] == "02"
        assert selection.choices[-1].entities["acquisition"] == "y"
        assert "session" not in selection.choices[-1].entities
        assert selection.choices[-1].path.is_file()


@pytest.mark.parametrize(
    ("description", "error", "words"),
    [
        (None, InvalidDataset, "no dataset_description.json"),
        ("{", InvalidDataset, "not valid JSON"),
        ("[]", InvalidDataset, "one JSON object"),
        ('{"Name": "x"}', InvalidDataset, "BIDSVersion"),
        (
            '{"Name": "x", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}',
            InvalidDataset,
            "derivative dataset",
        ),
    ],
)
def test_what_is_not_a_raw_dataset(
    tmp_path: Path, description: str | None, error: type[NociCastError], words: str
) -> None:
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", description=description)
    with pytest.raises(error, match=words):
        select(root)


def test_no_dataset_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="does not exist"):
        select(tmp_path / "nowhere")
    with pytest.raises(InvalidDataset, match="no sub-<label> folder"):
        select(make(tmp_path / "empty"))
    (tmp_path / "file").touch()
    with pytest.raises(NoInput, match="not a folder"):
        select(tmp_path / "file")


def test_real_datasets(real_data: Path) -> None:
    for name, number in (("ixi2mm_dev48", 48), ("ds000011", 6), ("pumi-minitest", 1)):
        selection = select(real_data / name)
        assert len(selection.choices) == number
        assert not selection.refusals
        assert all(choice.path.is_file() for choice in selection.choices)
