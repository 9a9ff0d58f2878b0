"""A run of two stages, as a user starts it: age group first, then sex."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bidsapp.dataset.tables import read_table
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

PEOPLE = 12
RECIPE = """\
name: staged
summary: A network that learns the age group first, then sex
outcome: {column: sex, positive: [F]}
representation: {kind: slab, plane: axial, slices: 3}
network:
  {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, frozen: 5, start: {variant: ages}}
training: {epochs: 1, batch_size: 6, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation: {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0}
variants:
  ages:
    outcome: {expression: age >= 30}
    network: {start: random, frozen: 0}
  plain: {network.start: random}
run: [base, plain]
"""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """People of whom one has no age, and a run of two stages beside one of a single stage."""
    root = tmp_path_factory.mktemp("staged")
    rows = []
    for i in range(PEOPLE):
        write_normalised(root / "out", f"sub-{i:02d}", brain(i, bool(i % 2)))
        age = "n/a" if i == 4 else 20 + 3 * i
        rows.append((f"sub-{i:02d}", "F" if i % 2 else "M", age))
    write_dataset(root / "bids", rows, ("participant_id", "sex", "age"))
    (root / "small.yaml").write_text(RECIPE)
    return start(*group_arguments(root))


def fold_file(root: Path, variant: str, fold: int, name: str) -> Path:
    (found,) = root.glob(f"**/folds/{variant}/repeat-0_fold-{fold}/{name}")
    return found


def test_only_the_second_stage_is_scored_and_the_first_is_told(staged: Ended) -> None:
    assert staged.code == 0, staged.stderr
    run = staged.output_dir / "group" / "staged"
    assert set(table_of(run / "scores.tsv")["variant"]) == {"base", "plain"}
    assert sorted(path.name for path in (run / "model").iterdir()) == ["base", "plain"]
    assert "ages is trained for others to begin with, and not scored" in staged.stderr
    assert "known of 11 of 12 scans" in staged.stderr
    said = staged.stdout.splitlines()
    for name in ("ages", "base", "plain"):
        for fold in (0, 1):
            label = f"{name}, repeat 0, fold {fold}: "
            begun, done = (
                next(k for k, line in enumerate(said) if label + word in line)
                for word in ("begun", "done")
            )
            assert begun < done
    metadata = json.loads((run / "model" / "base" / "configs" / "metadata.json").read_text())
    assert metadata["initial_weights"]["variant"] == "ages"
    assert metadata["initial_weights"]["before"]["kind"] == "random"
    methods = (run / "logs" / "CITATION.md").read_text()
    assert "the weights of ages's network of the same fold" in " ".join(methods.split())


def test_no_fold_begins_with_a_network_that_saw_its_held_out_people(staged: Ended) -> None:
    root = staged.output_dir.parent
    splits = table_of(staged.output_dir / "group" / "staged" / "splits.tsv")
    for fold in (0, 1):
        # everything but the head is frozen: the second stage is the first one
        first, second = (
            safetensors.torch.load_file(fold_file(root, name, fold, "model.safetensors"))
            for name in ("ages", "base")
        )
        assert all(torch.equal(second[k], v) for k, v in first.items() if k[:3] != "fc.")
        record = json.loads(fold_file(root, "ages", fold, "fold.json").read_text())
        here = splits[splits["fold"] == str(fold)].set_index("participant_id")["role"]
        assert record["participants"]["train"] == (here.drop("sub-04") == "train").sum()
    (own,) = root.glob("**/stages/ages/splits.tsv")
    learned = table_of(own)
    both = learned.merge(splits, on=["participant_id", "repeat", "fold"])
    assert (both["role_x"] == both["role_y"]).all()
    assert "sub-04" not in set(learned["participant_id"])
    outcomes = read_table(own.with_name("cohort.tsv")).columns["outcome"]
    assert outcomes["sub-03", ""] == "0"
    assert outcomes["sub-05", ""] == "1"


def test_a_run_goes_on_where_it_was_with_the_same_scores(staged: Ended) -> None:
    root = staged.output_dir.parent
    scores = staged.output_dir / "group" / "staged" / "scores.tsv"
    before = scores.read_bytes()
    models = [fold_file(root, name, 1, "model.safetensors") for name in ("ages", "base")]
    written = [path.stat().st_mtime_ns for path in models]
    fold_file(root, "base", 0, "fold.json").unlink()
    fold_file(root, "ages", 0, "model.safetensors").unlink()
    assert rerun(root) == 0
    assert scores.read_bytes() == before
    assert [path.stat().st_mtime_ns for path in models] == written


def test_a_first_stage_that_cannot_be_is_refused_before_work(
    staged: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    root = staged.output_dir.parent
    label = ("--run-label", "other")
    nobody = "variants.ages.outcome.expression=age >= 300"
    assert rerun(root, "--set", nobody, *label) == 64
    assert "variant ages: its outcome is known of 11 of 12 scans, all of one class" in (
        capsys.readouterr().err
    )
    assert rerun(root, "--set", "variants.ages.protocol.seed=3", *label) == 64
    assert "protocol.seed is 0 here and 3 there" in capsys.readouterr().err
    assert not (staged.output_dir / "group" / "other").exists()
