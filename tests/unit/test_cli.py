"""The command line: what it understands, how it ends, and that it is quick to answer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bidsapp import __version__
from bidsapp.cli import _options, build_parser, main
from bidsapp.errors import (
    BadData,
    CannotCreateOutput,
    InputOutputError,
    InvalidDataset,
    NociCastError,
    NoInput,
    NothingSelected,
    TemporaryFailure,
    UnknownAnalysisLevel,
    UsageError,
    joint_code,
)
from bidsapp.options import RunOptions
from tests.unit.dataset_trees import make
from tests.unit.finished_trees import leave_sidecar
from tests.unit.report_pages import save

HEAVY = {"torch", "nipype", "pandas", "pydantic", "numpy", "nibabel", "SimpleITK", "bids", "monai"}


def parsed(*arguments: str) -> RunOptions:
    return _options(build_parser().parse_args(["data", "out", "participant", *arguments]))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A dataset of empty files in a folder with a difficult name."""
    root = tmp_path / 'l\'étude "1" à côté'
    return make(root, "sub-01_ses-a_T1w.nii.gz", "sub-02_ses-a_T1w.nii.gz")


def ended(*arguments: object) -> int:
    """Exit code of a run in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_only_the_words_are_written_of_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = (tmp_path / "data", out, "participant", "--boilerplate-only")
    assert ended(*asked) == 66
    assert "no prepared image" in capsys.readouterr().err
    assert not out.exists()
    leave_sidecar(out, "sub-01")
    assert ended(*asked) == 0
    assert str(out / "logs" / "CITATION.md") in capsys.readouterr().out
    assert not (out / "quality.html").exists()
    assert ended(tmp_path / "data", out, "group", "--recipe", "t1w", "--boilerplate-only") == 66
    assert "Run the group level first" in capsys.readouterr().err


def test_reports_of_images_whose_source_is_gone_are_left_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sidecar = leave_sidecar(out, "sub-01")
    brain = np.ones((9, 9, 9), np.float32)
    save(sidecar.with_suffix("").with_suffix(".nii.gz"), brain, np.eye(4))
    page = out / "sub-01.html"
    page.write_text("as it was")
    asked = (tmp_path / "data", out, "participant", "--reports-only")
    assert ended(*asked) == 66
    assert "sub-01_T1w.nii.gz" in capsys.readouterr().err
    assert page.read_text() == "as it was"
    assert ended(*asked, "--participant-label", "99") == 66


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NociCastError, 1),
        (InvalidDataset, 16),
        (UnknownAnalysisLevel, 17),
        (NothingSelected, 18),
        (UsageError, 64),
        (BadData, 65),
        (NoInput, 66),
        (CannotCreateOutput, 73),
        (InputOutputError, 74),
        (TemporaryFailure, 75),
    ],
)
def test_exit_codes_are_those_of_the_specification(error: type[NociCastError], code: int) -> None:
    assert error.exit_code == code
    assert code == 1 or f"{code} " in (build_parser().epilog or "")


@pytest.mark.parametrize(
    ("codes", "code"), [((), 0), ((0, 0), 0), ((65, 0, 65), 65), ((65, 0, 66), 1)]
)
def test_failures_of_one_kind_keep_their_code(codes: tuple[int, ...], code: int) -> None:
    assert joint_code(codes) == code


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 64, "bids_dir is missing"),
        (("{study}",), 64, "output_dir is missing"),
        (("{study}", "{out}"), 64, "analysis_level is missing (participant or group)"),
        (("{study}", "{out}", "cohort"), 17, "'cohort' is not known; choose one of participant"),
        (("{study}/nowhere", "{out}", "participant"), 66, "does not exist"),
        (("{study}", "{out}", "participant", "--participant-label", "99"), 18, "01, 02"),
        (("{study}", "{out}", "participant", "--session-label", "z"), 18, "that exist: a"),
        (("{study}", "{out}", "participant", "--set", "training.epoch=5"), 64, "training.epoch"),
        (("{study}", "{out}", "participant", "--set", "training.epochs=few"), 64, "epochs"),
        (("{study}", "{out}", "participant", "--recipe", "no_such"), 64, "no_such"),
        (("{study}", "{out}", "participant", "--nprocs", "0"), 64, "--nprocs"),
        (("{study}", "{out}", "participant", "--omp-nthreads", "1.5"), 64, "--omp-nthreads"),
        (("{study}", "{out}", "participant", "--mem", "nan"), 64, "--mem"),
        (("{study}", "{out}", "participant", "--mem", "-1"), 64, "--mem"),
        (("{study}", "{out}", "participant", "--resolution", "3"), 64, "--resolution"),
        (("{study}", "{out}", "participant", "--random-seed", "-1"), 64, "--random-seed"),
        (("{study}", "{out}", "participant", "--no-such-option"), 64, "--no-such-option"),
        (("{study}", "{out}", "participant", "--part", "01"), 64, "--part"),
        (("{study}", "{out}", "participant", "--device", "tpu"), 64, "auto, cpu, cuda"),
        (("{study}", "{out}", "participant", "--device", "cuda:99"), 64, "usable CUDA device"),
        (("{study}", "{out}", "participant", "--evaluate-only"), 64, "is for the group level"),
        (("{study}", "{out}", "participant", "--plan"), 64, "--plan is for the group level"),
        (("{study}", "{out}", "participant", "--simulate", "cuboid"), 64, "is for the group level"),
        (("{study}", "{out}", "group", "--simulate", "cuboid", "--plan"), 64, "different things"),
        (("{study}", "{out}", "group", "--evaluate-only", "--plan"), 64, "different things"),
        (("{study}", "{out}", "group", "--evaluate-only", "--reports-only"), 64, "one of them"),
        (("{study}", "{out}", "group", "--run-label", "a" * 101), 64, "longer than 100"),
        (("{study}", "{out}", "participant", "--bids-filter-file", "{out}"), 66, "filter-file"),
        (("{study}", "{out}", "participant", "--nipype-plugin-args", "x"), 64, "--nipype-plugin"),
        (("{study}", "{file}/out", "participant"), 73, "cannot be made"),
        (("{study}", "{study}", "participant"), 64, "the input dataset itself"),
        (("{study}", "{study}/sub-01/out", "participant"), 64, "inside the input dataset"),
        (("{study}", "{out}", "participant", "-w", "{study}/work"), 64, "--work-dir"),
        (("{study}", "{out}", "participant", "-w", "{file}/work"), 73, "cannot be made"),
    ],
)
def test_what_cannot_be_done_is_said_before_work_begins(
    arguments: tuple[str, ...],
    code: int,
    says: str,
    study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    places = {"study": study, "out": tmp_path / "out", "file": tmp_path / "file"}
    given = [argument.format(**places) for argument in arguments]
    before = sorted(study.rglob("*"))
    skip = ["--skip-bids-validation"] if len(given) > 2 else []
    assert ended(*given, *skip) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert sorted(study.rglob("*")) == before
    assert not list(tmp_path.glob("out/sub-*"))


def test_a_dataset_that_is_a_derivative_folder_is_not_written_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make(tmp_path / "derivatives" / "cleaned", "sub-01_T1w.nii.gz")
    work = study / "work"
    code = ended(study, tmp_path / "out", "participant", "-w", work, "--skip-bids-validation")
    assert code == 64
    assert "--work-dir" in capsys.readouterr().err
    assert not work.exists()


def test_a_folder_without_a_description_is_no_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make(tmp_path / "study", "sub-01_T1w.nii.gz", description=None)
    assert ended(study, tmp_path / "out", "participant") == 16
    assert "dataset_description.json" in capsys.readouterr().err


def test_a_dataset_that_does_not_validate(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(study, tmp_path / "out", "participant") == 16
    said = capsys.readouterr().err
    assert "EMPTY_FILE" in said
    assert "--skip-bids-validation" in said


def test_nothing_is_selected_where_there_is_no_t1w(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make(tmp_path / "study", "sub-01_T2w.nii.gz")
    assert ended(study, tmp_path / "out", "participant", "--skip-bids-validation") == 18
    assert "no T1w" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("MNI152NLin6Asym", 66, "TEMPLATEFLOW_HOME"),
        ("MNINoSuchSpace", 64, "is not known to TemplateFlow"),
    ],
)
def test_a_template_that_cannot_be_had_is_told_with_what_to_do(
    name: str, code: int, says: str, study: Path, tmp_path: Path
) -> None:
    # nothing listens on port 9, which stands for a machine without a network
    proxy = dict.fromkeys(["http_proxy", "https_proxy", "HTTPS_PROXY"], "http://127.0.0.1:9")
    given = [study, tmp_path / "out", "participant", "--template", name, "--skip-bids-validation"]
    done = subprocess.run(
        [sys.executable, "-m", "bidsapp", *map(str, given)],
        env=os.environ | proxy | {"TEMPLATEFLOW_HOME": str(tmp_path / "home"), "no_proxy": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--participant-label", "--participant_label"])
def test_labels_go_with_and_without_prefix_in_both_spellings(option: str) -> None:
    assert parsed(option, "01", "sub-02", option, "sub-01").participant_label == ("01", "02")
    session = option.replace("participant", "session")
    assert parsed(session, "ses-a", "b").session_label == ("a", "b")


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    options = parsed("-w", "~/scratch")
    assert options.bids_dir == tmp_path / "data"
    assert options.output_dir == tmp_path / "out"
    assert options.work_dir == tmp_path / "home" / "scratch"
    assert parsed().work_dir == tmp_path / "out" / "work"


def test_no_timeseries_is_a_key_of_recipes_that_have_series(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bidsapp.recipes import load_recipe

    options = parsed("--no-timeseries", "--recipe", "teh2022")
    assert (
        load_recipe(options.recipe, options.overrides).preparation.plain()["keep_preproc"] is False
    )
    assert load_recipe("teh2022").preparation.plain()["keep_preproc"] is True
    # what only the chosen variants can have hides the option no longer
    own = "representation.fitted.group_ica.fit=dataset"
    some = ("--recipe", "teh2022", "--variants", "paper", "--set", own)
    options = parsed(*some, "--no-timeseries")
    recipe = load_recipe(options.recipe, options.overrides, options.variants or ())
    assert recipe.with_variant("paper").preparation.plain()["keep_preproc"] is False
    (tmp_path / "sub-01").mkdir()
    told = main([str(tmp_path), str(tmp_path / "out"), "participant", "--no-timeseries"])
    assert told == 64
    said = capsys.readouterr().err
    assert "--no-timeseries: recipe attias2025 prepares no series" in said
    assert "Leave out the option, or name a recipe of series with --recipe" in said
    assert "unknown key" not in said


def test_an_option_of_its_own_wins_over_set() -> None:
    options = parsed("--speed", "precise", "--set", "preparation.speed=fast", "a.b=1")
    from bidsapp.recipes import load_recipe

    assert options.overrides.index("preparation.speed=precise") == 2
    recipe = load_recipe(options.recipe, [o for o in options.overrides if not o.startswith("a.b")])
    assert recipe.preparation.plain()["speed"] == "precise"


def test_one_seed_goes_to_all_that_is_random() -> None:
    from bidsapp.recipes import load_recipe

    recipe = load_recipe("attias2025", parsed("--random-seed", "7").overrides)
    assert recipe.preparation.plain()["seed"] == recipe.training.seed == recipe.protocol.seed == 7


def test_the_machine_is_the_default_for_cpus_and_memory() -> None:
    from bidsapp.execution import available_cpus, available_memory_gb

    options = parsed()
    assert options.nprocs == available_cpus()
    assert options.mem_gb == pytest.approx(available_memory_gb())
    assert parsed("--omp-nthreads", "64").nprocs == 64


@pytest.mark.parametrize("text", ["sbatch_args: --time=60", '{"sbatch_args": "--time=60"}'])
def test_arguments_of_a_plugin_are_yaml_or_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "plugin").write_text(text)
    options = parsed("--nipype-plugin", "SLURM", "--nipype-plugin-args", str(tmp_path / "plugin"))
    assert options.nipype_plugin_args == {"sbatch_args": "--time=60"}


@pytest.mark.parametrize("text", ["- a", "a: [", "\xff\xfe"])
def test_other_arguments_of_a_plugin_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plugin").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="--nipype-plugin-args"):
        parsed("--nipype-plugin", "SLURM", "--nipype-plugin-args", str(tmp_path / "plugin"))


def test_a_filter_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "filter.json").write_text(json.dumps({"t1w": {"run": 2}}))
    options = parsed("--bids-filter-file", str(tmp_path / "filter.json"))
    assert options.bids_filters == {"t1w": {"run": 2}}


def test_an_interruption_ends_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bidsapp import cli

    def interrupted(options: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert ended("data", "out", "participant") == 130
    assert "run again to resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--help", "--participant-label"),
        ("--version", f"nocicast {__version__}"),
        ("--list-recipes", "attias2025"),
    ],
)
def test_short_answers_load_nothing_heavy(option: str, says: str) -> None:
    program = (
        "import sys\nfrom bidsapp.cli import main\n"
        f"try:\n    main([{option!r}])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    answer, _, loaded = done.stdout.partition("LOADED")
    assert says in answer
    assert not HEAVY & set(loaded.split())


def test_a_recipe_that_is_shown_can_be_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bidsapp.recipes import load_recipe

    assert ended("--show-recipe", "attias2025") == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe("attias2025")


@pytest.mark.parametrize(
    "option",
    [
        *("--participant_label", "--session_label", "--bids-filter-file", "--bids-database-dir"),
        *("--work-dir", "--clean-workdir", "--skip-bids-validation", "--stop-on-first-crash"),
        *("--nprocs", "--omp-nthreads", "--mem", "--device", "--nipype-plugin"),
        *("--recipe", "--set", "--template", "--resolution", "--speed", "--random-seed"),
        "--no-timeseries",
    ],
)
def test_help_names_every_option(option: str) -> None:
    assert option in build_parser().format_help()


def test_who_calls_the_command_keeps_the_signals_that_were_set() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--list-recipes"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
