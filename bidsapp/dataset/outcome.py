"""Who is positive and who is negative: a column with positive values, or an expression."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bidsapp.dataset.columns import Columns, describe_values, number_of
from bidsapp.dataset.expression import parse_expression
from bidsapp.dataset.logic import UNKNOWN, Problems, Truth, among, constant, operand
from bidsapp.dataset.tables import Key
from bidsapp.errors import UsageError

Positive = str | int | float | bool


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
    """

    values: list[int | None]
    reasons: dict[int, tuple[str, str]]
    columns: tuple[str, ...]


def find_outcomes(rule: OutcomeRule, columns: Columns, scans: Sequence[Key]) -> Outcomes:
    """Work out the outcome of every scan.

    Values are compared as text and as numbers: ``"1"``, ``1`` and ``1.0`` are alike. Every value
    that is not positive is negative, save a text where only numbers are positive: that is not
    understood.

    Raises
    ------
    UsageError
        The rule is incomplete, a column does not exist (those that do are listed), or no value
        of the column is positive.
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
            f"{describe_values(everything)}."
        )
    looked_up = columns.values(column, scans)
    problems: Problems = {}
    truth = _positive(column, looked_up.texts, positive, problems)
    return _outcomes(truth, problems, looked_up.ambiguous, (column,))


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
    ambiguous: dict[int, str] = {}
    values = {}
    for name in expression.columns:
        looked_up = columns.values(name, scans)
        values[name] = looked_up.texts
        ambiguous.update(looked_up.ambiguous)
    result = expression.evaluate(values)
    return _outcomes(Truth(result.values), result.problems, ambiguous, expression.columns)


def _outcomes(
    truth: Truth, problems: Problems, ambiguous: dict[int, str], columns: tuple[str, ...]
) -> Outcomes:
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
            reasons[place] = ("no outcome", f"no value in {', '.join(columns)}")
    return Outcomes(values, reasons, columns)
