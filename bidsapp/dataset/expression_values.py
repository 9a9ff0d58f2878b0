"""What an outcome's expression makes of the values of its columns: told, or refused until clear."""

from collections import Counter
from collections.abc import Mapping, Sequence
from shlex import quote

from bidsapp.dataset.classes import Value, listed, matches
from bidsapp.dataset.expression import Expression
from bidsapp.dataset.logic import operand
from bidsapp.dataset.missing import looks_missing, missing_codes
from bidsapp.dataset.user_columns import number_of
from bidsapp.errors import UsageError


def check_values(
    expression: Expression,
    values: Mapping[str, Sequence[str]],
    missing: Sequence[Value] | None,
) -> tuple[str, ...]:
    """Say which texts an expression takes for other ones; refuse what looks like a missing value.

    Parameters
    ----------
    expression
        Of the outcome.
    values
        Each of its columns to all its values, as texts; none is missing.
    missing
        Values that are named as missing; None where nothing is said of them.

    Returns
    -------
    tuple of str
        A sentence for each column whose texts are compared with texts.

    Raises
    ------
    UsageError
        A column holds a code (-9, 999) or a word (unknown) for a missing value, which would be
        compared as if it were one, and nothing is said of missing values.
    """
    named = missing or ()
    notes, doubtful = [], Counter[str]()
    for name, texts in values.items():
        kept = [text for text in texts if not matches(text, named)]
        if others := _taken_for_others(expression, name, kept):
            meant = " or ".join(sorted(expression.compared_texts.get(name, ())))
            notes.append(f"Outcome {name}: other than {meant}: {listed(others)}.")
        if missing is None:
            numbers = [number_of(text) for text in kept]
            codes = missing_codes(number for number in numbers if number is not None)
            doubtful += Counter({text: n for text, n in others.items() if looks_missing(text)})
            doubtful += Counter(text for text in kept if number_of(text) in codes)
    if doubtful:
        key = f"outcome.missing=[{', '.join(map(_in_yaml, doubtful))}]"
        raise UsageError(
            f"outcome expression {expression.text!r}: {', '.join(values)}: {listed(doubtful)} look "
            "like missing values and would be compared as if they were known. Say which are "
            f"missing, as in --set {quote(key)}; --set 'outcome.missing=[]' says that none is."
        )
    return tuple(notes)


def _taken_for_others(expression: Expression, name: str, texts: Sequence[str]) -> Counter[str]:
    """Texts of a column that equal none of the texts it is compared with, and are not missing."""
    if name not in expression.compared_texts:
        return Counter()
    words = operand(name, texts).words
    return Counter(
        text
        for text, is_word in zip(texts, words, strict=True)
        if not is_word and not matches(text, sorted(expression.compared_texts[name]))
    )


def _in_yaml(text: str) -> str:
    return text if number_of(text) is not None or text.isalnum() else f'"{text}"'
