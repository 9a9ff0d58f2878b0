"""Filters in fMRIPrep's format."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bidsapp.dataset import read_bids_filters
from bidsapp.dataset.filters import ENTITIES, same_label
from bidsapp.errors import NoInput, UsageError
from tests.unit.dataset_trees import chosen, filtered, make, select


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ({"acquisition": "mprage"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"acquisition": None, "part": None}, "sub-01_T1w.nii.gz"),
        ({"acquisition": "Query.NONE"}, "sub-01_T1w.nii.gz"),
        ({"run": "*"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": "Query.ANY"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": "Query.REQUIRED"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": 1}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": "1"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": "01"}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"run": [1, 3]}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"acquisition": ["mprage", "other"]}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"acquisition": [None, "other"]}, "sub-01_T1w.nii.gz"),
        ({"acquisition": "^mpr", "regex_search": True}, "sub-01_acq-mprage_run-01_T1w.nii.gz"),
        ({"part": "phase"}, "sub-01_part-phase_T1w.nii.gz"),
        ({"suffix": "UNIT1"}, "sub-01_UNIT1.nii.gz"),
    ],
)
def test_filters_mean_what_they_mean_in_fmriprep(
    tmp_path: Path, entities: dict[str, object], expected: str
) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_acq-mprage_run-01_T1w.nii.gz",
        "sub-01_part-phase_T1w.nii.gz",
        "sub-01_T1w.nii.gz",
        "sub-01_UNIT1.nii.gz",
    )
    selection = select(root, bids_filters=filtered(**entities))
    assert chosen(selection) == [expected]


def test_filters_of_the_recipe_and_the_person_together(tmp_path: Path) -> None:
    root = make(
        tmp_path / "study",
        "sub-01_acq-a_rec-x_T1w.nii.gz",
        "sub-01_acq-a_rec-y_T1w.nii.gz",
        "sub-01_acq-b_rec-x_T1w.nii.gz",
    )
    inputs = SimpleNamespace(datatype="anat", suffix="T1w", entities={"acquisition": "a"})
    selection = select(root, inputs, bids_filters=filtered(reconstruction="x"))
    assert chosen(selection) == ["sub-01_acq-a_rec-x_T1w.nii.gz"]
    reason = "chosen by the filter acquisition=a, reconstruction=x among 3"
    assert selection.choices[0].reason == reason


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"t1": {}}, ["'t1'", "Did you mean t1w"]),
        ({"t1w": {"acq": "x"}}, ["t1w.acq", "'acquisition'"]),
        ({"t1w": {"acquisitoin": "x"}}, ["t1w.acquisitoin", "Did you mean acquisition"]),
        ({"t1w": "x"}, ["t1w must hold an object"]),
        ({"t1w": {"run": []}}, ["t1w.run", "empty list"]),
        ({"t1w": {"run": {"a": 1}}}, ["t1w.run"]),
        ({"t1w": {"run": "Query.SOME"}}, ["Query.SOME", "Query.NONE"]),
        ({"t1w": {"acquisition": "(", "regex_search": True}}, ["t1w.acquisition", "regular"]),
        ([], ["one JSON object"]),
    ],
)
def test_a_filter_that_means_nothing_is_an_error_with_its_key(
    tmp_path: Path, filters: object, words: list[str]
) -> None:
    path = tmp_path / "filters.json"
    path.write_text(json.dumps(filters))
    with pytest.raises(UsageError) as caught:
        read_bids_filters(path)
    assert str(path) in str(caught.value)
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz")
    with pytest.raises(UsageError) as direct:
        select(root, bids_filters=filters)
    for word in words:
        assert word in str(caught.value)
        assert word in str(direct.value)


def test_filter_files_are_read_and_those_of_other_queries_ignored(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    path.write_text('\ufeff{"bold": {"task": "rest"}, "t1w": {"acquisition": null}}', "utf-8")
    root = make(tmp_path / "study", "sub-01_T1w.nii.gz", "sub-01_acq-x_T1w.nii.gz")
    filters = read_bids_filters(path)
    assert chosen(select(root, bids_filters=filters)) == ["sub-01_T1w.nii.gz"]
    path.write_text("{'t1w': 1}")
    with pytest.raises(UsageError, match="not valid JSON"):
        read_bids_filters(path)
    with pytest.raises(NoInput, match=r"nowhere\.json"):
        read_bids_filters(tmp_path / "nowhere.json")


def test_entity_names_are_those_of_pybids() -> None:
    from bids.layout.models import Config

    assert set(Config.load("bids").entities) == set(ENTITIES)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        *(("1", "01", True), ("01", "1", True), ("0", "00", True), ("1", "2", False)),
        *((None, None, True), (None, "1", False), ("a1", "a01", False)),
        *(("\u00b2", "2", False), ("\u00b2", "\u00b2", True)),  # a digit that is no number
        *(("9" * 5000, "0" + "9" * 5000, True), ("9" * 5000, "9", False)),
    ],
)
def test_labels_that_differ_in_zeros_are_one(
    one: str | None, other: str | None, same: bool
) -> None:
    assert same_label(one, other) is same
