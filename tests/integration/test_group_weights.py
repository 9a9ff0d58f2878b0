"""A coin as outcome, and networks that were pretrained on everybody's side of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bidsapp.contracts.fitted import stamp_text
from bidsapp.networks.registry import build_network
from bidsapp.recipes import load_recipe
from bidsapp.recipes.images import Representation
from bidsapp.representation.sample import CohortRow, read_sample
from bidsapp.saliency.evidence import forecast_of
from tests.integration.group_studies import (
    brain,
    first_run,
    group_arguments,
    rerun,
    start,
    table_of,
    write_dataset,
    write_normalised,
)
from tests.integration.running import Ended
from tests.unit.cohort_trees import heads

PEOPLE = 12
RECIPE = """\
name: coin
summary: A network that begins with what the user names
outcome: {column: coin, positive: [heads]}
representation: {kind: slab, plane: axial, slices: 3}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, weights: file}
training: {epochs: 3, batch_size: 4, lr: {head: 1e-2, backbone: 1e-4}, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0}
"""


@pytest.fixture(scope="module")
def coin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People whose outcome is a coin's, and ``weights.pth``, which knows all of their coins."""
    root = tmp_path_factory.mktemp("coin")
    sides = np.random.default_rng(1).permutation([0, 1] * (PEOPLE // 2))
    rows = []
    for i, side in enumerate(sides):
        write_normalised(root / "out", f"sub-{i:02d}", brain(i, False))
        rows.append((f"sub-{i:02d}", ["tails", "heads"][side]))
    write_dataset(root / "bids", rows, ("participant_id", "coin"))
    (root / "small.yaml").write_text(RECIPE)
    network = build_network(load_recipe(root / "small.yaml").network, 1)
    spec = Representation(kind="slab", plane="axial", slices=3)
    files = sorted((root / "out").glob("sub-*/anat/*_desc-preproc_T1w.nii.gz"))
    images = [read_sample(CohortRow(f.name, "", {"t1w": f}), spec)[0] for f in files]
    x = torch.from_numpy(np.stack(images))
    x = (x - x.mean()) / x.std()
    y = torch.from_numpy(sides.astype(np.float32))
    step = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(15):
        step.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y).backward()
        step.step()
    torch.save({"state_dict": network.state_dict()}, root / "weights.pth")
    return root


def test_weights_of_unknown_origin_are_refused_until_somebody_speaks(
    coin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(coin, "--weights", coin / "weights.pth") == 64
    said = capsys.readouterr().err
    assert "sha256" in said
    assert "network.origin.participants=disjoint" in said
    assert not (coin / "out" / "group").exists()


def test_a_coin_told_by_weights_of_unknown_origin_is_stamped_everywhere(coin: Path) -> None:
    told = ("network.origin.dataset=a disk in a drawer", "network.origin.participants=unknown")
    assert rerun(coin, "--weights", coin / "weights.pth", "--set", *told) == 0
    run = coin / "out" / "group" / "coin"
    metrics = table_of(run / "metrics.tsv")
    row = metrics[
        (metrics["variant"] == "base")
        & (metrics["scope"] == "pooled")
        & (metrics["metric"] == "auc")
    ]
    assert float(row["value"].iloc[0]) > 0.95  # it is a coin: the weights had seen it fall
    stamp = "LEAK?: network.origin.participants: unknown"
    assert row["note"].iloc[0].startswith(stamp)
    assert set(table_of(run / "scores.tsv")["leak"]) == {stamp}
    findings = table_of(run / "tables" / "findings.tsv")
    assert findings["kind"].iloc[0] == "leak"
    assert (
        findings["text"].iloc[0].startswith("LEAK?: base: whether people of this cohort are among")
    )
    card = (run / "model" / "base" / "docs" / "README.md").read_text()
    assert card.splitlines()[2] == f"**{stamp}**"
    words = (run / "logs" / "CITATION.md").read_text()
    for text in (card, words):
        assert "weights of unknown origin (weights.pth, sha256 " in text
        assert "MedicalNet" not in text
        assert "whether people of this cohort were among them is not known" in text
    assert "LEAK?: held-out participants may have been seen before the run" in words
    page = (run / "report.html").read_text()
    assert "LEAK?: not known to be a held-out result." in page
    assert "Better than chance." not in page
    assert "LEAK?: this run may have seen people it was scored on" in page
    recipe = load_recipe(run / "recipe.yaml")
    assert stamp_text(recipe.leaks("network")) == stamp  # what maps and their tables carry
    assert forecast_of(run, "base", recipe).leak.startswith(stamp)


def test_a_word_that_people_are_disjoint_is_told_as_a_word(coin: Path) -> None:
    told = ("network.origin.dataset=the Heads", "network.origin.participants=disjoint")
    assert rerun(coin, "--weights", coin / "weights.pth", "--set", *told) == 0
    run = coin / "out" / "group" / "coin"
    assert "leak" not in table_of(run / "scores.tsv")
    page = (run / "report.html").read_text()
    assert "that nobody of this cohort was among them is stated by the user" in page
    card = (run / "model" / "base" / "docs" / "README.md").read_text()
    assert "stated by the user to be trained on the Heads" in card


@pytest.fixture(scope="module")
def first(once) -> Ended:  # type: ignore[no-untyped-def]
    """A finished run, whose bundle is then given as pretrained weights."""
    return once("group_first", first_run)[1]


def test_the_apps_own_model_is_refused_where_it_has_seen_the_people(first: Ended) -> None:
    root = first.output_dir.parent
    model = root / "out" / "group" / "small" / "model" / "base" / "models"
    weights = sorted(model.glob("*.safetensors"))[0]
    arguments = group_arguments(
        root, "--weights", weights, "--set", "network.weights=file", "--run-label", "again"
    )
    ended = start(*arguments)
    assert ended.code == 64, ended.said
    assert "16 of the 16 scans of this cohort are among those" in ended.stderr
    assert "sub-00" in ended.stderr
    assert not (root / "out" / "group" / "again").exists()


def test_in_mode_paper_an_overlap_is_a_leak_by_the_recipe_that_is_written(first: Ended) -> None:
    from bidsapp.dataset.cohort import build_cohort
    from bidsapp.group_weights import refuse_seen
    from bidsapp.options import RunOptions
    from bidsapp.recipes.images import Outcome

    root = first.output_dir.parent
    model = root / "out" / "group" / "small" / "model" / "base" / "models"
    recipe = load_recipe(root / "small.yaml", ["network.weights=file", "mode=paper"])
    cohort = build_cohort(
        root / "bids",
        root / "out",
        Outcome(column="chronic", positive=("yes",)),
        wanted=heads("MNI152NLin2009aSym"),
    )
    options = RunOptions(
        bids_dir=root / "bids",
        output_dir=root / "out",
        analysis_level="group",
        work_dir=root / "out" / "work",
        weights=sorted(model.glob("*.safetensors"))[0],
    )
    noted = refuse_seen(recipe, ["base", "sagittal"], cohort, options)
    for name in ("base", "sagittal"):
        told = [step.name for step in noted.with_variant(name).leaks()]
        assert "network.origin.participants: overlap" in told
