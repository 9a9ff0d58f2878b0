"""The exception types that a user can meet, each with its exit code.

The codes are those of the BIDS execution specification (draft 0.1) and, from 64 on, of sysexits.h.
A message names the file, column or key, what was expected, and what to do.
"""

import errno
import os
import re
from collections.abc import Iterable

from bidsapp.visible import shortened, visible

EXIT_OK = 0


class NociCastError(Exception):
    """Something went wrong that has no more specific code."""

    exit_code = 1

    def __str__(self) -> str:
        """Give the message as a terminal shows it whole: nothing hidden, no word without end."""
        return visible(shortened(super().__str__()))


class InvalidDataset(NociCastError):
    """The input dataset does not pass validation."""

    exit_code = 16


class UnknownAnalysisLevel(NociCastError):
    """The analysis level is not one that this app offers."""

    exit_code = 17


class NothingSelected(NociCastError):
    """The participant, session and entity filters left nothing to work on."""

    exit_code = 18


class UsageError(NociCastError):
    """An argument, a recipe key or their combination is wrong."""

    exit_code = 64


class BadData(NociCastError):
    """A file was read and its contents cannot be used."""

    exit_code = 65


class NoInput(NociCastError):
    """A file or folder that the run needs is not there or cannot be read."""

    exit_code = 66


class CannotCreateOutput(NociCastError):
    """The output folder, or a file in it, cannot be made."""

    exit_code = 73


class InputOutputError(NociCastError):
    """Reading or writing failed on the way (disk full, connection lost)."""

    exit_code = 74


class TemporaryFailure(NociCastError):
    """Trying again later may help."""

    exit_code = 75


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def disk_trouble(error: BaseException) -> NociCastError | None:
    """Tell a disk that is full, failing or read-only, also behind what a library made of it.

    torch raises a RuntimeError in the place of the system's error, and safetensors an error of
    its own that repeats it in words.

    Returns
    -------
    NociCastError or None
        What to tell the user; None where the disk is not the reason.
    """
    seen: BaseException | None = error
    while seen is not None:
        told = re.search(r"\(os error (\d+)\)", str(seen))
        number = seen.errno if isinstance(seen, OSError) else int(told[1]) if told else None
        where = getattr(seen, "filename", None)
        if number is not None and number in (*_DISK, errno.EROFS):
            text = f"{os.strerror(number)}{f': {where}' if where else ''}"
            if number == errno.EROFS:
                return CannotCreateOutput(f"{text}. Choose a folder that can be written to.")
            return InputOutputError(
                f"Writing failed: {text}. Make room in the output folder and the work folder "
                "(--work-dir may lie on another disk) and run again: what is done is kept."
            )
        seen = seen.__cause__ or seen.__context__
    return None


MORE_MEMORY = (
    "Let the run have more (the limit of the batch job, of the container, or ulimit -v), or let it "
    "use less: fewer processes (--nprocs), or a smaller --mem to plan with."
)
# What libraries say where memory cannot be had; loaders end so where a library finds no room.
_MEMORY = re.compile(
    r"allocate memory|out of memory|not enough memory|bad_alloc|unable to allocate"
    r"|failed to map segment from shared object$",
    re.IGNORECASE,
)


def memory_trouble(error: BaseException) -> TemporaryFailure | None:
    """Tell a want of memory, also behind what a library made of it; None where it is not that."""
    seen: BaseException | None = error
    while seen is not None:
        text = (str(seen).strip().splitlines() or [""])[0].rstrip(".")
        number = seen.errno if isinstance(seen, OSError) else None
        if isinstance(seen, MemoryError) or number == errno.ENOMEM or _MEMORY.search(text):
            return TemporaryFailure(
                f"Not enough memory{f' ({text})' if text else ''}. {MORE_MEMORY}"
            )
        seen = seen.__cause__ or seen.__context__
    return None


def path_trouble(error: BaseException) -> UsageError | None:
    """Tell a path that no system can open: too long, or with the character NUL; None where not."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno == errno.ENAMETOOLONG:
            return UsageError(
                f"{os.strerror(seen.errno)}: {seen.filename or seen}. Give a shorter path: names "
                "have at most 255 bytes, paths 4095."
            )
        if isinstance(seen, ValueError) and "embedded null" in str(seen):
            return UsageError(
                "A path holds the character NUL, which no file's name can; in a recipe it is "
                "written \\0 or \\x00 within quotes."
            )
        seen = seen.__cause__ or seen.__context__
    return None


def joint_code(codes: Iterable[int]) -> int:
    """Give one exit code for several endings: that of the failures where they agree, else 1."""
    failed = {code for code in codes if code != EXIT_OK}
    if not failed:
        return EXIT_OK
    return failed.pop() if len(failed) == 1 else NociCastError.exit_code
