"""The group level from the command line to the bundle, on a study with a planted cuboid."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.execution.work import OWN
from bidsapp.networks.bundle import load_bundle
from bidsapp.networks.predict import predict
from bidsapp.recipes import load_recipe
from bidsapp.representation.sample import CohortRow, read_sample
from tests.integration.group_studies import (
    brain,
    copy_study,
    first_run,
    group_arguments,
    make_study,
    rerun,
    table_of,
    write_normalised,
)
from tests.integration.running import Ended, as_expected, command, environment, tree

VARIANTS = ["base", "sagittal"]
SCORES = ["participant_id", "session_id", "variant", "repeat", "fold", "outcome", "probability"]


@pytest.fixture(scope="module")
def first(once) -> Ended:  # type: ignore[no-untyped-def]
    """A finished run: two variants and their mean."""
    ended = once("group_first", first_run)[1]
    assert ended.code == 0, ended.said
    return ended


@pytest.fixture(scope="module")
def run(first: Ended) -> Path:
    """Folder of that run."""
    return first.output_dir / "group" / "small"


@pytest.fixture
def again(first: Ended, tmp_path: Path) -> Iterator[Path]:
    """A copy of the study, its run and its work folder."""
    yield copy_study(first.output_dir.parent, tmp_path / "again")
    shutil.rmtree(tmp_path / "again")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """The same study, with nothing run on it."""
    make_study(tmp_path / "fresh")
    yield tmp_path / "fresh"
    shutil.rmtree(tmp_path / "fresh")


def models(root: Path) -> dict[str, str]:
    """Hashes of the models, and of what was fitted before them, in the bundles of a run."""
    found = tree(root / "out" / "group" / "small" / "model")
    return {name: digest for name, digest in found.items() if name.endswith(".safetensors")}


def test_the_state_is_files_with_the_columns_that_others_rely_on(run: Path) -> None:
    cohort = table_of(run / "cohort.tsv")
    assert list(cohort) == [
        *("participant_id", "session_id", "group", "outcome", "image", "sha256", "quality"),
        *("age", "sex"),
    ]
    assert cohort["participant_id"].tolist() == [f"sub-{i:02d}" for i in range(16)]
    assert set(cohort["session_id"]) == {"n/a"}
    assert cohort["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert all((run.parents[1] / image).is_file() for image in cohort["image"])
    excluded = table_of(run / "exclusions.tsv")
    assert list(excluded) == ["participant_id", "session_id", "reason", "detail"]
    assert list(table_of(run / "splits.tsv")) == ["repeat", "fold", "participant_id", "role"]
    assert list(table_of(run / "scores.tsv")) == SCORES
    assert list(table_of(run / "metrics.tsv")) == [
        *("variant", "scope", "metric", "value", "ci_low", "ci_high", "ci_method", "n", "note"),
    ]
    history = table_of(run / "history.tsv")
    assert history.groupby(["variant", "repeat", "fold"]).size().tolist() == [2, 2, 2, 2]


def test_the_files_of_a_run_are_those_that_are_listed(run: Path) -> None:
    as_expected("group", run)


def test_everybody_is_scored_once_and_by_models_that_did_not_see_them(
    run: Path, first: Ended
) -> None:
    scores, splits = table_of(run / "scores.tsv"), table_of(run / "splits.tsv")
    assert set(scores["variant"]) == set(VARIANTS)  # ensembles are made of these
    assert scores.groupby(["variant", "repeat", "participant_id"]).size().tolist() == [1] * 32
    key = ["repeat", "fold", "participant_id"]
    roles = scores.merge(splits, on=key, how="left", validate="m:1")["role"]
    assert set(roles) == {"test"}
    told = table_of(first.bids_dir / "participants.tsv").set_index("participant_id")["chronic"]
    expected = scores["participant_id"].map(told).map({"yes": "1", "no": "0"})
    assert scores["outcome"].tolist() == expected.tolist()


def test_a_planted_cuboid_is_found(run: Path, first: Ended) -> None:
    scores = table_of(run / "scores.tsv").astype({"probability": float})
    for _, rows in scores.groupby("variant"):
        positive = rows.loc[rows["outcome"] == "1", "probability"]
        assert positive.min() > rows.loc[rows["outcome"] == "0", "probability"].max()
    metrics = table_of(run / "metrics.tsv")
    pooled = metrics[(metrics["scope"] == "pooled") & (metrics["metric"] == "auc")]
    auc = dict(zip(pooled["variant"], pooled["value"].astype(float), strict=True))
    assert {name: auc[name] for name in (*VARIANTS, "mean")} == dict.fromkeys(
        (*VARIANTS, "mean"), 1.0
    )
    assert {"pooled", "mean", "fold-0", "fold-1"} <= set(metrics["scope"])
    assert "base: AUC 1.00 in held-out people" in first.stdout
    assert str(run / "metrics.tsv") in first.stdout


def test_the_words_of_the_run_say_what_was_run(run: Path, first: Ended) -> None:
    text = (run / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "16 participants, one scan each, were analysed: 8 positive (50%)" in text
    assert "2-fold cross-validation, stratified by outcome (seed " in text
    assert "base (n = 16 people): pooled held-out AUC 1.00 (95% CI " in text
    assert "strict" in text
    assert "LEAK" not in text
    assert str(run / "logs" / "CITATION.md") in first.stdout


def test_an_ensemble_is_the_mean_of_its_members(run: Path) -> None:
    key = ["participant_id", "repeat", "fold"]
    scores = table_of(run / "scores.tsv").astype({"probability": float})
    expected = scores.groupby(key)["probability"].mean()
    joined = table_of(run / "tables" / "ensemble_scores.tsv").astype({"probability": float})
    found = joined.set_index(key)["probability"]
    np.testing.assert_allclose(found.loc[expected.index], expected, atol=1e-6)


def test_the_recipe_that_is_kept_asks_for_what_was_run(run: Path) -> None:
    kept = load_recipe(run / "recipe.yaml")
    assert kept.selected() == (("base", "sagittal"), ("mean",))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_models_of_a_bundle_give_the_scores_that_were_published(
    variant: str, run: Path
) -> None:
    bundle = load_bundle(run / "model" / variant)
    assert bundle.name == f"small-{variant}"
    people = {"participants": 16, "scans": 16, "positive": 8, "excluded": 0}
    people["positive_of"] = "participants"
    assert bundle.metadata["cohort"] == people
    assert bundle.metadata["leaks"] == []
    assert bundle.metadata["eval_metrics"]["auc"].startswith("1.00 (95 % CI ")
    card = (bundle.folder / "docs" / "README.md").read_text()
    assert "16 participants (16 scans), 8 positive (50%)" in card
    assert "LEAK" not in card
    scores = table_of(run / "scores.tsv")
    scores = scores[scores["variant"] == variant].sort_values("participant_id")
    images = table_of(run / "cohort.tsv").set_index("participant_id")["image"]
    samples = []
    for person in scores["participant_id"]:
        row = CohortRow(person, "", {"t1w": run.parents[1] / images[person]})
        sample, window = read_sample(row, bundle.recipe.representation)
        bundle.require(window)
        samples.append(sample)
    per_model = predict(bundle, np.stack(samples), "cpu").per_model
    fold = scores["fold"].astype(int).to_numpy()
    assert [(model.repeat, model.fold) for model in bundle.models] == [(0, 0), (0, 1)]
    found = per_model[np.arange(16), fold]
    np.testing.assert_allclose(found, scores["probability"].astype(float), atol=1e-6)


def test_a_second_run_trains_nothing_and_says_the_same(again: Path) -> None:
    folds = again / "out" / "work" / OWN / "group" / "small" / "folds"
    files = [*folds.rglob("model.safetensors"), *folds.rglob("fold.json")]
    stamps = {path: path.stat().st_mtime_ns for path in files}
    assert len(stamps) == 8
    before = tree(again / "out" / "group")
    assert rerun(again, "--variants", "mean") == 0
    assert {path: path.stat().st_mtime_ns for path in files} == stamps
    assert tree(again / "out" / "group") == before


def test_everything_follows_from_the_state_files(again: Path) -> None:
    folder = again / "out" / "group" / "small"
    before = tree(folder)
    shutil.rmtree(again / "out" / "work")
    shutil.rmtree(again / "bids")
    for image in again.rglob("*.nii.gz"):
        image.unlink()
    for made in (*folder.glob("tables/*"), *folder.glob("figures/*"), folder / "metrics.tsv"):
        if made.stem != "near_duplicates":  # found in the images, before anything is trained
            made.unlink()
    told = (folder / "report.html").read_text(encoding="utf-8").splitlines()
    assert rerun(again, "--evaluate-only") == 0
    after = tree(folder)
    assert {name for name in before if after.get(name) != before[name]} <= {"report.html"}
    assert set(after) == set(before)
    now = (folder / "report.html").read_text(encoding="utf-8").splitlines()
    # of a dataset that is gone, the report can only name the place that it had
    assert all(a == b or 'class="command"' in a for a, b in zip(told, now, strict=True))


def test_the_kept_recipe_gives_the_same_bits_elsewhere(run: Path, fresh: Path) -> None:
    shutil.copy(run / "recipe.yaml", fresh / "small.yaml")
    assert rerun(fresh, "--variants", "sagittal") == 0
    other = fresh / "out" / "group" / "small"
    for name in ("splits.tsv", "cohort.tsv", "exclusions.tsv"):
        assert (other / name).read_bytes() == (run / name).read_bytes(), name
    scores = table_of(run / "scores.tsv")
    expected = scores[scores["variant"] == "sagittal"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table_of(other / "scores.tsv"), expected)
    assert len(models(fresh)) == 5  # two networks, each with its fitted step; prints of scans
    assert models(fresh).items() <= models(run.parents[2]).items()


def kill_a_run(root: Path, reached: Path, delay: float) -> None:
    """Start a run as a user does, and kill it some seconds after it has reached a file."""
    process = subprocess.Popen(
        command(*group_arguments(root, "--variants", "base")),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    patience = time.monotonic() + 120
    while not reached.exists() and time.monotonic() < patience:
        time.sleep(0.02)
    time.sleep(delay)
    assert process.poll() is None, f"it was too quick to be killed {delay:.2f} s after {reached}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_at_three_random_moments_it_ends_with_the_same_bits(run: Path, fresh: Path) -> None:
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    other = fresh / "out" / "group" / "small"
    folds = fresh / "out" / "work" / OWN / "group" / "small" / "folds" / "base"
    # anywhere on the way to the first fold; within it; and when one is done and one is not
    kill_a_run(fresh, fresh, moments.uniform(0, 6))
    kill_a_run(fresh, folds, moments.uniform(0, 1))
    kill_a_run(fresh, folds / "repeat-0_fold-0" / "fold.json", moments.uniform(0, 0.3))
    assert not (other / "metrics.tsv").exists(), f"seed {seed}"
    assert rerun(fresh, "--variants", "base") == 0
    for name in ("scores.tsv", "metrics.tsv"):
        undisturbed = table_of(run / name)
        undisturbed = undisturbed[~undisturbed["variant"].isin(["sagittal", "mean"])]
        pd.testing.assert_frame_equal(
            table_of(other / name), undisturbed.reset_index(drop=True), obj=f"{name}, seed {seed}"
        )
    found = models(fresh)
    assert len(found) == 5  # two networks, each with its fitted step; prints of scans
    assert found.items() <= models(run.parents[2]).items(), f"seed {seed}"
    assert [path.name for path in other.parent.iterdir()] == ["small"]  # nothing was set aside


def test_a_run_with_other_settings_keeps_the_earlier_one(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = again / "out" / "group" / "small"
    before = tree(folder)
    assert rerun(again, "--variants", "base", "--set", "protocol.seed=3") == 0
    said = capsys.readouterr().err
    assert "holds a run that differs from this one in\n  variants: without sagittal\n" in said
    assert "  protocol.seed: 0 → 3\n" in said
    (kept,) = (path for path in folder.parent.iterdir() if path != folder)
    assert f"It is kept as {kept}" in said
    assert tree(kept) == before
    assert [path.name for path in (folder / "model").iterdir()] == ["base"]
    assert rerun(again, "--evaluate-only", "--run-label", kept.name) == 0
    named_for_the_label = {"report.html", "logs/CITATION.html", "reporting/probast.md"}
    lists = {f"reporting/{name}" for name in ("tripod_ai", "claim")}
    told = {"logs/CITATION.md", *(f"{name}{end}" for name in lists for end in (".md", ".tsv"))}
    beside_it = {"tables/other_runs.tsv", *told}  # now lies another run
    after = tree(kept)
    changed = {name for name in before if after.get(name) != before[name]}
    assert beside_it <= changed <= named_for_the_label | beside_it
    assert table_of(kept / "tables" / "other_runs.tsv")["run"].tolist() == ["small"]
    assert set(after) == set(before)


@pytest.mark.slow
def test_a_run_that_adds_a_variant_keeps_what_is_there(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = again / "out" / "group" / "small"
    models_before = models(again)
    assert rerun(again, "--variants", "mean", "paper") == 0
    assert "differs" not in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    assert models_before.items() <= models(again).items()


def fold_records(root: Path, label: str) -> list[dict[str, Any]]:
    """What was noted of each fold of the base variant of a run."""
    found = sorted((root / "out").glob(f"work/**/{label}/**/folds/base/*/fold.json"))
    return [json.loads(path.read_text()) for path in found]


def test_a_small_mem_streams_the_cohort_and_gives_the_same_models(
    again: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # 1 GB is what the libraries take: no room is left for images
    assert rerun(again, "--variants", "base", "--run-label", "streamed", "--mem", 1) == 0
    streamed = fold_records(again, "streamed")
    assert [one["cohort_streamed"] for one in streamed] == [True, True]
    resident = fold_records(again, "small")
    assert [one["cohort_streamed"] for one in resident] == [False, False]
    assert [one["model_sha256"] for one in streamed] == [one["model_sha256"] for one in resident]
    scores = table_of(again / "out" / "group" / "streamed" / "scores.tsv")
    whole = table_of(run / "scores.tsv")
    assert scores.equals(whole[whole["variant"] == "base"].reset_index(drop=True))
    assert "this machine (--mem) has 1 GB" in caplog.text


def empty_the_axial_slab(root: Path) -> None:
    """Make images of which six middle axial slices hold nothing."""
    for path in sorted((root / "out").glob("sub-*/anat/*_T1w.nii.gz")):
        voxels = np.asarray(nib.Nifti1Image.load(path).dataobj)
        voxels[:, :, 30:50] = 0
        path.unlink()
        write_normalised(root / "out", path.name.split("_")[0], voxels.astype(np.float32))


def test_a_fold_that_fails_does_not_pass_off_an_earlier_run_as_its_own(
    again: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    empty_the_axial_slab(again)
    assert rerun(again, "--variants", "mean") == 65
    said = capfd.readouterr().err
    assert "variant base is left out: base, repeat 0, fold 0: representation.zscore" in said
    assert "Traceback" not in said
    folder = again / "out" / "group" / "small"
    assert set(table_of(folder / "scores.tsv")["variant"]) == {"sagittal"}
    assert {"base", "mean"}.isdisjoint(table_of(folder / "metrics.tsv")["variant"])


def test_results_of_another_cohort_do_not_stay_where_nothing_can_be_trained(
    again: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = again / "out" / "group" / "small"
    empty_the_axial_slab(again)
    write_normalised(again / "out", "sub-03", brain(3, True), verdict="fail", reasons=["NCC 0.4"])
    assert rerun(again, "--variants", "base") == 65
    for name in ("scores.tsv", "metrics.tsv", "history.tsv"):
        assert not (folder / name).exists(), name
    assert "Cohort: 15 scans, 7 positive, 8 negative; 1 excluded" in capsys.readouterr().out
    assert (folder / "exclusions.tsv").read_text().splitlines() == [
        "participant_id\tsession_id\treason\tdetail",
        "sub-03\tn/a\tfailed quality\tNCC 0.4",
    ]


def test_paper_mode_runs_beside_strict_mode_and_is_stamped(again: Path) -> None:
    strict = table_of(again / "out" / "group" / "small" / "scores.tsv")
    assert rerun(again, "--variants", "base", "paper") == 0
    folder = again / "out" / "group" / "small"
    stamp = "LEAK: representation.zscore: dataset"
    scores = table_of(folder / "scores.tsv")
    assert list(scores) == [*SCORES, "leak"]
    for name in ("scores.tsv", "history.tsv"):
        table = table_of(folder / name)
        assert set(table.loc[table["variant"] == "paper", "leak"]) == {stamp}
        assert set(table.loc[table["variant"] == "base", "leak"]) == {"n/a"}
    metrics = table_of(folder / "metrics.tsv")
    assert metrics.loc[metrics["variant"] == "paper", "note"].str.startswith(stamp).all()
    assert not metrics.loc[metrics["variant"] != "paper", "note"].str.contains("LEAK").any()
    base = scores.loc[scores["variant"] == "base", SCORES].reset_index(drop=True)
    pd.testing.assert_frame_equal(base, strict[strict["variant"] == "base"])
    best = table_of(folder / "tables" / "best_fold.tsv")
    assert set(best["variant"]) == {"paper"}
    assert best["note"].str.contains("evaluation.best_fold").all()
    leaky, clean = load_bundle(folder / "model" / "paper"), load_bundle(folder / "model" / "base")
    assert leaky.metadata["leaks"] == [stamp]
    assert f"**{stamp}**" in (leaky.folder / "docs" / "README.md").read_text()
    assert clean.metadata["leaks"] == []
    # what leaks: both folds of the paper's procedure were scaled by the very same images
    means = {
        b.name: [float(m.fitted.state()["0.mean"][0]) for m in b.models] for b in (leaky, clean)
    }
    assert means["small-paper"][0] == means["small-paper"][1]
    assert means["small-base"][0] != means["small-base"][1]
