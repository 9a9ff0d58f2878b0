"""Predictive values, calibration and net benefit where another share of people is positive."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import UsageError
from bidsapp.evaluation.calibration import calibration_points
from bidsapp.evaluation.curves import decision_curve
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.intervals import likelihood_ratio_interval
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.pooled import pooled_results
from bidsapp.evaluation.prevalence import prevalence_table, sample_at
from bidsapp.evaluation.sample import from_scores, make_sample
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.recipes import load_recipe
from tests.unit.evaluation_runs import write_run

QUICK = EvaluationSettings(tests=("permutation",), permutations=99, resamples=100)


def rows_of(n=200, seed=0, effect=2.0, share=0.5):
    rng = np.random.default_rng(seed)
    outcome = (np.arange(n) < share * n).astype(int)
    logit = np.log(share / (1 - share)) + effect * (outcome - 0.5) * 2 + rng.normal(size=n) * 2
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:04d}" for i in range(n)],
            "session_id": "n/a",
            "repeat": 0,
            "fold": 0,
            "outcome": outcome,
            "probability": 1 / (1 + np.exp(-logit)),
        }
    )


def at(rows, prevalence, **more):
    plan = replace(EvaluationSettings(prevalence=prevalence, resamples=0), **more)
    rng = np.random.default_rng(0) if plan.resamples else None
    return prevalence_table(rows, plan, rng).set_index("metric")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.floats(0.01, 0.99), st.floats(0.2, 0.8))
def test_predictive_values_are_those_of_bayes(seed, prevalence, share):
    rows = rows_of(80, seed, share=share)
    known = point_estimates(from_scores(rows), ("sensitivity", "specificity"))
    found = at(rows, prevalence)["value"]
    hit, spared = known["sensitivity"], known["specificity"]
    called = hit * prevalence + (1 - spared) * (1 - prevalence)
    if 0 < called < 1:
        assert found["precision"] == pytest.approx(hit * prevalence / called)
        wanted = spared * (1 - prevalence) / (1 - called)
        assert found["negative_predictive_value"] == pytest.approx(wanted)


def test_at_the_cohorts_own_share_nothing_changes():
    rows = rows_of(share=0.3)
    sample = from_scores(rows)
    found = at(rows, 0.3)["value"]
    same = point_estimates(sample, tuple(found.index))
    assert found.to_dict() == pytest.approx(same)
    assert sample_at(sample, 0.3).probability == pytest.approx(sample.probability)


def test_predictive_values_at_five_percent_hold_what_a_large_sample_gives():
    """A cohort of half positives speaks for people of whom one in twenty is."""
    rng = np.random.default_rng(1)
    outcome = (rng.random(400_000) < 0.05).astype(int)
    logit = 2 * (outcome - 0.5) * 2 + rng.normal(size=400_000) * 2
    everybody = make_sample(outcome, 1 / (1 + np.exp(-logit)))
    true = point_estimates(everybody, ("precision", "negative_predictive_value"))
    found = at(rows_of(400, seed=2), 0.05)
    for name, value in true.items():
        row = found.loc[name]
        assert row["ci_low"] < value < row["ci_high"]
        assert row["ci_high"] - row["ci_low"] < 0.2
    assert (
        found.loc["precision", "value"]
        < 0.4
        < point_estimates(from_scores(rows_of(400)))["precision"]
    )


def test_limits_of_predictive_values_are_those_of_the_likelihood_ratios():
    rows = rows_of(60)
    sample = from_scores(rows)
    tp = int((sample.decision & sample.outcome).sum())
    fp = int((sample.decision & ~sample.outcome).sum())
    limits = np.array(likelihood_ratio_interval(tp, 30, fp, 30))
    row = at(rows, 0.1).loc["precision"]
    odds = limits * 0.1 / 0.9
    assert list(row[["ci_low", "ci_high"]]) == pytest.approx(list(odds / (1 + odds)))
    assert "10.0% positive; the cohort has 50.0%" in row["note"]


def test_probabilities_that_were_calibrated_stay_so_at_another_share():
    rng = np.random.default_rng(3)
    score = rng.normal(size=(2, 4000)) + np.array([[1.0], [-1.0]])
    probability = 1 / (1 + np.exp(-2 * score.ravel()))  # what Bayes gives for equal shares
    rows = rows_of(8000).assign(probability=probability)
    found = at(rows, 0.05)["value"]
    assert found["calibration_intercept"] == pytest.approx(0, abs=0.1)
    assert found["calibration_slope"] == pytest.approx(1, abs=0.07)
    assert found["calibration_error"] < 0.01
    blunt = calibration_points(make_sample(rows["outcome"], probability), prevalence=0.05)
    gap = (blunt["probability"] - blunt["observed"]).abs()
    assert gap.max() < 0.05
    assert blunt["probability"].iloc[0] < 0.01


def test_bootstrap_intervals_at_a_share_hold_their_value():
    found = at(rows_of(80), 0.2, resamples=200)
    drawn = found.loc[["brier", "average_precision", "calibration_slope"]]
    assert (drawn["ci_low"] < drawn["value"]).all()
    assert (drawn["value"] < drawn["ci_high"]).all()
    assert drawn["ci_method"].str.startswith("stratified bootstrap").all()


def test_net_benefit_at_a_share_is_that_of_its_formula():
    sample = sample_at(make_sample(rows_of(100)["outcome"], rows_of(100)["probability"]), 0.05)
    curve = decision_curve(sample, np.array([0.02, 0.1]), prevalence=0.05, resamples=50)
    for _, row in curve.iterrows():
        odds = row["threshold"] / (1 - row["threshold"])
        called = sample.probability >= row["threshold"]
        gain = 0.05 * called[sample.outcome].mean() - 0.95 * called[~sample.outcome].mean() * odds
        assert row["net_benefit"] == pytest.approx(gain)
        assert row["treat_all"] == pytest.approx(0.05 - 0.95 * odds)
        assert row["ci_low"] <= row["net_benefit"] <= row["ci_high"]


def test_limits_of_calibration_have_the_level_of_the_run():
    sample = from_scores(rows_of(60))
    widths = [
        (points["ci_high"] - points["ci_low"]).mean()
        for points in (calibration_points(sample, level=level) for level in (0.8, 0.95))
    ]
    assert widths[0] < 0.75 * widths[1]


def test_a_run_with_a_prevalence_says_both_and_the_card_has_the_level(tmp_path):
    run = write_run(tmp_path, n=48, variants=("axial",))
    plan = replace(QUICK, prevalence=0.05, level=0.9)
    metrics = evaluate(run, plan).metrics
    scopes = metrics.set_index(["scope", "metric"])["value"]
    assert scopes["prevalence=0.05", "precision"].iloc[0] < scopes["pooled", "precision"].iloc[0]
    card = pooled_results(run, "axial", 0.9)
    assert card["auc"].partition("(")[2].startswith("90 % CI ")
    assert "precision, prevalence=0.05" in card
    assert "accuracy" not in card
    assert card["against chance"] == "better than chance (0.50)"
    assert not any("95 %" in text for text in card.values())


@pytest.mark.parametrize("value", ["0", "1", "1.5", "-0.1"])
def test_a_prevalence_lies_between_0_and_1(value):
    with pytest.raises(UsageError, match="prevalence"):
        load_recipe("t1w", [f"evaluation.prevalence={value}"])
