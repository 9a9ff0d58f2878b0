"""Which values of an outcome's column are positive, negative or missing, and what is refused."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Protocol

import pandas as pd

from bidsapp.dataset.logic import FALSE, TRUE, UNKNOWN, Problems, among, constant, operand
from bidsapp.dataset.missing import looks_missing, suspected_codes
from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.reading import SHOWN_VALUES, describe_values
from bidsapp.errors import BadData, UsageError

Value = str | int | float | bool
_MOST = 12


class OutcomeRule(Protocol):
    """What a recipe says about the outcome: `column` with `positive`, or `expression`."""

    @property
    def column(self) -> str | None:
        """Name of the outcome's column."""

    @property
    def positive(self) -> Sequence[Value] | None:
        """Values of the column that count as positive."""

    @property
    def negative(self) -> Sequence[Value] | None:
        """Values of the column that count as negative; None: the only other value there is."""

    @property
    def missing(self) -> Sequence[Value] | None:
        """Values that stand for a missing one, in every column of the outcome; None: not said."""

    @property
    def expression(self) -> str | None:
        """Comparison over columns that is true for positives."""

    @property
    def rows(self) -> int | None:
        """Rows that a participant needs in a table with several each; of more, the first."""

    @property
    def order(self) -> str | None:
        """Column by which such rows are in order."""


@dataclass(frozen=True)
class Classes:
    """What each value of a column counts as.

    Attributes
    ----------
    of
        Text to TRUE (positive), FALSE (negative) or UNKNOWN (missing).
    negative
        The texts that count as negative, the most frequent first.
    """

    of: Mapping[str, int]
    negative: tuple[str, ...]


def classify(column: str, everything: Sequence[str], rule: OutcomeRule) -> Classes:
    """Say what each value of a column counts as.

    Values are compared as text and as numbers: ``"1"``, ``1`` and ``1.0`` are alike. Where no
    negative values are named, the only value that is not positive is negative; texts in a column
    of numbers are missing. Where negative values are named, all others are missing.

    Parameters
    ----------
    column
        Its name, for messages.
    everything
        All values of the column, as texts; none is missing.
    rule
        Its `positive` and `negative`.

    Raises
    ------
    UsageError
        No value is positive, a named value is none of the column's, a value differs from a named
        one in capitals or blanks only, or it is not clear which values are negative.
    """
    texts = list(everything)
    counts = Counter(texts)
    positive, negative = list(rule.positive or ()), list(rule.negative or ())
    if not positive:
        raise UsageError(
            f"outcome: which values of {column!r} are positive? Give --positive VALUE; it has "
            f"{describe_values(texts)}."
        )
    truth = dict(zip(texts, _truth(column, texts, positive), strict=True))
    if TRUE not in truth.values():
        raise UsageError(
            f"outcome: no value of {column!r} is positive ({', '.join(map(str, positive))}); it "
            f"has {describe_values(texts)}.{_hint(column, counts, positive)}"
        )
    _check_named(column, texts, positive, "positive", "make others negative")
    _check_alike(column, texts, positive, negative, "positive")
    if both := [text for text in counts if truth[text] == TRUE and matches(text, negative)]:
        raise UsageError(
            f"outcome: {both[0]!r} is named as positive and as negative; name it once."
        )
    if negative:
        _check_named(column, texts, negative, "negative", "leave others out")
        _check_alike(column, texts, negative, positive, "negative")
        for text, value in zip(texts, _truth(column, texts, negative), strict=True):
            if truth[text] != TRUE:
                truth[text] = FALSE if value == TRUE else UNKNOWN
    else:
        _check_one_negative(column, counts, truth, positive)
    chosen = tuple(text for text, _ in counts.most_common() if truth[text] == FALSE)
    return Classes(truth, chosen)


def matches(text: str, values: Iterable[Value]) -> bool:
    """Tell whether a text is one of some values, compared as text and as numbers."""
    listed = list(values)
    return bool(listed) and _truth("", [text], listed)[0] == TRUE


def _truth(column: str, texts: Sequence[str], values: Sequence[Value]) -> list[int]:
    literals: list[float | str] = []
    for value in values:
        if isinstance(value, bool):
            literals += [str(value), str(value).lower(), str(value).upper()]
        else:
            number = number_of(str(value))
            literals.append(str(value).strip() if number is None else number)
    members = [constant(repr(literal), literal, len(texts)) for literal in literals]
    problems: Problems = {}
    return [int(value) for value in among(operand(column, texts), members, problems).values]


def _check_one_negative(
    column: str, counts: Counter[str], truth: Mapping[str, int], positive: Sequence[Value]
) -> None:
    """Refuse a column where it is not plain which values are negative: they have to be named."""
    others = Counter({text: n for text, n in counts.items() if truth[text] != TRUE})
    understood = {text: n for text, n in others.items() if truth[text] == FALSE}
    different = {_same(text) for text in understood}
    if not others or (len(different) == 1 and not any(map(looks_missing, understood))):
        return
    numbers = [number_of(text) for text in counts]
    codes = suspected_codes(number for number in numbers if number is not None)
    likely = [
        text
        for text, _ in others.most_common()
        if not looks_missing(text) and number_of(text) not in codes
    ]
    likely.sort(key=lambda text: (number_of(text) is None, number_of(text) or 0.0))
    words = " ".join(map(quote, likely)) if 0 < len(likely) <= SHOWN_VALUES else "VALUE ..."
    named = ", ".join(map(str, positive))
    if len(others) == 1:
        (only,) = others
        raise UsageError(
            f"outcome: the only value of {column!r} besides the positive one ({named}) is "
            f"{only!r} ({others[only]}), which looks like a missing value. Say that it is negative "
            f"(--negative {quote(only)}), or mend the table."
        )
    threshold = "" if len(likely) <= SHOWN_VALUES else f" {_threshold_advice(column)}"
    raise UsageError(
        f"outcome: which values of {column!r} are negative? Besides the positive ({named}) it has "
        f"{listed(others)}. Name those that are negative, as in --negative {words} (in a recipe: "
        f"outcome.negative); all others are then missing and left out.{threshold}"
    )


def _threshold_advice(column: str) -> str:
    name = column if column.isidentifier() else f"`{column}`"
    key = f"outcome.expression={name} >= NUMBER"
    return f"For a threshold use --set {quote(key)} in place of --outcome and --positive."


def listed(counts: Counter[str]) -> str:
    """Put values and how often they occur into words, the most frequent first."""
    some = [f"{text} ({n})" for text, n in counts.most_common(_MOST)]
    more = len(counts) - len(some)
    return ", ".join(some) + (f" and {more} more values" if more else "")


def _hint(column: str, counts: Mapping[str, int], positive: Sequence[Value]) -> str:
    """Say how a threshold, or several values, are written, where one was given as a value."""
    for value in positive:
        found = re.fullmatch(r"\s*([<>]=?)\s*(\S+)\s*", str(value))
        if found and number_of(found[2]) is not None:
            name = column if column.isidentifier() else f"`{column}`"
            key = f"outcome.expression={name} {found[1]} {found[2]}"
            return f" For a threshold use --set {quote(key)} in place of --outcome and --positive."
        parts = [part.strip() for part in re.split("[,;]", str(value)) if part.strip()]
        if parts != [value] and any(matches(text, [part]) for part in parts for text in counts):
            return f" Blanks separate values, not commas: --positive {' '.join(map(quote, parts))}."
    return ""


def _check_named(
    column: str, texts: Sequence[str], values: Sequence[Value], kind: str, harm: str
) -> None:
    there = [value for value in values if TRUE in _truth(column, texts, [value])]
    for value in values:
        if isinstance(value, bool) or value in there or not _is_slip(value, there, texts):
            continue
        raise UsageError(
            f"outcome: {value!r} is named as {kind}, and {column!r} has no such value: a slip of "
            f"the pen would {harm}. It has {describe_values(texts)}; correct or leave out "
            f"{value!r}."
        )


def _is_slip(value: Value, there: Sequence[Value], texts: Sequence[str]) -> bool:
    """Tell whether a named value that a column does not have is a slip of the pen.

    A recipe may name a value as a number and as a text, for tables that write the one or the
    other: where the other one is there, this is none; nor is a number among texts alone, or a
    text among numbers.
    """
    is_text = number_of(str(value)) is None
    if any((number_of(str(other)) is None) != is_text for other in there):
        return False
    return any((number_of(text) is None) == is_text for text in texts if not looks_missing(text))


def _check_alike(
    column: str,
    texts: Sequence[str],
    named: Sequence[Value],
    others: Sequence[Value],
    kind: str,
) -> None:
    """Refuse a value that is a named one in other letters or with other blanks."""
    meant = {_bare(str(value)): str(value) for value in named}
    truth = _truth(column, texts, named)
    alike = Counter(
        text
        for text, is_named in zip(texts, truth, strict=True)
        if is_named != TRUE and _bare(text) in meant and not matches(text, others)
    )
    if alike:
        told = [
            f"{text!r} ({count}) differs from the {kind} value {meant[_bare(text)]!r}"
            for text, count in alike.items()
        ]
        named_now = " ".join(map(quote, [*map(str, named), *alike]))
        raise UsageError(
            f"outcome: {column!r}: {', '.join(told)} in capitals or blanks only and would not "
            f"count as {kind}. Name both (--{kind} {named_now}), or mend the table."
        )


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()


def _same(text: str) -> float | str:
    """Reduce a text to what is the same in every spelling of one value: number or letters."""
    number = number_of(text)
    return _bare(text) if number is None else number


def check_both_classes(table: pd.DataFrame, exclusions: pd.DataFrame) -> None:
    """Refuse a cohort of nobody, and one in which all have one outcome.

    Raises
    ------
    BadData
        It says who was left out, and why.
    """
    reasons = Counter(exclusions["reason"])
    why = "; ".join(f"{reason}: {n}" for reason, n in reasons.most_common())
    detail = f" First: {str(exclusions['detail'].iloc[0]).rstrip('.')}." if len(exclusions) else ""
    if table.empty:
        raise BadData(f"cohort: nobody is left ({why or 'nobody is there'}).{detail}")
    if table["outcome"].nunique() == 1:
        positive = len(table) if table["outcome"].iloc[0] == 1 else 0
        raise BadData(
            f"cohort: {positive} positive and {len(table) - positive} negative scans; a model can "
            "only learn to tell one from the other, and be judged on both. Left out: "
            f"{why or 'nobody'}.{detail} Check which values --positive names, and whether people "
            "are left out who should be in."
        )
