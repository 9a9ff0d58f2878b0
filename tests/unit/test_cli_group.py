"""The options of the group level: what they mean, and what they refuse."""

from pathlib import Path

import pytest

from bidsapp.arguments import build_parser
from bidsapp.cli import _options, main
from bidsapp.errors import NoInput, UsageError
from bidsapp.group_checks import check_native_maps, mostly_padding
from bidsapp.options import RunOptions
from bidsapp.recipes import dump_recipe, load_recipe


def parsed(*arguments: str, level: str = "group") -> RunOptions:
    return _options(build_parser().parse_args(["data", "out", level, *arguments]))


def test_an_outcome_of_ones_own_takes_the_place_of_the_recipes() -> None:
    options = parsed("--outcome", "age_group", "--positive", "old", "very old")
    outcome = load_recipe("attias2025", options.overrides).outcome
    assert (outcome.column, outcome.positive) == ("age_group", ("old", "very old"))
    assert outcome.expression is None


def test_an_outcome_takes_the_place_of_an_expression_too(tmp_path: Path) -> None:
    changes = ["outcome.column=null", "outcome.positive=null", "outcome.expression=pain >= 30"]
    recipe = load_recipe("attias2025", changes)
    assert recipe.outcome.expression == "pain >= 30"
    (tmp_path / "mine.yaml").write_text(dump_recipe(recipe))
    options = parsed("--outcome", "sex", "--positive", "F", "--recipe", str(tmp_path / "mine.yaml"))
    outcome = load_recipe(options.recipe, options.overrides).outcome
    assert (outcome.column, outcome.positive, outcome.expression) == ("sex", ("F",), None)


@pytest.mark.parametrize("value", ["1", "1.0", "true", "null", "[a, b]", "a: b", "007", 'say "no"'])
def test_a_positive_value_is_taken_as_it_is_typed(value: str) -> None:
    overrides = parsed("--outcome", "pain", "--positive", value).overrides
    assert load_recipe("attias2025", overrides).outcome.positive == (value,)


def test_an_outcome_needs_its_positive_values_and_they_need_it() -> None:
    with pytest.raises(UsageError, match="--outcome pain needs --positive VALUE"):
        parsed("--outcome", "pain")
    with pytest.raises(UsageError, match="--positive needs --outcome COLUMN"):
        parsed("--positive", "yes")


def test_an_outcome_and_an_expression_contradict_each_other() -> None:
    outcome = ("--outcome", "age_group", "--positive", "old")
    with pytest.raises(UsageError, match=r"--outcome age_group and --set outcome\.expression=age"):
        parsed(*outcome, "--set", "outcome.expression=age >= 60")
    # what takes an expression away contradicts nothing
    assert parsed(*outcome, "--set", "outcome.expression=null").outcome == "age_group"


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = parsed("--splits", "mine.tsv", "--weights", "r18.pth")
    assert options.splits == tmp_path / "mine.tsv"
    assert options.weights == tmp_path / "r18.pth"
    assert options.recipe == "attias2025"


def test_derivatives_have_names_or_take_that_of_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("fmriprep", "other"):
        (tmp_path / name).mkdir()
    options = parsed("-d", "prep=fmriprep", "--derivatives", "other")
    assert options.derivatives == {"prep": tmp_path / "fmriprep", "other": tmp_path / "other"}
    assert list(parsed("-d", "b=other", "a=fmriprep").derivatives) == ["b", "a"]  # the first wins


@pytest.mark.parametrize("given", [["=here"], ["a="], ["a=here", "a=here"], [""]])
def test_derivatives_that_are_not_understood(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(UsageError, match="expected NAME=PATH, each name once"):
        parsed("-d", *given)


@pytest.mark.parametrize("given", ["raw=here", "a b=here", "a:b=here", "is here"])
def test_names_of_derivatives_that_no_address_can_hold(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "is here"):
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="say NAME=PATH with a name of letters"):
        parsed("-d", given)


def test_derivatives_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="nowhere is not a folder"):
        parsed("-d", f"prep={tmp_path / 'nowhere'}")


@pytest.mark.parametrize("label", ["../x", "a/b", ".hidden", "a b", "..", "ä/ö"])
def test_a_run_label_cannot_leave_its_folder(label: str) -> None:
    with pytest.raises(UsageError, match="--run-label"):
        parsed("--run-label", label)


@pytest.mark.parametrize("label", ["age", "age_2026-11", "v1.2"])
def test_a_run_label_is_kept(label: str) -> None:
    assert parsed("--run-label", label).run_label == label


@pytest.mark.parametrize("level", ["participant", "group"])
def test_a_model_is_applied_at_the_participant_level_and_judged_at_the_group_level(
    level: str,
) -> None:
    assert parsed("--model", "bundle", level=level).model == Path.cwd() / "bundle"


def test_a_model_is_judged_on_an_outcome_and_never_trained_again() -> None:
    judged = parsed("--model", "bundle", "--outcome", "state", "--positive", "ill")
    assert judged.outcome == "state"
    for option in ("--variants", "--splits", "--weights"):
        with pytest.raises(UsageError, match=f"{option} is for training"):
            parsed("--model", "bundle", option, "x")
    with pytest.raises(UsageError, match="--outcome is for training"):
        parsed("--model", "b", "--outcome", "a", "--positive", "1", level="participant")


def test_a_model_takes_folders_of_derivatives_at_both_levels(tmp_path: Path) -> None:
    """There may lie what a modality prepares scans from, or images that are prepared."""
    given = ("--model", "bundle", "-d", f"prep={tmp_path}")
    assert parsed(*given, level="participant").derivatives == {"prep": tmp_path}
    assert parsed(*given, "--outcome", "a", "--positive", "1").derivatives == {"prep": tmp_path}


def test_a_recalibration_needs_a_model_and_people_to_judge_it_on() -> None:
    assert parsed("--model", "bundle", "--recalibrate", "slope").recalibrate == "slope"
    with pytest.raises(UsageError, match="--recalibrate needs --model"):
        parsed("--recalibrate", "slope")
    with pytest.raises(UsageError, match="--recalibrate needs --model"):
        parsed("--model", "bundle", "--recalibrate", "slope", level="participant")


@pytest.mark.parametrize("mode", ["--evaluate-only", "--reports-only", "--boilerplate-only"])
@pytest.mark.parametrize("option", ["--variants", "--splits", "--weights", "--derivatives"])
def test_what_trains_nothing_refuses_what_belongs_to_training(
    mode: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "out", "group", mode, option, "x"]) == UsageError.exit_code == 64
    said = capsys.readouterr().err
    assert f"{mode} takes the variants" in said
    assert f"leave out {option}, or leave out {mode}" in said


@pytest.mark.parametrize(
    "given",
    [
        ("--outcome", "pain", "--positive", "yes"),
        ("--permutations", "0"),
        ("--atlas", "Schaefer2018"),
        ("--variants", "all"),
        ("--splits", "mine.tsv"),
    ],
)
def test_a_model_was_trained_and_takes_nothing_that_trains(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"^{given[0]} is for training, .* Leave out {given[0]}"):
        parsed("--model", "bundle", *given, level="participant")


def test_one_seed_goes_to_the_splits_the_weights_and_the_intervals() -> None:
    recipe = load_recipe("attias2025", parsed("--random-seed", "7").overrides)
    assert recipe.protocol.seed == recipe.training.seed == recipe.evaluation.seed == 7


def test_a_recipe_without_an_outcome_says_how_to_name_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    description = '{"Name": "study", "BIDSVersion": "1.10.0"}'
    (tmp_path / "data" / "dataset_description.json").write_text(description)
    arguments = [str(tmp_path / "data"), str(tmp_path / "out"), "group", "--recipe", "t1w"]
    assert main(arguments) == 64
    said = capsys.readouterr().err
    assert "recipe t1w leaves the outcome to you" in said
    assert "--outcome COLUMN --positive VALUE" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option",
    [
        *("--outcome", "--positive", "--run-label", "--variants", "--splits", "--derivatives"),
        *("--weights", "--model", "--evaluate-only"),
    ],
)
def test_help_names_every_option_of_the_group_level(option: str) -> None:
    assert option in build_parser().format_help()


def test_atlases_reach_the_recipe_and_files_must_be_there(tmp_path: Path) -> None:
    labels = tmp_path / "my atlas.nii.gz"
    labels.write_bytes(b"")
    words = ["data", "out", "group", "--atlas", str(labels), "Schaefer2018:100Parcels7Networks"]
    options = _options(build_parser().parse_args(words))
    recipe = load_recipe("t1w", options.overrides)
    assert recipe.saliency.atlases == (str(labels), "Schaefer2018:100Parcels7Networks")
    with pytest.raises(NoInput, match=r"--atlas absent\.nii: not found"):
        _options(build_parser().parse_args(["data", "out", "group", "--atlas", "absent.nii"]))


def test_native_maps_of_images_that_have_no_way_back_are_refused_before_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bids" / "sub-01" / "func").mkdir(parents=True)
    told = '{"Name": "x", "BIDSVersion": "1.10.0"}'
    (tmp_path / "bids" / "dataset_description.json").write_text(told)
    asked = [str(tmp_path / "bids"), str(tmp_path / "out"), "group", "--recipe", "teh2022"]
    code = main([*asked, "--native-maps"])
    assert code == UsageError.exit_code
    assert "--native-maps: for BOLD MRI at rest no way back" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_native_maps_are_taken_where_one_kind_of_image_leads_home() -> None:
    options = parsed("--native-maps")
    check_native_maps({"t1w"}, options)
    check_native_maps({"bold", "t1w"}, options)
    check_native_maps({"bold"}, parsed("--native-maps", "--no-saliency"))
    with pytest.raises(UsageError, match="Leave the option out"):
        check_native_maps({"bold"}, options)


def test_a_padding_of_another_resolution_is_said_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pad of teh2022 is of 2 mm; at 4 mm the same voxels hold the brain in a twelfth."""
    (tmp_path / "bids/sub-01").mkdir(parents=True)
    told = '{"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "raw"}'
    (tmp_path / "bids/dataset_description.json").write_text(told)
    words = [str(tmp_path / "bids"), str(tmp_path / "out"), "group", "--recipe", "teh2022"]
    words += ["--skip-bids-validation", "--variants", "all_components", "compact", "--set"]
    main([*words, "preparation.resolution=4"])
    said = capsys.readouterr().err
    assert "[91, 109, 91] voxels hold the 4 mm grid of SPM12's box, 40x48x40 11.8 times" in said
    assert "--set representation.pad=null. (all_components)" in said
    assert not mostly_padding(load_recipe("teh2022"), ["all_components", "compact"])
    assert not mostly_padding(load_recipe("wei2023"), list(load_recipe("wei2023").variants))
