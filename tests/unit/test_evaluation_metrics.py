"""Metrics against scikit-learn, and what they say when they cannot be had."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bidsapp.evaluation.describe import describe_sample
from bidsapp.evaluation.metrics import METRICS, point_estimates, why_undefined
from bidsapp.evaluation.resampled import Resampled
from bidsapp.evaluation.sample import make_sample
from bidsapp.evaluation.settings import EvaluationSettings

# wei2023, table 2: accuracy, macro recall, macro precision, macro F1, PLR, NLR; and the one
# division of 13 and 10 people into true positives and true negatives that fits all six. One number
# is not the rounded value: resnext50's precision is .6746 and printed as .68.
WEI2023 = {
    "resnet34": ((6, 9), (0.65, 0.68, 0.71, 0.65, 2.13, 0.47)),
    "resnet50": ((8, 9), (0.74, 0.76, 0.77, 0.74, 3.13, 0.32)),
    "resnext50": ((7, 8), (0.65, 0.67, 0.68, 0.65, 2.02, 0.49)),
    "densenet121": ((12, 4), (0.70, 0.66, 0.73, 0.65, 1.95, 0.51)),
    "resnet18": ((11, 7), (0.78, 0.77, 0.78, 0.78, 3.41, 0.29)),
}
WEI2023_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_f1",
    "macro_plr",
    "macro_nlr",
)


def from_counts(tp, fn, fp, tn):
    return make_sample(
        [1] * (tp + fn) + [0] * (fp + tn), [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    )


def scored(draw_grid=21):
    pair = st.tuples(st.integers(0, 1), st.integers(0, draw_grid - 1))
    return st.lists(pair, min_size=2, max_size=40)


def assert_like_scikit_learn(y, p):
    ours = point_estimates(make_sample(y, p))
    call = (p >= 0.5).astype(int)
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(y, call))
    assert ours["brier"] == pytest.approx(sk.brier_score_loss(y, p), abs=1e-12)
    if y.min() == y.max():
        for name in ("auc", "average_precision", "balanced_accuracy", "mcc", "brier_skill"):
            assert np.isnan(ours[name])
        return
    assert ours["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    assert ours["average_precision"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-12)
    assert ours["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, call))
    assert ours["sensitivity"] == pytest.approx(sk.recall_score(y, call))
    assert ours["specificity"] == pytest.approx(sk.recall_score(1 - y, 1 - call))
    assert ours["f1"] == pytest.approx(sk.f1_score(y, call, zero_division=0))
    assert ours["macro_f1"] == pytest.approx(sk.f1_score(y, call, average="macro", zero_division=0))
    if 0 < call.sum() < len(call):
        assert ours["precision"] == pytest.approx(sk.precision_score(y, call))
        assert ours["mcc"] == pytest.approx(sk.matthews_corrcoef(y, call), abs=1e-12)
        both = sk.precision_score(y, call, average="macro")
        assert ours["macro_precision"] == pytest.approx(both)
    else:
        assert np.isnan(ours["mcc"])
    ratios = sk.class_likelihood_ratios(y, call, replace_undefined_by=np.nan)
    for name, value in zip(("plr", "nlr"), ratios, strict=True):
        assert ours[name] == pytest.approx(value, nan_ok=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@settings(max_examples=150, deadline=None)
@given(scored())
def test_like_scikit_learn_with_ties_and_tiny_samples(pairs):
    y, grid = np.array(pairs).T
    assert_like_scikit_learn(y, grid / 20)


@pytest.mark.parametrize("n", [50, 500])
def test_like_scikit_learn_on_random_scores(n):
    rng = np.random.default_rng(n)
    y = (rng.random(n) < 0.3).astype(int)
    assert_like_scikit_learn(y, 1 / (1 + np.exp(-rng.normal(size=n) - y)))


@settings(max_examples=60, deadline=None)
@given(scored(6), st.randoms(use_true_random=False))
def test_a_weighted_view_is_the_sample_with_rows_repeated(pairs, random):
    y, grid = np.array(pairs).T
    p = (grid + 0.5) / 6
    sample = make_sample(y, p)
    weights = np.array([random.choice([0, 1, 1, 2, 3]) for _ in pairs])
    if not weights.any():
        weights[0] = 1
    repeated = make_sample(
        np.repeat(sample.outcome, weights).astype(int), np.repeat(sample.probability, weights)
    )
    view, direct = Resampled(sample, weights[None].astype(float)), point_estimates(repeated)
    for name, metric in METRICS.items():
        value = float(metric.compute(view)[0])
        assert value == pytest.approx(direct[name], nan_ok=True, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("model", WEI2023)
def test_wei2023_printed_metrics_from_one_confusion_matrix(model):
    (tp, tn), printed = WEI2023[model]
    ours = point_estimates(from_counts(tp, 13 - tp, 10 - tn, tn))
    for name, value in zip(WEI2023_METRICS, printed, strict=True):
        off = 0.0055 if (model, name) == ("resnext50", "macro_precision") else 0.005
        assert abs(ours[name] - value) <= off, name


@pytest.mark.parametrize("model", WEI2023)
def test_no_other_13_10_matrix_fits_the_printed_row(model):
    matrix, printed = WEI2023[model]
    fits = []
    for tp in range(14):
        for tn in range(11):
            ours = point_estimates(from_counts(tp, 13 - tp, 10 - tn, tn), WEI2023_METRICS)
            gaps = [abs(ours[n] - v) for n, v in zip(WEI2023_METRICS, printed, strict=True)]
            fits += [(tp, tn)] if max(gaps) <= 0.0101 else []
    assert fits == [matrix]


@pytest.mark.parametrize(
    ("y", "p", "undefined"),
    [
        ([1, 1, 1], [0.2, 0.6, 0.7], {"auc", "average_precision", "specificity", "mcc", "plr"}),
        ([0, 0, 0], [0.2, 0.6, 0.7], {"auc", "sensitivity", "f1", "nlr", "brier_skill"}),
        ([0, 1, 0, 1], [0.4] * 4, {"calibration_slope", "precision", "mcc", "plr"}),
        ([0, 1], [0.2, 0.8], {"calibration_slope", "plr", "macro_plr"}),
    ],
    ids=["positives only", "negatives only", "constant", "separated pair"],
)
def test_undefined_values_are_missing_and_say_why(y, p, undefined):
    table = describe_sample(make_sample(y, p)).set_index("metric")
    assert undefined <= set(table.index[table["value"].isna()])
    assert (table.loc[table["value"].isna(), "note"].str.len() > 5).all()
    assert table.loc[table["value"].isna(), ["ci_low", "ci_high"]].isna().all(axis=None)


def test_one_class_is_the_reason_given():
    table = describe_sample(make_sample([1, 1, 1], [0.2, 0.6, 0.7])).set_index("metric")
    assert "one class" in table.loc["auc", "note"]


def test_an_empty_sample_has_no_metric():
    empty = make_sample([], [])
    assert all(np.isnan(value) for value in point_estimates(empty).values())
    assert why_undefined("auc", empty) == "no observations"
    rng = np.random.default_rng(0)
    table = describe_sample(empty, settings=EvaluationSettings(), rng=rng)
    assert (table["note"] == "no observations").all()


def test_constant_scores_have_no_interval_of_the_auc():
    row = describe_sample(make_sample([0, 1, 0, 1], [0.4] * 4)).set_index("metric").loc["auc"]
    assert row["value"] == 0.5
    assert np.isnan(row["ci_low"])
    assert "tied" in row["note"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_score_is_refused_not_dropped(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        make_sample([0, 1], [0.5, bad])


def test_perfect_scores_have_an_interval_that_is_not_a_point():
    table = describe_sample(make_sample([0] * 8 + [1] * 8, np.linspace(0.1, 0.9, 16)))
    row = table.set_index("metric").loc["auc"]
    assert (row["value"], row["ci_method"]) == (1.0, "Newcombe")
    assert 0.7 < row["ci_low"] < 0.95
