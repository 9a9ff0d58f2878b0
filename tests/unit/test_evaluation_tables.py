"""Cohort table, subgroups, curves, planning, ensembles, comparison with print."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import auc as area
from sklearn.metrics import precision_recall_curve, roc_curve

from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.cohort_table import (
    chi_square,
    cohort_table,
    compare_numbers,
    counts_difference,
    positives_and_negatives,
)
from bidsapp.evaluation.curves import decision_curve, precision_recall_points, roc_points
from bidsapp.evaluation.delong import delong_covariance
from bidsapp.evaluation.ensembles import ensemble_scores, with_ensembles
from bidsapp.evaluation.planning import (
    auc_power,
    auc_precision,
    auc_standard_error,
    planning_table,
    smallest_detectable_auc,
)
from bidsapp.evaluation.printed import compare_with_print
from bidsapp.evaluation.sample import make_sample, subgroup_masks
from bidsapp.evaluation.state import read_state
from bidsapp.evaluation.thresholds import cutoffs, youden
from bidsapp.evaluation.tsv import as_written, numeric, read_table, write_table
from bidsapp.reports.run.group_run import GroupRun
from tests.unit.evaluation_runs import write_run

# wei2023, table 1: of 88 people trained on and 23 tested, the only counts (but for exchanging
# which value is counted) whose chi-square is the printed one.
WEI2023_COUNTS = {"aura": (21, 1, 4.370, 0.037), "male": (19, 2, 1.977, 0.160)}


@pytest.mark.parametrize("column", WEI2023_COUNTS)
def test_wei2023_chi_squares_from_its_counts(column):
    trained, tested, printed, p = WEI2023_COUNTS[column]
    counts = np.array([[trained, 88 - trained], [tested, 23 - tested]])
    assert chi_square(counts) == pytest.approx((printed, p), abs=0.0005)


@pytest.mark.parametrize("column", WEI2023_COUNTS)
def test_no_other_counts_give_wei2023_chi_squares(column):
    *expected, printed, _ = WEI2023_COUNTS[column]
    fits = []
    for a in range(1, 45):
        for b in range(24):
            value, _ = chi_square(np.array([[a, 88 - a], [b, 23 - b]]))
            fits += [[a, b]] if abs(value - printed) < 0.0005 else []
    assert fits == [expected]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    words = ['said "no"', '"quoted"', "a\ttab and\na line", "", None]
    table = pd.DataFrame(
        {"note": words, "value": [1 / 3, np.nan, np.inf, 2.0, 1e-9], "n": range(5)}
    )
    path = write_table(table.assign(variant="base"), tmp_path / "table.tsv")
    found = read_table(path, ("variant",))
    assert list(found) == ["variant", "note", "value", "n"]
    expected = ['said "no"', '"quoted"', "a tab and a line", "n/a", "n/a"]
    assert found["note"].tolist() == expected
    assert found["value"].tolist() == ["0.333333", "n/a", "inf", "2", "1e-09"]
    assert GroupRun(tmp_path).table("table.tsv")["note"].tolist() == expected


def test_numbers_are_tested_by_their_distribution():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=60), rng.normal(size=50) + 0.5
    ours = compare_numbers(*normal)
    assert ours.test == "t"
    assert ours.p == pytest.approx(stats.ttest_ind(*normal, equal_var=False).pvalue)
    skewed = rng.exponential(size=60) ** 2, rng.exponential(size=50) ** 2
    ours = compare_numbers(*skewed)
    assert ours.test == "Mann-Whitney"
    assert ours.p == pytest.approx(stats.mannwhitneyu(*skewed).pvalue)


def test_standardised_differences():
    first, second = np.array([1.0, 2, 3, 4, 6]), np.array([3.0, 4, 5, 7, 9])
    spread = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    expected = (first.mean() - second.mean()) / spread
    assert compare_numbers(first, second).difference == pytest.approx(expected)
    p, q = 0.4, 0.25
    expected = (0.6 - 0.75) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert counts_difference(np.array([[40, 60], [25, 75]])) == pytest.approx(expected)
    same = np.array([[10, 20, 30], [20, 40, 60]])
    assert counts_difference(same) == pytest.approx(0)


def test_cohort_table_has_a_row_per_value_and_one_test_per_column():
    rng = np.random.default_rng(1)
    cohort = pd.DataFrame(
        {
            "age": [
                f"{v:.2f}" for v in rng.permutation(stats.norm.ppf((np.arange(80) + 0.5) / 80))
            ],
            "sex": rng.choice(["F", "M"], 80),
            "rare": ["yes"] * 3 + ["no"] * 77,
            "constant": ["a"] * 80,
            "empty": ["n/a"] * 80,
        }
    )
    cohort.loc[4, "age"] = "n/a"
    table = cohort_table(cohort, np.arange(80) < 30, list(cohort))
    tests = table.dropna(subset=["test"]).set_index("column")
    assert tests["test"].to_dict() == {
        "age": "t",
        "sex": "chi-square",
        "rare": "Fisher",
        "constant": "",
        "empty": "",
    }
    assert tests.loc["age", ["missing_first", "missing_second"]].tolist() == [1, 0]
    assert tests.loc["constant", "note"] == "one value only"
    p = tests["p"].to_numpy(dtype=float)
    assert tests["p_bonferroni"].to_numpy() == pytest.approx(np.minimum(1, p * 3), nan_ok=True)
    assert table.loc[table["column"] == "sex", "value"].tolist() == ["F", "M"]


def test_an_identifier_is_not_compared_between_positives_and_negatives():
    people = [f"sub-{i:02d}" for i in range(12)]
    scans = pd.DataFrame(
        {
            "participant_id": people,
            "session_id": "n/a",
            "outcome": [0, 1] * 6,
            "source_id": [f"IXI{i}-Guys" for i in range(11)] + ["n/a"],
            "age": [f"{20 + i}" for i in range(12)],
            "hand": ["left"] * 3 + ["right"] * 9,
        }
    )
    table = positives_and_negatives(scans, ["source_id", "age", "hand"])
    assert list(table["column"].unique()) == ["age", "hand"]


def test_a_cohort_without_covariates_has_an_empty_table():
    assert cohort_table(pd.DataFrame({"a": ["1"]}), np.array([True]), []).empty


def test_subgroups_by_value_by_median_and_by_absence(tmp_path):
    sex = ["F", "M", "n/a", "F"] * 6
    ages = [str(20 + i) for i in range(24)]
    run = write_run(tmp_path, n=24, folds=4, variants=("a",), covariates={"sex": sex, "age": ages})
    state = read_state(run)
    masks = subgroup_masks(state.cohort, state.scores, ["sex", "age"])
    assert list(masks) == ["sex=F", "sex=M", "sex=n/a", "age=above 31.5", "age=up to 31.5"]
    assert masks["sex=F"].sum() == 12
    assert masks["age=above 31.5"].sum() == 12
    with pytest.raises(UsageError, match=r"evaluation\.subgroups.*'height'"):
        subgroup_masks(state.cohort, state.scores, ["height"])


def scored(n=80, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    p = np.round(1 / (1 + np.exp(-rng.normal(size=n) - y)), 2)
    return y, p


def test_roc_and_precision_recall_like_scikit_learn():
    y, p = scored()
    ours = roc_points(make_sample(y, p))
    fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
    assert ours["false_positive_rate"].to_numpy() == pytest.approx(fpr)
    assert ours["true_positive_rate"].to_numpy() == pytest.approx(tpr)
    auc = delong_covariance(y.astype(bool), p).auc[0]
    assert area(ours["false_positive_rate"], ours["true_positive_rate"]) == pytest.approx(auc)
    ours = precision_recall_points(make_sample(y, p)).sort_values("threshold")
    precision, recall, thresholds = precision_recall_curve(y, p)
    shown = ours["threshold"] >= thresholds[0]
    assert ours.loc[shown, "precision"].to_numpy() == pytest.approx(precision[:-1])
    assert ours.loc[shown, "recall"].to_numpy() == pytest.approx(recall[:-1])


def test_curves_of_one_class_are_empty():
    sample = make_sample([0, 0], [0.1, 0.2])
    assert roc_points(sample).empty
    assert precision_recall_points(sample).empty


def test_net_benefit_by_its_formula_and_at_its_ends():
    y, p = scored()
    curve = decision_curve(make_sample(y, p), resamples=300).set_index("threshold")
    called = p >= 0.3
    expected = (called & (y == 1)).mean() - (called & (y == 0)).mean() * 0.3 / 0.7
    assert curve.loc[0.3, "net_benefit"] == pytest.approx(expected)
    assert curve.loc[0.01, "net_benefit"] == pytest.approx(curve.loc[0.01, "treat_all"])
    assert curve.loc[0.5, "treat_all"] == pytest.approx(0, abs=1e-12)
    assert (curve["ci_low"] <= curve["net_benefit"]).all()
    assert (curve["net_benefit"] <= curve["ci_high"]).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        decision_curve(make_sample(y, p), np.array([0.0]))


def test_planned_error_and_power_are_what_simulation_gives():
    rng = np.random.default_rng(2)
    m, n, shift = 40, 60, stats.norm.ppf(0.7) * np.sqrt(2)
    y = np.repeat([True, False], [m, n])
    aucs, rejected = [], 0
    for _ in range(1500):
        result = delong_covariance(y, rng.normal(size=100) + shift * y)
        aucs.append(result.auc[0])
        rejected += abs(aucs[-1] - 0.5) > 1.96 * np.sqrt((m + n + 1) / (12 * m * n))
    assert auc_standard_error(0.7, m, n) == pytest.approx(np.std(aucs), rel=0.08)
    assert auc_power(0.7, m, n) == pytest.approx(rejected / 1500, abs=0.04)


def test_smallest_detectable_auc_has_its_power_and_falls_with_n():
    small, large = smallest_detectable_auc(24, 24), smallest_detectable_auc(240, 240)
    assert 0.5 < large < small < 1
    assert auc_power(small, 24, 24) == pytest.approx(0.8, abs=1e-6)
    assert np.isnan(smallest_detectable_auc(0, 20))


def test_planning_table_for_attias2025_and_for_nobody():
    table = planning_table(55, 73).set_index(["quantity", "value"])
    low, high = auc_precision(0.7, 55, 73)
    assert 0.59 < low < 0.7 < high < 0.8
    assert table.loc[("auc", 0.7), "ci_low"] == pytest.approx(low)
    assert table.loc[("auc", 0.9), "power"] > 0.999
    tiny = planning_table(1, 30)
    assert tiny.loc[tiny["quantity"] == "auc", "power"].isna().all()
    assert tiny.loc[tiny["quantity"] == "auc", "note"].str.contains("fewer than two").all()


def test_ensembles_by_mean_and_by_vote(tmp_path):
    scores = read_state(write_run(tmp_path, n=24, folds=4)).scores
    members = ("axial", "coronal", "sagittal")
    wide = scores.pivot(index="participant_id", columns="variant", values="probability")
    mean = ensemble_scores(scores, "mean", members, "mean").set_index("participant_id")
    assert mean["probability"].loc[wide.index].to_numpy() == pytest.approx(wide.mean(axis=1))
    vote = ensemble_scores(scores, "vote", members, "vote").set_index("participant_id")
    called = vote["probability"].loc[wide.index] >= 0.5
    assert (called == ((wide >= 0.5).sum(axis=1) >= 2)).all()
    together = with_ensembles(scores, {"m": (members, "mean"), "x": (("axial", "no"), "mean")})
    assert set(together["variant"]) == {*members, "m"}


def test_ensembles_that_cannot_be_made_are_refused(tmp_path):
    scores = read_state(write_run(tmp_path, n=24, folds=4)).scores
    with pytest.raises(UsageError, match="rule"):
        ensemble_scores(scores, "e", ("axial",), "median")
    with pytest.raises(UsageError, match="nope"):
        ensemble_scores(scores, "e", ("axial", "nope"), "mean")
    moved = scores.assign(fold=np.where(scores["variant"] == "coronal", 1, scores["fold"]))
    with pytest.raises(BadData, match="same people in the same folds"):
        ensemble_scores(moved, "e", ("axial", "coronal"), "mean")


def test_print_beside_ours():
    row = {"ci_method": "Nadeau-Bengio", "n": 48, "note": ""}
    metrics = pd.DataFrame(
        [
            {"variant": "axial", "scope": "mean", "metric": "auc", "value": 0.6}
            | {"ci_low": 0.5, "ci_high": 0.7}
            | row,
            {"variant": "axial", "scope": "mean", "metric": "sensitivity", "value": 0.6}
            | {"ci_low": 0.5, "ci_high": 0.7}
            | row,
            {"variant": "axial", "scope": "pooled", "metric": "auc", "value": np.nan}
            | {"ci_low": np.nan, "ci_high": np.nan}
            | row
            | {"note": "only one class"},
        ]
    )
    reported = {"axial": {"auc": 0.56, "recall": 0.36}, "axial@pooled": {"auc": 0.5}}
    reported |= {"gone": {"auc": 0.5}, "axial@best_fold": {"auc": 0.78}}
    table = compare_with_print(reported, metrics)
    assert table["inside"].tolist() == ["yes", "no", "n/a", "n/a", "n/a"]
    assert table["note"].tolist()[2:4] == ["only one class", "not run"]
    assert "mode paper" in table["note"].iloc[4]


def test_a_printed_cutoff_stands_beside_the_folds_own(tmp_path):
    state = read_state(write_run(tmp_path, n=24, folds=4))
    reported = {"axial@pooled": {"cutoff": 0.56}, "gone@pooled": {"cutoff": 0.1}}
    own = cutoffs(state.scores, lambda name: "test_fold" if name == "axial" else "none")
    table = compare_with_print(reported, pd.DataFrame(columns=["variant"]), cutoffs=own)
    mine = state.scores[state.scores["variant"] == "axial"]
    each = [youden(one["outcome"].to_numpy(), one["probability"].to_numpy())
            for _, one in mine.groupby("fold")]  # fmt: skip
    assert table["ours"].iloc[0] == pytest.approx(np.mean(each))
    assert table["note"].iloc[0] == f"4 folds, {min(each):.2f} to {max(each):.2f}"
    assert table["note"].iloc[1] == "not run"
    nothing = {"coronal": {"cutoff": 0.5}}
    (note,) = compare_with_print(nothing, pd.DataFrame(columns=["variant"]), cutoffs=own)["note"]
    assert note == "no threshold: not every fold has one"


@pytest.mark.parametrize(
    ("values", "kind"), [(["1", "n/a", "2"], "number"), (["1", "x"], "text"), (["n/a"], "text")]
)
def test_columns_of_numbers_are_told_from_text(values, kind):
    assert (numeric(pd.Series(values)) is not None) == (kind == "number")


def test_a_sentence_rounds_what_a_reader_of_the_file_rounds(tmp_path: Path) -> None:
    value = 0.88499999999  # the file says 0.885
    table = pd.DataFrame({"metric": ["auc", "brier"], "value": [value, np.nan], "n": [8, 8]})
    told = as_written(table)
    read = pd.read_csv(write_table(table, tmp_path / "x.tsv"), sep="\t", na_values="n/a")
    assert f"{value:.2f}" == "0.88"
    assert f"{told['value'].iloc[0]:.2f}" == f"{read['value'].iloc[0]:.2f}" != "0.88"
    pd.testing.assert_frame_equal(told, read)
    assert as_written(table.iloc[:0]).columns.tolist() == list(table)
