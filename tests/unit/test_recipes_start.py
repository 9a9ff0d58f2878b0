"""What ``network.start`` may say, and what a variant that begins with another one must share."""

import re
from pathlib import Path

import pytest

from bidsapp.errors import NociCastError, UsageError
from bidsapp.group_weights import check_weights
from bidsapp.options import RunOptions
from bidsapp.recipes import dump_recipe, load_recipe
from bidsapp.recipes.loading import values_of
from tests.unit.synthetic_cohort import small_recipe

STAGED = {
    "variants": {
        "stage": {"network.start": "random"},
        "second": {"network.start": {"variant": "stage"}},
        "third": {"network.start": {"variant": "second"}},
    }
}


def leaks(recipe):
    return {step.name: step.why for step in recipe.leaks()}


def staged(**more):
    return small_recipe(**(STAGED | more))


def refused(**more):
    from pydantic import ValidationError

    from bidsapp.recipes.messages import problems_of
    from bidsapp.recipes.schema import Recipe

    with pytest.raises(ValidationError) as caught:
        staged(**more)
    return dict(problems_of(caught.value, Recipe))


def test_the_earlier_name_stays_readable_wherever_keys_are_written(tmp_path):
    new = small_recipe(network={"start": "random"})
    text = dump_recipe(new)
    path = tmp_path / "old.yaml"
    path.write_text(text.replace("start: random", "weights: random"))
    assert load_recipe(path) == new
    changed = ["network.weights=medicalnet", "network.stem_pool=true"]
    assert load_recipe(path, changed).network.start == "medicalnet"
    assert values_of(["network.weights=random", "network.start=file"]) == {"network.start": "file"}
    old = load_recipe(path, ["variants.one.network.weights=medicalnet"])
    assert old.variants["one"] == {"network.start": "medicalnet"}
    assert old.with_variant("one").network.start == "medicalnet"
    path.write_text(text.replace("  start: random", "  weights: random\n  start: random"))
    with pytest.raises(UsageError, match="weights is the earlier name of start: give one of them"):
        load_recipe(path)


def test_a_start_is_a_word_a_file_or_a_variant():
    network = small_recipe(network={"start": "/w/mine.safetensors"}).network
    assert (network.start_kind, str(network.start_path)) == ("file", "/w/mine.safetensors")
    assert small_recipe(network={"start": "file"}).network.start_path is None
    with pytest.raises(UsageError, match=r"should be random, .* did you mean medicalnet\?"):
        load_recipe("attias2025", ["network.start=medicalnets"])
    with pytest.raises(UsageError, match=r"\{variant: NAME\}, got \{'varian': 'x'\}"):
        load_recipe("attias2025", ["network.start={varian: x}"])


def test_stages_are_found_through_each_other_in_the_order_in_which_they_are_needed():
    recipe = staged()
    assert recipe.stages(["third"]) == ("stage", "second")
    assert recipe.stages(["third", "second"]) == ("stage",)
    assert recipe.stages(["base", "stage"]) == ()
    alone = recipe.with_variant("third")
    assert alone.with_variant("third") == alone  # a recipe of one variant can be run by itself


def test_circles_and_unknown_variants_are_refused():
    variants = STAGED["variants"]
    first = {"network.start": {"variant": "third"}}
    problems = refused(variants=variants | {"stage": first})
    assert problems["variants.second.network.start"].endswith(
        "second with stage with third with second"
    )
    problems = refused(variants=variants | {"stage": {"network.start": {"variant": "stage"}}})
    assert "would begin with itself" in problems["variants.stage.network.start"]
    problems = refused(variants=variants | {"stage": {"network.start": {"variant": "nobody"}}})
    assert "variant 'nobody' is unknown" in problems["variants.stage.network.start"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol.seed": 3}, "protocol.seed is 0 here and 3 there"),
        ({"protocol.folds": 3}, "protocol.folds"),
        ({"network.depth": 18}, "network.depth is 10 here and 18 there"),
        ({"network.shortcut": "A"}, "network.shortcut is B here and A there"),
        ({"representation.channels": ["t1w", "log_jacobian"]}, "the number of channels is 1 here"),
    ],
)
def test_variants_that_cannot_serve_or_would_leak_are_refused(change, words):
    variants = STAGED["variants"]
    problems = refused(variants=variants | {"stage": variants["stage"] | change})
    assert words in problems["variants.second.network.start"]


def test_what_the_first_stage_saw_the_second_saw_too():
    variants = STAGED["variants"]
    seen = {"mode": "paper", "representation.zscore": "dataset", "saliency.folds": "best"}
    problems = refused(variants=variants | {"stage": variants["stage"] | seen})
    text = problems["variants.second.network.start"]
    assert text.startswith("stage (representation.zscore: dataset) is refused in strict mode")
    recipe = staged(mode="paper", variants=variants | {"stage": variants["stage"] | seen})
    step = "network.start: stage (representation.zscore: dataset)"
    assert [step.name for step in recipe.with_variant("second").leaks()] == [step]
    assert [step.name for step in recipe.with_variant("third").leaks()] == [
        f"network.start: second ({step})"
    ]
    assert recipe.with_variant("base").leaks() == ()
    # weights of unknown origin are told as such through both stages
    foreign = {
        "network.start": "file",
        "network.origin": {"dataset": "a drawer", "participants": "unknown"},
    }
    recipe = staged(variants=variants | {"stage": foreign})
    assert [step.name for step in recipe.with_variant("third").leaks()] == [
        "network.origin.participants: unknown"
    ]


def test_a_resolved_variant_is_written_and_read_with_what_it_inherits(tmp_path):
    variants = STAGED["variants"]
    seen = variants["stage"] | {"mode": "paper", "representation.zscore": "dataset"}
    recipe = staged(mode="paper", variants=variants | {"stage": seen}).with_variant("second")
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe
    assert load_recipe(path).leaks() == recipe.leaks()


@pytest.mark.parametrize(("name", "named"), [("attias2025", ["t1w"]), ("wang2023", [])])
def test_who_lacks_weights_is_pointed_to_a_recipe_for_the_same_scans(
    name: str, named: list[str], tmp_path: Path
) -> None:
    options = RunOptions(tmp_path, tmp_path / "out", "group", tmp_path / "work")
    recipe = load_recipe(name)
    with pytest.raises(NociCastError, match=f"^Recipe {name}: ") as caught:
        check_weights(recipe, [recipe.base], options)
    assert re.findall(r"--recipe (\w+) needs no such file", str(caught.value)) == named
