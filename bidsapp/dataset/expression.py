"""An outcome as an expression over columns: ``head_pain_12mo >= 30 or neck_pain_12mo >= 30``.

The text is parsed by `ast`, and only comparisons, ``and or not``, ``+ - * /``, ``in [...]``,
numbers, texts, column names and aggregates over rows (``count(pain > 3) >= 2``) are taken from the
tree. Nothing is evaluated by Python itself.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bidsapp.dataset.aggregates import Aggregate, aggregate_of, is_known
from bidsapp.dataset.grammar import ALLOWED, ARITHMETIC, COMPARISONS, Grammar
from bidsapp.dataset.logic import (
    UNKNOWN,
    Operand,
    Problems,
    Truth,
    all_of,
    among,
    any_of,
    arithmetic,
    compare,
    constant,
    none_of,
    operand,
)
from bidsapp.dataset.reading import Reading
from bidsapp.errors import UsageError

MAX_LENGTH = 2000
TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`([^`]*)`""")


@dataclass(frozen=True)
class Result:
    """What an expression says of each row.

    Attributes
    ----------
    values
        Shape (n,) int8: 1 true, 0 false, -1 not known.
    problems
        Row to the value that was not understood, of rows that are not known.
    """

    values: np.ndarray
    problems: Problems


@dataclass(frozen=True)
class Expression:
    """An expression that was read and found to be allowed.

    Attributes
    ----------
    text
        As it was written.
    columns
        Names of the columns that it uses outside aggregates, each once, in order.
    aggregates
        Those that it uses, each once, in order.
    row_columns
        Names of the columns within them.
    """

    text: str
    columns: tuple[str, ...]
    tree: ast.expr = field(repr=False)
    names: Mapping[str, str] = field(repr=False)
    aggregates: tuple[Aggregate, ...] = ()
    row_columns: tuple[str, ...] = ()

    @cached_property
    def compared_texts(self) -> Mapping[str, frozenset[str]]:
        """Columns to the texts that they are compared with by ``== != in``."""
        found: dict[str, frozenset[str]] = {}
        for left, right in self._equated():
            members = [left, *_several(right)]
            texts = {
                node.value
                for node in members
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            for node in members:
                if isinstance(node, ast.Name) and texts:
                    name = self.names[node.id]
                    found[name] = found.get(name, frozenset()) | texts
        return found

    def _equated(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        """Both sides of every ``== != in``; the right side of ``in`` is a list."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
                    if isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                        yield left, right

    def equated_with(self, column: str) -> str | None:
        """Name of another column that a column is compared with by ``== != in``, if any is."""
        for left, right in self._equated():
            members = [left, *_several(right)]
            names = [self.names[member.id] for member in members if isinstance(member, ast.Name)]
            others = [name for name in names if name != column]
            if column in names and others:
                return others[0]
        return None

    def evaluate(
        self,
        columns: Mapping[str, Sequence[str | None]],
        readings: Mapping[str, Reading] | None = None,
        aggregated: Mapping[str, Operand] | None = None,
    ) -> Result:
        """Evaluate scan by scan.

        Parameters
        ----------
        columns
            Column name to n texts, None where missing.
        readings
            Column name to how the whole column is read; of others, what is plainly a number is one.
        aggregated
            Text of each aggregate to its values, n of them.
        """
        lengths = [len(texts) for texts in columns.values()]
        lengths += [len(one.numbers) for one in (aggregated or {}).values()]
        problems: Problems = {}
        count = lengths[0] if lengths else 0
        rows = _Rows(self, columns, readings or {}, count, problems, aggregated or {})
        values = rows.truth(self.tree).values
        unknown = {row: text for row, text in problems.items() if values[row] == UNKNOWN}
        return Result(values, unknown)


def _several(right: ast.expr) -> list[ast.expr]:
    return right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else [right]


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    UsageError
        It is not an expression, is too long or too deep, or asks for what is not allowed
        (calls, attributes, powers, ...).
    """
    if len(text) > MAX_LENGTH:
        raise UsageError(f"outcome expression: longer than {MAX_LENGTH} characters.")
    names: dict[str, str] = {}
    prefix = "column"
    while prefix in text:
        prefix += "_"

    def stand_in(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return match.group(0)
        name = f"{prefix}{len(names)}"
        names[name] = match.group(1).strip()
        return f" {name} "

    source = TOKENS.sub(stand_in, text).strip()
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "cannot be read"
        raise UsageError(f"outcome expression {text!r}: {reason}. {ALLOWED}") from None
    Grammar(text).truth(tree, 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            # Python keeps names in a compatibility form of Unicode; tables may have the other.
            names.setdefault(node.id, ast.get_source_segment(source, node) or node.id)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and not is_known(node)]
    inside = {id(node) for call in calls for node in ast.walk(call)}
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in functions:
            used[id(node) in inside][names[node.id]] = None
    if not any(used):
        raise UsageError(f"outcome expression {text!r} uses no column.")
    found = {one.text: one for one in map(aggregate_of, calls) if isinstance(one, Aggregate)}
    return Expression(text, tuple(used[0]), tree, names, tuple(found.values()), tuple(used[1]))


def rows_of(
    expression: Expression,
    columns: Mapping[str, Sequence[str | None]],
    readings: Mapping[str, Reading],
    count: int,
    problems: Problems,
) -> "_Rows":
    """Evaluate parts of an expression over the rows of a table; see `_Rows`."""
    return _Rows(expression, columns, readings, count, problems, {})


class _Rows:
    """One evaluation: a checked tree over columns of n rows."""

    def __init__(
        self,
        expression: Expression,
        columns: Mapping[str, Sequence[str | None]],
        readings: Mapping[str, Reading],
        count: int,
        problems: Problems,
        aggregated: Mapping[str, Operand],
    ):
        self.names = expression.names
        self.aggregated = aggregated
        self.columns = columns
        self.readings = readings
        self.count = count
        self.problems = problems

    def truth(self, node: ast.expr) -> Truth:
        match node:
            case ast.BoolOp(op=connective, values=values):
                parts = [self.truth(value) for value in values]
                return all_of(parts) if isinstance(connective, ast.And) else any_of(parts)
            case ast.UnaryOp(operand=inner):
                return none_of(self.truth(inner))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                parts, here = [], self.value(left)
                for op, right in zip(ops, comparators, strict=True):
                    if isinstance(op, ast.In | ast.NotIn):
                        assert isinstance(right, ast.List | ast.Tuple | ast.Set)
                        parts.append(self._among(op, here, right.elts))
                    else:
                        there = self.value(right)
                        parts.append(compare(COMPARISONS[type(op)], here, there, self.problems))
                        here = there
                return all_of(parts)
            case ast.Call(args=[ast.Name(id=label)]):  # known(column)
                texts = self.columns[self.names[label]]
                return Truth(np.array([text is not None for text in texts], np.int8))
        raise AssertionError(ast.dump(node))

    def _among(self, op: ast.cmpop, here: Operand, elements: Sequence[ast.expr]) -> Truth:
        found = among(here, [self.value(element) for element in elements], self.problems)
        return none_of(found) if isinstance(op, ast.NotIn) else found

    def value(self, node: ast.expr) -> Operand:
        name = ast.unparse(node)
        match node:
            case ast.Name(id=label):
                column = self.names[label]
                return operand(column, self.columns[column], self.readings.get(column))
            case ast.Call():
                return self.aggregated[name]
            case ast.Constant(value=str() | int() | float() as value):
                literal = value if isinstance(value, str) else float(value)
                return constant(name, literal, self.count)
            case ast.UnaryOp(op=op, operand=inner):
                zero = constant("0", 0.0, self.count)
                symbol = "-" if isinstance(op, ast.USub) else "+"
                return arithmetic(name, symbol, zero, self.value(inner), self.problems)
            case ast.BinOp(left=left, op=op, right=right):
                return arithmetic(
                    name, ARITHMETIC[type(op)], self.value(left), self.value(right), self.problems
                )
        raise AssertionError(ast.dump(node))
