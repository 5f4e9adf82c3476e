"""Python expressions as a textbook prints them: `dy * x ** 2` as `∂L/∂y · x²`; and numbers filled in beforehand."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Mapping
from typing import Any

OPERATORS: dict[type[ast.AST], tuple[str, int]] = {  # sign and precedence
    ast.BitOr: (" or ", 1), ast.BitAnd: (" and ", 1),
    ast.Eq: (" = ", 2), ast.NotEq: (" ≠ ", 2), ast.Lt: (" < ", 2), ast.LtE: (" ≤ ", 2), ast.Gt: (" > ", 2),
    ast.GtE: (" ≥ ", 2), ast.Add: (" + ", 3), ast.Sub: (" − ", 3),
    ast.Mult: (" · ", 5), ast.MatMult: (" · ", 5), ast.Div: (" / ", 5),
}  # fmt: skip
SIGN, FRACTION, POWER, ATOM = 4, 6, 7, 8  # precedences: −x, ∂L/∂x, x², x
FUNCTIONS = {"sum": "Σ", "sum_back": "Σ", "prod": "Π", "maximum": "max", "minimum": "min", "amax": "max", "amin": "min"}
SUPERSCRIPT = str.maketrans("0123456789−nxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿˣʸᶻ")
ARITHMETIC = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip


def fill_in(expression: ast.expr, values: Mapping[str, Any]) -> ast.expr:
    """The expression with numbers for names, computed as far as they go: `x ** (n - 1)` with n = 3 is `x ** 2`."""
    return _Filling(values).visit(expression)


def pretty(expression: ast.expr | str, names: Mapping[str, str]) -> str:
    """The expression in print.

    Args:
        expression: Python.
        names: What some names look like, such as `{"dy": "∂L/∂y"}`.

    >>> pretty("dy * (1 / (2 * sqrt(x)))", {"dy": "∂L/∂y"})
    '∂L/∂y · 1/(2 · √x)'
    """
    tree = ast.parse(expression, mode="eval").body if isinstance(expression, str) else expression
    return _Printer(names).text(tree)


class _Filling(ast.NodeTransformer):
    """Puts numbers in, and leaves out what they make superfluous: 1 · x, x + 0, x¹."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def visit_Call(self, node: ast.Call) -> ast.Call:
        node.args = [self.visit(argument) for argument in node.args]  # a function keeps its name
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.values.get(node.id)
        return _constant(value) if isinstance(value, (int, float)) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        x = _number(node.operand)
        return node if x is None or not isinstance(node.op, ast.USub) else _constant(-x)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        sign, left, right = type(node.op), _number(node.left), _number(node.right)
        if left is not None and right is not None and sign in ARITHMETIC:
            try:
                return _constant(ARITHMETIC[sign](left, right))
            except (ArithmeticError, TypeError):  # 1/0 and √−1 stay as they are
                return node
        nothing, one = (ast.Add, ast.Sub), (ast.Mult, ast.Div, ast.Pow)
        if (sign in nothing and right == 0) or (sign in one and right == 1):
            return node.left
        if (sign is ast.Add and left == 0) or (sign is ast.Mult and left == 1):
            return node.right
        if sign is ast.Mult and 0 in (left, right):
            return ast.Constant(0)
        return node


def _constant(value: Any) -> ast.expr:
    """A number; a negative one with its sign in front, as the parser reads it: (-2) ** x is not -2 ** x."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def _number(node: ast.expr) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) else None


class _Printer:
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def text(self, node: ast.AST, least: int = 0) -> str:
        """In parentheses if it binds less tightly than its surroundings need."""
        show = getattr(self, f"show_{type(node).__name__.lower()}", None)
        text, precedence = show(node) if show else (ast.unparse(node), 0)
        return text if precedence >= least else f"({text})"

    def show_name(self, node: ast.Name) -> tuple[str, int]:
        text = self.names.get(node.id, node.id)
        return text, FRACTION if "/" in text else ATOM

    def show_constant(self, node: ast.Constant) -> tuple[str, int]:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return str(value), ATOM
        return ("∞" if value == math.inf else f"{value:g}".replace("e-0", "e-").replace("-", "−")), ATOM

    def show_unaryop(self, node: ast.UnaryOp) -> tuple[str, int]:
        sign = {ast.USub: "−", ast.UAdd: ""}.get(type(node.op), "not ")
        return sign + self.text(node.operand, 5), SIGN

    def show_binop(self, node: ast.BinOp) -> tuple[str, int]:
        if isinstance(node.op, ast.Pow):
            return self._power(self.text(node.left, ATOM), node.right), POWER
        if type(node.op) not in OPERATORS:
            return ast.unparse(node), 0
        sign, level = OPERATORS[type(node.op)]
        left = self.text(node.left, SIGN if level == 5 else level)
        right = self.text(node.right, level + isinstance(node.op, (ast.Sub, ast.Div)))
        short = isinstance(node.op, ast.Div) and not {" ", "/"} & set(left) and "/" not in right and len(right) < 16
        return f"{left}/{right}" if short else f"{left}{sign}{right}", level

    def show_compare(self, node: ast.Compare) -> tuple[str, int]:
        parts = [self.text(node.left, 3)]
        for comparison, right in zip(node.ops, node.comparators):
            parts += [OPERATORS.get(type(comparison), (" ? ", 2))[0], self.text(right, 3)]
        return "".join(parts), 2

    def show_call(self, node: ast.Call) -> tuple[str, int]:
        if not isinstance(node.func, ast.Name):
            return ast.unparse(node), ATOM
        name, arguments = node.func.id, node.args
        if name == "where" and len(arguments) == 3:
            return self._where(*arguments), 0
        if name == "exp" and len(arguments) == 1:
            raised = self._power("e", arguments[0])
            return (raised, POWER) if "^" not in raised else (f"exp({self.text(arguments[0])})", ATOM)
        inside = ", ".join(
            [self.text(a) for a in arguments] + [f"{k.arg}={self.text(k.value)}" for k in node.keywords if k.arg]
        )
        if name == "sqrt":
            return f"√{inside}" if inside.isalnum() else f"√({inside})", ATOM
        if name in ("abs", "floor"):
            return (f"|{inside}|" if name == "abs" else f"⌊{inside}⌋"), ATOM
        return f"{FUNCTIONS.get(name, name)}({inside})", ATOM

    def show_attribute(self, node: ast.Attribute) -> tuple[str, int]:
        value = self.text(node.value, ATOM)
        return (f"{value}ᵀ", POWER) if node.attr in ("T", "mT") else (f"{value}.{node.attr}", ATOM)

    def show_subscript(self, node: ast.Subscript) -> tuple[str, int]:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return f"{self.text(node.value, ATOM)}[{', '.join(map(self.text, places))}]", ATOM

    def _power(self, base: str, exponent: ast.expr) -> str:
        text = self.text(exponent)
        raised = text.translate(SUPERSCRIPT)
        if not set(raised) & set(text):  # every character has a small brother
            return base + raised
        return f"{base}^{text}" if re.fullmatch(r"[\w.]+", text, re.ASCII) else f"{base}^({text})"

    def _where(self, condition: ast.expr, x: ast.expr, otherwise: ast.expr) -> str:
        rest = self.text(otherwise)
        nested = isinstance(otherwise, ast.Call) and " where " in rest
        return f"{self.text(x, 1)} where {self.text(condition)}, {'' if nested else 'else '}{rest}"
