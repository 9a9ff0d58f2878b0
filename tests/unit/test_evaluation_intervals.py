"""Intervals from formulas and corrections, against statsmodels and against their definitions."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bidsapp.evaluation.comparisons import bonferroni, false_discovery_rate, holm
from bidsapp.evaluation.intervals import (
    likelihood_ratio_interval,
    nadeau_bengio,
    newcombe_limits,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (3, 7), (18, 23), (400, 1000)])
def test_wilson_like_statsmodels(k, n):
    assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-9)


def test_wei2023_accuracy_of_18_in_23():
    assert wilson(18, 23) == pytest.approx((0.58, 0.90), abs=0.005)


def test_wilson_of_nobody_is_undefined():
    assert np.isnan(wilson(0, 0)).all()


@pytest.mark.parametrize(("tp", "fn", "fp", "tn"), [(11, 2, 3, 7), (40, 20, 10, 58), (1, 5, 3, 4)])
def test_likelihood_ratios_like_statsmodels_risk_ratios(tp, fn, fp, tn):
    ours = likelihood_ratio_interval(tp, tp + fn, fp, fp + tn)
    oracle = Table2x2(np.array([[tp, fn], [fp, tn]]), shift_zeros=False)
    assert ours == pytest.approx(oracle.riskratio_confint(), rel=1e-9)


@pytest.mark.parametrize(
    ("tp", "fn", "fp", "tn"),
    [(5, 0, 3, 5), (5, 0, 8, 0), (0, 5, 3, 5), (30, 0, 1, 29), (0, 24, 24, 0)],
)
def test_a_count_of_zero_still_leaves_a_ratio_with_a_width(tp, fn, fp, tn):
    low, high = likelihood_ratio_interval(tp, tp + fn, fp, fp + tn)
    assert low < tp * (fp + tn) / (fp * (tp + fn)) < high or low == 0 == tp
    assert high > 1.1 * low
    for limit in (low, high):
        if limit:
            distance = chi_square_of_ratio(tp, tp + fn, fp, fp + tn, limit)
            assert distance == pytest.approx(stats.norm.ppf(0.975) ** 2, rel=1e-3)


def chi_square_of_ratio(x, m, y, n, ratio):
    """Distance of counts from the likeliest proportions of this ratio, searched for."""
    p = np.linspace(1e-9, min(1, 1 / ratio) - 1e-12, 2_000_001)
    first, second = stats.binom.logpmf(x, m, ratio * p), stats.binom.logpmf(y, n, p)
    best = p[np.argmax(first + second)]
    found = 0.0
    for count, size, share in ((x, m, ratio * best), (y, n, best)):
        if share * (1 - share) > 1e-6:
            found += (count - size * share) ** 2 / (size * share * (1 - share))
    return found


def test_a_ratio_without_false_alarms_has_no_upper_limit():
    low, high = likelihood_ratio_interval(5, 5, 0, 8)
    assert low == pytest.approx(3.0825, abs=1e-4)  # statsmodels, score, compare="ratio"
    assert high == np.inf
    assert np.isnan(likelihood_ratio_interval(0, 5, 0, 8)).all()


def test_nadeau_bengio_is_wider_than_students_by_the_overlap():
    values = np.array([0.6, 0.7, 0.5, 0.65, 0.8, 0.55, 0.7, 0.6])
    naive = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    ours = nadeau_bengio(values, 1 / 7)
    widening = np.sqrt((1 / 8 + 1 / 7) / (1 / 8))
    assert np.diff(ours)[0] == pytest.approx(np.diff(naive)[0] * widening)
    assert nadeau_bengio(values, 0.0) == pytest.approx(naive)


def test_repeats_do_not_narrow_nadeau_bengio():
    values = np.array([0.6, 0.7, 0.5, 0.65, 0.8, 0.55, 0.7, 0.6])
    once, again = nadeau_bengio(values, 1 / 7), nadeau_bengio(np.tile(values, 10), 1 / 7, tests=8)
    spread = np.std(np.tile(values, 10), ddof=1) / np.std(values, ddof=1)
    quantiles = stats.t.ppf(0.975, 79) / stats.t.ppf(0.975, 7)
    assert np.diff(again)[0] == pytest.approx(np.diff(once)[0] * spread * quantiles)


def test_nadeau_bengio_leaves_undefined_folds_out():
    values = np.array([0.6, np.nan, 0.7, 0.5])
    assert nadeau_bengio(values, 0.3) == nadeau_bengio(values[[0, 2, 3]], 0.3)
    assert np.isnan(nadeau_bengio(np.array([0.6, np.nan]), 0.3)).all()


@pytest.mark.parametrize(("m", "n"), [(8, 8), (24, 24), (55, 73)])
def test_newcombe_limits_solve_their_equation(m, n):
    z = stats.norm.ppf(0.975)
    star = (m + n) / 2 - 1
    for auc in (0.6, 0.9, 1.0):
        for theta in newcombe_limits(auc, m, n, z):
            if theta < 1:
                spread = 1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)
                error = np.sqrt(theta * (1 - theta) * spread / (m * n))
                assert abs(auc - theta) == pytest.approx(z * error, abs=1e-6)
    low, high = newcombe_limits(1.0, m, n, z)
    assert 0.5 < low < 1
    assert high == 1
    mirrored = newcombe_limits(0.0, m, n, z)
    assert mirrored == pytest.approx((0.0, 1 - low), abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "name"), [(bonferroni, "bonferroni"), (holm, "holm"), (false_discovery_rate, "fdr_bh")]
)
@pytest.mark.parametrize("count", [1, 2, 17])
def test_corrections_like_statsmodels(ours, name, count):
    p = np.random.default_rng(count).random(count) ** 3
    p[: count // 3] = 0.04
    assert ours(p) == pytest.approx(multipletests(p, method=name)[1])
    with_gap = np.insert(p, 0, np.nan)
    assert np.isnan(ours(with_gap)[0])
    assert ours(with_gap)[1:] == pytest.approx(ours(p))
