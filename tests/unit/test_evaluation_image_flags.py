"""A face removed from some scans and not from others is named before and after training."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.evaluation.column_warnings import column_warnings
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.image_flags import is_flag, with_flags
from bidsapp.evaluation.separation import separation_table
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.modalities.t1w.native.files import write_box
from tests.integration.group_studies import write_dataset
from tests.unit.evaluation_runs import write_run

QUICK = EvaluationSettings(resamples=100, permutations=50, baselines=("majority", "quality"))
N = 24


def cohort_of(defaced: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """People, every second one positive, and what was measured of their scans."""
    names = [f"sub-{k:02d}" for k in range(len(defaced))]
    outcome = np.arange(len(defaced)) % 2
    people = {"participant_id": names, "session_id": "n/a", "outcome": outcome}
    return pd.DataFrame(people), pd.DataFrame({"quality_defaced": defaced})


def told(defaced: list[float]) -> list[str]:
    return column_warnings(EvaluationSettings(baselines=()), *cohort_of(defaced))


def test_faces_that_go_with_the_outcome_are_a_warning_before_training() -> None:
    said = told([float(k % 2) for k in range(N)])
    assert said[0] == (
        "Face removed (quality.defaced): 12 of 12 positive and 0 of 12 negative scans. A network "
        "sees it, and may tell people apart by it."
    )
    (warning,) = (text for text in said if text.startswith("WARNING"))
    assert "CONFOUND: Face removed: quality.defaced (AUC by itself 1.00" in warning
    assert "have learned that, which it sees in the images, in place of the outcome" in warning


def test_a_difference_is_said_however_few_have_it() -> None:
    (said,) = told([1.0, *[0.0] * (N - 1)])
    assert "0 of 12 positive and 1 of 12 negative scans" in said
    assert told([1.0] * N) == told([0.0] * N) == told([float("nan")] * N) == []


def test_a_face_that_could_not_be_looked_for_is_no_face_removed() -> None:
    table, measured = cohort_of([float("nan") if k % 2 else 0.0 for k in range(N)])
    texts = with_flags(table, measured)
    assert texts["quality.defaced"].tolist() == ["no", "n/a"] * (N // 2)
    # but that it could not goes with the outcome, too
    assert separation_table(texts)["separates"].tolist() == [True]
    assert not is_flag("quality.ncc")
    assert not is_flag("defaced")


def test_a_run_is_compared_with_what_the_faces_alone_predict(tmp_path: Path) -> None:
    mixed = [float((k % 2) ^ (k % 10 < 2)) for k in range(60)]
    run = write_run(tmp_path, n=60, folds=5, effect=0.5, variants=("a",))
    cohort = pd.read_csv(run / "cohort.tsv", sep="\t", dtype=str, keep_default_na=False)
    measures = cohort[["participant_id", "session_id"]].assign(quality_defaced=mixed)
    measures.to_csv(run / "measures.tsv", sep="\t", index=False)
    result = evaluate(run, QUICK)
    assert result.tables["confounds"]["confound"].tolist() == ["quality", "column quality.defaced"]
    texts = result.tables["findings"].query("kind == 'confound'")["text"]
    assert any("column quality.defaced alone may predict the outcome" in text for text in texts)
    assert result.tables["columns"]["of_scanner"].tolist() == [True]


def test_the_plan_of_a_study_of_whole_heads_says_whose_face_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"sub-{k:02d}", "yes" if k % 2 else "no") for k in range(8)]
    write_dataset(tmp_path / "bids", rows, ("participant_id", "chronic"))
    settings = {"modality": "t1w", "space": "native", "brain": "whole"}
    for k, (who, _) in enumerate(rows):
        folder = tmp_path / "out" / who / "anat"
        folder.mkdir(parents=True)
        stem = f"{who}_space-individual_res-4_desc-head16x16x16"
        values = np.random.default_rng(k).random((16, 16, 16), np.float32)
        write_box(folder / f"{stem}_T1w.nii.gz", values, np.diag([4.0, 4, 4, 1]))
        quality = {"verdict": "pass", "reasons": [], "defaced": k in (1, 3, 5), "face_share": 0.4}
        content = {"Quality": quality, "Settings": settings, "SourceSHA256": f"{k:064x}"}
        (folder / f"{stem}_T1w.json").write_text(json.dumps(content))
    (tmp_path / "heads.yaml").write_text(
        """
name: heads
summary: whole heads in boxes of their own
preparation: {modality: t1w, space: native, spacing: 4.0, box: [16, 16, 16]}
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: volume}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
protocol: {kind: kfold, folds: 2}
"""
    )
    given = (tmp_path / "bids", tmp_path / "out", "group", "--plan")
    recipe = ("--recipe", tmp_path / "heads.yaml", "--skip-bids-validation")
    assert main([str(part) for part in (*given, *recipe)]) == 0
    said = capsys.readouterr().err
    assert "Face removed (quality.defaced): 3 of 4 positive and 0 of 4 negative scans" in said
