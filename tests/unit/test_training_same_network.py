"""Variants that differ in their maps alone: one training, the same weights, their own scores."""

from dataclasses import replace

import pandas as pd
import pytest

from bidsapp.derivatives.sealed import read_record
from bidsapp.recipes import dump_recipe
from bidsapp.recipes.search import at_setting
from bidsapp.training import fold
from bidsapp.training.fold import is_trained, score_fold, train_fold
from bidsapp.training.run import TrainingRun, fold_tasks, node_name, training_workflow
from bidsapp.training.same_network import shared_words, trained_by
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
