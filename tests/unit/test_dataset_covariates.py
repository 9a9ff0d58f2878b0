"""A name that the user gives means the user's column, whatever the app's own are called."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.contracts.modality_tables import quality_columns
from bidsapp.dataset.covariates import (
    OWN,
    shown_name,
    stored_name,
    user_name,
    users_column,
    users_columns,
)
from bidsapp.dataset.scanners import sidecar_columns
from bidsapp.dataset.tables import write_table
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.evaluation.cohort_table import positives_and_negatives
from bidsapp.evaluation.sample import absent_columns, subgroup_masks
from bidsapp.evaluation.state import RunState, read_state
from bidsapp.saliency.covariates import check_covariates
from bidsapp.training.permute_outcomes import labels_of
from tests.unit.cohort_trees import build, normalise, rule
from tests.unit.evaluation_runs import write_run

IDS = ("participant_id", "session_id")
TAKEN = [name for name in (*OWN, *sorted(quality_columns())[1:], "simulated") if name not in IDS]
PREFIXED = ["dataset.group", "sidecar.Manufacturer", "dataset.dataset.group", "participants.group"]
NAMES = st.one_of(
    st.sampled_from([*TAKEN, *PREFIXED]),
    st.text(min_size=1, max_size=6),
    st.builds("{}{}".format, st.sampled_from(["dataset.", "sidecar."]), st.sampled_from(TAKEN)),
)


@given(st.lists(NAMES, unique=True, max_size=8), NAMES)
def test_every_name_of_the_users_has_a_column_of_its_own(names: list[str], other: str) -> None:
    stored = [stored_name(name) for name in names]
    columns = [*OWN, "simulated", "sidecar.StationName", *stored]
    assert len(set(columns)) == len(columns)
    assert [user_name(column) for column in stored] == names
    for name in names:
        assert users_column(columns, name) == stored_name(name)
    assert users_columns(columns) == ["sidecar.StationName", *stored]
    if other not in names:
        found = users_column(columns, other)
        earlier = [name for name in stored if name.endswith(f".{other}")]
        assert found in (None, "sidecar.StationName", *earlier)


def test_people_read_the_words_of_a_quality_number_and_their_own_names() -> None:
    assert shown_name("quality_ncc") == "Likeness to the template (NCC)"
    assert shown_name("quality_minutes_left") == "Minutes left"
    assert shown_name(stored_name("quality_ncc")) == "quality_ncc"  # a column of their own
    assert shown_name("age") == "age"


def test_the_table_of_an_earlier_version_is_read_as_it_was_meant() -> None:
    columns = [*OWN, "age", "participants.group", "sidecar.Manufacturer"]
    assert users_column(columns, "group") == "participants.group"
    assert users_column(columns, "participants.group") == "participants.group"
    assert users_column([*columns, "visits.group"], "group") is None
    assert users_column(columns, "outcome") is None


def study_with(tmp_path: Path, name: str, number: int = 12) -> RunState:
    """A run whose cohort table was built of a dataset with a column of the user's of that name."""
    bids = tmp_path / "bids"
    bids.mkdir()
    rows = [f"sub-{k:04d}\t{k % 2}\t{'patient' if k % 3 else 'control'}" for k in range(number)]
    text = "\n".join([f"participant_id\tchronic\t{name}", *rows]) + "\n"
    (bids / "participants.tsv").write_text(text, encoding="utf-8")
    for k in range(number):
        normalise(tmp_path / "out", f"sub-{k:04d}", k)
    cohort = build(tmp_path, rule("chronic", [1]))
    run = write_run(tmp_path / "run", n=number, folds=3, variants=("axial",))
    write_table(run / "cohort.tsv", cohort.table)
    return read_state(run)


@pytest.mark.parametrize("name", [*TAKEN, *PREFIXED])
def test_the_users_column_is_meant_wherever_it_is_named(tmp_path: Path, name: str) -> None:
    state = study_with(tmp_path, name)
    masks = subgroup_masks(state.cohort, state.scores, [name])
    assert [(label, int(mask.sum())) for label, mask in masks.items()] == [
        (f"{name}=control", 4),
        (f"{name}=patient", 8),
    ]
    assert absent_columns(list(state.cohort.columns), [name]) == {}
    patient = (np.arange(12) % 3 > 0).astype(int)
    told = state.cohort.assign(outcome=patient)  # by this column alone it can be foretold
    scores, skipped = baseline_scores(told, state.splits, ["logistic", "site"], [name], name)
    assert skipped == {}
    for _, rows in scores.groupby("variant"):
        low = rows.loc[rows["outcome"] == 1, "probability"].min()
        assert low > rows.loc[rows["outcome"] == 0, "probability"].max()
    check_covariates(state.cohort, [name])
    labels = labels_of(state.cohort, [name])
    assert labels is not None
    assert sorted(set(labels)) == ["control", "patient"]
    table = positives_and_negatives(state.cohort, state.covariates)
    assert table.loc[table["column"] == name, "value"].tolist() == ["control", "patient"]


@pytest.mark.parametrize("name", TAKEN)
def test_the_apps_own_column_is_never_meant(tmp_path: Path, name: str) -> None:
    state = study_with(tmp_path, "age")
    assert absent_columns(list(state.cohort.columns), [name]) != {}
    with pytest.raises(UsageError, match=f"no column {name!r} in cohort.tsv; there are age"):
        subgroup_masks(state.cohort, state.scores, [name])
    scores, skipped = baseline_scores(state.cohort, state.splits, ["logistic"], [name])
    assert scores.empty
    assert name in skipped["logistic"]
    with pytest.raises(UsageError, match=f"saliency.covariates: .*{name}"):
        check_covariates(state.cohort, [name])
    with pytest.raises(UsageError, match=f"evaluation.permute_within: no column {name!r}"):
        labels_of(state.cohort, [name])


def test_the_group_that_splits_is_the_users_column_too(tmp_path: Path) -> None:
    study_with(tmp_path, "group")
    cohort = build(tmp_path, rule("chronic", [1]), group_column="group")
    assert cohort.table["group"].tolist() == cohort.table["dataset.group"].tolist()
    assert set(cohort.table["group"]) == {"patient", "control"}


def test_a_column_is_carried_under_the_name_that_asks_for_it(tmp_path: Path) -> None:
    study_with(tmp_path, "age")
    for k in range(12):
        folder = tmp_path / "bids" / f"sub-{k:04d}"
        folder.mkdir()
        rows = f"session_id\tpain\nses-1\t{k}\nses-12\t{100 + k}\n"
        (folder / f"sub-{k:04d}_sessions.tsv").write_text(rows)
    asked = ["pain@1", "participants.age", "nothing", "pain@12"]
    outcome = rule(expression="`pain@12` > 105")
    table = build(tmp_path, outcome, asked=asked).table
    assert table["pain@1"].tolist() == [str(k) for k in range(12)]
    assert table["participants.age"].tolist() == table["age"].tolist()
    # the outcome itself, and what has no session of its own, are not carried
    assert [name for name in table if name not in OWN] == [
        *("chronic", "age", "pain@1", "participants.age")
    ]


def test_what_says_the_outcome_in_other_words_is_left_out(tmp_path: Path) -> None:
    study_with(tmp_path, "age")
    table = build(tmp_path, rule("chronic", [1]), same_as_outcome=["age"]).table
    assert [name for name in table if name not in OWN] == []
    with pytest.raises(UsageError, match="no column 'agee'"):
        build(tmp_path, rule("chronic", [1]), same_as_outcome=["agee"])


def test_numbers_are_written_plainly_and_read_again_as_the_same(tmp_path: Path) -> None:
    ages = [*(f"{20 + 5 * k},5" for k in range(10)), "89+", "unknown"]
    bids = tmp_path / "bids"
    bids.mkdir()
    rows = [f"sub-{k:02d}\t{k % 2}\t{age}\t00{k}" for k, age in enumerate(ages)]
    (bids / "participants.tsv").write_text(
        "\n".join(["participant_id\tchronic\tage\tcode", *rows]) + "\n"
    )
    for k in range(12):
        normalise(tmp_path / "out", f"sub-{k:02d}", k)
    cohort = build(tmp_path, rule("chronic", [1]))
    assert cohort.table["age"].tolist() == [*(f"{20 + 5 * k}.5" for k in range(10)), "89", None]
    assert cohort.table["code"].tolist() == [f"00{k}" for k in range(12)]
    assert (
        "Column age is read as numbers: '89+' as 89 (limit); '20,5' as 20.5 and 9 more (decimal "
        "comma); missing: 'unknown' (1)."
    ) in cohort.notes


def test_a_covariate_that_cannot_be_read_is_refused_before_work() -> None:
    cohort = pd.DataFrame({"age": [*map(str, range(20, 34)), *(f"about {k}" for k in range(9))]})
    with pytest.raises(BadData, match=r"saliency.covariates: age cannot be adjusted for: 9 of its"):
        check_covariates(cohort, ["age"])


class TestSidecars:
    """What the images' JSON files say of the scanner."""

    def put(self, path: Path, **content: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def image(self, root: Path, name: str) -> None:
        labels = name.split("_")
        parts = [part for part in labels if part.startswith(("sub-", "ses-"))]
        path = root.joinpath(*parts, "anat", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def test_the_nearest_file_that_applies_wins(self, tmp_path: Path) -> None:
        self.image(tmp_path, "sub-1_T1w.nii.gz")
        self.image(tmp_path, "sub-2_ses-a_run-1_T1w.nii.gz")
        self.put(tmp_path / "T1w.json", Manufacturer="Siemens", EchoTime=0.003, Software="x")
        self.put(tmp_path / "T2w.json", Manufacturer="GE")
        self.put(tmp_path / "run-1_T1w.json", Manufacturer="Philips")
        self.put(tmp_path / "run-2_T1w.json", Manufacturer="Canon")
        self.put(tmp_path / "sub-1/anat/sub-1_T1w.json", StationName=" MR  1 ", EchoTime="n/a")
        self.put(tmp_path / "sub-2/sub-2_T1w.json", StationName=["A", "B"])
        scans = [("sub-1", ""), ("sub-2", "ses-a"), ("sub-3", "")]
        table = sidecar_columns(tmp_path, scans, "anat", "T1w")
        assert table.to_dict("list") == {
            "sidecar.Manufacturer": ["Siemens", "Philips", None],
            "sidecar.StationName": ["MR 1", "A; B", None],
            "sidecar.EchoTime": [None, "0.003", None],
        }

    def test_of_several_images_the_source_counts_or_what_they_have_alike(
        self, tmp_path: Path
    ) -> None:
        for run, station in ((1, "A"), (2, "B")):
            self.image(tmp_path, f"sub-1_run-{run}_T1w.nii.gz")
            self.put(
                tmp_path / f"sub-1/anat/sub-1_run-{run}_T1w.json",
                StationName=station,
                Manufacturer="GE",
            )
        alike = sidecar_columns(tmp_path, [("sub-1", "")], "anat", "T1w")
        assert alike.to_dict("list") == {"sidecar.Manufacturer": ["GE"]}
        source = "sub-1/anat/sub-1_run-2_T1w.nii.gz"
        told = sidecar_columns(tmp_path, [("sub-1", "")], "anat", "T1w", [source])
        assert told["sidecar.StationName"].tolist() == ["B"]
        gone = sidecar_columns(tmp_path, [("sub-1", "")], "anat", "T1w", ["sub-9/anat/x.nii"])
        assert gone.to_dict("list") == alike.to_dict("list")

    @pytest.mark.parametrize("text", ["[]", "{", "\x00", '{"Manufacturer": {"a": 1}}', "null", ""])
    def test_a_broken_sidecar_says_nothing(self, tmp_path: Path, text: str) -> None:
        self.image(tmp_path, "sub-1_T1w.nii.gz")
        (tmp_path / "sub-1/anat/sub-1_T1w.json").write_text(text)
        assert sidecar_columns(tmp_path, [("sub-1", "")], "anat", "T1w").empty

    def test_a_sidecar_that_was_not_fetched_is_told(self, tmp_path: Path) -> None:
        self.image(tmp_path, "sub-1_T1w.nii.gz")
        link = tmp_path / "sub-1/anat/sub-1_T1w.json"
        link.symlink_to("../../.git/annex/objects/aa/MD5E-s1--x.json/MD5E-s1--x.json")
        notes: list[str] = []
        scans = [("sub-1", "")]
        assert sidecar_columns(tmp_path, scans, "anat", "T1w", notes=notes).empty
        (note,) = notes
        assert "1 JSON sidecars are not here" in note
        assert str(link) in note

    def test_the_cohort_holds_them_beside_the_users_columns(self, tmp_path: Path) -> None:
        study_with(tmp_path, "sidecar.Manufacturer")
        for k in range(12):
            self.image(tmp_path / "bids", f"sub-{k:04d}_T1w.nii.gz")
        self.put(tmp_path / "bids/T1w.json", Manufacturer="Siemens", MagneticFieldStrength=3)
        table = build(tmp_path, rule("chronic", [1])).table
        assert table["sidecar.Manufacturer"].tolist() == ["Siemens"] * 12
        assert table["sidecar.MagneticFieldStrength"].tolist() == ["3"] * 12
        assert table["dataset.sidecar.Manufacturer"].tolist()[:2] == ["control", "patient"]
        # the user's name comes first, and the sidecar's is there for who has no such column
        assert users_column(table, "sidecar.Manufacturer") == "dataset.sidecar.Manufacturer"
        assert users_column(table, "sidecar.MagneticFieldStrength") is not None
