"""How often the 95 % intervals hold the true AUC, of given scores and of retrained models."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bidsapp.evaluation.bootstrap import (
    bca_limits,
    bootstrap_values,
    jackknife_values,
    strata_of,
)
from bidsapp.evaluation.estimates import auc_interval
from bidsapp.evaluation.held_out import HeldOut
from bidsapp.evaluation.metric_table import leading_rows
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.sample import make_sample


def binormal(auc, n, prevalence, rng):
    outcome = np.arange(n) < round(n * prevalence)
    shift = norm.ppf(auc) * np.sqrt(2)
    return outcome, norm.cdf(rng.normal(size=n) + shift * (outcome - 0.5))


@pytest.mark.parametrize("prevalence", [0.3, 0.5])
@pytest.mark.parametrize("n", [60, 128, 500])
@pytest.mark.parametrize("auc", [0.7, 0.85])
def test_delong_interval_covers(auc, n, prevalence):
    rng = np.random.default_rng([n, round(10 * prevalence)])
    held = 0
    for _ in range(1500):
        interval = auc_interval(*binormal(auc, n, prevalence, rng))
        held += interval.low <= auc <= interval.high
    assert 0.93 <= held / 1500 <= 0.97


@pytest.mark.parametrize("prevalence", [0.3, 0.5])
@pytest.mark.parametrize(("n", "repetitions"), [(60, 1000), (128, 1000), (500, 500)])
def test_bca_interval_covers(n, repetitions, prevalence):
    rng = np.random.default_rng([n, round(10 * prevalence)])
    held = 0
    for _ in range(repetitions):
        outcome, score = binormal(0.75, n, prevalence, rng)
        sample = make_sample(outcome.astype(int), score)
        strata = strata_of(sample)
        limits = bca_limits(
            point_estimates(sample, ("auc",))["auc"],
            bootstrap_values(sample, ["auc"], strata, 500, rng)["auc"],
            jackknife_values(sample, ["auc"])["auc"],
            strata,
        )
        assert limits is not None
        held += limits[0] <= 0.75 <= limits[1]
    assert 0.93 <= held / repetitions <= 0.97


def cross_validated(n, features, distance, rng):
    """Out-of-fold scores of 8 discriminant analyses, and the mean true AUC of the eight."""
    outcome = np.arange(n) % 2
    image = rng.normal(size=(n, features))
    image[:, 0] += distance * outcome
    fold = np.empty(n, dtype=int)
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(outcome == label))
        fold[members] = np.arange(len(members)) % 8
    score, truth = np.empty(n), []
    for k in range(8):
        train = fold != k
        means = [image[train & (outcome == label)].mean(axis=0) for label in (0, 1)]
        covariance = np.cov(image[train].T) + 0.1 * np.eye(features)
        weight = np.linalg.solve(covariance, means[1] - means[0])
        score[~train] = norm.cdf((image[~train] - (means[0] + means[1]) / 2) @ weight)
        truth.append(norm.cdf(weight[0] * distance / np.sqrt(2 * weight @ weight)))
    rows = {"participant_id": [f"sub-{i}" for i in range(n)], "session_id": "n/a", "repeat": 1}
    rows |= {"fold": fold, "outcome": outcome, "probability": score}
    return pd.DataFrame(rows), float(np.mean(truth))


@pytest.mark.parametrize(("n", "features", "distance"), [(60, 10, 0.9), (128, 10, 0.0)])
def test_widened_interval_covers_where_models_are_trained_anew(n, features, distance):
    rng = np.random.default_rng(n)
    found = []
    for _ in range(400):
        rows, truth = cross_validated(n, features, distance, rng)
        plain = auc_interval(rows["outcome"].to_numpy(bool), rows["probability"].to_numpy())
        wide = leading_rows(rows, HeldOut(inflation=1 + 8 / 7), 0.95)[0].iloc[0]
        found.append((truth, plain.low, plain.high, wide["ci_low"], wide["ci_high"]))
    truth, low, high, wide_low, wide_high = np.array(found).T
    aim = truth.mean()
    assert 0.93 <= ((wide_low <= aim) & (aim <= wide_high)).mean() <= 0.99
    assert ((low <= aim) & (aim <= high)).mean() < 0.92
