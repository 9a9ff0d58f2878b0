"""People lost for want of an outcome: who they are, and what weighing those kept gives back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.missing_outcomes import FILE, kept_weights, weighted_auc
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.tsv import read_table
from tests.unit.evaluation_runs import write_run

PLAN = EvaluationSettings(clinical=("age",), resamples=0, permutations=50)


def lost_table(ages: list[str], first: int = 900) -> pd.DataFrame:
    people = [f"sub-{first + k:03d}" for k in range(len(ages))]
    return pd.DataFrame(
        {"participant_id": people, "session_id": "n/a", "reason": "no outcome", "age": ages}
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    ages = [f"{40 + 15 * v:.0f}" for v in rng.normal(size=48)]
    return write_run(tmp_path / "run", n=48, folds=4, covariates={"age": ages})


def test_weights_give_back_what_was_lost_by_a_column() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    age = rng.normal(size=n)
    outcome = rng.random(n) < 1 / (1 + np.exp(-age))
    # the score is good in the old and poor in the young, who are lost
    score = outcome * np.where(age > 0, 1.5, 0.2) + rng.normal(size=n)
    inside = rng.random(n) < 1 / (1 + np.exp(-1.5 * age))
    both = pd.DataFrame({"age": [f"{v:.4f}" for v in age]})
    weights = kept_weights(both, inside, ["age"])
    assert weights.mean() == pytest.approx(1)
    y, s = outcome[inside].astype(float), score[inside]
    truth = roc_auc_score(outcome, score)
    plain, weighted = weighted_auc(y, s, np.ones(len(y))), weighted_auc(y, s, weights)
    assert abs(plain - truth) > 0.03
    assert abs(weighted - truth) < 0.012
    assert abs(weights @ y / weights.sum() - outcome.mean()) < 0.02
    assert y.mean() - outcome.mean() > 0.1


def test_the_weighted_auc_is_the_known_one() -> None:
    rng = np.random.default_rng(2)
    outcome, score = rng.integers(0, 2, 60).astype(float), rng.integers(0, 9, 60) / 9
    weights = rng.uniform(0.2, 3, 60)
    expected = roc_auc_score(outcome, score, sample_weight=weights)
    assert weighted_auc(outcome, score, weights) == pytest.approx(expected)
    assert np.isnan(weighted_auc(np.ones(3), score[:3], weights[:3]))


def test_who_was_lost_is_compared_and_said(run: Path) -> None:
    rng = np.random.default_rng(3)
    lost = lost_table([f"{65 + 5 * v:.0f}" for v in rng.normal(size=12)])
    lost.to_csv(run / FILE, sep="\t", index=False)
    result = evaluate(run, PLAN)
    told = result.tables["findings"]
    (text,) = told.loc[told["kind"] == "lost", "text"]
    assert text.startswith("12 of 60 people with a prepared scan have no outcome (20%); they ")
    assert "differ most in age (standardised difference" in text
    assert "weighted by age to stand for all" in text
    table = read_table(run / "tables" / "lost.tsv", ("column", "first", "second"))
    assert list(table["column"]) == ["age"]
    weighted = result.tables["weighted"]
    assert set(weighted["measure"]) == {"auc", "brier", "positive"}
    assert (weighted["n_effective"] < weighted["n"]).all()
    assert (weighted["n"] == 48).all()
    assert (weighted["lost"] == 12).all()


def test_nobody_lost_changes_nothing(run: Path) -> None:
    result = evaluate(run, PLAN)
    assert not {"lost", "weighted"} & set(result.tables)
    assert "lost" not in set(result.tables["findings"]["kind"])


def test_too_few_and_no_column_are_said(run: Path) -> None:
    lost_table(["70", "71"]).to_csv(run / FILE, sep="\t", index=False)
    told = evaluate(run, PLAN).tables
    (text,) = told["findings"].loc[told["findings"]["kind"] == "lost", "text"]
    assert text == ("2 of 50 people with a prepared scan have no outcome (4%); too few to compare.")
    assert "weighted" not in told
    lost = lost_table(["70"] * 8).drop(columns="age")
    lost.to_csv(run / FILE, sep="\t", index=False)
    told = evaluate(run, replace(PLAN, clinical=())).tables
    (text,) = told["findings"].loc[told["findings"]["kind"] == "lost", "text"]
    assert text.endswith("no column to weigh by is known of both (evaluation.clinical).")
