"""The lectures' questions about sizes: output size, "same" padding, receptive field, and sizes that do not fit."""

from __future__ import annotations

import itertools
import re
import threading

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
from tinygrad_cnn.nn.walk import output_shape
from tinygrad_cnn.shapes import ShapeError, Window


@pytest.mark.parametrize(("arguments", "expected"), [
    ((7, 3), 5),
    ((7, 3, 2), 3),
    ((7, 3, 3), 2),  # 2.33, rounded down
    ((7, 3, 3, 1), 3),
    ((7, 3, 1, "same"), 7),
    ((9, 3, 1, 0, 2), 5),  # taps at 0, 2 and 4
    ((7, 2, 2, 0, 1, True), 4),
    ((32, (5, 3)), (28, 30)),
    (((28, 32), 5), (24, 28)),
    (((28, 32), (5, 3), (1, 2), (2, 0)), (28, 15)),
    (((8, 9, 10), 3), (6, 7, 8)),
    (((28,), 5), (24,)),
    ([[28, 32], 5], (24, 28)),
])  # fmt: skip
def test_output_size(arguments, expected):
    assert tcnn.output_size(*arguments) == expected


def test_strict_output_sizes_are_those_that_need_no_rounding():
    refused = 0
    for size, kernel, stride, padding, dilation in itertools.product(
        range(5, 12), (1, 2, 3), (1, 2, 3), (0, 1), (1, 2)
    ):
        exact = (size - dilation * (kernel - 1) - 1 + 2 * padding) / stride + 1
        rounded = tcnn.output_size(size, kernel, stride, padding, dilation)
        assert rounded == int(exact)
        if exact == rounded:
            assert tcnn.output_size(size, kernel, stride, padding, dilation, strict=True) == rounded
            continue
        refused += 1
        with pytest.raises(ShapeError, match=r"doesn't fit"):
            tcnn.output_size(size, kernel, stride, padding, dilation, strict=True)
        assert tcnn.output_size(size, kernel, stride, padding, dilation, True, True) in (rounded, rounded + 1)
    assert refused > 80


@pytest.mark.parametrize(("arguments", "message"), [
    ((7, 3, 3), (
        "(7 − 3)/3 + 1 = 2.33: doesn't fit; the last pixel would be left out: use padding 1 (output 3), stride 2 "
        "(output 3), or an input of 6 (output 2) or 9 (output 3)"
    )),
    ((224, 11, 4), (
        "(224 − 11)/4 + 1 = 54.25: doesn't fit; the last pixel would be left out: use stride 3 (output 72), or an "
        "input of 223 (output 54) or 227 (output 55)"
    )),
    ((20, 5, 4, 0, 3), (
        "(20 − 13)/4 + 1 = 2.75: doesn't fit; the last 3 pixels would be left out: use stride 1 (output 8), or an "
        "input of 17 (output 2) or 21 (output 3)"
    )),
    # with (8 − 3 + 2)/2 it is a row of zeros that no window sees
    ((8, 3, 2, 1), (
        "(8 − 3 + 2·1)/2 + 1 = 4.5: doesn't fit; the last pixel of the padding would be left out: use stride 1 "
        "(output 8), or an input of 7 (output 4) or 9 (output 5)"
    )),
    ((1, 3, 5, 2), (
        "(1 − 3 + 2·2)/5 + 1 = 1.4: doesn't fit; the last 2 pixels of the padding would be left out: use padding 1 "
        "(output 1), stride 2 (output 2), or an input of 4 (output 2)"
    )),
])  # fmt: skip
def test_what_does_not_fit_and_what_would(arguments, message):
    with pytest.raises(ShapeError, match=f"^output_size: {re.escape(message)}$"):
        tcnn.output_size(*arguments, strict=True)
    with pytest.raises(ShapeError, match=f"^window: {re.escape(message)}$"):
        Window(*arguments[1:]).out(arguments[0], exact=True)


def test_every_remedy_fits_and_says_its_output():
    seen = 0
    for size, kernel, stride, padding, dilation in itertools.product(
        (5, 8, 11, 20), (2, 3, 5), (2, 3, 4), (0, 1), (1, 2)
    ):
        if dilation * (kernel - 1) >= size:
            continue
        try:
            tcnn.output_size(size, kernel, stride, padding, dilation, strict=True)
            continue
        except ShapeError as error:
            text = str(error)
        for what, number, output in re.findall(r"(padding|stride|of|or) (\d+) \(output (\d+)\)", text):
            changed = {"size": size, "stride": stride, "padding": padding}
            changed["size" if what in ("of", "or") else what] = int(number)
            assert tcnn.output_size(kernel=kernel, dilation=dilation, strict=True, **changed) == int(output), text
            seen += 1
    assert seen > 200


@pytest.mark.parametrize(("arguments", "message"), [
    ((4, 5), r"output_size: a kernel spanning 5 pixels does not fit into 4: \(4 − 5\)/1 \+ 1 = 0, which must be at l"),
    ((2, 7, 4, 1), r"does not fit into 2 and 1 \+ 1 of padding: \(2 − 7 \+ 2·1\)/4 \+ 1 = 0.25, which"),
    ((9, 99, 1), r"\(9 − 99\)/1 \+ 1 = −89, which"),
    ((0, 1), "output_size: size=0 must be a positive whole number of pixels"),
    ((7.0, 3), "size=7.0 must be a positive whole number"),
    (((7, -1), 3), r"size=\(7, -1\) must be"),
    (((), 3), r"size=\(\) must be"),
    ((7, 3, 0), "stride=.* must be at least 1"),
    (((7, 7, 7), (3, 3)), r"a kernel \(3, 3\) with 2 axes cannot slide along 3"),
])  # fmt: skip
def test_output_sizes_that_cannot_be(arguments, message):
    with pytest.raises(ShapeError, match=message):
        tcnn.output_size(*arguments)


def test_same_padding():
    assert [tcnn.same_padding(kernel) for kernel in (1, 3, 5, 7)] == [0, 1, 2, 3]
    assert tcnn.same_padding((3, 5)) == (1, 2)
    assert tcnn.same_padding(3, (1, 2)) == (1, 2)
    assert tcnn.same_padding(2, dilation=2) == 1  # taps at 0 and 2
    for kernel, dilation in itertools.product((1, 3, 5), (1, 2, 3)):
        padding = tcnn.same_padding(kernel, dilation)
        assert tcnn.output_size(17, kernel, padding=padding, dilation=dilation) == 17
    with pytest.raises(ShapeError, match=r"\(4 − 1\)/2 = 1.5 is no .* puts 1 before and 2 behind"):
        tcnn.same_padding((3, 4))
    with pytest.raises(ShapeError, match="at least 1"):
        tcnn.same_padding(0)


def test_receptive_field_takes_kernels_pairs_and_windows():
    assert tcnn.receptive_field([3] * 5) == 1 + 5 * (3 - 1)
    assert tcnn.receptive_field([11, (3, 2)]) == tcnn.receptive_field([Window(11), Window(3, 2)]) == 13
    assert tcnn.receptive_field([(11, 4), (3, 2), 5]) == 11 + 2 * 4 + 4 * 8
    assert tcnn.receptive_field([3, Window((3, 5), (1, 2)), 3], axis=1) == 3 + 4 + 2 * 2
    assert tcnn.receptive_field(()) == 1


X = tcnn.zeros(1, 2, 7, 9)
REFUSED = {
    "conv2d": (nn.Conv2d(2, 3, 3, stride=(1, 4)), r"conv2d: x \(1, 2, 7, 9\), .*: \(9 − 3\)/4 \+ 1 = 2.5: doesn't fit"),
    "max_pool2d": (nn.MaxPool2d(2), r"max_pool2d: x \(1, 2, 7, 9\), .*: \(7 − 2\)/2 \+ 1 = 3.5: doesn't fit"),
    "avg_pool2d": (nn.AvgPool2d((1, 2)), r"avg_pool2d: x \(1, 2, 7, 9\), .*: \(9 − 2\)/2 \+ 1 = 4.5: doesn't fit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_strict_sizes_refuses_what_would_be_left_out(name):
    layer, message = REFUSED[name]
    expected = layer(X).shape
    with tcnn.strict_sizes():
        with pytest.raises(ShapeError, match=message):
            layer(X)
        with pytest.raises(ShapeError, match=r"layer 0 .*doesn't fit"):
            output_shape(nn.Sequential(layer), X.shape[1:])
        with tcnn.strict_sizes(False):
            assert layer(X).shape == expected
        with pytest.raises(ShapeError):
            layer(X)
    assert layer(X).shape == expected


def test_strict_sizes_lets_pass_what_fits_and_what_rounds_up():
    with tcnn.strict_sizes():
        assert nn.Conv2d(2, 3, 3, stride=2)(X).shape == (1, 3, 3, 4)
        assert nn.Conv2d(2, 3, 4, padding="same")(X).shape == (1, 3, 7, 9)
        assert nn.MaxPool2d(2, ceil_mode=True)(X).shape == (1, 2, 4, 5)
        assert tcnn.output_size(7, 3, 2) == 3
        with pytest.raises(ShapeError, match=r"output_size: .*doesn't fit"):
            tcnn.output_size(7, 3, 3)


def test_strict_sizes_leaves_backward_of_an_earlier_graph_alone():
    x = tcnn.randn(1, 1, 7, 7, requires_grad=True)
    y = nn.MaxPool2d(2)(nn.Conv2d(1, 1, 3, stride=3)(tcnn.cat([x, x], dim=3)))
    with tcnn.strict_sizes():
        y.sum().backward()
    assert x.grad.shape == x.shape


def test_strict_sizes_ends_with_an_error_and_holds_in_its_own_thread_only():
    with pytest.raises(KeyError), tcnn.strict_sizes():
        raise KeyError
    assert tcnn.output_size(7, 3, 3) == 2
    seen = []
    with tcnn.strict_sizes():
        thread = threading.Thread(target=lambda: seen.append(tcnn.output_size(7, 3, 3)))
        thread.start()
        thread.join()
    assert seen == [2]
