"""Why a node failed, written beside it so that whoever runs it, and wherever, can read it."""

import errno
import json
import tempfile
import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.interfaces.base import SimpleInterface

from bidsapp.errors import (
    MORE_MEMORY,
    CannotCreateOutput,
    NociCastError,
    TemporaryFailure,
    disk_trouble,
    memory_trouble,
)
from bidsapp.execution.gpus import gpu_turn
from bidsapp.intake.json_text import read_own_json

_FILE = "failure.json"
# Processes that work for this one and could not begin, or did not live long enough to answer.
NO_HELPERS = (
    "The processes that do the work could not be started, or ended at once; most often there is "
    f"too little memory for them. {MORE_MEMORY}"
)
# Room that a note, and what nipype writes of a node, has to find.
_NEEDED_BYTES = 1_000_000


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


class Step(SimpleInterface, ABC):
    """A node that leaves a note of its failure: subclasses define `_work` instead of running.

    Where a subclass says `one_per_gpu`, it waits for its turn on a GPU and finds in `_device` which
    one is its own, or the device that its inputs name where no GPU is used.
    """

    one_per_gpu = False
    _device = "auto"

    @abstractmethod
    def _work(self, folder: Path) -> None:
        """Do the work of the node; its own folder is `folder`, results go to `_results`."""

    def _run_interface(self, runtime: Any) -> Any:
        note = Path(runtime.cwd) / _FILE
        note.unlink(missing_ok=True)
        try:
            if self.one_per_gpu:
                with gpu_turn(self.inputs.device) as self._device:
                    self._work(Path(runtime.cwd))
            else:
                self._work(Path(runtime.cwd))
        except NociCastError as error:
            _write(note, str(error), error.exit_code, expected=True)
            raise
        except Exception as error:
            trouble = disk_trouble(error) or memory_trouble(error)
            if trouble is not None:
                _write(note, str(trouble), trouble.exit_code, expected=True)
                raise
            if isinstance(error, OSError) and error.errno == errno.EACCES:
                text = f"{error.strerror}: {error.filename or runtime.cwd}"
                _write(note, text, CannotCreateOutput.exit_code, expected=True)
                raise
            text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            _write(note, text, 1, expected=False)
            raise
        return runtime


def _write(note: Path, message: str, exit_code: int, *, expected: bool) -> None:
    content = {"message": message, "exit_code": exit_code, "expected": expected}
    note.write_text(json.dumps(content), encoding="utf-8")


def note_want_of_memory(folder: Path, allowed_gb: float) -> None:
    """Leave the note of a node whose process the kernel stopped, and which could leave none.

    Parameters
    ----------
    folder
        Of the node.
    allowed_gb
        Memory that the run may use.
    """
    message = (
        "Out of memory: the kernel stopped the process that worked on it, twice "
        f"({allowed_gb:.1f} GB can be used here). What is done is kept: run again to resume. "
        f"{MORE_MEMORY}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _FILE, message, TemporaryFailure.exit_code, expected=True)


def forget_failures(folder: Path) -> None:
    """Take away the notes of an earlier run, which say nothing about this one."""
    for note in folder.rglob(_FILE):
        note.unlink(missing_ok=True)


def find_failure(folder: Path, error: str = "") -> Failure:
    """Say why the nodes under `folder` did not all finish.

    Parameters
    ----------
    folder
        Of one image or one fold.
    error
        What the plugin said where it could not run anything; empty where nodes ran.
    """
    for note in sorted(folder.rglob(_FILE)):
        try:
            content = read_own_json(note)
        except (OSError, ValueError):
            continue
        return Failure(note.parent.name, **content)
    if error == NO_HELPERS:
        return Failure("", error, TemporaryFailure.exit_code, expected=True)
    if error:
        return Failure("", f"The nipype plugin could not run it: {error}", 1, expected=True)
    trouble = _no_room(folder)
    if trouble is not None:
        return Failure("", str(trouble), trouble.exit_code, expected=True)
    message = (
        "The process that worked on it was stopped (killed, out of memory, or past a limit of "
        "time). Run again to resume; if it happens again, use fewer processes (--nprocs), or ask "
        "for more memory or time."
    )
    return Failure("", message, TemporaryFailure.exit_code, expected=True)


def _no_room(folder: Path) -> NociCastError | None:
    """Try whether a folder, or what there is of it, takes a file: a full one holds no notes."""
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place) as stream:
            stream.write(bytes(_NEEDED_BYTES))
    except OSError as error:
        return disk_trouble(OSError(error.errno, error.strerror, str(place)))
    return None
