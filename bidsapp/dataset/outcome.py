"""Who is positive and who is negative: a column with positive values, or an expression."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Protocol

from bidsapp.dataset.columns import SHOWN_VALUES, Columns, Values, describe_values, number_of
from bidsapp.dataset.expression import Expression, parse_expression
from bidsapp.dataset.logic import UNKNOWN, Problems, Truth, among, constant, operand
from bidsapp.dataset.tables import Key
from bidsapp.errors import UsageError

Positive = str | int | float | bool
# Texts, in small letters, that people write for a value they do not have; BIDS has n/a alone.
LIKE_MISSING = frozenset(
    {"unknown", "none", "null", "missing", "nil", ".", "-", "--", "?", "-9", "-99", "-999", "-9999"}
    | {"999", "9999", "not available", "not applicable", "not known", "unk", "empty", "#null!"}
)
_MOST = 12


class OutcomeRule(Protocol):
    """What a recipe says about the outcome: `column` with `positive`, or `expression`."""

    @property
    def column(self) -> str | None:
        """Name of the outcome's column."""

    @property
    def positive(self) -> Sequence[Positive] | None:
        """Values of the column that count as positive."""

    @property
    def expression(self) -> str | None:
        """Comparison over columns that is true for positives."""


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of a list of scans.

    Attributes
    ----------
    values
        1 positive, 0 negative, None not known.
    reasons
        Place in the list to (reason, detail), for all that are not known.
    columns
        The columns that the outcome was made of.
    texts
        The value of each scan; empty where the outcome is an expression.
    """

    values: list[int | None]
    reasons: dict[int, tuple[str, str]]
    columns: tuple[str, ...]
    texts: tuple[str | None, ...] = ()


def find_outcomes(rule: OutcomeRule, columns: Columns, scans: Sequence[Key]) -> Outcomes:
    """Work out the outcome of every scan.

    Values are compared as text and as numbers: ``"1"``, ``1`` and ``1.0`` are alike. Every value
    that is not positive is negative, save a text where only numbers are positive: that is not
    understood.

    Raises
    ------
    UsageError
        The rule is incomplete, a column does not exist (those that do are listed), no value of
        the column is positive, one of several positive values is not among them, or a value
        differs from a positive one in capitals or blanks only.
    """
    if rule.expression is not None and rule.column is not None:
        raise UsageError("outcome: give a column or an expression, not both.")
    if rule.expression is not None:
        return _by_expression(rule.expression, columns, scans)
    if rule.column is None:
        raise UsageError(
            "outcome: none is given; use --outcome COLUMN --positive VALUE. Columns and their "
            f"values:\n{columns.describe() or '  (no tables)'}"
        )
    return _by_column(rule.column, rule.positive, columns, scans)


def _by_column(
    column: str, positive: Sequence[Positive] | None, columns: Columns, scans: Sequence[Key]
) -> Outcomes:
    everything = columns.all_values(column)
    if not positive:
        raise UsageError(
            f"outcome: which values of {column!r} are positive? Give --positive VALUE; it has "
            f"{describe_values(everything)}."
        )
    if not (_positive(column, everything, positive, {}).values == 1).any():
        given = ", ".join(map(str, positive))
        raise UsageError(
            f"outcome: no value of {column!r} is positive ({given}); it has "
            f"{describe_values(everything)}.{_threshold(column, positive)}"
        )
    for value in positive:
        if _is_missed(column, everything, value):
            raise UsageError(
                f"outcome: {value!r} is named as positive, and {column!r} has no such value: a "
                f"slip of the pen would make others negative. It has "
                f"{describe_values(everything)}; correct or leave out {value!r}."
            )
    _check_alike(column, everything, positive)
    looked_up = columns.values(column, scans)
    problems: Problems = {}
    truth = _positive(column, looked_up.texts, positive, problems)
    found = _outcomes(truth, problems, [looked_up], (column,))
    return replace(found, texts=tuple(looked_up.texts))


def _threshold(column: str, positive: Sequence[Positive]) -> str:
    """Say how a threshold is written, where one is given as a value."""
    for value in positive:
        found = re.fullmatch(r"\s*([<>]=?)\s*(\S+)\s*", str(value))
        if found and number_of(found[2]) is not None:
            name = column if column.isidentifier() else f"`{column}`"
            key = f"outcome.expression={name} {found[1]} {found[2]}"
            return f" For a threshold use --set {quote(key)} in place of --outcome and --positive."
    return ""


def _is_missed(column: str, everything: Sequence[str], value: Positive) -> bool:
    """Tell whether a positive value is a slip: no value of the column, which has others alike.

    A recipe may name a positive as a number and as a text, for tables that write the one or the
    other; a number among texts alone is no slip, nor a text among numbers.
    """
    if isinstance(value, bool):
        return False
    if (_positive(column, everything, [value], {}).values == 1).any():
        return False
    is_text = number_of(str(value)) is None
    known = {text for text in everything if text.strip().lower() not in LIKE_MISSING}
    return any((number_of(text) is None) == is_text for text in known)


def _check_alike(column: str, everything: Sequence[str], positive: Sequence[Positive]) -> None:
    """Refuse a negative value that is a positive one in other letters or with other blanks."""
    meant = {_bare(str(value)): str(value) for value in positive}
    truth = _positive(column, everything, positive, {}).values
    alike = Counter(
        text
        for text, is_positive in zip(everything, truth, strict=True)
        if is_positive != 1 and _bare(text) in meant
    )
    if alike:
        told = [
            f"{text!r} ({count}) differs from the positive value {meant[_bare(text)]!r}"
            for text, count in alike.items()
        ]
        named = " ".join(map(quote, [*map(str, positive), *alike]))
        raise UsageError(
            f"outcome: {column!r}: {', '.join(told)} in capitals or blanks only and would count "
            f"as negative. Name both (--positive {named}), or mend the table."
        )


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()


def counted_as_negative(found: Outcomes, places: Sequence[int]) -> list[str]:
    """Say which values were counted as negative, and warn of what looks as if it were missing.

    Parameters
    ----------
    found
        As `find_outcomes` gives it.
    places
        The scans that are meant, by their places in its list.

    Returns
    -------
    list of str
        Sentences; none where the outcome is an expression.
    """
    if not found.texts:
        return []
    column = found.columns[0]
    negative = Counter(str(found.texts[place]) for place in places if found.values[place] == 0)
    if len(negative) > SHOWN_VALUES and all(number_of(text) is not None for text in negative):
        listed = describe_values(list(negative.elements()))
    else:
        some = [f"{text} ({n})" for text, n in negative.most_common(_MOST)]
        more = len(negative) - len(some)
        listed = ", ".join(some) + (f" and {more} more values" if more else "")
    doubtful = [text for text in negative if text.strip().lower() in LIKE_MISSING]
    notes = [f"Outcome {column}: negative: {listed}."]
    if doubtful:
        named = ", ".join(f"{text!r} ({negative[text]})" for text in doubtful)
        notes.append(
            f"WARNING: outcome {column}: {named} looks like a missing value and was counted as "
            "negative. Where it is missing, write n/a in the table: who has n/a is left out."
        )
    return notes


def _positive(
    column: str, texts: Sequence[str | None], positive: Sequence[Positive], problems: Problems
) -> Truth:
    literals: list[float | str] = []
    for value in positive:
        if isinstance(value, bool):
            literals += [str(value), str(value).lower(), str(value).upper()]
        else:
            number = number_of(str(value))
            literals.append(str(value).strip() if number is None else number)
    members = [constant(repr(literal), literal, len(texts)) for literal in literals]
    return among(operand(column, texts), members, problems)


def _by_expression(text: str, columns: Columns, scans: Sequence[Key]) -> Outcomes:
    expression = parse_expression(text)
    every, values = [], {}
    for name in expression.columns:
        try:
            looked_up = columns.values(name, scans)
        except UsageError as error:
            raise UsageError(f"{_unquoted(expression, columns, name)}{error}") from None
        values[name] = looked_up.texts
        every.append(looked_up)
    readings = {name: columns.reading(name) for name in expression.columns}
    result = expression.evaluate(values, readings)
    return _outcomes(Truth(result.values), result.problems, every, expression.columns)


def _unquoted(expression: Expression, columns: Columns, name: str) -> str:
    """Say that texts are quoted, where an unknown name stands in the place of a value."""
    column = expression.equated_with(name)
    if column is None or columns.has(name) or not columns.has(column):
        return ""
    return (
        f"outcome expression {expression.text!r}: texts stand in quotes: if {name} is a value of "
        f'{column}, write {column} == "{name}". Else: '
    )


def _outcomes(
    truth: Truth,
    problems: Problems,
    looked_up: Sequence[Values],
    columns: tuple[str, ...],
) -> Outcomes:
    ambiguous = {place: why for one in looked_up for place, why in one.ambiguous.items()}
    hints: dict[int, str] = {}
    for one in looked_up:
        for place, hint in one.elsewhere.items():
            hints[place] = hints.get(place, "") + f"; {hint}"
    values: list[int | None] = []
    reasons = {}
    for place, value in enumerate(truth.values.tolist()):
        values.append(None if value == UNKNOWN else value)
        if value != UNKNOWN:
            continue
        if place in ambiguous:
            reasons[place] = ("session ambiguous", ambiguous[place])
        elif place in problems:
            reasons[place] = ("outcome not understood", problems[place])
        else:
            reasons[place] = (
                "no outcome",
                f"no value in {', '.join(columns)}{hints.get(place, '')}",
            )
    return Outcomes(values, reasons, columns)
