"""Averages by a network's weights: what they find, and when they only repeat the network."""

import numpy as np
import pytest

from bidsapp.errors import BadData
from bidsapp.evaluation.regression.guided import (
    COLUMNS,
    NO_TEST,
    at_other_places,
    compare_averages,
    guided_averages,
    of_others,
)

CELLS, PEOPLE = 300, 160


@pytest.fixture
def knees() -> dict[str, np.ndarray]:
    """Positives have lost some cartilage at a few places, and differ in nothing else."""
    rng = np.random.default_rng(0)
    outcome = np.arange(PEOPLE) % 2
    thickness = 2 + 0.3 * rng.normal(size=(PEOPLE, 1)) + 0.1 * rng.normal(size=(PEOPLE, CELLS))
    patch = np.arange(CELLS) < 20
    thickness = thickness - 0.04 * outcome[:, None] * patch
    return {
        "outcome": outcome,
        "thickness": thickness,
        "patch": patch,
        "sizes": rng.uniform(0.5, 2, CELLS),
        "noise": rng.uniform(0, 1, (PEOPLE, CELLS)),
    }


def test_an_average_is_one_of_tissue_by_its_area() -> None:
    values = np.array([[1.0, 2.0, np.nan], [np.nan, 5.0, 7.0], [np.nan, np.nan, 3.0]])
    weights, sizes = np.array([2.0, 1.0, 0.0]), np.array([1.0, 3.0, 1.0])
    found = guided_averages(values, weights, sizes)
    np.testing.assert_allclose(found, [(2 * 1 + 3 * 2) / 5, 5, np.nan])
    np.testing.assert_allclose(guided_averages(values, 7 * weights, sizes), found)
    with pytest.raises(ValueError, match="negative"):
        guided_averages(values, -weights, sizes)


def test_the_guided_average_beats_plain_means_and_its_controls_do_not(knees: dict) -> None:
    rng = np.random.default_rng(1)
    weights = knees["patch"] + 0.05 * knees["noise"]
    base = {
        "medial": knees["thickness"][:, : CELLS // 2].mean(1),
        "lateral": knees["thickness"][:, CELLS // 2 :].mean(1),
    }
    averages = {
        name: guided_averages(knees["thickness"], used, knees["sizes"])
        for name, used in (
            ("guided", weights),
            ("random network", knees["noise"]),
            ("other places", at_other_places(weights, rng)),
        )
    }
    person = np.arange(PEOPLE)
    table = compare_averages(knees["outcome"], base, averages, person, folds=5)
    assert tuple(table) == COLUMNS
    found = table.set_index("added")
    assert found["p"]["guided"] < 1e-6
    assert found["gain_low"]["guided"] > 0.05
    for control in ("random network", "other places"):
        # What the plain means leave of the effect is a little, and all that it can find.
        assert found["p"][control] > 1e4 * found["p"]["guided"]
        assert found["gain_low"][control] < 0.02


def test_an_average_that_only_carries_the_decision_adds_nothing_to_the_network() -> None:
    rng = np.random.default_rng(2)
    outcome = np.arange(PEOPLE) % 2
    network = outcome + 0.8 * rng.normal(size=PEOPLE)  # sees something else than thickness
    place = np.linspace(0, 1, CELLS)
    thickness = np.broadcast_to(1 + place, (PEOPLE, CELLS)) + 0.01 * rng.normal(size=(PEOPLE, 1))
    # Its map moves along with its answer, over cartilage that is everybody's alike.
    centre = 0.5 + 0.1 * network[:, None]
    weights = np.exp(-((place - centre) ** 2) / 0.02)
    averages = {"guided": guided_averages(thickness, weights, np.ones(CELLS))}
    averages["others' weights"] = guided_averages(
        thickness, of_others(weights, rng), np.ones(CELLS)
    )
    base = {"age": rng.normal(size=PEOPLE)}
    table = compare_averages(outcome, base, averages, np.arange(PEOPLE), network, folds=0)
    found = table.set_index(["beside", "added"])["p"]
    assert found["base", "guided"] < 1e-6  # what a paper would print
    assert found["base", "network"] < 1e-6
    assert found["base and network", "guided"] > 0.01
    assert found["base", "others' weights"] > 0.01


def test_nobody_keeps_their_own_weights() -> None:
    weights = np.arange(50.0)[:, None]
    for seed in range(20):
        other = of_others(weights, np.random.default_rng(seed))
        assert sorted(other.ravel()) == sorted(weights.ravel())
        assert (other != weights).all()


def test_what_is_missing_is_named(knees: dict) -> None:
    average = np.where(np.arange(PEOPLE) == 3, np.nan, 1.0)
    with pytest.raises(BadData, match="guided is missing for somebody"):
        compare_averages(knees["outcome"], {}, {"guided": average}, np.arange(PEOPLE))


def test_where_classes_are_told_apart_completely_the_auc_still_stands(knees: dict) -> None:
    outcome = knees["outcome"].astype(float)
    rng = np.random.default_rng(3)
    base = {"medial": knees["thickness"].mean(1)}
    averages = {"guided": outcome + 0.01 * rng.normal(size=PEOPLE), "random": knees["noise"][:, 0]}
    found = compare_averages(outcome, base, averages, np.arange(PEOPLE)).set_index("added")
    assert found.loc["guided", "test"] == NO_TEST
    assert np.isnan(found.loc["guided", ["statistic", "p"]].to_numpy(float)).all()
    assert found.loc["guided", "auc"] > 0.99
    assert found.loc["guided", "gain_low"] > 0.3
    assert found.loc["random", "p"] > 0.01
