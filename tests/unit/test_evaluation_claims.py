"""What may be claimed of cross-validated, repeated, site-wise and perfect scores."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.evaluation.chance import against_chance
from bidsapp.evaluation.comparisons import compare_variants, mcnemar
from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.estimates import auc_interval, difference_of, estimate_aucs
from bidsapp.evaluation.held_out import (
    HeldOut,
    held_out,
    inflation_of,
    leading_estimate,
    splits_behind,
)
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.evaluation.permutation import permute_outcomes
from bidsapp.evaluation.planning import auc_power, inflation_of_protocol
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.verdicts import verdict
from bidsapp.evaluation.within_fold_auc import within_covariance
from bidsapp.recipes.learning import Protocol
from tests.benchmarks import worlds
from tests.benchmarks.worlds import learn

GIVEN = HeldOut()


def half(n):
    return (np.arange(n) < n // 2).astype(int)


def drawn(seed, sizes=(9, 14, 7), shifts=(0.0, 3.0, -5.0)):
    """Two scores of people in folds that differ in level, size and share of positives."""
    rng = np.random.default_rng(seed)
    fold = np.repeat(np.arange(len(sizes)), sizes)
    outcome = np.concatenate([np.arange(size) < 2 + k for k, size in enumerate(sizes)])
    score = rng.normal(size=(2, len(fold))) + outcome + np.take(shifts, fold)
    return outcome, score, fold


# --- who was trained on elsewhere -------------------------------------------------------------


@pytest.mark.parametrize("folds", [2, 8])
def test_k_folds_inflate_as_the_single_auc_is_widened(folds):
    design = worlds.cross_validation(half(48), folds, np.random.default_rng(0), repeats=3)
    assert inflation_of(design.splits) == pytest.approx(1 + folds / (folds - 1))


def test_one_hold_out_is_that_of_a_given_model_and_many_are_a_cross_validation():
    rng = np.random.default_rng(0)
    once, often = (worlds.hold_outs(half(60), 0.2, times, rng) for times in (1, 20))
    assert held_out(once.rows, once.splits) == HeldOut(1.0, 1.0, 0.25)
    how = held_out(often.rows, often.splits)
    tested = often.rows["participant_id"].nunique()
    assert how.retrained
    assert how.inflation == pytest.approx(1 + tested / 48)
    assert how.tests == pytest.approx(tested / 12)


def test_a_repeated_hold_out_is_led_by_the_interval_of_retraining_and_its_p_has_a_caveat():
    rng = np.random.default_rng(1)
    design = worlds.hold_outs(half(60), 0.2, 10, rng)
    learned = learn(design, worlds.images(half(60), 5, 1.0, 1, rng), 1.0)
    rows = next(worlds.tables(design, learned))
    how = held_out(rows, design.splits)
    (row,) = leading_rows(rows, how, 0.95)
    assert row["metric"].item() == "auc@retrained"
    plain = leading_estimate(rows, GIVEN).interval()
    assert row["ci_low"].item() < plain.low < plain.high < row["ci_high"].item()
    assert "nominal" in permute_outcomes(rows, 10, rng, how).note
    assert permute_outcomes(rows, 10, rng).note == ""


def test_repeats_leave_the_interval_as_wide_and_say_so_by_its_inflation():
    rng = np.random.default_rng(2)
    image = worlds.images(half(60), 8, 0.8, 1, rng)
    widths = []
    for repeats in (1, 10):
        design = worlds.cross_validation(half(60), 8, rng, repeats)
        rows = next(worlds.tables(design, learn(design, image, 0.8)))
        how = held_out(rows, design.splits)
        assert how.inflation == pytest.approx(1 + 8 / 7, rel=0.01)
        low, high = leading_estimate(rows, how).limits(1.96)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.12)


def test_an_ensemble_and_a_baseline_are_judged_by_the_splits_behind_them():
    design = worlds.cross_validation(half(24), 4, np.random.default_rng(0))
    single = worlds.hold_outs(half(24), 0.5, 1, np.random.default_rng(0))
    splits = pd.concat(
        [design.splits.assign(variant="a"), single.splits.assign(variant="b")], ignore_index=True
    )
    plan = EvaluationSettings(base="a", ensembles={"both": (("a", "a2"), "mean")})
    for name, inflation in (("a", 7 / 3), ("both", 7 / 3), ("age_sex", 7 / 3), ("b/age_sex", 1.0)):
        assert inflation_of(splits_behind(splits, name, plan)) == pytest.approx(inflation)


# --- sites ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(-50, 50), min_size=3, max_size=3))
def test_what_shifts_the_scores_of_a_fold_leaves_the_auc_within_folds_alone(seed, shifts):
    outcome, score, fold = drawn(seed)
    one = within_covariance(outcome, score, fold)
    other = within_covariance(outcome, score + np.take(shifts, fold), fold)
    assert other.auc == pytest.approx(one.auc)
    assert other.covariance == pytest.approx(one.covariance)


def test_the_auc_within_folds_is_the_mean_of_theirs_by_pairs_and_so_is_its_variance():
    outcome, score, fold = drawn(3)
    found = within_covariance(outcome, score, fold)
    inside = [fold == k for k in range(3)]
    each = [delong_covariance(outcome[k], score[:, k]) for k in inside]
    pairs = np.array([outcome[k].sum() * (~outcome[k]).sum() for k in inside])
    weight = pairs / pairs.sum()
    assert found.auc == pytest.approx(sum(w * e.auc for w, e in zip(weight, each, strict=True)))
    variance = sum(w**2 * e.covariance for w, e in zip(weight, each, strict=True))
    assert found.covariance == pytest.approx(variance)


def test_one_fold_is_no_other_than_the_pooled_auc():
    outcome, score, fold = drawn(4, shifts=(0, 0, 0))
    pooled = delong_covariance(outcome, score)
    within = within_covariance(outcome, score, np.zeros_like(fold))
    assert within.auc == pytest.approx(pooled.auc)
    assert within.covariance == pytest.approx(pooled.covariance)


def test_sessions_of_a_person_and_repeats_add_no_information_within_folds():
    outcome, score, fold = drawn(5)
    person = np.arange(len(fold))
    once = within_covariance(outcome, score, fold, person)
    twice = within_covariance(
        np.tile(outcome, 2),
        np.tile(score, 2),
        np.concatenate([fold, fold + 10]),
        np.tile(person, 2),
    )
    assert twice.auc == pytest.approx(once.auc)
    assert twice.covariance == pytest.approx(once.covariance)


def four_sites(distance, seed=0, studies=1, n=60):
    rng = np.random.default_rng(seed)
    design, site = worlds.sites((0.2, 0.4, 0.6, 0.8), n)
    image = worlds.images(design.outcome, 6, distance, studies, rng)
    image += 0.7 * rng.normal(size=(studies, 4, 6))[:, site]
    return design, site, learn(design, image, distance)


def test_sites_of_unlike_shares_are_led_by_the_auc_within_them():
    design, site, learned = four_sites(1.5)
    rows = next(worlds.tables(design, learned))
    how = held_out(rows, design.splits)
    assert how.within
    assert "share of positives" in how.why
    named = dict(zip(worlds.name_of(np.arange(60)), map(str, site), strict=True))
    assert "one group" in held_out(rows, design.splits, named).why
    last = leading_rows(rows, how, 0.95)[-1].iloc[0]
    assert last["metric"] == "auc@within"
    parts = [part for _, part in rows.groupby("fold")]
    pairs = [part["outcome"].sum() * (1 - part["outcome"]).sum() for part in parts]
    each = [leading_estimate(part, GIVEN).value for part in parts]
    assert last["value"] == pytest.approx(np.average(each, weights=pairs))


def test_stratified_folds_keep_the_pooled_auc_and_so_do_folds_of_families():
    rng = np.random.default_rng(0)
    design = worlds.cross_validation(half(60), 8, rng)
    rows = design.rows.assign(probability=rng.random(60))
    assert not held_out(rows, design.splits).within
    own = {name: name for name in rows["participant_id"]}
    assert not held_out(rows, design.splits, own).within
    left_out = tuple((0, k, np.arange(60) == k) for k in range(60))
    each = worlds.Design(half(60), left_out)
    alone = each.rows.assign(probability=rng.random(60))
    assert not held_out(alone, each.splits, own).within


def test_folds_too_small_for_pairs_leave_the_pooled_auc_with_a_doubt():
    couples = tuple((0, k, np.arange(40) // 2 == k) for k in range(20))
    design = worlds.Design((np.arange(40) // 2 % 2).astype(int), couples)
    rows = design.rows.assign(probability=np.random.default_rng(0).random(40))
    families = {name: str(int(name[-4:]) // 2) for name in rows["participant_id"]}
    how = held_out(rows, design.splits, families)
    assert not how.within
    assert "leans below .5" in how.why


def test_site_wise_scores_are_permuted_and_compared_within_sites():
    design, _, learned = four_sites(1.5, studies=2)
    first, second = worlds.tables(design, learned)
    how = held_out(first, design.splits)
    found = permute_outcomes(first, 99, np.random.default_rng(0), how)
    assert found.method == "within folds"
    assert found.observed == pytest.approx(leading_estimate(first, how).value)
    assert found.null.mean() == pytest.approx(0.5, abs=0.03)
    both = pd.concat([first, second.assign(variant="rival")])
    (row,) = compare_variants(both, ("delong",), layouts={"network": how, "rival": how}).to_dict(
        "records"
    )
    gap = leading_estimate(first, how).value - leading_estimate(second, how).value
    assert row["difference"] == pytest.approx(gap)
    assert "within folds" in row["note"]


# --- pairs ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 4.0]), st.sampled_from([1.0, 15 / 7]))
def test_p_and_interval_of_a_difference_agree_and_turn_with_the_pair(seed, effect, inflation):
    rng = np.random.default_rng(seed)
    outcome = half(24).astype(bool)
    score = rng.normal(size=(2, 24)) + np.array([[effect], [0.3]]) * outcome
    (first, second), correlation = estimate_aucs(outcome, score, inflation=inflation)
    one = difference_of(first, second, correlation[0, 1])
    other = difference_of(second, first, correlation[0, 1])
    low, high = one.interval.low, one.interval.high
    assert low <= one.difference <= high
    assert (other.interval.low, other.interval.high) == pytest.approx((-high, -low))
    assert other.p == pytest.approx(one.p)
    assert other.z == pytest.approx(-one.z)
    if abs(one.p - 0.05) > 1e-6:
        assert (one.p < 0.05) == (low > 0 or high < 0)
    assert one.p >= first.least_p


def perfect_and(auc_of_other, n=24):
    """Scores in perfect order, and others with a share of their pairs in order."""
    outcome = half(n).astype(bool)
    perfect = np.where(outcome, 2.0, 0.0) + np.linspace(0, 1, n)
    rng = np.random.default_rng(0)
    others = [rng.normal(size=n) for _ in range(4000)]
    aucs = [delong_covariance(outcome, one).auc[0] for one in others]
    return outcome, np.stack(
        [perfect, others[int(np.argmin(np.abs(np.array(aucs) - auc_of_other)))]]
    )


@pytest.mark.parametrize("other", [0.25, 0.5, 0.8])
def test_an_auc_of_one_keeps_its_own_uncertainty_in_a_pair(other):
    outcome, scores = perfect_and(other)
    covariance = delong_covariance(outcome, scores).covariance
    assert covariance[0, 0] == 0  # as if it were known without error
    (first, second), correlation = estimate_aucs(outcome, scores)
    found = difference_of(first, second, correlation[0, 1])
    single = first.interval()
    assert single.low < 0.9
    assert "MOVER" in found.interval.method
    assert found.interval.low < found.difference - (1 - single.low) * 0.9
    assert found.interval.high > found.difference
    assert found.p > 1e-6
    assert first.p_against(0.5) > 1e-6


def test_two_perfect_orders_do_not_differ_and_have_an_interval():
    outcome = half(24).astype(bool)
    perfect = np.where(outcome, 2.0, 0.0) + np.linspace(0, 1, 24)
    (first, second), correlation = estimate_aucs(outcome, np.stack([perfect, perfect[::-1] * -1]))
    found = difference_of(first, second, correlation[0, 1])
    assert found.p == 1
    assert found.interval.low < 0 < found.interval.high


def test_no_p_is_below_what_so_few_people_can_carry():
    outcome = half(6).astype(bool)
    perfect = np.where(outcome, 2.0, 0.0) + np.linspace(0, 1, 6)
    (first, second), correlation = estimate_aucs(outcome, np.stack([perfect, -perfect]))
    assert first.least_p == pytest.approx(2 / 20)  # of 20 ways to name three of six
    assert difference_of(first, second, correlation[0, 1]).p >= first.least_p
    assert first.p_against(0.5) >= first.least_p


def test_cross_validated_scores_widen_the_difference_as_they_widen_the_auc():
    rng = np.random.default_rng(3)
    outcome = half(60).astype(bool)
    scores = rng.normal(size=(2, 60)) + np.array([[0.8], [0.3]]) * outcome
    widths = []
    for inflation in (1.0, 2.25):
        (first, second), correlation = estimate_aucs(outcome, scores, inflation=inflation)
        interval = difference_of(first, second, correlation[0, 1]).interval
        widths.append(interval.high - interval.low)
    assert widths[1] == pytest.approx(1.5 * widths[0])
    plain = auc_interval(outcome, scores[0])
    assert plain.low > auc_interval(outcome, scores[0], inflation=2.25).low


def test_a_baseline_below_one_half_counts_as_chance():
    rng = np.random.default_rng(5)
    design = worlds.cross_validation(half(60), 8, rng)
    rows = design.rows
    order = rows["outcome"].to_numpy()
    network = rows.assign(probability=0.5 + 0.1 * (order - 0.5) + 0.2 * rng.normal(size=60))
    network["probability"] = network["probability"].clip(0, 1)
    worse = rows.assign(variant="site", probability=(1 - order + rng.random(60)) / 2)
    how = held_out(rows, design.splits)
    layouts = {"network": how, "site": how}
    both = pd.concat([network, worse])
    blunt = compare_variants(both, ("delong",), layouts=layouts).iloc[0]
    row = compare_variants(both, ("delong",), layouts=layouts, rivals=("site",)).iloc[0]
    own = leading_estimate(network, how)
    assert leading_estimate(worse, how).value < 0.5
    assert row["difference"] == pytest.approx(own.value - 0.5)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        tuple(np.array(own.limits(1.959964)) - 0.5)
    )
    assert row["difference"] < blunt["difference"]
    assert "counts as chance" in row["note"]
    better = verdict(row["ci_low"], row["ci_high"], row["p_holm"]) == "better"
    assert better == (against_chance(*own.limits(1.959964)) == "better")


def test_learners_of_equal_worth_are_told_apart_about_once_in_twenty():
    """DeLong's own test rejected 13 to 18 % of such pairs."""
    rng = np.random.default_rng(6)
    studies, outcome = 300, half(60)
    design = worlds.cross_validation(outcome, 8, rng)
    how = held_out(design.rows, design.splits)
    two = [learn(design, worlds.images(outcome, 6, 0.0, studies, rng), 0.0) for _ in range(2)]
    truth = design.rows["outcome"].to_numpy(dtype=bool)
    rejected = {1.0: 0, how.inflation: 0}
    for scores in zip(two[0].probability, two[1].probability, strict=True):
        for inflation in rejected:
            (first, second), correlation = estimate_aucs(
                truth, np.stack(scores), None, None, inflation
            )
            rejected[inflation] += difference_of(first, second, correlation[0, 1]).p < 0.05
    assert rejected[1.0] / studies > 0.1
    assert 0.015 < rejected[how.inflation] / studies < 0.075


@pytest.mark.parametrize("counts", [(3, 9), (0, 8), (12, 30), (5, 5)])
def test_mcnemar_of_cross_validated_decisions_is_that_of_fewer_people(
    counts: tuple[int, int],
) -> None:
    assert mcnemar(*counts, 2.0) >= min(1.0, mcnemar(*counts)) - 1e-12
    doubled = mcnemar(2 * counts[0], 2 * counts[1], 2.0)
    assert doubled <= mcnemar(*counts)  # mid-p of as many people as these


# --- power ------------------------------------------------------------------------------------


def test_the_plan_promises_what_the_headline_keeps():
    """For 55 and 73 people, .8 at an AUC of .64 was promised; the headline found it in .44."""
    rng = np.random.default_rng(8)
    outcome = (np.arange(128) < 55).astype(int)
    design = worlds.cross_validation(outcome, 8, rng)
    how = held_out(design.rows, design.splits)
    learned = learn(design, worlds.images(outcome, 11, 0.7, 250, rng), 0.7)
    found = [
        leading_estimate(rows, how).limits(1.959964)[0] > 0.5
        for rows in worlds.tables(design, learned)
    ]
    truth = float(learned.truth.mean())
    promised = auc_power(truth, 55, 73, 0.05, how.inflation)
    assert promised == pytest.approx(np.mean(found), abs=0.09)  # three standard errors
    assert auc_power(truth, 55, 73) - promised > 0.25


@pytest.mark.parametrize(
    ("protocol", "groups", "inflation"),
    [
        ({"kind": "kfold", "folds": 8}, 0, 15 / 7),
        ({"kind": "repeated_kfold", "folds": 5, "repeats": 10}, 0, 9 / 4),
        ({"kind": "holdout", "test_size": 0.25}, 0, 1.0),
        ({"kind": "holdout", "test_size": 0.2, "repeats": 50}, 0, 2.25),
        ({"kind": "leave_one_group_out", "groups": "site"}, 4, 7 / 3),
        ({"kind": "leave_one_group_out", "groups": "site"}, 0, 2.0),
    ],
)
def test_the_plan_knows_the_inflation_of_a_protocol(protocol, groups, inflation):
    found = inflation_of_protocol(Protocol(**protocol), groups)
    assert found == pytest.approx(inflation, rel=1e-4)


def test_a_layout_without_within_is_the_pooled_auc():
    design, _, learned = four_sites(1.0)
    rows = next(worlds.tables(design, learned))
    how = held_out(rows, design.splits)
    pooled = leading_estimate(rows, replace(how, within=False)).value
    assert pooled != pytest.approx(leading_estimate(rows, how).value, abs=1e-3)
