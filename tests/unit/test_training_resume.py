import logging
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch

from bidsapp.networks.registry import build_network
from bidsapp.recipes import dump_recipe
from bidsapp.training import fold as fold_module
from bidsapp.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from bidsapp.training.fold import score_fold, train_fold
from bidsapp.training.optimizer import build_optimizer
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe, train_and_score

RECIPE = small_recipe(
    training={
        "epochs": 12,
        "schedule": "one_cycle",
        "augmentation": {"flip": 0.5, "noise": 0.1},
        "checkpoint": "inner",
    },
    protocol={"inner": {"size": 0.25}},
)


@pytest.fixture(scope="module")
def processes():
    """A server that forks processes with torch imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bidsapp.training.fold", "tests.unit.synthetic_cohort"])
    return context


def stamp(path):
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.slow
def test_killed_at_three_random_moments_it_ends_with_the_same_bits(tmp_path, processes, caplog):
    whole = prepare_tasks(tmp_path / "whole", RECIPE, checkpoint_every_s=0)[0]
    train_and_score(whole)
    history = (whole.folder / "history.tsv").read_text().splitlines()
    epoch_s = sum(float(line.split("\t")[-1]) for line in history[1:]) / 12
    task = prepare_tasks(tmp_path / "killed", RECIPE, checkpoint_every_s=0)[0]
    checkpoint = task.folder / "checkpoint.pt"
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    for _ in range(3):
        before = stamp(checkpoint)
        process = processes.Process(target=train_and_score, args=(task,))
        process.start()
        patience = time.monotonic() + 120
        while stamp(checkpoint) == before and process.is_alive() and time.monotonic() < patience:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 1.2 * epoch_s))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not task.record_file.exists()
    killed_at = torch.load(checkpoint, weights_only=True)["progress"]["epoch"]
    with caplog.at_level(logging.INFO, "nocicast"):
        train_and_score(task)
    assert f"continuing after epoch {killed_at}" in caplog.text
    assert task.model_file.read_bytes() == whole.model_file.read_bytes(), seed
    assert task.scores_file.read_bytes() == whole.scores_file.read_bytes(), seed
    # The weights kept may be of an early epoch: the whole loss curve must agree too.
    curves = [pd.read_csv(t.folder / "history.tsv", sep="\t") for t in (task, whole)]
    pd.testing.assert_frame_equal(*(c.drop(columns="seconds") for c in curves), check_exact=True)
    names = sorted(path.name for path in task.folder.iterdir())
    assert names == [
        "fitted.safetensors", "fold.json", "history.tsv", "model.safetensors", "scores.tsv",
    ]  # fmt: skip


def test_a_checkpoint_of_another_version_is_not_continued(tmp_path, caplog):
    task = prepare_tasks(tmp_path, small_recipe())[0]
    path = tmp_path / "checkpoint.pt"
    network = build_network(task.recipe.network, 1)
    optimizer = build_optimizer(network, task.recipe.training)
    save_checkpoint(path, task.fingerprint, network, optimizer, Progress(epoch=2))
    assert load_checkpoint(path, task.fingerprint, network, optimizer).epoch == 2
    earlier = torch.load(path, weights_only=True)
    del earlier["format"]
    torch.save(earlier, path)
    assert load_checkpoint(path, task.fingerprint, network, optimizer).epoch == 0
    assert "is of another version: starting from the first epoch" in caplog.text


def test_a_damaged_or_foreign_checkpoint_is_not_used(tmp_path, caplog):
    recipe = small_recipe()
    whole = prepare_tasks(tmp_path / "whole", recipe)[0]
    train_fold(whole)
    task = prepare_tasks(tmp_path / "again", recipe)[0]
    task.folder.mkdir()
    (task.folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut")
    train_fold(task)
    assert "starting from the first epoch" in caplog.text
    assert task.model_file.read_bytes() == whole.model_file.read_bytes()


def test_too_little_memory_for_the_resident_cohort_streams_it(tmp_path, monkeypatch, caplog):
    whole, task = (prepare_tasks(tmp_path / name, small_recipe())[0] for name in "ab")
    train_fold(whole)
    real = fold_module.fit

    def fit_on_a_full_device(network, data, settings):
        if data.cohort.resident is not None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(network, data, settings)

    monkeypatch.setattr(fold_module, "fit", fit_on_a_full_device)
    train_fold(task)
    assert "streaming it instead" in caplog.text
    assert task.model_file.read_bytes() == whole.model_file.read_bytes()


def test_a_nipype_node_trains_and_scores_from_files(tmp_path):
    from bidsapp.training.fold_node import TrainFold, fold_inputs, task_of

    task = prepare_tasks(tmp_path, small_recipe(training={"epochs": 1}))[2]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_recipe(task.recipe), encoding="utf-8")
    told = replace(task, recipe=task.recipe.with_variant("base"), checkpoint_every_s=None)
    others = {"weights": tmp_path / "weights.pth", "threads": 3, "resident_bytes": 0.0}
    for one in (told, replace(told, **others)):
        assert task_of(fold_inputs(recipe, one), task.recipe, task.device) == one
    node = TrainFold(**fold_inputs(recipe, replace(task, folder=tmp_path / "node")))
    outputs = node.run(cwd=str(tmp_path)).outputs
    train_fold(task)
    score_fold(task)
    with open(outputs.model, "rb") as model, open(outputs.scores, "rb") as scores:
        assert model.read() == task.model_file.read_bytes()
        assert scores.read() == task.scores_file.read_bytes()
    again = replace(task, folder=tmp_path / "node")
    assert train_fold(again) == again.record_file
