"""Maps of those whom every variant of a run told right."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.errors import BadData
from bidsapp.recipes.analysis import Saliency
from bidsapp.saliency.group_maps import write_group
from bidsapp.saliency.told_right import told_right_by_all
from tests.unit.saliency_stacks import axial, brain, make_stack, rows_of, write_mask

STEP = "saliency.told_right_by: all_variants"


def scores_of(wrong: dict[str, list[int]], repeats: int = 1) -> pd.DataFrame:
    """Scores of 12 people by variants that tell everybody right but those named."""
    tables = []
    for name, people in wrong.items():
        rows = rows_of(n=12, folds=3, repeats=repeats, accuracy=1.0)
        missed = rows["participant_id"].isin([f"sub-{i:02d}" for i in people])
        rows.loc[missed, "probability"] = 1 - rows.loc[missed, "probability"]
        tables.append(rows.assign(variant=name).drop(columns="model_sha256"))
    return pd.concat(tables, ignore_index=True)


def test_who_is_told_wrong_by_any_variant_is_left_out() -> None:
    scores = scores_of({"one": [0, 3], "two": [3, 4], "three": []})
    stack = make_stack(rows_of(n=12, folds=3, accuracy=1.0))
    kept, notes = told_right_by_all(stack, scores, 0.5)
    there = [f"sub-{i:02d}" for i in range(12) if i not in (0, 3, 4)]
    assert kept.rows["participant_id"].tolist() == there
    left = stack.rows["participant_id"].isin(there).to_numpy()
    np.testing.assert_array_equal(kept.values, stack.values[left])
    assert "5 positives and 4 negatives, of 12" in notes[0]
    assert "all 3 variants of the run (one, two, three)" in notes[0]


def test_repeats_are_joined_before_somebody_is_told_right() -> None:
    scores = scores_of({"one": []}, repeats=3)
    first = (scores["participant_id"] == "sub-01") & (scores["repeat"] == 0)
    scores.loc[first, "probability"] = 0.4  # the other two are above .65
    stack = make_stack(rows_of(n=12, folds=3, repeats=3, accuracy=1.0))
    assert len(told_right_by_all(stack, scores, 0.5)[0].rows) == 36
    scores.loc[scores["participant_id"] == "sub-01", "probability"] = 0.4
    assert len(told_right_by_all(stack, scores, 0.5)[0].rows) == 33


def test_a_variant_of_another_outcome_does_not_count_and_one_without_a_person_does() -> None:
    scores = scores_of({"pain": [], "arthrosis": list(range(12))})
    other = scores["variant"] == "arthrosis"
    scores.loc[other, "outcome"] = 1 - scores.loc[other, "outcome"]
    stack = make_stack(rows_of(n=12, folds=3, accuracy=1.0))
    kept, notes = told_right_by_all(stack, scores, 0.5)
    assert len(kept.rows) == 12
    assert notes[1].startswith("arthrosis: another outcome")
    lacking = scores_of({"one": [], "two": []})
    gone = (lacking["variant"] == "two") & (lacking["participant_id"] == "sub-02")
    kept, _ = told_right_by_all(stack, lacking[~gone], 0.5)
    assert "sub-02" not in set(kept.rows["participant_id"])


def test_nobody_told_right_by_all_is_an_error_that_says_how_far_off() -> None:
    scores = scores_of({"one": list(range(6)), "two": list(range(6, 12))})
    stack = make_stack(rows_of(n=12, folds=3, accuracy=1.0))
    with pytest.raises(BadData, match=r"nobody of 12 .* one 6, two 6\. Run fewer variants"):
        told_right_by_all(stack, scores, 0.5)


def test_group_maps_are_of_them_and_stamped(tmp_path: Path) -> None:
    scores = scores_of({"axial": [], "other": [1, 2]})
    stack = make_stack(rows_of(n=12, folds=3, accuracy=1.0))
    settings = Saliency(told_right_by="all_variants", permutations=20, smoothing_fwhm_mm=0)
    mask = write_mask(tmp_path / "mask.nii.gz")
    given = {"template_label": "X", "mask": mask, "settings": settings, "scores": scores}
    write_group(stack, tmp_path / "axial", **given)  # type: ignore[arg-type]
    summary = json.loads((tmp_path / "axial" / "summary.json").read_text())
    counts = summary["n"]
    assert (counts["true_positives"], counts["true_negatives"], counts["all"]) == (5, 5, 10)
    assert summary["leaks"] == [STEP]
    assert summary["test"]["positives"] == 5
    assert not summary["test"].get("p_from")  # who is compared is chosen by answers: no p
    assert any("the others are left out" in note for note in summary["notes"])
    side = tmp_path / "axial" / summary["default"].replace(".nii.gz", ".json")
    assert json.loads(side.read_text())["Leak"] == f"LEAK: {STEP}"
    chosen = (stack.rows["outcome"] == 1) & (stack.rows["participant_id"] != "sub-01")
    expected = axial().put_back(stack.values[chosen.to_numpy(), 0].mean(axis=0)) * brain()
    found = nib.Nifti1Image.load(tmp_path / "axial" / summary["default"]).get_fdata()
    np.testing.assert_allclose(found, expected, atol=1e-6)
