"""Every fast kernel against the readable one, found through the table: nobody adds it to a list.

A new kernel with a `cpu` version needs a generator of arguments in `GENERATORS`; without one the first test fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import kernels
from tinygrad_cnn.function import Needs
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.cpu import blocks
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


LAYOUTS = ["contiguous", "reversed axes", "every second", "backwards", "repeated"]


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
    ((64, 6, 28, 24), Window((2, 2), (2, 2))),
    ((48, 6, 25, 24), Window((3, 3), (2, 2), (1, 1))),
]
DILATED: list[tuple[tuple[int, ...], Window]] = [
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
            yield (draw.laid(np.full_like(lowest, -np.inf)), window), {}
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
            if dy.size:
                dy = dy.copy()
                dy[:1, :1, ..., 0] = np.inf
                yield (draw.laid(dy), index, shape, window), {}

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


@generator("relu_forward")
def _(draw: Draw) -> Iterator[Any]:
    for shape in ((3, 4, 5, 6), (2, 7), (5,), (1, 3), (0, 4), (70, 6, 28, 29)):
        yield (draw(*shape, ties=True),), {}
        special = draw(*shape)
        if special.size > 4:
            special = special.copy()
            special.reshape(-1)[:4] = np.nan, np.inf, -np.inf, -0.0
            yield (draw.laid(special),), {}


@generator("relu_backward")
def _(draw: Draw) -> Iterator[Any]:
    for shape in ((3, 4, 5, 6), (2, 7), (5,), (1, 3), (0, 4), (70, 6, 28, 29)):
        dy = draw(*shape)
        yield (dy, draw(*shape) > 0), {}
        if dy.size > 4:
            dy = dy.copy()
            dy.reshape(-1)[:4] = np.nan, np.inf, -np.inf, -0.0
            yield (draw.laid(dy), draw(*shape) > 0), {}


NORMS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((5, 3, 4), (0, 2), (1, 3, 1)),
    ((4, 1, 7), (0, 2), (1, 1, 1)),
    ((3, 5, 4), (2,), (1, 5, 1)),
    ((3, 2, 5, 4), (2, 3), (1, 2, 5, 1)),
    ((6, 7), (1,), (1, 7)),
    ((0, 3, 4), (2,), (1, 3, 1)),
    ((16, 6, 150), (0, 2), (1, 6, 1)),  # several blocks
    ((40, 3, 150), (2,), (1, 3, 1)),
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


RESPONSES = [(5, 7), (4, 6), (1, 3), (2, 1), (9, 3)]


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


def test_every_fast_kernel_has_a_generator():
    assert FAST
    assert set(FAST) <= set(GENERATORS), "write a generator of arguments for the new kernel, above"


def run(name: str, kernel_set: str, args: Any, kwargs: Any) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        result = kernels.get(name).implementations[kernel_set](*args, **kwargs)
    return result if isinstance(result, tuple) else (result,)


@pytest.fixture
def number_of_threads():
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.fixture
def eager(monkeypatch):
    """Threads are used also where it does not pay, and blocks are small, so that small arrays take every path."""
    monkeypatch.setattr(threads, "WORTHWHILE_SECONDS", 0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 11)


# float16 may differ in its last bit
ROUGH = {"float16": 4e-3, "float32": 2e-5, "float64": 1e-12}


def same(fast: tuple[Any, ...], textbook: tuple[Any, ...], dtype: str) -> None:
    assert len(fast) == len(textbook)
    for a, b in zip(fast, textbook):
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


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FAST)
def test_as_the_reference(name, dtype, layout, number_of_threads, eager):
    """Any memory layout; with one, two and three threads, the bits of a repetition being the same."""
    for args, kwargs in GENERATORS[name](Draw(dtype, layout)):
        untouched = [a.copy() for a in args if isinstance(a, np.ndarray)]
        textbook = run(name, "reference", args, kwargs)
        big = sum(a.size for a in args if isinstance(a, np.ndarray)) > 20_000
        for n in (1, 3) if big else (1, 2, 3):
            number_of_threads(n)
            fast = run(name, "cpu", args, kwargs)
            if fast[0] is NotImplemented:
                fast = textbook
            same(fast, textbook, dtype)
            again = run(name, "cpu", args, kwargs)
            for a, b in zip(fast, again if again[0] is not NotImplemented else textbook):
                assert a is b or np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for before, after in zip(untouched, (a for a in args if isinstance(a, np.ndarray))):
            assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f"), "an argument was changed"


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
        with np.errstate(all="ignore"):
            result = kernels.get(name)(*args, **kwargs)
        same(result if isinstance(result, tuple) else (result,), run(name, "reference", args, kwargs), "float16")


def test_results_are_arrays_of_their_own():
    """No work space is reachable from a result, and no two results share memory."""
    for name in FAST:
        for args, kwargs in GENERATORS[name](Draw("float32", "contiguous")):
            first, second = run(name, "cpu", args, kwargs), run(name, "cpu", args, kwargs)
            arrays = [a for a in (*first, *second) if isinstance(a, np.ndarray)]
            given = [a for a in args if isinstance(a, np.ndarray)]
            for i, a in enumerate(arrays):
                assert not any(np.shares_memory(a, b) for b in (*arrays[:i], *given)), name


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
