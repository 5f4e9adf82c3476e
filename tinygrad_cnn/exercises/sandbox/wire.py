"""What is said between the checker and the student's process, and how a function is called.

The one part of the checker that both processes load: it needs NumPy only, so that nothing of the library, and no
expected value, is in the student's process. Values travel as JSON, arrays as their bytes: reading them runs no code.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

#: What a value of a type that cannot travel becomes.
MAX_REPR = 120
_NUMBERS = "fiub"
#: Bytes of an array that travels.
MOST = 32 << 20


class Node:
    """One number or array of a graph, with the nodes it was computed from; for exercises about the graph.

    Attributes:
        name: For messages.
        parents: The nodes it was computed from.
        grad: Where the gradient is put.
        slopes: What dy is multiplied with for each parent; None: dy itself is handed on, as an addition does.
    """

    def __init__(self, name: str, parents: tuple[Node, ...] = (), slopes: tuple[float | None, ...] = ()) -> None:
        self.name, self.parents, self.grad = name, parents, None
        self._slopes = slopes

    def backward(self, dy: Any) -> tuple[Any, ...]:
        """The gradients for the parents, in their order: dy times the local slope of each."""
        return tuple([dy if slope is None else dy * slope for slope in self._slopes])

    def __repr__(self) -> str:
        return f"<node {self.name}>"


def graph(root: Node) -> list[Node]:
    """A node and all it was computed from, each once; in the same order for the same graph."""
    nodes: dict[Node, None] = {root: None}
    waiting = [root]
    for node in waiting:  # it grows
        new = [parent for parent in node.parents if isinstance(parent, Node) and parent not in nodes]
        waiting += dict.fromkeys(new)
        nodes |= dict.fromkeys(new)
    return waiting


class Random:
    """A source of random numbers that travels as its seed; the function gets `numpy.random.default_rng(seed)`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed


class Other:
    """A result of a type that cannot travel.

    Attributes:
        type: Its name.
        text: Its beginning, as repr shows it.
    """

    def __init__(self, type: str, text: str = "") -> None:
        self.type, self.text = type, text

    def __repr__(self) -> str:
        return self.text or f"<{self.type}>"


class Writer:
    """Values to JSON; nodes are numbered, so that a node in the result is known as one of the arguments."""

    def __init__(self, nodes: list[Node] | None = None) -> None:
        self.nodes: list[Node] = list(nodes or ())
        self._numbers = {id(node): i for i, node in enumerate(self.nodes)}  # the list keeps them alive

    def message(self, value: Any) -> dict[str, Any]:
        """A value together with all nodes in it."""
        written = self.value(value)
        told, i = [], 0
        while i < len(self.nodes):  # writing a node may find further ones
            node = self.nodes[i]
            parents = [self.value(parent) for parent in node.parents]
            told.append([str(node.name), parents, [self.value(s) for s in node._slopes], self.value(node.grad)])
            i += 1
        return {"value": written, "nodes": told}

    def value(self, value: Any, depth: int = 0) -> Any:
        """One value."""
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind in (int, float):
            return value if kind is int and abs(value) < 2**53 else {"$number": repr(value)}
        if isinstance(value, np.ndarray | np.generic):
            if value.nbytes > MOST:
                raise MemoryError(f"too large to be handed over: an array of {value.nbytes >> 20} MB")
            array = np.array(value)  # a plain array, whatever subclass it was
            if array.dtype.kind not in _NUMBERS:
                return {"$other": [f"array of {array.dtype}", repr(value)[:MAX_REPR]]}
            data = base64.b64encode(array.tobytes()).decode("ascii")
            return {"$array": [array.dtype.str, list(array.shape), data, isinstance(value, np.generic)]}
        if isinstance(value, Node):
            if id(value) not in self._numbers:
                self._numbers[id(value)] = len(self.nodes)
                self.nodes.append(value)
            return {"$node": self._numbers[id(value)]}
        if isinstance(value, Random):
            return {"$random": value.seed}
        if depth < 8 and kind is list:
            return {"$list": [self.value(v, depth + 1) for v in value]}
        if depth < 8 and isinstance(value, tuple):  # with or without names for its parts
            return {"$tuple": [self.value(v, depth + 1) for v in tuple.__iter__(value)]}
        if depth < 8 and kind is dict:
            return {"$dict": [[self.value(k, depth + 1), self.value(v, depth + 1)] for k, v in value.items()]}
        text = ""
        with contextlib.suppress(Exception):  # a student's own __repr__
            text = repr(value)[:MAX_REPR]
        return {"$other": [kind.__name__, text]}


def write(value: Any) -> dict[str, Any]:
    """A value as JSON can hold it."""
    return Writer().message(value)


def read(message: Any) -> Any:
    """The value of a message.

    Raises:
        ValueError: If it is none.
    """
    return read_with_nodes(message)[0]


def read_with_nodes(message: Any) -> tuple[Any, list[Node]]:
    """The value of a message, and all nodes told of."""
    try:
        nodes = [Node(str(name)) for name, *_ in message["nodes"]]

        def value(told: Any, depth: int = 0) -> Any:
            if depth > 16:
                raise ValueError("too deep")
            if isinstance(told, dict):
                ((kind, content),) = told.items()
                if kind == "$array":
                    dtype, shape, data, scalar = content
                    array = np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
                    if array.dtype.kind not in _NUMBERS:
                        raise ValueError("no numbers")
                    return array[()] if scalar and array.ndim == 0 else array
                if kind == "$number":
                    return float(content) if any(c in content for c in ".enai") else int(content)
                if kind == "$node":
                    return nodes[content]
                if kind == "$random":
                    return np.random.default_rng(content)
                if kind == "$list":
                    return [value(v, depth + 1) for v in content]
                if kind == "$tuple":
                    return tuple(value(v, depth + 1) for v in content)
                if kind == "$dict":
                    return {value(k, depth + 1): value(v, depth + 1) for k, v in content}
                if kind == "$other":
                    return Other(str(content[0]), str(content[1]))
                raise ValueError(f"unknown kind {kind}")
            if told is None or isinstance(told, bool | int | float | str):
                return told
            raise ValueError(f"not a value: {type(told).__name__}")

        for node, (_, parents, slopes, grad) in zip(nodes, message["nodes"]):
            node.parents = tuple(value(p) for p in parents)
            node._slopes = tuple(value(s) for s in slopes)
            node.grad = value(grad)
        return value(message["value"]), nodes
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a message: {error}") from None


def invoke(function: Callable[..., Any], message: dict[str, Any], kind: str = "function") -> dict[str, Any]:
    """Call a function with the arguments of a message, and tell what came of it.

    The same for the student's function in its process and for solutions and wrong versions in the checker's.

    Args:
        function: To be called; for kind "module" a class.
        message: The written tuple of arguments.
        kind: "function", or "module": the arguments are (state, x); a module is made without arguments, loads the
            state and is called with x as a float32 tensor.

    Returns:
        For JSON: `returned` and `after`, the arguments as the call left them, or `raised`; and `seconds`.
    """
    args, nodes = read_with_nodes(message)
    started = time.perf_counter()
    try:
        result = function(*args) if kind == "function" else _module(function, *args)
    except BaseException as error:
        return {"raised": raised(error), "seconds": time.perf_counter() - started}
    seconds = time.perf_counter() - started
    writer = Writer(nodes)
    after = tuple(None if isinstance(a, np.random.Generator) else a for a in args)
    return {"returned": writer.message((result, after)), "seconds": seconds}


def raised(error: BaseException, file: str | None = None) -> dict[str, Any]:
    """An exception as JSON: its type, text, and where in the student's file it came from."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    places = [[f.filename, f.lineno or 0, f.name, f.line or ""] for f in frames][-20:]
    if isinstance(error, SyntaxError):
        places.append([error.filename or "", error.lineno or 0, "", (error.text or "").rstrip()])
    text = ""
    with contextlib.suppress(Exception):
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    types = [kind.__name__ for kind in type(error).__mro__]
    return {"type": types[0], "types": types, "text": text[:2000], "places": places}


def _module(make: Callable[[], Any], state: dict[str, Any], x: Any) -> Any:
    """What a student's network has for parameters, and its scores with the given ones."""
    import tinygrad_cnn as tcnn

    module = make()
    if not isinstance(module, tcnn.nn.Module):
        raise TypeError(f"{make.__name__} is no module; begin it with class {make.__name__}(nn.Module)")
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    if shapes != {name: values.shape for name, values in state.items()}:
        return shapes, None
    module.load_state_dict(state)
    module.eval()
    with tcnn.no_grad():
        scores = module(tcnn.tensor(x))
    return shapes, scores.numpy() if isinstance(scores, tcnn.Tensor) else scores


def dumps(told: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def same(a: Any, b: Any, rtol: float, atol: float) -> bool:
    """Whether two values are the same: types, shapes, number formats, and numbers within a tolerance.

    The tolerance of an array is `atol + rtol·max|b|`: rounding in a sum grows with the largest term, not with the sum.
    A single number may be Python's or NumPy's, but a whole number is none with a point.
    """
    if type(a) is float and type(b) is float:  # without NumPy, as there may be thousands
        return a == b or abs(a - b) <= atol + rtol * abs(b) < math.inf or (math.isnan(a) and math.isnan(b))
    if isinstance(a, np.ndarray | np.generic | float | int) and isinstance(b, np.ndarray | np.generic | float | int):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype.kind not in _NUMBERS:
            return False
        if a.dtype != b.dtype if b.ndim else (a.dtype.kind == "f") != (b.dtype.kind == "f"):
            return False
        return close(a, b, rtol, atol)
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], rtol, atol) for k in a)
    if isinstance(a, Node):
        return a.name == b.name and same(a.grad, b.grad, rtol, atol)
    if isinstance(a, Other):
        return False
    return bool(a == b)


def close(a: Any, b: Any, rtol: float, atol: float) -> bool:
    """Whether arrays of one shape hold the same numbers, infinities and NaN included."""
    if not b.size:
        return True
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = float(np.abs(b[finite]).max()) if finite.any() else 0.0
        return bool(np.allclose(a, b, rtol=0.0, atol=atol + rtol * scale, equal_nan=True))
