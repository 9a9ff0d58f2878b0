"""Texts and numbers that people write where a value is missing; the one place that lists them."""

import re
from collections.abc import Iterable

# BIDS has n/a alone; the rest is what spreadsheets, statistics packages and people write.
_BIDS = frozenset({"", "n/a"})
_MISSING = _BIDS | {
    *("na", "n.a.", "n.a", "n. a.", "n/a.", "#n/a", "#n/a n/a", "#na", "#nv", "<na>"),
    *("nan", "-nan", "+nan", "nat", "1.#qnan", "-1.#ind", ".", "..", "...", "?", "??", "???"),
}
# Excel and LibreOffice in any language: #DIV/0!, #VALUE!, #WERT!, #NAME?, #####, Err:502.
_SPREADSHEET_ERROR = re.compile(r"#\S*[!?]|#{2,}|err:\d{3}")
# May be a value of a study ("none" is no pain, "-" a negative test): people are asked.
_DOUBTFUL = frozenset(
    {"unknown", "none", "null", "missing", "nil", "-", "--", "---", "–", "—", "unk", "empty", "nr"}
    | {"not available", "not applicable", "not known", "not done", "not recorded", "no data", "nd"}
    | {"lost to follow-up", "lost to follow up", "ltfu", "withdrawn", "withdrew", "dropout"}
    | {
        "drop-out",
        "dropped out",
        "declined",
        "refused",
        "excluded",
        "don't know",
        "prefer not to say",
    }
)
# Shapes of codes in use, and how far above the rest one must lie, in ranges of the rest.
_ABOVE = (
    (re.compile(r"9"), 1.0),
    (re.compile(r"(9{2,6}|9{1,5}[78])(\.9+)?"), 0.2),
    (re.compile(r"7{2,6}|8{2,6}"), 0.5),
)
_BELOW = re.compile(r"-([1-9]|6{2,6}|7{2,6}|8{2,6}|9{2,6}(\.9+)?|9{1,5}[78])")


def is_missing(text: str) -> bool:
    """Tell whether a text stands for a missing value, in every column of every table.

    ``n/a``, ``N.A.``, ``NaN``, ``NULL``, ``.``, ``?``, empty, and the errors of spreadsheets
    (``#DIV/0!``), in capitals or not.
    """
    bare = text.strip()
    folded = bare.casefold()
    found = folded in _MISSING or bare == "NULL"
    return found or _SPREADSHEET_ERROR.fullmatch(folded) is not None


def is_standard_missing(text: str) -> bool:
    """Tell whether a missing value is written as BIDS has it, or as an empty field."""
    return text.strip().casefold() in _BIDS


def looks_missing(text: str) -> bool:
    """Tell whether a text may stand for a missing value: a word such as unknown, or a code.

    It is a value until somebody says that it is not: ``none`` can be a grade of pain, and 99 a
    score of 100.
    """
    folded = " ".join(text.split()).casefold()
    # a 9 by itself is a score like any other; beside lower ones see `suspected_codes`
    number = re.sub(r"\.0*$", "", folded)
    return folded in _DOUBTFUL or (number != "9" and _margin(number) is not None)


def suspected_codes(numbers: Iterable[float]) -> list[float]:
    """Numbers that look like codes for a missing value and lie apart from the rest, sorted.

    The shape is that of codes in use (9, 99, 998, 8888, 999.9; -1 to -9, -99). Below, it is apart
    where no other number is negative, or by half the range of the rest; above by a fifth of it,
    by half for 77 and 88, and by all of it for a single 9. Where the rest is one number, its
    distance from 0 stands for the range.

    Parameters
    ----------
    numbers
        The finite numbers of a column, in its own unit.
    """
    distinct = set(numbers)
    shaped = {number: _margin(f"{number:g}") for number in distinct}
    margins = {number: margin for number, margin in shaped.items() if margin is not None}
    rest = distinct - set(margins)
    if not rest:
        return []
    low, high = min(rest), max(rest)
    spread = high - low or abs(high)
    return sorted(
        number
        for number, margin in margins.items()
        if number > high + margin * spread
        or (number < 0 and (low >= 0 or number < low - margin * spread))
    )


def _margin(number: str) -> float | None:
    """How far from the rest a number of the shape of a code must lie; None for other shapes."""
    if number.startswith("-"):
        return 0.5 if _BELOW.fullmatch(number) else None
    return next((margin for shape, margin in _ABOVE if shape.fullmatch(number)), None)
