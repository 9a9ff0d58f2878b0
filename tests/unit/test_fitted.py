"""The leak rule, and one table of checks over every fitted step."""

from pathlib import Path

import numpy as np
import pytest

from bidsapp.contracts.fitted import FittedStep, leaking, refusals, stamp_text
from bidsapp.errors import BadData, NociCastError
from bidsapp.recipes import load_recipe
from bidsapp.recipes.images import Representation
from bidsapp.representation.chain import Chain
from bidsapp.representation.image_rows import ImageRows, Restricted
from tests.unit.fitted_steps import (
    CHANNELS,
    CHECKS,
    FURTHER,
    OUTCOME,
    ROLES,
    TEST,
    TRAIN,
    chain_of,
    every_step,
    images,
)
from tests.unit.synthetic_cohort import small_recipe


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "scope"), every_step())
def test_every_step(check, name: str, scope: str, tmp_path: Path) -> None:
    check(name, scope, tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("scope", ["train_fold", "dataset"])
def test_a_step_from_elsewhere(check, scope, tmp_path, monkeypatch) -> None:
    """One that changes the number of channels, in a folder of its own."""
    monkeypatch.setenv("NOCICAST_FITTED", str(FURTHER))
    check("everybody", scope, tmp_path)


def test_the_z_score_has_mean_0_and_sd_1_over_the_training_fold() -> None:
    fitted, _ = chain_of("zscore", "train_fold").fit(images(), ROLES, OUTCOME)
    wide = images().array[TRAIN].astype(float)
    np.testing.assert_allclose(fitted.state()["0.mean"], wide.mean((0, 2, 3, 4)))
    np.testing.assert_allclose(fitted.state()["0.sd"], wide.std((0, 2, 3, 4)))
    alone, _ = chain_of("zscore", "image").fit(images(), ROLES, OUTCOME)
    ((mean, sd),) = alone.numbers(images(), np.arange(10))
    np.testing.assert_allclose(mean, images().array.astype(float).mean((2, 3, 4)), rtol=1e-6)
    np.testing.assert_allclose(sd, images().array.astype(float).std((2, 3, 4)), rtol=1e-5)


def heads_in_boxes(outside: float) -> ImageRows:
    """Heads of several sizes, 0 around them but for what lies outside all of them."""
    array = np.full((10, 2, 12, 10, 8), outside, np.float16)
    rng = np.random.default_rng(1)
    for row, image in enumerate(array):
        size = 4 + row % 3
        image[:, 1:-1, 1:-1, 1:-1] = 0
        image[:, 3 : 3 + size, 3 : 3 + size, 3:6] = rng.normal(5, 2, (2, size, size, 3))
    return ImageRows(array)


def test_a_z_score_over_nonzero_voxels_leaves_the_background_out() -> None:
    section = Representation(channels=CHANNELS, zscore="image", zscore_voxels="nonzero")
    rows, boxes = np.arange(10), heads_in_boxes(0)
    ((mean, sd),) = Chain.of(section).numbers(boxes, rows)
    for row, image in enumerate(boxes.array.astype(float)):
        inside = [channel[channel != 0] for channel in image]
        np.testing.assert_allclose(mean[row], [one.mean() for one in inside], rtol=1e-5)
        np.testing.assert_allclose(sd[row], [one.std() for one in inside], rtol=1e-5)
    # a larger box, which is padded with 0, changes nothing; over all voxels it does
    wide = ImageRows(np.pad(boxes.array, [(0, 0), (0, 0), *[(5, 7)] * 3]))
    ((padded, _),) = Chain.of(section).numbers(wide, rows)
    np.testing.assert_allclose(padded, mean, rtol=1e-6)
    every = Representation(channels=CHANNELS, zscore="image", zscore_voxels="all")
    here, there = (Chain.of(every).numbers(one, rows)[0][0] for one in (boxes, wide))
    assert (there < 0.5 * here).all()
    # in the fold each image counts alike
    fold = Representation(channels=CHANNELS, zscore="train_fold", zscore_voxels="nonzero")
    fitted, _ = Chain.of(fold).fit(boxes, ROLES, OUTCOME)
    np.testing.assert_allclose(fitted.state()["0.mean"], mean[TRAIN].mean(0), rtol=1e-5)
    assert section.asked()[0].words == (
        "standardised (z-score) with mean and SD over voxels that are not 0 of each image"
    )


def test_an_image_of_nothing_stays_nothing() -> None:
    section = Representation(channels=CHANNELS, zscore="image", zscore_voxels="nonzero")
    ((mean, sd),) = Chain.of(section).numbers(ImageRows(np.zeros((1, 2, 3, 3, 3))), np.arange(1))
    assert (mean == 0).all()
    assert (sd == 1).all()


def test_recipes_that_say_nothing_of_voxels_keep_their_text_and_their_numbers() -> None:
    plain = Representation(channels=CHANNELS)
    assert "zscore_voxels" not in plain.plain()
    every = Representation(channels=CHANNELS, zscore_voxels="all")
    boxes = heads_in_boxes(3)
    states = [Chain.of(one).fit(boxes, ROLES, OUTCOME)[0].state() for one in (plain, every)]
    assert all(states[0][key].tobytes() == states[1][key].tobytes() for key in states[0])
    with pytest.raises(ValueError, match=r"zscore_voxels: nonzero says nothing with .*zscore: no"):
        small_recipe(representation={"zscore": "none", "zscore_voxels": "nonzero"})


def test_whole_heads_of_wei2023_are_standardised_over_the_head() -> None:
    recipe = load_recipe("wei2023")
    for name in ("resnet18", "native", "paper", "paper_densenet121", "resnet50_2d", "resnet18_224"):
        (asked,) = recipe.with_variant(name).representation.asked()
        assert (asked.scope, asked.settings) == ("image", {"voxels": "nonzero"})


def test_min_max_is_0_to_1_over_the_training_fold_and_may_leave_it_elsewhere() -> None:
    fitted, _ = chain_of("minmax", "train_fold").fit(images(), ROLES, OUTCOME)
    (step,) = fitted.steps
    inside = np.stack(list(step.transform(images(), TRAIN)))
    assert (inside.min((0, 2, 3, 4)) == 0).all()
    assert (inside.max((0, 2, 3, 4)) == 1).all()
    other = images()
    other.array[0, 0, 0, 0, 0] = 1000
    assert next(iter(step.transform(other, TEST))).max() > 1


def test_a_constant_channel_is_refused_with_the_key() -> None:
    flat = ImageRows(np.ones((10, 1, 3, 3, 3), np.float16))
    for name in ("zscore", "minmax"):
        with pytest.raises(BadData, match=rf"fitted.{name}.fit: a channel is constant over the 6"):
            chain_of(name, "train_fold").fit(flat, ROLES, OUTCOME)


def test_a_step_cannot_read_whom_its_scope_leaves_out() -> None:
    step = FittedStep("representation.fitted.sly.fit: train_fold", "train_fold")
    seen = Restricted(images(), TRAIN, step)
    assert seen[4].shape == (2, 6, 5, 4)
    assert seen.column("site") == ["", "a", "", "", "a", "a", "b", "", "a", "b"]
    with pytest.raises(NociCastError, match=r"sly.fit: train_fold: its fit reads image 0"):
        seen[0]


def test_steps_are_fitted_on_what_those_before_leave() -> None:
    section = Representation(
        channels=CHANNELS, fitted={"minmax": {"fit": "image"}}, zscore="train_fold"
    )
    fitted, _ = Chain.of(section).fit(images(), ROLES, OUTCOME)
    wide = images().array[TRAIN].astype(float)
    low, high = (f(wide, axis=(2, 3, 4), keepdims=True) for f in (np.min, np.max))
    scaled = (wide - low) / (high - low)
    np.testing.assert_allclose(fitted.state()["1.mean"], scaled.mean((0, 2, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(fitted.state()["1.sd"], scaled.std((0, 2, 3, 4)), rtol=1e-5)


# --- the rule


def test_the_rule_is_one() -> None:
    for scope, outcome, leaks in (
        ("image", False, False),
        ("train_fold", True, False),
        ("dataset", False, True),
        ("test_fold", False, True),
        ("image", True, True),
    ):
        step = FittedStep("a.b: c", scope, uses_outcome=outcome)
        assert step.leaks == leaks
        assert bool(list(refusals([step]))) == leaks
        assert stamp_text([step]) == ("LEAK: a.b: c" if leaks else "")
    maybe = FittedStep("d: e", "dataset", certain=False)
    sure = FittedStep("a.b: c", "dataset", reason="everybody is asked", reaches="maps")
    assert list(refusals([maybe, sure])) == [
        ("a.b", "c is refused in strict mode: everybody is asked; mode: paper runs it")
    ]
    assert stamp_text([maybe, sure, sure]) == "LEAK: a.b: c; LEAK?: d: e"
    assert leaking([maybe, sure], "maps") == (maybe, sure)
    assert leaking([maybe, sure], "scores") == (maybe,)
    with pytest.raises(ValueError, match="a: 'somewhere' is not one of image"):
        FittedStep("a", "somewhere")


def test_every_recipe_in_strict_mode_has_no_leak_and_says_what_it_fits() -> None:
    for name in ("attias2025", "t1w"):
        recipe = load_recipe(name)
        for variant in recipe.variant_names:
            one = recipe.with_variant(variant)
            assert bool(one.leaks()) == (one.mode == "paper")
            assert {"training", "representation.zscore: train_fold"} <= {
                step.name for step in strict(one).declares()
            }


def strict(recipe):  # type: ignore[no-untyped-def]
    return recipe.with_values(
        {
            "mode": "strict",
            "representation.zscore": "train_fold",
            "evaluation.best_fold": False,
            "saliency.folds": "all",
        }
    )


@pytest.mark.parametrize(
    ("fitted", "message"),
    [
        ({"harmonise": {}}, r"representation.fitted: step 'harmonise' is unknown"),
        (["minmx"], r"step 'minmx' is unknown; did you mean minmax\?"),
        ({"minmax": {"fit": "test"}}, r"fitted.minmax.fit: should be train_fold or image or data"),
        (
            {"outcome_selection": {"count": 0}},
            r"outcome_selection.count: should be at least 1, got 0",
        ),
        ({"template_selection": {"count": -2}}, r"template_selection.count: should be at least 1"),
        ({"group_ica": {"starts": 0}}, r"fitted.group_ica.starts: should be at least 1, got 0"),
        ({"minmax": {"low": 1}}, r"fitted.minmax.low: minmax has no such setting; it has fit"),
        ({"zscore": {}}, "the z-score is asked for twice"),
        ({"minmax": {"fit": "dataset"}}, r"fitted.minmax.fit: dataset is refused in strict mode"),
        (["minmax", "minmax"], "should be names of steps, each once"),
    ],
)
def test_steps_that_cannot_be_are_refused_with_the_key(fitted, message) -> None:
    with pytest.raises(ValueError, match=message):
        small_recipe(representation={"fitted": fitted})


def test_steps_are_a_list_of_names_or_names_with_settings() -> None:
    recipe = small_recipe(representation={"fitted": ["minmax"]})
    assert [step.name for step in recipe.representation.asked()] == ["minmax", "zscore"]
    paper = recipe.with_values(
        {
            "mode": "paper",
            "representation.fitted.minmax.fit": "dataset",
            "representation.zscore": "none",
        }
    )
    (step,) = paper.leaks()
    assert step.name == "representation.fitted.minmax.fit: dataset"
    assert step.why == "the held-out images enter minimum and maximum"
    assert (
        small_recipe(representation={"fitted": {"minmax": None}}).representation.asked()[0].name
        == "zscore"
    )
