"""Is the dataset valid BIDS: our own checks, then the official validator where it is installed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any

from bidsapp.dataset.description import check_dataset, keep_participants, shortened
from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.errors import InvalidDataset
from bidsapp.intake.json_text import BadJson, parse_json
from bidsapp.intake.pointers import pointer_at

VALIDATOR = "bids-validator-deno"
SHOWN_CODES = 10
# Counting warnings makes the validator's answer ten times longer: 71 MB at 1,000 participants.
COUNT_WARNINGS_UP_TO = 100
# The validator must not fail the chosen participants for the absence of the others.
CONFIGURATION = {"ignore": [{"code": "PARTICIPANT_ID_MISMATCH"}]}
# Tables with a row for each attack or knee of a person are read here, and their keys checked.
_ROWS = "TSV_INDEX_VALUE_NOT_UNIQUE"
_MAY_REPEAT = re.compile(r"/phenotype/[^/]+\.tsv|/sub-[^/]+/sub-[^/]+_sessions\.tsv")


@dataclass(frozen=True)
class ValidationSummary:
    """What validation found, besides no errors.

    Attributes
    ----------
    warnings
        How many warnings; None where they were not counted.
    note
        What a person should know about how it was done; empty if nothing.
    """

    warnings: int | None
    note: str


def validate_dataset(
    bids_dir: Path, participant_label: Sequence[str] = (), timeout: float = 900
) -> ValidationSummary:
    """Check the dataset and raise an error that lists what is wrong, in short.

    Parameters
    ----------
    bids_dir
        Root of the dataset; it is only read.
    participant_label
        Labels that will be used; the others are not looked at. Empty: all.
    timeout
        Seconds that the official validator may take; about 1 s per 1,000 files.

    Raises
    ------
    NoInput
        The folder is not there.
    InvalidDataset
        The dataset has errors; the message lists each code with one example.
    NothingSelected, UsageError
        Labels that do not exist.
    """
    check_dataset(bids_dir)
    participants = keep_participants(bids_dir, participant_label)
    program = find_validator()
    if program is None:
        note = f"{VALIDATOR} is not installed: only the dataset's description was checked."
        return ValidationSummary(None, note)
    count = len(participants) <= COUNT_WARNINGS_UP_TO
    lost = _unreadable(bids_dir, participants)
    shown = [label for label in participants if label not in lost]
    with _only(bids_dir, shown if participant_label or lost else None) as folder:
        try:
            report = _run(program, folder, count, timeout)
        except subprocess.TimeoutExpired:
            note = (
                f"{VALIDATOR} did not finish within {timeout:.0f} s and was stopped: only the "
                "dataset's description was checked. --skip-bids-validation saves that time."
            )
            return ValidationSummary(None, note)
        except OSError as error:
            report = f"it cannot be started: {error.strerror or error}"
    if isinstance(report, str):
        return ValidationSummary(None, f"{VALIDATOR} failed, so its checks are missing: {report}")
    issues = report["issues"]["issues"]
    errors = [
        issue
        for issue in issues
        if issue.get("severity") == "error"
        and not (
            issue.get("code") == _ROWS and _MAY_REPEAT.fullmatch(str(issue.get("location", "")))
        )
    ]
    errors, note = _of_content(bids_dir, errors)
    if errors:
        raise InvalidDataset(_describe(bids_dir, errors, report["issues"].get("codeMessages", {})))
    warnings = sum(issue.get("severity") == "warning" for issue in issues)
    names = shortened([f"sub-{label}" for label in lost])
    unread = f"Not validated, as a folder cannot be read: {names}." if lost else ""
    note = " ".join(filter(None, (note, unread)))
    return ValidationSummary(warnings if count else None, note)


def find_validator() -> str | None:
    """Path of the official validator: beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / VALIDATOR
    return str(beside) if beside.is_file() else shutil.which(VALIDATOR)


def _unreadable(bids_dir: Path, participants: Sequence[str]) -> list[str]:
    """Participants with a folder that cannot be read, at the first of which the validator ends."""
    found = []
    for label in participants:
        failed: list[OSError] = []
        person = bids_dir / f"sub-{label}"
        for _ in os.walk(person, onerror=failed.append):
            if failed:
                break
        if any(not isinstance(error, FileNotFoundError) for error in failed):
            found.append(label)
    return found


@contextmanager
def _only(bids_dir: Path, participants: Sequence[str] | None) -> Iterator[Path]:
    """Give a folder of links that shows these participants alone; the dataset itself for None."""
    if participants is None:
        yield bids_dir
        return
    hidden = {"derivatives", "sourcedata", "code", ".git", ".datalad"}
    wanted = {f"sub-{label}" for label in participants}
    with temporary_folder(Path(tempfile.gettempdir())) as view:
        for entry in bids_dir.iterdir():
            if entry.name in wanted or not (entry.name.startswith("sub-") or entry.name in hidden):
                (view / entry.name).symlink_to(entry.absolute())
        yield view


def _run(program: str, folder: Path, warnings: bool, timeout: float) -> dict[str, Any] | str:
    """Give the validator's report, or what it said instead of one."""
    with temporary_folder(Path(tempfile.gettempdir())) as place:
        configuration = place / "config.json"
        configuration.write_text(json.dumps(CONFIGURATION))
        command = [program, str(folder), "--format", "json", "--config", str(configuration)]
        if not warnings:
            command.append("--ignoreWarnings")
        status, out, err = _call(command, timeout)
    try:
        report = parse_json(out)
    except (BadJson, UnicodeDecodeError):
        said = (err or out).decode(errors="replace").strip()
        return f"status {status}, {said[-300:] or 'no output'}"
    if not isinstance(report, dict) or "issues" not in report.get("issues", {}):
        return f"status {status}, an answer in another format"
    return report


def _call(command: Sequence[str], timeout: float) -> tuple[int, bytes, bytes]:
    """Run a command; one that takes too long ends with all that it started."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, err


def _of_content(
    bids_dir: Path, errors: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], str]:
    """Leave out errors of files whose content was not fetched, which is no fault of theirs.

    Returns
    -------
    errors
        The others.
    note
        What was left out; empty where nothing was.
    """
    places = {str(issue.get("location", "")) for issue in errors} - {""}
    found = {place: pointer_at(bids_dir / place.lstrip("/")) for place in sorted(places)}
    pointers = [pointer for pointer in found.values() if pointer is not None]
    if not pointers:
        return list(errors), ""
    first = pointers[0]
    note = (
        f"{VALIDATOR} could not check {len(pointers)} of the files, as their content is not here: "
        f"{first.path} {first.advice}."
    )
    return [issue for issue in errors if not found.get(str(issue.get("location", "")))], note


def _describe(bids_dir: Path, errors: Sequence[dict[str, Any]], meanings: dict[str, str]) -> str:
    """List the errors: one line per code with its number of files and one of them."""
    files: dict[str, dict[str, None]] = {}
    for issue in errors:
        code = " ".join(filter(None, (issue["code"], issue.get("subCode"))))
        files.setdefault(code, {})[str(issue.get("location", ""))] = None
    lines = []
    for code, paths in sorted(files.items(), key=lambda item: -len(item[1]))[:SHOWN_CODES]:
        meaning = " ".join(meanings.get(code.split()[0], "").split())
        meaning = meaning if len(meaning) <= 160 else meaning[:157] + "..."
        number = "1 file" if len(paths) == 1 else f"{len(paths)} files"
        example = next(iter(paths)) or "the whole dataset"
        lines.append(f"  {code} ({number}, e.g. {example}): {meaning}".rstrip(": "))
    if len(files) > SHOWN_CODES:
        lines.append(f"  and {len(files) - SHOWN_CODES} more kinds of error")
    command = join([find_validator() or VALIDATOR, str(bids_dir)])
    return (
        f"{bids_dir} is not valid BIDS:\n" + "\n".join(lines) + "\nMend these, or go on regardless "
        f"with --skip-bids-validation; all of it: {command}"
    )
