"""Aggregates over several rows a participant: count, share, mean, min, max, first and last."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bidsapp.dataset.logic import TRUE, UNKNOWN, Operand, Truth

CONDITIONED = ("count", "share")
VALUED: Mapping[str, Callable[[np.ndarray], Any]] = {"mean": np.mean, "min": np.min, "max": np.max}
PLACED = ("first", "last")
NAMES = (*CONDITIONED, *VALUED, *PLACED)
SYNTAX = (
    "Over a table with several rows a participant: count(CONDITION), share(CONDITION), "
    "share(CONDITION, AMONG WHICH), and mean, min, max, first and last(VALUE) or (VALUE, "
    "CONDITION); known(COLUMN) in a condition."
)

Reason = tuple[str, str]
"""Why a participant has no outcome: in a few words, and in detail."""

MISSING = "missing in the diary"
WRONG = "not understood in the diary"
NONE = "no row of the diary meets the condition"
FEW = "too few rows in the diary"
MANY = "too many rows in the diary"
TIED = "tied rows in the diary"
ABSENT = "not in the diary"


@dataclass(frozen=True)
class Aggregate:
    """One aggregate of an expression.

    Attributes
    ----------
    text
        As it is written.
    function
        Of `NAMES`.
    value
        What is averaged, or picked; None for counts and shares.
    condition
        Which rows are taken; None for all.
    among
        Of which rows a share is taken; None for all.
    """

    text: str
    function: str
    value: ast.expr | None = field(default=None, repr=False)
    condition: ast.expr | None = field(default=None, repr=False)
    among: ast.expr | None = field(default=None, repr=False)

    @property
    def parts(self) -> Iterator[ast.expr]:
        """What stands in the brackets."""
        yield from filter(None, (self.value, self.condition, self.among))


def aggregate_of(node: ast.Call) -> Aggregate | str:
    """Read a call as an aggregate; gives why it is none."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in NAMES:
        return f"{name}() is no function that there is" if name else "Call is not allowed"
    count = len(node.args)
    if node.keywords or not 1 <= count <= (1 if name == "count" else 2):
        return f"{name}() has {count + len(node.keywords)} arguments"
    text = ast.unparse(node)
    if name in CONDITIONED:
        return Aggregate(text, name, None, *node.args)
    return Aggregate(text, name, *node.args)


def is_known(node: ast.AST) -> bool:
    """Tell whether a node is ``known(COLUMN)``: whether a row has a value there."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    if not (called and node.func.id == "known" and not node.keywords):  # type: ignore[attr-defined]
        return False
    arguments = node.args  # type: ignore[attr-defined]
    return len(arguments) == 1 and isinstance(arguments[0], ast.Name)


@dataclass(frozen=True)
class Rows:
    """What an aggregate is computed from, for every row of a table.

    Attributes
    ----------
    places
        Participant to row numbers, in order.
    value
        Of each row; None for counts and shares.
    condition, among
        Of each row; None for all rows.
    trouble
        Gives why something is not known in a row.
    """

    places: Mapping[str, Sequence[int]]
    value: Operand | None
    condition: Truth | None
    among: Truth | None
    trouble: Callable[[int], Reason]

    def reduced(self, function: str, person: str) -> float | str | Reason:
        """Give an aggregate for one participant, or why there is none."""
        taken = list(self.places[person])
        for truth in (self.among, self.condition):
            for row in taken if truth is not None else ():
                if truth is not None and truth.values[row] == UNKNOWN:
                    return self.trouble(row)
            if truth is self.among:
                taken = _where(taken, truth)
        met = _where(taken, self.condition)
        if function == "count":
            return float(len(met))
        if function == "share":
            return len(met) / len(taken) if taken else (NONE, "there is no row to take a share of")
        if not met:
            return NONE, f"none of {len(taken)} rows"
        assert self.value is not None
        if function in PLACED:
            return self._picked(met[0] if function == "first" else met[-1])
        for row in met:
            if np.isnan(self.value.numbers[row]) or self._limited(row):
                return self.trouble(row)
        return float(VALUED[function](self.value.numbers[met]))

    def _picked(self, row: int) -> float | str | Reason:
        assert self.value is not None
        if self.value.texts is None:
            number = float(self.value.numbers[row])
            return self.trouble(row) if np.isnan(number) else number
        text = self.value.texts[row]
        return self.trouble(row) if text is None else str(text)

    def _limited(self, row: int) -> bool:
        assert self.value is not None
        return self.value.limits is not None and bool(self.value.limits[row])


def _where(rows: Sequence[int], truth: Truth | None) -> list[int]:
    return [row for row in rows if truth is None or truth.values[row] == TRUE]
