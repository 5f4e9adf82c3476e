"""Element-wise non-linearities, one kernel each; softmax with a thread for each row."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_cnn.backends import namespace
from tinygrad_cnn.kernels.cuda.each import Each, taken
from tinygrad_cnn.kernels.cuda.layout import channels_outermost, in_one_piece
from tinygrad_cnn.kernels.table import kernel

Array = Any

#: The sigmoid of x; for negative x as eˣ / (1 + eˣ), so that no exp overflows.
SIGMOID = """
template <typename T> __device__ T sigmoid(T x) {
    return exp(x < 0 ? x : T(0)) / (1 + exp(-fabs(x)));
}
"""

relu_forward = Each("T x", "T y, bool mask", "mask = x > 0; y = x <= 0 ? T(0) : x", name="relu_forward")
leaky_relu_forward = Each(
    "T x, T slope", "T y, bool mask", "mask = x > 0; y = mask ? x : x * slope", name="leaky_relu_forward"
)
hardtanh_forward = Each(
    "T x, T low, T high", "T y, bool inside",
    "inside = !(x <= low || x >= high); T raised = x < low ? low : x; y = raised > high ? high : raised",
    name="hardtanh_forward",
)  # fmt: skip
masked = Each("T dy, bool mask", "T dx", "dx = mask ? dy : T(0)", name="relu_backward")
leaky_relu_backward = Each(
    "T dy, bool mask, T slope", "T dx", "dx = mask ? dy : dy * slope", name="leaky_relu_backward"
)
elu_forward = Each("T x, T alpha, T scale", "T y", "y = (x <= 0 ? alpha * expm1(x) : x) * scale", name="elu_forward")
elu_backward = Each(
    "T dy, T x, T alpha, T scale", "T dx", "dx = (x <= 0 ? dy * (alpha * exp(x)) : dy) * scale", name="elu_backward"
)
sigmoid_forward = Each("T x", "T y", "y = sigmoid(x)", name="sigmoid_forward", helpers=SIGMOID)
sigmoid_backward = Each("T dy, T y", "T dx", "dx = dy * (y * (1 - y))", name="sigmoid_backward")
silu_forward = Each("T x", "T y", "y = x * sigmoid(x)", name="silu_forward", helpers=SIGMOID)
silu_backward = Each(
    "T dy, T x", "T dx", "T gate = sigmoid(x); dx = dy * (gate * (1 + x * (1 - gate)))",
    name="silu_backward", helpers=SIGMOID,
)  # fmt: skip
softplus_forward = Each(
    "T x, T beta, T threshold", "T y",
    """
    T scaled = x * beta;
    T smooth = (scaled > 0 ? scaled : T(0)) + log1p(exp(-fabs(scaled)));  // e^scaled itself would overflow
    y = scaled > threshold ? x : smooth / beta
    """,
    name="softplus_forward",
)  # fmt: skip
softplus_backward = Each(
    "T dy, T x, T beta, T threshold", "T dx", "dx = x * beta > threshold ? dy : dy * sigmoid(x * beta)",
    name="softplus_backward", helpers=SIGMOID,
)  # fmt: skip
tanh_forward = Each("T x", "T y", "y = tanh(x)", name="tanh_forward")
tanh_backward = Each("T dy, T y", "T dx", "dx = dy * (1 - y * y)", name="tanh_backward")

_HALF_ROOT, _BELL, _TANH = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi), math.sqrt(2 / math.pi)
gelu_forward = Each("T x", "T y", f"y = x * (erfc(-x * T({_HALF_ROOT})) / 2)", name="gelu_forward")
gelu_backward = Each(
    "T dy, T x", "T dx",
    f"""
    T share = erfc(-x * T({_HALF_ROOT})) / 2, slope = exp(x * x / -2) * T({_BELL});
    dx = dy * (share + x * slope)
    """,
    name="gelu_backward",
)  # fmt: skip
gelu_tanh_forward = Each(
    "T x", "T y", f"y = x * ((1 + tanh(T({_TANH}) * (x + T(0.044715) * (x * x * x)))) / 2)", name="gelu_tanh_forward"
)
gelu_tanh_backward = Each(
    "T dy, T x", "T dx",
    f"""
    T t = tanh(T({_TANH}) * (x + T(0.044715) * (x * x * x)));
    T slope = (1 - t * t) * (T({_TANH / 2}) * (1 + T({3 * 0.044715}) * (x * x)));
    dx = dy * ((1 + t) / 2 + x * slope)
    """,
    name="gelu_tanh_backward",
)  # fmt: skip


def walk(each: Each, array: Array, *others: Any) -> Any:
    """A kernel of arrays of one shape, in the order in which the first one lies; numbers may follow."""
    arrays = [array, *(a for a in others if hasattr(a, "shape"))]
    numbers = others[len(arrays) - 1 :]
    if not taken(*(a for a in arrays if a.dtype != "bool")):
        return NotImplemented
    if array.ndim < 2 or not channels_outermost(array):
        return each(*arrays, *numbers)
    result = each(*(a.swapaxes(0, 1) for a in arrays), *numbers)
    return tuple(a.swapaxes(0, 1) for a in result) if isinstance(result, tuple) else result.swapaxes(0, 1)


def _register(name: str, each: Each) -> None:
    @kernel(name, backend="cuda")
    def _(array: Array, *others: Any) -> Any:
        return walk(each, array, *others)


for _each in (
    relu_forward, leaky_relu_forward, leaky_relu_backward, hardtanh_forward, elu_forward, elu_backward, sigmoid_forward,
    sigmoid_backward, silu_forward, silu_backward, softplus_forward, softplus_backward, tanh_forward, tanh_backward,
):  # fmt: skip
    _register(_each.name, _each)
for _name in ("relu_backward", "hardtanh_backward"):
    _register(_name, masked)


@kernel("gelu_forward", backend="cuda")
def _(x: Array, approximate: str) -> Array:
    return walk(gelu_forward if approximate == "none" else gelu_tanh_forward, x)


@kernel("gelu_backward", backend="cuda")
def _(dy: Array, x: Array, approximate: str) -> Array:
    return walk(gelu_backward if approximate == "none" else gelu_tanh_backward, dy, x)


#: A row of more numbers is read by many threads: `reference/` does it by sums and maxima of the array library.
MOST_IN_A_ROW = 64

#: The largest number of row i, and the sum of exp once it is taken off, so that none overflows.
HIGHEST_AND_SUM = """
    T highest = x[i * size], sum = 0;
    for (int j = 0; j < size; j++) { T a = x[i * size + j]; highest = a > highest || a != a ? a : highest; }
    for (int j = 0; j < size; j++) sum += exp(x[i * size + j] - highest);
"""

softmax_forward = Each(
    "raw T x, int32 size", "raw T y",
    HIGHEST_AND_SUM + """
    for (int j = 0; j < size; j++) y[i * size + j] = exp(x[i * size + j] - highest) / sum;
    """,
    name="softmax_forward",
)  # fmt: skip
softmax_backward = Each(
    "raw T dy, raw T y, int32 size", "raw T dx",
    """
    T sum = 0;
    for (int j = 0; j < size; j++) sum += dy[i * size + j] * y[i * size + j];
    for (int j = 0; j < size; j++) dx[i * size + j] = y[i * size + j] * (dy[i * size + j] - sum);
    """,
    name="softmax_backward",
)  # fmt: skip
log_softmax_forward = Each(
    "raw T x, int32 size", "raw T y",
    HIGHEST_AND_SUM + """
    for (int j = 0; j < size; j++) y[i * size + j] = x[i * size + j] - highest - log(sum);
    """,
    name="log_softmax_forward",
)  # fmt: skip
log_softmax_backward = Each(
    "raw T dy, raw T y, int32 size", "raw T dx",
    """
    T sum = 0;
    for (int j = 0; j < size; j++) sum += dy[i * size + j];
    for (int j = 0; j < size; j++) dx[i * size + j] = dy[i * size + j] - exp(y[i * size + j]) * sum;
    """,
    name="log_softmax_backward",
)  # fmt: skip


def rows(each: Each, dim: int, *arrays: Array) -> Array:
    """A kernel with a thread for each row of the last axis, if `dim` is that."""
    *_, size = shape = arrays[0].shape
    if dim % len(shape) != len(shape) - 1 or not 0 < size <= MOST_IN_A_ROW or not taken(*arrays):
        return NotImplemented
    out = namespace(arrays[0]).empty(shape, arrays[0].dtype)
    each(*map(in_one_piece, arrays), size, out, size=out.size // size)
    return out


def _register_rows(each: Each) -> None:
    if each.name.endswith("forward"):

        @kernel(each.name, backend="cuda")
        def _(x: Array, dim: int) -> Array:
            return rows(each, dim, x)

    else:

        @kernel(each.name, backend="cuda")
        def _(dy: Array, y: Array, dim: int) -> Array:
            return rows(each, dim, dy, y)


for _each in (softmax_forward, softmax_backward, log_softmax_forward, log_softmax_backward):
    _register_rows(_each)
