"""A table with several rows a participant, such as the attacks of a diary, in an outcome."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bidsapp.dataset import aggregates
from bidsapp.dataset.aggregates import Aggregate, Reason, Rows
from bidsapp.dataset.expression import Expression, rows_of
from bidsapp.dataset.expression_values import check_values
from bidsapp.dataset.logic import Operand, Problems, operand
from bidsapp.dataset.tables import Key, Table
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?")


@dataclass(frozen=True)
class Aggregated:
    """What the aggregates of an expression are for a list of scans.

    Attributes
    ----------
    operands
        Text of an aggregate to its value for every scan.
    reasons
        Place in the list to why some aggregate has no value; the first one.
    columns
        Names of the tables' columns that they use.
    people
        Participants who have rows in these tables.
    notes
        What a person should know, a sentence each.
    """

    operands: Mapping[str, Operand]
    reasons: Mapping[int, Reason]
    columns: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def aggregate(
    expression: Expression,
    columns: Columns,
    scans: Sequence[Key],
    needed: int | None = None,
    order: str | None = None,
) -> Aggregated:
    """Compute every aggregate of an expression, participant by participant.

    Nothing is guessed: where a row is missing a value that decides, where rows are too few, or
    tied in their order, the participant has no outcome, and the reason is named.

    Parameters
    ----------
    expression
        Of the outcome.
    columns
        Of the dataset.
    scans
        Participant and session of each; the rows are those of the participant.
    needed
        Rows that a participant needs; of more, the first are taken. None takes all, however few.
    order
        Column by which rows are in order; that of the file by default.

    Raises
    ------
    UsageError
        A column is not there, or the columns of an aggregate are not in one such table.
    """
    people = [key[0] for key in scans]
    operands, reasons = {}, dict[int, Reason]()
    used: dict[str, None] = {}
    known: set[str] = set()
    notes: list[str] = []
    for one in expression.aggregates:
        names = _names(expression, one)
        diary = columns.diary_of(names, one.text)
        table = columns.with_rows(diary)
        rows = sorted(diary.rows)
        known |= {key[0] for key in rows}
        used |= dict.fromkeys(
            f"{diary.name}.{name.removeprefix(f'{diary.name}.')}" for name in names
        )
        notes += check_values(replace(expression, columns=names), table) if rows else ()
        notes += table.told(name for name in names if name in diary.columns)
        places, lacking = _places(diary, table, rows, needed, order)
        evaluated = _evaluated(expression, one, table, names, rows, places)
        found = dict(lacking)
        values: dict[str, float | str] = {}
        for person in evaluated.places:
            result = evaluated.reduced(one.function, person)
            if isinstance(result, tuple):
                found[person] = result
            else:
                values[person] = result
        operands[one.text] = _operand(one, values, people, table)
        for place, person in enumerate(people):
            if person not in values:
                absent = (aggregates.ABSENT, f"no row in {diary.name}")
                reasons.setdefault(place, found.get(person, absent))
    return Aggregated(operands, reasons, tuple(used), frozenset(known), tuple(dict.fromkeys(notes)))


def _names(expression: Expression, one: Aggregate) -> tuple[str, ...]:
    """Names of the columns of an aggregate, each once, as they are written."""
    nodes = [node for part in one.parts for node in ast.walk(part)]
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    found = [
        expression.names[node.id]
        for node in nodes
        if isinstance(node, ast.Name) and id(node) not in called
    ]
    return tuple(dict.fromkeys(found))


def _evaluated(
    expression: Expression,
    one: Aggregate,
    table: Columns,
    names: Sequence[str],
    rows: Sequence[Key],
    places: Mapping[str, Sequence[int]],
) -> Rows:
    texts = {name: table.values(name, rows).texts for name in names}
    readings = {name: table.reading(name) for name in names}
    problems: Problems = {}
    inner = rows_of(expression, texts, readings, len(rows), problems)
    value = inner.value(one.value) if one.value is not None else None
    condition, among = (
        inner.truth(part) if part is not None else None for part in (one.condition, one.among)
    )

    def trouble(row: int) -> Reason:
        where = _line(rows[row])
        if row in problems:
            return aggregates.WRONG, f"{where}: {problems[row]}"
        for name in names:
            text = texts[name][row]
            wrong = np.isnan(readings[name].number(text)) or readings[name].limit(text)
            if text is not None and readings[name].kind == "numbers" and wrong:
                return aggregates.WRONG, f"{where}: {name} is {text!r}, not a number"
        lost = [name for name in names if texts[name][row] is None]
        return aggregates.MISSING, f"{where}: {', '.join(lost) or one.text} is missing"

    return Rows(places, value, condition, among, trouble)


def _operand(
    one: Aggregate, values: Mapping[str, float | str], people: Sequence[str], table: Columns
) -> Operand:
    if any(isinstance(value, str) for value in values.values()):
        texts = [str(values[person]) if person in values else None for person in people]
        name = one.value.id if isinstance(one.value, ast.Name) else ""
        reading = table.reading(name) if name and table.has(name) else None
        return operand(one.text, texts, reading)
    numbers = np.array([values.get(person, np.nan) for person in people], np.float64)
    return Operand(one.text, None, numbers)


def _places(
    diary: Table, table: Columns, rows: Sequence[Key], needed: int | None, order: str | None
) -> tuple[dict[str, list[int]], dict[str, Reason]]:
    """Row numbers of every participant, in order, and why some have too few or none."""
    by_person: dict[str, list[int]] = {}
    for place, key in enumerate(rows):
        by_person.setdefault(key[0], []).append(place)
    marks = _marks(diary, table, rows, order) if order else None
    found: dict[str, list[int]] = {}
    lacking: dict[str, Reason] = {}
    for person, places in by_person.items():
        if marks is not None and (why := _unordered(marks, places, rows, str(order))):
            lacking[person] = why
            continue
        mine = places if marks is None else _sorted(places, marks)
        if needed is not None and len(mine) < needed:
            lacking[person] = (aggregates.FEW, f"{len(mine)} of {needed} rows in {diary.name}")
        elif needed is not None and len(mine) > needed and marks is None:
            lacking[person] = (
                aggregates.MANY,
                f"{len(mine)} rows in {diary.name}, {needed} are asked for, and outcome.order "
                "names no column by which the first of them are known",
            )
        else:
            found[person] = mine[:needed]
    return found, lacking


def _sorted(places: Sequence[int], marks: Sequence[Any]) -> list[int]:
    return [place for _, place in sorted((marks[place], place) for place in places)]


def _marks(
    diary: Table, table: Columns, rows: Sequence[Key], order: str
) -> list[float | str | None]:
    """Give what every row is sorted by: numbers, or dates as they are written."""
    if order not in diary.columns:
        raise UsageError(
            f"outcome.order: {diary.name} has no column {order!r}; it has "
            f"{', '.join(diary.columns)}."
        )
    texts = table.values(order, rows).texts
    reading = table.reading(order)
    if reading.kind == "numbers":
        numbers = [reading.number(text) for text in texts]
        return [None if np.isnan(number) else number for number in numbers]
    odd = next((text for text in texts if text is not None and not _DATE.fullmatch(text)), None)
    if odd is not None:
        raise UsageError(
            f"outcome.order: {order} of {diary.name} holds {odd!r}; expected numbers, or dates as "
            "2024-03-31 or 2024-03-31T14:05."
        )
    return list(texts)


def _unordered(
    marks: Sequence[Any], places: Sequence[int], rows: Sequence[Key], order: str
) -> Reason | None:
    """Say why a participant's rows have no order; None where they have one."""
    seen: dict[float | str, int] = {}
    for place in places:
        mark = marks[place]
        if mark is None:
            return aggregates.MISSING, f"{_line(rows[place])}: {order} is missing or no number"
        if mark in seen:
            both = f"{_line(rows[seen[mark]])} and {_line(rows[place])}"
            shown = f"{mark:g}" if isinstance(mark, float) else mark
            return aggregates.TIED, f"{order} is {shown} on {both}"
        seen[mark] = place
    return None


def _line(row: Key) -> str:
    """Name a row as a person finds it: its line in the file, or its session and part."""
    head, _, number = row[1].partition(" ")
    return f"line {int(number)}" if head == "line" else " ".join(filter(None, row[1:]))
