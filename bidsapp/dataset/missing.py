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
_CODE = re.compile(r"-?(7{2,5}|8{2,5}|9{2,5})|-[1-9]")


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
    return folded in _DOUBTFUL or _CODE.fullmatch(re.sub(r"\.0*$", "", folded)) is not None


def missing_codes(numbers: Iterable[float]) -> list[float]:
    """Numbers of a column that look like codes for a missing value (-9, 99, 8888), sorted.

    A number of the shape of a code (-1 to -9; 7, 8 or 9 repeated, with either sign) counts if it
    lies apart from the rest: below 0 where nothing else is, or above twice the largest other.

    Parameters
    ----------
    numbers
        The finite numbers of a column, in its own unit.
    """
    distinct = set(numbers)
    shaped = {n for n in distinct if _CODE.fullmatch(f"{n:g}")}
    rest = distinct - shaped
    if not rest:
        return []
    apart = {n for n in shaped if (n < 0 <= min(rest)) or n > max(2 * max(rest), 2 * -min(rest))}
    return sorted(apart)
