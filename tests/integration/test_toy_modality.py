"""A modality that the app does not know, from a BIDS folder to a report with maps.

Two sources, two parts of each scan, pictures of a slice, and a step that is fitted in the fold and
of which the app does not know either.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.cli import main
from bidsapp.contracts.fitted_offers import FURTHER as FURTHER_STEPS
from bidsapp.contracts.modality import FURTHER
from bidsapp.networks.bundle import load_bundle
from tests.integration.group_studies import save, start, table_of
from tests.integration.running import Ended, tree
from tests.toy_modality.modality import HALF, SHAPE, affine, half

RECIPE = """\
name: toy
summary: A compact network on halves of a slice, for tests
preparation: {modality: toy_modality, gain: 0.5}
outcome: {column: bright, positive: ["yes"]}
representation: {kind: slice, fitted: [everybody]}
network: {name: resnet, depth: 10, dims: 2, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 2, batch_size: 4, lr: {head: 1e-3, backbone: 1e-3}, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {baselines: [majority, quality, handcrafted], tests: [], bootstrap: 200, placement: 2}
saliency: {permutations: 20, of: all, shuffled_folds: 0}
"""
STAMP = "LEAK: representation.fitted.everybody.fit: dataset"
LEAKING = (
    # in this process: helpers that an earlier test began do not know of the further folders
    *("--nipype-plugin", "Linear", "--nprocs", "1", "--device", "cpu"),
    *("--set", "name=leaking", "representation.fitted.everybody.fit=dataset", "training.epochs=1"),
    *("evaluation.bootstrap=20", "saliency.tfce=false"),
)
PEOPLE = 8
UNIT = ["participant_id", "part_id"]


def make_dataset(root: Path) -> None:
    """PDw images of which one half has a bright corner; one person has no such image."""
    rows, halves = [], []
    for i in range(PEOPLE):
        who = f"sub-{i:02d}"
        values = np.random.default_rng(i).random(SHAPE, np.float32)
        # as many cells from the middle on either side
        values[slice(5, 9) if i % 2 else slice(15, 19), 6:14, 6:14] += 2
        save(root / who / "anat" / f"{who}_PDw.nii.gz", values, affine())
        if i < 3:
            table = root / who / "anat" / f"{who}_weights.tsv"
            table.write_text("weight\n1.0\n")
        rows.append(f"{who}\t{20 + i}\tM")
        halves += [f"{who}\tL\t{'yes' if i % 2 else 'no'}", f"{who}\tR\t{'no' if i % 2 else 'yes'}"]
    (root / "sub-99").mkdir()
    rows.append("sub-99\t20\tM")
    (root / "participants.tsv").write_text("\n".join(["participant_id\tage\tsex", *rows, ""]))
    (root / "phenotype").mkdir()
    header = "participant_id\tpart_id\tbright"
    (root / "phenotype" / "halves.tsv").write_text("\n".join([header, *halves, ""]))
    about = {"Name": "Toys", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended, Ended]:
    """Folder, the participant level and the group level."""
    root = tmp_path_factory.mktemp("toys")
    make_dataset(root / "bids")
    (root / "toy.yaml").write_text(RECIPE)
    fixed = ("--recipe", root / "toy.yaml", "--nprocs", 1, "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FURTHER, "tests.toy_modality")
        patch.setenv(FURTHER_STEPS, str(Path(__file__).parents[1] / "further_steps"))
        places = (root / "bids", root / "out")
        first = start(*places, "participant", "--skip-bids-validation", *fixed)
        second = start(*places, "group", "--native-maps", *fixed)
    return root / "out", first, second


def test_every_half_is_prepared_with_its_sources(toys: tuple[Path, Ended, Ended]) -> None:
    out, first, _ = toys
    assert "sub-99 is empty" in first.said  # who has no image is told of, and the others go on
    assert f"{2 * PEOPLE} of {2 * PEOPLE + 1} prepared: {2 * PEOPLE} pass" in first.said
    sidecar = json.loads((out / "sub-01/anat/sub-01_space-toy_desc-Ltoy_PDw.json").read_text())
    assert sidecar["Quality"]["verdict"] == "pass"
    assert sidecar["Quality"]["unweighted"] is False
    assert list(sidecar["SourcesSHA256"]) == sidecar["Sources"]
    alone = json.loads((out / "sub-05/anat/sub-05_space-toy_desc-Rtoy_PDw.json").read_text())
    assert alone["Quality"]["unweighted"] is True
    assert "SourcesSHA256" not in alone
    values = nib.Nifti1Image.load(
        out / "sub-05/anat/sub-05_space-toy_desc-Ltoy_PDw.nii.gz"
    ).get_fdata()
    assert values.shape == (*HALF, 1)
    assert 1 < values.max() < 1.6  # halved by the recipe's gain
    table = table_of(out / "group" / "quality.tsv")
    assert set(table["verdict"]) == {"pass"}
    assert {"spread", "z_spread", "unweighted"} <= set(table.columns)
    meanings = json.loads((out / "group" / "quality.json").read_text())
    assert meanings["spread"]["Description"] == "Standard deviation of the image."
    assert (
        f"{2 * PEOPLE} halves of PDw images were weighted."
        in (out / "logs" / "CITATION.md").read_text()
    )


def test_a_group_run_of_it_scores_every_half_and_divides_nobody(
    toys: tuple[Path, Ended, Ended],
) -> None:
    out, _, second = toys
    assert second.code == 0, second.said
    run = out / "group" / "toy"
    scores = table_of(run / "scores.tsv")
    found = {(who, part): int(y) for who, part, y in scores[[*UNIT, "outcome"]].to_numpy()}
    bright = {(f"sub-{i:02d}", part): int((part == "L") == bool(i % 2))
              for i in range(PEOPLE) for part in "LR"}  # fmt: skip
    assert found == bright
    assert (scores.groupby("participant_id")["fold"].nunique() == 1).all()
    measures = table_of(run / "measures.tsv")
    assert {"quality_spread", "handcrafted_mean", "handcrafted_sd"} <= set(measures)
    assert pd.to_numeric(measures["handcrafted_mean"]).nunique() == len(found)  # one each
    told = (run / "logs" / "CITATION.md").read_text()
    assert "on handcrafted features (brightness and spread of a half)" in told
    assert "handcrafted" in set(table_of(run / "tables" / "baselines.tsv")["confound"])
    metrics = table_of(run / "metrics.tsv")
    auc = metrics[(metrics["metric"] == "auc") & (metrics["scope"] == "pooled")]
    assert pd.to_numeric(auc["value"]).notna().all()


def test_held_out_halves_are_scored_in_other_places_by_the_networks_of_their_folds(
    toys: tuple[Path, Ended, Ended],
) -> None:
    run = toys[0] / "group" / "toy"
    scores = table_of(run / "scores.tsv")
    others = table_of(run / "placement_scores.tsv")
    assert len(others) == 2 * len(scores)
    key = [*UNIT, "repeat", "fold"]
    beside = others.merge(scores, on=key, suffixes=("", "_drawn"), validate="m:1")
    assert len(beside) == len(others)
    change = (
        pd.to_numeric(beside["probability"]) - pd.to_numeric(beside["probability_drawn"])
    ).abs()
    same = beside["placement"] == "rater B"  # who placed it where it was
    assert change[same].max() < 1e-6
    assert change[~same].max() > 1e-4
    table = table_of(run / "tables" / "placement.tsv").set_index("placement")
    assert float(table.loc["rater B", "change"]) == pytest.approx(0, abs=1e-6)
    assert float(table.loc["front", "change"]) == pytest.approx(change[~same].mean(), abs=1e-4)
    assert float(table.loc["front", "apart_mm"]) == 8
    assert "the half was moved by 2 pixels in eight directions" in (
        (run / "logs" / "CITATION.md").read_text()
    )
    report = (run / "report.html").read_text()
    assert "Held-out images placed otherwise" in report
    for told in (report, (run / "logs" / "CITATION.md").read_text()):
        assert "base: where held-out images are moved by up to 8.0 mm" in told
        assert "base: where held-out images are placed by rater B" in told


def test_what_was_fitted_in_the_fold_goes_with_the_models(
    toys: tuple[Path, Ended, Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FURTHER, "tests.toy_modality")
    monkeypatch.setenv(FURTHER_STEPS, str(Path(__file__).parents[1] / "further_steps"))
    bundle = load_bundle(toys[0] / "group/toy/model/base")
    names = {model.fitted.channels(bundle.channels) for model in bundle.models}
    assert names == {("density_above", "density_below")}


def test_it_ends_in_a_report_with_maps_on_everyones_own_slice(
    toys: tuple[Path, Ended, Ended],
) -> None:
    run = toys[0] / "group" / "toy"
    maps = sorted(run.glob("saliency/base/sub-*/anat/sub-*_space-toy_*statmap.nii.gz"))
    assert len(maps) == 2 * PEOPLE
    for path in maps:
        seen = nib.Nifti1Image.load(path)
        assert seen.shape == (*HALF, 1)
        own = nib.Nifti1Image.load(path.with_name(path.name.replace("_space-toy", "")))
        assert own.shape == SHAPE
        values = own.get_fdata()
        part = "L" if "_label-L_" in path.name else "R"
        np.testing.assert_array_equal(half(part).cut(values), seen.get_fdata()[..., 0])
        assert not values[slice(12, None) if part == "L" else slice(12)].any()
    report = (run / "report.html").read_text()
    assert "PDw" in report
    assert "Saliency over the mean picture" in report
    for word in ("T1w", "log-Jacobian", "ormalised", "in the brain", "No pictures"):
        assert word not in report, f"the report speaks of {word}"


def leak(root: Path, *arguments: str) -> int:
    """Run the group level with a step that is fitted on all images; give the exit code."""
    places = (str(root / "bids"), str(root / "out"), "group", "--recipe", str(root / "toy.yaml"))
    try:
        return main([*places, *LEAKING, *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture(scope="module")
def known(toys: tuple[Path, Ended, Ended]) -> Iterator[Path]:
    """The toys' folder, in a process that knows of the toy and of the step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FURTHER, "tests.toy_modality")
        patch.setenv(FURTHER_STEPS, str(Path(__file__).parents[1] / "further_steps"))
        yield toys[0].parent


def test_a_step_that_is_fitted_on_all_of_them_is_refused_in_strict_mode(
    known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(known)
    assert leak(known) == 64
    said = capsys.readouterr().err
    assert "representation.fitted.everybody.fit: dataset is refused in strict mode" in said
    assert "the held-out images enter the mean image" in said
    assert tree(known) == before


def test_in_paper_mode_all_that_it_reaches_of_the_toys_is_stamped(known: Path) -> None:
    assert leak(known, "mode=paper", "--native-maps") == 0
    run = known / "out" / "group" / "leaking"
    scores = table_of(run / "scores.tsv")
    assert len(scores) == 2 * PEOPLE
    assert set(scores["leak"]) == {STAMP}
    metrics = table_of(run / "metrics.tsv")
    depends = metrics["variant"] == "base"
    assert metrics.loc[depends, "note"].str.startswith(STAMP).all()
    assert not metrics.loc[~depends, "note"].str.contains("LEAK").any()
    figures = [path for path in run.glob("figures/*.tsv") if len(table_of(path))]
    assert len(figures) > 5
    for path in figures:
        table = table_of(path)
        assert table.loc[table["variant"] == "base", "note"].str.startswith(STAMP).all(), path
    drawn = {path.name: path.read_text() for path in run.glob("figures/*.svg")}
    assert {name for name, text in drawn.items() if "LEAK" not in text} == {"flow.svg"}

    saliency = run / "saliency" / "base"
    maps = sorted(saliency.rglob("*_statmap.json"))
    own = [path for path in maps if path.name.startswith("sub-")]
    assert len(own) == 2 * 2 * PEOPLE  # on the half that the network saw, and on the own slice
    assert len(maps) - len(own) > 8
    for path in maps:
        told = json.loads(path.read_text())
        assert (told["Leak"], told["HeldOut"]) == (STAMP, False), path
        assert "desc-gradientUndecided" in path.name, path  # no name says that the checks passed
    regions = table_of(saliency / "regions.tsv")
    assert set(regions["region"]) == {"back", "front"}
    for path in saliency.glob("*.tsv"):
        assert set(table_of(path)["leak"]) == {STAMP}, path

    bundle = run / "model" / "base"
    assert f"**{STAMP}**" in (bundle / "docs" / "README.md").read_text()
    assert json.loads((bundle / "configs" / "metadata.json").read_text())["leaks"] == [STAMP]
    assert (bundle / "recipe.yaml").read_text().startswith(f"# {STAMP}\n")
    words = (run / "logs" / "CITATION.md").read_text()
    assert "everybody.fit: dataset (the held-out images enter the mean image)" in words
    assert "(LEAK); balanced accuracy" in words
    page = (run / "report.html").read_text()
    assert "LEAK: not a held-out result." in page
    assert page.count(STAMP) > 3
