"""The baseline of correlations in the tangent space: against nilearn, found, and not leaked."""

import numpy as np
import pandas as pd
import pytest
from nilearn.connectome import ConnectivityMeasure
from sklearn.covariance import EmpiricalCovariance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bidsapp.errors import BadData
from bidsapp.evaluation.baselines import baseline_scores
from bidsapp.evaluation.connectome import (
    PREFIX,
    TangentClassifier,
    geometric_mean,
    shrunk,
    tangent,
)

REGIONS, PEOPLE = 8, 60
PAIRS = np.triu_indices(REGIONS, 1)


def _z(seed: int = 0, people: int = PEOPLE, planted: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's z of series of 80 volumes; in every other person two regions go together more."""
    rng = np.random.default_rng(seed)
    outcome = np.arange(people) % 2
    rows = []
    for positive in outcome:
        shared = rng.standard_normal((80, 3)) @ np.random.default_rng(1).standard_normal(
            (3, REGIONS)
        )
        series = shared + rng.standard_normal((80, REGIONS))
        series[:, 2] += planted * positive * series[:, 5]
        rows.append(np.arctanh(np.corrcoef(series.T)[PAIRS]))
    return np.array(rows), outcome


def test_the_tangent_space_is_nilearns_for_the_same_matrices() -> None:
    matrices = shrunk(_z(people=12)[0])
    rng = np.random.default_rng(3)
    series = []
    for matrix in matrices:  # whose covariance is exactly this
        free = rng.standard_normal((50, REGIONS))
        free = np.linalg.qr(free - free.mean(axis=0))[0] * np.sqrt(50)
        series.append(free @ np.linalg.cholesky(matrix).T)
    measure = ConnectivityMeasure(
        EmpiricalCovariance(), kind="tangent", vectorize=False, standardize=False
    ).fit(series[:9])
    mean = geometric_mean(matrices[:9])
    assert np.abs(mean - measure.mean_).max() < 1e-6
    values, vectors = np.linalg.eigh(mean)
    found = tangent(matrices, (vectors / np.sqrt(values)) @ vectors.T)
    expected = measure.transform(series)[:, *np.tril_indices(REGIONS)]
    assert np.abs(found - expected).max() < 1e-5
    # seen from their own mean the people whom it was fitted on lie about 0
    assert np.abs(found[:9].mean(axis=0)).max() < 1e-6


def test_a_matrix_has_an_inverse_and_what_is_missing_is_no_correlation() -> None:
    z = np.full((1, 3), 8.0)  # three regions with one course
    assert np.linalg.eigvalsh(shrunk(z)).min() == pytest.approx(0.1, abs=1e-3)
    z[0, 1] = np.nan
    assert shrunk(z)[0, 0, 2] == 0
    assert (shrunk(z)[0] == shrunk(z)[0].T).all()


def test_a_mean_that_does_not_settle_is_said() -> None:
    with pytest.raises(BadData, match="12 people's connectomes did not settle in 1 steps"):
        geometric_mean(shrunk(_z(people=12)[0]), passes=1)


def test_a_planted_connection_is_found_in_people_who_were_not_fitted_on() -> None:
    z, outcome = _z(planted=0.7)
    train = np.arange(PEOPLE) < 40
    model = TangentClassifier(LogisticRegression(C=0.01)).fit(z[train], outcome[train])
    assert roc_auc_score(outcome[~train], model.predict_proba(z[~train])[:, 1]) > 0.9


def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    z, outcome = _z(planted=0.7)
    names = [f"{PREFIX}{a}_{b}" for a, b in zip(*PAIRS, strict=True)]
    people = [f"sub-{number:02d}" for number in range(PEOPLE)]
    about = pd.DataFrame({"participant_id": people, "session_id": "n/a", "outcome": outcome})
    cohort = pd.concat([about, pd.DataFrame(z, columns=names)], axis=1)
    rows = [
        (person, 0, fold, "test" if number // 2 % 3 == fold else "train")
        for fold in range(3)
        for number, person in enumerate(people)
    ]
    return cohort, pd.DataFrame(rows, columns=["participant_id", "repeat", "fold", "role"])


def test_as_a_baseline_it_is_fitted_in_the_training_fold_alone() -> None:
    cohort, splits = _tables()
    scores, skipped = baseline_scores(cohort, splits, ["connectome"])
    assert not skipped
    assert len(scores) == PEOPLE
    assert roc_auc_score(scores["outcome"], scores["probability"]) > 0.9
    held = splits.loc[(splits["fold"] == 0) & (splits["role"] == "test"), "participant_id"]
    first = cohort["participant_id"].isin(held.iloc[:1])
    others = cohort["participant_id"].isin(held.iloc[1:])
    changed = cohort.copy()
    columns = [name for name in map(str, cohort) if name.startswith(PREFIX)]
    changed.loc[others, columns] = np.random.default_rng(0).normal(0, 1, (int(others.sum()), 28))
    changed.loc[others, "outcome"] = 1 - changed.loc[others, "outcome"]
    again, _ = baseline_scores(changed, splits[splits["fold"] == 0], ["connectome"])
    own = scores[scores["fold"] == 0]
    who = cohort.loc[first, "participant_id"].item()
    one, two = (t.set_index("participant_id").loc[who, "probability"] for t in (own, again))
    assert one == two


@pytest.mark.parametrize("whom", ["test", "train"])
def test_who_has_no_correlations_gets_no_probability(whom: str) -> None:
    cohort, splits = _tables()
    columns = [name for name in map(str, cohort) if name.startswith(PREFIX)]
    one = splits[(splits["fold"] == 0) & (splits["role"] == whom)]["participant_id"].iloc[0]
    cohort.loc[cohort["participant_id"] == one, columns] = np.nan
    scores, skipped = baseline_scores(cohort, splits[splits["fold"] == 0], ["connectome"])
    assert scores.empty
    assert "fold 0: 1 of" in skipped["connectome"]
    assert "people have none of the columns region_connectivity_*" in skipped["connectome"]


def test_columns_that_are_not_all_pairs_are_said() -> None:
    cohort, splits = _tables()
    first = next(name for name in map(str, cohort) if name.startswith(PREFIX))
    scores, skipped = baseline_scores(cohort.drop(columns=first), splits, ["connectome"])
    assert scores.empty
    assert "27 columns region_connectivity_* are not all pairs" in skipped["connectome"]
    assert "8 have 28" in skipped["connectome"]


def test_without_series_it_says_what_it_needs() -> None:
    cohort, splits = _tables()
    plain = cohort[["participant_id", "session_id", "outcome"]]
    scores, skipped = baseline_scores(plain, splits, ["connectome"])
    assert scores.empty
    assert "region_connectivity_" in skipped["connectome"]
