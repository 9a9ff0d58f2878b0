"""Files that a dataset's ``.bidsignore`` takes out of it, by the rules of ``.gitignore``."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bidsapp.errors import InvalidDataset
from bidsapp.intake.pointers import require_content
from bidsapp.intake.regular import read_text

NAME = ".bidsignore"


@dataclass(frozen=True)
class BidsIgnore:
    """The patterns of one file, in their order: the last that matches decides.

    Attributes
    ----------
    rules
        Pattern, whether it takes back what others ignore (``!``), and whether it is of folders
        alone (``/`` at its end).
    """

    rules: tuple[tuple[re.Pattern[str], bool, bool], ...] = ()

    def ignores(self, relative_path: str) -> bool:
        """Tell whether a file, by its POSIX path inside the dataset, or a folder above it is out.

        As in git, nothing can be taken back into a dataset whose folder is out.
        """
        parts = relative_path.split("/")
        places = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return any(self._matches(place, place != relative_path) for place in places)

    def _matches(self, place: str, folder: bool) -> bool:
        for pattern, back, folders_only in reversed(self.rules):
            if (folder or not folders_only) and pattern.fullmatch(place):
                return not back
        return False


def read_bidsignore(bids_dir: Path) -> BidsIgnore:
    """Read the ``.bidsignore`` at the root of a dataset; one without patterns where it has none.

    Raises
    ------
    NoInput
        The content of the file was not fetched.
    InvalidDataset
        It is no text, or a pattern means nothing.
    """
    path = bids_dir / NAME
    require_content(path)
    if not os.path.lexists(path):
        return BidsIgnore()
    try:
        lines = read_text(path, "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{path} cannot be read as UTF-8 text: {error}") from None
    rules = []
    for number, line in enumerate(lines, start=1):
        pattern = re.sub(r"(?<!\\)[ \t]+$", "", line)
        if not pattern or pattern.startswith("#"):
            continue
        back = pattern.startswith("!")
        try:
            rules.append((_regex(pattern[back:].removesuffix("/")), back, pattern.endswith("/")))
        except re.error as error:
            raise InvalidDataset(
                f"{path}: line {number}: {line!r} is no pattern: {error}"
            ) from None
    return BidsIgnore(tuple(rules))


def _regex(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression for a whole path without regard to case.

    A pattern with a slash in it holds from the root; another one in every folder.
    """
    anchored = "/" in pattern
    text = pattern.removeprefix("/")
    parts = [] if anchored else ["(?:.*/)?"]
    place = 0
    while place < len(text):
        rest = text[place:]
        if rest.startswith("**/") and (place == 0 or text[place - 1] == "/"):
            parts.append("(?:.*/)?")
            place += 3
        elif rest == "**" and place and text[place - 1] == "/":
            parts.append(".+")
            place += 2
        elif rest[0] == "*":
            parts.append("[^/]*")
            place += len(rest) - len(rest.lstrip("*"))
        elif rest[0] == "?":
            parts.append("[^/]")
            place += 1
        elif (match := re.match(r"\[([!^]?)(\]?[^\]]*)\]", rest)) is not None:
            inside = re.sub(r"([\\\[\]&~|])", r"\\\1", match[2])
            parts.append(f"(?!/)[{'^' if match[1] else ''}{inside}]")
            place += match.end()
        else:
            escaped = rest[0] == "\\" and len(rest) > 1
            parts.append(re.escape(rest[1] if escaped else rest[0]))
            place += 2 if escaped else 1
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
