"""What an external validation computes: aggregates, case mix, membership, recalibration."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from bidsapp.contracts.recalibration import Recalibration
from bidsapp.errors import BadData
from bidsapp.evaluation.aggregates import (
    CELL,
    cohort_aggregates,
    compare_with_aggregates,
    held_out_facts,
)
from bidsapp.evaluation.case_mix import explain_drop, model_based_auc
from bidsapp.evaluation.membership import (
    correlation_of,
    membership,
    membership_from_aggregates,
)
from bidsapp.evaluation.recalibration import cross_validated, fit_recalibration
from bidsapp.evaluation.sample import make_sample


def logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("seed", range(20))
def test_no_cell_of_fewer_than_five_people_can_be_told_or_worked_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = int(rng.integers(10, 40))
    shares = rng.dirichlet(np.full(5, 0.5))
    site = rng.choice([*"abcd", "n/a"], people, p=shares)
    age = rng.integers(20, 60, people).astype(str)
    age[: rng.integers(0, 7)] = "n/a"
    table = pd.DataFrame({"site": site, "age": age})
    told = {one["column"]: one for one in cohort_aggregates(table, ["site", "age"])}
    if "site" in told:
        counts = told["site"]["counts"]
        assert min(counts.values()) >= CELL
        missing = people - sum(counts.values())  # the number of all people is in the bundle
        assert missing == 0 or missing >= CELL
    if "age" in told and told["age"]["n"] is not None:
        assert told["age"]["n"] >= 2 * CELL
        assert people - told["age"]["n"] == 0 or people - told["age"]["n"] >= CELL


def test_new_people_outside_of_what_training_saw_are_counted() -> None:
    training = pd.DataFrame({"age": [str(a) for a in range(20, 60)], "sex": ["F", "M"] * 20})
    told = cohort_aggregates(training, ["age", "sex"])
    new = pd.DataFrame({"age": ["30", "57", "58", "90"], "sex": ["F", "F", "F", "X"]})
    table = compare_with_aggregates(told, new)
    assert table[table["column"] == "age"]["outside"].tolist() == [2]  # 58 and 90; 57 is the mean
    assert table[table["column"] == "sex"]["outside"].iloc[0] == 1


def test_expected_auc_is_that_of_all_pairs_weighted_by_what_the_probabilities_say() -> None:
    x = np.round(np.random.default_rng(0).normal(0, 1.5, 60), 1)  # with ties
    p = logistic(x)
    weight = p[:, None] * (1 - p[None, :])
    np.fill_diagonal(weight, 0)
    wins = (x[:, None] > x[None, :]) + 0.5 * (x[:, None] == x[None, :])
    assert model_based_auc(x) == pytest.approx((weight * wins).sum() / weight.sum())


def drawn(rng: np.random.Generator, spread: float, slope: float, n: int = 4000):  # type: ignore[no-untyped-def]
    x = rng.normal(0, spread, n)
    return logistic(x), rng.random(n) < logistic(slope * x)


def auc_of(outcome: np.ndarray, p: np.ndarray) -> float:
    ranks = pd.Series(p).rank().to_numpy()
    n = outcome.sum()
    return float((ranks[outcome].sum() - n * (n + 1) / 2) / (n * (len(p) - n)))


@pytest.mark.parametrize(
    ("spread", "slope", "people_cost", "model_costs"),
    [(0.7, 1.0, True, False), (1.6, 0.4, False, True), (0.7, 0.4, True, True)],
)
def test_a_drop_is_laid_on_the_people_or_on_the_model(
    spread: float, slope: float, people_cost: bool, model_costs: bool
) -> None:
    rng = np.random.default_rng(1)
    p, outcome = drawn(rng, 1.6, 1.0)
    told = held_out_facts(make_sample(outcome, p), 1.0)
    new, truth = drawn(rng, spread, slope)
    value = auc_of(truth, new)
    drop = explain_drop(told, new[:, None], truth, (value, value - 0.01, value + 0.01))
    assert (drop.case_mix < -0.05) == people_cost
    assert (drop.model < -0.05) == model_costs
    assert abs(drop.case_mix) < 0.02 or people_cost
    assert abs(drop.model) < 0.02 or model_costs
    assert drop.together == 0  # of one model
    assert drop.chance != model_costs
    assert drop.table["auc"].iloc[0] + drop.case_mix + drop.model == pytest.approx(value)


def cohort(rng: np.random.Generator, age: float, share: float, n: int = 80) -> pd.DataFrame:
    ages = [f"{a:.0f}" for a in rng.normal(age, 10, n)]
    return pd.DataFrame({"age": ages, "sex": np.where(rng.random(n) < share, "F", "M")})


def test_cohorts_that_are_alike_cannot_be_told_apart_and_others_can() -> None:
    rng = np.random.default_rng(2)
    first = cohort(rng, 40, 0.5)
    alike = membership(first, cohort(rng, 40, 0.5), ["age", "sex"]).iloc[0]
    assert alike["ci_low"] < 0.5 < alike["ci_high"]
    apart = membership(first, cohort(rng, 65, 0.9), ["age", "sex"]).iloc[0]
    assert apart["auc"] > 0.95
    few = membership(first, first.head(4), ["age", "sex"]).iloc[0]
    assert np.isnan(few["auc"])
    assert "needs 5" in few["note"]


def test_averaging_fold_models_is_told_apart_from_case_mix() -> None:
    """Noisy single models of the same people: nothing goes with the people or with the model."""
    rng = np.random.default_rng(5)
    x = rng.normal(0, 1.5, 2000)
    truth = rng.random(2000) < logistic(x)
    per_model = logistic(0.6 * (x[:, None] + rng.normal(0, 1.5, (2000, 6))))
    told = held_out_facts(make_sample(truth, per_model[:, 0]), 1.0)
    value = auc_of(truth, per_model.mean(axis=1))
    drop = explain_drop(told, per_model, truth, (value, value - 0.01, value + 0.01))
    assert abs(drop.case_mix) < 0.02
    assert drop.chance
    assert drop.together > 0.05


@pytest.mark.parametrize(("age", "share"), [(40, 0.5), (48, 0.5), (65, 0.5)])
def test_aggregates_alone_tell_cohorts_apart_as_their_people_do(age: float, share: float) -> None:
    rng = np.random.default_rng(6)
    first, second = cohort(rng, 40, 0.5, 400), cohort(rng, age, share, 400)
    for table in (first, second):  # a second number that says the same again
        table["weight"] = (table["age"].astype(float) * 2 + rng.normal(0, 1, 400)).astype(str)
    names = ["age", "weight"]
    told = {
        "people": 400,
        "columns": cohort_aggregates(first, names),
        "correlation": correlation_of(first, names),
    }
    alone = float(membership_from_aggregates(told, second)["auc"].iloc[0])
    row = membership(first, second, names).iloc[0]
    assert alone == pytest.approx(max(row["auc"], 0.5), abs=0.04)


@pytest.mark.parametrize("kind", ["intercept", "slope"])
def test_a_recalibration_is_the_logistic_regression_that_statsmodels_fits(kind: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 300)
    outcome = (rng.random(300) < logistic(0.5 * x - 1)).astype(int)
    found = fit_recalibration(outcome, logistic(x), kind)
    one = np.ones((300, 1))
    if kind == "intercept":
        fit = sm.GLM(outcome, one, sm.families.Binomial(), offset=x).fit()
        wanted = (fit.params[0], 1.0)
    else:
        fit = sm.GLM(outcome, np.c_[one, x], sm.families.Binomial()).fit()
        wanted = tuple(fit.params)
    assert (found.intercept, found.slope) == pytest.approx(wanted, abs=1e-6)


def test_a_recalibration_refuses_to_turn_people_round() -> None:
    p = np.linspace(0.01, 0.99, 21)
    with pytest.raises(BadData):
        Recalibration.of({"kind": "slope", "intercept": 0, "slope": -1})
    outcome = (p < 0.4).astype(int)
    outcome[[0, 20]] = outcome[[20, 0]]
    with pytest.raises(ValueError, match="do not rise"):
        fit_recalibration(outcome, p, "slope")


def test_nobody_is_recalibrated_by_coefficients_fitted_on_them() -> None:
    rng = np.random.default_rng(4)
    names = [f"sub-{i // 2:03d}" for i in range(120)]  # two scans each
    outcome = np.repeat(rng.random(60) < 0.4, 2).astype(int)
    rows = pd.DataFrame(
        {"participant_id": names, "outcome": outcome, "probability": rng.uniform(0.1, 0.9, 120)}
    )
    found = cross_validated(rows, "intercept")
    assert found.groupby("participant_id")["fold"].nunique().eq(1).all()
    for fold, held in found.groupby("fold"):
        others = rows[found["fold"] != fold]
        fit = fit_recalibration(
            others["outcome"].to_numpy(), others["probability"].to_numpy(), "intercept"
        )
        assert held["probability"].to_numpy() == pytest.approx(
            fit.apply(rows.loc[held.index, "probability"].to_numpy())
        )
