"""Why a node failed, written beside it so that whoever runs it, and wherever, can read it."""

import json
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.interfaces.base import SimpleInterface

from bidsapp.errors import NociCastError

_FILE = "failure.json"


@dataclass(frozen=True)
class Failure:
    """What went wrong in one node.

    Attributes
    ----------
    node
        Name of the node.
    message
        For the user.
    exit_code
        What the app should end with on account of it.
    expected
        Whether the app foresaw this (bad data, say), as opposed to a defect or a lost machine.
    """

    node: str
    message: str
    exit_code: int
    expected: bool


class Step(SimpleInterface):
    """A node that leaves a note of its failure: subclasses define `_work` instead of running."""

    def _work(self, folder: Path) -> None:
        """Do the work of the node; its own folder is `folder`, results go to `_results`."""
        raise NotImplementedError

    def _run_interface(self, runtime: Any) -> Any:
        note = Path(runtime.cwd) / _FILE
        note.unlink(missing_ok=True)
        try:
            self._work(Path(runtime.cwd))
        except NociCastError as error:
            _write(note, str(error), error.exit_code, expected=True)
            raise
        except MemoryError:
            message = "Not enough memory; give --mem, or fewer processes with --nprocs."
            _write(note, message, 75, expected=True)
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            _write(note, text, 1, expected=False)
            raise
        return runtime


def _write(note: Path, message: str, exit_code: int, *, expected: bool) -> None:
    content = {"message": message, "exit_code": exit_code, "expected": expected}
    note.write_text(json.dumps(content), encoding="utf-8")


def forget_failures(folder: Path) -> None:
    """Take away the notes of an earlier run, which say nothing about this one."""
    for note in folder.rglob(_FILE):
        note.unlink(missing_ok=True)


def find_failure(folder: Path) -> Failure:
    """Say why the nodes under `folder` did not all finish."""
    for note in sorted(folder.rglob(_FILE)):
        try:
            content = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return Failure(note.parent.name, **content)
    message = (
        "The process that worked on it was stopped (killed, or out of memory). Run again to "
        "resume; if it happens again, use fewer processes (--nprocs) or more memory."
    )
    return Failure("", message, 75, expected=True)
