"""JSON read in one way: what cannot be used is one error, whichever way it is broken."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsapp.errors import NoInput
from bidsapp.intake.regular import read_text, require_regular

_LARGEST_BYTES = 10_000_000
# Half of a character outside the basic plane: Python reads it and can write it nowhere.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


_MOST_DIGITS = 300  # more, and arithmetic with other numbers fails far from here: no float holds it


class BadJson(ValueError):
    """Text that is no JSON, or JSON that nothing can be done with; the message says where."""


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Parameters
    ----------
    text
        The text, or its UTF-8 bytes.

    Returns
    -------
    object
        What it holds.

    Raises
    ------
    BadJson
        It is no JSON, is nested too deep, holds a whole number of more than 300 digits, or half of
        a character (a lone surrogate), which no file can take.
    """
    try:
        content = json.loads(text, parse_int=_whole)
        written = text if isinstance(text, str) else text.decode("utf-8", "replace")
        if _SURROGATE.search(written):
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson(f"half of a character ({error.object[error.start]!a})") from None
    except RecursionError:
        raise BadJson("nested too deep") from None
    except ValueError as error:  # what is no JSON, no UTF-8, or a number that is too long
        raise BadJson(str(error)) from None
    return content


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def read_json(path: Path) -> Any:
    """Read a JSON file that a user may have made.

    Parameters
    ----------
    path
        A regular file, UTF-8, with or without byte order mark.

    Returns
    -------
    object
        What it holds.

    Raises
    ------
    OSError
        It is not there or is no regular file.
    NoInput
        It stands for content that was not fetched; the message says what to run.
    BadJson
        As `parse_json`; the message begins with the file's name.
    """
    try:
        return parse_json(read_text(path, "utf-8-sig"))
    except ValueError as error:
        raise BadJson(f"{path.name}: {error}") from None


def read_own_json(path: Path) -> Any:
    """Read a JSON file that the app wrote itself; raises OSError or BadJson as `read_json`."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadJson(f"{path.name}: {error}") from None


def read_object(path: Path) -> Mapping[str, Any]:
    """Read a JSON object that is of use and no condition.

    Empty where the file is not here, is larger than 10 MB, or holds no object.
    """
    try:
        require_regular(path)
        if path.stat().st_size > _LARGEST_BYTES:
            return {}
        content = read_json(path)
    except (OSError, ValueError, NoInput):
        return {}
    return content if isinstance(content, Mapping) else {}
