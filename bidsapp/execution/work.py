"""The work folder: never inside the input dataset, emptied where that is asked for."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bidsapp.derivatives.atomic import (
    TAKEN,
    appears,
    check_folder,
    explained,
    make_folder,
    not_made,
)
from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.errors import CannotCreateOutput, TemporaryFailure, UsageError
from bidsapp.options import RunOptions

# The one folder inside the work folder that holds all of the app's files, and the file in it that
# says so: whatever else lies in the work folder is somebody's and is never touched.
OWN = "nocicast_work"
MARKER = "made-by-nocicast.txt"
_NAMES = ("participant", "group", "conformed", "template", "templateflow", "tmp")
_ABOUT = (
    "NociCast made this folder for its intermediate files. --clean-workdir removes what it made "
    "here, as long as this file is there; keep nothing of your own in it.\n"
)
# Where libraries and the validator look for a folder to write to.
_PLACES = ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "DENO_DIR")


def own_folder(work_dir: Path) -> Path:
    """Give the one folder inside the work folder that all of this app's files lie in."""
    return work_dir / OWN


def make_own_folder(work_dir: Path) -> Path:
    """Make the app's own folder with its marker in it, in one step; gives its path.

    Raises
    ------
    UsageError
        There is something of that name which the app did not make.
    CannotCreateOutput
        The folder cannot be made.
    """
    own = own_folder(work_dir)
    _refuse_foreign(own)
    if not (own / MARKER).is_file():
        make_folder(work_dir)
        with explained(own), temporary_folder(work_dir) as new:
            (new / MARKER).write_text(_ABOUT, encoding="utf-8")
            try:
                new.rename(own)
            except OSError as error:  # another run was first
                there = (own / MARKER).is_file()
                if not there and (error.errno not in TAKEN or not appears(own / MARKER)):
                    raise
    return own


def _refuse_foreign(own: Path) -> None:
    """Refuse a folder, not empty, or a file that goes by the name of ours and is not."""
    try:
        names = os.listdir(own)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        names = [own.name] if os.path.lexists(own) else []
    if names and MARKER not in names:
        raise UsageError(
            f"{own} was not made by this app (it has no {MARKER}), so nothing is written there; "
            "move it, or choose another --work-dir."
        )


def begin_work(options: RunOptions, entries: Sequence[Path | str]) -> None:
    """Make the app's own folder; with ``--clean-workdir``, empty it first (`clean_work`).

    Parameters
    ----------
    options
        Of this run.
    entries
        What runs of this kind share, and what only this one uses, relative to the own folder.

    Raises
    ------
    UsageError, CannotCreateOutput
        As `make_own_folder`.
    """
    make_own_folder(options.work_dir)
    if options.clean_workdir:
        clean_work(options, entries)


def clean_work(options: RunOptions, entries: Sequence[Path | str]) -> None:
    """Empty the app's own folder if no other run is at it.

    Only what lies in a folder with the marker is removed, of that only what is named here, and
    never a link or the folder that TEMPLATEFLOW_HOME names.

    Parameters are those of `begin_work`, which says what is raised.
    """
    own = make_own_folder(options.work_dir)
    with _held(own, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone_here:
        if not alone_here:
            _tell(f"another run is using {own}; what runs share there is left.")
            return
        for entry in (*entries, "tmp"):
            _remove(own / entry)
            _remove_if_empty((own / entry).parent, own)
        if os.environ.get("TMPDIR") == str(own / "tmp"):
            (own / "tmp").mkdir(exist_ok=True)
        known = {MARKER, *_NAMES}
        foreign = sorted(path.name for path in own.iterdir() if path.name not in known)
        if foreign:
            _tell(f"left in {own}, as the app did not make it: {', '.join(foreign)}.")


def _remove(path: Path) -> None:
    home = os.environ.get("TEMPLATEFLOW_HOME")
    if path.is_symlink():
        _tell(f"{path} is a link and is left.")
    elif home and path.exists() and Path(home).resolve().is_relative_to(path.resolve()):
        _tell(f"{path} is left, as TEMPLATEFLOW_HOME lies there.")
    else:
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            _tell(f"{path} could not be removed whole.")


def _remove_if_empty(folder: Path, own: Path) -> None:
    """Remove a folder below the app's own one, and those above it, in which nothing is left."""
    while own in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _tell(what: str) -> None:
    print(f"--clean-workdir: {what}", file=sys.stderr)


@contextmanager
def keep_shared_work(options: RunOptions) -> Iterator[None]:
    """Let no other run clean the app's own folder for as long as this lasts.

    Raises
    ------
    UsageError, CannotCreateOutput
        As `make_own_folder`.
    """
    with _held(make_own_folder(options.work_dir), fcntl.LOCK_SH):
        yield


@contextmanager
def _held(own: Path, how: int) -> Iterator[bool]:
    """Lock the marker of our folder; False where another process has it."""
    handle = os.open(own / MARKER, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, how)
            got = True
        except BlockingIOError:
            got = False
        except OSError:
            got = True  # a file system without locks: as good as alone
        yield got
    finally:
        os.close(handle)


def check_work(options: RunOptions) -> None:
    """Refuse a work folder that must not be written to.

    Raises
    ------
    UsageError
        The folder lies inside the input dataset, outside of its ``derivatives``, or the app's own
        folder in it would hold the dataset or the output, or was not made by the app.
    CannotCreateOutput
        It is not there and cannot be made.
    """
    source = options.bids_dir.resolve()
    work = options.work_dir.resolve()
    if work == source or (
        source in work.parents and work.relative_to(source).parts[0] != "derivatives"
    ):
        raise UsageError(
            f"--work-dir {options.work_dir} lies inside the input dataset, which is never "
            "written to; choose another folder."
        )
    own = own_folder(work)
    for name, place in (("input dataset", source), ("output folder", options.output_dir.resolve())):
        if own == place or own in place.parents:
            raise UsageError(
                f"--work-dir {options.work_dir}: the app keeps its files in {OWN} there, where the "
                f"{name} lies; choose another folder."
            )
    _refuse_foreign(own)
    check_folder(options.work_dir)


def prepare_temporary(options: RunOptions) -> None:
    """Put temporary files and caches into the work folder where nothing else can be written.

    That is how ``docker run --read-only`` leaves a container: without a ``/tmp``.

    Raises
    ------
    UsageError
        As `check_work`.
    CannotCreateOutput
        The folder cannot be made.
    """
    try:
        tempfile.gettempdir()
        return
    except FileNotFoundError:
        check_work(options)
    try:
        place = make_own_folder(options.work_dir) / "tmp"
        place.mkdir(exist_ok=True)
    except (OSError, CannotCreateOutput) as error:
        raise CannotCreateOutput(
            f"There is no folder for temporary files, and none can be made in {options.work_dir} "
            f"({error}); pass a --work-dir that can be written."
        ) from error
    os.environ |= dict.fromkeys(_PLACES, str(place))


def work_place(options: RunOptions, level: str) -> Path:
    """Give the folder for one output: outside of that, others may share the work folder."""
    if options.output_dir.resolve() in options.work_dir.resolve().parents:
        return own_folder(options.work_dir) / level  # moves with the output folder
    both = f"{options.bids_dir.resolve()}\n{options.output_dir.resolve()}"
    return own_folder(options.work_dir) / level / hashlib.sha256(both.encode()).hexdigest()[:10]


def claim(folder: Path, name: str) -> IO[str] | None:
    """Lock a piece of work for this process; None where another process is at it.

    The lock is held as long as what is returned stays open, and ends with the process.

    Parameters
    ----------
    folder
        Where the lock file goes.
    name
        Of the piece of work.

    Raises
    ------
    CannotCreateOutput
        The lock cannot be written.
    """
    make_folder(folder)
    try:
        handle = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise not_made(
            error, f"{folder / name}.lock cannot be written: {error.strerror}."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    except OSError:
        pass  # a file system without locks: as good as alone
    return handle


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every other process from writing the same group run for as long as this lasts.

    The lock lies in the output's ``logs``: two runs may have a work folder each, and the run's own
    folder is not there yet, or is moved where an earlier run is kept.

    Parameters
    ----------
    folder
        Of the run, ``<out>/group/<label>``.

    Raises
    ------
    TemporaryFailure
        Another process is at it.
    CannotCreateOutput
        The lock cannot be written.
    """
    lock = claim(folder.parents[1] / "logs", f"group-{folder.name}")
    if lock is None:
        raise TemporaryFailure(
            f"Another process is at work on {folder}; wait for it, or give this run a name of its "
            "own with --run-label."
        )
    with lock:
        yield
