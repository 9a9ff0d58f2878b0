"""Riley's criteria: the published example, what an AUC means in R squared, what is said."""

import numpy as np
import pytest

from bidsapp.evaluation.sample_size import (
    cox_snell,
    parameters_borne,
    people_needed,
    riley_words,
)


def test_the_published_example_comes_out() -> None:
    # pmsampsize(type = "b", csrsquared = 0.288, parameters = 24, prevalence = 0.174)
    assert people_needed(24, 0.288, 0.174) == (623, 662, 221)
    # the abstract of Riley et al. 2019: at least 4.8 events for each parameter (Chagas disease)
    assert round(662 * 0.174 / 24, 1) == 4.8


def test_r_squared_of_an_auc_is_that_of_a_simulation() -> None:
    rng, n, share, auc = np.random.default_rng(0), 400_000, 0.3, 0.75
    from scipy.stats import norm

    distance = np.sqrt(2) * norm.ppf(auc)
    y = rng.random(n) < share
    x = rng.normal(distance * y, 1)
    odds = np.log(share / (1 - share)) + distance * x - distance**2 / 2
    gain = -np.logaddexp(0, np.where(y, -odds, odds)).mean()
    null = share * np.log(share) + (1 - share) * np.log(1 - share)
    assert cox_snell(auc, share) == pytest.approx(1 - np.exp(-2 * (gain - null)), abs=0.002)
    assert cox_snell(0.5, 0.3) == pytest.approx(0, abs=1e-9)


def test_parameters_borne_are_those_that_need_no_more_people() -> None:
    r2 = cox_snell(0.7, 0.4)
    most = parameters_borne(128, r2, 0.4)
    assert max(people_needed(most, r2, 0.4)[:2]) <= 128
    assert max(people_needed(most + 1, r2, 0.4)[:2]) > 128


def test_it_is_said_whether_people_are_enough() -> None:
    few = riley_words(55, 73, 4, 0.7)
    assert "128 people bear 1 parameter;" in few
    assert "128 are too few" in few
    assert "2000 are enough" in riley_words(800, 1200, 4, 0.7)
    assert "too few of a class" in riley_words(0, 3, 1, 0.7)
