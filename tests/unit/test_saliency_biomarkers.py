"""Biomarkers: the numbers, and that nobody's outcome reaches their own predictors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.dataset.tables import read_table
from bidsapp.recipes.analysis import Saliency
from bidsapp.representation.cohort_array import CohortArray
from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.biomarkers import biomarker_tables, weighted_averages
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.people import people_maps
from bidsapp.saliency.stack import MapStack

from .saliency_stacks import SHAPE, axial, brain, make_stack, planted, rows_of, write_mask


def atlas() -> Atlas:
    labels = np.where(planted(), 4, 1).astype(np.int32)
    labels[:, :, 0] = 9
    names = pd.DataFrame({"index": [1, 4, 9], "name": ["rest", "planted", "unseen"], "also": ""})
    return Atlas("toy", labels, names)


def images(folder: Path, rows: pd.DataFrame, channels: tuple[str, ...] = ("t1w",)) -> CohortArray:
    scans = rows.drop_duplicates(["participant_id", "session_id"])
    window = axial()
    rng = np.random.default_rng(3)
    data = rng.random((len(scans), len(channels), *window.shape)).astype(np.float16)
    data[:, 0, window.cut(planted())] += scans["outcome"].to_numpy(np.float16)[:, None]
    folder.mkdir(exist_ok=True)
    np.save(folder / "cohort.npy", data)
    people = tuple(scans["participant_id"])
    return CohortArray(folder / "cohort.npy", people, ("",) * len(people), channels, window, "key")


def tables(
    folder: Path, stack: MapStack, channels: tuple[str, ...] = ("t1w",)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    people = people_maps(stack, axial().cut(brain()), fwhm_mm=3)
    cohort = images(folder, stack.rows, channels)
    return biomarker_tables(people, stack.rows, cohort, [atlas()])


def test_a_weighted_average_by_hand() -> None:
    image = np.array([[1.0, 2, 3, 4]])
    weights, labels = np.array([1.0, -1, 2, 0]), np.array([5, 5, 6, 7])
    found = weighted_averages(image, weights, labels, np.array([6, 5, 7, 8]))
    np.testing.assert_allclose(found[0, :2], [3, (1 - 2) / 2])
    assert np.isnan(found[0, 2:]).all()


def test_every_scan_has_a_row_and_every_region_in_the_slab_a_column(tmp_path: Path) -> None:
    table, by_fold = tables(tmp_path, make_stack())
    assert list(table.columns) == ["participant_id", "session_id", "rest", "planted"]
    assert sorted(table["participant_id"]) == sorted(set(make_stack().rows["participant_id"]))
    assert np.isfinite(table[["rest", "planted"]]).all(axis=None)
    assert len(by_fold) == 4 * 24
    assert (by_fold["role"] == "test").sum() == 24


def test_the_planted_region_tells_the_groups_apart(tmp_path: Path) -> None:
    stack = make_stack(effect=3)
    table, _ = tables(tmp_path, stack)
    outcome = stack.rows.set_index("participant_id").loc[table["participant_id"], "outcome"]
    values = table["planted"].to_numpy()
    assert values[outcome == 1].min() > values[outcome == 0].max()


def test_an_outcome_never_reaches_the_predictors_of_its_own_fold(tmp_path: Path) -> None:
    stack = make_stack()
    flipped = stack.rows.copy()
    held_out = flipped["fold"] == 2
    flipped.loc[held_out, "outcome"] = 1 - flipped.loc[held_out, "outcome"]
    flipped.loc[held_out, "probability"] = 1 - flipped.loc[held_out, "probability"]
    other = MapStack(flipped, stack.values, stack.channels, stack.space, stack.about)
    cohort = images(tmp_path, stack.rows)
    found = [
        biomarker_tables(
            people_maps(one, axial().cut(brain()), fwhm_mm=3), one.rows, cohort, [atlas()]
        )
        for one in (stack, other)
    ]
    for mine, theirs in zip(*found, strict=True):
        pd.testing.assert_frame_equal(mine, theirs)


def test_the_mean_over_repeats_is_of_the_folds_that_held_the_scan_out(tmp_path: Path) -> None:
    stack = make_stack(rows_of(n=12, folds=3, repeats=2))
    table, by_fold = tables(tmp_path, stack)
    own = by_fold[(by_fold["participant_id"] == "sub-03") & (by_fold["role"] == "test")]
    assert len(own) == 2
    row = table.set_index("participant_id").loc["sub-03"]
    assert row["planted"] == pytest.approx(own["planted"].mean())


def test_channels_have_columns_of_their_own(tmp_path: Path) -> None:
    stack = make_stack(channels=("t1w", "log_jacobian"))
    table, _ = tables(tmp_path, stack, ("t1w", "log_jacobian"))
    assert list(table.columns)[2:] == [
        "rest.t1w",
        "planted.t1w",
        "rest.log_jacobian",
        "planted.log_jacobian",
    ]
    assert (table["planted.t1w"] != table["planted.log_jacobian"]).all()
    assert SHAPE[2] > axial().shape[2]


def test_a_run_writes_a_table_that_the_next_study_can_read(tmp_path: Path) -> None:
    stack = make_stack()
    write_group(
        stack,
        tmp_path / "axial",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
        settings=Saliency(permutations=0),
        images=images(tmp_path / "arrays", stack.rows),
    )
    table = read_table(tmp_path / "axial" / "biomarkers.tsv")
    assert len(table.rows) == 24
    assert "pain_spheres.thalamus_R" in table.columns
    assert "desikan_killiany.thalamusproper_L" in table.columns
    summary = json.loads((tmp_path / "axial" / "summary.json").read_text())
    assert summary["tables"]["biomarkers"] == "biomarkers.tsv"
    assert summary["tables"]["biomarkers_by_fold"] == "biomarkers_folds.tsv"
    assert any("free of the outcomes" in note for note in summary["notes"])


def test_volumes_of_a_series_are_no_biomarkers(tmp_path: Path) -> None:
    """200 volumes would be 20,000 columns that mean nothing, and most of a run's time."""
    stack = make_stack()
    own = images(tmp_path / "arrays", stack.rows, ("bold_001", "bold_002"))
    write_group(
        stack,
        tmp_path / "rest",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
        settings=Saliency(permutations=0),
        images=replace(own, volumes=(2,) * len(own.participants)),
    )
    summary = json.loads((tmp_path / "rest" / "summary.json").read_text())
    assert "biomarkers" not in summary["tables"]
    assert not (tmp_path / "rest" / "biomarkers.tsv").exists()
    assert any(note.startswith("no biomarkers: the images are series") for note in summary["notes"])
    assert "regions" in summary["tables"]


def test_biomarkers_of_one_chosen_fold_do_not_speak_of_others(tmp_path: Path) -> None:
    stack = make_stack()
    write_group(
        stack,
        tmp_path / "paper",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
        settings=Saliency(permutations=0, folds="best"),
        images=images(tmp_path / "arrays", stack.rows),
    )
    summary = json.loads((tmp_path / "paper" / "summary.json").read_text())
    assert any("by the weights of that fold alone" in note for note in summary["notes"])
    assert not any("every fold" in note for note in summary["notes"])


def test_maps_of_training_people_give_neither_test_nor_biomarkers(tmp_path: Path) -> None:
    stack = make_stack(role="train")
    write_group(
        stack,
        tmp_path / "training",
        template_label="MNI152NLin2009aSym",
        mask=write_mask(tmp_path / "mask.nii.gz"),
        settings=Saliency(permutations=20),
        images=images(tmp_path / "arrays", stack.rows),
    )
    summary = json.loads((tmp_path / "training" / "summary.json").read_text())
    assert summary["held_out"] is False
    assert summary["test"] is None
    assert any("networks that were trained on them" in note for note in summary["notes"])
    assert "biomarkers" not in summary["tables"]
