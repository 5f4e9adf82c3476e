"""The local formulas of backpropagation: of every operation how its value is computed and how its gradient flows.

`FORMULAS` is a table of equations in NumPy's language and in the package's letters; tests compute them and compare with
the operations. What is shown is made of them: `dx="dy * cos(x)"` becomes `∂L/∂x = ∂L/∂y · cos(x)`.

`sum`, `mean`, … go over the dimensions of the operation (the classes of a loss, the pixels of a window), and keep them
with size 1. `im2col(x)` has the windows of x as columns, `col2im` adds columns back onto the pixels they came from;
beside them, weight and results are matrices. `σ` is the sigmoid, `Φ` the normal distribution's share below x, `φ` its
slope. `i` counts along the dimension of a maximum, `count` what went into a sum. `sum_back` goes over the sums in which
a number was a summand, `onehot` of a sample that is ignored is 0.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn import ops
from tinygrad_cnn.function import Function
from tinygrad_cnn.viz.notation import fill_in, pretty
from tinygrad_cnn.viz.reading import Reading


@dataclass(frozen=True)
class Formula:
    """What an operation computes, and what it does to a gradient; several lines where a formula needs a definition.

    Attributes:
        forward: `y = sin(x)`.
        backward: For each input with a gradient, `∂L/∂x = ∂L/∂y · cos(x)`.
        words: How the gradient flows, in half a sentence.
    """

    forward: str
    backward: dict[str, str]
    words: str = ""


class Entry:
    """Words and equations: the first is the value's, `dx` the gradient of input x, others are definitions."""

    def __init__(self, words: str, **equations: str) -> None:
        self.words, self.equations = words, equations


FORMULAS: dict[type[Function], Entry] = {
    # elementwise
    ops.Add: Entry("hands the gradient on to both", z="x + y", dx="dz", dy="dz"),
    ops.Sub: Entry("hands the gradient on to x, and with its sign changed to y", z="x - y", dx="dz", dy="-dz"),
    ops.Mul: Entry("swaps: each gets the gradient times the other one", z="x * y", dx="dz * y", dy="dz * x"),
    ops.Div: Entry(
        "a multiplication by 1/y: a small y makes the gradients large",
        z="x / y", dx="dz * (1 / y)", dy="-dz * (x / y ** 2)",
    ),
    ops.Pow: Entry(
        "the power rule for the base; the value itself, times log x, for the exponent",
        z="x ** y", dx="dz * y * x ** (y - 1)", dy="dz * z * log(x)",
    ),
    ops.PowNumber: Entry(
        "the power rule: exponent down in front, and one less of it",
        y="x ** exponent", dx="dy * exponent * x ** (exponent - 1)",
    ),
    ops.Remainder: Entry(
        "x passes it on; y counts as often as it was taken away",
        z="x - y * floor(x / y)", dx="dz", dy="-dz * floor(x / y)",
    ),
    ops.Maximum: Entry(
        "routes the gradient to the winner; equals share it", z="maximum(x, y)",
        dx="where(x > y, dz, where(x == y, dz / 2, 0))", dy="where(y > x, dz, where(x == y, dz / 2, 0))",
    ),
    ops.Minimum: Entry(
        "routes the gradient to the smaller one; equals share it", z="minimum(x, y)",
        dx="where(x < y, dz, where(x == y, dz / 2, 0))", dy="where(y < x, dz, where(x == y, dz / 2, 0))",
    ),
    ops.Where: Entry(
        "routes the gradient to the one that was taken",
        z="where(condition, x, y)", dx="where(condition, dz, 0)", dy="where(condition, 0, dz)",
    ),
    ops.Neg: Entry("changes the gradient's sign", y="-x", dx="-dy"),
    ops.Exp: Entry("times the value itself: eˣ is its own derivative", y="exp(x)", dx="dy * y"),
    ops.Log: Entry("divides by x: the smaller x, the larger the gradient", y="log(x)", dx="dy * (1 / x)"),
    ops.Sqrt: Entry("divides by twice the root: steep near 0", y="sqrt(x)", dx="dy * (1 / (2 * y))"),
    ops.Sin: Entry("times the slope of the sine, which is the cosine", y="sin(x)", dx="dy * cos(x)"),
    ops.Cos: Entry("times the slope of the cosine, which is minus the sine", y="cos(x)", dx="-dy * sin(x)"),
    ops.Abs: Entry("turns the gradient's sign where x is negative", y="abs(x)", dx="dy * sign(x)"),
    ops.Clamp: Entry("lets it pass where x was within the limits", y="clamp(x, low, high)", dx="where(y == x, dy, 0)"),
    ops.Cast: Entry("passes it on, in the number format of x", y="x", dx="dy"),
    ops.Transfer: Entry("passes it on, back to the device of x", y="x", dx="dy"),
    ops.Flat: Entry("stops it: the value moves in steps, and steps are flat", y="{name}(x)", dx="0"),
    # activations
    ops.ReLU: Entry("lets it pass where x > 0", y="maximum(0, x)", dx="where(x > 0, dy, 0)"),
    ops.LeakyReLU: Entry(
        "lets it pass where x > 0, and a little elsewhere", y="where(x > 0, x, slope * x)",
        dx="where(x > 0, dy, slope * dy)",
    ),
    ops.PReLU: Entry(
        "lets it pass where x > 0, scaled by the weight elsewhere; only there does the weight learn",
        y="where(x > 0, x, weight * x)", dx="where(x > 0, dy, weight * dy)", dweight="where(x > 0, 0, x * dy)",
    ),
    ops.ELU: Entry(
        "lets it pass where x > 0; fades out below", y="scale * where(x > 0, x, alpha * (exp(x) - 1))",
        dx="scale * where(x > 0, dy, dy * alpha * exp(x))",
    ),
    ops.GELU: Entry("passes large x, stops very negative ones, smoothly", y="x * Φ(x)", dx="dy * (Φ(x) + x * φ(x))"),
    ops.SiLU: Entry(
        "passes large x, stops very negative ones, smoothly", y="x * σ(x)", dx="dy * σ(x) * (1 + x * (1 - σ(x)))"
    ),
    ops.Sigmoid: Entry(
        "lets at most a quarter through, and almost nothing where it is saturated",
        y="1 / (1 + exp(-x))", dx="dy * y * (1 - y)",
    ),
    ops.Tanh: Entry("lets it pass near 0, almost nothing where it is saturated", y="tanh(x)", dx="dy * (1 - y ** 2)"),
    ops.Softplus: Entry(
        "times the sigmoid: a soft switch", y="where(beta * x > threshold, x, log(1 + exp(beta * x)) / beta)",
        dx="where(beta * x > threshold, dy, dy * σ(beta * x))",
    ),
    ops.Hardtanh: Entry(
        "lets it pass strictly between the limits", y="clamp(x, low, high)",
        dx="where((low < x) & (x < high), dy, 0)",
    ),
    # reductions
    ops.Sum: Entry("hands the same gradient to every summand", y="sum(x)", dx="dy"),
    ops.Mean: Entry("hands every number an equal share", y="sum(x) / count", dx="dy / count"),
    ops.Var: Entry(
        "pulls every number in proportion to its distance from the mean",
        y="sum((x - mean(x)) ** 2) / (count - correction)", dx="dy * 2 * (x - mean(x)) / (count - correction)",
    ),
    ops.Std: Entry(
        "pulls every number in proportion to its distance from the mean (not at all if all are equal)",
        y="sqrt(sum((x - mean(x)) ** 2) / (count - correction))",
        dx="dy * (x - mean(x)) / ((count - correction) * y)",
    ),
    ops.Amax: Entry(
        "routes the gradient to the winner; equals share it", y="{name}(x)",
        dx="where(x == y, dy / sum(x == y), 0)",
    ),
    ops.Extremum: Entry(
        "routes the gradient to the winner, the first of equals", y="{name}(x)", dx="where(i == arg{name}(x), dy, 0)"
    ),
    ops.Prod: Entry("times the product of the other numbers", y="prod(x)", dx="dy * prod(others(x))"),
    ops.LogSumExp: Entry(
        "shares the gradient out by softmax", y="log(sum(exp(x)))", dx="dy * exp(x) / sum(exp(x))"
    ),
    ops.Softmax: Entry(
        "raises what got more gradient than the average, lowers the rest: the sum of y stays 1",
        y="exp(x) / sum(exp(x))", dx="y * (dy - sum(dy * y))",
    ),
    ops.LogSoftmax: Entry(
        "every score also lowers all the others, by its probability", y="x - log(sum(exp(x)))",
        dx="dy - exp(y) * sum(dy)",
    ),
    # shape
    ops.Clone: Entry("passes it on", y="x", dx="dy"),
    ops.Reshape: Entry("gives it back the shape of x", y="reshape(x, shape_to)", dx="reshape(dy, x.shape)"),
    ops.Permute: Entry("puts the dimensions back", y="permute(x, order)", dx="permute(dy, inverse(order))"),
    ops.Expand: Entry("adds up what the copies got", y="expand(x, shape_to)", dx="dy"),
    ops.Flip: Entry("turns it round again", y="flip(x)", dx="flip(dy)"),
    ops.Pad: Entry(
        "cuts the border off; pixels repeated in the border collect from there, too", y="pad(x)", dx="unpad(dy)"
    ),
    ops.Cat: Entry("cuts it up: each gets the part it supplied", y="cat(xs)", dxs="split(dy)[{i}]"),
    ops.Stack: Entry("takes the stack apart: each gets its layer", y="stack(xs)", dxs="unbind(dy)[{i}]"),
    ops.Index: Entry(
        "puts it where the numbers came from, adding up what was picked twice; zeros elsewhere",
        y="x[index]", dx="index_add(dy, index)",
    ),
    ops.Gather: Entry(
        "puts it where the numbers came from, adding up what was picked twice; zeros elsewhere",
        y="gather(x, index)", dx="scatter_add(dy, index)",
    ),
    ops.Sort: Entry(
        "puts it back into the old order", y="gather(x, index)", dx="scatter_add(dy, index)", index="argsort(x)"
    ),
    # layers
    ops.Linear: Entry(
        "back through the same weights; a weight gets what came in times what came back",
        y="x @ weight.T + bias", dx="dy @ weight", dweight="dy.T @ x", dbias="sum(dy)",
    ),
    ops.MatMul: Entry(
        "swaps, as mul does: each gets the gradient times the other, transposed",
        z="x @ y", dx="dz @ y.mT", dy="x.mT @ dz",
    ),
    ops.Conv: Entry(
        "a pixel collects gradient · weight from all windows that saw it, a weight gradient · pixel from its places",
        y="weight @ im2col(x) + bias", dx="col2im(weight.T @ dy)", dweight="dy @ im2col(x).T", dbias="sum(dy)",
    ),
    ops.ConvTranspose: Entry(
        "a convolution: each pixel collects over the stamp it made",
        y="col2im(weight.T @ x) + bias", dx="weight @ im2col(dy)", dweight="x @ im2col(dy).T", dbias="sum(dy)",
    ),
    ops.MaxPool: Entry(
        "routes each gradient to the winner of its window",
        y="max(im2col(x))", dx="col2im(where(i == argmax(im2col(x)), dy, 0))",
    ),
    ops.AvgPool: Entry(
        "hands every pixel of a window an equal share", y="sum(im2col(x)) / count", dx="col2im(dy / count)"
    ),
    ops.LpPool: Entry(
        "the larger a pixel, the more it gets (scale is 1 but in windows that hang over the edge)",
        y="(scale * sum(im2col(x) ** norm_type)) ** (1 / norm_type)",
        dx="col2im(dy * scale * (im2col(x) / y) ** (norm_type - 1))",
    ),
    ops.FeatureLpPool: Entry(
        "the larger a channel, the more it gets", y="sum(im2col(x) ** norm_type) ** (1 / norm_type)",
        dx="col2im(dy * (im2col(x) / y) ** (norm_type - 1))",
    ),
    ops.MaxUnpool: Entry(
        "each number gets the gradient of its place", y="scatter(x, indices)", dx="gather(dy, indices)"
    ),
    ops.Interpolate: Entry(
        "every pixel gets back by the shares A with which it was mixed in", y="A @ x", dx="A.T @ dy"
    ),
    ops.Normalise: Entry(
        "every x moves the mean and the spread, too, so both parts are taken out",
        y="x̂ * weight + bias", dx="(dx̂ - mean(dx̂) - x̂ * mean(dx̂ * x̂)) / std",
        dweight="sum(dy * x̂)", dbias="sum(dy)",
        x̂="(x - mean(x)) / std", std="sqrt(mean((x - mean(x)) ** 2) + eps)", dx̂="dy * weight",
    ),
    ops.LocalResponseNorm: Entry(
        "directly, less what x did to its neighbouring channels", y="x * t ** -beta",
        dx="dy * t ** -beta - 2 * alpha * beta / size * x * sum_back(dy * x * t ** (-beta - 1))",
        t="k + alpha / size * sum(x ** 2)",
    ),
    ops.Dropout: Entry(
        "passes where x was kept, as much larger as x was", y="where(kept, x / (1 - p), 0)",
        dx="where(kept, dy / (1 - p), 0)",
    ),
    # losses
    ops.CrossEntropy: Entry(
        "softmax − onehot: what the network said minus what is right (0 for samples that are ignored)",
        y="-sum(q * log(softmax(scores)))", dscores="dy * (softmax(scores) * total - q)", total="sum(q)",
        q="weight * ((1 - label_smoothing) * onehot(target) + label_smoothing * mean(onehot(target)))",
    ),
    ops.NLLLoss: Entry(
        "only the score of the right class gets any",
        y="-sum(q * scores)", dscores="-dy * q",
        q="weight * ((1 - label_smoothing) * onehot(target) + label_smoothing * mean(onehot(target)))",
    ),
}  # fmt: skip

ABSENT = {"weight": 1, "bias": 0, "low": -math.inf, "high": math.inf}  # what is not given acts like this


def formula(operation: Function, called: Mapping[str, str] | None = None) -> Formula:
    """Returns the local formulas of an operation, with its settings filled in.

    Operations of your own are looked up in their source; where that does not help, it is only said that there is
    a backward.

    Args:
        operation: One that was applied, or not yet.
        called: What its inputs are called, by their names in the operation, and under `""` its result.

    >>> import tinygrad_cnn as tcnn
    >>> x = tcnn.tensor([1.0, 2.0], requires_grad=True)
    >>> f = formula((x**3).node)
    >>> f.forward, f.backward["x"]
    ('y = x³', '∂L/∂x = ∂L/∂y · 3 · x²')
    >>> formula((x**3).node, {"x": "w", "": "cube"}).backward["x"]
    '∂L/∂w = ∂L/∂cube · 3 · w²'
    """
    known = equations(operation) or _from_source(operation)
    entry = _entry(operation)
    given = operation.input_shapes
    inputs = {operation.input_name(i): shape for i, shape in enumerate(given)}
    inputs = inputs or {operation.input_name(i): () for i in range(len(operation.input_names))}
    result, *_ = known
    own = {result if name == "" else name: text for name, text in (called or {}).items()}
    names = {f"d{name}": f"∂L/∂{own.get(name, name)}" for name in [*inputs, *known]} | own
    said = list(_lines([result], known, names, ()))
    backward = {}
    for name, shape in inputs.items():
        if f"d{name}" in known and shape is not None:
            lines = list(_lines([f"d{name}"], known, names, [result, *_used(result, known)]))
            lines[0] += _aside(operation, shape) if given else ""
            backward[name] = "\n".join(lines)
    return Formula("\n".join(said), backward, entry.words if entry else "")


def equations(operation: Function) -> dict[str, str]:
    """Returns the operation's equations in NumPy's language, its settings filled in; none if it is not in the table."""
    entry = _entry(operation)
    if entry is None:
        return {}
    applied = bool(operation.input_shapes)
    values = _settings(operation)
    if applied and isinstance(operation, ops.Reduction):
        values["count"] = operation.count
    given = dict(zip(operation.input_names, operation.input_shapes)) if applied else {}
    values |= {
        name: value
        for name, value in ABSENT.items()
        if values.get(name, given.get(name)) is None and (applied or name in values)
    }
    if values.get("weight") == 1:
        values["total"] = 1  # without weights, what is wanted of the classes is a distribution
    found: dict[str, str] = {}
    for name, text in entry.equations.items():
        many = operation.variadic and name == f"d{operation.input_names[-1]}"
        for i in range(max(len(operation.input_shapes), 1) if many else 1):
            key = f"{name}[{i}]" if many else name
            tree = ast.parse(text.format(name=operation.name, i=i), mode="eval").body
            found[key] = ast.unparse(fill_in(tree, values))
    return found


def _settings(operation: Function) -> dict[str, Any]:
    return {name: value for name, value in vars(operation).items() if name not in operation.input_names}


def _entry(operation: Function) -> Entry | None:
    """The entry of its class, or of the one whose forward and backward it has."""
    for kind in type(operation).__mro__:
        if kind in FORMULAS:
            return FORMULAS[kind]
        if "forward" in vars(kind) or "backward" in vars(kind):
            break
    return None


def _used(name: str, known: dict[str, str]) -> list[str]:
    """The definitions that an equation needs, and those that they need."""
    found: list[str] = []
    for node in ast.walk(ast.parse(known[name], mode="eval")):
        if isinstance(node, ast.Name) and node.id in known and node.id != name and node.id not in found:
            found += [node.id, *(used for used in _used(node.id, known) if used not in found)]
    return found


def _lines(wanted: list[str], known: dict[str, str], names: dict[str, str], said: Collection[str]) -> Iterator[str]:
    """The equations and the definitions they need, without those said already."""
    definitions = [name for name in _used(wanted[0], known) if name not in wanted and name not in said]
    for name in [*wanted, *definitions]:
        yield f"{names.get(name, name)} = {pretty(known[name], names)}"


def _aside(operation: Function, shape: tuple[int, ...]) -> str:
    """What no equation says: which sums broadcasting adds, and how channels are grouped."""
    if isinstance(operation, (ops.Conv, ops.ConvTranspose)) and operation.groups != 1 and len(shape) > 1:
        return f", in each of {operation.groups} groups"
    whole = operation.shape
    if isinstance(operation, ops.MatMul):  # a vector is a matrix of one row or column
        matrix_axes = sum(len(s) > 1 for s in operation.input_shapes)
        whole, shape = whole[: len(whole) - matrix_axes], shape[:-2]
    elif not isinstance(operation, (ops.Broadcast, ops.Expand)):
        return ""
    return ", summed over broadcast axes" if operation.parents and shape != whole else ""


def _from_source(operation: Function) -> dict[str, str]:
    """Equations of an operation that is not in the table, from the code of its forward and backward."""
    inputs = operation.input_names
    result = "z" if "y" in inputs else "y"
    name = operation.name if str(operation.name).isidentifier() else type(operation).__name__
    found = {result: f"{name}({', '.join(inputs)})"}
    if not operation.differentiable:
        return found
    wanted = [operation.input_name(i) for i in range(max(len(operation.input_shapes), len(inputs)))]
    found |= {f"d{name}": f"backward(d{result})" for name in wanted}
    try:
        forward = Reading(operation.forward)
        value = forward.result.elts[0] if isinstance(forward.result, ast.Tuple) else forward.result
        same = ast.dump(value)  # y where the result itself was saved
        saved = {k: ast.Name(result) if ast.dump(kept) == same else kept for k, kept in forward.saved.items()}
        found[result] = _short(value, operation) or found[result]
        backward = Reading(operation.backward, saved, f"d{result}").result
        gradients = backward.elts if isinstance(backward, (ast.Tuple, ast.List)) else [backward]
    except (
        OSError,
        TypeError,
        SyntaxError,
        ValueError,
        AttributeError,
        LookupError,
        RecursionError,
    ):  # no source, or not simple
        return found
    if len(gradients) == len(wanted):
        for name, gradient in zip(wanted, gradients):
            found[f"d{name}"] = _short(gradient, operation) or found[f"d{name}"]
    return found


def _short(value: ast.expr, operation: Function) -> str:
    text = ast.unparse(fill_in(copy.deepcopy(value), _settings(operation)))
    return text if len(text) <= 80 else ""
