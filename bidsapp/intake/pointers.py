"""Files whose content was not fetched: pointers of git-annex (DataLad) and of git-lfs."""

import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from bidsapp.errors import NoInput

# Both kinds of pointer are a few lines of text; git-annex itself reads no more than this.
_LARGEST_BYTES = 32_768
_ANNEX_LINE = re.compile(
    r"(?:[/\\]|(?:\.\.?[/\\])*\.git[/\\](?:[\w./\\-]+[/\\])?)annex[/\\]objects[/\\]\S"
)
_LFS_LINE = re.compile(r"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
ANNEX, LFS, LINK = "git-annex", "git-lfs", "link"


@dataclass(frozen=True)
class Pointer:
    """A file that stands for content that is elsewhere.

    Attributes
    ----------
    path
        The file.
    kind
        ``git-annex``, ``git-lfs``, or ``link`` for a broken link of neither.
    """

    path: Path
    kind: str

    @property
    def advice(self) -> str:
        """What it is and what to run, to follow the name of the file."""
        root = _repository(self.path)
        inside = shlex.quote(self.path.absolute().relative_to(root).as_posix())
        place = f"in {shlex.quote(str(root))}"
        if self.kind == LFS:
            return (
                "is a git-lfs pointer: its content is not here; fetch it with "
                f"`git lfs pull` {place}"
            )
        if self.kind == LINK:
            return (
                f"is a link to a file that is not there ({self.path.readlink()}); bring the file "
                "there, or bind its folder into the container"
            )
        what = "link to a file that is not here" if self.path.is_symlink() else "git-annex pointer"
        more = "" if self.path.is_symlink() else ": its content is not here"
        return f"is a {what}{more}; fetch it with `datalad get {inside}` (or git annex get) {place}"


def pointer_at(path: Path) -> Pointer | None:
    """Tell a file without its content.

    Parameters
    ----------
    path
        Any path; at most the first 32 kB of a small regular file are read.

    Returns
    -------
    Pointer or None
        None for a file that holds its content, and for what is not there at all.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= _LARGEST_BYTES:
            return None
        with path.open("rb") as stream:
            start = stream.read(1024)
    except FileNotFoundError:
        return _broken_link(path) if path.is_symlink() else None
    except (OSError, ValueError):
        return None
    first = start.decode("latin-1").split("\n", 1)[0]
    if _LFS_LINE.match(first):
        return Pointer(path, LFS)
    # with core.symlinks off, git writes the target of an annexed link as text
    if _ANNEX_LINE.match(first):
        return Pointer(path, ANNEX)
    return None


def _broken_link(path: Path) -> Pointer:
    target = PureWindowsPath(path.readlink()).as_posix()  # of either kind of slash
    return Pointer(path, ANNEX if "annex/objects/" in target else LINK)


def require_content(path: Path) -> None:
    """Refuse a pointer, or a broken link, in the place of a file.

    Raises
    ------
    NoInput
        The content is not here; the message says what to run.
    """
    pointer = pointer_at(path)
    if pointer is not None:
        raise NoInput(f"{path} {pointer.advice}.")


def _repository(path: Path) -> Path:
    """Nearest folder above a file that is a repository or a dataset; else the file's folder."""
    marks = (".datalad", ".git", "dataset_description.json")
    folders = path.absolute().parents
    found = (folder for folder in folders if any(os.path.lexists(folder / m) for m in marks))
    return next(found, folders[0])
