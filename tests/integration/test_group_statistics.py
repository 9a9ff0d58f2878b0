"""Permutations of the whole pipeline and planted cuboids, from the command line to the tables."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bidsapp.execution.work import OWN
from tests.integration.group_studies import copy_study, first_run, rerun, table_of
from tests.integration.running import Ended, tree

BARE = ("--variants", "base", "--no-saliency")


@pytest.fixture(scope="module")
def first(once) -> Ended:  # type: ignore[no-untyped-def]
    """A finished run: two variants and their mean."""
    ended = once("group_first", first_run)[1]
    assert ended.code == 0, ended.said
    return ended


@pytest.fixture
def study(first: Ended, tmp_path: Path) -> Iterator[Path]:
    """A copy of the study, its run and its work folder."""
    yield copy_study(first.output_dir.parent, tmp_path / "study")
    shutil.rmtree(tmp_path / "study")


@pytest.mark.slow
def test_the_pipeline_is_trained_on_permuted_outcomes_and_resumed(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = study / "out" / "group" / "small"
    work = study / "out" / "work" / OWN / "group" / "small" / "permuted"
    assert rerun(study, *BARE, "--permutations", 2) == 0
    permuted = table_of(folder / "permuted_scores.tsv")
    truth = table_of(folder / "scores.tsv").set_index("participant_id")["outcome"]
    for _, rows in permuted.groupby("permutation"):
        found = rows.set_index("participant_id")["outcome"]
        assert len(found) == 16
        assert (found == "1").sum() == 8
        assert (found.loc[truth.index] != truth).any()
    tests = table_of(folder / "tables" / "permutations.tsv")
    whole = tests[tests["method"] == "whole pipeline, trained anew"]
    assert whole[["variant", "permutations"]].to_numpy().tolist() == [["base", "2"]]
    assert float(whole["p"].iloc[0]) == pytest.approx(1 / 3, abs=1e-4)
    assert (
        "p = 0.33 against chance (outcomes permuted, networks trained anew)"
        in capsys.readouterr().out
    )
    assert not list(work.rglob("*.safetensors"))  # a thousand of them would fill a disk

    # killed in the middle: one fold lost its scores; and one permutation more is asked for
    lost = work / "00002" / "folds" / "base" / "repeat-0_fold-1" / "scores.tsv"
    lost.unlink()
    records = list(work.rglob("fold.json"))
    stamps = {path: path.stat().st_mtime_ns for path in records if path.parent != lost.parent}
    assert rerun(study, *BARE, "--permutations", 3) == 0
    assert "2 to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    again = table_of(folder / "permuted_scores.tsv")
    assert sorted(set(again["permutation"])) == ["1", "2", "3"]
    first_two = again[again["permutation"] != "3"].reset_index(drop=True)
    assert first_two.equals(permuted)
    before = tree(folder)
    assert rerun(study, "--evaluate-only") == 0
    assert tree(folder) == before


@pytest.mark.slow
def test_outcomes_of_the_pipeline_change_place_within_a_column_only(study: Path) -> None:
    folder = study / "out" / "group" / "small"
    within = ("--set", "evaluation.permute_within=[sex]")
    assert rerun(study, *BARE, "--permutations", 2, *within) == 0
    sex = table_of(folder / "cohort.tsv").set_index("participant_id")["sex"]
    truth = table_of(folder / "scores.tsv").set_index("participant_id")["outcome"]
    for _, rows in table_of(folder / "permuted_scores.tsv").groupby("permutation"):
        found = rows.set_index("participant_id")["outcome"].loc[truth.index]
        assert (found != truth).any()
        counts = [(one == "1").groupby(sex.loc[truth.index]).sum() for one in (found, truth)]
        assert counts[0].equals(counts[1])
    text = (folder / "logs" / "CITATION.md").read_text()
    assert "Outcomes changed place within sex only" in text
    assert rerun(study, *BARE, "--set", "evaluation.permute_within=[scanner]") == 64


@pytest.mark.slow
def test_a_planted_cuboid_is_found_and_the_real_run_left_alone(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tree(study / "out" / "group" / "small")
    images = {name: sha for name, sha in tree(study / "out").items() if name.startswith("sub-")}
    arguments = ("--simulate-contrast", 6, "--set", "simulation.outcome=permuted")
    assert rerun(study, "--variants", "base", "--simulate", "cuboid", *arguments, maps=True) == 0
    assert tree(study / "out" / "group" / "small") == real
    after = tree(study / "out")
    assert {name: after[name] for name in images} == images
    run = study / "out" / "group" / "small-cuboid-permuted-6sd"
    stamp = "SIMULATED: a cuboid of 16 x 16 x 16 mm at (14, -18, 8) mm, +6 SD"
    for name in ("cohort.tsv", "scores.tsv", "history.tsv"):
        assert table_of(run / name)["simulated"].str.startswith(stamp).all(), name
    assert table_of(run / "metrics.tsv")["note"].str.startswith(stamp).all()
    maps = run / "saliency" / "base"
    # a table says it in a column, which the data dictionary beside it describes
    sidecars = [path for path in maps.rglob("*.json") if not path.with_suffix(".tsv").exists()]
    told = [*sidecars, *maps.rglob("*.tsv"), run / "report.html"]
    assert len(told) > 20
    for path in (*told, run / "logs" / "CITATION.md"):
        assert stamp in path.read_text(), path
    card = (run / "model" / "base" / "docs" / "README.md").read_text()
    assert f"**{stamp}" in card
    curve = table_of(run.with_name("small-cuboid-permuted") / "tables" / "sensitivity.tsv")
    assert curve[["variant", "contrast_sd", "found"]].to_numpy().tolist() == [["base", "6", "True"]]
    assert float(curve["auc"].iloc[0]) > 0.9
    assert np.isfinite(float(curve["ci_low"].iloc[0]))
    # the six axial slices and the cuboid overlap: where they do, the map has its top
    assert float(curve["saliency_inside"].iloc[0]) > 0.5
    assert float(curve["saliency_chance"].iloc[0]) < 0.02
    assert "base, +6 SD: found, AUC 1.00" in capsys.readouterr().out


def test_a_plan_for_the_cohort_trains_nothing(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(study)
    assert rerun(study, "--plan") == 0
    assert "8 positive and 8 negative people" in capsys.readouterr().out
    shutil.rmtree(study / "out" / "sub-00")
    assert rerun(study, "--plan") == 0
    assert "8 positive and 7 negative people" in capsys.readouterr().out
    for image in study.rglob("*desc-preproc_T1w.nii.gz"):
        image.unlink()
    assert rerun(study, "--plan") == 0
    said = capsys.readouterr()
    assert "8 positive and 8 negative people" in said.out
    assert "No images yet" in said.err
    after = tree(study)
    assert {name: after[name] for name in before if name in after} == {
        name: sha for name, sha in before.items() if name in after
    }
