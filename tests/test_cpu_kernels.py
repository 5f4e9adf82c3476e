"""Every fast kernel against the readable one, found through the table: nobody adds it to a list.

A new kernel with a `cpu` version needs a generator of arguments in `GENERATORS`; without one the first test fails.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Needs
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.cpu import blocks, elementwise
from tinygrad_cnn.kernels.cpu.layout import batch_last
from tinygrad_cnn.random import philox
from tinygrad_cnn.shapes import Window
from tinygrad_cnn.textbook import conv as textbook

FAST = [name for name in kernels.names() if "cpu" in kernels.get(name).implementations]
GENERATORS: dict[str, Callable[[Draw], Iterator[tuple[tuple[Any, ...], dict[str, Any]]]]] = {}


class Draw:
    """Arrays of one format from one random stream, lying in memory as asked."""

    def __init__(self, dtype: str, layout: str) -> None:
        self.dtype, self.layout = np.dtype(dtype), layout
        self.draw = np.random.default_rng(7)

    def __call__(self, *shape: int, ties: bool = False) -> np.ndarray:
        values = self.draw.integers(-2, 3, shape) if ties else self.draw.normal(size=shape)
        return self.laid(values.astype(self.dtype))

    def laid(self, array: np.ndarray) -> np.ndarray:
        """The same numbers, elsewhere in memory."""
        match self.layout:
            case "batch innermost":  # as the fast kernels return images
                return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, -1)), -1, 0)
            case "channels outermost":  # as kernels for a GPU return images
                if array.ndim < 2:
                    return np.ascontiguousarray(array)
                return np.ascontiguousarray(array.swapaxes(0, 1)).swapaxes(0, 1)
            case "reversed axes":  # as after .T
                return np.ascontiguousarray(array.T).T
            case "every second":  # as after x[..., ::2]
                wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
                wide[..., ::2] = array
                return wide[..., ::2]
            case "backwards":  # as after flip
                return np.ascontiguousarray(array[::-1])[::-1]
            case "repeated":  # as after expand: strides of 0
                return np.broadcast_to(array[:1], array.shape)
        return np.ascontiguousarray(array)


LAYOUTS = ["contiguous", "batch innermost", "reversed axes", "every second", "backwards", "repeated"]


def generator(*names: str) -> Any:
    def register(function: Any) -> Any:
        for name in names:
            GENERATORS[name] = function
        return function

    return register


def needs(*flags: bool) -> Needs:
    return Needs(("x", "weight", "bias"), flags)


# (N, C, H, W), K, (R, S), groups, the rest of the window; no two sizes equal where that could hide an exchange
CONVOLUTIONS: list[tuple[tuple[int, ...], int, tuple[int, ...], int, dict[str, Any]]] = [
    ((5, 3, 9, 7), 4, (2, 3), 1, {}),
    ((7, 2, 8, 6), 3, (3, 2), 1, {"stride": (2, 1), "padding": (1, 2)}),
    ((3, 4, 9, 8), 6, (2, 3), 2, {"dilation": (2, 1), "padding": 1}),
    ((4, 6, 6, 5), 6, (3, 3), 6, {"padding": "same"}),
    ((6, 5, 4, 3), 2, (1, 1), 1, {}),
    ((1, 3, 7, 6), 2, (3, 2), 1, {"stride": 2}),
    ((2, 1, 3, 2), 5, (3, 2), 1, {}),
    ((0, 3, 9, 7), 4, (2, 3), 1, {}),
    ((17, 3, 9, 8), 4, (2, 3), 1, {"stride": (2, 1), "padding": 1}),  # enough samples to lie side by side
    ((16, 32, 7, 6), 16, (3, 3), 1, {"padding": 1}),  # enough channels for fewer multiplications
    ((16, 3, 13, 11), 16, (7, 7), 1, {"stride": 3, "padding": 3}),
    ((64, 3, 30, 28), 8, (5, 3), 1, {"padding": (2, 1)}),  # several blocks, and worth several threads
]
LINES: list[tuple[tuple[int, ...], int, tuple[int, ...], int, dict[str, Any]]] = [
    ((5, 3, 9), 4, (2,), 1, {}),
    ((7, 4, 8), 6, (3,), 2, {"stride": 2, "padding": 2, "dilation": 2}),
    ((4, 6, 7), 6, (4,), 6, {"padding": "same"}),
    ((0, 3, 9), 4, (2,), 1, {}),
    ((64, 8, 200), 16, (9,), 1, {"padding": 4}),
]
VOLUMES: list[tuple[tuple[int, ...], int, tuple[int, ...], int, dict[str, Any]]] = [
    ((5, 3, 5, 4, 6), 4, (2, 1, 3), 1, {}),
    ((3, 2, 6, 5, 7), 3, (3, 2, 2), 1, {"stride": (1, 2, 3), "padding": (2, 0, 1)}),
    ((2, 4, 5, 6, 4), 6, (2, 3, 2), 2, {"dilation": (1, 2, 3), "padding": 1}),
    ((0, 3, 4, 3, 5), 4, (2, 1, 3), 1, {}),
    ((16, 3, 6, 9, 8), 5, (3, 3, 2), 1, {"padding": "same"}),
]


def convolutions(rank: int, cases: Any) -> None:
    @generator(f"conv{rank}d_forward")
    def _(draw: Draw) -> Iterator[Any]:
        for (N, C, *sizes), K, kernel, groups, rest in cases:
            x, weight = draw(N, C, *sizes), draw(K, C // groups, *kernel)
            for bias in (draw(K), None):
                yield (x, weight, bias, Window(kernel, **rest), groups), {}

    @generator(f"conv{rank}d_backward")
    def _(draw: Draw) -> Iterator[Any]:
        for (N, C, *sizes), K, kernel, groups, rest in cases:
            window = Window(kernel, **rest)
            x, weight, dy = draw(N, C, *sizes), draw(K, C // groups, *kernel), draw(N, K, *window.outs(sizes))
            for flags in ((True, True, True), (False, True), (True, False), (False, False, True)):
                yield (dy, x, weight, window, groups), {"needs": needs(*flags)}
            # as in a transposed convolution: fewer outputs than fit, and x only says how large dx is
            shorter = dy[(slice(None), slice(None), *[slice(max(1, n - 1)) for n in dy.shape[2:]])]
            like = np.broadcast_to(np.zeros((), x.dtype), x.shape)
            yield (draw.laid(shorter), like, weight, window, groups), {"needs": needs(True, False)}


for _rank, _cases in ((1, LINES), (2, CONVOLUTIONS), (3, VOLUMES)):
    convolutions(_rank, _cases)


# as CONVOLUTIONS, and the window that pools
ROWS = [
    ((17, 3, 9, 8), 4, (2, 3), 1, {}, Window((2, 2), (2, 2))),
    ((18, 2, 8, 6), 4, (3, 2), 2, {"stride": (2, 1), "padding": (1, 2)}, Window((2, 2), (2, 2))),
    ((33, 1, 12, 9), 6, (5, 5), 1, {"padding": 2}, Window((2, 2), (2, 2))),
    ((5, 3, 9, 8), 4, (2, 3), 1, {}, Window((3, 3), (2, 2), (1, 1))),
    ((0, 3, 9, 8), 4, (2, 3), 1, {}, Window((2, 2), (2, 2))),
]


def rows(way: str, pooled: bool, draw: Draw) -> Iterator[Any]:
    for (N, C, *sizes), K, kernel, groups, rest, pool in ROWS:
        window = Window(kernel, **rest)
        x, weight = draw(N, C, *sizes, ties=pooled), draw(K, C // groups, *kernel, ties=pooled)
        settings = {"window": window, "groups": groups} | ({"pool": pool} if pooled else {})
        if way == "forward":
            for bias in (draw(K, ties=pooled), None):
                yield (x, weight, bias), settings
            continue
        out = window.outs(sizes)
        dy = draw(N, K, *(pool.outs(out) if pooled else out))
        kept = np.maximum(draw(*dy.shape), 0)
        if pooled:
            kept = (draw.laid(draw.draw.choice([*range(len(pool)), 255], dy.shape).astype(np.uint8)), None)
        for flags in ((True, True, True), (False, True, False), (True, False, False)):
            yield (dy, kept, x, weight), settings | {"needs": needs(*flags)}


for _way in ("forward", "backward"):
    GENERATORS[f"conv2d_relu_{_way}"] = functools.partial(rows, _way, False)
    GENERATORS[f"conv2d_relu_max_pool2d_{_way}"] = functools.partial(rows, _way, True)


@generator("linear_relu_forward")
def _(draw: Draw) -> Iterator[Any]:
    yield from GENERATORS["linear_forward"](draw)


@generator("linear_relu_backward")
def _(draw: Draw) -> Iterator[Any]:
    for (dy, x, weight), rest in GENERATORS["linear_backward"](draw):
        yield (dy, np.maximum(draw(*dy.shape), 0), x, weight), rest


# leading sizes of x, F, D
LINEAR = [((3,), 5, 2), ((1,), 4, 3), ((2, 3), 5, 4), ((0,), 3, 2), ((7, 1), 1, 6), ((128,), 400, 120)]


@generator("linear_forward")
def _(draw: Draw) -> Iterator[Any]:
    for leading, F, D in LINEAR:
        x, weight = draw(*leading, F), draw(D, F)
        for bias in (draw(D), None):
            yield (x, weight, bias), {}


@generator("linear_backward")
def _(draw: Draw) -> Iterator[Any]:
    for leading, F, D in LINEAR:
        dy, x, weight = draw(*leading, D), draw(*leading, F), draw(D, F)
        for flags in ((True, True, True), (False, True), (True, False), (False, False, True)):
            yield (dy, x, weight), {"needs": needs(*flags)}


POOLS: list[tuple[tuple[int, ...], Window]] = [
    ((3, 2, 6, 8), Window((2, 2), (2, 2))),
    ((3, 2, 7, 9), Window((2, 2), (2, 2))),  # the last row and column are left out
    ((4, 3, 9, 8), Window((3, 2), (2, 1), (1, 0))),  # overlapping
    ((5, 2, 10, 7), Window((2, 3), (2, 2), (0, 1), 1, True)),  # hangs over the edge
    ((1, 1, 5, 4), Window((5, 4))),
    ((3, 2, 5, 4), Window((7, 6), (2, 2), (1, 1))),  # one window, padding and all
    ((2, 2, 9, 7), Window((1, 2), (4, 3))),  # gaps between the windows
    ((0, 2, 6, 8), Window((2, 2), (2, 2))),
    ((4, 3, 9), Window((3,), (2,), (1,))),
    ((2, 3, 300), Window((300,), (300,))),  # more taps than fit into a byte
    ((2, 3, 4, 5, 3), Window((2, 3, 2), (1, 2, 2), (1, 1, 0), 1, True)),
    ((17, 2, 8, 8), Window((3, 3), (2, 2))),
    ((3, 2, 16, 16), Window((3, 3), (2, 2))),  # images of 1 KB, 2 KB in double precision
    ((9, 2, 16, 32), Window((2, 2), (2, 2))),
    ((2, 2, 7, 9), Window((1, 1), (2, 3))),  # picks pixels
    ((2, 2, 5, 6), Window((3, 1), (1, 2), (1, 0))),
    ((33, 6, 14, 12), Window((2, 2), (2, 2))),
    ((24, 6, 25, 24), Window((3, 3), (2, 2), (1, 1))),
]
DILATED: list[tuple[tuple[int, ...], Window]] = [
    ((1, 2, 2, 2), Window((2, 2), (2, 2), (1, 1), (3, 3))),  # steps over the image: no pixel is met
    ((2, 3, 9, 8), Window((2, 2), (1, 2), 0, (3, 2))),
    ((2, 3, 9), Window((3,), (2,), (1,), (2,))),
]


def pools(rank: str, dilated: bool = False) -> list[tuple[tuple[int, ...], Window]]:
    return [(shape, window) for shape, window in POOLS + DILATED * dilated if window.rank == int(rank)]


def _divisors(window: Window, shape: tuple[int, ...], draw: Draw) -> Iterator[Any]:
    """A number, and an array that differs from window to window."""
    yield 3
    yield draw.laid(
        np.arange(1, 1 + np.prod(window.outs(shape[2:]))).reshape(window.outs(shape[2:])).astype(draw.dtype)
    )


for _rank in "123":

    @generator(f"max_pool{_rank}d_forward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        for shape, window in pools(rank, dilated=True):
            for ties in (False, True):
                yield (draw(*shape, ties=ties), window), {}
            lowest = draw(*shape)
            for value in (-np.inf, np.inf, 0.0):
                yield (draw.laid(np.full_like(lowest, value)), window), {}
            holes = lowest.copy()
            holes[..., ::3] = -np.inf
            yield (draw.laid(holes), window), {}
            if 0 < holes.size < 10_000:
                holes[-1, ..., -1] = np.nan
                yield (draw.laid(holes), window), {}

    @generator(f"max_pool{_rank}d_backward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        forward = kernels.get(f"max_pool{rank}d_forward").implementations["reference"]
        for shape, window in pools(rank, dilated=True):
            y, index = forward(draw(*shape, ties=True), window)
            dy = draw(*y.shape)
            yield (dy, index, shape, window), {}
            yield (dy, draw.laid(index), shape, window), {}
            if dy.size:
                dy = dy.copy()
                dy[:1, :1, ..., 0], dy[-1, -1, ..., -1] = np.inf, np.nan
                yield (draw.laid(dy), draw.laid(index), shape, window), {}
                beyond = index.copy()
                beyond[..., 0] = len(window) if len(window) < 256 else -1  # of no tap
                yield (dy, beyond, shape, window), {}

    @generator(f"avg_pool{_rank}d_forward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        for shape, window in pools(rank):
            for divisor in _divisors(window, shape, draw):
                yield (draw(*shape), window, divisor), {}

    @generator(f"avg_pool{_rank}d_backward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        for shape, window in pools(rank):
            for divisor in _divisors(window, shape, draw):
                yield (draw(*shape[:2], *window.outs(shape[2:])), shape, window, divisor), {}

    @generator(f"lp_pool{_rank}d_forward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        for shape, window in pools(rank):
            x = draw(*shape)
            yield (x, window, 2.0, 1), {}
            for scale in _divisors(window, shape, draw):
                yield (draw.laid(abs(x)), window, 3.0, scale), {}
        yield (draw.laid(x * 1e4), window, 3.0, 1), {}  # in half precision their powers are infinite
        yield (draw.laid(np.full_like(x, np.finfo(x.dtype).max / 64)), window, 2.0, 1), {}
        yield (draw.laid(abs(x) + 1), window, -2.0, 1), {}

    @generator(f"lp_pool{_rank}d_backward")
    def _(draw: Draw, rank: str = _rank) -> Iterator[Any]:
        for (x, window, p, scale), _ in GENERATORS[f"lp_pool{rank}d_forward"](draw):
            # ones and zeros: some windows have the norm 0
            for values in (x, draw.laid((x > 1).astype(x.dtype))) if p > 1 else (x,):
                (y,) = run(f"lp_pool{rank}d_forward", "reference", (values, window, p, scale), {})
                yield (draw(*y.shape), values, draw.laid(y), window, p, scale), {}


# the last is several blocks
ELEMENTWISE = [(3, 4, 5, 6), (2, 7), (5,), (1, 3), (0, 4), (9, 5, 8, 7)]


def numbers(draw: Draw) -> Iterator[np.ndarray]:
    """Arrays for functions of each element: of many equal numbers, and with ∞, NaN and zeros of both signs."""
    for shape in ELEMENTWISE:
        yield draw(*shape, ties=True)
        special = draw(*shape)
        if special.size > 4:
            special = special.copy() * 3
            special.reshape(-1)[:5] = np.nan, np.inf, -np.inf, -0.0, 0.0
            yield draw.laid(special)


@generator("relu_forward", "sigmoid_forward", "silu_forward", "tanh_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        yield (x,), {}


@generator("relu_backward", "hardtanh_backward")
def _(draw: Draw) -> Iterator[Any]:
    for dy in numbers(draw):
        yield (dy, draw(*dy.shape) > 0), {}
        yield (dy, np.ascontiguousarray(draw(*dy.shape)) > 0), {}  # the mask lies elsewhere


@generator("leaky_relu_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for slope in (0.01, 1.0):
            yield (x, slope), {}
        yield (x, -0.5), {}


@generator("leaky_relu_backward")
def _(draw: Draw) -> Iterator[Any]:
    for (dy, mask), _ in GENERATORS["relu_backward"](draw):
        for slope in (0.0, 0.01):
            yield (dy, mask, slope), {}


@generator("hardtanh_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        yield (x, -1, 1), {}
        yield (x, 0.5, 6.0), {}


@generator("elu_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for alpha, scale in ((1.0, 1.0), (1.6, 1.1), (0.0, 1.0), (-2.0, 1.0)):
            yield (x, alpha, scale), {}


@generator("softplus_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for beta, threshold in ((1.0, 20.0), (2.0, 1.5), (0.5, np.inf), (1.0, -1.0)):
            yield (x, beta, threshold), {}


@generator("elu_backward", "softplus_backward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for first, second in ((1.0, 1.0), (2.0, 1.5)):
            yield (draw(*x.shape), x, first, second), {}
            yield (np.ascontiguousarray(draw(*x.shape)), x, first, second), {}


@generator("sigmoid_backward", "tanh_backward", "silu_backward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        yield (draw(*x.shape), x), {}


@generator("gelu_forward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for approximate in ("none", "tanh"):
            yield (draw.laid(np.where(x == -np.inf, -12, x).astype(x.dtype)), approximate), {}


@generator("gelu_backward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for approximate in ("none", "tanh"):
            yield (draw(*x.shape), draw.laid(np.where(np.isinf(x), -12, x).astype(x.dtype)), approximate), {}


NORMS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((5, 3, 4), (0, 2), (1, 3, 1)),
    ((4, 1, 7), (0, 2), (1, 1, 1)),
    ((3, 5, 4), (2,), (1, 5, 1)),
    ((3, 2, 5, 4), (2, 3), (1, 2, 5, 1)),
    ((6, 7), (1,), (1, 7)),
    ((0, 3, 4), (2,), (1, 3, 1)),
    ((16, 6, 150), (0, 2), (1, 6, 1)),  # several blocks
    ((40, 3, 150), (2,), (1, 3, 1)),
    ((12, 5, 1), (0, 2), (1, 5, 1)),  # features, no images
    ((3, 2, 520), (0, 2), (1, 2, 1)),  # runs that are long, and lie apart
    ((7, 2, 3, 1), (2, 3), (1, 2, 3, 1)),  # groups of features: each number has its weight, but not in all samples
    ((17, 2, 3, 8), (2, 3), (1, 2, 3, 1)),
    ((1, 6), (1,), (1, 6)),
    ((50, 33), (1,), (1, 33)),
]


@generator("normalise_forward")
def _(draw: Draw) -> Iterator[Any]:
    for shape, axes, beside in NORMS:
        x = draw(*shape)
        for weight in (draw(*beside), None):
            for bias in (draw(*beside), None):
                yield (x, weight, bias, axes, 1e-3), {}


@generator("normalise_backward")
def _(draw: Draw) -> Iterator[Any]:
    forward = kernels.normalise_forward.implementations["reference"]
    for shape, axes, beside in NORMS:
        x, dy, weight = draw(*shape), draw(*shape), draw(*beside)
        _, mean, inverse_std, _ = forward(x, None, None, axes, 1e-3)
        for flags in ((True, True, True), (False, True), (True, False), (False, False, True)):
            yield (dy, x, mean, inverse_std, weight, axes, beside, needs(*flags)), {}
        yield (dy, x, mean, inverse_std, None, axes, beside, needs(True, False, True)), {}
        yield (np.ascontiguousarray(dy), x, mean, inverse_std, weight, axes, beside, needs(True, True, True)), {}


RESPONSES = [(5, 7), (4, 6), (1, 3), (2, 1), (9, 3), (3, 5), (6, 9)]


@generator("local_response_norm_forward")
def _(draw: Draw) -> Iterator[Any]:
    for size, C in RESPONSES:
        for beta in (0.75, 0.4):
            yield (draw(3, C, 5, 2), size, 0.3, beta, 1.5), {}
    yield (draw(2, 4, 3), 3, -0.01, 0.75, 1.0), {}
    yield (draw(0, 4, 3), 3, 0.1, 0.75, 1.0), {}
    yield (draw(20, 8, 6, 30), 5, 5e-4, 0.75, 2.0), {}


@generator("local_response_norm_backward")
def _(draw: Draw) -> Iterator[Any]:
    for (x, *settings), _ in GENERATORS["local_response_norm_forward"](draw):
        yield (draw(*x.shape), x, *settings), {}


@generator("dropout_keep")
def _(draw: Draw) -> Iterator[Any]:
    for shape in ((3, 5), (7,), (8,), (0, 3), (), (2, 3, 5, 7), (64, 123)):
        x = np.zeros(shape, draw.dtype)
        for p in (0.0, 0.3, 0.5, 1.0):
            yield (x, p, 12345, 3), {}


@generator("dropout_forward", "dropout_backward")
def _(draw: Draw) -> Iterator[Any]:
    for x in numbers(draw):
        for p in (0.0, 0.3, 1.0):
            yield (x, p, 12345, 3), {}
    yield (draw(7, 3, 41), 0.5, 2**64 - 2, 2**63), {}


@generator("class_targets")
def _(draw: Draw) -> Iterator[Any]:
    for shape in ((6,), (1,), (0,), (3, 4)):
        target = draw.laid(draw.draw.integers(0, 5, shape))
        for smoothing in (0.0, 0.3):
            yield (target, 5, None, -100, smoothing, draw.dtype), {}
            yield (target.astype(np.uint8), 5, None, -100, smoothing, draw.dtype), {}
        yield (target, 5, draw(5), -100, 0.3, draw.dtype), {}
        yield (target, 5, None, 2, 0.3, draw.dtype), {}
    for wrong in (-100, -1, 5, 2**40):
        yield (np.array([1, wrong, 4]), 5, None, -100, 0.3, draw.dtype), {}


@generator("cross_entropy_forward")
def _(draw: Draw) -> Iterator[Any]:
    for shape in ((7, 5), (1, 3), (4, 1), (0, 3), (3, 4, 2)):
        logits, target = draw(*shape), draw(*shape)
        yield (logits, target), {}
        yield (draw.laid(logits * 1e4), target), {}
        impossible = logits.copy()
        impossible[:, :1] = -np.inf
        yield (draw.laid(impossible), draw.laid(np.where(np.isinf(impossible), 0, target).astype(draw.dtype))), {}


@generator("cross_entropy_backward")
def _(draw: Draw) -> Iterator[Any]:
    for (logits, target), _ in GENERATORS["cross_entropy_forward"](draw):
        loss, log_probabilities = run("cross_entropy_forward", "reference", (logits, target), {})
        yield (draw(*loss.shape), draw.laid(log_probabilities), target), {}


def belongings(draw: Draw, several: int) -> Iterator[list[np.ndarray]]:
    """A parameter and what an optimizer has beside it: of less than a block, and of more."""
    if draw.layout == "repeated":  # nobody writes into such memory
        draw = Draw(draw.dtype.name, "contiguous")
    for shape in ((2, 3), (0,), (5, 7, 9), (4, 3, 8, 5)):
        yield [draw(*shape) for _ in range(2)] + [draw.laid(abs(draw(*shape))) for _ in range(several)]


@generator("sgd_step")
def _(draw: Draw) -> Iterator[Any]:
    for w, dw, velocity in belongings(draw, 1):
        for decay in (0.0, 0.1):
            yield (w, dw, None), {"lr": 0.1, "weight_decay": decay}
            for rest in ({}, {"dampening": 0.3}, {"nesterov": True}):
                yield (w, dw, velocity), {"lr": 0.1, "momentum": 0.9, "weight_decay": decay, **rest}
        yield (w, np.ascontiguousarray(dw), velocity), {"lr": 0.1, "momentum": 0.9}
        yield (w, dw, np.ascontiguousarray(velocity)), {"lr": 0.1, "momentum": 0.9}
        yield (w, dw), {"velocity": velocity, "lr": 0.1, "momentum": 0.9}


@generator("adam_step")
def _(draw: Draw) -> Iterator[Any]:
    numbers = {"step": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6}
    for w, dw, m, v, v_max in belongings(draw, 3):
        for largest in (None, v_max):
            for rest in ({}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}):
                yield (w, dw, m, v, largest), {**numbers, **rest}


@generator("rmsprop_step")
def _(draw: Draw) -> Iterator[Any]:
    numbers = {"lr": 0.1, "alpha": 0.9, "eps": 1e-3}
    for w, dw, v, velocity, mean in belongings(draw, 3):
        for u in (None, velocity):
            for middle in (None, draw.laid(mean / 100)):
                yield (w, dw, draw.laid(v + 1), u, middle), {**numbers, "momentum": 0.5, "weight_decay": 0.1}


RESIZED: list[tuple[tuple[int, ...], tuple[int, ...], tuple[float | None, ...]]] = [
    ((2, 3, 4), (8,), (None,)),
    ((3, 2, 5), (7,), (1.5,)),
    ((2, 3, 4, 5), (8, 15), (None, 3.0)),
    ((2, 1, 7, 5), (3, 9), (None, None)),  # one axis smaller, one larger
    ((1, 2, 1, 6), (4, 1), (None, None)),
    ((2, 3, 2, 3, 4), (3, 6, 5), (None, 2.0, None)),
    ((0, 3, 4), (6,), (None,)),
]


@generator("interpolate_backward")
def _(draw: Draw) -> Iterator[Any]:
    for shape, size, scales in RESIZED:
        dy = draw(*shape[:2], *size)
        for linear, aligned in ((False, False), (True, False), (True, True)):
            yield (dy, shape, scales, linear, aligned), {}


def test_every_fast_kernel_has_a_generator():
    assert FAST
    assert set(FAST) <= set(GENERATORS), "write a generator of arguments for the new kernel, above"


def run(name: str, kernel_set: str, args: Any, kwargs: Any) -> tuple[Any, ...]:
    kernel = kernels.get(name)
    changing = kernel.implementations["reference"].__annotations__["return"] == "None"
    if changing:  # in place: what is changed are twins of the arguments, and they are the result
        args = [twin(a) for a in args]
        kwargs = {key: twin(a) for key, a in kwargs.items()}
    with np.errstate(all="ignore"):
        result = (kernel.implementations[kernel_set] if kernel_set else kernel)(*args, **kwargs)
    if changing and result is None:
        result = tuple(a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray))
    result = result if isinstance(result, tuple) else (result,)
    *results, last = result
    return (*results, *last) if isinstance(last, tuple) else result  # the last one may be several things for backward


def twin(a: Any) -> Any:
    """A copy of an array that lies in memory as the array does, gaps and all."""
    if not isinstance(a, np.ndarray):
        return a
    if a.base is None or min(a.strides, default=0) < 0:
        return a.copy()
    return np.ndarray(a.shape, a.dtype, a.base.copy().data, 0, a.strides)


@pytest.fixture
def number_of_threads():
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.fixture
def eager(monkeypatch):
    """Threads are used also where it does not pay, and blocks are small, so that small arrays take every path.

    It is a function that makes the blocks large enough for some arrays to be cut into a dozen, not into hundreds.
    """

    def cut(arrays: Any = ()) -> None:
        size = max(1 << 11, *(a.nbytes // 12 for a in arrays if isinstance(a, np.ndarray)), 0)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        monkeypatch.setattr(elementwise, "BLOCK_BYTES", size)

    monkeypatch.setattr(threads, "WORTHWHILE_SECONDS", 0)
    cut()
    return cut


# float16 may differ in its last bit
ROUGH = {"float16": 4e-3, "float32": 2e-5, "float64": 1e-12}


def same(fast: tuple[Any, ...], textbook: tuple[Any, ...], dtype: str, private: bool = False) -> None:
    """Whether results are equal; of private ones, which only the fast backward reads, the reference has none."""
    assert len(fast) == len(textbook)
    for a, b in zip(fast, textbook):
        if b is None and private:
            continue
        if b is None or a is None:
            assert a is b
            continue
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if a.dtype.kind == "f":
            assert_close = np.testing.assert_allclose
            scale = np.nanmax(np.abs(b[np.isfinite(b)]), initial=1)  # sums of many numbers: compare with the largest
            assert_close(a, b, rtol=ROUGH[dtype], atol=ROUGH[dtype] * scale)
        else:
            np.testing.assert_array_equal(a, b)


def as_the_reference(name: str, draw: Draw, numbers_of_threads: Any, number_of_threads: Any, eager: Any) -> None:
    """The reference's numbers with so many threads, the bits of a repetition being the same."""
    dtype = draw.dtype.name
    for args, kwargs in GENERATORS[name](draw):
        eager(args)
        untouched = [a.copy() for a in args if isinstance(a, np.ndarray)]
        textbook = run(name, "reference", args, kwargs)
        for n in numbers_of_threads:
            number_of_threads(n)
            fast = run(name, "cpu", args, kwargs)
            if fast[0] is NotImplemented:
                fast = textbook
            same(fast, textbook, dtype, private=name == "conv2d_relu_max_pool2d_forward")
            again = run(name, "cpu", args, kwargs)
            for a, b in zip(fast, again if again[0] is not NotImplemented else textbook):
                assert a is b or np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for before, after in zip(untouched, (a for a in args if isinstance(a, np.ndarray))):
            assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f"), "an argument was changed"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FAST)
def test_as_the_reference(name, dtype, layout, number_of_threads, eager):
    """Any memory layout, with one, two and three threads, of which each layout has some."""
    some = (1, 3) if layout == "contiguous" else (1 + (LAYOUTS.index(layout) + (dtype == "float64")) % 3,)
    as_the_reference(name, Draw(dtype, layout), some, number_of_threads, eager)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FAST)
def test_any_layout_with_any_number_of_threads(name, dtype, layout, number_of_threads, eager):
    as_the_reference(name, Draw(dtype, layout), (1, 2, 3), number_of_threads, eager)


@pytest.mark.parametrize("name", FAST)
def test_it_does_take_the_usual_arguments(name, eager):
    """A kernel that declined everything would pass all the comparisons."""
    taken = [
        run(name, "cpu", args, kwargs)[0] is not NotImplemented
        for args, kwargs in GENERATORS[name](Draw("float32", "contiguous"))
    ]
    assert sum(taken) >= len(taken) / 3


@pytest.mark.parametrize("name", FAST)
def test_half_precision(name, eager):
    """Half precision comes out as the reference has it, whoever computes it."""
    for args, kwargs in GENERATORS[name](Draw("float16", "contiguous")):
        if sum(a.size for a in args if isinstance(a, np.ndarray)) > 20_000:
            continue
        same(run(name, "", args, kwargs), run(name, "reference", args, kwargs), "float16")


def test_results_are_arrays_of_their_own():
    """No work space is reachable from a result, and no two results share memory."""
    for name in FAST:
        for args, kwargs in GENERATORS[name](Draw("float32", "contiguous")):
            first, second = run(name, "cpu", args, kwargs), run(name, "cpu", args, kwargs)
            arrays = [a for a in (*first, *second) if isinstance(a, np.ndarray)]
            given = [a for a in args if isinstance(a, np.ndarray)]
            for i, a in enumerate(arrays):
                assert not any(np.shares_memory(a, b) for b in (*arrays[:i], *given)), name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in FAST if name.startswith(("max_pool", "avg_pool"))])
def test_pooling_is_exact(name, dtype, layout, number_of_threads, eager):
    """The same bits as the readable kernel: the first of equals wins, and sums are added in the order of the taps."""
    number_of_threads(2)
    for args, kwargs in GENERATORS[name](Draw(dtype, layout)):
        eager(args)
        fast = run(name, "cpu", args, kwargs)
        if fast[0] is not NotImplemented:
            for a, b in zip(fast, run(name, "reference", args, kwargs), strict=True):
                assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@pytest.mark.parametrize("window", [Window((2, 2), (2, 2)), Window((3, 3), (2, 2))])
def test_infinite_gradients_are_no_exception(window):
    """They reach the winner and nobody else, without help of the reference."""
    x = np.arange(2 * 3 * 7 * 7, dtype=np.float32).reshape(2, 3, 7, 7)  # the last pixel of each window wins
    _, index = kernels.max_pool2d_forward(x, window)
    dy = np.full(index.shape, np.inf, np.float32)
    (dx,) = run("max_pool2d_backward", "cpu", (dy, index, x.shape, window), {})
    assert set(dx.ravel().tolist()) == {0.0, np.inf}
    assert np.isinf(dx).sum() == dy.size


@pytest.mark.parametrize(("size", "step"), [(2, 2), (3, 2), (3, 1)])
@pytest.mark.parametrize("innermost", [False, True])
def test_images_keep_their_order(size, step, innermost, number_of_threads, eager):
    """Pooling and normalisation return images, numbers of taps and gradients in the order of x."""
    number_of_threads(2)
    draw = Draw("float32", "batch innermost" if innermost else "contiguous")
    x, window = draw(17, 4, 9, 8), Window((size, size), (step, step))
    dy, weight = draw(17, 4, *window.out(9, 8)), draw(1, 4, 1)
    with np.errstate(all="ignore"):
        y, index = kernels.max_pool2d_forward(x, window)
        mean = kernels.avg_pool2d_forward(x, window, size**2)
        dx = kernels.max_pool2d_backward(np.ascontiguousarray(dy), index, x.shape, window)
        results = [y, index, mean, dx, kernels.avg_pool2d_backward(dy, x.shape, window, size**2)]
        norm = kernels.lp_pool2d_forward(x, window, 2.0, 1)
        results += [norm, kernels.lp_pool2d_backward(np.ascontiguousarray(dy), x, norm, window, 2.0, 1)]
        settings = 5, 1e-3, 0.75, 2.0
        results.append(kernels.local_response_norm_forward(x, *settings))
        results.append(kernels.local_response_norm_backward(np.ascontiguousarray(x), x, *settings))
        for seen, axes, beside in (
            (x.reshape(17, 4, 72), (0, 2), (1, 4, 1)),
            (x.reshape(17, 4, 72), (2,), (1, 4, 1)),
            (x.reshape(17, 2, 2, 72), (2, 3), (1, 2, 2, 1)),
            (x.reshape(17, 288), (1,), (1, 288)),
        ):
            scale = np.resize(weight, beside).astype(np.float32)
            out, means, inverse_std, _ = kernels.normalise_forward(seen, scale, scale, axes, 1e-5)
            arrived = np.ascontiguousarray(seen)
            wanted = needs(True, True, True)
            back = kernels.normalise_backward(arrived, seen, means, inverse_std, scale, axes, beside, wanted)
            results += [a.reshape(x.shape) for a in (out, back[0])]
    for result in results:
        assert batch_last(result) == innermost
        assert result.flags.c_contiguous != innermost


def test_numpys_buffer_is_given_back(number_of_threads, eager):
    """The kernels work with a shorter one, also where they give up."""
    number_of_threads(2)
    size = np.getbufsize()
    images = Draw("float32", "contiguous")(4, 3, 8, 8)
    for name in ("max_pool2d_forward", "avg_pool2d_forward"):
        for x in (images, np.full_like(images, np.nan)):
            run(name, "cpu", (x, Window((2, 2), (2, 2)), *(4,) * (name[0] == "a")), {})
            assert np.getbufsize() == size


ALONG_THE_MEMORY = ["dropout_forward", "dropout_backward"] + [
    name for name in FAST if kernels.get(name).implementations["cpu"].__module__.endswith(".activations")
]


@pytest.mark.parametrize("layout", LAYOUTS[:3])
@pytest.mark.parametrize("name", ALONG_THE_MEMORY)
def test_results_lie_as_the_input_does(name, layout, eager):
    """Also where the gradient that arrives lies otherwise, in blocks and whole."""
    for args, kwargs in GENERATORS[name](Draw("float32", layout)):
        *_, like = [a for a in args if isinstance(a, np.ndarray)]  # in backward what was kept of the input
        results = run(name, "cpu", args, kwargs)
        if like.ndim == 4 and like.size and results[0] is not NotImplemented:
            for result in results:
                assert [s // result.itemsize for s in result.strides] == [s // like.itemsize for s in like.strides]


@pytest.mark.parametrize("kind", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_optimizer_takes_the_references_steps_to_the_last_bit(kind, dtype, number_of_threads):
    """Several steps of a parameter of several blocks, the last one shorter; with one and with two threads."""
    numbers: dict[str, Any] = {
        "sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
        "adam": {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6},
        "rmsprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-6},
    }[kind]
    gradients = np.random.default_rng(3).normal(size=(3, 251, 603)).astype(dtype)
    ends = []
    for kernel_set, n in (("reference", 1), ("cpu", 1), ("cpu", 2)):
        number_of_threads(n)
        w, *memory = np.zeros((2 + (kind == "adam"), 251, 603), dtype)
        for step, dw in enumerate(gradients, start=1):
            count = {"step": step} if kind == "adam" else {}
            kernels.get(f"{kind}_step").implementations[kernel_set](w, dw, *memory, **numbers, **count)
        ends.append((w, *memory))
    for others in ends[1:]:
        for a, b in zip(ends[0], others):
            np.testing.assert_array_equal(a, b)
            assert a.any()


def test_gelu_where_nothing_is_left(eager):
    """The share of the normal distribution below −12, say, has digits of its own; below −40 there is nothing."""
    x = np.array([-np.inf, -100, -12, 12, 100, np.inf], np.float32)
    y = kernels.gelu_forward(x, "none")
    np.testing.assert_allclose(y, [0, 0, -12 * 1.7765e-33, 12, 100, np.inf], rtol=1e-4)
    np.testing.assert_allclose(kernels.gelu_backward(np.ones_like(x), x, "none"), [0, 0, 0, 1, 1, 1], atol=1e-6)


def by_textbook(way: Any, x: Any, weight: Any, bias: Any, window: Window, groups: int) -> Any:
    """A convolution of any kind from a textbook's, that knows one stride, one padding and no groups or dilation."""
    K, Cg = weight.shape[:2]
    spread = np.zeros((K, Cg, *window.spans))  # dilation: zeros between the kernel's numbers
    spread[:, :, :: window.dilation[0], :: window.dilation[1]] = weight
    bias = np.zeros(K) if bias is None else bias
    stride, padding, picked = 1, 0, window.stride
    if window.stride[0] == window.stride[1]:
        stride, picked = window.stride[0], (1, 1)
    if len({*window.pads[0], *window.pads[1]}) == 1:
        padding = window.pads[0][0]
    else:
        x = np.pad(x, ((0, 0), (0, 0), *window.pads))
    parts = zip(np.split(x, groups, axis=1), np.split(spread, groups), np.split(bias, groups))
    y = np.concatenate([way(*part, stride, padding) for part in parts], axis=1)
    return y[:, :, :: picked[0], :: picked[1]]


@pytest.mark.parametrize("case", range(len(CONVOLUTIONS) - 1))
@pytest.mark.parametrize("with_bias", [True, False])
def test_four_ways_to_convolve(case, with_bias):
    """By taps, by loops, by im2col, and fast: the same images."""
    (N, C, H, W), K, kernel, groups, rest = CONVOLUTIONS[case]
    draw, window = Draw("float64", "contiguous"), Window(kernel, **rest)
    N = min(N, 2)  # loops are slow
    x, weight, bias = draw(N, C, H, W), draw(K, C // groups, *kernel), draw(K) if with_bias else None
    arguments = (x, weight, bias, window, groups)
    taps = kernels.conv2d_forward.implementations["reference"](*arguments)
    loops, im2col = (by_textbook(way, *arguments) for way in (textbook.conv2d_forward, textbook.conv2d_forward_im2col))
    for y in (loops, im2col, kernels.conv2d_forward(*arguments)):
        assert y.shape == (N, K, *window.out(H, W))
        np.testing.assert_allclose(y, taps, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_col2im_is_the_transpose_of_im2col(stride, padding):
    """`⟨im2col(x), v⟩ = ⟨x, col2im(v)⟩` for any v: what makes it the way back."""
    draw = Draw("float64", "contiguous")
    for shape, _, kernel, _, _ in CONVOLUTIONS[:-1]:
        x = draw(*shape)
        columns = textbook.im2col(x, kernel, stride, padding)
        v = draw(*columns.shape)
        back = textbook.col2im(v, x.shape, kernel, stride, padding)
        assert back.shape == x.shape
        np.testing.assert_allclose((columns * v).sum(), (x * back).sum(), rtol=1e-10, atol=1e-10)


def numpys_bits(size: int, p: float, seed: int, offset: int) -> list[bool]:
    """Straight from NumPy's Philox: two 32-bit numbers out of each 64, the low one first."""
    kept: list[bool] = []
    for word in philox(seed, offset).random_raw((size + 1) // 2).tolist():
        kept += [half >= round(p * 2**32) for half in (word % 2**32, word // 2**32)]
    return kept[:size]


@pytest.mark.parametrize("kernel_set", ["reference", "cpu"])
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 63, 64, 65, 1001])
def test_dropouts_bits_are_numpys(kernel_set, size):
    keep = kernels.dropout_keep.implementations[kernel_set]
    x = np.zeros(size, np.float32)
    for seed in (0, 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1):
        for offset in (0, 1, 2**32, 2**63, 2**64 - 1):
            for p in (0.25, 1e-9, 0.999999):
                assert keep(x, p, seed, offset).tolist() == numpys_bits(size, p, seed, offset), (seed, offset, p)


@pytest.mark.parametrize("kernel_set", ["reference", "cpu"])
def test_dropout_at_its_ends(kernel_set):
    keep = kernels.dropout_keep.implementations[kernel_set]
    x = np.zeros((50, 41), np.float32)
    assert keep(x, 0.0, 1, 2).all()
    assert not keep(x, 1.0, 1, 2).any()
    assert keep(np.zeros((0, 3)), 0.5, 1, 2).shape == (0, 3)
    assert keep(np.zeros(()), 0.5, 1, 2).shape == ()
    assert keep(x, 0.5, 1, 2).shape == x.shape
    assert keep(x, 0.25, 1, 2).mean() == pytest.approx(0.75, abs=0.04)
    assert not np.array_equal(keep(x, 0.5, 1, 2), keep(x, 0.5, 1, 3))
    assert not np.array_equal(keep(x, 0.5, 1, 2), keep(x, 0.5, 2, 2))


def test_an_array_of_one_value_lies_as_the_array_it_is_compared_with():
    """NumPy takes six times as long for two that lie differently; a shorter one is a view of a longer one."""
    usual = elementwise.full(np.empty((7, 5), np.float64), 0.25)
    turned = elementwise.full(np.empty((3, 4), np.float64, order="F"), 0.25)
    assert usual.shape == (7, 5)
    assert usual.flags.c_contiguous
    assert turned.shape == (3, 4)
    assert turned.flags.f_contiguous
    assert np.shares_memory(usual, turned)
    for array in (usual, turned):
        assert (array == 0.25).all()
        assert not array.flags.writeable
