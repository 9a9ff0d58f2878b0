"""Cut-offs from inner splits, subgroups by one value, sides of a hold-out, networks in pairs."""

import numpy as np
import pandas as pd
import pytest

from bidsapp.errors import UsageError
from bidsapp.evaluation.cohort_table import held_out_people
from bidsapp.evaluation.comparisons import compare_variants
from bidsapp.evaluation.network_pairs import pair_sentences
from bidsapp.evaluation.sample import absent_columns, subgroup_masks
from bidsapp.evaluation.thresholds import fitted_threshold, youden
from bidsapp.recipes import apply_values, load_recipe
from bidsapp.training.fold import score_fold, train_fold
from tests.unit.synthetic_cohort import prepare_tasks, small_recipe


def scores(people, repeat=0, fold=0, variant="a", seed=0, signal=0.0):
    rng = np.random.default_rng([seed, repeat, fold])
    outcome = np.arange(len(people)) % 2
    noise = rng.random(len(people))
    return pd.DataFrame(
        {
            "participant_id": people,
            "session_id": "n/a",
            "variant": variant,
            "repeat": repeat,
            "fold": fold,
            "outcome": outcome,
            "probability": (noise + signal * outcome) / (1 + signal),
        }
    )


def test_an_inner_cut_off_comes_from_nobody_who_is_held_out():
    people = [f"sub-{k:02d}" for k in range(12)]
    # one nested split: two outer folds, each twice with another inner fold
    held = {0: people[:6], 1: people[6:]}
    rows = pd.concat(
        [scores(held[f], repeat, f, seed=1) for repeat in (0, 1) for f in (0, 1)],
        ignore_index=True,
    )
    inner = pd.concat(
        [
            scores(held[1 - f][3 * repeat : 3 * repeat + 3], repeat, f, seed=2)
            for repeat in (0, 1)
            for f in (0, 1)
        ],
        ignore_index=True,
    )
    found = fitted_threshold(rows, "inner", inner)
    for f in (0, 1):
        seen = inner[inner["fold"] == f]
        assert set(seen["participant_id"]) == set(held[1 - f])  # each who was trained on, once
        cut = youden(seen["outcome"].to_numpy(), seen["probability"].to_numpy())
        assert found[rows["fold"] == f].unique().tolist() == [cut]
    # nothing of the held-out people has a part in it
    other = rows.assign(outcome=1 - rows["outcome"], probability=1 - rows["probability"])
    assert fitted_threshold(other, "inner", inner).equals(found)
    assert fitted_threshold(rows, "inner", None).isna().all()
    assert fitted_threshold(rows, "inner", inner.assign(variant="b")).isna().all()


def test_inner_scores_are_of_the_inner_split_by_the_folds_own_network(tmp_path):
    recipe = small_recipe(
        training={"epochs": 1},
        protocol={"folds": 2, "inner": {"size": 0.25}},
        evaluation={"fitted_threshold": "inner"},
    )
    task = prepare_tasks(tmp_path, recipe)[0]
    train_fold(task)
    held_out = score_fold(task)
    inner = pd.read_csv(task.inner_file, sep="\t")
    table = task.table.set_index("role")["participant_id"]
    assert set(inner["participant_id"]) == set(table["validation"])
    assert set(held_out["participant_id"]) == set(table["test"])
    with pytest.raises(UsageError, match=r"fitted_threshold: inner needs a validation split"):
        apply_values(recipe, {"protocol.inner.size": None})


def test_a_subgroup_may_be_one_value_against_all_others():
    cohort = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2", "sub-3", "sub-4"],
            "session_id": "n/a",
            "nsaid": ["ibuprofen", "aspirin", "n/a", "naproxen"],
            "dose": ["1", "1.0", "2", "3"],
        }
    )
    rows = scores(cohort["participant_id"].tolist())
    masks = subgroup_masks(cohort, rows, ["nsaid=ibuprofen", "dose=1"])
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "nsaid=ibuprofen": [True, False, False, False],
        "nsaid=not ibuprofen": [False, True, False, True],
        "nsaid=n/a": [False, False, True, False],
        "dose=1": [True, True, False, False],
        "dose=not 1": [False, False, True, True],
    }
    assert absent_columns(list(cohort), ["drug=ibuprofen", "nsaid=aspirin"]).keys() == {
        "subgroups by drug=ibuprofen"
    }


def test_sides_of_one_hold_out_are_compared_with_bonferronis_correction():
    people = [f"sub-{k:03d}" for k in range(111)]
    # the counts of print: 4 of 88 trained on and 4 of 23 held out would have aura; chi-square 4.37
    cohort = pd.DataFrame(
        {
            "participant_id": people,
            "session_id": "n/a",
            "outcome": np.arange(111) % 2,
            "aura": ["yes" if k % 88 < 5 and k >= 0 else "no" for k in range(111)],
            "age": [str(20 + k % 37) for k in range(111)],
        }
    )
    splits = pd.DataFrame(
        {
            "repeat": 0,
            "fold": 0,
            "participant_id": people,
            "role": ["train"] * 70 + ["validation"] * 18 + ["test"] * 23,
        }
    )
    (table,) = held_out_people(cohort, splits, ["aura", "age"]).values()
    heads = table.drop_duplicates("column").set_index("column")
    assert list(heads.index) == ["outcome", "aura", "age"]
    assert heads.loc["aura", "first"] == "83 (94%)"
    assert heads.loc["aura", "second"] == "18 (78%)"
    tested = heads["p"].notna().sum()
    assert heads["p_bonferroni"].tolist() == pytest.approx(np.minimum(1, heads["p"] * tested))
    twice = pd.concat([splits, splits.assign(repeat=1)])
    assert held_out_people(cohort, twice, ["aura"]) == {}


def compared(*signals):
    people = [f"sub-{k:03d}" for k in range(80)]
    names = "abcde"[: len(signals)]
    table = pd.concat(
        [
            scores(people, variant=name, seed=k, signal=signal)
            for k, (name, signal) in enumerate(zip(names, signals, strict=True))
        ],
        ignore_index=True,
    )
    return compare_variants(table, ["delong"]), list(names)


def test_where_no_network_differs_the_sentence_says_so_and_what_it_does_not_say():
    found, names = compared(0.3, 0.3, 0.3, 0.3, 0.3)
    (text,) = pair_sentences(found, names)
    assert text.startswith(
        "No network is shown to forecast better than another: none of 10 pairs of networks "
        "differs in AUC after Holm's correction for 10 comparisons. The largest difference is "
    )
    assert "not shown to be the best" in text
    largest = found["difference"].abs().max()
    assert f", {largest:.2f} (95% interval" in text


def test_networks_that_differ_are_named_the_better_first():
    found, names = compared(0.0, 3.0, 0.0)
    (text,) = pair_sentences(found, names)
    assert text.startswith("Of 3 pairs of networks, 2 differ in AUC after Holm's correction")
    assert "b over a, 0." in text
    assert "b over c, 0." in text
    assert pair_sentences(found, ["a"]) == []


def test_the_recipe_of_wei2023_has_five_networks_in_either_mode():
    recipe = load_recipe("wei2023")
    assert recipe.selected()[0] == ("resnet18", "resnet34", "resnet50", "resnext50", "densenet121")
    for prefix in ("paper", "compact_paper"):
        five = [name for name in recipe.variants if name == prefix or name.startswith(f"{prefix}_")]
        assert len(five) == 5
        for name in five:
            one = recipe.with_variant(name)
            assert (one.protocol.kind, one.protocol.repeats) == ("holdout", None)
            assert [step.name for step in one.leaks() if step.leaks] == [
                "evaluation.fitted_threshold: test_fold"
            ]
    base = recipe.with_variant("resnet18")
    assert (base.protocol.kind, base.evaluation.fitted_threshold) == ("nested", "inner")
    assert base.leaks() == ()
    assert base.representation.pad == (256, 256, 170)
    assert base.training.augmentation.rotation == 10
