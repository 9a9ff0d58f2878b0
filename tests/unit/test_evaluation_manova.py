"""Several numbers compared between groups at once, against statsmodels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.multivariate.manova import MANOVA

from bidsapp.evaluation.cohort_table import held_out_people
from bidsapp.evaluation.manova import one_way_manova


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 4))
def test_like_statsmodels(seed: int, numbers: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(60) % groups)
    values = rng.normal(size=(60, numbers)) @ (
        np.eye(numbers) + 0.3 * rng.uniform(size=(numbers,) * 2)
    )
    values += 0.3 * group[:, None] + [10, 0, 5, -3][:numbers]
    found = one_way_manova(values, group)
    design = np.column_stack([np.ones(60), *(group == one for one in range(1, groups))])
    contrast = [("groups", np.eye(groups)[1:])]
    test = MANOVA(values, design.astype(float)).mv_test(contrast).results["groups"]["stat"]
    wilks = test.loc["Wilks' lambda"].astype(float)
    assert found is not None
    assert found.wilks == pytest.approx(wilks["Value"], rel=1e-6)
    assert found.f == pytest.approx(wilks["F Value"], rel=1e-6)
    assert found.df == pytest.approx((wilks["Num DF"], wilks["Den DF"]))
    assert found.p == pytest.approx(wilks["Pr > F"], rel=1e-6)


def test_what_cannot_be_compared() -> None:
    values = np.random.default_rng(0).normal(size=(10, 2))
    assert one_way_manova(values, ["a"] * 10) is None
    assert one_way_manova(values[:4], ["a", "a", "b", "b"]) is None  # no freedom is left
    twice = np.column_stack([values[:, 0], 2 * values[:, 0]])
    assert one_way_manova(twice, ["a"] * 5 + ["b"] * 5) is None


def test_splits_of_a_hold_out_are_compared_in_all_numbers_at_once() -> None:
    rng = np.random.default_rng(1)
    people = [f"sub-{number:03d}" for number in range(90)]
    roles = np.array(["train"] * 50 + ["validation"] * 20 + ["test"] * 20)
    age = 60 + 8 * rng.normal(size=90)
    bmi = 28 + 4 * rng.normal(size=90) + 6 * (roles == "test")
    table = pd.DataFrame(
        {
            "participant_id": people,
            "session_id": "n/a",
            "outcome": np.arange(90) % 2,
            "age": age.round(1).astype(str),
            "bmi": bmi.round(1).astype(str),
            "sex": np.where(np.arange(90) % 3, "F", "M"),
        }
    )
    table.loc[3, "bmi"] = "n/a"
    splits = pd.DataFrame({"repeat": 0, "fold": 0, "participant_id": people, "role": roles})
    (found,) = held_out_people(table, splits, ["age", "bmi", "sex"]).values()
    row = found.iloc[-1]
    assert (row["column"], row["test"]) == ("age, bmi", "MANOVA")
    assert (row["first"], row["second"], row["missing_first"]) == ("69 people", "20 people", 1)
    assert row["p"] < 0.001
    assert np.isnan(row["p_bonferroni"])
    assert "between train, validation, test; Wilks' lambda 0." in row["note"]
    tested = found["p_bonferroni"].notna().sum()  # outcome, age, bmi, sex
    assert tested == 4
    (alone,) = held_out_people(table, splits, ["age", "sex"]).values()
    assert "MANOVA" not in set(alone["test"])
