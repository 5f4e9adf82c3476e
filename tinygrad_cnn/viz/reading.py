"""What a short function returns, as one expression of its arguments, read from its source."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 500  # parts of an expression; names that stand for expressions with names … double with every line
MODULES = {"self", "np", "numpy", "xp", "cp", "cupy", "math", "kernels"}


class Reading(ast.NodeTransformer):
    """Follows assignments in straight lines of code; `self.save(…)` and `self.saved.…` are understood.

    Args:
        method: Of a Function: its forward or its backward.
        saved: Name → expression, of what forward saved.
        argument: Another name for the first argument.

    Attributes:
        result: What is returned.
        saved: What was saved.

    Raises:
        ValueError: The code has branches or loops, is long, or does not return anything.
        OSError: There is no source.
    """

    def __init__(
        self, method: Callable[..., Any], saved: Mapping[str, ast.expr] | None = None, argument: str = ""
    ) -> None:
        function = ast.parse(textwrap.dedent(inspect.getsource(method))).body[0]
        if not isinstance(function, ast.FunctionDef):
            raise ValueError("not a function")
        self.saved: dict[str, ast.expr] = dict(saved or {})
        self.known: dict[str, ast.expr] = {}
        if argument:
            self.known[function.args.args[1].arg] = ast.Name(argument)
        for line in function.body:
            if isinstance(line, ast.Return) and line.value is not None:
                self.result = self.visit(line.value)
                return
            self._follow(line)
        raise ValueError("nothing is returned")

    def _follow(self, line: ast.stmt) -> None:
        if isinstance(line, ast.Assign) and len(line.targets) == 1:
            target, value = line.targets[0], self.visit(line.value)
            pairs: list[tuple[ast.expr, ast.expr]] = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts))
            for place, part in pairs:
                if not isinstance(place, ast.Name):
                    raise ValueError("not a simple assignment")
                if sum(1 for _ in ast.walk(part)) > LONGEST:
                    raise ValueError("too long to be shown")
                self.known[place.id] = part
        elif isinstance(line, ast.Expr) and isinstance(line.value, (ast.Call, ast.Constant)):
            if isinstance(line.value, ast.Call) and ast.unparse(line.value.func) == "self.save":
                self.saved |= {k.arg: self.visit(k.value) for k in line.value.keywords if k.arg}
        else:
            raise ValueError("not straight")

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self.known.get(node.id, node))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if ast.unparse(node.value) == "self.saved":
            return copy.deepcopy(self.saved.get(node.attr, ast.Name(node.attr)))
        if ast.unparse(node.value) == "self":
            return ast.Name(node.attr)
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = node.func
        if isinstance(function, ast.Attribute):  # np.exp(x) and x.exp() are exp(x)
            module = isinstance(function.value, ast.Name) and function.value.id in MODULES
            node.args = node.args if module else [function.value, *node.args]
            node.func = ast.Name(function.attr)
        node.args = [self.visit(a) for a in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        if "self.needs" in ast.unparse(node.test):
            return self.visit(node.body)
        self.generic_visit(node)
        return node
