"""What a network adds to clinical columns: stacking without a leak, gains, their sentences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bidsapp.errors import BadData
from bidsapp.evaluation.added_value import added_value, likelihood_ratio, reclassified
from bidsapp.evaluation.added_value_tables import added_sentences, added_values
from bidsapp.evaluation.evaluate import evaluate
from bidsapp.evaluation.held_out import HeldOut, held_out
from bidsapp.evaluation.planning import added_auc_error, added_auc_power
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.stacking import Stack, stacked_scores
from bidsapp.evaluation.state import RunState, read_state
from tests.unit.added_value_runs import memorised, write_added_run

PLAN = EvaluationSettings(clinical=("pain", "age", "sex"), resamples=0, permutations=50)
BOTH = Stack("clinical + base", ("pain", "age", "sex"), ("base",))


def measured(state: RunState, plan: EvaluationSettings = PLAN) -> pd.DataFrame:
    variants = state.scores["variant"].unique()
    layouts = {
        name: held_out(state.scores[state.scores["variant"] == name], state.splits)
        for name in variants
    }
    return added_values(state, plan, layouts).table


def area(scores: pd.DataFrame) -> float:
    return float(roc_auc_score(scores["outcome"], scores["probability"]))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    return read_state(write_added_run(tmp_path_factory.mktemp("runs") / "noisy", sure=4))


def test_a_network_that_memorises_gets_no_weight_from_its_training_people(
    noisy: RunState, tmp_path: Path
) -> None:
    clinical = stacked_scores(
        noisy.cohort, noisy.splits, Stack("clinical", BOTH.columns), noisy.scores, noisy.scores
    )
    both = stacked_scores(noisy.cohort, noisy.splits, BOTH, noisy.scores, noisy.crossfit)
    assert area(both) > area(clinical) - 0.06
    # the same network by its logits of the people whom it learned by heart: pain counts little
    run = write_added_run(tmp_path / "wrong", inner=memorised, sure=4)
    wrong = read_state(run)
    assert wrong.scores.equals(noisy.scores)
    in_sample = stacked_scores(wrong.cohort, wrong.splits, BOTH, wrong.scores, wrong.crossfit)
    assert area(in_sample) < area(clinical) - 0.15


def test_a_score_of_an_inner_network_that_saw_the_person_is_refused(tmp_path: Path) -> None:
    run = write_added_run(tmp_path / "run", n=16, folds=2, inner_folds=2)
    path = run / "crossfit_scores.tsv"
    table = pd.read_csv(path, sep="\t", na_filter=False)
    table.assign(inner=1 - table["inner"]).to_csv(path, sep="\t", index=False)
    with pytest.raises(
        BadData, match=r"crossfit_scores.tsv: line 2: sub-.* does not hold them out"
    ):
        read_state(run)


def test_a_score_of_a_person_whom_the_fold_tests_is_refused(tmp_path: Path) -> None:
    run = write_added_run(tmp_path / "run", n=16, folds=2, inner_folds=2)
    path = run / "crossfit_scores.tsv"
    table = pd.read_csv(path, sep="\t", na_filter=False)
    table["fold"] = 3 - table["fold"]  # whom the fold holds out, scored for its training
    table.to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match="does not hold them out"):
        read_state(run)


@pytest.mark.parametrize("model", ["logistic", "xgboost"])
def test_nothing_of_a_fold_is_fitted_on_whom_it_tests(noisy: RunState, model: str) -> None:
    tested = noisy.splits[(noisy.splits["fold"] == 1) & (noisy.splits["role"] == "test")]
    mine = noisy.cohort["participant_id"].isin(tested["participant_id"])
    truth = noisy.cohort["outcome"]
    turned = noisy.cohort.assign(outcome=truth.where(~mine, 1 - truth))
    stack = replace(BOTH, model=model)
    first, second = (
        stacked_scores(cohort, noisy.splits, stack, noisy.scores, noisy.crossfit)
        for cohort in (noisy.cohort, turned)
    )
    same = (first["probability"] == second["probability"]) & (first["fold"] == 1)
    assert same.sum() == mine.sum()


def test_a_missing_inner_score_is_named(noisy: RunState) -> None:
    with pytest.raises(BadData, match=r"base, repeat 1, fold 1: no score of sub-"):
        stacked_scores(noisy.cohort, noisy.splits, BOTH, noisy.scores, noisy.crossfit.iloc[1:])


@pytest.mark.parametrize("model", ["logistic", "random_forest"])
def test_a_network_that_knows_something_else_is_found(tmp_path: Path, model: str) -> None:
    small = {"folds": 2, "inner_folds": 2} if model != "logistic" else {}
    run = write_added_run(tmp_path / "run", n=200, effect=2.5, pain=0.7, **small)
    state = read_state(run)
    plan = replace(PLAN, clinical_model=model)
    rows = measured(state, plan).set_index("measure")
    assert rows.loc["auc", "found"] == "adds"
    assert (rows.loc[["auc", "brier", "log_likelihood", "net_benefit"], "ci_low"] > 0).all()
    assert rows.loc["likelihood_ratio", "p"] < 1e-6
    (sentence,) = added_sentences(measured(state, plan), plan)
    assert sentence.startswith("Beyond pain, age and sex the scan adds 0.")
    assert sentence.endswith("): shown to add to what is known.")


def test_noise_is_not_found(noisy: RunState) -> None:
    (sentence,) = added_sentences(measured(noisy), PLAN)
    assert sentence.endswith("): not shown to add anything.")


def test_gains_are_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "participant_id": [f"sub-{k}" for k in range(40)],
            "session_id": "n/a",
            "variant": "one",
            "repeat": 0,
            "fold": 0,
            "outcome": np.arange(40) % 2,
        }
    )
    first, second = (people.assign(probability=rng.uniform(0.05, 0.95, 40)) for _ in range(2))
    found = added_value(first, second, second, HeldOut(), (0.3, 0.5)).set_index("measure")
    y, p, q = people["outcome"], first["probability"], second["probability"]
    assert found.loc["auc", "gain"] == pytest.approx(area(second) - area(first))
    assert found.loc["brier", "gain"] == pytest.approx(
        ((p - y) ** 2).mean() - ((q - y) ** 2).mean()
    )
    likely = [np.log(np.where(y == 1, one, 1 - one)).mean() for one in (p, q)]
    assert found.loc["log_likelihood", "gain"] == pytest.approx(likely[1] - likely[0])
    grid = np.linspace(0.3, 0.5, 41)
    worth = [
        np.mean([((y - (1 - y) * t / (1 - t)) * (one >= t)).mean() for t in grid]) for one in (p, q)
    ]
    assert found.loc["net_benefit", "gain"] == pytest.approx(worth[1] - worth[0])
    # allowing for training on other people widens every interval by the root of the factor
    wide = added_value(first, second, second, HeldOut(4.0, 2, 1), (0.3, 0.5)).set_index("measure")
    for name in ("brier", "log_likelihood", "net_benefit"):
        arm = [one.loc[name, "gain"] - one.loc[name, "ci_low"] for one in (found, wide)]
        assert arm[1] == pytest.approx(2 * arm[0])


def test_rows_of_one_person_count_as_one(tmp_path: Path) -> None:
    state = read_state(write_added_run(tmp_path / "run", n=40, folds=2, sessions=2))
    stack = Stack("clinical", ("pain",))
    first = stacked_scores(state.cohort, state.splits, stack, state.scores, state.scores)
    visits = first["session_id"] == "ses-2"
    second = first.assign(probability=first["probability"].clip(0.2, 0.8))
    whole = added_value(first, second, state.scores, HeldOut(), (0.1, 0.5)).set_index("measure")
    half = added_value(
        first[visits],
        second[visits],
        state.scores[state.scores["session_id"] == "ses-2"],
        HeldOut(),
        (0.1, 0.5),
    ).set_index("measure")
    # the second visit has the pain of the first: it tells nothing new
    for name in ("auc", "brier", "log_likelihood", "net_benefit"):
        assert whole.loc[name, "ci_low"] == pytest.approx(half.loc[name, "ci_low"], abs=1e-9)
        assert whole.loc[name, "n"] == 40


def test_the_likelihood_ratio_is_that_of_the_regressions() -> None:
    rng = np.random.default_rng(3)
    y = (np.arange(80) % 2).astype(bool)
    first, added = 0.8 * y + rng.normal(size=80), 0.5 * y + rng.normal(size=80)
    fits = []
    for design in (first[:, None], np.column_stack([first, added])):
        fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(design, y)
        chance = fit.predict_proba(design)[:, 1]
        fits.append(np.log(np.where(y, chance, 1 - chance)).sum())
    chance, who = 1 / (1 + np.exp(-first)), np.arange(80).astype(str)
    plain, _, _ = likelihood_ratio(y, chance, added[:, None], who, HeldOut())
    assert plain == pytest.approx(2 * (fits[1] - fits[0]), rel=1e-4)
    divided, p, note = likelihood_ratio(y, chance, added[:, None], who, HeldOut(2.0, 2, 1))
    assert divided == pytest.approx(plain / 2, rel=1e-6)
    assert p > 0.0
    assert "divided by 2.00" in note


def test_reclassification_counts_everybody_once(noisy: RunState) -> None:
    both = stacked_scores(noisy.cohort, noisy.splits, BOTH, noisy.scores, noisy.crossfit)
    table = reclassified(both, both, (0.1, 0.5))
    assert table["n"].sum() == len(noisy.cohort)
    assert (table.loc[table["risk_first"] != table["risk_second"], "n"] == 0).all()


def test_the_plans_error_is_that_of_simulated_scores() -> None:
    rng = np.random.default_rng(1)
    gains = []
    small, large = np.sqrt(2) * 0.5244, np.sqrt(2) * 0.7722  # AUC .70 and .78
    more = np.sqrt(large**2 - small**2)
    truth = np.arange(120) < 60
    for _ in range(300):
        first, other = rng.normal(size=(2, 120)) + np.array([[small], [more]]) * truth
        both = small * first + more * other
        gains.append(roc_auc_score(truth, both) - roc_auc_score(truth, first))
    assert np.mean(gains) == pytest.approx(0.08, abs=0.008)
    assert added_auc_error(0.08, 0.70, 60, 60) == pytest.approx(np.std(gains), rel=0.1)


def test_the_plan_promises_more_to_larger_cohorts_and_gains() -> None:
    powers = [added_auc_power(gain, 0.7, n, n, 2.0) for n in (30, 60, 150) for gain in (0.03, 0.08)]
    assert powers[0] < powers[2] < powers[4]
    assert powers[1] < powers[3] < powers[5]
    assert powers[0] < powers[1]
    assert added_auc_power(1e-6, 0.7, 30, 30) == pytest.approx(0.025, abs=0.002)


def test_a_run_writes_it_all_and_says_it_first(tmp_path: Path) -> None:
    run = write_added_run(tmp_path / "run", n=40, folds=2, variants=("base", "other"))
    plan = replace(PLAN, stack={"joint": ("base", "other")})
    result = evaluate(run, plan)
    assert set(result.tables["added_value_scores"]["variant"]) == {
        "clinical",
        "clinical + base",
        "clinical + other",
        "joint",
    }
    assert {"clinical", "clinical + base", "joint"} <= set(result.metrics["variant"])
    told = result.tables["findings"]
    added = told.loc[told["kind"] == "added", "text"].tolist()
    assert [text.split(" adds ")[0] for text in added] == [
        "Beyond pain, age and sex the scan (base)",
        "Beyond pain, age and sex the scan (other)",
        "Beyond base other",
    ]
    assert (run / "tables" / "added_value.tsv").is_file()
    assert (run / "tables" / "reclassification.tsv").is_file()


def test_without_inner_scores_the_reason_is_said(tmp_path: Path) -> None:
    run = write_added_run(tmp_path / "run", n=40, folds=2)
    (run / "crossfit_scores.tsv").unlink()
    told = evaluate(run, PLAN).tables["findings"]
    (text,) = told.loc[told["kind"] == "skipped", "text"].tolist()
    assert text.startswith("No added value of base: there are no scores of training people")


def test_a_clinical_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    run = write_added_run(tmp_path / "run", n=40, folds=2)
    told = evaluate(run, replace(PLAN, clinical=("pain", "agee"))).tables["findings"]
    (text,) = told.loc[told["kind"] == "skipped", "text"].tolist()
    assert text.startswith("No added value: no column agee")


def test_two_models_that_order_people_alike_do_not_rule_out_a_gain(noisy: RunState) -> None:
    rng = np.random.default_rng(5)
    stack = Stack("clinical", ("pain",))
    first = stacked_scores(noisy.cohort, noisy.splits, stack, noisy.scores, noisy.scores)
    moved = first["probability"] + rng.normal(scale=0.004, size=len(first))
    second = first.assign(probability=moved.clip(0, 1))
    found = added_value(first, second, noisy.scores, HeldOut(2.0, 4, 0.3), (0.1, 0.5))
    row = found.set_index("measure").loc["auc"]
    assert row["gain"] - row["ci_low"] < 0.03
    # of a true gain that large, so small a gain would be seen this rarely only
    true = row["ci_high"]
    error = np.sqrt(2) * added_auc_error(true, row["value_first"], 32, 32)
    assert true - row["gain"] == pytest.approx(1.96 * error, rel=0.01) or true > 0.12
