"""Vectors of numbers, texts and truths in which some values are missing.

Truth is Kleene's three-valued logic: missing or true is true, missing and false is false,
everything else with a missing value is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bidsapp.dataset.numbers import number_of
from bidsapp.dataset.reading import Reading

FALSE, TRUE, UNKNOWN = 0, 1, -1
Problems = dict[int, str]
FEW = 0.1
"""Share of texts up to which a column is one of numbers."""


@dataclass(frozen=True)
class Operand:
    """Values that are compared.

    Attributes
    ----------
    name
        How the person wrote it.
    texts
        Shape (n,) object: text or None; None as a whole where the values are computed numbers.
    numbers
        Shape (n,) float64, NaN where missing or not a number.
    limits
        Shape (n,) int8: which numbers are a limit and not the value (``89+``, ``<5``), as in
        `numbers.Number`; None where none is.
    """

    name: str
    texts: np.ndarray | None
    numbers: np.ndarray
    limits: np.ndarray | None = None

    @property
    def missing(self) -> np.ndarray:
        """Shape (n,) bool: no value at all."""
        if self.texts is None:
            return np.isnan(self.numbers)
        return np.array([text is None for text in self.texts], bool)

    @property
    def words(self) -> np.ndarray:
        """Shape (n,) bool: a text in a column of numbers, which says that there is no number."""
        words = np.isnan(self.numbers) & ~self.missing
        there = len(self.numbers) - int(self.missing.sum())
        return words & (words.sum() <= FEW * there)


@dataclass(frozen=True)
class Truth:
    """Shape (n,) int8 of FALSE, TRUE and UNKNOWN."""

    values: np.ndarray


def operand(name: str, texts: Sequence[str | None], reading: Reading | None = None) -> Operand:
    """Make an operand of the texts of a column, read as the whole column is."""
    if reading is None:
        numbers = [np.nan if text is None else _float(text) for text in texts]
        return Operand(name, np.array(texts, object), np.array(numbers, np.float64))
    values = np.array([reading.number(text) for text in texts], np.float64)
    limits = np.array([reading.limit(text) for text in texts], np.int8)
    return Operand(name, np.array(texts, object), values, limits if limits.any() else None)


def _float(text: str) -> float:
    number = number_of(text)
    return np.nan if number is None else number


def constant(name: str, value: float | str, count: int) -> Operand:
    """Make an operand of one value, `count` times."""
    if isinstance(value, str):
        return operand(name, [value] * count)
    return Operand(name, None, np.full(count, value, np.float64))


def arithmetic(
    name: str, symbol: str, left: Operand, right: Operand, problems: Problems
) -> Operand:
    """Apply ``+ - * /`` to numbers; what is no number, or has no finite result, is missing."""
    for side in (left, right):
        _note_texts(side, problems)
        for place in np.flatnonzero(_limited(side)):
            problems.setdefault(int(place), f"{_limit_text(side, place)}: not computed with")
    left, right = (_exact(side) for side in (left, right))
    functions: dict[str, Callable[..., np.ndarray]] = {
        "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        result = functions[symbol](left.numbers, right.numbers)
    infinite = ~np.isfinite(result) & ~np.isnan(left.numbers) & ~np.isnan(right.numbers)
    for place in np.flatnonzero(infinite):
        problems.setdefault(int(place), f"{name} has no finite value")
    return Operand(name, None, np.where(np.isfinite(result), result, np.nan))


def _limited(side: Operand) -> np.ndarray:
    """Shape (n,) bool: the number is a limit and not the value."""
    return np.zeros(len(side.numbers), bool) if side.limits is None else side.limits != 0


def _limit_text(side: Operand, place: int) -> str:
    assert side.texts is not None
    return f"{side.name} is {side.texts[place]!r}, which is a limit"


def _exact(side: Operand) -> Operand:
    """Leave out the numbers that are limits."""
    if side.limits is None:
        return side
    return Operand(side.name, side.texts, np.where(_limited(side), np.nan, side.numbers))


def _note_texts(side: Operand, problems: Problems) -> np.ndarray:
    """Shape (n,) bool: a text stands where a number is needed; note the first of each row."""
    if side.texts is None:
        return np.zeros(len(side.numbers), bool)
    wrong = np.isnan(side.numbers) & ~side.missing
    for place in np.flatnonzero(wrong):
        problems.setdefault(int(place), f"{side.name} is {side.texts[place]!r}, not a number")
    return wrong


def compare(symbol: str, left: Operand, right: Operand, problems: Problems) -> Truth:
    """Compare row by row.

    An order needs numbers. Equality compares numbers where both sides write one, and texts where
    both have texts; a text against a computed or written number is not understood. A text in a
    column of numbers (withdrawn) is no other number: equal to itself, and else not understood.
    """
    if symbol in ("<", "<=", ">", ">="):
        _note_texts(left, problems)
        _note_texts(right, problems)
        unknown = np.isnan(left.numbers) | np.isnan(right.numbers)
        orders: dict[str, Callable[..., np.ndarray]] = {
            "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
        }  # fmt: skip
        order = orders[symbol]
        truth = order(left.numbers, right.numbers)
        nearest, farthest = (order(_end(left, far), _end(right, far)) for far in (False, True))
        unknown |= _note_limits(left, right, nearest != farthest, problems)
        return _truth(np.where(_limited(left) | _limited(right), nearest, truth), unknown)
    equal = left.numbers == right.numbers
    unknown = left.missing | right.missing
    numeric = ~(np.isnan(left.numbers) | np.isnan(right.numbers))
    if left.texts is not None and right.texts is not None:
        equal = np.where(numeric, equal, left.texts == right.texts)
        for side in (left, right):
            if (odd := side.words & ~equal).any():
                unknown |= odd & _note_texts(side, problems)
    else:
        unknown |= _note_texts(left, problems) | _note_texts(right, problems)
    within = numeric & (_reaches(left, right) & _reaches(right, left))
    unknown |= _note_limits(left, right, within, problems)
    equal &= ~(numeric & (_limited(left) | _limited(right)))
    return _truth(equal if symbol == "==" else ~equal, unknown)


def _end(side: Operand, far: bool) -> np.ndarray:
    """Shape (n,): the value of the operand that is nearest to its limits, or farthest from them."""
    if side.limits is None:
        return side.numbers
    away = np.where(side.limits > 0, np.inf, -np.inf)
    end = away if far else np.nextafter(side.numbers, away)
    return np.where(_limited(side) & (far | (np.abs(side.limits) == 2)), end, side.numbers)


def _reaches(side: Operand, other: Operand) -> np.ndarray:
    """Shape (n,) bool: the operand may have the other's value."""
    if side.limits is None:
        return np.ones(len(side.numbers), bool)
    nearest = _end(side, False)
    above, below = other.numbers >= nearest, other.numbers <= nearest
    return np.where(side.limits > 0, above, np.where(side.limits < 0, below, True))


def _note_limits(
    left: Operand, right: Operand, open_: np.ndarray, problems: Problems
) -> np.ndarray:
    """Shape (n,) bool: a limit leaves the comparison open; note the first of each row."""
    both = _limited(left) & _limited(right)
    wrong = both | (open_ & (_limited(left) | _limited(right)))
    for place in np.flatnonzero(wrong):
        side = left if _limited(left)[place] else right
        problems.setdefault(int(place), f"{_limit_text(side, place)} and leaves it open")
    return wrong


def among(left: Operand, members: Sequence[Operand], problems: Problems) -> Truth:
    """Tell whether each value equals one of the members.

    Where a member is a text, numbers among the members are read as texts too: then a value that
    is none of them is plainly not among them.
    """
    if any(member.texts is not None for member in members):
        members = [_as_text(member) for member in members]
    return any_of([compare("==", left, member, problems) for member in members])


def _as_text(side: Operand) -> Operand:
    if side.texts is not None:
        return side
    texts = np.array([None if np.isnan(n) else repr(float(n)) for n in side.numbers], object)
    return Operand(side.name, texts, side.numbers)


def _truth(values: np.ndarray, unknown: np.ndarray) -> Truth:
    return Truth(np.where(unknown, UNKNOWN, values.astype(np.int8)).astype(np.int8))


def all_of(parts: Sequence[Truth]) -> Truth:
    """Kleene's and."""
    stack = np.stack([part.values for part in parts])
    false, unknown = (stack == FALSE).any(axis=0), (stack == UNKNOWN).any(axis=0)
    return Truth(np.where(false, FALSE, np.where(unknown, UNKNOWN, TRUE)).astype(np.int8))


def none_of(part: Truth) -> Truth:
    """Kleene's not."""
    return Truth(np.where(part.values == UNKNOWN, UNKNOWN, 1 - part.values).astype(np.int8))


def any_of(parts: Sequence[Truth]) -> Truth:
    """Kleene's or."""
    return none_of(all_of([none_of(part) for part in parts]))
