"""Calibration against statsmodels and scikit-learn."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

from bidsapp.evaluation.calibration import calibration_points
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.sample import make_sample

NAMES = ("calibration_slope", "calibration_intercept", "calibration_error")


def overconfident(n, seed, grid=None):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) - 0.3
    y = (rng.random(n) < expit(truth)).astype(int)
    y[:4] = [0, 1, 0, 1]
    p = expit(2 * truth + 0.4)
    return y, np.clip(np.round(p * grid) / grid, 0.05, 0.95) if grid else p


@pytest.mark.parametrize("grid", [None, 4])
@pytest.mark.parametrize("n", [25, 60, 500])
def test_slope_and_intercept_like_statsmodels(n, grid):
    y, p = overconfident(n, n, grid)
    ours = point_estimates(make_sample(y, p), NAMES)
    family = sm.families.Binomial()
    slope = sm.GLM(y, sm.add_constant(logit(p)), family=family).fit(tol=1e-12).params[1]
    large = sm.GLM(y, np.ones(n), family=family, offset=logit(p)).fit(tol=1e-12).params[0]
    assert ours["calibration_slope"] == pytest.approx(slope, abs=1e-6)
    assert ours["calibration_intercept"] == pytest.approx(large, abs=1e-6)


def test_error_from_scikit_learns_bins():
    y, p = overconfident(300, 1)
    observed, mean = calibration_curve(y, p, n_bins=10, strategy="uniform")
    counts = np.histogram(p, bins=np.linspace(0, 1, 11))[0]
    expected = np.abs(observed - mean) @ counts[counts > 0] / 300
    assert point_estimates(make_sample(y, p), NAMES)["calibration_error"] == pytest.approx(expected)


def test_points_like_scikit_learns_quantile_bins():
    y, p = overconfident(200, 2)
    table = calibration_points(make_sample(y, p), bins=10)
    observed, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    assert table["n"].tolist() == [20] * 10
    assert table["probability"].to_numpy() == pytest.approx(mean, abs=1e-9)
    assert table["observed"].to_numpy() == pytest.approx(observed, abs=1e-9)


def test_points_keep_tied_scores_together():
    y, p = overconfident(100, 3, grid=4)
    table = calibration_points(make_sample(y, p), bins=10)
    assert table["n"].sum() == 100
    assert table["probability"].is_unique
    assert len(table) <= len(np.unique(p))


def test_perfectly_calibrated_scores():
    rng = np.random.default_rng(4)
    p = expit(rng.normal(size=20_000))
    ours = point_estimates(make_sample((rng.random(20_000) < p).astype(int), p), NAMES)
    assert ours["calibration_slope"] == pytest.approx(1, abs=0.06)
    assert ours["calibration_intercept"] == pytest.approx(0, abs=0.05)
    assert ours["calibration_error"] < 0.02


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_certain_scores_are_survived(edge):
    y, p = overconfident(40, 5)
    p[7] = edge
    ours = point_estimates(make_sample(y, p), NAMES)
    assert all(np.isfinite(list(ours.values())))
