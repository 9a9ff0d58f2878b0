"""Nested regressions: a published table to the digit, several rows of a person, bad tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.derivatives.dictionaries import TABLES
from bidsapp.errors import BadData, UsageError
from bidsapp.evaluation.regression import nested
from bidsapp.evaluation.regression.__main__ import main
from bidsapp.evaluation.regression.added_auc import added_auc
from bidsapp.evaluation.regression.models import fit_regression
from bidsapp.evaluation.regression.people import guess_people, read_rules

BASE = ["Age", "BMI", "Sex", "MF", "LF"]
# Of the printed Table 3 of morales2021: the p of the likelihood ratio, what the network's average
# is worth, and the estimates of the femur, whose two regions stand in each other's row in print.
PRINTED_P = {"femur": "7.01e-33", "tibia": "1.93e-14", "patella": "8.51e-01"}
PRINTED_DL = {"femur": (-3.66, 0.32), "tibia": (-1.37, 0.18), "patella": (-0.046, 0.243)}


def regression(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path, sep="\t") for path in folder.glob("*.tsv")}


@pytest.mark.parametrize("bone", ["femur", "tibia", "patella"])
def test_table_3_of_morales2021_to_the_digit(real_data: Path, tmp_path: Path, bone: str) -> None:
    path = real_data / "tables_deeppain" / f"{bone}logisticvariables.csv"
    guess = ["--guess-people", "Sex", "Age=0..9", "BMI=-5..5"]
    asked = ["--outcome", "Outcome", "--base", *BASE, "--add", "DLROI", "--output", tmp_path]
    assert regression(path, *asked, *guess) == 0
    tables = tables_of(tmp_path)
    tests = tables["tests"].set_index("test")
    assert f"{tests['p'][nested.NAIVE]:.2e}" == PRINTED_P[bone]
    told = tables["coefficients"].set_index(["model", "term"])
    estimate, error = told.loc[("larger", "DLROI"), ["estimate", "se"]]
    assert estimate == pytest.approx(PRINTED_DL[bone][0], abs=0.005)
    assert error == pytest.approx(PRINTED_DL[bone][1], abs=0.005)
    data = pd.read_csv(path)
    for model, columns in (("smaller", BASE), ("larger", [*BASE, "DLROI"])):
        oracle = sm.Logit(data["Outcome"], sm.add_constant(data[columns])).fit(disp=0)
        found = told.loc[model]
        for column, values in (("estimate", oracle.params), ("se", oracle.bse)):
            np.testing.assert_allclose(found[column], values, rtol=1e-5)
        np.testing.assert_allclose(found["p"], oracle.pvalues, rtol=1e-5)
    # By person the answer is the same, by many orders of magnitude less sure.
    assert (tests["people"] <= tests["rows"]).all()
    assert tests["people"][nested.CLUSTERED] < 0.5 * tests["rows"][nested.NAIVE]
    others = tests.loc[[nested.ONE_ROW, nested.CLUSTERED], "p"]
    assert (others > 1e9 * tests["p"][nested.NAIVE]).all() or bone != "femur"
    assert ((others < 1e-5).all()) == (bone != "patella")
    gain = tables["auc"].set_index("model").loc["difference"]
    assert (gain["ci_low"] > 0) == (bone != "patella")


def test_the_misprints_of_table_3(real_data: Path) -> None:
    data = pd.read_csv(real_data / "tables_deeppain" / "femurlogisticvariables.csv")
    printed = {"LF": -0.582, "MF": 1.289, "intercept": -3.59}
    fit = fit_regression("logistic", data["Outcome"], data[BASE], tuple(BASE))
    found = dict(zip(fit.names, fit.estimates.round(3), strict=True))
    assert found["MF"] == printed["LF"]  # rows swapped
    assert found["LF"] == pytest.approx(printed["MF"], abs=0.0025)
    recoded = data.assign(Sex=2 - data["Sex"])  # 0 and 1 in place of 2 and 1
    again = fit_regression("logistic", data["Outcome"], recoded[BASE], tuple(BASE))
    assert again.estimates[0] == pytest.approx(printed["intercept"], abs=0.005)
    assert again.estimates[3] == pytest.approx(-fit.estimates[3])
    assert fit.rows == 2149  # 2151 in print


def visits(seed: int, people: int = 60, each: int = 3, effect: float = 0.0) -> nested.Rows:
    """Rows of people who stay nearly the same from visit to visit."""
    rng = np.random.default_rng(seed)
    own, trait = rng.normal(size=(2, people, 1))
    added = (own + 0.1 * rng.normal(size=(people, each))).ravel()
    base = rng.normal(size=people * each)
    outcome = (trait + 0.1 * rng.normal(size=(people, each))).ravel() + effect * added
    design = np.stack([base, added], axis=1)
    person = np.repeat(np.arange(people), each)
    return nested.Rows(outcome, design, ("base", "added"), 1, person, 0)


def test_rows_of_a_person_mislead_the_naive_test_only() -> None:
    tests = [nested.compare_nested(visits(seed), "linear").tests for seed in range(300)]
    rejected = {t.name: np.mean([one[i].p < 0.05 for one in tests]) for i, t in enumerate(tests[0])}
    assert rejected[nested.NAIVE] > 0.2
    assert 0.02 <= rejected[nested.ONE_ROW] <= 0.085
    assert 0.02 <= rejected[nested.CLUSTERED] <= 0.085


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_copies_of_a_persons_rows_add_nothing(seed: int, copies: int) -> None:
    rows = visits(seed, people=30, each=1, effect=0.5)
    once = fit_regression("linear", rows.outcome, rows.design, rows.names, rows.person)
    n, k = 30, 3
    many = fit_regression(
        "linear",
        np.tile(rows.outcome, copies),
        np.tile(rows.design, (copies, 1)),
        rows.names,
        np.tile(rows.person, copies),
    )
    assert many.estimates == pytest.approx(once.estimates)
    assert (many.errors < once.errors).all()
    # HC0 of the single rows, times the correction for the number of people and of rows.
    X = np.column_stack([np.ones(n), rows.design])
    bread = np.linalg.inv(X.T @ X)
    residual = rows.outcome - X @ once.estimates
    robust = np.sqrt(np.diag(bread @ (X.T * residual**2) @ X @ bread))
    factor = np.sqrt(n / (n - 1) * (copies * n - 1) / (copies * n - k))
    assert many.clustered_errors == pytest.approx(factor * robust)


@pytest.mark.parametrize("kind", ["logistic", "linear"])
def test_units_and_order_do_not_matter(kind: str) -> None:
    rows = visits(3, effect=0.4)
    if kind == "logistic":
        rows = nested.Rows(rows.outcome > 0, *list(vars(rows).values())[1:])
    found = nested.compare_nested(rows, kind)
    order = np.random.default_rng(0).permutation(len(rows.outcome))
    # The first row of a person stays the first one.
    order = np.concatenate([[i for i in order if i % 3 == 0], [i for i in order if i % 3]])
    moved = nested.Rows(
        rows.outcome[order], 1000 * rows.design[order] - 7, rows.names, 1, rows.person[order], 0
    )
    again = nested.compare_nested(moved, kind)
    for one, other in zip(found.tests, again.tests, strict=True):
        assert other.statistic == pytest.approx(one.statistic, rel=1e-6)
    assert 1000 * again.larger.estimates[1:] == pytest.approx(found.larger.estimates[1:])


def test_linear_like_statsmodels() -> None:
    rows = visits(5, each=1, effect=0.3)
    found = nested.compare_nested(rows, "linear")
    small, large = (sm.OLS(rows.outcome, sm.add_constant(rows.design[:, :k])).fit() for k in (1, 2))
    statistic, p, freedom = large.compare_lr_test(small)
    (test,) = found.tests
    assert (test.statistic, test.p, test.freedom) == pytest.approx((statistic, p, freedom))
    low, high = found.larger.interval(0.95, clustered=True)
    np.testing.assert_allclose(np.stack([low, high], axis=1), large.conf_int())


def test_people_stay_in_one_fold_and_noise_adds_nothing() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(40), 5)
    outcome = np.repeat(np.arange(40) % 2, 5)
    noise = np.repeat(rng.normal(size=(40, 30)), 5, axis=0)  # each person is known by it
    rows = nested.Rows(outcome, noise, tuple(f"n{i}" for i in range(30)), 1, person, 0)
    found = added_auc(rows, folds=5)
    assert found.larger.value < 0.8  # 1 where a person's rows lie on both sides
    assert not found.gain.interval.low > 0
    assert found.smaller.inflation == pytest.approx(2.25)


def write(folder: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i // 2:02d}" for i in range(80)],
            "pain": rng.integers(0, 2, 80),
            "age": rng.normal(60, 9, 80).round(1),
            "site": np.array(["A", "B", "C"])[rng.integers(0, 3, 80)],
            "thickness": rng.normal(2, 0.3, 80).round(3),
        }
    ).assign(**changes)
    path = folder / "table.tsv"
    table.to_csv(path, sep="\t", index=False)
    return path


def test_categories_missing_values_and_dictionaries(tmp_path: Path, capsys) -> None:
    path = write(tmp_path, age=["n/a", *["61"] * 9, *range(70)])
    asked = ["--outcome", "pain", "--base", "age", "site", "--add", "thickness", "--folds", 4]
    out = tmp_path / "out"
    assert regression(path, *asked, "--person", "participant_id", "--output", out) == 0
    told = capsys.readouterr().out
    assert "1 rows have a missing value" in told
    assert "79 rows are of 40 people (named by the table)" in told
    tables = tables_of(out)
    terms = tables["coefficients"].query("model == 'larger'")["term"].tolist()
    assert terms == ["intercept", "age", "site[B]", "site[C]", "thickness"]
    for name, table in tables.items():
        words = json.loads((out / f"{name}.json").read_text())
        assert set(words) == set(table) <= set(TABLES[f"regression/{name}"])


def test_a_table_without_people_says_so(tmp_path: Path, capsys) -> None:
    path = write(tmp_path)
    assert regression(path, "--outcome", "age", "--base", "site", "--add", "thickness") == 0
    told = capsys.readouterr().out
    assert told.startswith("Linear regression of age on site; added: thickness. 80 rows.")
    assert "Every row counts as another person" in told
    assert nested.CLUSTERED not in told


@pytest.mark.parametrize(
    ("changes", "arguments", "code", "said"),
    [
        ({}, ["--add", "thikness"], 64, "no column 'thikness'; it has participant_id, pain"),
        ({}, ["--add", "age"], 64, "'age' is named twice"),
        ({}, ["--add", "thickness", "--folds", "1"], 64, "--folds 1"),
        ({}, ["--add", "thickness", "--level", "95"], 64, "--level 95"),
        ({}, ["--add", "thickness", "--guess-people", "age=x"], 64, "COLUMN=LEAST..MOST"),
        ({}, ["--add", "thickness", "--guess-people", "site=0..2"], 65, "'site' holds no numbers"),
        ({"pain": ["yes", "no"] * 40}, ["--add", "thickness"], 64, "--positive"),
        ({"pain": range(80)}, ["--add", "thickness", "--kind", "logistic"], 64, "has the values"),
        ({"pain": 1}, ["--add", "thickness"], 65, "one class only"),
        ({"thickness": 2}, ["--add", "thickness"], 65, "'thickness' is constant"),
        ({"site": "A"}, ["--add", "site"], 65, "'site' is constant"),
        ({"thickness": [*"ab" * 10, *range(60)]}, ["--add", "thickness"], 65, "no numbers"),
        ({"participant_id": ["", *"x" * 79]}, ["--add", "thickness"], 65, "empty in line 2"),
    ],
)
def test_refused_with_what_to_do(
    tmp_path: Path, capsys, changes: dict, arguments: list[str], code: int, said: str
) -> None:
    path = write(tmp_path, **changes)
    whose = [] if "--guess-people" in arguments else ["--person", "participant_id"]
    assert regression(path, "--outcome", "pain", "--base", "age", *arguments, *whose) == code
    assert said in capsys.readouterr().err


def test_classes_told_apart_completely_have_no_estimate(tmp_path: Path, capsys) -> None:
    pain = np.arange(80) % 2
    for thickness in (pain + np.linspace(0, 0.1, 80), np.where(np.arange(80) < 9, "rare", "usual")):
        path = write(tmp_path, pain=np.where(thickness == "rare", 1, pain), thickness=thickness)
        assert regression(path, "--outcome", "pain", "--add", "thickness", "--folds", 0) == 65
        assert "no finite estimates" in capsys.readouterr().err


def test_files_that_are_no_table(tmp_path: Path, capsys) -> None:
    asked = ["--outcome", "pain", "--add", "age"]
    assert regression(tmp_path / "absent.csv", *asked) == 66
    (tmp_path / "empty.csv").write_text("")
    assert regression(tmp_path / "empty.csv", *asked) == 65
    (tmp_path / "latin.csv").write_bytes("pain,âge\n1,2\n".encode("latin-1"))
    assert regression(tmp_path / "latin.csv", *asked) == 65
    assert regression(write(tmp_path)) == 64
    (tmp_path / "file").write_text("")
    whole = [write(tmp_path), "--outcome", "pain", "--add", "age", "--folds", 0]
    assert regression(*whole, "--output", tmp_path / "file") == 73
    assert "absent.csv cannot be read" in capsys.readouterr().err


def test_people_are_guessed_from_neighbours() -> None:
    table = pd.DataFrame({"sex": list("FFFMMF"), "age": ["60", "64", "61", "61", "90", "90"]})
    assert guess_people(table, read_rules(["sex", "age=0..9"])).tolist() == [1, 1, 2, 3, 4, 5]
    with pytest.raises(UsageError, match=r"'age=' is not understood"):
        read_rules(["age="])
    with pytest.raises(BadData, match="holds no numbers"):
        guess_people(table, {"sex": (0.0, 1.0)})
