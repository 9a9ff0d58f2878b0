"""Who was given a contrast agent, by the name and the sidecar of the image."""

import json
from pathlib import Path
from typing import Any

import pytest

from bidsapp.dataset.contrast import with_contrast
from bidsapp.dataset.scanners import sidecar_columns
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.reports.run.answer import answer
from bidsapp.reports.run.files import RunFiles
from tests.unit.dataset_trees import make
from tests.unit.test_evaluation_separation import run_with


@pytest.mark.parametrize(
    ("entities", "metadata", "expected"),
    [
        (["sub-01", "ce-gadolinium"], {}, True),
        (["sub-01", "ce-gd", "run-1"], {"ContrastBolusIngredient": "NONE"}, True),
        (["sub-01"], {"ContrastBolusIngredient": "GADOLINIUM"}, True),
        (["sub-01"], {"ContrastBolusAgent": "DOTAREM", "FlipAngle": 9}, True),
        (["sub-01"], {"ContrastBolusVolume": 7.5}, True),
        (["sub-01"], {"ContrastBolusIngredient": ["GADOLINIUM"]}, True),
        (["sub-01"], {}, False),
        (["sub-01", "ce-none"], {}, False),
        (["sub-01", "ce-pre"], {"ContrastBolusAgent": "n/a"}, False),
        (["sub-ce", "acq-cegd"], {"ContrastEnhanced": True}, False),
        (["sub-01"], {"ContrastBolusVolume": 0, "ContrastBolusIngredient": None}, False),
        (["sub-01"], {"ContrastBolusVolume": float("nan"), "ContrastBolusAgent": []}, False),
    ],
)
def test_the_agent_is_found_where_it_is_told(
    entities: list[str], metadata: dict[str, Any], expected: bool
) -> None:
    assert with_contrast(entities, metadata) is expected


def test_each_scan_says_whether_it_was_given(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        "sub-1_ce-gd_T1w.nii.gz",
        "sub-2_T1w.nii.gz",
        "sub-3_T1w.nii.gz",
        *("sub-4_T1w.nii.gz", "sub-4_ce-gd_T1w.nii.gz"),
    )
    told = {"ContrastBolusIngredient": "GADOLINIUM"}
    (root / "sub-2" / "anat" / "sub-2_T1w.json").write_text(json.dumps(told))
    scans = [(f"sub-{k}", "") for k in (1, 2, 3, 4)]
    found = sidecar_columns(root, scans, "anat", "T1w")
    assert found["sidecar.ContrastAgent"].tolist() == ["yes", "yes", None, None]
    sources = ["", "", "", "sub-4/anat/sub-4_ce-gd_T1w.nii.gz"]
    chosen = sidecar_columns(root, scans, "anat", "T1w", sources)
    assert chosen["sidecar.ContrastAgent"].tolist() == ["yes", "yes", None, "yes"]
    without = sidecar_columns(root, scans[2:3], "anat", "T1w")
    assert without.empty


def test_an_agent_that_goes_with_the_outcome_is_the_first_doubt(tmp_path: Path) -> None:
    given = ["yes" if k % 2 else "n/a" for k in range(60)]
    run = run_with(tmp_path, **{"sidecar.ContrastAgent": given})
    evaluate(run, EvaluationSettings(resamples=100, permutations=50, baselines=("majority",)))
    (doubt,) = answer(RunFiles(run)).doubts
    assert doubt.startswith("CONFOUND: sidecar.ContrastAgent (AUC by itself 1.00")
    assert "contrast agent" in doubt
