"""Which components become channels: known answers and refusals."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidsapp.errors import BadData
from bidsapp.representation.components.matching import Match, match
from bidsapp.representation.components.selection import (
    by_outcome,
    by_template,
    difference,
    strengths,
)
from tests.unit import rest24


def test_a_persons_strength_is_the_size_of_the_groups_map_in_theirs() -> None:
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, 500))
    person = maps * np.array([[2.0], [0.5], [-1.0]]) + 7
    assert strengths(np.array([person, maps]), maps) == pytest.approx(
        np.array([[2, 0.5, -1], [1, 1, 1]]), abs=0.1
    )


def test_the_component_that_differs_is_chosen_with_its_sign() -> None:
    rng = np.random.default_rng(1)
    outcome = np.arange(20) % 2
    strength = rng.standard_normal((20, 6))
    strength[:, 4] -= 3 * outcome
    found = difference(strength, outcome)
    assert by_outcome(found, 1).tolist() == [4]
    assert found.r[4] < -0.6
    assert 4 in by_outcome(found, 3)
    assert by_outcome(found, 3).tolist() == sorted(by_outcome(found, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_differences_are_those_of_a_t_test_and_a_correlation(seed: int) -> None:
    from scipy.stats import pearsonr

    rng = np.random.default_rng(seed)
    outcome = rng.permutation([0] * 7 + [1] * 5)
    strength = rng.standard_normal((12, 3))
    found = difference(strength, outcome)
    for column in range(3):
        r, p = pearsonr(strength[:, column], outcome)
        assert found.r[column] == pytest.approx(r)
        assert found.p[column] == pytest.approx(p)


def test_a_component_of_equal_strength_is_chosen_last() -> None:
    strength = np.random.default_rng(0).standard_normal((8, 3))
    strength[:, 0] = 1.5
    found = difference(strength, np.arange(8) % 2)
    assert found.p[0] == 1
    assert found.r[0] == 0
    assert by_outcome(found, 2).tolist() == [1, 2]


def test_one_person_of_a_class_cannot_choose_components() -> None:
    with pytest.raises(BadData, match="1 positive and 7 negative"):
        difference(np.ones((8, 3)), np.array([1, 0, 0, 0, 0, 0, 0, 0]))


def _match(r: list[float], null: float) -> Match:
    count = len(r)
    numbers = np.arange(count)
    return Match(numbers[::-1], numbers, np.array(r), np.full(count, null))


def test_only_matches_above_the_null_are_chosen_the_best_first() -> None:
    found = _match([0.9, -0.8, 0.3, 0.6], 0.5)
    assert by_template(found).tolist() == [0, 2, 3]
    assert by_template(found, 2).tolist() == [2, 3]


def test_no_match_above_the_null_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadData, match=r"0 of 2 components.*take all components"):
        by_template(_match([0.3, 0.4], 0.5))
    with pytest.raises(BadData, match=r"1 of 2 components.*2 are asked for"):
        by_template(_match([0.3, 0.8], 0.5), 2)


def test_real_components_match_smooth_networks_barely_above_a_flip(real_data: Path) -> None:
    """At 10 mm hardly a network may be named: that the null says so is what is tested."""
    from bidsapp.intake.images import read_numbers
    from bidsapp.representation.components.group_ica import group_ica

    folder = real_data / "rest24_mni10mm"
    atlas = read_numbers(next(folder.glob("*NeuroMark1*")))[0]
    mask = rest24.mask(real_data)
    found = group_ica(
        rest24.reductions(real_data), np.arange(24), 20, 0, products=rest24.products(real_data)
    )
    matched = match(found.maps, atlas[mask].T, mask)
    assert len(matched.r) == 20
    assert np.abs(matched.r).max() < 0.75
    assert matched.null.mean() > 0.25
    assert matched.above_null.mean() < 0.7
