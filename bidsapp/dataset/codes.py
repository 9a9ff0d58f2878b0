"""Codes for a missing value (999, -9): named in the recipe, declared in JSON, or suspected."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bidsapp.dataset.missing import suspected_codes
from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.options_text import set_option
from bidsapp.dataset.reading import Reading
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
_NAMED = "the recipe says"


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


def suspected(reading: Reading) -> Counter[float]:
    """Count the numbers of a column that look like codes for a missing value."""
    exact = _exact(reading)
    codes = suspected_codes(exact.values())
    return Counter({c: sum(reading.counts[t] for t, n in exact.items() if n == c) for c in codes})


def _exact(reading: Reading) -> dict[str, float]:
    """Texts of a column to the numbers that they say, without limits and infinite ones."""
    found = reading.numbers.items()
    return {text: n.value for text, n in found if not n.limit and n.how != "infinite"}


def suspicion_notes(readings: Mapping[str, Reading], named: Sequence[str]) -> list[str]:
    """Warn of numbers that look like codes for a missing value, and say how to settle it.

    Parameters
    ----------
    readings
        Columns, by their names, of which nothing is said yet.
    named
        What ``tables.missing`` says of others already.
    """
    sentences, entries = [], []
    for name, reading in readings.items():
        if reading.kind != "numbers":
            continue
        codes = suspected(reading)
        rest = [number for number in _exact(reading).values() if number not in codes]
        for code, count in codes.items():
            sentences.append(
                f"WARNING: column {name}: {code:g} ({count}) lies apart from the others "
                f"({min(rest):g} to {max(rest):g}) and looks like a code for a missing value. "
                "It counts as a number."
            )
            entries.append(f"{name}={code:g}")
    if entries:
        none = dict.fromkeys(f"{entry(text)[0]}=" for text in entries)
        yes, no = (set_option("tables.missing", [*named, *e]) for e in (entries, none))
        sentences.append(f"Where it is missing: {yes}. Where it is a number: {no}.")
    return sentences
