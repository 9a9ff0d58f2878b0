import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bidsapp.errors import BadData, NociCastError, UsageError
from bidsapp.networks import registry
from bidsapp.networks.architectures.pooled import Strength
from bidsapp.networks.registry import build_network
from bidsapp.recipes.learning import Augmentation, Training
from bidsapp.training.augment import add_noise, move
from bidsapp.training.fold import _weights_seed, load_fold, score_fold, train_fold
from bidsapp.training.fold_memory import fold_memory, resident_bytes, warn_of_memory
from bidsapp.training.loop import in_parts
from bidsapp.training.optimizer import SCHEDULES, build_optimizer, set_rates
from tests.unit.fitted_steps import FURTHER
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe

QUICK = {"epochs": 8, "schedule": "one_cycle", "lr": {"head": 1e-3, "backbone": 1e-3}}


def prepare_again(task):
    """The same task without what it has read already."""
    return replace(task)


def out_of_fold(tasks):
    for task in tasks:
        train_fold(task)
    return pd.concat([score_fold(task) for task in tasks])


def test_a_planted_cuboid_is_found(tmp_path):
    recipe = small_recipe(training=QUICK, protocol={"folds": 2})
    scores = out_of_fold(prepare_tasks(tmp_path, recipe))
    assert roc_auc_score(scores["outcome"], scores["probability"]) == 1
    assert scores["participant_id"].is_unique
    assert len(scores) == 24


def test_without_a_signal_held_out_scores_are_at_chance(tmp_path):
    values = []
    for seed in range(5):
        training = QUICK | {"epochs": 2, "batch_size": 10, "seed": seed}
        recipe = small_recipe(training=training, protocol={"folds": 2, "seed": seed})
        tasks = prepare_tasks(
            tmp_path / str(seed), recipe, n=40, seed=seed, shuffle=True, shape=(12, 12, 12)
        )
        scores = out_of_fold(tasks)
        values.append(roc_auc_score(scores["outcome"], scores["probability"]))
    # Five AUCs of 40 people: the standard error of their mean is about .04.
    assert 0.38 < np.mean(values) < 0.62


def test_scores_and_records_say_what_was_done(tmp_path):
    recipe = small_recipe(protocol={"inner": {"size": 0.25}}, training={"epochs": 3})
    task = prepare_tasks(tmp_path, recipe)[1]
    train_fold(task)
    scores = score_fold(task)
    written = pd.read_csv(task.scores_file, sep="\t", keep_default_na=False)
    pd.testing.assert_frame_equal(written, scores, check_dtype=False)
    assert list(scores) == [
        "participant_id",
        "session_id",
        "variant",
        "repeat",
        "fold",
        "outcome",
        "probability",
    ]
    splits = pd.read_csv(task.splits, sep="\t")
    mine = splits[(splits["fold"] == 1) & (splits["role"] == "test")]
    assert set(scores["participant_id"]) == set(mine["participant_id"])
    assert (scores["outcome"] == scores["participant_id"].str[-2:].astype(int) % 2).all()
    record = json.loads(task.record_file.read_text())
    assert record["participants"] == {"train": 14, "test": 6, "validation": 4}
    (where,) = record["environments"]
    assert where["device"] == "cpu"
    assert where["threads"] == 1
    assert where["versions"]["torch"] == torch.__version__
    history = pd.read_csv(task.folder / "history.tsv", sep="\t")
    assert list(history["epoch"]) == [1, 2, 3]
    assert history[["train_loss", "validation_loss"]].notna().all(axis=None)
    assert sorted(p.name for p in task.folder.iterdir()) == [
        "fitted.safetensors",
        "fold.json",
        "history.tsv",
        "model.safetensors",
        "scores.tsv",
    ]


def result(folder, recipe, **changes):
    task = prepare_tasks(folder, recipe)[0]
    for key, value in changes.items():
        object.__setattr__(task, key, value)
    train_fold(task)
    score_fold(task)
    return task.model_file.read_bytes(), task.scores_file.read_bytes(), task


AUGMENTED = {"augmentation": {"flip": 0.5, "noise": 0.1, "rotation": 10.0, "scaling": 0.1}}


def test_the_same_seed_gives_the_same_bits_resident_or_streamed(tmp_path, monkeypatch):
    recipe = small_recipe(training=AUGMENTED)
    model, scores, task = result(tmp_path / "a", recipe)
    assert json.loads(task.record_file.read_text())["cohort_streamed"] is False
    torch.manual_seed(123)
    assert result(tmp_path / "b", recipe)[:2] == (model, scores)
    monkeypatch.setattr("bidsapp.representation.device_cohort.STREAM_BYTES", 50_000)
    streamed = result(tmp_path / "c", recipe, resident_bytes=1000)
    assert streamed[:2] == (model, scores)
    assert json.loads(streamed[2].record_file.read_text())["cohort_streamed"] is True
    other = small_recipe(training=AUGMENTED | {"seed": 1})
    assert result(tmp_path / "d", other)[0] != model


POOLED = {"name": "pooled", "depth": 1, "stem_stride": 1, "stem_pool": False}


@pytest.mark.parametrize(
    ("training", "protocol"),
    [
        ({}, {}),
        ({"early_stopping": {"patience": 9}, "checkpoint": "inner"}, {"inner": {"size": 0.3}}),
    ],
)
def test_what_a_network_does_not_learn_is_computed_once_with_the_same_bits(
    training, protocol, tmp_path, monkeypatch
):
    recipe = small_recipe(
        network=POOLED, training={"epochs": 6, "batch_size": 6} | training, protocol=protocol
    )
    counted = []
    pool = Strength.forward
    monkeypatch.setattr(
        Strength, "forward", lambda self, x: counted.append(len(x)) or pool(self, x)
    )
    model, scores, task = result(tmp_path / "once", recipe)
    once = sum(counted)
    assert once <= len(task.table) + len(task.rows("test"))  # before training, and to score
    counted.clear()
    monkeypatch.setattr("bidsapp.training.inputs.WithFixedPart", type("Never", (), {}))
    assert result(tmp_path / "always", recipe)[:2] == (model, scores)
    assert sum(counted) > 3 * once


def test_augmented_images_are_given_to_the_whole_network_in_every_epoch(tmp_path, monkeypatch):
    plain = result(tmp_path / "plain", small_recipe(network=POOLED))[0]
    recipe = small_recipe(network=POOLED, training={"augmentation": {"noise": 0.1}})
    model = result(tmp_path / "a", recipe)[0]
    assert model != plain
    monkeypatch.setattr("bidsapp.training.inputs.WithFixedPart", type("Never", (), {}))
    assert result(tmp_path / "b", recipe)[0] == model


def test_a_trained_fold_is_not_trained_again_unless_something_changed(tmp_path):
    task = prepare_tasks(tmp_path, small_recipe())[0]
    train_fold(task)
    stamp = task.model_file.stat().st_mtime_ns
    train_fold(prepare_tasks(tmp_path, small_recipe())[0])
    assert task.model_file.stat().st_mtime_ns == stamp
    changed = prepare_tasks(tmp_path, small_recipe(training={"epochs": 1}))[0]
    with pytest.raises(BadData, match="belongs to other data"):
        load_fold(changed)
    train_fold(changed)
    assert task.model_file.stat().st_mtime_ns != stamp
    changed.model_file.write_bytes(changed.model_file.read_bytes()[:-8])
    with pytest.raises(BadData, match="is not trained"):
        score_fold(changed)


def test_held_out_images_do_not_reach_the_weights(tmp_path):
    recipe = small_recipe(protocol={"inner": {"size": 0.25}})
    model = result(tmp_path / "a", recipe)[0]
    other = prepare_tasks(tmp_path / "b", recipe)[0]
    data = np.load(other.array, mmap_mode="r+")
    data[other.rows("test")] = 0.25
    data[other.rows("validation")] = 0.75
    data.flush()
    train_fold(other)
    assert other.model_file.read_bytes() == model
    data[other.rows("train")[:1]] = 0.25
    data.flush()
    other.record_file.unlink()
    train_fold(other)
    assert other.model_file.read_bytes() != model


def test_early_stopping_looks_at_the_inner_split_and_keeps_its_best_epoch(tmp_path):
    training = {
        "epochs": 12,
        "lr": {"head": 1e-3, "backbone": 1e-3},
        "early_stopping": {"patience": 2},
        "checkpoint": "inner",
    }
    recipe = small_recipe(training=training, protocol={"inner": {"size": 0.3}})
    task = prepare_tasks(tmp_path, recipe, contrast=0.0)[0]
    train_fold(task)
    history = pd.read_csv(task.folder / "history.tsv", sep="\t")
    record = json.loads(task.record_file.read_text())
    best = int(history["validation_loss"].idxmin()) + 1
    assert record["epoch_kept"] == best
    assert record["epochs"] == len(history) == min(12, best + 2)
    assert record["epochs"] < 12
    weights = load_fold(task)[0].state_dict()
    last = small_recipe(
        training=training | {"checkpoint": "last"}, protocol={"inner": {"size": 0.3}}
    )
    final = prepare_tasks(tmp_path / "last", last, contrast=0.0)[0]
    train_fold(final)
    assert not torch.equal(load_fold(final)[0].state_dict()["fc.weight"], weights["fc.weight"])


def test_paper_mode_may_keep_the_epoch_that_is_best_on_the_test_fold(tmp_path):
    recipe = small_recipe(mode="paper", training={"checkpoint": "test_fold", "epochs": 4})
    task = prepare_tasks(tmp_path, recipe, contrast=0.0)[0]
    train_fold(task)
    history = pd.read_csv(task.folder / "history.tsv", sep="\t")
    kept = json.loads(task.record_file.read_text())["epoch_kept"]
    assert kept == int(history["test_loss"].idxmin()) + 1
    scores = score_fold(task)
    truth, p = scores["outcome"], scores["probability"]
    loss = -np.mean(np.where(truth == 1, np.log(p), np.log1p(-p)))
    assert loss == pytest.approx(history["test_loss"].min(), rel=1e-5)


def test_tables_that_do_not_agree_are_refused(tmp_path):
    task = prepare_tasks(tmp_path, small_recipe())[0]
    good = task.cohort.read_text()
    for text, message in (
        (good.replace("sub-03\tn/a\t1", "sub-03\tn/a\tyes"), "outcome of sub-03 is not 0 or 1"),
        (good.replace("sub-03\tn/a\t1\n", ""), "hold different scans"),
        (good.replace("sub-03\t", "sub-99\t"), "hold different scans"),
    ):
        task.cohort.write_text(text)
        fresh = prepare_again(task)
        with pytest.raises(BadData, match=message):
            train_fold(fresh)


def test_roles_that_training_needs_are_asked_for(tmp_path):
    recipe = small_recipe(
        training={"early_stopping": {"patience": 2}}, protocol={"inner": {"size": 0.3}}
    )
    task = prepare_tasks(tmp_path, recipe)[0]
    splits = pd.read_csv(task.splits, sep="\t")
    splits["role"] = splits["role"].replace("validation", "train")
    splits.to_csv(task.splits, sep="\t", index=False)
    with pytest.raises(UsageError, match=r"early_stopping needs .* protocol.inner.size"):
        train_fold(task)
    splits["role"] = "train"
    splits.to_csv(task.splits, sep="\t", index=False)
    task = prepare_tasks(tmp_path / "x", small_recipe())[0]
    object.__setattr__(task, "fold", 9)
    with pytest.raises(BadData, match="has no repeat 0, fold 9"):
        train_fold(task)


def test_a_diverging_loss_is_said(tmp_path):
    recipe = small_recipe(representation={"zscore": "none"})
    task = prepare_tasks(tmp_path, recipe)[0]
    data = np.load(task.array, mmap_mode="r+")
    data[task.rows("train")[0]] = np.inf
    data.flush()
    with pytest.raises(NociCastError, match=r"training loss is nan .*lower training.lr"):
        train_fold(task)


@pytest.mark.parametrize("weights_last", [False, True])
@pytest.mark.parametrize("gradients_last", [False, True])
def test_weights_move_alike_whatever_the_order_in_memory(weights_last, gradients_last):
    def laid_out(last):
        return torch.channels_last_3d if last else torch.contiguous_format

    section = Training(weight_decay=0.1)
    ours, theirs = (build_network(small_recipe().network, 2, seed=3) for _ in range(2))
    ours.to(memory_format=laid_out(weights_last))
    optimizer = build_optimizer(ours, section)
    others = dict(theirs.named_parameters())
    head = [name for name in others if name.startswith("fc.")]
    plain = torch.optim.AdamW(
        [
            {"params": [p for name, p in others.items() if name not in head], "lr": 1e-4},
            {"params": [others[name] for name in head], "lr": 1e-3},
        ],
        weight_decay=0.1,
        foreach=False,
        fused=False,
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        optimizer.zero_grad()
        assert all(weight.grad is None for weight in ours.parameters())
        for name, weight in ours.named_parameters():
            gradient = torch.randn(weight.shape, generator=generator)
            others[name].grad = gradient
            if weight.dim() == 5:
                gradient = gradient.contiguous(memory_format=laid_out(gradients_last))
            weight.grad = gradient
        optimizer.step()
        plain.step()
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight, others[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({"optimizer": "adam", "epsilon": 0.1}, partial(torch.optim.Adam, eps=0.1)),
        ({"optimizer": "sgd", "momentum": 0.9}, partial(torch.optim.SGD, momentum=0.9)),
        (
            {"optimizer": "rmsprop", "decay": 0.8, "momentum": 0.5, "epsilon": 1e-7},
            partial(torch.optim.RMSprop, alpha=0.8, momentum=0.5, eps=1e-7),
        ),
    ],
)
def test_optimisers_move_weights_as_torch_does_in_plain_order(settings, plain):
    rates = {"head": 1e-3, "backbone": 1e-3}
    section = Training.model_validate(settings | {"weight_decay": 0.1, "lr": rates})
    ours, theirs = (build_network(small_recipe().network, 1, seed=3) for _ in range(2))
    ours.to(memory_format=torch.channels_last_3d)
    optimizer = build_optimizer(ours, section)
    other = plain(theirs.parameters(), lr=1e-3, weight_decay=0.1, foreach=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            its.grad = torch.randn(its.shape, generator=generator)
            mine.grad = its.grad.clone()
        optimizer.step()
        other.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("size", "at_once", "parts"), [(6, None, [6]), (7, 3, [2, 2, 3])])
def test_a_batch_is_cut_into_even_parts(size, at_once, parts):
    cut = in_parts(size, at_once)
    assert [part.stop - part.start for part in cut] == parts
    assert [i for part in cut for i in range(size)[part]] == list(range(size))


def test_gradients_of_parts_add_up_to_the_gradient_of_the_batch(tmp_path, monkeypatch):
    # Without batch statistics the same result, up to rounding.
    original = registry.build_network

    def without_batch_statistics(*args, **options):
        network = original(*args, **options)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm3d):
                layer.train = lambda mode=True, layer=layer: layer
                layer.eval()
                layer.training = False
        return network

    monkeypatch.setattr("bidsapp.training.fold.build_network", without_batch_statistics)
    logits = []
    for at_once in (None, 2):
        training = {"epochs": 2, "batch_size": 6, "at_once": at_once, "precision": "float32"}
        training["optimizer"] = "sgd"
        recipe = small_recipe(training={k: v for k, v in training.items() if v is not None})
        (task, *_) = prepare_tasks(tmp_path / str(at_once), recipe, shape=(12, 12, 12))
        train_fold(task)
        logits.append(score_fold(task)["probability"].to_numpy())
    assert logits[0] == pytest.approx(logits[1], abs=1e-5)
    assert len(set(logits[0])) > 1


def test_frozen_stages_keep_weights_and_statistics_through_training(tmp_path):
    recipe = small_recipe(network={"frozen": 3}, training={"epochs": 2})
    (task, *_) = prepare_tasks(tmp_path, recipe, shape=(12, 12, 12))
    train_fold(task)
    after = load_fold(task)[0].state_dict()
    before = build_network(recipe.network, 1, _weights_seed(task)).state_dict()
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    kept = {n for n in before if n.split(".")[0] in ("conv1", "bn1", "layer1", "layer2")}
    assert kept <= same
    assert not {name for name in same if name.startswith(("layer4", "fc"))}


def test_networks_of_slices_with_two_outputs_find_a_planted_cuboid(tmp_path):
    rates = {"head": 3e-3, "backbone": 3e-3}
    training = {"epochs": 12, "loss": "cross_entropy", "lr": rates, "schedule": "one_cycle"}
    training["augmentation"] = {"rotation": 5, "scaling": 0.05, "noise": 0.05}
    recipe = small_recipe(
        network={"dims": 2, "outputs": 2}, training=training, protocol={"folds": 2}
    )
    scores = out_of_fold(prepare_tasks(tmp_path, recipe))
    assert roc_auc_score(scores["outcome"], scores["probability"]) == 1


def test_slices_are_turned_within_their_plane_alone():
    section = Augmentation(rotation=30, scaling=0.2)
    images = torch.zeros(8, 1, 12, 14, 6)
    images[..., 2] = torch.rand(8, 1, 12, 14)
    moved = move(images, section, torch.Generator().manual_seed(0), flat=2)
    assert torch.equal(moved[..., :2], images[..., :2])
    assert torch.equal(moved[..., 3:], images[..., 3:])
    assert not torch.allclose(moved[..., 2], images[..., 2])


def test_a_weight_that_was_moved_after_the_optimiser_was_built_is_refused():
    model = build_network(small_recipe().network, 1)
    optimizer = build_optimizer(model, Training())
    model.to(memory_format=torch.channels_last_3d)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    with pytest.raises(RuntimeError, match="moved in memory"):
        optimizer.step()


def test_rates_follow_their_schedule():
    network = build_network(small_recipe().network, 1)
    section = Training(schedule="cosine")
    optimizer = build_optimizer(network, section)
    backbone, head = optimizer.param_groups
    assert sum(p.numel() for p in head["params"]) == 513
    assert sum(len(g["params"]) for g in (backbone, head)) == len(list(network.parameters()))
    set_rates(optimizer, section, 0.5)
    assert head["lr"] == pytest.approx(5e-4)
    assert backbone["lr"] == pytest.approx(5e-5)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        torch.optim.SGD([torch.zeros(1)], 1.0), 1.0, total_steps=11, cycle_momentum=False
    )
    # Torch counts its warm-up to step .3 n - 1; at the start, the peak and the end both agree.
    assert SCHEDULES["one_cycle"](0) == pytest.approx(oracle.get_last_lr()[0])
    assert SCHEDULES["one_cycle"](0.3) == pytest.approx(1)
    assert SCHEDULES["one_cycle"](1.0) < 1e-3
    for schedule in SCHEDULES.values():
        assert all(0 <= schedule(i / 50) <= 1 for i in range(51))


def test_augmentation_is_drawn_from_its_generator_alone():
    images = torch.rand(6, 2, 9, 10, 11)
    section = Augmentation(flip=0.5, rotation=20.0, scaling=0.2)
    draws = [move(images, section, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(move(images, Augmentation(), torch.Generator()), images)
    flipped = move(images, Augmentation(flip=1.0), torch.Generator())
    assert torch.equal(flipped, images.flip(2))
    noise = add_noise(torch.zeros(2, 1, 30, 30, 30), 0.5, torch.Generator().manual_seed(0))
    assert noise.std().item() == pytest.approx(0.5, rel=0.02)


def test_rotation_turns_about_the_centre_in_voxels_not_in_window_units():
    images = torch.zeros(1, 1, 41, 31, 11)
    x, y, z = torch.meshgrid(*(torch.arange(n) - n // 2 for n in images.shape[2:]), indexing="ij")
    images[0, 0] = torch.exp(-((x - 8) ** 2 + (y - 2) ** 2 + z**2) / 8.0)
    generator = torch.Generator().manual_seed(4)
    moved = move(images, Augmentation(rotation=40.0), generator)[0, 0]
    weight = moved / moved.sum()
    centre = torch.stack([(weight * axis).sum() for axis in (x, y, z)])
    # Turning keeps the distance from the centre (anisotropic units would stretch it).
    assert centre.norm().item() == pytest.approx(math.hypot(8, 2), abs=0.35)
    assert (centre - torch.tensor([8.0, 2, 0])).norm() > 0.5


def test_steps_whose_images_are_stored_give_the_same_bits_resident_or_streamed(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NOCICAST_FITTED", str(FURTHER))
    monkeypatch.setattr("bidsapp.representation.device_cohort.STREAM_BYTES", 50_000)
    recipe = small_recipe(representation={"fitted": ["everybody", "minmax"]}, training=AUGMENTED)
    model, scores, task = result(tmp_path / "a", recipe)
    streamed = result(tmp_path / "b", recipe, resident_bytes=0.0)
    assert streamed[:2] == (model, scores)
    assert json.loads(streamed[2].record_file.read_text())["cohort_streamed"] is True
    weights = load_fold(task)[0].state_dict()
    assert weights["conv1.weight"].shape[1] == 2  # above and below the mean image
    assert {path.name for path in task.folder.iterdir()} == {
        *("fitted.safetensors", "fold.json", "history.tsv", "model.safetensors", "scores.tsv")
    }


def test_little_memory_streams_the_cohort_and_leaves_the_step_its_room(tmp_path):
    (task, *_) = prepare_tasks(tmp_path, small_recipe())
    assert resident_bytes(task, mem_gb=8) is None
    least = fold_memory([task], mem_gb=8)
    images = task.images.nbytes / 1e9
    room = resident_bytes(task, mem_gb=least - images / 4)
    assert room == pytest.approx(0.75 * task.images.nbytes, rel=1e-3)
    assert resident_bytes(task, mem_gb=0.1) == 0


def test_a_fold_is_planned_with_the_memory_that_its_network_takes(tmp_path, caplog):
    tasks = prepare_tasks(tmp_path, small_recipe())
    assert 1 < fold_memory(tasks, mem_gb=8) < 2
    warn_of_memory(tasks, mem_gb=8)
    assert fold_memory(tasks, mem_gb=0.5) == 0.5  # it runs alone
    assert not caplog.text  # every stage of a run plans anew, and one warning is enough
    warn_of_memory(tasks, mem_gb=0.5)
    assert caplog.text.count("variant base: a fold is expected to take 1") == 1
    assert "this machine (--mem) has 0.5 GB" in caplog.text
    assert "training.batch_size" in caplog.text
