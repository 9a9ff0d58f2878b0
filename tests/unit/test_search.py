"""The search inside training folds: what is chosen, by whom, and that nobody held out has a say."""

import json
from dataclasses import replace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.searched import search_tables
from bidsapp.networks.registry import build_network, count_parameters
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.recipes.search_settings import networks
from bidsapp.representation.cohort_array import build_cohort_array
from bidsapp.representation.fitted.combat import Combat
from bidsapp.representation.sample import CohortRow
from bidsapp.training import fold as fold_module
from bidsapp.training.crossfit import crossfit_splits
from bidsapp.training.fold import load_fold, train_fold
from bidsapp.training.fold_node import fold_inputs, task_of
from bidsapp.training.fold_tables import stamped
from bidsapp.training.inner_folds import Division
from bidsapp.training.loop import Diverged
from bidsapp.training.passing import note_diverged, score_and_forget
from bidsapp.training.run import check_steps
from bidsapp.training.search import at, check_searches, trials, unsettled
from bidsapp.training.search_choice import searched, settled
from bidsapp.training.search_metric import metric_of
from bidsapp.training.search_run import search_cost
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe
from tests.unit.test_training_stages import prepare

SMALL = {"shape": (10, 12, 10), "n": 16, "contrast": 1.0}
STILL, LEARNS = {"head": 1e-9, "backbone": 1e-9}, {"head": 0.1, "backbone": 0.1}
POOLED = {"name": "pooled", "depth": 1, "stem_stride": 1, "stem_pool": False}


def recipe_of(grid=None, epochs=8, protocol=None, mode="strict", **search):
    asked = {
        "grid": grid or {"training.lr": [STILL, LEARNS]},
        "inner_folds": 2,
        "metric": "log_loss",
    } | search
    return small_recipe(
        mode=mode,
        network=POOLED,
        training={"epochs": epochs, "precision": "float32", "search": asked},
        representation={"slices": 8},
        protocol={"folds": 2} | (protocol or {}),
    )


def tried_out(tasks):
    """The trials of every fold, trained, and what they lead to."""
    tried = [trials(task) for task in tasks]
    for one in (one for group in tried for one in group):
        score_and_forget(one.task)
    return tried, *settled(tasks, tried)


def inner_scores(tried):
    return [one.task.scores_file.read_bytes() for group in tried for one in group]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Two folds of a planted effect, searched: one setting learns, the other cannot."""
    tasks = prepare_tasks(tmp_path_factory.mktemp("planted"), recipe_of(), **SMALL)
    return tasks, *tried_out(tasks)


def test_the_setting_that_learns_is_chosen_in_every_fold(planted):
    tasks, tried, done, table = planted
    assert [task.setting for task in done] == [{"training.lr": LEARNS}] * 2
    assert [task.recipe.training.lr.head for task in done] == [0.1] * 2
    assert all(task.recipe.training.search is None for task in done)
    assert list(table["chosen"]) == ["false", "true"] * 2
    assert list(table["training.lr"].unique()) == [
        "head 1e-09, backbone 1e-09", "head 0.1, backbone 0.1",
    ]  # fmt: skip
    assert np.allclose(table["mean"], table[["inner_0", "inner_1"]].mean(axis=1), atol=1e-6)
    assert [len(group) for group in tried] == [networks(task.recipe) - 1 for task in tasks]
    # scores stay, networks do not
    assert not list(tasks[0].folder.rglob("*.safetensors"))


def test_inner_people_are_training_people_each_held_out_once(planted):
    tasks, tried, _, _ = planted
    for task, group in zip(tasks, tried, strict=True):
        outside = set(task.table.loc[task.table["role"] == "test", "participant_id"])
        first = [one for one in group if one.number == 1]
        held = [one.task.table.loc[one.task.table["role"] == "test"] for one in first]
        assert not outside & {name for rows in held for name in rows["participant_id"]}
        people = pd.concat(held)["participant_id"]
        assert sorted(people) == sorted(set(task.table["participant_id"]) - outside)
        for rows in held:
            assert (
                rows["outcome"].value_counts().to_dict() == {0: len(rows) / 2, 1: len(rows) / 2}
                or abs(rows["outcome"].mean() - 0.5) < 0.2
            )
        for one in group:
            assert not outside & set(
                one.task.table.loc[one.task.table["role"] != "", "participant_id"]
            )


def test_held_out_images_and_outcomes_change_no_inner_score_and_no_choice(planted, tmp_path):
    tasks, tried, done, _ = planted
    held_out = tasks[0].table["role"] == "test"
    again = prepare_tasks(tmp_path, recipe_of(), **SMALL)[0]
    rng = np.random.default_rng(1)
    for place in np.flatnonzero(held_out):
        for name in ("t1w", "log_jacobian"):
            file = tmp_path / f"sub-{place:02d}_{name}.nii.gz"
            image = nib.Nifti1Image.load(file)
            noise = rng.normal(size=image.shape).astype(np.float32) * 9
            nib.save(nib.Nifti1Image(noise, image.affine), file)
    table = pd.read_csv(tmp_path / "cohort.tsv", sep="\t", keep_default_na=False)
    table.loc[held_out, "outcome"] = 1 - table.loc[held_out, "outcome"]
    table.to_csv(tmp_path / "cohort.tsv", sep="\t", index=False)
    # the images are others, so is the array
    rows = [
        CohortRow(f"sub-{k:02d}", "", {"t1w": tmp_path / f"sub-{k:02d}_t1w.nii.gz"})
        for k in range(len(table))
    ]
    array = build_cohort_array(rows, again.recipe.representation, tmp_path / "other", None)
    again = replace(again, array=array.path)
    assert again.images.key != tasks[0].images.key
    new, (chosen,), _ = tried_out([again])
    assert inner_scores(new) == inner_scores(tried[:1])
    assert chosen.setting == done[0].setting


def test_a_node_trains_the_setting_that_its_fold_was_given(planted, tmp_path):
    tasks, tried, done, _ = planted
    (tmp_path / "recipe.yaml").write_text(dump_recipe(tasks[0].recipe))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    for task in (done[0], tried[0][0].task, tasks[0]):
        told = json.loads(json.dumps(fold_inputs(tmp_path / "recipe.yaml", task)))
        made = task_of(told, recipe, "cpu")
        assert made.fingerprint == task.fingerprint
        assert made.recipe.training == task.recipe.training
    assert unsettled(done[0], recipe).fingerprint == tasks[0].fingerprint


def test_a_search_that_is_killed_goes_on_and_ends_with_the_same_bits(
    planted, tmp_path, monkeypatch
):
    _, tried, done, _ = planted
    task = prepare_tasks(tmp_path, recipe_of(), **SMALL)[0]
    own, original, calls = trials(task), fold_module.fit, []

    def dying(network, data, settings):
        calls.append(settings.label)
        if len(calls) == 2:  # the machine is gone after the third epoch of the second network
            short = settings.training.model_copy(update={"epochs": 3})
            original(network, data, replace(settings, training=short))
            raise KeyboardInterrupt
        return original(network, data, settings)

    monkeypatch.setattr(fold_module, "fit", dying)
    score_and_forget(own[0].task)
    with pytest.raises(KeyboardInterrupt):
        score_and_forget(replace(own[1].task, checkpoint_every_s=0))
    assert [one.task.is_scored for one in own] == [True, False, False, False]
    before = own[0].task.record_file.stat().st_mtime_ns
    monkeypatch.setattr(fold_module, "fit", original)
    new, chosen, _ = tried_out([task])
    assert own[0].task.record_file.stat().st_mtime_ns == before  # kept, not trained again
    assert inner_scores(new) == inner_scores(tried[:1])
    assert chosen[0].setting == done[0].setting


def test_a_fold_is_trained_and_opened_with_the_architecture_of_its_setting(tmp_path):
    other = {"name": "resnet", "depth": 10, "stem_stride": 2, "stem_pool": True}
    recipe = recipe_of({"network": [POOLED, other]}, epochs=1)
    task = at(prepare_tasks(tmp_path, recipe, **SMALL)[0], {"network": other})
    train_fold(task)
    assert count_parameters(load_fold(task)[0]) == count_parameters(
        build_network(task.recipe.network, 1)
    )
    assert json.loads(task.record_file.read_text())["setting"] == {"network": other}
    assert "fold 0 (network name resnet, depth 10" in task.label


def test_of_equal_settings_the_first_of_the_grid_is_chosen(tmp_path):
    grid = {
        "training.weight_decay": [0.01, 0.0],
        "training.lr": [STILL, {"head": 1e-12, "backbone": 1e-12}],
    }
    tasks = prepare_tasks(
        tmp_path, recipe_of(grid, epochs=1, inner_size=0.4, inner_folds=None), **SMALL
    )
    _, done, table = tried_out(tasks[:1])
    assert table["mean"].nunique() == 1, table
    assert done[0].setting == {"training.weight_decay": 0.01, "training.lr": STILL}
    assert table["se"].isna().all()


def test_paper_mode_chooses_by_the_held_out_people_one_setting_for_all_folds(tmp_path):
    recipe = recipe_of(mode="paper", fit="dataset", inner_folds=None)
    assert [step.name for step in recipe.leaks("scores")] == ["training.search.fit: dataset"]
    tasks = prepare_tasks(tmp_path, recipe, **SMALL)
    tried, done, table = tried_out(tasks)
    assert [len(group) for group in tried] == [2, 2]
    for task, group in zip(tasks, tried, strict=True):
        assert all((one.task.table == task.table).all(axis=None) for one in group)
    assert {json.dumps(task.setting) for task in done} == {json.dumps({"training.lr": LEARNS})}
    assert not [name for name in table if name.startswith("inner_")]
    assert set(stamped(table, recipe)["leak"]) == {"LEAK: training.search.fit: dataset"}
    assert "leak" not in stamped(table, recipe_of())
    # a fold that holds out one class has no AUC, and no vote
    by_auc = recipe_of(mode="paper", fit="dataset", inner_folds=None, metric="auc")
    asked = [replace(task, recipe=by_auc) for task in tasks]
    for one in (one for group in tried for one in group):
        scores = pd.read_csv(one.task.scores_file, sep="\t")
        right = scores["outcome"] if one.number == 2 else 1 - scores["outcome"]
        told = scores.assign(probability=right)
        told = told if one.task.fold else told[told["outcome"] == 1]
        told.to_csv(one.task.scores_file, sep="\t", index=False)
    assert [task.setting for task in settled(asked, tried)[0]] == [done[0].setting] * 2
    # where every fold does, that is what is said, here and before any work
    for one in (one for group in tried for one in group):
        scores = pd.read_csv(one.task.scores_file, sep="\t")
        scores[scores["outcome"] == 1].to_csv(one.task.scores_file, sep="\t", index=False)
    with pytest.raises(UsageError, match="Of 4 networks, 4 held out people of one class, of whom"):
        settled(asked, tried)
    cohort = pd.read_csv(tasks[0].cohort, sep="\t", keep_default_na=False)
    splits = pd.read_csv(tasks[0].splits, sep="\t")
    check_searches(by_auc, ["base"], cohort, splits)
    outcome = splits["participant_id"].map(cohort.set_index("participant_id")["outcome"])
    lone = splits.assign(role=np.where(outcome == splits["fold"], "test", "train"))
    with pytest.raises(UsageError, match=r"search.metric: .* every fold holds out people of one c"):
        check_searches(by_auc, ["base"], cohort, lone)
    check_searches(recipe, ["base"], cohort, lone)  # by the cross-entropy


def test_what_folds_begin_with_is_settled_for_all_of_them_as_a_run_does(tmp_path):
    """One setting for all folds of a stage, on permuted outcomes too: the same procedure's null."""
    search = {"grid": {"training.lr": [STILL, LEARNS]}, "fit": "dataset", "metric": "log_loss"}
    recipe = small_recipe(
        mode="paper",
        network=POOLED | {"start": {"variant": "stage"}},
        training={"epochs": 1, "precision": "float32"},
        representation={"slices": 8},
        protocol={"folds": 2},
        variants={"stage": {"network.start": "random", "training.search": search}},
    )
    _, _, tasks = prepare(tmp_path, recipe, n=8)
    # setting 2 is far better in fold 0, setting 1 a little in fold 1
    right = {(0, 1): 0.1, (0, 2): 0.9, (1, 1): 0.6, (1, 2): 0.5}
    known = {
        one.task.folder: right[task.fold, one.number]
        for task in tasks
        if task.variant == "stage"
        for one in trials(task)
    }

    def train(task):
        score_and_forget(task, trial=True)
        scores = pd.read_csv(task.scores_file, sep="\t")
        sure = known[task.folder]
        told = scores.assign(probability=np.where(scores["outcome"] == 1, sure, 1 - sure))
        told.to_csv(task.scores_file, sep="\t", index=False)

    stage, second = ([t for t in tasks if t.variant == name] for name in ("stage", "base"))
    chosen = [task.setting for task in searched(stage, train)]
    assert chosen == [{"training.lr": LEARNS}] * 2
    assert [task.first.setting for task in searched(second, train)] == chosen


def test_a_setting_whose_loss_is_not_finite_is_not_chosen_and_no_failure(tmp_path):
    recipe = recipe_of(inner_folds=None, inner_size=0.4)
    task = prepare_tasks(tmp_path, recipe, **SMALL)[0]
    group = trials(task)
    note_diverged(group[0].task, "the training loss is nan")  # as a node does
    assert group[0].task.is_scored
    score_and_forget(group[1].task, trial=True)
    (done,), table = settled([task], [group])
    assert done.setting == {"training.lr": LEARNS}
    assert table["mean"].isna().tolist() == [True, False]
    note_diverged(group[1].task, "the training loss is nan")
    told = r"fold 0: no setting of training.search could be judged. Of 2 networks, the loss of 2 "
    with pytest.raises(
        UsageError, match=told + r"was .* \(base, repeat 0, .* the training loss is"
    ):
        settled([task], [group])
    # one of them of another reason
    lone = group[1].task.table.query("role == 'test' and outcome == 1")
    lone.assign(probability=0.5).to_csv(group[1].task.scores_file, sep="\t", index=False)
    (group[1].task.record_file).write_text('{"epochs": 1, "seconds": 1.0}')
    by_auc = replace(task, recipe=recipe_of(inner_folds=None, inner_size=0.4, metric="auc"))
    told = r"Of 2 networks, the loss of 1 was .*; 1 held out people of one class, of whom there is"
    with pytest.raises(UsageError, match=told):
        settled([by_auc], [group])


def test_a_loss_that_is_not_finite_fails_a_fold_and_not_a_trial(tmp_path, monkeypatch):
    task = trials(prepare_tasks(tmp_path, recipe_of(), **SMALL)[0])[0].task

    def wild(*_):
        raise Diverged("the training loss is inf in epoch 2")

    monkeypatch.setattr(fold_module, "fit", wild)
    with pytest.raises(Diverged):
        score_and_forget(task)
    assert not task.is_scored
    score_and_forget(task, trial=True)
    assert json.loads(task.record_file.read_text())["diverged"].endswith("inf in epoch 2")
    assert task.is_scored


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier"])
def test_metrics_are_those_of_scikit_learn(metric):
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 60), rng.random(60).round(1).clip(0.05, 0.95)
    scores = pd.DataFrame({"outcome": y, "probability": p})
    known = {"auc": roc_auc_score, "log_loss": log_loss, "brier": brier_score_loss}[metric]
    assert metric_of(metric, scores) == pytest.approx(known(y, p), abs=1e-12)


def test_groups_stay_together_inside_and_too_few_people_are_told_before_work(tmp_path):
    recipe = recipe_of(inner_folds=5)
    cohort = pd.DataFrame(
        {
            "participant_id": [f"sub-{k:02d}" for k in range(16)],
            "session_id": "n/a",
            "outcome": [0, 1] * 8,
            "group": [f"g{k // 4}" for k in range(16)],
        }
    )
    splits = pd.DataFrame(
        [
            (0, fold, name, "test" if k // 8 == fold else "train")
            for fold in range(2)
            for k, name in enumerate(cohort["participant_id"])
        ],
        columns=["repeat", "fold", "participant_id", "role"],
    )
    told = (
        "training.search.inner_folds: 5 inner folds, but repeat 0, fold 0 trains on 4 people of "
        r"one class; .* \(--set training.search.inner_folds=3\)"
    )
    with pytest.raises(UsageError, match=told):
        check_searches(recipe, ["base"], cohort, splits)
    grouped = recipe_of(protocol={"groups": "family"})
    with pytest.raises(UsageError, match="trains on 2 groups with people of one class"):
        check_searches(grouped, ["base"], cohort, splits)
    with pytest.raises(UsageError, match=r"inner_size: a share of 0.01|both parts need"):
        check_searches(recipe_of(inner_folds=None, inner_size=0.99), ["base"], cohort, splits)
    check_searches(recipe_of(), ["base"], cohort, splits)


def sites_and_splits(site):
    cohort = pd.DataFrame(
        {
            "participant_id": [f"sub-{k:02d}" for k in range(40)],
            "session_id": "n/a",
            "outcome": [0, 1] * 20,
            "site": site,
        }
    )
    rows = [
        (0, fold, name, "test" if k // 20 == fold else "train")
        for fold in range(2)
        for k, name in enumerate(cohort["participant_id"])
    ]
    return cohort, pd.DataFrame(rows, columns=["repeat", "fold", "participant_id", "role"])


def test_steps_that_an_inner_fold_cannot_fit_are_told_before_work():
    """Site Q has two people in each training fold, and never two in an inner one."""
    site = ["Q" if k % 20 < 2 else "PR"[k // 2 % 2] for k in range(40)]
    cohort, splits = sites_and_splits(site)
    combat = {"slices": 8, "fitted": {"combat": {"site": "site", "fewest": 2}}}
    asked = {"grid": {"training.lr": [STILL, LEARNS]}, "inner_folds": 3}
    recipe = small_recipe(
        network=POOLED,
        training={"search": asked},
        representation=combat,
        protocol={"folds": 2},
        evaluation={"clinical": ["age"], "stacking_folds": 3},
    )
    check_steps(recipe, cohort, splits)
    with pytest.raises(BadData, match=r"search: repeat 0, fold 0, inner fold \d: .*combat: sub-"):
        check_searches(recipe, ["base"], cohort, splits)
    with pytest.raises(BadData, match=r"stacking_folds: repeat 0, fold 0, inner fold \d: .*combat"):
        crossfit_splits(recipe, ["base"], cohort, splits)
    told = {"representation.fitted.combat.unseen": "pooled"}
    check_searches(recipe.with_values(told), ["base"], cohort, splits)
    crossfit_splits(recipe.with_values(told), ["base"], cohort, splits)
    # nor may somebody to validate on be of a site that training does not know
    alone = cohort.assign(site=["Q" if k == 4 else "PR"[k // 2 % 2] for k in range(40)])
    aside = splits.assign(
        role=np.where(splits["participant_id"] == "sub-04", "validation", splits["role"])
    )
    with pytest.raises(BadData, match="sub-04: q in column 'site'"):
        check_steps(recipe, alone, aside)


def test_checking_steps_costs_what_they_read_once_for_each_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is done for every permutation; settings that differ in training alone share a chain."""
    cohort, splits = sites_and_splits(["PR"[k // 2 % 2] for k in range(40)])
    looked: list[str] = []

    class Text:
        def __str__(self) -> str:
            looked.append("a column that no step reads")
            return "text"

    check = Combat.check

    def counted(self: Combat, *given: Any) -> None:
        looked.append("chain")
        check(self, *given)

    monkeypatch.setattr(Combat, "check", counted)
    combat = {"slices": 8, "fitted": {"combat": {"site": "site", "fewest": 2}}}
    asked = {"grid": {"training.lr": [STILL, LEARNS]}, "inner_folds": 3}
    recipe = small_recipe(
        network=POOLED,
        training={"search": asked},
        representation=combat,
        protocol={"folds": 2},
    )
    check_searches(recipe, ["base"], cohort.assign(notes=[Text() for _ in range(40)]), splits)
    assert looked == ["chain"] * 2 * 3


def test_a_search_of_a_stage_is_checked_on_its_own_outcomes():
    cohort, splits = sites_and_splits("P")
    search = {"grid": {"training.lr": [STILL, LEARNS]}, "inner_folds": 3}
    recipe = small_recipe(
        network=POOLED | {"start": {"variant": "stage"}},
        protocol={"folds": 2},
        variants={"stage": {"network.start": "random", "training.search": search}},
    )
    check_searches(recipe, ["base"], cohort, splits, {"stage": None})
    few = {(name, ""): int(k in (0, 20)) for k, name in enumerate(cohort["participant_id"])}
    with pytest.raises(UsageError, match="fold 0 trains on 1 people of one class"):
        check_searches(recipe, ["base"], cohort, splits, {"stage": few})


def test_groups_that_leave_an_inner_fold_without_a_class_are_refused():
    groups = [(60, 0), (0, 20), (5, 5), (1, 60), (5, 5)]
    rows = [
        (f"sub-{k}x{outcome}x{n}", f"g{k}", outcome)
        for k, counts in enumerate(groups)
        for outcome, count in enumerate(counts)
        for n in range(count)
    ]
    people = pd.DataFrame(rows, columns=["participant_id", "group", "outcome"])
    with pytest.raises(UsageError, match=r"inner_folds: 3 inner folds, but here tr"):
        Division("training.search.inner_folds", "leave it out", 3).roles(
            people, True, 0.0, (0,), "here"
        )
    assert Division("x", "y", 2).roles(people, True, 0.0, (0,), "here")


def test_the_cost_is_said_in_networks():
    assert search_cost(recipe_of(), ["base"]) == (
        "Search: base: 2 folds × (2 settings × 2 inner folds + 1) = 10 networks, compared by the "
        "cross-entropy."
    )
    drawn = recipe_of(
        {"training.weight_decay": [0.0, 0.1, 0.2], "training.lr": [STILL, LEARNS]}, draw=4
    ).with_values({"evaluation.pipeline_permutations": 20})
    said = search_cost(drawn, ["base"])
    assert "(4 of 6 settings × 2 inner folds + 1) = 18 networks" in said
    assert said.endswith("Each of the 20 permuted pipelines takes as many again.")
    assert search_cost(small_recipe(), ["base"]) == ""


def test_inner_and_held_out_scores_stand_beside_each_other(planted, tmp_path):
    _, _, _, table = planted
    table.to_csv(tmp_path / "search.tsv", sep="\t", index=False, na_rep="n/a")
    scores = pd.DataFrame(
        {
            "variant": "base", "repeat": 0, "fold": [0] * 4 + [1] * 4,
            "outcome": [0, 0, 1, 1] * 2,
            "probability": [0.1, 0.6, 0.5, 0.9, 0.1, 0.2, 0.8, 0.9],
        }
    )  # fmt: skip
    tables, sentences = search_tables(tmp_path, scores)
    folds, settings = tables["search_folds"], tables["search_settings"]
    assert list(folds["outer"]) == [metric_of("log_loss", own) for _, own in scores.groupby("fold")]
    assert (folds["optimism"] == folds["outer"] - folds["inner"]).all()
    assert list(settings["chosen"]) == [0, 2]
    assert "training.lr head 0.1, backbone 0.1 was chosen in 2 of 2 folds." in sentences[0][1]
    told = f"{folds['outer'].mean():.2f} in the people held out: inside it looks worse by "
    assert told in sentences[0][1]
    assert f"worse by {-folds['optimism'].mean():.2f}, and only" in sentences[0][1]


def test_a_setting_that_begins_with_a_variant_has_that_of_its_own_people_and_architecture(tmp_path):
    """Three settings, two of which begin with a first stage; one of these is of another depth."""
    recipe = small_recipe(
        network={"depth": 10},
        training={
            "epochs": 1,
            "precision": "float32",
            "search": {
                "grid": {"network": [
                    {"depth": 10, "start": "random"},
                    {"depth": 10, "start": {"variant": "stage"}, "frozen": 5},
                    {"depth": 18, "start": {"variant": "stage"}},
                ]},
                "inner_size": 0.5,
            },
        },
        representation={"slices": 8},
        protocol={"folds": 2},
        variants={"stage": {"training.search": None, "training.seed": 7}},
    )  # fmt: skip
    assert recipe.stages(["base"]) == ("stage",)
    training, _, tasks = prepare(tmp_path, recipe, n=8)
    assert search_cost(recipe, training.trained).startswith(
        "Search: base: 2 folds × ((3 settings + 2 first stages) × 1 inner fold + 2) = at most 14 "
    )
    task = next(task for task in tasks if task.variant == "base")
    group = trials(task)
    firsts = [one.task.first for one in group]
    assert firsts[0] is None
    assert firsts[1].recipe.network.depth == 10
    assert firsts[2].recipe.network.depth == 18
    assert firsts[1].record_file != firsts[2].record_file
    outside = set(task.table.loc[task.table["role"] == "test", "participant_id"])
    for one in group[1:]:
        table = one.task.first.table
        assert not outside & set(table.loc[table["role"] != "", "participant_id"])
        assert list(table["role"]) == list(one.task.table["role"])
    for one in group[:2]:
        score_and_forget(one.task, trial=True)
    record = json.loads(group[1].task.record_file.read_text())
    assert record["weights"]["kind"] == "variant"
    assert record["weights"]["sha256"] == firsts[1].trained_as
    told = fold_inputs(tmp_path / "recipe.yaml", group[2].task)
    again = task_of(json.loads(json.dumps(told)), load_recipe(tmp_path / "recipe.yaml"), "cpu")
    assert again.first.recipe.network.depth == 18
    # chosen: the run's own stage where it is the same network, one of its own where it is not
    plain, deep = (at(task, one.setting) for one in group[1:])
    assert plain.first.folder == task.starts[0].folder
    assert deep.first.folder != task.starts[0].folder
    assert unsettled(deep, recipe).fingerprint == task.fingerprint
    planned = fold_inputs(tmp_path / "recipe.yaml", task)
    made = task_of(json.loads(json.dumps(planned)), load_recipe(tmp_path / "recipe.yaml"), "cpu")
    assert [one.task.fingerprint for one in trials(made)] == [one.task.fingerprint for one in group]
