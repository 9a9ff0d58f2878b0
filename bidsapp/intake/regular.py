"""Regular files only: a pipe, a device or a socket may never end, and never begin."""

import errno
import stat
from pathlib import Path
from typing import BinaryIO

from bidsapp.intake.pointers import require_content

# What `stat` says, in the words of a sentence.
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """What lies there is no regular file; `strerror` says what it is."""


def require_regular(path: Path) -> None:
    """Refuse what is no regular file, before anything waits for it.

    Parameters
    ----------
    path
        A file, or a link to one.

    Raises
    ------
    NotRegular
        It is a folder, a pipe, a socket or a device.
    NoInput
        It stands for content that was not fetched; the message says what to run.
    OSError
        It is not there, or may not be looked at.
    """
    require_content(path)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((words for test, words in _KINDS if test(mode)), "something else")
        raise NotRegular(errno.EINVAL, f"it is {kind}, not a file", str(path))


def is_text(name: str) -> bool:
    """Tell whether a name or path is UTF-8: on a disk it may be any bytes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read its bytes; raises as `require_regular`."""
    require_regular(path)
    return path.open("rb")


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Read the text of a regular file.

    Raises
    ------
    OSError
        As `require_regular`.
    UnicodeDecodeError
        It is no text in this encoding.
    """
    require_regular(path)
    return path.read_text(encoding=encoding)
