"""How a function as a lecture writes it stands in for a kernel: an adapter of a few lines for each.

An adapter gets the student's function (or functions) and the kernel's arguments, and returns what the kernel returns.
Where a call has more to it than the student's function was asked for, groups or dilation say, it raises `Beyond`, and
the library computes that call. It is called with NumPy arrays only, none of them empty, float32 or float64 throughout.

A teacher's exercise brings its own in a file `plug.py` in its folder, written like this one; where the function has the
kernel's very arguments, `kernel = "its name"` in exercise.toml is enough.
"""
# ruff: noqa: D103 - the name of an adapter says all: what a docstring could add is in the exercise

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.exercises.sandbox.wire import Node
from tinygrad_cnn.shapes import Shape, Window

Array = Any
Yours = Callable[..., Any]
Gradients = tuple[Array | None, ...]

#: Functions of exercises that no kernel computes → who does.
ELSEWHERE = {
    "backward": "the walk back is a part of Tensor itself",
    "output_size": "sizes are computed once, by tinygrad_cnn.shapes",
    "col2im": "the gradient is asked of conv2d_backward",
    "max_pool2d_backward_from_x": "the gradient is asked of max_pool2d_backward, with the index that forward noted",
}


class Beyond(Exception):
    """A call that the student's function was not asked for; the library computes it."""


@dataclass(frozen=True)
class Adapter:
    """Functions of the student's in a kernel's place.

    Attributes:
        name: What the student calls what it computes: their function's name, or of several the kernel's.
        functions: Names of the student's functions, which `adapt` gets first.
        kernel: Whose place they take.
        adapt: From the functions and the kernel's arguments to the kernel's result.
    """

    name: str
    functions: tuple[str, ...]
    kernel: str
    adapt: Callable[..., Any]


def stands_in(*functions: str, kernel: str = "") -> Callable[[Callable[..., Any]], Adapter]:
    """Makes an adapter of a function.

    Args:
        *functions: Names of the student's functions that it takes first, if it takes not one of its own name.
        kernel: Whose place they take, if it is not that of its own name.
    """

    def made(adapt: Callable[..., Any]) -> Adapter:
        name: str = adapt.__name__
        told = kernel if len(functions) > 1 else name
        return Adapter(told, functions or (name,), kernel or name, adapt)

    return made


def as_it_is(function: str, kernel: str) -> Adapter:
    """For a function that has the kernel's own arguments."""
    return Adapter(function, (function,), kernel, lambda yours, *args, **kwargs: yours(*args, **kwargs))


def adapters_in(names: dict[str, Any]) -> list[Adapter]:
    """Those that a module defines, in their order."""
    return [value for value in names.values() if isinstance(value, Adapter)]


# ---- activations


@stands_in()
def relu_forward(yours: Yours, x: Array) -> tuple[Array, Array]:
    return yours(x), x > 0


@stands_in()
def relu_backward(yours: Yours, dy: Array, mask: Array) -> Array:
    return yours(dy, np.where(mask, 1, -1).astype(dy.dtype))  # a stand-in for x, of which the mask is left


sigmoid_forward, sigmoid_backward, tanh_forward, tanh_backward = (
    as_it_is(name, name) for name in ("sigmoid_forward", "sigmoid_backward", "tanh_forward", "tanh_backward")
)


def along(dim: int, function: Yours, *arrays: Array) -> Array:
    """A function of rows (N, C), along any dimension of arrays."""
    ends = [np.moveaxis(a, dim, -1) for a in arrays]
    y = function(*(a.reshape(-1, a.shape[-1]) for a in ends))
    return np.moveaxis(y.reshape(ends[0].shape), -1, dim)


@stands_in()
def softmax_forward(yours: Yours, x: Array, dim: int) -> Array:
    return along(dim, yours, x)


@stands_in()
def softmax_backward(yours: Yours, dy: Array, y: Array, dim: int) -> Array:
    return along(dim, yours, dy, y)


# ---- the graph


@stands_in()
def unbroadcast(yours: Yours, dy: Array, shape: Shape) -> Array:
    return np.asarray(yours(dy, shape))  # a sum over everything may come as a scalar


@stands_in()
def toposort(yours: Yours, root: Any) -> list[Any]:
    twins, waiting = {root: Node(root.name)}, [root]  # as in the exercise; inputs without a gradient (None) left out
    while waiting:
        node = waiting.pop()
        parents = [parent for parent in node.parents if parent is not None]
        new = [parent for parent in dict.fromkeys(parents) if parent not in twins]
        twins |= {parent: Node(parent.name) for parent in new}
        twins[node].parents = tuple([twins[parent] for parent in parents])
        waiting += new
    node_of = {twin: node for node, twin in twins.items()}
    return [node_of[twin] for twin in yours(twins[root])]


# ---- linear, and the loss


@stands_in()
def linear_forward(yours: Yours, x: Array, weight: Array, bias: Array | None = None) -> Array:
    D, F = weight.shape
    return yours(x.reshape(-1, F), weight, bias_or_zeros(bias, weight)).reshape(*x.shape[:-1], D)


@stands_in()
def linear_backward(yours: Yours, dy: Array, x: Array, weight: Array, needs: Any) -> Gradients:
    D, F = weight.shape
    dx, dweight, dbias = yours(dy.reshape(-1, D), x.reshape(-1, F), weight)
    return wanted(needs, dx.reshape(x.shape), dweight, dbias)


def wanted(needs: Any, dx: Array, dweight: Array, dbias: Array) -> Gradients:
    """The gradients that were asked for: a layer may have no bias, and images need no gradient."""
    return dx if needs.x else None, dweight if needs.weight else None, dbias if needs.bias else None


def bias_or_zeros(bias: Array | None, weight: Array) -> Array:
    """A layer without bias is one whose bias is 0."""
    return np.zeros(len(weight), weight.dtype) if bias is None else bias


@stands_in()
def cross_entropy_forward(yours: Yours, logits: Array, target: Array) -> tuple[Array, Array]:
    labels = right_classes(target)
    # sample by sample: the student's loss is the mean, the kernel's one number each
    losses, probabilities = zip(*(yours(logits[n : n + 1], labels[n : n + 1]) for n in range(len(logits))))
    return np.array(losses, logits.dtype), np.log(np.concatenate(probabilities))


@stands_in()
def cross_entropy_backward(yours: Yours, dy: Array, log_probabilities: Array, target: Array) -> Array:
    of_mean = yours(np.exp(log_probabilities), right_classes(target))
    return of_mean * (len(dy) * dy)[:, None]


def right_classes(target: Array) -> Array:
    """The number of the class that has all the probability, for each sample."""
    if target.ndim != 2 or not ((target == 0) | (target == 1)).all() or not (target.sum(axis=1) == 1).all():
        raise Beyond
    return target.argmax(axis=1)


# ---- optimizers


@stands_in()
def sgd_step(
    yours: Yours,
    w: Array,
    dw: Array,
    velocity: Array | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    if dampening or nesterov:
        raise Beyond
    yours(w, dw, np.zeros_like(w) if velocity is None else velocity, lr, momentum, weight_decay)


@stands_in()
def adam_step(
    yours: Yours,
    w: Array,
    dw: Array,
    m: Array,
    v: Array,
    v_max: Array | None = None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    if v_max is not None or weight_decay:
        raise Beyond
    yours(w, dw, m, v, step, lr, beta1, beta2, eps)


# ---- convolution


def one_number(window: Window, sizes: Sequence[int]) -> tuple[int, int]:
    """Stride and padding, where one number each says all about the window."""
    stride, padding = window.stride[0], window.pads[0][0]
    if Window(window.kernel, stride, padding).pads != window.pads or set(window.stride) != {stride}:
        raise Beyond
    if set(window.dilation) != {1} or Window(window.kernel, stride, padding).outs(sizes) != window.outs(sizes):
        raise Beyond  # dilation, or ceil_mode where it makes a difference
    return stride, padding


def without_groups(window: Window, sizes: Sequence[int], groups: int) -> tuple[int, int]:
    """The same, for a convolution whose filters see all channels."""
    if groups != 1:
        raise Beyond
    return one_number(window, sizes)


@stands_in()
def conv2d_forward(yours: Yours, x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1) -> Array:
    stride, padding = without_groups(window, x.shape[2:], groups)
    return yours(x, weight, bias_or_zeros(bias, weight), stride, padding)


@stands_in("im2col", "conv2d_from_columns", kernel="conv2d_forward")
def conv2d_by_im2col(
    im2col: Yours, from_columns: Yours, x: Array, weight: Array, bias: Array | None, window: Window, groups: int = 1
) -> Array:
    stride, padding = without_groups(window, x.shape[2:], groups)
    columns = im2col(x, window.kernel, stride, padding)
    out_shape = (len(x), len(weight), *window.outs(x.shape[2:]))
    return from_columns(columns, weight, bias_or_zeros(bias, weight), out_shape)


@stands_in()
def conv2d_backward(
    yours: Yours, dy: Array, x: Array, weight: Array, window: Window, groups: int = 1, *, needs: Any
) -> Gradients:
    stride, padding = without_groups(window, x.shape[2:], groups)
    return wanted(needs, *yours(dy, x, weight, stride, padding))


# ---- pooling


@stands_in()
def max_pool2d_forward(yours: Yours, x: Array, window: Window) -> tuple[Array, Array]:
    y, index = yours(x, window.kernel, *one_number(window, x.shape[2:]))
    return y, index.astype(np.uint8 if len(window) <= 256 else np.int32)  # kept until backward: 1 byte, not 8


@stands_in()
def max_pool2d_backward(yours: Yours, dy: Array, index: Array, shape: Shape, window: Window) -> Array:
    # int64, as in the exercise: sums of a uint8 and a place in the image would overflow
    return yours(dy, index.astype(np.int64), shape, window.kernel, *one_number(window, shape[2:]))


@stands_in()
def avg_pool2d_forward(yours: Yours, x: Array, window: Window, divisor: Any) -> Array:
    stride, padding = one_number(window, x.shape[2:])
    return yours(x, window.kernel, stride, padding, padding_counts(divisor, x.shape, window))


@stands_in()
def avg_pool2d_backward(yours: Yours, dy: Array, shape: Shape, window: Window, divisor: Any) -> Array:
    stride, padding = one_number(window, shape[2:])
    return yours(dy, shape, window.kernel, stride, padding, padding_counts(divisor, shape, window))


def padding_counts(divisor: Any, shape: Shape, window: Window) -> bool:
    """What the kernel's divisor says about padding: whether it counts as pixels of the window."""
    if np.ndim(divisor) == 0 and divisor == len(window):
        return True
    inside = kernels.get("avg_pool2d_forward").library(np.ones((1, 1, *shape[2:])), window, 1)[0, 0]
    if np.ndim(divisor) and np.array_equal(np.broadcast_to(divisor, inside.shape), inside):
        return False
    raise Beyond  # divisor_override


@stands_in(kernel="lp_pool2d_forward")
def l2_pool2d_forward(yours: Yours, x: Array, window: Window, p: float, scale: Any) -> Array:
    return yours(x, window.kernel, l2_stride(x.shape, window, p, scale))


@stands_in(kernel="lp_pool2d_backward")
def l2_pool2d_backward(yours: Yours, dy: Array, x: Array, y: Array, window: Window, p: float, scale: Any) -> Array:
    return yours(dy, x, y, window.kernel, l2_stride(x.shape, window, p, scale))


def l2_stride(shape: Shape, window: Window, p: float, scale: Any) -> int:
    """The stride of a pooling with the 2-norm, without padding."""
    stride, padding = one_number(window, shape[2:])
    if p != 2 or padding or np.ndim(scale) or scale != 1:
        raise Beyond
    return stride


# ---- normalisation and dropout


@stands_in(kernel="normalise_forward")
def batch_norm_forward(
    yours: Yours, x: Array, weight: Array | None, bias: Array | None, axes: tuple[int, ...], eps: float
) -> tuple[Array, ...]:
    images, weight, bias = of_batch(x, axes), per_channel(weight, x, 1), per_channel(bias, x, 0)
    C = len(weight)
    running = np.zeros(C, x.dtype), np.ones(C, x.dtype)  # not looked at: the layer keeps its own
    y, mean, var = yours(images, weight, bias, *running, True, 0.1, eps)
    mean, var = mean.reshape(1, C, 1), var.reshape(1, C, 1)
    return y.reshape(x.shape), mean, 1 / np.sqrt(var + eps), var


@stands_in(kernel="normalise_backward")
def batch_norm_backward(
    yours: Yours,
    dy: Array,
    x: Array,
    mean: Array,
    inverse_std: Array,
    weight: Array | None,
    axes: tuple[int, ...],
    beside: Shape,
    needs: Any,
) -> Gradients:
    images, var = of_batch(x, axes), inverse_std**-2  # eps is in it already
    dx, dweight, dbias = yours(of_batch(dy, axes), images, per_channel(weight, x, 1), mean.ravel(), var.ravel(), 0.0)
    return wanted(needs, dx.reshape(x.shape), dweight.reshape(beside), dbias.reshape(beside))


def of_batch(x: Array, axes: tuple[int, ...]) -> Array:
    """The images of x, if each channel is normalised over samples and positions: not so in layer or group norm."""
    if x.ndim != 3 or axes != (0, 2):
        raise Beyond
    return x[:, :, None]  # (N, C, M) -> (N, C, 1, M)


def per_channel(parameter: Array | None, x: Array, otherwise: float) -> Array:
    return np.full(x.shape[1], otherwise, x.dtype) if parameter is None else parameter.ravel()


@stands_in()
def local_response_norm_forward(yours: Yours, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    return yours(of_images(x), size, alpha, beta, k)


@stands_in()
def local_response_norm_backward(
    yours: Yours, dy: Array, x: Array, size: int, alpha: float, beta: float, k: float
) -> Array:
    return yours(dy, of_images(x), size, alpha, beta, k)


def of_images(x: Array) -> Array:
    if x.ndim != 4:
        raise Beyond
    return x


@stands_in()
def dropout_forward(yours: Yours, x: Array, p: float, seed: int, offset: int) -> Array:
    if p == 1:
        raise Beyond  # 0/0
    keep = kernels.dropout_keep(x, p, seed, offset)
    y, _ = yours(x, p, True, np.where(keep, (1 + p) / 2, p / 2))  # numbers on the side of p that the mask says
    return y


@stands_in()
def dropout_backward(yours: Yours, dy: Array, p: float, seed: int, offset: int) -> Array:
    if p == 1:
        raise Beyond
    return yours(dy, kernels.dropout_keep(dy, p, seed, offset), p)


ADAPTERS = adapters_in(globals())  # of two for one kernel the later one is preferred: im2col is faster than loops
