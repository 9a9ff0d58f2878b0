"""What the scan adds, as a user asks for it: inner networks, their files, the first sentence."""

import json
from pathlib import Path

import pytest
import safetensors.torch

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
name: added
summary: A compact network on three axial slices, beside clinical columns
outcome: {column: chronic, positive: ["yes"]}
representation: {kind: slab, plane: axial, slices: 3}
network: {name: resnet, depth: 10, stem_stride: 2, stem_pool: true, start: random}
training: {epochs: 1, batch_size: 8, precision: float32}
protocol: {kind: kfold, folds: 2, stratified: true}
evaluation:
  {tests: [permutation], baselines: [majority], permutations: 100, bootstrap: 0,
   clinical: [pain_now, sex], stacking_folds: 2}
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A run that asks what the scan adds."""
    root = tmp_path_factory.mktemp("added")
    rows = []
    for i in range(PEOPLE):
        write_normalised(root / "out", f"sub-{i:02d}", brain(i, bool(i % 2)))
        rows.append((f"sub-{i:02d}", "yes" if i % 2 else "no", 3 + i % 2 + i % 5, "FM"[i // 2 % 2]))
    write_dataset(root / "bids", rows, ("participant_id", "chronic", "pain_now", "sex"))
    (root / "small.yaml").write_text(RECIPE)
    return start(*group_arguments(root))


def run_of(added: Ended) -> Path:
    return added.output_dir / "group" / "added"


def test_the_cost_is_said_before_any_training(added: Ended) -> None:
    assert added.code == 0, added.stderr
    said = added.stdout
    cost = said.index("Added value: 4 networks more, 2 inner folds for each of the 2 of base")
    assert cost < said.index("2 networks; those that are trained already are kept")


def test_nobodys_logit_comes_from_a_network_that_saw_them(added: Ended) -> None:
    run = run_of(added)
    splits, inner, scores = (
        table_of(run / f"{name}.tsv") for name in ("splits", "crossfit_splits", "crossfit_scores")
    )
    for fold in ("0", "1"):
        here = splits[splits["fold"] == fold].set_index("participant_id")["role"]
        learned = set(here.index[here == "train"])
        mine = scores[scores["fold"] == fold]
        assert sorted(mine["participant_id"]) == sorted(learned)
        for number, rows in inner[inner["fold"] == fold].groupby("inner"):
            assert set(rows["participant_id"]) == learned  # nobody whom the fold tests
            tested = set(rows.loc[rows["role"] == "test", "participant_id"])
            assert set(mine.loc[mine["inner"] == number, "participant_id"]) == tested
            (record,) = run.parents[2].glob(
                f"**/inner-{number}/folds/base/repeat-0_fold-{fold}/fold.json"
            )
            trained = json.loads(record.read_text())["participants"]
            assert trained == {"train": len(learned) - len(tested), "test": len(tested)}


def test_the_answer_begins_with_what_the_scan_adds(added: Ended) -> None:
    run = run_of(added)
    findings = table_of(run / "tables" / "findings.tsv")
    (text,) = findings.loc[findings["kind"] == "added", "text"]
    assert text.startswith("Beyond pain now and sex the scan adds ")
    page = (run / "report.html").read_text()
    assert page.index("Beyond pain now and sex the scan adds ") < page.index("forecast chronic")
    assert "No net reclassification index is given" in page
    words = " ".join((run / "logs" / "CITATION.md").read_text().split())
    beyond, alone = "Beyond pain now and sex the scan adds ", ": pooled held-out AUC"
    assert words.index(beyond) < words.index(alone)
    models = table_of(run / "tables" / "added_value_scores.tsv")
    assert set(models["variant"]) == {"clinical", "clinical + base"}
    assert len(models) == 2 * PEOPLE


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(added: Ended) -> None:
    run, root = run_of(added), added.output_dir.parent
    before = (run / "crossfit_scores.tsv").read_bytes()
    (lost,) = root.glob("**/inner-1/folds/base/repeat-0_fold-1")
    (kept,) = root.glob("**/inner-0/folds/base/repeat-0_fold-1/fold.json")
    written = kept.stat().st_mtime_ns
    assert not list(root.glob("**/inner-*/**/model.safetensors"))
    (lost / "scores.tsv").unlink()
    assert rerun(root) == 0
    assert (run / "crossfit_scores.tsv").read_bytes() == before
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_without_clinical_columns_nothing_of_it_is_left(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    run, root = run_of(added), added.output_dir.parent
    model = next(root.glob("**/folds/base/repeat-0_fold-0/model.safetensors"))
    weights = safetensors.torch.load_file(model)
    assert rerun(root, "--set", "evaluation.clinical=[]") == 0
    assert "Added value" not in capsys.readouterr().out
    assert not (run / "crossfit_scores.tsv").exists()
    assert safetensors.torch.load_file(model).keys() == weights.keys()


def test_too_many_inner_folds_are_refused_before_work(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    root = added.output_dir.parent
    assert rerun(root, "--run-label", "many", "--set", "evaluation.stacking_folds=4") == 64
    told = " ".join(capsys.readouterr().err.split())
    assert (
        "evaluation.stacking_folds: 4 inner folds, but repeat 0, fold 0 trains on 4 people" in told
    )
    assert "--set evaluation.stacking_folds=3" in told
    assert not (added.output_dir / "group" / "many").exists()


def test_the_plan_says_what_added_value_can_be_shown(
    added: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rerun(added.output_dir.parent, "--plan") == 0
    told = capsys.readouterr().out
    assert "Added value over a clinical model of AUC 0.70" in told
    assert "smallest gain shown with power 0.8: none" in told
    assert "Added value: 4 networks more" in told
