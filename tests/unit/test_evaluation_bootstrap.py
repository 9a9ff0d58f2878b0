"""The bootstrap against scipy's, and how it treats people with several sessions."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.bootstrap import (
    bca_limits,
    bootstrap_intervals,
    bootstrap_values,
    bootstrap_weights,
    jackknife_values,
    percentile_limits,
    strata_of,
)
from bidsapp.evaluation.metrics import METRICS, point_estimates
from bidsapp.evaluation.sample import make_sample


def sample_of(n, seed=0, grid=None, participant=None):
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1, 0, 1, 0, 1], rng.integers(0, 2, n - 6)])
    p = 1 / (1 + np.exp(-rng.normal(size=n) - y + 0.5))
    p = np.round(p * grid) / grid if grid else p
    return make_sample(y, p, participant=participant)


def auc_of(positive, negative):
    return roc_auc_score(
        np.repeat([1, 0], [len(positive), len(negative)]), np.concatenate([positive, negative])
    )


@pytest.mark.parametrize("grid", [None, 5])
@pytest.mark.parametrize("n", [12, 80])
def test_bca_and_percentile_like_scipy_on_the_same_resamples(n, grid):
    sample = sample_of(n, grid=grid)
    rng = np.random.default_rng(1)
    values = bootstrap_values(sample, ["auc"], strata_of(sample), 999, rng)["auc"]
    m = sample.positives
    groups = sample.probability[:m], sample.probability[m:]
    ours = {
        "percentile": percentile_limits(values),
        "BCa": bca_limits(
            point_estimates(sample)["auc"],
            values,
            jackknife_values(sample, ["auc"])["auc"],
            strata_of(sample),
        ),
    }
    for method, limits in ours.items():
        oracle = stats.bootstrap(
            groups,
            auc_of,
            n_resamples=0,
            method=method,
            vectorized=False,
            bootstrap_result=SimpleNamespace(bootstrap_distribution=values),
        )
        assert limits == pytest.approx(tuple(oracle.confidence_interval), abs=1e-9)


def test_bca_of_a_metric_of_all_people_like_scipy():
    sample = sample_of(60)
    one_stratum = np.zeros(60, dtype=int)
    rng = np.random.default_rng(2)
    values = bootstrap_values(sample, ["brier"], one_stratum, 999, rng)["brier"]
    left_out = jackknife_values(sample, ["brier"])["brier"]
    limits = bca_limits(point_estimates(sample)["brier"], values, left_out, one_stratum)
    oracle = stats.bootstrap(
        ((sample.probability - sample.outcome) ** 2,),
        np.mean,
        n_resamples=0,
        method="BCa",
        bootstrap_result=SimpleNamespace(bootstrap_distribution=values),
    )
    assert limits == pytest.approx(tuple(oracle.confidence_interval), abs=1e-9)


def test_resamples_are_distributed_like_scipys():
    sample = sample_of(60, seed=3)
    m = sample.positives
    rng = np.random.default_rng(4)
    ours = bootstrap_values(sample, ["auc"], strata_of(sample), 4000, rng)["auc"]
    oracle = stats.bootstrap(
        (sample.probability[:m], sample.probability[m:]),
        auc_of,
        n_resamples=1500,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(5),
    )
    assert stats.ks_2samp(ours, oracle.bootstrap_distribution).pvalue > 0.001


def test_stratified_draws_keep_the_classes_and_whole_people():
    people = np.repeat(np.arange(20), 2)
    outcome = np.repeat(np.arange(20) % 2, 2)
    sample = make_sample(outcome, np.linspace(0.1, 0.9, 40), participant=people)
    rng = np.random.default_rng(0)
    weights = np.concatenate(list(bootstrap_weights(sample, strata_of(sample), 50, rng)))
    assert weights.shape == (50, 40)
    assert (weights @ sample.outcome == 20).all()
    for person in range(20):
        rows = weights[:, sample.participant == person]
        assert (rows[:, 0] == rows[:, 1]).all()


def test_clustered_interval_of_doubled_people_is_that_of_the_people():
    base = sample_of(60, seed=6)
    order = np.arange(60)
    doubled = make_sample(
        np.repeat(base.outcome, 2).astype(int),
        np.repeat(base.probability, 2),
        participant=np.repeat(order, 2),
    )
    names = ["auc", "brier", "balanced_accuracy"]
    once = bootstrap_intervals(base, names, 3000, np.random.default_rng(7))
    twice = bootstrap_intervals(doubled, names, 3000, np.random.default_rng(8))
    for name in names:
        width = once[name].high - once[name].low
        assert twice[name].high - twice[name].low == pytest.approx(width, rel=0.1)
        assert "clustered" in twice[name].method


def test_same_seed_same_interval_in_any_block_size(monkeypatch):
    sample = sample_of(50)
    first = bootstrap_intervals(sample, list(METRICS), 300, np.random.default_rng(9))
    again = bootstrap_intervals(sample, list(METRICS), 300, np.random.default_rng(9))
    assert first == again


def test_prevalence_varies_where_the_metric_depends_on_it():
    sample = make_sample(np.arange(60) % 2, np.linspace(0.45, 0.55, 60))
    result = bootstrap_intervals(sample, ["calibration_intercept", "auc"], 500)
    assert result["calibration_intercept"].method.startswith("bootstrap")
    assert result["auc"].method.startswith("stratified")
    spread = result["calibration_intercept"].high - result["calibration_intercept"].low
    assert spread > 0.8


@pytest.mark.parametrize(
    ("y", "p", "name", "reason"),
    [
        ([0, 1, 0, 1], [0.4] * 4, "auc", "same value"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "plr", "undefined"),
        ([1, 1, 1], [0.1, 0.2, 0.8], "auc", "undefined"),
    ],
)
def test_no_interval_says_why(y, p, name, reason):
    interval = bootstrap_intervals(make_sample(y, p), [name], 200)[name]
    assert not interval.known
    assert reason in interval.note
