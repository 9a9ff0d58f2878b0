"""The Boutiques descriptor says what the command line says, and Boutiques takes it."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bidsapp import errors
from bidsapp.arguments import build_parser
from bidsapp.cli import main
from bidsapp.descriptor import descriptor

FOLDER = Path(__file__).resolve().parents[2] / "descriptors"
FILE = FOLDER / "nocicast.json"


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
    assert (given.participant_label, given.nprocs) == (["01"], 1)


def test_every_option_with_a_value_reaches_the_app() -> None:
    """Fill in each input, alone, with a value that it says it takes, and read the command."""
    for described in descriptor()["inputs"]:
        if "command-line-flag" not in described:
            continue
        flag = described["command-line-flag"]
        values = {"Flag": [], "File": ["some/file"], "String": ["text"]}
        words = values.get(described["type"], [str(described.get("minimum", 0) + 1)])
        if "value-choices" in described:
            words = [str(described["value-choices"][-1])]
        given = build_parser().parse_args(["in", "out", "participant", flag, *words])
        unsaid = build_parser().get_default(described["id"])
        assert getattr(given, described["id"]) != unsaid, flag


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
