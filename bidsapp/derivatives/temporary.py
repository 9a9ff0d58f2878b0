"""Temporary folders that go with the process which made them, and are swept up after a kill."""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".nocicast-"
# In each such folder and locked while it is used: what has no such file, the app did not make.
MARKER = "in-use.lock"
# What another machine left, whose locks are not always seen here, is let lie for so long.
_QUIET_S = 24 * 3600
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_swept: set[Path] = set()


@contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """Give an empty folder inside `place`, which is gone afterwards with all that is in it.

    Where the process is killed the folder stays, and the next one that makes such a folder in the
    same place removes it. What may be moved into `place` lies on the same disk.

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
    folder, lock = _made(place)
    try:
        content = folder / "new"
        content.mkdir()
        yield content
    finally:
        os.close(lock)  # before it is removed: NFS keeps a file that is open
        shutil.rmtree(folder, ignore_errors=True)


def sweep(place: Path) -> None:
    """Remove the temporary folders in `place` whose processes are gone; once per process.

    Never removed are folders without our marker in them, those of other people, links, and those
    that a process works in, here or on another machine.
    """
    if place in _swept:
        return
    _swept.add(place)
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _sweep_one(Path(entry.path))


def _made(place: Path) -> tuple[Path, int]:
    """Make a folder with a marker in it and hold the marker's lock; another one where that fails.

    It can fail in the instant in which a sweep looks at the marker.
    """
    while True:
        folder = place / f"{PREFIX}{uuid.uuid4().hex[:16]}"
        folder.mkdir()
        lock = os.open(folder / MARKER, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            _lock(lock)
            os.write(lock, _machine().encode())
        except BaseException as error:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, BlockingIOError):
                continue
            raise
        return folder, lock


def _sweep_one(folder: Path) -> None:
    if folder.stat().st_uid != os.geteuid():
        return
    if not os.listdir(folder):
        if _quiet(folder):
            folder.rmdir()  # killed before the marker was there
        return
    lock = os.open(folder / MARKER, os.O_RDWR | os.O_NOFOLLOW)
    try:
        seen = _lock(lock)
        ours = seen and _machine() and os.read(lock, 100) == _machine().encode()
        if ours or _quiet(folder):
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # somebody is at work in it
    finally:
        os.close(lock)


def _lock(handle: int) -> bool:
    """Lock a file; False on a file system without locks. Raises BlockingIOError if it is held."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _machine() -> str:
    """Name this machine since it was started, the same in every container on it; may be empty."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _quiet(folder: Path) -> bool:
    """Whether nothing in a folder has changed for long."""
    times = [path.lstat().st_mtime for path in (folder, *folder.rglob("*"))]
    return time.time() - max(times) > _QUIET_S
