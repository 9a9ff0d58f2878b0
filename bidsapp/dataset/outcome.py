"""The outcome of every scan: a column with its positive values, or an expression."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bidsapp.dataset.classes import OutcomeRule, classify, listed
from bidsapp.dataset.diary import aggregate
from bidsapp.dataset.expression import Expression, parse_expression
from bidsapp.dataset.expression_values import check_values
from bidsapp.dataset.logic import UNKNOWN, Problems, Truth
from bidsapp.dataset.lookup import Values
from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.reading import SHOWN_VALUES, describe_values
from bidsapp.dataset.tables import Key
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError

NO_OUTCOME = "no outcome"
"""Why somebody is left out whose outcome is missing."""


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
    negative
        The values of the column that count as negative; empty where the outcome is an expression.
    notes
        What a person should know about the columns, a sentence each.
    row_columns
        Those of tables with several rows a participant, ``<table>.<column>``.
    people
        Participants who have rows in these.
    """

    values: list[int | None]
    reasons: dict[int, tuple[str, str]]
    columns: tuple[str, ...]
    texts: tuple[str | None, ...] = ()
    negative: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    row_columns: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()


def outcome_missing(rule: OutcomeRule) -> dict[str, list[str]]:
    """Columns of an outcome to their values that stand for a missing one; empty where not said.

    They are missing wherever the column is looked up, as those of ``tables.missing`` are.
    """
    if rule.missing is None:
        return {}
    texts = []
    for value in rule.missing:
        text = str(value)
        texts += [text, text.lower(), text.upper()] if isinstance(value, bool) else [text]
    names: tuple[str | None, ...] = (rule.column,)
    if rule.expression:
        expression = parse_expression(rule.expression)
        names = (*expression.columns, *expression.row_columns)
    return {name: texts for name in names if name}


def find_outcomes(rule: OutcomeRule, columns: Columns, scans: Sequence[Key]) -> Outcomes:
    """Work out the outcome of every scan.

    Parameters
    ----------
    rule
        What is positive.
    columns
        Of the dataset, read with the rule's `outcome_missing`.
    scans
        Participant and session of each.

    Raises
    ------
    UsageError
        The rule is incomplete, a column does not exist (those that do are listed), or it is not
        clear what its values count as; see `classify` and `check_values`.
    """
    if rule.expression is not None and rule.column is not None:
        raise UsageError("outcome: give a column or an expression, not both.")
    if rule.expression is not None:
        return _by_expression(rule, rule.expression, columns, scans)
    if rule.column is None:
        raise UsageError(
            "outcome: none is given; use --outcome COLUMN --positive VALUE. Columns and their "
            f"values:\n{columns.describe() or '  (no tables)'}"
        )
    return _by_column(rule, rule.column, columns, scans)


def _by_column(rule: OutcomeRule, column: str, columns: Columns, scans: Sequence[Key]) -> Outcomes:
    classes = classify(column, columns.all_values(column), rule)
    looked_up = columns.values(column, scans)
    values = [
        UNKNOWN if text is None else classes.of.get(text, UNKNOWN) for text in looked_up.texts
    ]
    found = _outcomes(Truth(np.array(values, int)), {}, [looked_up], (column,))
    for place, text in enumerate(looked_up.texts):
        if text is not None and values[place] == UNKNOWN:
            found.reasons[place] = ("neither positive nor negative", f"{column} is {text!r}")
    return replace(
        found,
        texts=tuple(looked_up.texts),
        negative=classes.negative,
        notes=_read_as_missing(columns, (column,)),
    )


def _read_as_missing(columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    """Say which texts of the outcome's columns were read as missing, as ``n/a`` is."""
    notes = []
    for name in names:
        if counts := Counter(columns.missing_values(name)):
            notes.append(f"Outcome {name}: read as missing: {listed(counts)}.")
    return tuple(notes)


def outcome_notes(found: Outcomes, places: Sequence[int]) -> list[str]:
    """Say which values were counted as negative, and which as missing.

    Parameters
    ----------
    found
        As `find_outcomes` gives it.
    places
        The scans that are in the cohort, by their places in its list.

    Returns
    -------
    list of str
        Sentences.
    """
    notes = []
    if found.texts:
        negative = Counter(str(found.texts[place]) for place in places if found.values[place] == 0)
        if len(negative) > SHOWN_VALUES and all(number_of(text) is not None for text in negative):
            named = describe_values(list(negative.elements()))
        else:
            named = listed(negative)
        notes.append(f"Outcome {found.columns[0]}: negative: {named}.")
        missing = Counter(found.texts[place] or "no value" for place in found.reasons)
    else:
        missing = Counter(detail for _, detail in found.reasons.values())
    if missing:
        named = ", ".join((*found.columns, *found.row_columns))
        notes.append(f"Outcome {named}: missing: {listed(missing)}.")
    return [*notes, *found.notes]


def _by_expression(
    rule: OutcomeRule, text: str, columns: Columns, scans: Sequence[Key]
) -> Outcomes:
    expression = parse_expression(text)
    every, values = [], {}
    for name in expression.columns:
        try:
            looked_up = columns.values(name, scans)
        except UsageError as error:
            raise UsageError(f"{_unquoted(expression, columns, name)}{error}") from None
        values[name] = looked_up.texts
        every.append(looked_up)
    notes = check_values(expression, columns)
    readings = {name: columns.reading(name) for name in expression.columns}
    rows = aggregate(expression, columns, scans, rule.rows, rule.order)
    result = expression.evaluate(values, readings, rows.operands)
    found = _outcomes(Truth(result.values), result.problems, every, expression.columns)
    for place in found.reasons.keys() & rows.reasons.keys():
        found.reasons[place] = rows.reasons[place]
    return replace(
        found,
        notes=(*notes, *_read_as_missing(columns, expression.columns), *rows.notes),
        row_columns=rows.columns,
        people=rows.people,
    )


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
                NO_OUTCOME,
                f"no value in {', '.join(columns)}{hints.get(place, '')}",
            )
    return Outcomes(values, reasons, columns)
