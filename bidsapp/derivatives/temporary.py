"""Temporary files and folders that go with their process, and are swept up after a kill."""

import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PREFIX = ".nocicast-"
# In each such folder and locked while it is used: what has no such file, the app did not make.
MARKER = "in-use.lock"
_FILE = re.compile(re.escape(PREFIX) + r"(?P<machine>[0-9a-f]{8})[0-9a-f]{16}-.+")
_LONGEST = 200  # bytes of the final name that are kept: a file name may have 255
# What another machine left, whose locks are not always seen here, is let lie for so long.
_QUIET_S = 24 * 3600
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_swept: set[Path] = set()


@contextmanager
def temporary_file(final: Path) -> Iterator[Path]:
    """Give the path of an empty file beside `final`, which is gone afterwards.

    Its name begins with a dot and ends like that of `final`, so that writers which look at
    suffixes behave. Where the process is killed the file stays, and the next one that makes such a
    file in the same folder removes it.

    Raises
    ------
    OSError
        The file cannot be made.
    """
    sweep(final.parent)
    path, lock = _made_file(final)
    try:
        yield path
    finally:
        os.close(lock)
        path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """Give an empty folder inside `place`, which is gone afterwards with all that is in it.

    As for `temporary_file`, the next process sweeps up after one that was killed. What may be
    moved into `place` lies on the same disk.

    Parameters
    ----------
    place
        A folder that can be written.

    Raises
    ------
    OSError
        The folder cannot be made.
    """
    sweep(place)
    folder, lock = _made_folder(place)
    try:
        content = folder / "new"
        content.mkdir()
        yield content
    finally:
        os.close(lock)  # before it is removed: NFS keeps a file that is open
        shutil.rmtree(folder, ignore_errors=True)


def sweep(place: Path) -> None:
    """Remove temporary files and folders in `place` whose processes are gone; once per process.

    Never removed are folders without our marker in them, files of other names, those of other
    people, links, and what a process works at, here or on another machine.
    """
    if place in _swept:
        return
    _swept.add(place)
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and not entry.is_symlink():
                with suppress(OSError):  # BlockingIOError: somebody is at work
                    _sweep_one(Path(entry.path))


def _made_file(final: Path) -> tuple[Path, int]:
    """Make a file and hold its lock; another one where a sweep looks at it in that instant."""
    ending = os.fsdecode(os.fsencode(final.name)[-_LONGEST:])
    while True:
        path = final.with_name(f"{PREFIX}{_machine()}{uuid.uuid4().hex[:16]}-{ending}")
        lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        try:
            _lock(lock)
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return path, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(lock)
        path.unlink(missing_ok=True)


def _made_folder(place: Path) -> tuple[Path, int]:
    """Make a folder with a marker and hold its lock; another one where a sweep looks at it.

    The marker says nothing of a machine before it is locked, so that no sweep can take it.
    """
    while True:
        folder = place / f"{PREFIX}{uuid.uuid4().hex[:16]}"
        folder.mkdir()
        lock = os.open(folder / MARKER, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            _lock(lock)
            os.write(lock, _machine().encode())
            with suppress(OSError):  # a disk that fails later keeps whose it was
                os.fsync(lock)
        except BaseException as error:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, BlockingIOError):
                continue
            raise
        return folder, lock


def _sweep_one(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        return
    if path.is_dir():
        if os.listdir(path):
            _remove_dead(path, path / MARKER, "")
        elif _quiet(path):
            path.rmdir()  # killed before the marker was there
    elif path.is_file() and (match := _FILE.fullmatch(path.name)):
        _remove_dead(path, path, match["machine"])


def _remove_dead(path: Path, locked: Path, machine: str) -> None:
    """Remove a file or folder if nobody holds its lock; raises BlockingIOError if somebody does."""
    handle = os.open(locked, os.O_RDWR | os.O_NOFOLLOW)
    try:
        seen = _lock(handle)
        machine = machine or os.read(handle, 8).decode(errors="replace")
        if (seen and machine == _machine() and _BOOT.exists()) or _quiet(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file; False on a file system without locks. Raises BlockingIOError if it is held."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@cache
def _machine() -> str:
    """Name this machine since it was started, the same in every container on it; 8 characters."""
    try:
        boot = _BOOT.read_bytes()
    except OSError:
        boot = b""
    return hashlib.sha256(boot).hexdigest()[:8]


def _quiet(path: Path) -> bool:
    """Whether nothing in a folder, or a file, has changed for long."""
    inside = path.rglob("*") if path.is_dir() else ()
    times = [one.lstat().st_mtime for one in (path, *inside)]
    return time.time() - max(times) > _QUIET_S
