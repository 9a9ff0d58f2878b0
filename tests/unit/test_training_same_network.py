"""Variants that differ in their maps alone: one training, the same weights, their own scores."""

from dataclasses import replace

import pandas as pd
import pytest

from bidsapp.derivatives.sealed import read_record
from bidsapp.recipes import dump_recipe
from bidsapp.recipes.search_settings import at_setting
from bidsapp.training import fold
from bidsapp.training.crossfit import crossfit_cost, crossfit_splits, crossfit_tasks
from bidsapp.training.fold import is_trained, score_fold, train_fold
from bidsapp.training.fold_node import fold_inputs
from bidsapp.training.passing import note_diverged, score_and_forget
from bidsapp.training.permuted import TrainPermuted
from bidsapp.training.permuted_runs import permuted_runs
from bidsapp.training.run import TrainingRun, fold_tasks, node_name, training_workflow
from bidsapp.training.same_network import alike, shared_words, trained_by
from bidsapp.training.search import trials
from bidsapp.training.search_choice import searched
from bidsapp.training.search_run import search_cost
from bidsapp.training.splits import make_splits
from tests.unit.synthetic_cohort import small_recipe, write_cohort

VARIANTS = ("base", "occlusion", "seeded", "again")


@pytest.fixture
def planned(tmp_path):
    """A run of four variants; two of them train what the first and the third train."""
    recipe = small_recipe(
        training={"epochs": 1, "precision": "float32"},
        protocol={"folds": 2},
        representation={"slices": 8},
        variants={
            "occlusion": {"saliency": {"method": "occlusion", "patch_mm": 8}},
            "seeded": {"training.seed": 7},
            "again": {"training.seed": 7, "saliency.smoothing_fwhm_mm": 3},
        },
    )
    rows, table = write_cohort(tmp_path, shape=(12, 12, 12), n=16)
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    splits = make_splits(table, recipe.protocol)
    splits.to_csv(tmp_path / "splits.tsv", sep="\t", index=False)
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    files = [tmp_path / name for name in ("recipe.yaml", "cohort.tsv", "splits.tsv", "work")]
    training = TrainingRun(recipe, VARIANTS, *files)
    return training, fold_tasks(training, rows, splits, None, device="cpu", threads=1, weights=None)


def test_who_shares_a_network_is_told_before_work_and_waits_for_it(planned):
    training, tasks = planned
    pairs = {(tasks[at].label, other.label) for at, other in trained_by(tasks).items()}
    assert pairs == {
        (f"{mine}, repeat 0, fold {k}", f"{other}, repeat 0, fold {k}")
        for mine, other in (("occlusion", "base"), ("again", "seeded"))
        for k in (0, 1)
    }
    words = shared_words(tasks)
    assert "occlusion differs from base only in what is made of the networks" in words
    assert "again differs from seeded" in words
    graph = training_workflow(training, tasks, "training", 1.0)._graph
    assert {(one.name, other.name) for one, other in graph.edges()} == {
        (node_name(other), node_name(tasks[at])) for at, other in trained_by(tasks).items()
    }


def test_the_network_is_trained_once_and_scored_for_each(planned, monkeypatch):
    _, tasks = planned
    base, occlusion, seeded = (next(t for t in tasks if t.variant == v) for v in VARIANTS[:3])
    train_fold(base)
    train_fold(seeded)
    with monkeypatch.context() as patched:
        patched.setattr(fold, "fit", None)  # whoever trains fails
        train_fold(occlusion)
    assert is_trained(occlusion)
    assert occlusion.model_file.read_bytes() == base.model_file.read_bytes()
    assert occlusion.model_file.read_bytes() != seeded.model_file.read_bytes()
    record = read_record(occlusion.record_file)
    assert (record["variant"], record["network_of"]) == ("occlusion", "base")
    scores = score_fold(occlusion)
    assert set(scores["variant"]) == {"occlusion"}
    own = score_fold(base)
    pd.testing.assert_frame_equal(scores.drop(columns="variant"), own.drop(columns="variant"))
    # from then on it stands by itself
    base.model_file.unlink()
    assert is_trained(occlusion)


def test_variants_that_a_search_leads_to_one_setting_are_not_told_to_be_alike(planned):
    _, tasks = planned
    base, other = (next(t for t in tasks if t.variant == v) for v in VARIANTS[:2])
    # a search of "occlusion" gave its first fold what the base has, its second fold another rate
    chosen = replace(other, setting={"training.epochs": 1})
    second = next(t for t in tasks if t.variant == "occlusion" and t.fold == 1)
    longer = at_setting(second.recipe, {"training.epochs": 2})
    second = replace(second, setting={"training.epochs": 2}, recipe=longer)
    mine = [*(t for t in tasks if t.variant == "base"), chosen, second]
    assert shared_words(mine) == (
        "1 of 2 networks of occlusion are those of base, as settings agree there"
    )
    train_fold(base)
    train_fold(chosen)
    record = read_record(chosen.record_file)
    assert (record["network_of"], record["setting"]) == ("base", {"training.epochs": 1})
    # nor does one without a search get the setting of the other's
    base.record_file.unlink()
    train_fold(base)
    assert "setting" not in read_record(base.record_file)


def test_a_damaged_network_is_not_taken_over(planned):
    _, tasks = planned
    base, occlusion = (next(t for t in tasks if t.variant == v) for v in VARIANTS[:2])
    train_fold(base)
    whole = base.model_file.read_bytes()
    base.model_file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    train_fold(occlusion)
    assert occlusion.model_file.read_bytes() == whole
    assert "network_of" not in read_record(occlusion.record_file)


POOLED = {"name": "pooled", "depth": 1, "stem_stride": 1, "stem_pool": False}


@pytest.fixture
def searching(tmp_path):
    """A run of two variants that search the same settings and differ in their maps alone."""
    search = {"grid": {"training.epochs": [1, 2]}, "inner_folds": 2, "metric": "log_loss"}
    recipe = small_recipe(
        network=POOLED,
        training={"epochs": 1, "precision": "float32", "search": search},
        protocol={"folds": 2},
        representation={"slices": 8},
        evaluation={"clinical": ["age"], "stacking_folds": 2, "pipeline_permutations": 1},
        variants={"absolute": {"saliency": {"absolute": True}}},
    )
    names = ("base", "absolute")
    rows, table = write_cohort(tmp_path, shape=(12, 12, 12), n=16)
    table["age"] = "40"
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    splits = make_splits(table, recipe.protocol)
    splits.to_csv(tmp_path / "splits.tsv", sep="\t", index=False)
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    files = [tmp_path / name for name in ("recipe.yaml", "cohort.tsv", "splits.tsv", "work")]
    training = TrainingRun(recipe, names, *files)
    tasks = fold_tasks(training, rows, splits, None, device="cpu", threads=1, weights=None)
    return training, table, splits, tasks


def counted(monkeypatch):
    """Labels of the networks that are trained from here on."""
    labels, own = [], fold.fit

    def fit(network, data, settings):
        labels.append(settings.label)
        return own(network, data, settings)

    monkeypatch.setattr(fold, "fit", fit)
    return labels


def test_variants_of_one_search_do_it_once(searching, monkeypatch):
    training, _, _, tasks = searching
    labels = counted(monkeypatch)
    done = searched(tasks, lambda task: score_and_forget(task, trial=True))
    assert len(labels) == 8  # two settings on two inner folds of two folds
    assert {label.partition(",")[0] for label in labels} == {"base"}
    by_place = {(task.variant, task.fold): task for task in done}
    for k in (0, 1):
        one, other = by_place["base", k], by_place["absolute", k]
        assert one.setting == other.setting
        mine = [trial.task for trial in trials(tasks[2 + k])]
        for first, second in zip(trials(tasks[k]), mine, strict=True):
            scores = [pd.read_csv(t.scores_file, sep="\t") for t in (first.task, second)]
            assert set(scores[1]["variant"]) == {"absolute"}
            pd.testing.assert_frame_equal(*(s.drop(columns="variant") for s in scores))
            assert read_record(second.record_file)["network_of"] == "base"
    assert shared_words(done).startswith("2 of 2 networks of absolute are those of base")
    assert alike(training.recipe, training.variants) == {"absolute": "base"}
    assert "; absolute: the networks of base, compared" in search_cost(
        training.recipe, training.variants
    )


def test_a_setting_that_diverged_did_so_for_both(searching):
    _, _, _, tasks = searching
    one, other = (trials(task)[0].task for task in (tasks[0], tasks[2]))
    note_diverged(one, "the training loss is nan")
    score_and_forget(other, trial=True)
    assert read_record(other.record_file)["diverged"] == "the training loss is nan"
    assert other.is_scored


def test_so_are_permuted_pipelines_and_inner_networks_of_the_added_value(searching, monkeypatch):
    training, table, splits, tasks = searching
    labels = counted(monkeypatch)
    (run,) = permuted_runs(training, tasks, table, None, 1)
    node = TrainPermuted(
        recipe=str(training.recipe_file),
        folds=[fold_inputs(training.recipe_file, task) for task in run.tasks],
        record=str(run.record_file),
        key=run.key,
        device="cpu",
        threads=1,
    )
    node.run(cwd=str(training.folder))
    assert len(labels) == 8 + 2
    assert run.scored
    assert not list(run.folder.rglob("*.safetensors"))
    scores = [pd.read_csv(task.scores_file, sep="\t") for task in run.tasks]
    for k in (0, 1):
        pd.testing.assert_frame_equal(*(scores[j].drop(columns="variant") for j in (k, k + 2)))
    labels.clear()
    plain = training.recipe.with_values(
        {"training.search": None, "variants.absolute.training.search": None}
    )
    settled = [replace(task, recipe=plain.with_variant(task.variant)) for task in tasks]
    inner = crossfit_splits(plain, training.variants, table, splits)
    steps = crossfit_tasks(replace(training, recipe=plain), settled, inner)
    assert {(steps[k].label, other.label) for k, other in trained_by(steps).items()} == {
        (f"base{rest}", f"absolute{rest}")  # in the order of the table, by name
        for rest in (f", repeat 0, fold {f}, inner fold {i}" for f in (0, 1) for i in (0, 1))
    }
    for step in steps:
        score_and_forget(step)
    assert len(labels) == 4
    assert all(step.is_scored for step in steps)
    told = crossfit_cost(plain, training.variants, [task.variant for task in tasks])
    assert told.startswith("Added value: 4 networks more, 2 inner folds for each of the 2 of base;")
