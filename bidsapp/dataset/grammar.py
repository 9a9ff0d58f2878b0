"""What may stand in an outcome's expression, and what is refused."""

import ast

from bidsapp.dataset.aggregates import SYNTAX, aggregate_of, is_known
from bidsapp.errors import UsageError

MAX_DEPTH = 40
COMPARISONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
ALLOWED = (
    "Columns, numbers and quoted texts; < <= > >= == != in [..]; and, or, not; + - * / and "
    "parentheses. A column whose name is more than letters, digits and _ stands in `backquotes`. "
    + SYNTAX
)


class Grammar:
    """Walk a tree once and refuse everything that is not on the list."""

    def __init__(self, text: str):
        self.text = text
        self.inside = False  # an aggregate

    def refuse(self, node: ast.AST, reason: str) -> UsageError:
        """Make the error that says what is wrong and what may stand there."""
        return UsageError(f"outcome expression {self.text!r}: {reason}. {ALLOWED}")

    def truth(self, node: ast.expr, depth: int) -> None:
        """Require what is true or false: a comparison, or several joined."""
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
            case ast.Call() if is_known(node):
                if not self.inside:
                    raise self.refuse(node, "known() stands within count(), share(), mean(), …")
            case ast.Name() | ast.Constant() | ast.BinOp() | ast.UnaryOp() | ast.Call():
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
        """Require a column, a number, a text, an aggregate, or what is computed from them."""
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
            case ast.Call():
                self._aggregate(node, depth)
            case _:
                what = {"BinOp": "this operator", "JoinedStr": "an f-string"}
                name = what.get(type(node).__name__, type(node).__name__)
                raise self.refuse(node, f"{name} is not allowed")

    def _aggregate(self, node: ast.Call, depth: int) -> None:
        one = aggregate_of(node)
        if isinstance(one, str):
            raise self.refuse(node, one)
        if self.inside:
            raise self.refuse(node, f"{one.function}() stands within another aggregate")
        self.inside = True
        if one.value is not None:
            self.value(one.value, depth + 1)
        for part in filter(None, (one.condition, one.among)):
            self.truth(part, depth + 1)
        self.inside = False

    def _deep(self, node: ast.AST, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.refuse(node, f"nested more than {MAX_DEPTH} deep")
