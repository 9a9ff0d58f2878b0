"""A run that searches over a grid, as a user starts it: cost, log, report, model, permutations."""

import json
from pathlib import Path

import pytest

from bidsapp.networks.bundle import load_bundle
from tests.integration.group_studies import (
    brain,
    group_arguments,
    rerun,
    start,
    table_of,
    write_dataset,
    write_normalised,
)
from tests.integration.running import Ended

PEOPLE = 16
RECIPE = """\
name: searched
summary: A network of one number a channel, its learning rate searched for
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 3}
network: {name: pooled, depth: 1, start: random}
training:
  epochs: 8
  batch_size: 8
  precision: float32
  search:
    grid: {training.lr: [{head: 1e-9, backbone: 1e-9}, {head: 0.1, backbone: 0.1}]}
    inner_folds: 2
    metric: log_loss
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation:
  {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0,
   clinical: [pain_now], stacking_folds: 2, pipeline_permutations: 1}
"""
ARCHITECTURES = """\
name: searched
summary: Two architectures, one of which is chosen in each fold
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 6}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training:
  epochs: 2
  batch_size: 4
  precision: float32
  search: {grid: {network.depth: [10, 18], training.lr.head: [1e-3]}, inner_size: 0.5}
protocol: {kind: kfold, folds: 4, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0}
saliency: {method: grad_cam, permutations: 20, smoothing_fwhm_mm: 7}
"""


def study(root: Path, recipe: str) -> None:
    """People of whom every second is positive, and a recipe."""
    rows = []
    for i in range(PEOPLE):
        write_normalised(root / "out", f"sub-{i:02d}", brain(i, bool(i % 2)))
        rows.append((f"sub-{i:02d}", "yes" if i % 2 else "no", 3 + i % 5))
    write_dataset(root / "bids", rows, ("participant_id", "chronic", "pain_now"))
    (root / "small.yaml").write_text(recipe)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A finished run with a search."""
    root = tmp_path_factory.mktemp("searched")
    study(root, RECIPE)
    return start(*group_arguments(root))


def run_of(found: Ended) -> Path:
    return found.output_dir / "group" / "searched"


def test_the_cost_stands_in_the_plan_and_before_the_training(
    found: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found.code == 0, found.stderr
    cost = (
        "Search: base: 2 folds × (2 settings × 2 inner folds + 1) = 10 networks, compared by the "
        "cross-entropy. Each of the 1 permuted pipelines takes as many again."
    )
    assert found.stdout.index(cost) < found.stdout.index("Search of base: 8 networks, 8 to train")
    assert rerun(found.output_dir.parent, "--plan") == 0
    assert cost in capsys.readouterr().out


def test_every_tried_setting_is_in_the_table_that_says_what_its_columns_are(found: Ended) -> None:
    table = table_of(run_of(found) / "search.tsv")
    assert len(table) == 4
    assert list(table["chosen"]) == ["false", "true"] * 2
    told = json.loads((run_of(found) / "search.json").read_text())
    assert set(told) == set(table.columns)
    folds = table_of(run_of(found) / "tables" / "search_folds.tsv")
    assert list(folds["values"]) == ["training.lr head 0.1, backbone 0.1"] * 2


def test_report_methods_and_checklists_say_how_settings_were_chosen(found: Ended) -> None:
    run = run_of(found)
    page = (run / "report.html").read_text()
    assert "Which settings were chosen, and how hopeful the search was" in page
    assert "Every setting that was tried" in page
    assert (
        "training.lr was chosen inside each training fold among 2 settings by the cross-entropy "
        "over 2 inner folds of its people: training.lr head 0.1, backbone 0.1 in 2 of 2 folds."
    ) in " ".join((run / "logs" / "CITATION.md").read_text().split())
    for name in ("tripod_ai.md", "claim.md"):
        pack = (run / "reporting" / name).read_text()
        assert "training.lr: chosen inside each training fold among 2 settings" in pack


def test_the_model_says_the_setting_of_each_of_its_networks(found: Ended) -> None:
    place = run_of(found) / "model" / "base"
    models = json.loads((place / "configs" / "models.json").read_text())["models"]
    chosen = {"training.lr": {"head": 0.1, "backbone": 0.1}}
    assert [one["setting"] for one in models] == [chosen] * 2
    bundle = load_bundle(place)
    assert [bundle.recipe_of(one).training.lr.head for one in bundle.models] == [0.1] * 2
    assert "chosen inside each training fold" in (place / "docs" / "README.md").read_text()


def test_the_search_is_repeated_on_permuted_outcomes(found: Ended) -> None:
    scores = table_of(run_of(found) / "permuted_scores.tsv")
    assert len(scores) == PEOPLE
    work = list(found.output_dir.parent.glob("**/permuted/00001/folds/base/*/search/setting-*"))
    assert len(work) == 4  # two settings in each of two folds


@pytest.mark.slow
def test_a_second_run_keeps_what_was_tried(
    found: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run_of(found) / "search.tsv").read_bytes()
    assert rerun(found.output_dir.parent) == 0
    assert "Search of base: 8 networks, 0 to train." in capsys.readouterr().out
    assert (run_of(found) / "search.tsv").read_bytes() == before


@pytest.mark.slow
def test_models_of_different_architectures_are_explained_and_applied(tmp_path: Path) -> None:
    study(tmp_path, ARCHITECTURES)
    done = start(*group_arguments(tmp_path, maps=True))
    assert done.code == 0, done.stderr
    place = run_of(done) / "model" / "base"
    bundle = load_bundle(place)
    sizes = {one.weights.stat().st_size for one in bundle.models}
    depths = {one.setting["network.depth"] for one in bundle.models if one.setting}
    assert len(sizes) == len(depths)
    assert (run_of(done) / "saliency" / "base").is_dir()
    told = start(tmp_path / "bids", tmp_path / "out", "group", "--model", place)
    assert "base" in told.stdout + told.stderr
