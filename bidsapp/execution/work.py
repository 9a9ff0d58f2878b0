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

from bidsapp.derivatives.atomic import check_folder, make_folder
from bidsapp.errors import CannotCreateOutput, TemporaryFailure, UsageError
from bidsapp.options import RunOptions

# Where libraries and the validator look for a folder to write to.
_PLACES = ("TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "DENO_DIR")


def clean_shared_work(options: RunOptions, entries: Sequence[Path | str]) -> None:
    """With ``--clean-workdir``, remove what runs share in the work folder, if none is at it.

    Parameters
    ----------
    options
        Of this run.
    entries
        What runs of this kind share, relative to the work folder.
    """
    if not (options.clean_workdir and options.work_dir.exists()):
        return
    with _held(options.work_dir, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone_here:
        if not alone_here:
            print(
                f"--clean-workdir: another run is using {options.work_dir}; what runs share there "
                f"({', '.join(map(str, entries))}) is left.",
                file=sys.stderr,
            )
            return
        for entry in entries:
            shutil.rmtree(options.work_dir / entry, ignore_errors=True)


@contextmanager
def keep_shared_work(options: RunOptions) -> Iterator[None]:
    """Make the work folder, and let no other run clean it for as long as this lasts.

    Raises
    ------
    CannotCreateOutput
        The folder cannot be made or written to.
    """
    make_folder(options.work_dir)
    with _held(options.work_dir, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(folder: Path, how: int) -> Iterator[bool]:
    """Lock a folder itself, which leaves no file behind; False where another process has it."""
    handle = os.open(folder, os.O_RDONLY)
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
        The folder lies inside the input dataset, outside of its ``derivatives``.
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
    place = options.work_dir / "tmp"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotCreateOutput(
            f"There is no folder for temporary files, and {place} cannot be made "
            f"({error.strerror}); pass a --work-dir that can be written."
        ) from error
    os.environ |= dict.fromkeys(_PLACES, str(place))


def work_place(options: RunOptions, level: str) -> Path:
    """Give the folder for one output: outside of that, others may share the work folder."""
    if options.output_dir.resolve() in options.work_dir.resolve().parents:
        return options.work_dir / level  # moves with the output folder
    both = f"{options.bids_dir.resolve()}\n{options.output_dir.resolve()}"
    return options.work_dir / level / hashlib.sha256(both.encode()).hexdigest()[:10]


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
        raise CannotCreateOutput(
            f"{folder / name}.lock cannot be written: {error.strerror}."
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
