"""Scores of images placed otherwise beside those as drawn: changes, flips, AUC, agreement."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.evaluation.placement import ALL, agreement_icc, placement_tables
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState

PEOPLE = 40
UNIT = ["participant_id", "session_id"]


def tables(tmp_path: Path, **ways: np.ndarray) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Evaluate scores of one network, with other ones for each way."""
    rng = np.random.default_rng(0)
    outcome = np.arange(PEOPLE) % 2
    people = pd.DataFrame({"participant_id": [f"sub-{i:02d}" for i in range(PEOPLE)],
                           "session_id": "n/a", "outcome": outcome})  # fmt: skip
    drawn = np.clip(0.5 + 0.2 * (outcome - 0.5) + rng.normal(0, 0.15, PEOPLE), 0.01, 0.99)
    scores = people.assign(variant="net", repeat=0, fold=outcome, probability=drawn)
    parts = []
    for name, change in ways.items():
        kind = "rater" if name.startswith("rater") else "moved"
        told = {"placement": name.replace("_", " "), "kind": kind, "apart_mm": 2.5}
        boxes = {"overlap": 0.8, "slices_apart": 0, "width_mm": 20 + outcome, "depth_mm": 20}
        boxes |= {"own_width_mm": 20 + outcome, "own_depth_mm": 20}
        other = np.clip(drawn + change, 0, 1)
        parts.append(scores.assign(probability=other, **told, **boxes))
    if parts:
        pd.concat(parts).to_csv(tmp_path / "placement_scores.tsv", sep="\t", index=False)
    state = RunState(tmp_path, people, pd.DataFrame(), pd.DataFrame(), scores)
    return placement_tables(state, scores, EvaluationSettings())


def test_where_nothing_was_varied_nothing_is_said(tmp_path: Path) -> None:
    assert tables(tmp_path) == ({}, [])


def test_scores_that_do_not_change_change_by_nothing(tmp_path: Path) -> None:
    found, (text,) = tables(tmp_path, outwards=np.zeros(PEOPLE))
    row = found["placement"].set_index("placement").loc["outwards"]
    for name in ("change", "change_high", "largest_change", "flipped", "flipped_high",
                 "auc_difference", "auc_difference_low", "auc_difference_high"):  # fmt: skip
        assert row[name] == pytest.approx(0, abs=1e-9), name
    assert "moved by up to 2.5 mm, probabilities change by 0.00 on average" in text
    assert "raters" not in found


def test_a_change_is_measured_with_its_interval_and_the_moves_are_averaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.3, PEOPLE)
    found, texts = tables(tmp_path, outwards=np.full(PEOPLE, 0.1), inwards=noise, rater_CD=noise)
    table = found["placement"].set_index("placement")
    assert list(table.index) == [ALL, "outwards", "inwards", "rater CD"]
    same = table.loc["outwards"]
    assert same["change"] == pytest.approx(0.1, abs=0.005)
    assert same["auc_difference"] == pytest.approx(0, abs=0.01)  # an order stays an order
    worse = table.loc["inwards"]
    assert worse["auc_difference"] < -0.05
    assert worse["change_low"] < worse["change"] < worse["change_high"]
    assert worse["flipped_low"] < worse["flipped"] < worse["flipped_high"]
    for name in ("change", "flipped", "auc", "auc_difference"):
        both = (table.loc["outwards", name] + table.loc["inwards", name]) / 2
        assert table.loc[ALL, name] == pytest.approx(both)
    assert len(texts) == 2
    assert texts[1].startswith(
        "net: where held-out images are placed by rater CD, probabilities change by"
    )
    (rater,) = found["raters"].to_dict("records")
    assert (rater["rater"], rater["n"], rater["same_slice"]) == ("CD", PEOPLE, 1)
    assert rater["icc_width"] == pytest.approx(1)
    assert np.isnan(rater["icc_depth"])  # nobody differs


def test_the_interval_of_the_change_is_that_of_a_mean_over_people(tmp_path: Path) -> None:
    change = np.random.default_rng(100).normal(0, 0.1, PEOPLE)
    row = tables(tmp_path, outwards=change)[0]["placement"].iloc[1]
    half = 1.96 * np.abs(change).std(ddof=1) / np.sqrt(PEOPLE)
    assert row["change"] == pytest.approx(np.abs(change).mean(), abs=0.003)
    assert (row["change_high"] - row["change_low"]) / 2 == pytest.approx(half, rel=0.15)


def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss() -> None:
    """Table 2 of Shrout & Fleiss 1979 (doi:10.1037/0033-2909.86.2.420): ICC(2,1) = .29."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
                        [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)  # fmt: skip
    assert agreement_icc(ratings) == pytest.approx(0.29, abs=0.005)
    assert agreement_icc(ratings[:, :1].repeat(2, axis=1)) == pytest.approx(1)
    assert np.isnan(agreement_icc(np.full((5, 2), 3.0)))
