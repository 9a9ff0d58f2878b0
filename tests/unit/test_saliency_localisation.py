"""Localisation: what is measured against a place that is known."""

import numpy as np
import pytest

from bidsapp.saliency.localisation import localise, peak_dice, top_share_inside

from .saliency_stacks import AFFINE, SHAPE, brain, planted


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE)


def test_a_perfect_map_and_one_of_noise() -> None:
    inside = brain()
    perfect = localise(planted() * 5.0 + 0.01 * noise(), planted(), inside, AFFINE)
    assert perfect.top_share_inside == 1
    assert perfect.pointing
    assert perfect.dice == 1
    assert perfect.auc > 0.999
    chance = [localise(noise(seed), planted(), inside, AFFINE) for seed in range(40)]
    assert np.mean([one.auc for one in chance]) == pytest.approx(0.5, abs=0.02)
    mean = np.mean([one.top_share_inside for one in chance])
    assert mean == pytest.approx(chance[0].by_chance, abs=0.006)
    assert chance[0].by_chance == pytest.approx(64 / inside.sum())


def test_negative_evidence_counts_by_its_size() -> None:
    assert top_share_inside(planted() * -5.0 + 0.01 * noise(), planted(), brain()) == 1


def test_a_region_smaller_than_the_top_has_a_ceiling() -> None:
    inside = brain()
    small = np.zeros(SHAPE, bool)
    small[6, 15, 10] = True
    found = localise(small * 9.0 + 0.01 * noise(), small, inside, AFFINE)
    assert found.top_share_inside == pytest.approx(found.best_possible)
    assert found.best_possible == pytest.approx(1 / round(0.01 * inside.sum()))


def test_distance_is_in_millimetres() -> None:
    moved = np.roll(planted(), 5, axis=0)
    inside = np.ones(SHAPE, bool)
    share = planted().sum() / inside.sum()
    found = localise(moved * 1.0, planted(), inside, AFFINE, top=share)
    assert found.distance_mm == pytest.approx(10)
    assert found.top_share_inside == 0
    assert found.mass_inside == 0


def test_a_map_of_zero_finds_nothing() -> None:
    found = localise(np.zeros(SHAPE), planted(), brain(), AFFINE)
    assert np.isnan(found.top_share_inside)
    assert not found.pointing
    assert found.auc == 0.5


def test_dice_of_peaks() -> None:
    one = planted() * 1.0
    assert peak_dice(one, one, brain()) == 1
    assert peak_dice(one, np.roll(one, 8, axis=0), brain()) == 0


def test_a_region_outside_of_what_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="some, and not all"):
        localise(noise(), ~brain(), brain(), AFFINE)
