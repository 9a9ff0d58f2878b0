"""The benchmark that says where maps of necks lie: what it counts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bidsapp.recipes import load_recipe
from tests.benchmarks.neck_maps import Necks, Place, line_of, methods_of, place_of, true_positives

SIZE = 40


def foramina() -> np.ndarray:
    """Four people whose foramina lie at two places; the group's is where a quarter differs."""
    found = np.zeros((4, SIZE, SIZE), bool)
    found[:3, 10:20, 10:20] = True
    found[3, 25:35, 25:35] = True
    return found


def test_a_map_on_the_foramen_has_all_of_its_top_there_and_noise_as_much_as_chance() -> None:
    own = foramina()
    foramen = Necks(("a", "b", "c", "d"), np.empty((4, 1, SIZE, SIZE)), own).foramen
    assert foramen.mean() == pytest.approx(200 / SIZE**2)
    noise = 0.01 * np.random.default_rng(0).standard_normal((200, SIZE, SIZE))
    whole = place_of(noise[:4] - own, own, foramen, 0)  # what speaks against counts by its size
    assert (whole.group, whole.own) == (1, 1)
    elsewhere = place_of(own[::-1] + noise[:4], own, foramen, 0)
    assert elsewhere.group == 1  # in the group's foramen, but two people have the other's
    assert elsewhere.own == pytest.approx(0.5, abs=0.06)
    chance = place_of(noise, np.repeat(own, 50, axis=0), foramen, 0)
    assert chance.own == pytest.approx(own.mean(), abs=0.01)


def test_people_are_explained_by_the_networks_that_held_them_out() -> None:
    models = [SimpleNamespace(repeat=0, fold=fold) for fold in (1, 0)]
    bundle = SimpleNamespace(models=models, recipe=load_recipe("wang2023"))
    rows = [("a", 0, 1, 0.9), ("b", 1, 1, 0.5), ("c", 1, 1, 0.4), ("d", 1, 0, 0.9)]
    columns = ["participant_id", "fold", "outcome", "probability"]
    scores = pd.DataFrame(rows, columns=columns).assign(repeat=0)
    necks = Necks(("d", "c", "b", "a"), np.empty(0), np.empty(0))
    assert [list(found) for found in true_positives(bundle, scores, necks)] == [[2], [3]]


def test_a_line_holds_the_spread_over_draws_and_how_many_are_like_the_trained() -> None:
    mean = np.arange(9.0)
    drawn = [Place(0.2, 0.1, -mean), Place(0.4, 0.3, np.array([4, 1, 7, 3, 5, 2, 8, 0, 6.0]))]
    line = " ".join(line_of("gradient", Place(0.99, 0.53, mean), drawn).split())
    assert line == "gradient 0.99 0.53 0.30 (0.20 to 0.40) 0.20 1 of 2 (-1.00 to 0.10)"


def test_the_methods_are_those_of_the_studys_variants() -> None:
    recipe = load_recipe("wang2023")
    ours = methods_of("efficientnetv2")
    assert ours["grad_cam 4 x 4"] == recipe.with_variant("b0").saliency
    assert ours["grad_cam 7 x 7"] == recipe.with_variant("cam7").saliency
    assert ours["occlusion"] == recipe.with_variant("occlusion").saliency
    assert methods_of("resnet")["gradient"] == recipe.with_variant("compact").saliency
