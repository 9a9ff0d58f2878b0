"""What an outcome's expression makes of the values of its columns: told, or refused until clear."""

from collections import Counter
from collections.abc import Sequence

from bidsapp.dataset.classes import listed, matches
from bidsapp.dataset.expression import Expression
from bidsapp.dataset.logic import operand
from bidsapp.dataset.missing import looks_missing
from bidsapp.dataset.options_text import set_option
from bidsapp.dataset.user_columns import Columns
from bidsapp.errors import UsageError


def check_values(expression: Expression, columns: Columns) -> tuple[str, ...]:
    """Say which texts an expression takes for other ones; refuse what looks like a missing value.

    Parameters
    ----------
    expression
        Of the outcome.
    columns
        Of the dataset; they have those of the expression.

    Returns
    -------
    tuple of str
        A sentence for each column whose texts are compared with texts.

    Raises
    ------
    UsageError
        A column holds a code (-9, 999) or a word (unknown) for a missing value, which would be
        compared as if it were one, and the recipe does not say whether it is.
    """
    notes, entries, none = [], [], []
    doubtful: Counter[str] = Counter()
    for name in expression.columns:
        others = _taken_for_others(expression, name, columns.all_values(name))
        if others:
            meant = " or ".join(sorted(expression.compared_texts.get(name, ())))
            notes.append(f"Outcome {name}: other than {meant}: {listed(others)}.")
        if columns.is_settled(name):
            continue
        found = Counter({text: n for text, n in others.items() if looks_missing(text)})
        found += Counter({f"{code:g}": n for code, n in columns.suspected(name).items()})
        doubtful += found
        entries += [f"{name}={text}" for text in found]
        none += [f"{name}="] * bool(found)
    if doubtful:
        yes, no = (set_option("tables.missing", [*columns.missing, *e]) for e in (entries, none))
        raise UsageError(
            f"outcome expression {expression.text!r}: {', '.join(expression.columns)}: "
            f"{listed(doubtful)} look like missing values and would be compared as if they were "
            f"known. Where they are missing: {yes}. Where they are not: {no}."
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
