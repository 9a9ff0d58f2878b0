"""Files that appear whole or not at all, also when many jobs write into one folder."""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bidsapp.derivatives.temporary import temporary_file
from bidsapp.errors import CannotCreateOutput, InputOutputError, NociCastError, disk_trouble

_UNSEEN_S = 60.0
TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
"""What renaming a folder ends in where there is one of that name, by POSIX.

Shares (CIFS, 9p) may say EACCES or EPERM, so whether it is there is asked as well.
"""


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside `final` that takes its place when the block succeeds.

    An empty file lies there already, under a name that keeps all suffixes. It is removed when the
    block fails.

    Raises
    ------
    CannotCreateOutput
        The folder cannot be made or written to.
    InputOutputError
        Writing failed on the way, for instance because the disk is full.
    """
    make_folder(final.parent)
    with explained(final), temporary_file(final) as path:
        yield path
        os.replace(path, final)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Link a file where the file system can, else copy it; nothing may lie in its place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def explained(final: Path) -> Iterator[None]:
    """Let what the disk refuses in the block be told with the name of what was being written.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        As for `atomic_path`.
    """
    try:
        yield
    except NociCastError:
        raise
    except OSError as error:
        raise _explained(error, final) from error
    except Exception as error:
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        raise type(trouble)(f"{final}: {trouble}") from error


def appears(path: Path) -> bool:
    """Whether something is there, waited for where another host may just have made it.

    To be asked where the file system has said that it is: over NFS a host goes on for up to a
    minute seeing that a name is not there (acdirmax of nfs(5)).
    """
    until = time.monotonic() + _UNSEEN_S
    while not os.path.lexists(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents, or raise CannotCreateOutput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_made(error, f"{folder} cannot be made: {error.strerror or error}.") from error


def not_made(error: OSError, message: str) -> NociCastError:
    """Give what to raise where something cannot be made: a full disk is told as that (74)."""
    trouble = disk_trouble(error)
    return trouble if isinstance(trouble, InputOutputError) else CannotCreateOutput(message)


def check_folder(folder: Path) -> None:
    """Raise CannotCreateOutput where a folder can be foreseen not to be made; nothing is made."""
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise CannotCreateOutput(f"{folder} cannot be made: {there} is not a folder.")
    if there != folder and not os.access(there, os.W_OK | os.X_OK):
        raise CannotCreateOutput(f"{folder} cannot be made: {there} cannot be written to.")


def _explained(error: OSError, final: Path) -> CannotCreateOutput | InputOutputError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CannotCreateOutput(
            f"{final} cannot be written ({error.strerror}); check who owns {final.parent} and "
            "that it is not mounted read-only."
        )
    # numpy's own error for a full disk has no number
    reason = error.strerror or f"{error}; is the disk full?"
    return InputOutputError(f"Writing {final} failed: {reason}.")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, leaving a file that already holds it untouched."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    with atomic_path(path) as temporary:
        # names on a disk may be any bytes
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object atomically; what is not finite becomes null, as JSON has no NaN."""
    write_text(path, json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """Values as JSON gives them back: text keys, lists, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def publish(staging: Path, folder: Path, marker: str) -> None:
    """Move the finished files of one image from `staging` into `folder`.

    Where `folder` is not there yet it appears in one step. Otherwise each file takes its place
    in turn; `marker`, whose presence says that the set is complete, is taken away first and put
    back last, so that a run which is killed on the way is not taken for a finished one.

    Parameters
    ----------
    staging
        A folder on the same file system that holds only files, `marker` among them.
    folder
        Where the files go, ``sub-01/anat`` for instance.
    marker
        Name of the file that is written last.

    Raises
    ------
    CannotCreateOutput, InputOutputError
        As for `atomic_path`.
    """
    make_folder(folder.parent)
    try:
        if not folder.exists():
            try:
                staging.rename(folder)
                return
            except OSError as error:
                if not folder.exists() and (error.errno not in TAKEN or not appears(folder)):
                    raise
        (folder / marker).unlink(missing_ok=True)
        names = sorted(path.name for path in staging.iterdir() if path.name != marker)
        for name in sorted(names, key=lambda name: name.endswith(".json")):
            os.replace(staging / name, folder / name)
        os.replace(staging / marker, folder / marker)
    except OSError as error:
        raise _explained(error, folder) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
