"""An outcome as an expression over columns: ``head_pain_12mo >= 30 or neck_pain_12mo >= 30``.

The text is parsed by `ast`, and only comparisons, ``and or not``, ``+ - * /``, ``in [...]``,
numbers, texts and column names are taken from the tree. Nothing is evaluated by Python itself.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

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
MAX_DEPTH = 40
COMPARISONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`([^`]*)`""")
ALLOWED = (
    "Columns, numbers and quoted texts; < <= > >= == != in [..]; and, or, not; + - * / and "
    "parentheses. A column whose name is more than letters, digits and _ stands in `backquotes`."
)


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
        Names of the columns it uses, each once, in order.
    """

    text: str
    columns: tuple[str, ...]
    tree: ast.expr = field(repr=False)
    names: Mapping[str, str] = field(repr=False)

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
    ) -> Result:
        """Evaluate row by row.

        Parameters
        ----------
        columns
            Column name to n texts, None where missing.
        readings
            Column name to how the whole column is read; of others, what is plainly a number is one.
        """
        count = len(next(iter(columns.values()))) if columns else 0
        problems: Problems = {}
        rows = _Rows(self, columns, readings or {}, count, problems)
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
    _Check(text).truth(tree, 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            # Python keeps names in a compatibility form of Unicode; tables may have the other.
            names.setdefault(node.id, ast.get_source_segment(source, node) or node.id)
    used = {names[node.id]: None for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if not used:
        raise UsageError(f"outcome expression {text!r} uses no column.")
    return Expression(text, tuple(used), tree, names)


class _Check:
    """Walks the tree once and refuses everything that is not on the list."""

    def __init__(self, text: str):
        self.text = text

    def refuse(self, node: ast.AST, reason: str) -> UsageError:
        return UsageError(f"outcome expression {self.text!r}: {reason}. {ALLOWED}")

    def truth(self, node: ast.expr, depth: int) -> None:
        self._deep(node, depth)
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self.truth(value, depth + 1)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                self.truth(inner, depth + 1)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                self.value(left, depth + 1)
                for op, right in zip(ops, comparators, strict=True):
                    self._comparison(op, right, depth + 1)
            case ast.Name() | ast.Constant() | ast.BinOp() | ast.UnaryOp():
                self.value(node, depth)
                raise self.refuse(node, "a value stands where a comparison is needed, as in x == 1")
            case _:
                self.value(node, depth)

    def _comparison(self, op: ast.cmpop, right: ast.expr, depth: int) -> None:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
                raise self.refuse(right, "after in there must be a list, as in x in [1, 2]")
            for element in right.elts:
                self.value(element, depth + 1)
        elif type(op) in COMPARISONS:
            self.value(right, depth)
        else:
            raise self.refuse(op, "`is` is not allowed; write ==")

    def value(self, node: ast.expr, depth: int) -> None:
        self._deep(node, depth)
        match node:
            case ast.Name():
                return
            case ast.Constant(value=bool() | None as value):
                reason = f"{value} is not allowed; compare with the values that the column has"
                raise self.refuse(node, reason)
            case ast.Constant(value=int() | float() as number):
                if not abs(number) <= 1e300:
                    raise self.refuse(node, "a number is too large")
            case ast.Constant(value=str()):
                return
            case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=inner):
                self.value(inner, depth + 1)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                self.value(left, depth + 1)
                self.value(right, depth + 1)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise self.refuse(node, "a comparison stands where a value is needed")
            case _:
                what = {"BinOp": "this operator", "JoinedStr": "an f-string"}
                name = what.get(type(node).__name__, type(node).__name__)
                raise self.refuse(node, f"{name} is not allowed")

    def _deep(self, node: ast.AST, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.refuse(node, f"nested more than {MAX_DEPTH} deep")


class _Rows:
    """One evaluation: a checked tree over columns of n rows."""

    def __init__(
        self,
        expression: Expression,
        columns: Mapping[str, Sequence[str | None]],
        readings: Mapping[str, Reading],
        count: int,
        problems: Problems,
    ):
        self.names = expression.names
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
