"""Work that many jobs want done at once and that needs doing only once after the last of them."""

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bidsapp.derivatives.atomic import not_made

_WORKING, _WAITING = 0, 1  # bytes of the lock file


def done_for_all(lock: Path, work: Callable[[], None]) -> bool:
    """Do `work`, or leave it to another job that has yet to begin it.

    Two locks: one is held while working, the other while waiting to. Who finds somebody waiting
    leaves, as that job begins only now and will see all that is there. So however many jobs come
    at once, each waits for one round of work and does one at the most, and the last round begins
    after the last job came.

    Parameters
    ----------
    lock
        The lock file, which all jobs see; it stays, as taking it away would let two jobs in. On a
        file system without locks everybody works.
    work
        What is done; what it reads was written before this call.

    Returns
    -------
    bool
        Whether this job did it.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("w")
    except OSError as error:
        raise not_made(error, f"{lock} cannot be written: {error.strerror}.") from error
    with handle:
        if not _taken(handle, _WAITING, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
        _taken(handle, _WORKING, fcntl.LOCK_EX)
        _taken(handle, _WAITING, fcntl.LOCK_UN)
        work()
        return True


def _taken(handle: IO[str], byte: int, how: int) -> bool:
    try:
        fcntl.lockf(handle, how, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks: as good as alone
    return True
