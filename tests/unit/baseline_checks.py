"""What every baseline has to keep to, on a cohort that has whatever one of them asks for."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from bidsapp.evaluation.baseline_models import BASELINES
from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.evaluation.connectome import PREFIX
from bidsapp.reports.methods_evaluation import BASELINE_WORDS

PEOPLE, FOLDS = 40, 2
OUTCOME = np.arange(PEOPLE) % 2
FOLD = np.arange(PEOPLE) // 2 % FOLDS
NUMBERS = (
    "age",
    "pain",
    "quality_fd_mean",
    "quality_ncc",
    "region_volume_insula",
    "handcrafted_sd",
    *(f"{PREFIX}{pair}" for pair in ("a_b", "a_c", "b_c")),
)
PREDICTORS, SITE = ("pain", "mood"), "scanner"


def cohort() -> pd.DataFrame:
    """Columns of every kind that a baseline takes, all of which know the outcome."""
    rng = np.random.default_rng(0)
    numbers = {name: 3 * OUTCOME + rng.normal(size=PEOPLE) for name in NUMBERS}
    for name in numbers:
        if name.startswith(PREFIX):  # Fisher's z of correlations that go together
            numbers[name] /= 6
    texts = {name: [f"{value:.3f}" for value in values] for name, values in numbers.items()}
    texts |= {name: np.where(OUTCOME, "b", "a").tolist() for name in ("sex", "mood", "scanner")}
    texts["pain"][5] = texts["age"][6] = texts["mood"][7] = "n/a"
    people = [f"sub-{i:02d}" for i in range(PEOPLE)]
    return pd.DataFrame({"participant_id": people, "session_id": "n/a", "outcome": OUTCOME} | texts)


def splits() -> pd.DataFrame:
    people = cohort()["participant_id"]
    parts = [
        pd.DataFrame(
            {
                "repeat": 0,
                "fold": fold,
                "participant_id": people,
                "role": np.where(fold == FOLD, "test", "train"),
            }
        )
        for fold in range(FOLDS)
    ]
    return pd.concat(parts, ignore_index=True)


def scored(name: str, people: pd.DataFrame) -> pd.Series:
    """Held-out probability of each participant, in the order of the cohort."""
    given, roles = people.copy(), splits()
    scores, skipped = baseline_scores(people, roles, [name], PREDICTORS, SITE)
    pd.testing.assert_frame_equal(people, given)
    pd.testing.assert_frame_equal(roles, splits())
    assert not skipped
    assert set(scores["variant"]) == {name}
    assert len(scores) == PEOPLE
    return scores.set_index("participant_id")["probability"].loc[people["participant_id"]]


@cache
def first(name: str) -> pd.Series:
    return scored(name, cohort())


def scores_everybody_once_with_a_probability(name: str) -> None:
    assert first(name).index.is_unique
    assert first(name).between(0, 1).all()


def gives_the_same_bits_twice(name: str) -> None:
    pd.testing.assert_series_equal(scored(name, cohort()), first(name), check_exact=True)


def sees_no_outcome_of_those_whom_it_scores(name: str) -> None:
    people, inside = cohort(), FOLD == 1
    people.loc[inside & (np.arange(PEOPLE) > 9), "outcome"] = 1
    again = scored(name, people)
    assert (again[inside].to_numpy() == first(name)[inside].to_numpy()).all()
    assert (again != first(name)).any()


def sees_no_value_of_others_whom_it_scores(name: str) -> None:
    """One held-out person's columns do not move the scores of the others in that fold."""
    people = cohort()
    one = int(np.flatnonzero(FOLD == 1)[0])
    for column in NUMBERS:
        people.loc[one, column] = "50"
    people.loc[one, ["sex", "mood", "scanner"]] = "never seen"
    again = scored(name, people)
    others = (FOLD == 1) & (np.arange(PEOPLE) != one)
    assert (again[others].to_numpy() == first(name)[others].to_numpy()).all()


def finds_what_its_columns_know(name: str) -> None:
    found = first(name).to_numpy()
    if not BASELINES[name].needs:
        assert all(len(set(found[fold == FOLD])) == 1 for fold in range(FOLDS))
        return
    assert all(roc_auc_score(OUTCOME[k == FOLD], found[k == FOLD]) > 0.8 for k in range(FOLDS))


def says_what_it_needs_where_that_is_not_there(name: str) -> None:
    people = cohort()[["participant_id", "session_id", "outcome"]]
    scores, skipped = baseline_scores(people, splits(), [name])
    needs = BASELINES[name].needs
    assert scores.empty == bool(needs)
    assert not needs or needs in skipped[name]


def has_words_for_the_methods_text(name: str) -> None:
    assert name in BASELINE_WORDS


CHECKS: tuple[Callable[[str], None], ...] = (
    scores_everybody_once_with_a_probability,
    gives_the_same_bits_twice,
    sees_no_outcome_of_those_whom_it_scores,
    sees_no_value_of_others_whom_it_scores,
    finds_what_its_columns_know,
    says_what_it_needs_where_that_is_not_there,
    has_words_for_the_methods_text,
)
"""What every baseline has to keep to: called with its name."""
