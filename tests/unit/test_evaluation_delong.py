"""DeLong's intervals and tests against MLstatkit and against their own definition."""

import numpy as np
import pytest
from MLstatkit import Delong_test
from scipy.stats import norm

from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.estimates import auc_interval, difference_of, estimate_aucs


def two_scores(n, seed, grid=None):
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1, 0, 1], rng.integers(0, 2, n - 4)])
    scores = rng.normal(size=(2, n)) + 0.8 * y + 0.5 * rng.normal(size=n)
    if grid:
        scores = np.round(scores * grid) / grid
    return y.astype(bool), scores[0], scores[1]


def compared(y, first, second, inflation=1.0):
    (one, other), correlation = estimate_aucs(y, np.stack([first, second]), inflation=inflation)
    return difference_of(one, other, correlation[0, 1])


def by_definition(y, first, second):
    """Covariance matrix from the kernel itself, every pair visited."""
    values = np.stack([first, second])
    kernel = (values[:, y][:, :, None] > values[:, ~y][:, None, :]) + 0.5 * (
        values[:, y][:, :, None] == values[:, ~y][:, None, :]
    )
    return np.cov(kernel.mean(axis=2)) / y.sum() + np.cov(kernel.mean(axis=1)) / (~y).sum()


@pytest.mark.parametrize("grid", [None, 1, 3], ids=["continuous", "many ties", "ties"])
@pytest.mark.parametrize("n", [10, 60, 400])
def test_like_mlstatkit(n, grid):
    y, first, second = two_scores(n, seed=n, grid=grid)
    z, p, ci_first, ci_second, auc_first, auc_second, info = Delong_test(
        y.astype(int), first, second
    )
    assert info["method"] == "delong"
    both = delong_covariance(y, np.stack([first, second]))
    ours = (both.auc[0] - both.auc[1]) / np.sqrt([1, -1] @ both.covariance @ [1, -1])
    assert ours == pytest.approx(-z, abs=1e-8)
    assert 2 * norm.sf(abs(ours)) == pytest.approx(p, abs=1e-8)
    assert both.auc == pytest.approx([auc_first, auc_second], abs=1e-10)
    for number, expected in enumerate((ci_first, ci_second)):
        half = norm.isf(0.025) * np.sqrt(both.covariance[number, number])
        limits = np.clip([both.auc[number] - half, both.auc[number] + half], 0, 1)
        assert limits == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("n", [6, 25])
def test_like_the_definition_on_small_samples_with_ties(n):
    y, first, second = two_scores(n, seed=3, grid=2)
    ours = delong_covariance(y, np.stack([first, second])).covariance
    assert ours == pytest.approx(by_definition(y, first, second), abs=1e-12)


def test_sessions_of_one_person_add_no_information():
    y, first, second = two_scores(40, seed=4)
    once = delong_covariance(y, np.stack([first, second]))
    twice = delong_covariance(
        np.repeat(y, 2),
        np.repeat(np.stack([first, second]), 2, axis=1),
        np.repeat(np.arange(40), 2),
    )
    assert twice.covariance == pytest.approx(once.covariance, rel=1e-12)
    naive = delong_covariance(np.repeat(y, 2), np.repeat(first, 2)).covariance
    assert naive[0, 0] < 0.6 * once.covariance[0, 0]


def test_the_method_of_an_interval_says_that_rows_of_a_person_were_taken_together():
    y, first, _ = two_scores(40, seed=4)
    twice = auc_interval(np.repeat(y, 2), np.repeat(first, 2), np.repeat(np.arange(40), 2))
    assert twice.method == "DeLong, clustered by person (Obuchowski 1997), logit"
    assert auc_interval(y, first, np.arange(40)).method == "DeLong, logit"


def test_person_with_both_outcomes_enters_with_the_cross_term():
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(400), 2)
    y = np.tile([False, True], 400)
    shared = np.repeat(rng.normal(size=400), 2)
    values = shared + 0.3 * rng.normal(size=800) + 0.5 * y
    clustered = delong_covariance(y, values, person).covariance[0, 0]
    assert clustered < 0.5 * delong_covariance(y, values).covariance[0, 0]


def test_the_interval_stays_inside_and_holds_the_estimate():
    for seed in range(30):
        y, first, _ = two_scores(12, seed)
        interval = auc_interval(y, first)
        auc = delong_covariance(y, first).auc[0]
        assert 0 <= interval.low <= auc <= interval.high <= 1


@pytest.mark.parametrize(
    ("y", "score", "reason"),
    [([0, 1], [0.1, 0.9], "fewer than two"), ([0, 1, 0, 1], [0.5] * 4, "tied")],
)
def test_no_interval_without_a_variance(y, score, reason):
    interval = auc_interval(np.array(y, dtype=bool), np.array(score))
    assert not interval.known
    assert reason in interval.note


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match="one class"):
        delong_covariance(np.ones(4, dtype=bool), np.arange(4.0))


def test_missing_score_is_an_error():
    with pytest.raises(ValueError, match="NaN"):
        delong_covariance(np.array([True, False]), np.array([np.nan, 1.0]))


def test_two_equal_orders_cannot_be_compared():
    y, first, _ = two_scores(30, 1)
    result = compared(y, first, 2 * first + 1)
    assert result.difference == 0
    assert np.isnan(result.p)
    assert "alike" in result.note
