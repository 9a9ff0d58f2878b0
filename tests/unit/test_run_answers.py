"""About whom a run would not have answered: limits from the people of other folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bidsapp.evaluation.run_answers import ALONE, judged, run_answers
from bidsapp.evaluation.settings import EvaluationSettings
from bidsapp.evaluation.state import RunState

PLAN = EvaluationSettings()


def logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def drawn(
    rng: np.random.Generator,
    people: int = 160,
    folds: int = 4,
    repeats: int = 1,
    slope: float = 2.0,
) -> RunState:
    """A run whose probabilities are right in order and too near to .5 (by a slope of 2)."""
    x = rng.normal(0, 1.5, people)
    outcome = (rng.random(people) < logistic(2 * x)).astype(int)
    names = [f"sub-{k:03d}" for k in range(people)]
    rows = []
    for repeat in range(repeats):
        fold = rng.permutation(np.arange(people) % folds)
        rows.append(
            pd.DataFrame(
                {
                    "variant": "base",
                    "participant_id": names,
                    "session_id": "",
                    "repeat": repeat,
                    "fold": fold,
                    "outcome": outcome,
                    "probability": logistic(x + rng.normal(0, 0.05, people)),
                    "features": np.exp(rng.normal(0, 0.3, people)),
                    "intensities": np.exp(rng.normal(0, 0.3, people)),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True)
    key = ["variant", "participant_id", "session_id", "repeat", "fold"]
    cohort = pd.DataFrame({"participant_id": names, "session_id": "", "outcome": outcome})
    apart = table[[*key, "features", "intensities"]]
    scores = table[[*key, "outcome", "probability"]]
    return RunState(Path(), cohort, cohort[:0], cohort[:0], scores, distances=apart)


def kept(state: RunState) -> pd.DataFrame:
    tables, _, _ = run_answers(state, PLAN)
    return tables["held_out_answers"].set_index("part")


def test_answers_keep_the_promised_error_rate_in_people_whom_the_limits_did_not_see() -> None:
    """Limits fitted on the people that are counted would break it no less often, and unseen."""
    rng = np.random.default_rng(3)
    rates, everybody, away, people = [], [], [], 0
    for _ in range(40):
        table = kept(drawn(rng))
        if np.isnan(table.loc["answered", "promise"]):
            continue
        people += int(table.loc["answered", "people"])
        rates.append(int(table.loc["answered", "errors"]))
        everybody.append(table.loc["everybody", "error_rate"])
        away.append(table.loc["unlike", "people"] / 160)
    assert len(rates) > 15
    assert np.sum(rates) / people < 0.10
    assert np.mean(everybody) > 0.12  # what is promised is not had for nothing
    assert np.mean(away) == pytest.approx(0.05, abs=0.015)


def test_nobody_is_judged_by_limits_that_their_own_outcome_or_score_had_a_part_in() -> None:
    """Whatever becomes of a fold's people, the reasons of that fold stay, and others' change."""
    state = drawn(np.random.default_rng(4))
    held = state.scores["fold"] == 2
    wrong = (state.scores["probability"] < 0.5).astype(int)  # a fold whose answers are all wrong
    changed = state.scores.assign(outcome=state.scores["outcome"].where(~held, wrong))
    assert state.distances is not None
    unit = ["participant_id", "session_id"]
    before, after = (judged(one, state.distances, unit, 0.5) for one in (state.scores, changed))
    same = before[0]["why"] == after[0]["why"]
    assert same[held].all()
    assert not same[~held].all()
    assert before[1][2] == after[1][2]
    assert before[1] != after[1]


def test_several_repeats_and_one_hold_out() -> None:
    rng = np.random.default_rng(5)
    table = kept(drawn(rng, repeats=3))
    assert int(table.loc["everybody", "people"]) == 160
    parts = [int(table.loc[part, "people"]) for part in ("answered", "unlike", "unsure")]
    assert sum(parts) == 160
    alone = drawn(rng, folds=1)
    tables, figures, (said,) = run_answers(alone, PLAN)
    assert (tables["held_out_answers"]["note"] == ALONE).all()
    assert set(figures["coverage"]["order"]) == {"sure"}
    assert said == f"base: about whom there would be no answer is not judged: {ALONE}."
    assert "limits need 20 people in other folds" in said


def test_a_run_without_distances_says_nothing() -> None:
    state = drawn(np.random.default_rng(6))
    assert run_answers(replace(state, distances=None), PLAN) == ({}, {}, [])


def test_too_few_people_promise_nothing_and_the_sentence_says_so() -> None:
    state = drawn(np.random.default_rng(7), people=32)
    tables, figures, (said,) = run_answers(state, PLAN)
    assert np.isnan(tables["held_out_answers"].set_index("part").loc["answered", "promise"])
    assert "nothing is promised: no limit in 4 of 4 folds" in said
    assert said.startswith("base: by limits fitted on other people there is no answer about ")
    assert set(figures["coverage"]["order"]) == {"sure", "like"}
