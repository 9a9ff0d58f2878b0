"""Baselines: fitted in the fold, honest about what they lack; confounds are found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

from bidsapp.errors import BadData
from bidsapp.evaluation.baseline_models import BASELINES, Baseline, design_table, in_fold_model
from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.evaluation.comparisons import compare_variants
from bidsapp.evaluation.confounds import confound_check, confound_sentences
from bidsapp.evaluation.metrics import point_estimates
from bidsapp.evaluation.sample import from_scores
from bidsapp.evaluation.state import read_state
from bidsapp.evaluation.thresholds import fitted_threshold, youden
from bidsapp.evaluation.verdicts import verdict
from bidsapp.training.columns import SCORES
from tests.unit.baseline_checks import CHECKS
from tests.unit.evaluation_runs import write_run

N = 60


def state_with(tmp_path, effect=1.5, **columns):
    return read_state(
        write_run(tmp_path, n=N, folds=5, variants=("axial",), effect=effect, covariates=columns)
    )


def informative(strength, seed=0):
    rng = np.random.default_rng(seed)
    return [round(float(v), 3) for v in rng.normal(size=N) + strength * (np.arange(N) % 2)]


def checked(scores, rivals, others=()):
    """Check axial against rivals, where it was compared with others too."""
    pairs = [("axial", name) for name in (*rivals, *others)]
    compared = compare_variants(scores, ("delong",), pairs=pairs)
    return confound_check(scores, compared, ["axial"], rivals)


def auc_of(scores, name):
    return point_estimates(from_scores(scores[scores["variant"] == name]), ("auc",))["auc"]


@pytest.mark.parametrize("name", ["logistic", "random_forest", "xgboost"])
def test_models_find_a_strong_column_and_not_noise(tmp_path, name):
    state = state_with(tmp_path, pain=informative(4), noise=informative(0, seed=1))
    found, _ = baseline_scores(state.cohort, state.splits, [name], ["pain", "noise"])
    assert list(found.columns) == list(SCORES)
    assert len(found) == N
    assert auc_of(found, name) > 0.95
    blind, _ = baseline_scores(state.cohort, state.splits, [name], ["noise"])
    assert 0.25 < auc_of(blind, name) < 0.75


def test_majority_is_constant_in_a_fold_and_age_and_sex_are_found_by_name(tmp_path):
    sex = ["F" if i % 4 < 2 else "M" for i in range(N)]
    state = state_with(tmp_path, Age=informative(3), SEX=sex)
    found, skipped = baseline_scores(state.cohort, state.splits, ["majority", "age_sex"])
    assert not skipped
    majority = found[found["variant"] == "majority"]
    assert (majority.groupby("fold")["probability"].nunique() == 1).all()
    assert auc_of(found, "age_sex") > 0.9


def test_missing_values_and_unseen_categories_are_survived(tmp_path):
    pain = [*informative(3)]
    pain[5] = pain[17] = "n/a"
    centre = ["A", "B"] * (N // 2)
    centre[3] = "only once"
    state = state_with(tmp_path, pain=pain, centre=centre, empty=["n/a"] * N)
    found, skipped = baseline_scores(
        state.cohort, state.splits, ["logistic", "xgboost"], ["pain", "centre", "empty"]
    )
    assert not skipped
    assert found["probability"].between(0, 1).all()


def test_imputation_and_scaling_see_the_training_fold_only(tmp_path):
    pain = informative(1)
    state = state_with(tmp_path, pain=pain)
    held_out = state.splits[(state.splits["fold"] == 1) & (state.splits["role"] == "test")]
    ids = state.cohort["participant_id"]
    inside = ids.isin(held_out["participant_id"].iloc[:1])
    wild = state.cohort.assign(pain=np.where(inside, "1e6", state.cohort["pain"]))
    before, _ = baseline_scores(state.cohort, state.splits, ["logistic"], ["pain"])
    after, _ = baseline_scores(wild, state.splits, ["logistic"], ["pain"])
    same_fold = (before["fold"] == 1) & ~before["participant_id"].isin(ids[inside])
    assert (before[same_fold]["probability"] == after[same_fold]["probability"]).all()
    assert (before["probability"] != after["probability"]).any()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline(check, name):
    check(name)


def test_a_baseline_that_breaks_a_rule_fails_its_check(monkeypatch):
    """The checks see a baseline that no test names: they are asked of whatever is registered."""

    draws = np.random.default_rng(0)

    class Luck(DummyClassifier):
        def predict_proba(self, table):
            return draws.random((len(table), 2))

    monkeypatch.setitem(BASELINES, "luck", Baseline(Luck, BASELINES["majority"].columns))
    for broken in CHECKS[1:5] + CHECKS[6:]:
        with pytest.raises(AssertionError):
            broken("luck")


@pytest.mark.parametrize(
    ("name", "predictors", "reason"),
    [
        ("logistic", (), "evaluation.predictors"),
        ("logistic", ("nope",), "no column nope in"),
        ("logistic", ("outcome",), "may not be a predictor"),
        ("logistic", ("participant_id",), "may not be a predictor"),
        ("age_sex", (), "age and sex"),
        ("site", (), "evaluation.site"),
        ("regions", (), "region_"),
        ("oracle", (), "unknown baseline"),
    ],
)
def test_what_cannot_be_fitted_is_skipped_with_its_reason(tmp_path, name, predictors, reason):
    state = state_with(tmp_path, pain=informative(1))
    scores, skipped = baseline_scores(state.cohort, state.splits, [name], predictors)
    assert scores.empty
    assert pd.Series([skipped[name]]).str.contains(reason).all()


def test_columns_to_choose_from_are_those_of_the_person_and_not_regions_by_the_hundred(tmp_path):
    regions = {f"region_volume_{place}": informative(1) for place in range(3)}
    state = state_with(tmp_path, pain=informative(1), **regions)
    _, skipped = baseline_scores(state.cohort, state.splits, ["logistic"], ["nope"])
    assert skipped["logistic"] == "no column nope in cohort.tsv; there are pain"


def test_a_fold_that_trains_on_one_class_is_skipped_with_its_reason(tmp_path):
    state = state_with(tmp_path, pain=informative(1))
    positives = state.cohort.loc[state.cohort["outcome"] == 1, "participant_id"]
    role = np.where(state.splits["participant_id"].isin(positives), "test", "train")
    scores, skipped = baseline_scores(
        state.cohort, state.splits.assign(role=role), ["logistic"], ["pain"]
    )
    assert scores.empty
    assert "one class" in skipped["logistic"]


def test_variants_with_their_own_splits_have_their_own_baselines(tmp_path):
    state = state_with(tmp_path, pain=informative(2))
    both = pd.concat([state.splits.assign(variant=name) for name in ("axial", "seed53")])
    found, _ = baseline_scores(state.cohort, both, ["logistic"], ["pain"], base="axial")
    assert set(found["variant"]) == {"logistic", "seed53/logistic"}


def test_a_planted_confound_is_flagged_and_an_innocent_one_is_not(tmp_path):
    site = ["A" if (i % 2) ^ (i % 10 == 0) else "B" for i in range(N)]
    state = state_with(tmp_path, effect=1.0, centre=site, quality_ncc=informative(0, seed=3))
    found, skipped = baseline_scores(state.cohort, state.splits, ["site", "quality"], site="centre")
    assert not skipped
    table = checked(pd.concat([state.scores, found]), ["site", "quality"])
    assert dict(zip(table["confound"], table["flagged"], strict=True)) == {
        "site": True,
        "quality": False,
    }
    (sentence,) = confound_sentences(table)
    assert sentence.startswith("CONFOUND: site alone predicts")


def test_a_confound_that_the_network_clearly_beats_is_not_flagged(tmp_path):
    state = state_with(tmp_path, effect=8.0, quality_ncc=informative(1.0, seed=4))
    found, _ = baseline_scores(state.cohort, state.splits, ["quality"])
    table = checked(pd.concat([state.scores, found]), ["quality"])
    assert table.loc[0, "ci_low"] > 0.5
    assert not table.loc[0, "flagged"]
    assert table.loc[0, "verdict"] == "better"


def test_a_difference_that_correction_undoes_is_no_claim(tmp_path):
    """The interval lies above 0, but so it does for one of so many comparisons by chance."""
    state = state_with(tmp_path, effect=2.0, quality_ncc=informative(1.2, seed=4))
    found, _ = baseline_scores(state.cohort, state.splits, ["quality"])
    rng = np.random.default_rng(0)
    names = [f"alike{number}" for number in range(60)]
    alike = [
        state.scores.assign(
            variant=name, probability=state.scores["probability"] + rng.normal(scale=0.05, size=N)
        )
        for name in names
    ]
    scores = pd.concat([state.scores, found, *alike])
    alone = checked(scores, ["quality"]).loc[0]
    among = checked(scores, ["quality"], names).loc[0]
    assert alone["difference_low"] == among["difference_low"] > 0
    assert alone["p_holm"] == alone["p"] == among["p"] < 0.05 < among["p_holm"]
    assert (alone["verdict"], alone["flagged"]) == ("better", False)
    assert (among["verdict"], among["flagged"]) == ("better, uncorrected", True)
    (sentence,) = confound_sentences(pd.DataFrame([among]))
    corrected = f"(p = {among['p_holm']:.3f}, Holm)."
    assert sentence.endswith(
        f"is not shown to do better after correction for 61 comparisons {corrected}"
    )


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "says"),
    [
        (0.03, 0.39, 0.155, "better, uncorrected"),
        (0.03, 0.39, 0.049, "better"),
        (-0.39, -0.03, 0.155, "worse, uncorrected"),
        (-0.39, -0.03, 0.049, "worse"),
        (-0.01, 0.39, 0.07, "no difference shown"),
        (np.nan, np.nan, np.nan, "cannot be told"),
    ],
)
def test_a_claim_needs_the_interval_and_the_corrected_p(low, high, p_holm, says):
    assert verdict(low, high, p_holm) == says


@pytest.mark.parametrize("column", ["quality_of_life", "Quality", "motion_sickness"])
def test_a_users_own_column_is_no_quality_of_an_image(tmp_path, column):
    state = state_with(tmp_path, **{column: informative(5.0)})
    found, _ = baseline_scores(state.cohort, state.splits, ["quality"])
    assert auc_of(found, "quality") == 0.5  # the verdict is "pass" of everybody


@pytest.mark.parametrize("column", ["framewise_displacement", "motion_mean_mm", "Motion_FD"])
def test_how_much_a_head_moved_is_quality(tmp_path, column):
    state = state_with(tmp_path, **{column: informative(5.0)})
    found, _ = baseline_scores(state.cohort, state.splits, ["quality"])
    assert auc_of(found, "quality") > 0.9


@pytest.mark.parametrize("column", ["region", "regional_pain", "region_of_birth"])
def test_a_users_own_column_is_no_regional_measure(tmp_path, column):
    state = state_with(tmp_path, **{column: informative(5.0)})
    found, skipped = baseline_scores(state.cohort, state.splits, ["regions"])
    assert found.empty
    assert "region_*" in skipped["regions"]


def test_every_baseline_of_the_recipes_exists():
    from typing import get_args

    from bidsapp.recipes.known_names import Baseline

    assert set(get_args(Baseline)) == set(BASELINES)


def test_numbers_and_categories_are_told_apart():
    cohort = pd.DataFrame({"a": ["1", "n/a", "2.5"], "b": ["x", "n/a", "1"], "c": ["n/a"] * 3})
    table, numbers, categories = design_table(cohort, ["a", "b", "c"])
    assert (numbers, categories) == (["a"], ["b", "c"])
    assert table["b"].tolist() == ["x", "missing", "1"]
    from sklearn.linear_model import LogisticRegression

    model = in_fold_model(LogisticRegression(), numbers, categories).fit(table, [0, 1, 0])
    assert model.predict_proba(table).shape == (3, 2)


def test_youden_finds_the_gap_and_prefers_the_middle():
    y = np.array([0, 0, 0, 1, 1, 1])
    assert youden(y, np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])) == pytest.approx(0.5)
    assert youden(y, np.array([0.01, 0.02, 0.03, 0.05, 0.06, 0.9])) == pytest.approx(0.04)
    assert np.isnan(youden(y, np.full(6, 0.5)))
    assert np.isnan(youden(np.ones(6), np.linspace(0, 1, 6)))


def test_the_fitted_threshold_of_a_fold_owes_nothing_to_that_fold(tmp_path):
    rows = state_with(tmp_path).scores
    before = fitted_threshold(rows)
    inside = rows["fold"] == 3
    tampered = rows.assign(
        outcome=np.where(inside, 1 - rows["outcome"], rows["outcome"]),
        probability=np.where(inside, 1 - rows["probability"], rows["probability"]),
    )
    after = fitted_threshold(tampered)
    assert (before[inside] == after[inside]).all()
    assert (before[~inside] != after[~inside]).any()
    assert fitted_threshold(rows[inside]).isna().all()
    assert fitted_threshold(rows, "none").isna().all()
    on_test = fitted_threshold(rows, "test_fold")
    own = rows[inside]
    assert on_test[inside].iloc[0] == youden(
        own["outcome"].to_numpy(), own["probability"].to_numpy()
    )


def measured_run(folder, shuffled=False):
    """A run whose measures tell the classes apart by one region, and by no quality number."""
    run = write_run(folder, n=60, variants=("axial",))
    cohort = pd.read_csv(run / "cohort.tsv", sep="\t", keep_default_na=False)
    rng = np.random.default_rng(0)
    measures = cohort[["participant_id", "session_id"]].assign(
        quality_ncc=rng.normal(0.8, 0.02, 60).round(4),
        **{
            "region_volume_0_0_8": rng.normal(size=60).round(4),
            "region_volume_-8_0_8": (3 * cohort["outcome"] + rng.normal(size=60)).round(4),
        },
    )
    measures = measures.sample(frac=1, random_state=3) if shuffled else measures
    measures.to_csv(run / "measures.tsv", sep="\t", index=False)
    return run


@pytest.mark.parametrize("shuffled", [False, True])
def test_regions_and_quality_come_from_the_measures_of_the_run(tmp_path, shuffled):
    state = read_state(measured_run(tmp_path, shuffled))
    names = ("regions", "quality")
    scores, skipped = baseline_scores(state.measured, state.splits, names)
    assert not skipped
    auc = {
        name: roc_auc_score(rows["outcome"], rows["probability"])
        for name, rows in scores.groupby("variant")
    }
    assert auc["regions"] > 0.9
    assert 0.3 < auc["quality"] < 0.7
    assert state.covariates == []  # 300 regions are no rows of Table 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.iloc[1:], "'sub-0000 n/a' of cohort.tsv has no row"),
        (lambda t: pd.concat([t, t.tail(1)]), "line 62 repeats line 61"),
        (lambda t: t.replace("sub-0007", "sub-7"), "line 9: 'sub-7 n/a' is not in cohort.tsv"),
    ],
)
def test_measures_of_other_people_are_refused(tmp_path, edit, message):
    path = measured_run(tmp_path) / "measures.tsv"
    edit(pd.read_csv(path, sep="\t", keep_default_na=False)).to_csv(path, sep="\t", index=False)
    with pytest.raises(BadData, match=message):
        read_state(tmp_path)


@pytest.mark.parametrize("value", ["inf", "-Infinity", "1e400"])
def test_an_infinite_predictor_is_missing(value):
    import pandas as pd

    from bidsapp.evaluation.baseline_models import BASELINES, design_table, in_fold_model

    cohort = pd.DataFrame({"crp": ["1", value, "3", "2.5"]}, dtype=object)
    table, numbers, categories = design_table(cohort, ["crp"])
    assert (numbers, categories) == (["crp"], [])
    model = in_fold_model(BASELINES["logistic"].estimator(), numbers, categories)
    answer = model.fit(table, [0, 1, 0, 1]).predict_proba(table)
    assert np.isfinite(answer).all()
    assert np.isnan(table["crp"][1])
