"""The Boutiques descriptor says what the command line says, and Boutiques takes it."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bidsapp import __version__, errors
from bidsapp.arguments import build_parser
from bidsapp.cli import main
from bidsapp.contracts.product import sidecar_name
from bidsapp.descriptor import descriptor
from tests.unit.finished_trees import names_of

FOLDER = Path(__file__).resolve().parents[2] / "descriptors"
FILE = FOLDER / "nocicast.json"
# Of texts that must have a form of their own.
EXAMPLES = {"plan": "55,73"}


def bosh(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "bosh"
    assert program.is_file(), "boutiques is among the test requirements"
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_file_is_what_the_command_line_gives() -> None:
    assert json.loads(FILE.read_text()) == descriptor(), "run `make descriptor`"


@pytest.mark.parametrize("rules", [[], ["--bids"]])
def test_boutiques_finds_it_valid(rules: list[str]) -> None:
    done = bosh("validate", *rules, FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stdout


def test_the_example_invocation_gives_a_command_that_the_app_understands() -> None:
    done = bosh("exec", "simulate", "-i", FOLDER / "invocation.json", FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "nocicast" in line)
    words = shlex.split(line.split(";")[1])
    given = build_parser().parse_args(words[1:])
    assert (given.bids_dir, given.output_dir) == (Path("my_study"), Path("results"))
    assert given.analysis_level == "participant"
    assert (given.participant_label, given.nprocs) == (["01"], 1)


@pytest.mark.parametrize(
    "described",
    [i for i in descriptor()["inputs"] if "command-line-flag" in i],
    ids=lambda i: i["id"],
)
def test_an_option_with_a_value_reaches_the_app(described: dict[str, Any]) -> None:
    """Fill in an input, alone, with values that it says it takes, and read the command."""
    flag = described["command-line-flag"]
    value = str(described.get("minimum", 0) + 1) if described["type"] == "Number" else "text"
    value = str(described.get("value-choices", [EXAMPLES.get(described["id"], value)])[-1])
    count = 0 if described["type"] == "Flag" else described.get("min-list-entries", 1)
    given = build_parser().parse_args(["in", "out", "participant", flag, *[value] * count])
    unsaid = build_parser().parse_args(["in", "out", "participant"])
    changed = [name for name in vars(given) if vars(given)[name] != vars(unsaid)[name]]
    assert len(changed) == 1, flag
    if described.get("list"):
        assert len(vars(given)[changed[0]]) == count


@pytest.mark.parametrize("described", [i for i in descriptor()["inputs"] if "minimum" in i])
def test_numbers_below_their_minimum_are_refused(
    described: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    least = described["minimum"]
    assert isinstance(least, int)
    wrong = least if described.get("exclusive-minimum") else least - 1
    flag = str(described["command-line-flag"])
    with pytest.raises(SystemExit) as ended:
        main(["in", "out", "participant", f"{flag}={wrong}"])
    assert ended.value.code == errors.UsageError.exit_code
    assert flag in capsys.readouterr().err


def test_every_exit_code_is_told() -> None:
    told = {entry["code"] for entry in descriptor()["error-codes"]}
    assert told == {1, 16, 17, 18, 64, 65, 66, 73, 74, 75}


def test_nipoppy_s_invocation_is_one_that_boutiques_takes() -> None:
    done = bosh("exec", "simulate", "-i", FOLDER / "nipoppy" / "invocation.json", FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "nocicast" in line)
    given = build_parser().parse_args(shlex.split(line.split(";")[1])[1:])
    assert given.bids_dir == Path("[[NIPOPPY_DPATH_BIDS]]")
    assert given.output_dir == Path("[[NIPOPPY_DPATH_PIPELINE_OUTPUT]]")
    assert given.work_dir == Path("[[NIPOPPY_DPATH_PIPELINE_WORK]]")
    assert given.analysis_level == "participant"
    assert given.participant_label == ["[[NIPOPPY_PARTICIPANT_ID]]"]
    assert given.skip_bids_validation


@pytest.mark.parametrize(
    ("session", "tracker"), [("ses-1", "tracker"), ("", "tracker_without_sessions")]
)
def test_nipoppy_finds_what_the_participant_level_writes(
    tmp_path: Path, session: str, tracker: str
) -> None:
    paths = json.loads((FOLDER / "nipoppy" / f"{tracker}.json").read_text())["PATHS"]
    names = names_of(tmp_path, **({"session": "1"} if session else {}))
    names.folder.mkdir(parents=True)
    for name in names.data_files:
        (names.folder / name).touch()
        (names.folder / sidecar_name(name)).touch()
    for path in paths:
        pattern = path.replace("[[NIPOPPY_BIDS_PARTICIPANT_ID]]", "sub-01")
        pattern = pattern.replace("[[NIPOPPY_BIDS_SESSION_ID]]", session)
        assert len(list(tmp_path.glob(pattern))) == 1, pattern


def test_babs_gives_options_that_the_app_has() -> None:
    content = yaml.safe_load((FOLDER / "babs" / "nocicast-0-1-0.yaml").read_text())
    words = []
    for name, value in content["bids_app_args"].items():
        words += [value, "sub-01"] if name == "$SUBJECT_SELECTION_FLAG" else [name, value]
    given = build_parser().parse_args(["in", "out", "participant", *filter(None, words)])
    assert given.participant_label == ["sub-01"]
    assert content["zip_foldernames"]["nocicast"] == __version__.replace(".", "-")
