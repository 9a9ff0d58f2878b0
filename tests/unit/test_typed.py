"""Command lines as people type and paste them: understood, or told what happened."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidsapp.arguments import build_parser
from bidsapp.cli import _options, main
from bidsapp.errors import NoInput, UsageError
from bidsapp.options import RunOptions
from bidsapp.recipes import load_recipe
from bidsapp.typed import as_meant, labels

KNOWN = [option for action in build_parser()._actions for option in action.option_strings]


def parsed(line: str) -> RunOptions:
    return _options(build_parser().parse_args(shlex.split(line)))


@pytest.mark.parametrize(
    "line",
    [
        "data out group --participant-label 01 02 --nprocs 3",
        "--participant-label 01 02 --nprocs 3 data out group",
        "--nprocs 3 --participant-label 01 02 data out group",
        "--nprocs 3 data --participant-label 01 02 out group",
        "data out --participant-label 01 02 group --nprocs 3",
        "--participant-label 01 data out group --nprocs 3 --participant-label 02",
        "data --nprocs 3 out group --participant-label 01 02",
    ],
)
def test_folders_may_stand_anywhere(line: str) -> None:
    options = parsed(line)
    assert options.bids_dir == Path.cwd() / "data"
    assert options.output_dir == Path.cwd() / "out"
    assert options.analysis_level == "group"
    assert options.participant_label == ("01", "02")
    assert options.nprocs == 3


@pytest.mark.parametrize(
    "option",
    [
        *("--set training.epochs=1", "--variants axial", "--outcome x --positive 1"),
        *("--outcome x --positive 1 --negative 0 2", "--session-label 1 2", "-d"),
        "--atlas Schaefer",
    ],
)
def test_every_option_that_takes_several_values_gives_the_folders_back(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option += f" p={tmp_path}" * (option == "-d")
    first, last = parsed(f"{option} data out group"), parsed(f"data out group {option}")
    assert first == last
    said = capsys.readouterr().err
    assert "bids_dir, output_dir, analysis_level are read from behind --" in said


def test_a_plan_may_stand_before_the_folders(tmp_path: Path) -> None:
    options = parsed(f"--plan {tmp_path} out group")
    assert options.plan
    assert options.bids_dir == tmp_path


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--participant-label 01 02", 64, "--participant-label took 01 02: an option takes all"),
        ("data --participant-label 01 02", 64, "output_dir is missing (bids_dir is data)"),
        ("data out", 64, "analysis_level is missing (participant or group) (bids_dir is data, out"),
        ("data out grup", 17, "'grup' is not known; did you mean group?"),
        ("participant data out", 17, "The order is bids_dir output_dir level."),
        ("my data out group", 64, "A path with blanks stands in quotes"),
        ("--simulate cuboid --simulate-contrast 1 data out group", 64, "'data' is not a number"),
    ],
)
def test_what_is_missing_is_told_with_what_happened(
    line: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:  # the parser itself ends, what comes after it returns
        sys.exit(main(shlex.split(line)))
    assert stop.value.code == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("–recipe", "--recipe"),  # en dash
        ("—recipe", "--recipe"),  # em dash, which Word makes of two hyphens
        ("––recipe", "--recipe"),
        ("−−recipe", "--recipe"),  # minus signs
        ("‑‑recipe=t1w", "--recipe=t1w"),  # hyphens that do not break
        ("—participant–label", "--participant-label"),
        ("–w", "-w"),
        ("-recipe", "--recipe"),
        ("-work-dir", "--work-dir"),  # argparse alone takes it for -w ork-dir
        ("--work_dir", "--work-dir"),
        ("--Recipe", "--recipe"),
    ],
)
def test_dashes_of_word_processors_are_hyphens(typed: str, meant: str) -> None:
    found, notes = as_meant([typed, "x"], KNOWN)
    assert found == [meant, "x"]
    assert notes == [f"{typed} is read as {meant}."]


@pytest.mark.parametrize(
    "given", [*KNOWN, "-vv", "-1", "–", "–1", "-", "--", "a–b", "sub–01", "-wX"]
)
def test_what_means_itself_stays(given: str) -> None:
    assert as_meant([given], KNOWN) == ([given], [])


def test_blanks_that_do_not_break_and_curly_quotes() -> None:
    found, notes = as_meant(["--recipe\u00a0t1w", "“chronic", "pain”"], KNOWN)
    assert found == ["--recipe", "t1w", "“chronic", "pain”"]
    assert "typographic quotation mark" in notes[1]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--recip", "--recipe"),
        ("--n-cpus", "--nprocs"),
        ("--n_cpus", "--nprocs"),
        ("--nthreads", "--nprocs"),
        ("--mem-mb", "--mem"),
        ("--output-spaces", "--template"),
        ("--particpant-label", "--participant-label"),
        ("--positives", "--positive"),
        ("--outcomes", "--outcome"),
        ("--permutation", "--permutations"),
        ("—recip", "--recipe"),
    ],
)
def test_an_unknown_option_is_told_with_the_near_one(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "out", "group", typed, "3"])
    assert stop.value.code == 64
    assert f"Did you mean {meant}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    [
        *("01 02", "01,02", "01, 02", "sub-01,sub-02", "'01 02'", "SUB-01 Sub-02", "01;02"),
        *("sub-01/ sub-02/", "/data/sub-01 /data/sub-02/", "[01,02]", "sub–01 sub—02", "01,,02,"),
        "01 02 01",
    ],
)
def test_lists_of_labels_as_people_write_them(typed: str) -> None:
    assert labels(shlex.split(typed), "sub-") == ("01", "02")
    options = parsed(f"data out group --participant-label {typed} --variants a,b")
    assert options.participant_label == ("01", "02")
    assert options.variants == ("a", "b")


@given(st.lists(st.from_regex(r"[A-Za-z0-9]{1,5}", fullmatch=True), unique=True, max_size=5))
def test_plain_labels_stay_as_they_are(plain: list[str]) -> None:
    assert labels(plain, "sub-") == tuple(plain)
    assert labels([f"sub-{label}" for label in plain], "sub-") == tuple(plain)
    assert labels([",".join(plain)], "ses-") == tuple(plain)


def test_a_template_with_its_resolution_as_in_fmriprep() -> None:
    overrides = parsed("data out group --template MNI152NLin2009cAsym:res-1").overrides
    wanted = load_recipe("t1w", overrides).preparation.plain()
    assert (wanted["template"], wanted["resolution"]) == ("MNI152NLin2009cAsym", 1)
    overrides = parsed("data out group --template tpl-MNI152NLin6Asym:res-02").overrides
    assert load_recipe("t1w", overrides).preparation.plain()["template"] == "MNI152NLin6Asym"
    for line, says in (
        ("--template A:res-native", "res-native is not understood; write A:res-1 or A:res-2"),
        ("--template A:cohort-1", "cohort-1 is not understood"),
        ("--template A:res-1 --resolution 2", "contradict each other"),
    ):
        with pytest.raises(UsageError, match=says):
            parsed(f"data out group {line}")
    with pytest.raises(UsageError, match=r"should be A alone, with preparation.resolution: 2"):
        load_recipe("t1w", ["preparation.template=A:res-2"])


def test_negative_values_go_into_the_recipe() -> None:
    options = parsed("data out group --outcome pain --positive 1 --negative 0 -1")
    outcome = load_recipe("t1w", options.overrides).outcome
    assert (outcome.positive, outcome.negative) == (("1",), ("0", "-1"))
    # the recipe's own column, too
    outcome = load_recipe("attias2025", parsed("data out group --negative 0").overrides).outcome
    assert (outcome.column, outcome.negative) == ("chronic_pain", ("0",))
    # another column has none of the recipe's values, and keeps what --set says
    changes = ["outcome.negative=[no]", "outcome.missing=[99]"]
    line = f"data out group --set {' '.join(changes)} --outcome pain --positive yes"
    outcome = load_recipe("t1w", parsed(line).overrides).outcome
    assert (outcome.negative, outcome.missing) == (("no",), (99,))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["outcome.column=x", "outcome.positive=[1]", "outcome.negative=[1]"], "is named under"),
        (["outcome.expression=x > 1", "outcome.negative=[0]"], "either column and positive or"),
        (["outcome.negative=[0]"], "required with negative: the column that holds these values"),
        (["outcome.column=x", "outcome.positive=[1]", "outcome.negative=[]"], "at least 1"),
    ],
)
def test_negative_values_that_contradict_are_refused(change: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_recipe("t1w", change)


def test_an_expression_may_begin_with_a_name_in_backquotes() -> None:
    recipe = load_recipe("t1w", ["outcome.expression=`% relief` >= 20"])
    assert recipe.outcome.expression == "`% relief` >= 20"


def test_the_file_of_a_recipe_that_comes_with_the_app() -> None:
    with pytest.raises(NoInput, match=r"T1W\.yaml: no such file; .* is --recipe t1w"):
        load_recipe("T1W.yaml")


def test_output_that_nobody_reads_is_no_failure() -> None:
    command = [sys.executable, "-m", "bidsapp", "--show-recipe", "attias2025"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_a_platform_can_name_negative_values() -> None:
    from bidsapp.descriptor import descriptor

    (found,) = [one for one in descriptor()["inputs"] if one["id"] == "negative"]
    assert found["list"]
