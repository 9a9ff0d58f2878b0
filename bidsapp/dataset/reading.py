"""How a column is read: as numbers where nearly all of its values are, and what is not one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bidsapp.dataset.missing import looks_missing
from bidsapp.dataset.numbers import Mark, Number, number_of, possible_numbers

Kind = Literal["numbers", "categories", "unclear", "empty"]

FEWEST_NUMBERS = 6
"""With fewer distinct numbers, a column that holds texts too is one of categories."""
SHOWN_VALUES = 6
"""With more distinct values, a column's are not all named in a message."""
_NEARLY_ALL = 0.9
_HALF = 0.5
_ZERO = frozenset({"none", "nil"})  # words for a missing value that may as well mean 0
_SHOWN = 3
_HOW = ("limit", "decimal comma", "thousands", "unit", "signs and blanks", "infinite")
_MISSING = float("nan")


@dataclass(frozen=True)
class Reading:
    """How a column is read.

    Attributes
    ----------
    kind
        ``numbers`` where all or nearly all values are numbers; ``categories``; ``unclear`` where
        most are numbers and too many are not; ``empty`` without values.
    numbers
        Text to number, of those understood.
    counts
        Text to how often it stands there.
    missing
        Words for a missing value in a column of numbers.
    not_understood
        Texts that are no numbers; in a column of numbers they count as missing.
    ambiguous
        Those among them whose comma or point may part thousands or decimals.
    """

    kind: Kind
    numbers: Mapping[str, Number] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    def number(self, text: str | None) -> float:
        """Give the number of a text, NaN where it is missing, not understood or infinite.

        In a column that is none of numbers, only what is plainly a number is one.
        """
        if text is None:
            return _MISSING
        if self.kind != "numbers" or text not in self.counts:
            plain = number_of(text)
            return _MISSING if plain is None else plain
        found = self.numbers.get(text)
        return _MISSING if found is None or found.how == "infinite" else found.value

    def limit(self, text: str | None) -> int:
        """Tell whether a text gives a limit and not the value; see `Number`."""
        found = None if text is None or self.kind != "numbers" else self.numbers.get(text)
        return 0 if found is None else found.limit

    def plain(self, text: str | None) -> str | None:
        """Write a value so that every program reads it: ``89+`` as ``89``, ``34,5`` as ``34.5``.

        None where it is missing. What is plain already stays as it is, as do texts in a column
        that is none of numbers.
        """
        if text is None or self.kind != "numbers":
            return text
        found = self.numbers.get(text)
        if found is None or found.how == "infinite":
            return None
        return found.value_text() if found.how else text

    def told(self, name: str) -> str:
        """Say what was read how and what was not understood; empty where all is plain."""
        if self.kind == "unclear":
            known = sum(self.counts[text] for text in self.numbers)
            return (
                f"Column {name} is not read as numbers: {known} of its values are, too many are "
                f"not: {self._some(self.not_understood)}. {self._advice()}"
            )
        if self.kind != "numbers":
            return ""
        parts = [told for how in _HOW if (told := self._made_of(how))]
        if self.missing:
            parts.append(f"missing: {self._some(self.missing)}")
        if not self.not_understood:
            return f"Column {name} is read as numbers: {'; '.join(parts)}." if parts else ""
        parts.append(f"not understood, so missing: {self._some(self.not_understood)}")
        return f"Column {name} is read as numbers: {'; '.join(parts)}. {self._advice()}"

    def _made_of(self, how: str) -> str:
        texts = [text for text, number in self.numbers.items() if number.how == how]
        if not texts:
            return ""
        value = "missing" if how == "infinite" else self.numbers[texts[0]].value_text()
        rest = sum(self.counts[text] for text in texts) - 1
        return f"{texts[0]!r} as {value}{f' and {rest} more' if rest else ''} ({how})"

    def _some(self, texts: Sequence[str]) -> str:
        listed = [f"{text!r} ({self.counts[text]})" for text in texts[:_SHOWN]]
        rest = sum(self.counts[text] for text in texts[_SHOWN:])
        return ", ".join(listed) + (f" and {rest} more" if rest else "")

    def _advice(self) -> str:
        if self.ambiguous:
            first = possible_numbers(self.ambiguous[0])
            either = " or ".join(dict.fromkeys(number.value_text() for number in first.values()))
            return f"{self.ambiguous[0]!r} may be {either}: write the one that is meant."
        return "Correct the table, or write n/a."


def read_column(texts: Iterable[str]) -> Reading:
    """Read a column: as numbers where all or nearly all of its values are numbers.

    Understood are limits (``89+``, ``>89``, ``≤5``), which stand for the limit; decimal commas;
    thousands parted by commas, points, blanks or apostrophes; one unit (``30 y``); signs and blanks
    of typesetters; powers of ten. Where a comma may part thousands or decimals (``1,234``), the
    other values decide; where they do not, it is not understood. One value in ten (or one) may be
    no number. With fewer than six distinct numbers, a column that holds a text or a limit is one
    of categories: a text is then a category, and nothing is lost.

    Parameters
    ----------
    texts
        The values that are not missing.
    """
    counts = Counter(texts)
    if not counts:
        return Reading("empty")
    if all(number_of(text) is not None for text in counts):
        return Reading("numbers", {text: Number(float(text)) for text in counts}, counts)
    possible = {text: found for text in counts if (found := possible_numbers(text))}
    numbers, ambiguous = _decided(possible)
    numbers = _in_one_unit(numbers, counts)
    others = [text for text in counts if text not in possible]
    missing = [t for t in others if looks_missing(t) and t.strip().casefold() not in _ZERO]
    wrong = [text for text in counts if text not in numbers and text not in missing]
    total, lost = (sum(counts[text] for text in some) for some in ((*numbers, *wrong), wrong))
    alike = sum(counts[text] for text in possible)
    few = len({next(iter(found.values())).value for found in possible.values()}) < FEWEST_NUMBERS
    limited = any(number.limit for number in numbers.values())
    if alike < _HALF * total or not possible or (few and (others or limited)):
        return Reading("categories", numbers, counts, not_understood=tuple(others))
    if not numbers or lost > max(1, round((1 - _NEARLY_ALL) * total)):
        known = (*wrong, *missing)
        return Reading("unclear", numbers, counts, not_understood=known, ambiguous=ambiguous)
    return Reading("numbers", numbers, counts, tuple(missing), tuple(wrong), ambiguous)


def _decided(
    possible: Mapping[str, Mapping[Mark, Number]],
) -> tuple[dict[str, Number], tuple[str, ...]]:
    """Read each text by the decimal sign that those have which allow but one.

    Returns
    -------
    numbers, ambiguous
        Text to number; texts that allow both, where nothing decides.
    """
    sure = {text: next(iter(found)) for text, found in possible.items() if len(found) == 1}
    marks = set(sure.values())
    thousands = any("." in text and mark == "comma" for text, mark in sure.items())
    numbers: dict[str, Number] = {}
    ambiguous = []
    for text, found in possible.items():
        if len({number.value for number in found.values()}) == 1:
            numbers[text] = found.get("point") or next(iter(found.values()))
        elif "," in text and len(marks) == 1:
            numbers[text] = found[next(iter(marks))]
        elif "," not in text and ("comma" not in marks or (thousands and len(marks) == 1)):
            numbers[text] = found["comma" if thousands else "point"]
        else:
            ambiguous.append(text)
    return numbers, tuple(ambiguous)


def _in_one_unit(numbers: dict[str, Number], counts: Mapping[str, int]) -> dict[str, Number]:
    """Keep those in the most frequent unit; those without a unit are taken to be in it."""
    units: Counter[str] = Counter()
    for text, number in numbers.items():
        units[number.unit] += counts[text] if number.unit else 0
    most = max(units.values(), default=0)
    leading = [unit for unit, count in units.items() if count == most]
    kept = {"", leading[0]} if len(leading) == 1 else {""}
    return {text: number for text, number in numbers.items() if number.unit in kept}


def describe_values(values: Sequence[str]) -> str:
    """Put a column's values into a few words: the values, or their range and number."""
    distinct = sorted(set(values))
    if not distinct:
        return "no values"
    numbers = [n for n in map(number_of, distinct) if n is not None]
    if len(distinct) <= SHOWN_VALUES:
        order = sorted(distinct, key=lambda t: (number_of(t) is None, number_of(t) or 0.0, t))
        return ", ".join(f"{text} ({values.count(text)})" for text in order)
    if len(numbers) == len(distinct):
        return f"numbers from {min(numbers):g} to {max(numbers):g}"
    return f"{', '.join(distinct[:SHOWN_VALUES])} and {len(distinct) - SHOWN_VALUES} more"
