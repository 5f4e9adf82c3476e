"""The ways of the fast convolution, each by itself: tiles of all sizes and Winograd's; and fusion.

`test_cpu_kernels.py` compares the kernel that chooses among them; here each way meets the sizes that are hard for it.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import kernels
from tinygrad_cnn.backends import CPU
from tinygrad_cnn.function import Needs
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.cpu import conv, gemm, layout, tiles, winograd
from tinygrad_cnn.kernels.cpu.grid import Grid
from tinygrad_cnn.kernels.cpu.scratch import Scratch
from tinygrad_cnn.kernels.reference.conv import conv_backward, conv_forward
from tinygrad_cnn.kernels.reference.fused import NO_WINNER
from tinygrad_cnn.shapes import Window

ALL = Needs(("x", "weight", "bias"), (True, True, True))

# (N, C, H, W), K, (R, S), groups, the rest of the window
SIZES: list[tuple[tuple[int, int, int, int], int, tuple[int, int], int, dict[str, Any]]] = [
    ((20, 3, 9, 7), 4, (2, 3), 1, {}),
    ((33, 2, 8, 6), 3, (3, 2), 1, {"stride": (2, 1), "padding": (1, 2)}),
    ((17, 4, 9, 8), 6, (2, 3), 2, {"dilation": (2, 1), "padding": 1}),
    ((16, 3, 11, 13), 5, (3, 3), 1, {"stride": 3}),  # the last row and column are seen by no window
    ((40, 5, 7, 6), 5, (3, 3), 5, {"padding": "same"}),  # depthwise
    ((18, 4, 6, 5), 6, (1, 1), 1, {"stride": (1, 2)}),
    ((16, 2, 3, 4), 2, (3, 4), 2, {}),  # one output
]


def last(array: np.ndarray) -> np.ndarray:
    """The same numbers with the batch innermost."""
    laid = layout.empty(array.shape, array.dtype)
    laid[...] = array
    return laid


def arrays(size: Any, dtype: str = "float64") -> tuple[Any, ...]:
    (N, C, H, W), K, (R, S), groups, rest = size
    window, draw = Window((R, S), **rest), np.random.default_rng(3)
    shapes = (N, C, H, W), (K, C // groups, R, S), (K,), (N, K, *window.outs((H, W)))
    x, weight, bias, dy = (draw.normal(size=shape).astype(dtype) for shape in shapes)
    return x, weight / float(np.sqrt(weight[0].size)), bias, dy, window, groups


def error(got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference, measured by the largest number."""
    assert got.shape == want.shape
    return float(np.abs(got - want).max() / np.abs(want).max())


def compare(way: Any, size: Any, dtype: str, bound: float) -> None:
    """A way's results and gradients, with and without ReLU, in both orders of memory, with the reference in float64."""
    x, weight, bias, dy, window, groups = arrays(size, dtype)
    x64, weight64, bias64, dy64 = (a.astype("float64") for a in (x, weight, bias, dy))
    want = conv_forward(x64, weight64, bias64, window, groups)
    for given in (x, last(x)):
        y = way.forward(given, weight, bias)
        assert error(y, want) < bound
        assert error(way.forward(given, weight, None), want - bias64.reshape(-1, 1, 1)) < bound
        assert layout.batch_last(y)
        through = way.forward(given, weight, bias, relu=True)
        assert error(through, np.maximum(want, 0)) < bound
        for wanted, result in ((dy64, None), (dy64 * (through > 0), through)):
            gradients = way.backward(last(dy), given, weight, ALL, result)
            for got, expected in zip(
                gradients, conv_backward(wanted, x64, weight64, window, groups, needs=ALL), strict=True
            ):
                assert error(got, expected) < bound
        for flags in ((True, False, False), (False, True, False), (False, False, True)):
            some = way.backward(dy, given, weight, Needs(ALL.names, flags))
            assert tuple(g is not None for g in some) == flags
            assert (
                error(next(g for g in some if g is not None), gradients_of(some, dy64, x64, weight64, window, groups))
                < bound
            )


def gradients_of(some: Any, dy: Any, x: Any, weight: Any, window: Window, groups: int) -> np.ndarray:
    """The reference's version of the one gradient that was asked for."""
    place = next(i for i, g in enumerate(some) if g is not None)
    return conv_backward(dy, x, weight, window, groups, needs=ALL)[place]


@pytest.mark.parametrize("tile", [(1, 1), (1, 2), (2, 2), (3, 2), (4, 4)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("threads_in_use", [1, 2, 3])
@pytest.mark.parametrize("small", [True, False])
def test_tiles_of_every_size_compute_the_same(size, tile, threads_in_use, small, monkeypatch):
    """In one piece, and in several blocks of rows; whatever can be shared is."""

    def forced(window, groups, C, K, image, out):
        return tiles.Tiles(Grid(window, image, out, tile), groups, C // groups, K // groups)

    monkeypatch.setattr(tiles, "choose", forced)
    monkeypatch.setattr(threads, "WORTHWHILE_SECONDS", 0)
    monkeypatch.setattr(threads._pool, "size", threads_in_use)
    if not small:
        monkeypatch.setattr(tiles, "BLOCK_BYTES", 20_000)
        monkeypatch.setattr(tiles, "SMALL_BYTES", 0)
    window, groups = Window(size[2], **size[4]), size[3]
    compare(conv.ByTiles(window, groups), size, "float64", 1e-13)


# (shapes as above, whether the gradient of the pixels may be a convolution with turned filters)
TURNED = [
    ((32, 8, 9, 7), 6, (3, 3), 2, {"padding": 1}),
    ((17, 5, 8, 9), 3, (2, 4), 1, {"padding": (0, 2), "dilation": (2, 1)}),
    ((20, 4, 7, 6), 8, (1, 1), 4, {}),
]
NOT_TURNED = [
    ((16, 6, 7, 8), 4, (3, 3), 1, {"padding": 1, "stride": (2, 1)}),
    ((16, 6, 7, 8), 4, (2, 2), 1, {"padding": "same"}),  # a row more behind the image than before it
    ((16, 6, 7, 8), 4, (2, 2), 1, {"padding": 2}),  # outputs that see no pixel at all
]


@pytest.mark.parametrize(("size", "may"), [*((s, True) for s in TURNED), *((s, False) for s in NOT_TURNED)], ids=str)
@pytest.mark.parametrize("favour", [0.0, 99.0])
@pytest.mark.parametrize("small", ["all", "not the turned one", "nothing"])
def test_pixels_get_the_same_gradient_by_turned_filters(size, may, favour, small, monkeypatch):
    """In small convolutions, too."""
    made, taken, computed = [], [], tiles.computed
    monkeypatch.setattr(tiles, "computed", lambda by, *args: taken.append(by) or computed(by, *args))

    def forced(window, groups, C, K, image, out):
        made.append(tiles.Tiles(Grid(window, image, out, (1, 1)), groups, C // groups, K // groups))
        return made[-1]

    monkeypatch.setattr(tiles, "choose", forced)
    monkeypatch.setattr(tiles, "FAVOUR", favour)
    if small != "all":
        monkeypatch.setattr(tiles, "BLOCK_BYTES", 20_000)
        monkeypatch.setattr(tiles.Tiles, "small", lambda by, *_: small != "nothing" and by in made)
    compare(conv.ByTiles(Window(size[2], **size[4]), size[3]), size, "float64", 1e-13)
    assert all((each.turned is not None) == (may and favour > 0) for each in made)
    assert any(each.turned in taken for each in made) == (may and favour > 0)


def test_tiles_are_chosen_by_what_they_cost():
    def chosen(C, K, size, kernel, padding=0):
        window = Window((kernel, kernel), padding=padding)
        return tiles.choose(window, 1, C, K, (size, size), window.outs((size, size))).grid.tile

    assert np.prod(chosen(1, 2, 28, 5, 2)) >= 4  # few filters: larger tiles
    assert chosen(6, 16, 14, 5) == chosen(64, 64, 14, 5) == (1, 1)  # many: no needless multiplication
    assert chosen(8, 8, 6, 1) == (1, 1)


def test_tiles_of_one_output_are_written_where_they_belong(monkeypatch):
    """Neither the result nor the gradient that comes back is moved, if the batch is innermost; LeNet-5 of Caffe."""
    moved = []
    for name in ("put_out", "take_in"):
        method = getattr(Grid, name)
        monkeypatch.setattr(Grid, name, lambda *args, name=name, method=method: moved.append(name) or method(*args))
    x, weight, bias, dy, window, groups = arrays(((64, 1, 28, 28), 20, (5, 5), 1, {"padding": 2}), "float32")
    kernels.conv2d_forward(x, weight, bias, window, groups)
    kernels.conv2d_backward(last(dy), x, weight, window, groups, needs=ALL)
    assert moved == []
    kernels.conv2d_backward(dy, x, weight, window, groups, needs=ALL)
    assert moved == ["take_in"]


@pytest.mark.parametrize(("m", "r"), [(2, 3), (4, 2), (4, 3), (4, 4), (4, 5), (5, 2), (5, 3), (5, 4)])
def test_winograd_is_exact_in_fractions(m, r):
    AT, G, BT = winograd.matrices(m, r)
    draw = np.random.default_rng(0)
    w, x = ([Fraction(int(v)) for v in draw.integers(-9, 10, n)] for n in (r, m + r - 1))

    def times(matrix, vector):
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]

    y = times(AT, [a * b for a, b in zip(times(G, w), times(BT, x), strict=True)])
    assert y == [sum(w[s] * x[q + s] for s in range(r)) for q in range(m)]
    assert len(G) == m + r - 1  # multiplications


def test_the_size_of_a_tile_suits_the_image():
    """What overhangs the edge is computed for nothing; larger tiles lose digits, and must save more than a little."""
    assert [winograd.tile_size(3, (n, n)) for n in (4, 5, 7, 10, 12, 13, 27, 55)] == [4, 5, 4, 5, 4, 5, 4, 5]
    assert winograd.tile_size(3, (4, 100)) == 4
    assert {winograd.tile_size(5, (n, n)) for n in range(4, 40)} == {4}  # 81 points would lose too many digits


# sizes that are no multiple of the tile, several groups, padding, more channels than a block has
WINOGRAD: list[Any] = [
    ((17, 48, 9, 11), 50, (3, 3), 2, {"padding": 1}),
    ((17, 24, 13, 15), 26, (3, 3), 1, {"padding": 1}),
    ((16, 16, 10, 8), 16, (4, 4), 1, {"padding": (1, 2)}),
    ((16, 17, 10, 7), 33, (5, 5), 1, {"padding": (2, 1)}),
    ((20, 96, 8, 6), 97, (2, 2), 1, {}),
    ((19, 18, 7, 9), 20, (4, 4), 1, {"padding": 3}),
]


@pytest.mark.parametrize("tiles_at_once", [1, 36, 1024])  # a row, some of the rows, all
@pytest.mark.parametrize("size", WINOGRAD, ids=str)
def test_winograd_loses_few_digits(size, tiles_at_once, monkeypatch):
    monkeypatch.setattr(winograd, "SPACE", 1 << 20)  # several blocks of samples
    monkeypatch.setattr(winograd, "PRODUCT_BYTES", 50_000)
    monkeypatch.setattr(winograd, "FEWEST_TILES", tiles_at_once)
    x, weight, _, _, window, groups = arrays(size, "float32")
    way = conv.way(x, weight, window, groups)
    assert isinstance(way, winograd.Winograd)
    monkeypatch.setattr(gemm, "SMALL", 20_000)  # transforms in several pieces
    compare(way, size, "float32", 1e-5)
    direct = conv.ByTiles(window, groups)
    compare(direct, size, "float32", 2e-6)


@pytest.mark.parametrize(
    "size",
    [
        ((16, 3, 43, 51), 32, (11, 11), 1, {"stride": 4}),
        ((17, 4, 21, 18), 20, (7, 7), 1, {"stride": 2, "padding": 3}),
        ((16, 32, 15, 16), 48, (5, 5), 2, {"stride": 2, "padding": (2, 1)}),
    ],
    ids=str,
)
def test_a_stride_loses_no_digits(size):
    """With AlexNet's 11×11 at stride 4 among them."""
    x, weight, _, _, window, groups = arrays(size, "float32")
    way = conv.way(x, weight, window, groups)
    assert isinstance(way, conv.ByTiles)
    compare(way, size, "float32", 2e-6)


def test_exact_results_on_demand_and_in_float64(monkeypatch):
    x, weight, _, _, window, groups = arrays(WINOGRAD[0], "float32")
    assert isinstance(conv.way(x.astype("float64"), weight.astype("float64"), window, groups), conv.ByTiles)
    monkeypatch.setenv("TINYGRAD_CNN_CONV", "direct")
    assert isinstance(conv.way(x, weight, window, groups), conv.ByTiles)
    monkeypatch.setenv("TINYGRAD_CNN_CONV", "fast")
    for numbers in (x, x.astype("float64")):  # also where it would make no difference
        with pytest.raises(ValueError, match=r"TINYGRAD_CNN_CONV=fast must be auto or direct"):
            conv.way(numbers, weight.astype(numbers.dtype), window, groups)


def test_results_do_not_depend_on_chance():
    for size in (SIZES[0], WINOGRAD[0]):
        x, weight, bias, dy, window, groups = arrays(size, "float32")
        before = threads.get_num_threads()
        threads.set_num_threads(2)
        try:
            runs = [
                [kernels.conv2d_forward(x, weight, bias, window, groups)]
                + list(kernels.conv2d_backward(dy, x, weight, window, groups, needs=ALL))
                for _ in range(3)
            ]
        finally:
            threads.set_num_threads(before)
        for other in runs[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(runs[0], other, strict=True))


HALVES = Window((2, 2), (2, 2))
POOLED: list[Any] = [
    ((34, 1, 12, 10), 6, (5, 5), 1, {"padding": 2}),
    ((16, 6, 9, 11), 5, (3, 3), 1, {}),  # odd outputs: the last row and column are not pooled
    ((20, 4, 10, 8), 6, (3, 2), 2, {"stride": (1, 2), "padding": 1}),
]


def both(name: str, *args: Any, **kwargs: Any) -> list[Any]:
    results = [kernels.get(name).implementations[which](*args, **kwargs) for which in ("cpu", "reference")]
    return [result if isinstance(result, tuple) else (result,) for result in results]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", POOLED, ids=str)
def test_convolution_relu_and_pooling_at_once(size, ties):
    x, weight, bias, _, window, groups = arrays(size)
    if ties:  # whole numbers: many equal outputs, many zeros
        x, weight, bias = (np.rint(a * 2) for a in (x, weight * 2, bias))
    (y, kept), (y_wanted, kept_wanted) = both(
        "conv2d_relu_max_pool2d_forward", last(x), weight, bias, HALVES, window, groups
    )
    (winner, columns), (winner_wanted, _) = kept, kept_wanted
    assert np.allclose(y, y_wanted, rtol=1e-13)
    assert winner.dtype == np.uint8
    assert np.array_equal(winner, winner_wanted)
    assert (winner == NO_WINNER).any()
    dy = np.random.default_rng(1).normal(size=y.shape)
    settings = {"pool": HALVES, "window": window, "groups": groups, "needs": ALL}
    for given in (dy, last(dy)):
        for seen in (columns, None):
            got, wanted = both("conv2d_relu_max_pool2d_backward", given, (winner, seen), last(x), weight, **settings)
            assert all(np.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize("limit", [1.0, 0.0])  # in one piece, in blocks
@pytest.mark.parametrize("size", POOLED, ids=str)
def test_only_what_a_wanted_gradient_needs_is_kept(size, limit, monkeypatch):
    monkeypatch.setattr(tiles, "MANY_CALLS", limit)
    x, weight, bias, _, window, groups = arrays(size)
    x[1, 0, 3, 3] = np.nan
    forward = functools.partial(kernels.conv2d_relu_max_pool2d_forward, last(x), weight, bias, HALVES, window, groups)
    wanted, (winner, columns) = forward()
    assert (columns is None) == (limit == 0)
    for flags, keeps in (((False, False, False), (False, False)), ((True, False, False), (True, False))):
        y, kept = forward(needs=Needs(ALL.names, flags))
        assert np.array_equal(y, wanted, equal_nan=True)
        assert tuple(k is not None for k in kept) == keeps
    assert np.array_equal(kept[0], winner)


def test_backward_takes_the_columns_of_forward(monkeypatch):
    """Where there are any: not of large work, which is cut into blocks."""
    monkeypatch.setattr(threads, "WORTHWHILE_SECONDS", math.inf)
    x, weight, bias, _, window, groups = arrays(POOLED[0])
    made = []
    columns = tiles.Tiles.columns
    monkeypatch.setattr(tiles.Tiles, "columns", lambda *args, **kwargs: made.append(1) or columns(*args, **kwargs))
    for limit, times in ((1.0, 1), (0.0, 2)):
        monkeypatch.setattr(tiles, "MANY_CALLS", limit)
        made.clear()
        y, kept = kernels.conv2d_relu_max_pool2d_forward(x, weight, bias, HALVES, window, groups)
        kernels.conv2d_relu_max_pool2d_backward(y, kept, x, weight, HALVES, window, groups, needs=ALL)
        assert len(made) == times
        assert (kept[1] is None) == (limit == 0)


def test_what_fusion_declines():
    size = POOLED[0]
    x, weight, bias, _, window, groups = arrays(size)
    forward = kernels.get("conv2d_relu_max_pool2d_forward").implementations["cpu"]
    assert forward(x, weight, bias, Window((3, 3), (2, 2)), window, groups) is NotImplemented
    assert forward(x[:4], weight, bias, HALVES, window, groups) is NotImplemented  # too few samples


def test_nan_stays_in_its_image():
    x, weight, bias, _, window, groups = arrays(POOLED[0])
    wanted, (winners, _) = kernels.conv2d_relu_max_pool2d_forward(x, weight, bias, HALVES, window, groups)
    x[3, 0, 4, 4] = np.nan
    y, (winner, _) = kernels.conv2d_relu_max_pool2d_forward(x, weight, bias, HALVES, window, groups)
    others = [n for n in range(len(x)) if n != 3]
    assert np.isnan(y[3]).any()
    assert (winner[np.isnan(y)] == NO_WINNER).all()
    assert np.array_equal(y[others], wanted[others])
    assert np.array_equal(winner[others], winners[others])


@pytest.mark.parametrize("size", [POOLED[0], WINOGRAD[0]], ids=str)
def test_an_infinite_gradient_stays_where_relu_shut_it_in(size):
    dtype = "float32" if size is WINOGRAD[0] else "float64"
    x, weight, bias, dy, window, groups = arrays(size, dtype)
    y = kernels.conv2d_relu_forward(x, weight, bias, window, groups)
    shut = np.argwhere(y[5] == 0)[0]
    dy[(5, *shut)] = np.inf
    with CPU.activate():
        gradients = kernels.conv2d_relu_backward(dy, y, x, weight, window, groups, needs=ALL)
        frozen = Needs(ALL.names, (True, False, False))
        dx, *_ = kernels.conv2d_relu_backward(dy, y, x, weight, window, groups, needs=frozen)
    assert all(np.isfinite(g).all() for g in (*gradients, dx))


def test_scratch_gives_each_thread_and_purpose_its_own_memory():
    scratch = Scratch()
    a, b = scratch("a", (3, 4), np.float32), scratch("b", (3, 4), np.float32)
    assert not np.shares_memory(a, b)
    assert np.shares_memory(a, scratch("a", (12,), np.uint8))
    assert scratch("a", (3, 4), np.float32) is a
    larger = scratch("a", (30, 40), np.float64)
    assert not np.shares_memory(a, larger)
    assert np.shares_memory(larger, scratch("a", (3, 4), np.float32))


def test_nothing_reused_is_reachable_from_results():
    x, weight, bias, dy, window, groups = arrays(WINOGRAD[0], "float32")
    first = kernels.conv2d_forward(x, weight, bias, window, groups)
    gradients = kernels.conv2d_backward(dy, x, weight, window, groups, needs=ALL)
    kept = [a.copy() for a in (first, *gradients)]
    kernels.conv2d_forward(-x, weight * 2, bias, window, groups)
    kernels.conv2d_backward(-dy, x * 3, weight, window, groups, needs=ALL)
    assert all(np.array_equal(a, b) for a, b in zip((first, *gradients), kept, strict=True))
