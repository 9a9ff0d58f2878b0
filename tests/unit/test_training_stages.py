"""Two-stage training: no fold begins with a network that has seen the people it holds out."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from bidsapp.errors import BadData, UsageError
from bidsapp.group_files import _began_with
from bidsapp.networks.origin import origin_of, weights_words
from bidsapp.recipes import dump_recipe
from bidsapp.saliency.halves import half_task, members
from bidsapp.training import fold
from bidsapp.training.fold import is_trained, score_fold, train_fold
from bidsapp.training.fold_node import fold_inputs, task_of
from bidsapp.training.permuted import TrainPermuted
from bidsapp.training.permuted_runs import permuted_runs
from bidsapp.training.run import TrainingRun, fold_tasks, training_workflow
from bidsapp.training.splits import make_splits
from tests.unit.synthetic_cohort import small_recipe, write_cohort

SMALL = {"shape": (12, 12, 12), "n": 16}


def recipe_of(**second):
    training = {"epochs": 1, "precision": "float32"}
    return small_recipe(
        network={"start": {"variant": "stage"}} | second,
        training=training,
        protocol={"folds": 2},
        representation={"slices": 8},
        variants={"stage": {"network.start": "random", "network.frozen": 0, "training.seed": 7}},
    )


def prepare(folder, recipe, outcomes=None, change=None, **cohort):
    """The tasks of a run as the group level plans them: those of the stage, then the others."""
    rows, table = write_cohort(folder, **(SMALL | cohort))
    if change:
        change(rows, table)
    table["sha256"] = [f"{i:064x}" for i in range(len(table))]
    table.to_csv(folder / "cohort.tsv", sep="\t", index=False)
    splits = make_splits(table, recipe.protocol)
    splits.to_csv(folder / "splits.tsv", sep="\t", index=False)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    training = TrainingRun(
        recipe,
        ("base",),
        folder / "recipe.yaml",
        folder / "cohort.tsv",
        folder / "splits.tsv",
        folder / "work",
        recipe.stages(["base"]),
        {"stage": outcomes} if outcomes else {},
    )
    tasks = fold_tasks(
        training, rows, splits, None, device="cpu", threads=1, weights=None, mem_gb=4.0
    )
    return training, table, [replace(task, checkpoint_every_s=0) for task in tasks]


def backbone(task):
    weights = safetensors.torch.load_file(task.model_file)
    return {name: value for name, value in weights.items() if not name.startswith("fc.")}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_frozen_second_stage_is_the_first_one_of_the_same_fold(tmp_path):
    recipe = recipe_of(frozen=5)
    assert recipe.stages(["base"]) == ("stage",)
    _, _, tasks = prepare(tmp_path, recipe)
    assert [(task.variant, task.fold) for task in tasks] == [
        ("stage", 0), ("stage", 1), ("base", 0), ("base", 1),
    ]  # fmt: skip
    stages, seconds = tasks[:2], tasks[2:]
    # Not in order: the first stage of a fold is trained where it is missing.
    for task in reversed(tasks):
        train_fold(task)
    for mine, other in ((0, 1), (1, 0)):
        assert same(backbone(seconds[mine]), backbone(stages[mine]))
        assert not same(backbone(seconds[mine]), backbone(stages[other]))
        record = json.loads(seconds[mine].record_file.read_text())
        begun = json.loads(stages[mine].record_file.read_text())
        assert record["weights"]["kind"] == "variant"
        assert record["weights"]["sha256"] == begun["model_sha256"]


def test_held_out_images_and_outcomes_do_not_reach_the_second_stage(tmp_path):
    _, _, tasks = prepare(tmp_path / "a", recipe_of())
    first, second = tasks[2:]
    train_fold(first)
    train_fold(second)
    held_out = first.table.index[first.table["role"] == "test"][:2]

    def change(rows, _table):
        one, other = (rows[place].images["t1w"] for place in held_out)
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)

    _, _, again = prepare(tmp_path / "b", recipe_of(), change=change)
    for task in again[2:]:
        train_fold(task)
    assert again[2].fingerprint != first.fingerprint  # trained anew, on other data
    assert again[2].model_file.read_bytes() == first.model_file.read_bytes()
    assert again[3].model_file.read_bytes() != second.model_file.read_bytes()


def test_splits_that_differ_between_the_stages_are_refused(tmp_path):
    _, _, tasks = prepare(tmp_path, recipe_of())
    crossed = replace(tasks[2], first=tasks[1])
    with pytest.raises(BadData, match=r"begins with stage, repeat 0, fold 1, which learned from"):
        train_fold(crossed)
    assert not crossed.model_file.exists()


def test_a_run_that_is_killed_between_or_within_stages_ends_with_the_same_bits(
    tmp_path, monkeypatch
):
    def recipe():
        return recipe_of().with_values({"training.epochs": 2})

    whole = prepare(tmp_path / "whole", recipe())[2][2]
    train_fold(whole)
    task = prepare(tmp_path / "killed", recipe())[2][2]
    original, calls = fold.fit, []

    def dying(network, data, settings):
        calls.append(settings.label)
        if len(calls) == 1:  # the first stage, whole
            return original(network, data, settings)
        # of the second one epoch, kept; then the machine is gone
        short = replace(settings, training=settings.training.model_copy(update={"epochs": 1}))
        original(network, data, short)
        raise KeyboardInterrupt

    monkeypatch.setattr(fold, "fit", dying)
    with pytest.raises(KeyboardInterrupt):
        train_fold(task)
    assert [label.partition(",")[0] for label in calls] == ["stage", "base"]
    monkeypatch.setattr(fold, "fit", original)
    stage = task.first.model_file.stat().st_mtime_ns
    train_fold(task)
    assert task.first.model_file.stat().st_mtime_ns == stage
    assert task.model_file.read_bytes() == whole.model_file.read_bytes()


def test_another_first_stage_makes_another_second_stage(tmp_path):
    _, _, tasks = prepare(tmp_path, recipe_of())
    second = tasks[2]
    train_fold(second)
    score_fold(second)
    model = second.model_file.read_bytes()
    # Another model in the first stage's place: what began with the old one is no longer trained.
    other = replace(tasks[0], recipe=tasks[0].recipe.with_values({"training.seed": 8}))
    train_fold(other)
    assert not is_trained(second)
    now = replace(second, first=other)
    assert not is_trained(now)
    train_fold(now)
    assert now.model_file.read_bytes() != model


def test_a_stage_may_predict_something_else_of_those_of_whom_it_is_known(tmp_path):
    outcomes = {(f"sub-{i:02d}", ""): (i // 2) % 2 for i in range(16)}
    outcomes["sub-03", ""] = None
    training, _, tasks = prepare(tmp_path, recipe_of(), outcomes)
    stage, second = tasks[0], tasks[2]
    table = stage.table.set_index("participant_id")
    assert table.loc["sub-03", ["outcome", "role"]].tolist() == [-1, ""]
    assert table.loc["sub-02", "outcome"] == 1
    assert second.table.set_index("participant_id").loc["sub-02", "outcome"] == 0
    assert set(table.index[table["role"] == "train"]) == set(
        second.table.loc[second.table["role"] == "train", "participant_id"]
    ) - {"sub-03"}
    train_fold(second)
    # as a node has it, from the files of the run
    again = task_of(fold_inputs(training.recipe_file, second), training.recipe, "cpu")
    assert again.fingerprint == second.fingerprint
    assert is_trained(again.first)


def test_a_fold_of_one_class_only_is_refused_before_it_is_trained(tmp_path):
    outcomes = {(f"sub-{i:02d}", ""): int(i == 0) for i in range(16)}
    with pytest.raises(UsageError, match=r"variant stage: .* from scans of one class only"):
        prepare(tmp_path, recipe_of(), outcomes)


def test_a_node_waits_for_the_fold_that_it_begins_with(tmp_path):
    training, _, tasks = prepare(tmp_path, recipe_of())
    graph = training_workflow(training, tasks, "training", 1.0)._graph
    edges = {(a.name, b.name) for a, b in graph.edges}
    assert edges == {(f"stage_r0_f{k}", f"base_r0_f{k}") for k in (0, 1)}
    scored = {node.name: node.interface.inputs.score for node in graph.nodes}
    assert [name for name, yes in sorted(scored.items()) if yes] == ["base_r0_f0", "base_r0_f1"]


def test_what_a_network_began_with_is_told_through_both_stages(tmp_path):
    _, _, tasks = prepare(tmp_path, recipe_of())
    train_fold(tasks[2])
    text = weights_words(_began_with(tasks[2]).plain())
    assert "stage's network of the same fold" in text
    assert text.endswith("began with random weights")
    assert origin_of(tasks[2].model_file).images == {f"{i:064x}" for i in range(16)}


def test_halves_of_a_fold_begin_with_a_network_of_the_same_half(tmp_path):
    _, _, tasks = prepare(tmp_path, recipe_of(), n=24)
    second = tasks[2]
    for half in (0, 1):
        task = half_task(second, tmp_path / f"half{half}", half, 1)
        mine = set(members(second)[half])
        for one in task.chain():
            learned = one.table.loc[one.table["role"] == "train", "participant_id"]
            assert set(learned) == mine
        assert task.first.table["outcome"].equals(task.table["outcome"])  # both are shuffled


def test_a_permutation_trains_both_stages_anew_and_keeps_no_model(tmp_path):
    training, table, tasks = prepare(tmp_path, recipe_of())
    run = permuted_runs(training, tasks[2:], table, None, 1)[0]
    inputs = {
        "recipe": str(training.recipe_file),
        "folds": [fold_inputs(training.recipe_file, task) for task in run.tasks],
        "record": str(run.record_file),
        "key": run.key,
        "device": "cpu",
    }
    node = TrainPermuted(**inputs)
    node._device = "cpu"
    node._work(tmp_path)
    for task in run.tasks:
        first = task.first
        assert np.array_equal(first.table["outcome"], task.table["outcome"])
        assert list(first.table["role"]) == list(task.table["role"])
        assert not task.model_file.exists()
        assert not first.model_file.exists()
        assert task.trained_as
    before = [task.scores_file.stat().st_mtime_ns for task in run.tasks]
    # Once more: what is scored stays, though the models are gone.
    again = TrainPermuted(**inputs)
    again._device = "cpu"
    again._work(tmp_path)
    assert [task.scores_file.stat().st_mtime_ns for task in run.tasks] == before
    # One fold was lost: it and its first stage are trained again, to the same scores.
    lost = run.tasks[0].scores_file
    content = lost.read_bytes()
    lost.unlink()
    again._work(tmp_path)
    assert lost.read_bytes() == content
    assert pd.read_csv(lost, sep="\t")["variant"].unique() == ["base"]
