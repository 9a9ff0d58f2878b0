"""Held-out images unlike those of training people: by limits that no held-out image enters."""

import numpy as np
import pandas as pd
import pytest

from bidsapp.contracts.modality_tables import unusual_measures
from bidsapp.evaluation.unusual import COLUMNS, unusual_images, unusual_values

ML = "quality_tibia_cartilage_ml"
LIMITS = {ML: ("Tibia: volume of its cartilage", 3.0)}


def study(values: np.ndarray, folds: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two visits of each person, folds in turn; (people, 2) values."""
    people = [f"sub-{k:02d}" for k in range(len(values))]
    visits = [(who, ses) for who in people for ses in ("ses-1", "ses-2")]
    measured = pd.DataFrame(visits, columns=["participant_id", "session_id"])
    measured[ML] = np.asarray(values, float).ravel()
    rows = [
        (0, fold, who, "test" if number % folds == fold else "train")
        for fold in range(folds)
        for number, who in enumerate(people)
    ]
    return measured, pd.DataFrame(rows, columns=["repeat", "fold", "participant_id", "role"])


@pytest.fixture
def usual() -> np.ndarray:
    return np.random.default_rng(0).normal(4, 0.5, (20, 2)).clip(3, 5)


def test_limits_are_of_training_people_alone(usual: np.ndarray) -> None:
    usual[5, 1] = 9.0
    measured, splits = study(usual)
    found = unusual_values(measured, splits, LIMITS)
    assert list(found) == ["participant_id", "session_id", *COLUMNS]
    (row,) = found.to_dict("records")
    assert (row["participant_id"], row["session_id"], row["fold"]) == ("sub-05", "ses-2", 1)
    others = usual[[k for k in range(20) if k % 4 != 1]]
    assert row["mean"] == pytest.approx(others.mean())
    assert row["sd"] == pytest.approx(others.std(ddof=1))
    assert row["away"] == pytest.approx((9 - others.mean()) / others.std(ddof=1))
    usual[5, 1] = 900.0  # the person tested moves no limit
    again = unusual_values(*study(usual), LIMITS)
    assert again["mean"].iloc[0] == row["mean"]


def test_what_is_missing_or_alike_has_no_limit(usual: np.ndarray) -> None:
    usual[0] = np.nan
    measured, splits = study(usual)
    assert unusual_values(measured, splits, LIMITS).empty
    assert unusual_values(*study(np.full((20, 2), 4.0)), LIMITS).empty
    few = usual[1:5].copy()
    few[0, 0] = 100
    assert unusual_values(*study(few, 2), LIMITS).empty  # two people tell no deviation
    assert unusual_images(measured.drop(columns=ML), splits) == ({}, [])


def test_they_are_named_in_a_sentence(usual: np.ndarray) -> None:
    for person in range(7):
        usual[person, 0] = 40.0 if person == 6 else 4.0
    tables, said = unusual_images(*study(usual))
    assert list(tables) == ["unusual"]
    assert said == [
        "Tibia: volume of its cartilage: sub-06 more than 3 SD from the mean of those whom the "
        "fold was trained on (tables/unusual.tsv): look at their images."
    ]
    assert set(unusual_measures()) == {
        f"{bone}_cartilage_ml" for bone in ("femur", "tibia", "patella")
    }
