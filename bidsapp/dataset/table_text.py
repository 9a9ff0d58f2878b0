"""Lines, header and fields of a tab-separated file; what is wrong with them, in words."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bidsapp.contracts.unit import PART
from bidsapp.dataset.missing import is_missing
from bidsapp.errors import BadData, NoInput
from bidsapp.intake.regular import open_regular

IDS = ("participant_id", "session_id")
PEOPLE = "participants.tsv"
_SPELLINGS = ("participant", "participants", "subject", "subject_id", "subjects", "sub", "sub_id")


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Lines with something in them, and their numbers from 1."""
    try:
        with open_regular(path) as stream:
            raw = stream.read()
    except OSError as error:
        raise NoInput(f"{path} cannot be read: {error.strerror or error}.") from None
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadData(f"{path} is not UTF-8 text; save it as UTF-8, tab-separated.") from None
    if "\0" in text:
        raise BadData(
            f"{path} is UTF-16 without a mark, or no text; save it as UTF-8, tab-separated."
        )
    numbered = enumerate(re.split(r"\r\n|\n|\r", text), start=1)
    return [(number, line) for number, line in numbered if line.strip()]


def header_of(path: Path, line: str, required: str) -> list[str]:
    """Give the names of the columns, labels of people in one spelling; refuse what is no header."""
    header = [unquoted(name) for name in line.split("\t")]
    ids = {name.lower(): place for place, name in enumerate(header)}
    for name in (*IDS, *([PART] if path.name != PEOPLE else [])):
        if name not in header and name in ids:
            header[ids[name]] = name
    if required not in header:
        shown = ", ".join(header[:8])
        raise BadData(
            f"{path}: no column {required}; found {shown}. {_header_hint(header, required)}"
        )
    twice = sorted(name for name, times in Counter(header).items() if name and times > 1)
    if twice:
        raise BadData(f"{path}: column {', '.join(twice)} is there more than once; rename one.")
    return header


def _header_hint(header: Sequence[str], required: str) -> str:
    if len(header) == 1:
        found = re.search("[,;|]| {2,}|(?<=_id) ", header[0])
        kinds = {",": "commas", ";": "semicolons", "|": "bars"}
        if found:
            what = kinds.get(found[0], "blanks")
            return f"It looks separated by {what}: save it as text, columns separated by tabs."
        return "Tabs must separate the columns."
    near = [name for name in header if re.sub(r"\W+", "_", name.lower()) in (*_SPELLINGS, required)]
    return f"Rename {near[0]!r} {required}." if near else "Tabs must separate the columns."


def fields_of(path: Path, number: int, line: str, header: Sequence[str]) -> list[str]:
    """Give the fields of a line, as many as the header has; refuse any other number."""
    fields = [unquoted(field) for field in line.split("\t")]
    while len(fields) > len(header) and not fields[-1]:
        fields.pop()
    if len(fields) != len(header):
        raise BadData(
            f"{path}: line {number} has {len(fields)} fields where the header has {len(header)}; "
            "write n/a for a missing value."
            + (" No quoted field may hold a tab or a line end." if '"' in line else "")
        )
    named = [field for field, name in zip(fields, header, strict=True) if not name]
    if any(present(field) for field in named):
        raise BadData(f"{path}: line {number} has a value in a column without a name.")
    return fields


def unquoted(field: str) -> str:
    """Strip blanks and the quotes around a field."""
    field = field.strip()
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"').strip()
    return field


def present(field: str) -> str:
    """Give the text of a field, empty where it is missing."""
    return "" if is_missing(field) else field
