"""Whether images are still those that a cohort was made of, when they have been read again."""

from collections.abc import Iterable
from pathlib import Path

from bidsapp.dataset.description import shortened
from bidsapp.dataset.normalized import FileState, NormalizedImage
from bidsapp.errors import TemporaryFailure


def state_of(path: Path) -> FileState | None:
    """Size, time of change and place on the disk of a file; None where it is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


def require_unchanged(scans: Iterable[NormalizedImage]) -> None:
    """Refuse images that were replaced while a run read them: hashes and arrays would differ.

    Parameters
    ----------
    scans
        With the `states` that their files had before they were hashed.

    Raises
    ------
    TemporaryFailure
        A file is not there any more, or is another one.
    """
    others = [
        str(path)
        for scan in scans
        for path, before in scan.states
        if before is None or state_of(path) != before
    ]
    if others:
        raise TemporaryFailure(
            f"{shortened(others)}: removed or written anew while this run was reading the images. "
            "Run again when nothing else writes there (a participant run, a copy)."
        )
