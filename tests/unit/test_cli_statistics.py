"""The options --plan, --permutations and --simulate: what they mean, and what they refuse."""

import pytest

from bidsapp.cli import main
from bidsapp.errors import UsageError
from bidsapp.recipes import load_recipe
from tests.unit.test_cli_group import parsed


def test_permutations_are_a_value_of_the_recipe() -> None:
    recipe = load_recipe("t1w", parsed("--permutations", "99").overrides)
    assert recipe.evaluation.pipeline_permutations == 99
    assert load_recipe("t1w", parsed().overrides).evaluation.pipeline_permutations == 0


def test_a_plan_for_two_numbers_needs_no_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "55,73"]) == 0
    said = capsys.readouterr().out
    assert "55 positive and 73 negative people" in said
    assert "0.60       0.50 to 0.69, power 0.48   0.45 to 0.73, power 0.21" in said
    assert "smallest AUC found with power 0.8: 0.64 on new people, 0.70 by this protocol" in said
    assert "smallest AUC found with power 0.8: 0.64" in said
    assert main(["--plan", "1,73"]) == 0
    assert "too few of a class" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["55", "55;73", "many,few", "data", "²,5"])
def test_a_plan_for_something_else_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--plan", text])
    assert stop.value.code == 64
    assert "POSITIVE,NEGATIVE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "empty"), [("0,5", "positive"), ("5,0", "negative"), ("0,0", "positive")]
)
def test_a_plan_without_a_class_is_refused(
    text: str, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--plan", text])
    assert stop.value.code == 64
    assert f"'{text}' has no {empty} people" in capsys.readouterr().err


def test_a_simulation_is_a_section_of_the_recipe_and_contrasts_are_runs() -> None:
    size, contrast = ("--simulate-size", "10", "12", "14"), ("--simulate-contrast", "0.5", "1", "2")
    options = parsed("--simulate", "cuboid", *size, *contrast)
    assert options.simulate == (0.5, 1.0, 2.0)
    simulation = load_recipe("attias2025", options.overrides).simulation
    assert simulation.kind == "cuboid"
    assert simulation.size_mm == (10, 12, 14)
    assert simulation.centre_mm == (14, -18, 8)
    assert parsed("--simulate", "cuboid").simulate == (1.0,)
    assert parsed().simulate == ()


def test_what_belongs_to_a_simulation_is_refused_without_one() -> None:
    with pytest.raises(UsageError, match="--simulate-size needs --simulate cuboid"):
        parsed("--simulate-size", "10", "12", "14")


@pytest.mark.parametrize(
    ("key", "value"), [("size_mm", "[0, 5, 5]"), ("size_mm", "[5, 5]"), ("contrast_sd", "1000")]
)
def test_an_impossible_cuboid_is_refused(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"simulation.{key}"):
        load_recipe("t1w", ["simulation.kind=cuboid", f"simulation.{key}={value}"])


def test_a_cuboid_without_its_kind_is_refused() -> None:
    with pytest.raises(UsageError, match=r"simulation.contrast_sd: goes with kind cuboid only"):
        load_recipe("t1w", ["simulation.contrast_sd=2"])
