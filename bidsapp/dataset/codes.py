"""Codes for a missing value (999, -9): named in the recipe, declared in JSON, or suspected."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.tables import Key, Table
from bidsapp.intake.json_text import read_object

# What the levels of a data dictionary say of a code that stands for no value.
_DECLARED = re.compile(
    r"(missing|n/?a|not? (available|applicable|known|answered|asked|assessed|collected|done|given"
    r"|measured|recorded|reported|tested|answer|data|response|value)|unknown|unavailable|refused"
    r"|declined|don'?t know|do not know|prefer not to (say|answer)|(data|value|score) missing)"
    r"( ?(value|data|code|to answer|[(,:;.-].*))?",
    re.IGNORECASE,
)
# How far above the rest a number must lie, in ranges of the rest, to be taken for a code.
_SHAPES = (
    (re.compile(r"9"), 1.0),
    (re.compile(r"(9{2,6}|9{1,5}[78])(\.9+)?"), 0.2),
    (re.compile(r"7{2,6}|8{2,6}"), 0.5),
)
_BELOW = re.compile(r"-([1-9]|6{2,6}|7{2,6}|8{2,6}|9{2,6}(\.9+)?|9{1,5}[78])")
_NAMED = "tables.missing says"


def entry(text: str) -> tuple[str, str]:
    """Split ``COLUMN=VALUE`` of ``tables.missing``; the value is empty for ``COLUMN=``."""
    column, _, value = text.rpartition("=")
    return column.strip(), value.strip()


def take_codes(
    tables: Iterable[Table], named: Mapping[str, Sequence[str]]
) -> tuple[tuple[Table, ...], dict[str, list[str]]]:
    """Make missing what is declared or named to be so.

    Parameters
    ----------
    tables
        The tables of a dataset.
    named
        ``<table>.<column>`` to its codes; what is declared of such a column does not count.

    Returns
    -------
    tables, told
        The tables without these cells; ``<table>.<column>`` to what was taken and why.
    """
    found, told = [], {}
    for table in tables:
        declared = declared_codes(table)
        for column in table.columns:
            full = f"{table.name}.{column}"
            levels = {} if full in named else declared.get(column, {})
            table, taken = _without(table, column, [*named.get(full, ()), *levels])
            said = {_comparable(code): f"{words!r}" for code, words in levels.items()}
            texts = [
                f"{text!r} ({count}) is missing, as "
                + (f"{table.name}.json calls it {said[_comparable(text)]}" if levels else _NAMED)
                for text, count in taken.items()
            ]
            idle = [code for code in named.get(full, ()) if not _any_like(code, taken)]
            texts += [f"{code!r} is missing, as {_NAMED}, and stands nowhere" for code in idle]
            if texts:
                told[full] = texts
        found.append(table)
    return tuple(found), told


def _any_like(code: str, texts: Iterable[str]) -> bool:
    return any(_comparable(code) == _comparable(text) for text in texts)


def _without(table: Table, column: str, codes: Sequence[str]) -> tuple[Table, Counter[str]]:
    """Take the cells of a column that hold one of the codes for missing.

    Numbers are compared as numbers (``999`` and ``999.0``), texts letter by letter.

    Returns
    -------
    table, taken
        The table, the same one where no cell is concerned; the codes with their counts.
    """
    wanted = {_comparable(code) for code in codes}
    cells = table.columns.get(column, {})
    taken: dict[Key, str] = {k: text for k, text in cells.items() if _comparable(text) in wanted}
    if not taken:
        return table, Counter()
    left = {key: text for key, text in cells.items() if key not in taken}
    missing = {**table.missing, column: {**table.missing.get(column, {}), **taken}}
    found = replace(table, columns={**table.columns, column: left}, missing=missing)
    return found, Counter(taken.values())


def _comparable(text: str) -> float | str:
    number = number_of(text)
    return text.strip() if number is None else number


def declared_codes(table: Table) -> dict[str, dict[str, str]]:
    """Numbers that the JSON file beside a table declares, under ``Levels``, to be no value.

    Returns
    -------
    dict
        Column to code to the words that declare it. Empty where there is no such file, or none
        that can be read: a data dictionary is no condition for using a table.
    """
    path = table.path / "sessions.json" if table.name == "sessions" else table.path
    content = read_object(path.with_suffix(".json"))
    found = {}
    for column in table.columns:
        told = content.get(column)
        levels = told.get("Levels") if isinstance(told, Mapping) else None
        if not isinstance(levels, Mapping):
            continue
        codes = {str(code): _words(words) for code, words in levels.items()}
        mine = {
            code: words
            for code, words in codes.items()
            if number_of(code) is not None and _DECLARED.fullmatch(words)
        }
        if mine:
            found[column] = mine
    return found


def _words(level: object) -> str:
    """Text of a level; BIDS allows an object with a description too."""
    if isinstance(level, Mapping):
        level = level.get("Description", "")
    return " ".join(str(level).split())


def suspected_codes(numbers: Iterable[float]) -> list[float]:
    """Numbers that look like codes for a missing value and lie apart from the rest, sorted.

    The shape is that of codes in use (9, 99, 998, 8888, 999.9; -1 to -9, -99). Below, it is apart
    where no other number is negative, or by half the range of the rest; above by a fifth of it,
    by half for 77 and 88, and by all of it for a single 9.
    """
    distinct = set(numbers)
    margins = {number: margin for number in distinct if (margin := _margin(number)) is not None}
    rest = distinct - set(margins)
    if len(rest) < 2:
        return []
    low, high = min(rest), max(rest)
    spread = high - low
    return sorted(
        number
        for number, margin in margins.items()
        if number > high + margin * spread
        or (number < 0 and (low >= 0 or number < low - margin * spread))
    )


def _margin(number: float) -> float | None:
    text = f"{number:g}"
    if number < 0:
        return 0.5 if _BELOW.fullmatch(text) else None
    return next((margin for shape, margin in _SHAPES if shape.fullmatch(text)), None)
