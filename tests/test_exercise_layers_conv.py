"""The exercises about convolution: the textbook is the library's, wrong versions are told apart, right ones pass."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from right_versions import RIGHT

import tinygrad_cnn as tcnn
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.diagnosis import diagnose
from tinygrad_cnn.exercises.outcomes import Expected, outcome
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.sizes import output_size
from tinygrad_cnn.textbook import conv as textbook

IDS = ["conv_forward", "output_size", "conv_im2col", "conv_backward"]
CATALOGUE = Catalogue(only=IDS)
TASKS = [(id, name) for id in IDS for name in CATALOGUE[id].tasks]
STYLES = [key for key in RIGHT if key[0] in IDS]
MISTAKES = [mistake.id for mistake in CATALOGUE["conv_forward"].tasks["conv2d_forward"].mistakes]

# stride, padding, N, C, H, W, K, R, S
SIZES = [
    (1, 0, 2, 3, 5, 6, 4, 2, 3),
    (2, 1, 2, 3, 7, 9, 4, 3, 2),
    (3, 2, 3, 2, 6, 8, 5, 3, 4),
    (3, 0, 1, 2, 9, 7, 3, 2, 1),
    (2, 0, 2, 5, 4, 7, 3, 1, 1),
    (1, 0, 2, 3, 4, 5, 2, 4, 5),  # a kernel as large as the image
    (1, 2, 1, 2, 2, 3, 3, 5, 4),  # larger than the image, not larger than image and padding
    (4, 1, 2, 1, 9, 11, 2, 2, 3),
]


def arrays(size, dtype="float64"):
    stride, padding, N, C, H, W, K, R, S = size
    rng = np.random.default_rng(sum(size))
    x, weight, bias = (rng.normal(size=shape).astype(dtype) for shape in ((N, C, H, W), (K, C, R, S), (K,)))
    return x, weight, bias, stride, padding


def close(a, b, dtype="float64"):
    assert a.dtype == b.dtype == dtype
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_the_textbooks_convolution_is_the_librarys(size, dtype):
    x, weight, bias, stride, padding = arrays(size, dtype)
    inputs = [tcnn.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = F.conv2d(*inputs, stride=stride, padding=padding)
    dy = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
    y.backward(dy)
    close(textbook.conv2d_forward(x, weight, bias, stride, padding), y.numpy(), dtype)
    close(textbook.conv2d_forward_im2col(x, weight, bias, stride, padding), y.numpy(), dtype)
    for gradient, tensor in zip(textbook.conv2d_backward(dy, x, weight, stride, padding), inputs, strict=True):
        close(gradient, tensor.grad, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_the_textbooks_columns(size, dtype):
    """The same numbers as `F.unfold`'s in PyTorch's order would be, and `col2im` is what autograd does to them."""
    x, weight, bias, stride, padding = arrays(size, dtype)
    N, C, R, S = len(x), *weight.shape[1:]
    columns = textbook.im2col(x, (R, S), stride, padding)
    each = np.eye(C * R * S, dtype=dtype).reshape(C * R * S, C, R, S)  # a filter that picks one number of the window
    image = tcnn.tensor(x, requires_grad=True)
    picked = F.conv2d(image, tcnn.tensor(each), stride=stride, padding=padding)
    close(columns, picked.numpy().swapaxes(0, 1).reshape(C * R * S, -1), dtype)
    v = np.random.default_rng(2).normal(size=columns.shape).astype(dtype)
    picked.backward(v.reshape(C * R * S, N, *picked.shape[2:]).swapaxes(0, 1))
    close(textbook.col2im(v, x.shape, (R, S), stride, padding), image.grad, dtype)


def test_the_textbooks_output_size():
    """The library's rule on every small size; the textbook's ValueError where that is a ShapeError."""
    refused = 0
    for size, kernel, stride, padding in itertools.product(range(1, 9), range(1, 8), range(1, 5), range(4)):
        if size + 2 * padding < kernel:
            refused += 1
            with pytest.raises(
                ValueError, match=rf"a window of {kernel} pixels does not fit into {size} \+ 2·{padding}"
            ):
                textbook.output_size(size, kernel, stride, padding)
        else:
            assert textbook.output_size(size, kernel, stride, padding) == output_size(size, kernel, stride, padding)
    assert refused > 100


@pytest.mark.parametrize("seed", [20261, 4])
@pytest.mark.parametrize(("id", "function"), TASKS)
def test_every_wrong_version_differs_from_every_other(id, function, seed):
    """By its numbers or by the type of what it raises, not only by the words of an error."""
    known, task = Expected(CATALOGUE[id], seed), CATALOGUE[id].tasks[function]
    made = {mistake.id: list(known.outcomes(function, mistake.id)) for mistake in task.mistakes}
    made["right"] = known.right(function)

    def same(case, a, b):
        if a.raised and b.raised:
            return a.raised["type"] == b.raised["type"]
        return known.alike(task, case, a, b)

    for a, b in itertools.combinations(made, 2):
        assert not all(map(same, known.of(function), made[a], made[b])), (a, b)


@pytest.mark.parametrize(("id", "style"), STYLES)
def test_right_versions_in_other_styles(id, style):
    names = {}
    exec(compile(RIGHT[id, style], style, "exec"), names)
    known = Expected(CATALOGUE[id])
    for function in CATALOGUE[id].tasks:
        assert diagnose(known, function, called(names[function], known, function)) is None
    for law in known.laws:
        assert law.holds([names[law.function](*args) for args in law.calls]), law.says


def called(function, known, name):
    return [outcome(wire.invoke(function, wire.write(case.args), case.kind)) for case in known.of(name)]


def test_enough_styles():
    for id, n in (("conv_forward", 5), ("conv_backward", 3), ("conv_im2col", 3), ("output_size", 3)):
        assert sum(key[0] == id for key in STYLES) >= n


# the same slips in other styles: (exercise, style, function, what is replaced, by what, the mistake it is)
SLIPS = [
    ("conv_forward", "seven loops over numbers", "weight[k, c, r, s]", "weight[k, c, R - 1 - r, S - 1 - s]", "flipped"),
    ("conv_forward", "seven loops over numbers", "total = bias[k]", "total = 0", "no-bias"),
    ("conv_forward", "seven loops over numbers", "total = bias[k]", "total = C * bias[k]", "bias-per-channel"),
    ("conv_forward", "seven loops over numbers", "range(P)", "range(P - 1)", None),  # no column is empty
    ("conv_forward", "einsum over sliding_window_view", "[:, :, ::stride, ::stride]", "", "stride-ignored-everywhere"),
    ("conv_forward", "einsum over sliding_window_view", "kcrs->", "kcsr->", "filter-transposed"),
    ("conv_forward", "einsum over sliding_window_view", "bias[:, None, None]", "bias", "bias-per-column"),
    ("conv_forward", "einsum over sliding_window_view", "padded = np.pad(", "padded = x; np.pad(", "padding-ignored"),
    ("conv_forward", "einsum over sliding_window_view", "np.einsum(", "1 / x.shape[1] * np.einsum(",
     "channels-averaged"),
    ("conv_forward", "a sum over the kernel's places", "weight[:, :, r, s]", "weight[:, ::-1, r, s]",
     "channels-in-the-wrong-order"),
    ("conv_forward", "strided memory", "c * stride, d * stride", "c, d", "stride-ignored"),
    ("conv_forward", "lists", "dot(channels, filter, i, j) + b", "dot(channels, filter, i, j)", "no-bias"),
    ("conv_backward", "a sum over the kernel's places", "dpadded[seen] +=", "dpadded[seen] =",
     "dx-from-the-first-window-only"),
    ("conv_backward", "a sum over the kernel's places", "axes=(1, 0)", "axes=(1, 1)", "dx-kernel-not-transposed"),
    ("conv_backward", "matrix products", "np.add.at(dpadded, place, weight.reshape(K, -1).T @ dy)",
     "dpadded[place] += weight.reshape(K, -1).T @ dy", "dx-from-the-first-window-only"),
    ("conv_backward", "matrix products", "(dy @ columns.transpose(0, 2, 1)).sum(axis=0)",
     "(dy @ columns.transpose(0, 2, 1)).mean(axis=0)", "dweight-averaged"),
    ("conv_backward", "matrix products", "dy.sum(axis=(0, 2))", "dy.sum(axis=2)", "dbias-for-each-image"),
    ("conv_backward", "loops over outputs", "dx[n, c, i, j] +=", "dx[n, c, i, j] =", "dx-overwritten-by-every-filter"),
    ("conv_backward", "loops over outputs", "dbias[k] += d", "dbias[k] = d", "dbias-overwritten"),
    ("conv_backward", "loops over outputs", "dbias[k] += d", "dbias[k] += 1", "dbias-without-dy"),
    ("conv_backward", "dx as a convolution of dy with the flipped filters", "weight[:, :, ::-1, ::-1]", "weight",
     "dx-filter-flipped"),
    ("conv_im2col", "one window after the other", "padding)]).T", "padding)])", "windows-as-rows"),
    ("conv_im2col", "one window after the other", "padding)]).T",
     "padding)]).reshape(x.shape[1] * kernel[0] * kernel[1], -1)", "reshaped-instead-of-transposed"),
    ("conv_im2col", "indices", "np.add.at(padded, places(x_shape, kernel, stride, padding), columns)",
     "padded[places(x_shape, kernel, stride, padding)] += columns", "first-window-only"),
    ("conv_im2col", "a row for each place in the kernel", "np.moveaxis(y, 1, 0).reshape", "y.reshape",
     "reshaped-straight"),
    ("output_size", "counted", "begin = -padding", "begin = 0", "padding-once"),
    ("output_size", "a range", "2 * padding - kernel + 1", "2 * padding - kernel",
     "last-place-left-out refuses-a-window-as-large-as-the-image"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "style", "find", "replace", "mistake"), SLIPS)
def test_slips_in_other_styles(id, style, find, replace, mistake):
    assert RIGHT[id, style].count(find) == 1
    names = {}
    exec(compile(RIGHT[id, style].replace(find, replace), style, "exec"), names)
    known = Expected(CATALOGUE[id])
    findings = [diagnose(known, name, called(names[name], known, name)) for name in CATALOGUE[id].tasks]
    (found,) = [finding for finding in findings if finding is not None]
    assert found.mistakes == tuple((mistake or "").split())


def told_by(*probe):
    """The mistakes of conv2d_forward that one call tells from the right version."""
    exercise = CATALOGUE["conv_forward"]

    def result(*mistake):
        told = wire.invoke(exercise.function("conv2d_forward", *mistake), wire.write(probe))
        return outcome(told).value

    right = result()
    return {mistake for mistake in MISTAKES if not wire.same(result(mistake), right, 1e-9, 1e-9)}


def test_what_a_probe_tells():
    """A single image of one channel, one filter, a square kernel hides most mistakes; all ones hide even more."""
    rng = np.random.default_rng(3)
    shapes = (1, 1, 5, 5), (1, 1, 3, 3), (1,)
    square = told_by(*(rng.normal(size=shape) for shape in shapes), 1, 0)
    ones = told_by(*(np.ones(shape) for shape in shapes), 1, 0)
    asymmetric = told_by(*(rng.normal(size=shape) for shape in ((2, 3, 7, 9), (4, 3, 3, 2), (4,))), 2, 1)
    assert len(MISTAKES) == 32
    assert asymmetric == set(MISTAKES)
    assert len(square) == 13
    assert len(ones) == 10
    assert ones < square
    # with a stride and a padding it is still blind for all that exchanges equal sizes
    better = told_by(*(rng.normal(size=shape) for shape in shapes), 2, 1)
    assert set(MISTAKES) - better == {
        "kernel-sizes-exchanged", "filters-and-channels-exchanged", "first-channel-only", "channels-averaged",
        "channels-in-the-wrong-order", "bias-per-column", "bias-per-channel", "height-and-width-exchanged",
        "images-summed", "first-image-only",
    }  # fmt: skip


LAWS = [(id, i) for id in IDS for i in range(len(CATALOGUE[id].laws()))]


@pytest.mark.parametrize(("id", "i"), LAWS)
def test_laws_hold_and_can_be_broken(id, i):
    exercise = CATALOGUE[id]
    law = exercise.laws()[i]

    def obeyed(law, function):
        try:
            return bool(law.holds([function(*args) for args in law.calls]))
        except (ValueError, IndexError, AssertionError):  # a wrong version raises, or returns another shape
            return None

    right = exercise.function(law.function)
    wrong = [exercise.function(law.function, mistake.id) for mistake in exercise.tasks[law.function].mistakes]
    wrong.append(lambda *args: right(*args) ** 3)  # no wrong version of a convolution is anything but linear
    assert all(obeyed(exercise.laws(seed)[i], right) for seed in (1, 2, 3))
    assert any(obeyed(law, function) is False for function in wrong)


def numbers_in(text):
    return [int(n) for n in re.findall(r"-?\d+", text)]


def conv2d_forward_says(says, x, weight, bias, stride, padding):
    n, top, bottom, left, right = numbers_in(says)[:5]
    k, b = numbers_in(says)[-2:]
    window = np.pad(x, ((0, 0), (0, 0), (9, 9), (9, 9)))[n, :, top + 9 : bottom + 10, left + 9 : right + 10]
    return (window * weight[k]).sum() + bias[b]


def output_size_says(says, size, kernel, stride, padding):
    places = numbers_in(says)
    return len(places) if "…" not in says else places[-1] // places[1] + 1


def im2col_says(says, x, kernel, stride, padding):
    pixel = re.search(r"it is (x\[.*\])", says)
    return eval(pixel[1]) if pixel else 0


def conv2d_from_columns_says(says, columns, weight, bias, out_shape):
    k, column, b = numbers_in(says)
    return weight[k].ravel() @ columns[:, column] + bias[b]


def col2im_says(says, columns, x_shape, kernel, stride, padding):
    _, terms, formula = says.partition("it is columns")
    return eval(terms.removeprefix("it is ") + formula) if terms else 0


def conv2d_backward_says(says, dy, x, weight, stride, padding):
    N, K, P, Q = dy.shape
    if "dy[:, " in says:  # dbias
        return eval(says[says.index("dy[") :]).sum()
    if "x[n" in says:  # dweight
        formula = re.search(r"dy\[n.*?\] · x\[n.*?\]", says)[0].replace("·", "*")
        x = np.pad(x, ((0, 0), (0, 0), (0, 9), (0, 9)))  # index -1 is the last of many zeros
        return sum(eval(formula, {"dy": dy, "x": x, "n": n, "p": p, "q": q}) for n, p, q in np.ndindex(N, P, Q))
    terms = says.partition("filters k of ")[2].replace("·", "*")
    return sum(eval(terms, {"dy": dy, "weight": weight, "k": k}) for k in range(K)) if terms else 0


@pytest.mark.parametrize(("id", "function"), TASKS)
def test_where_a_number_comes_from(id, function):
    """What a message says that a number should be computed from does give it."""
    known, told = Expected(CATALOGUE[id]), globals()[f"{function}_says"]
    for case, right in zip(known.of(function), known.right(function), strict=True):
        if right.raised:
            continue
        parts = right.value if isinstance(right.value, tuple) else (right.value,)
        for name, part in zip(CATALOGUE[id].tasks[function].returns, parts, strict=True):
            for index in np.ndindex(np.shape(part)):
                says = CATALOGUE[id].where(case, name, index)
                assert np.asarray(part)[index] == pytest.approx(told(says, *case.args), rel=1e-4, abs=1e-5), says


def test_the_case_for_measuring_time():
    case = CATALOGUE["conv_forward"].speed("conv2d_forward")
    y = textbook.conv2d_forward_im2col(*case.args)
    assert 10_000 < y.size < 20_000  # some tenths of a second by loops
    assert y.dtype == "float32"
