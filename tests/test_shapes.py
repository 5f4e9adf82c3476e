"""Size rules: windows against a count of positions, signatures, dimensions, broadcasting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinygrad_cnn.shapes import (
    ShapeError,
    Signature,
    Window,
    broadcast_shapes,
    normalise_dims,
    one_dim,
    window,
)
from tinygrad_cnn.sizes import receptive_field


def positions(size, kernel, stride, padding, dilation, ceil):
    """Window positions, counted one by one."""
    span = dilation * (kernel - 1) + 1
    starts = range(-padding, size + padding + stride, stride)
    if ceil:  # the first window that reaches the end is the last, unless it begins in the padding behind
        count = 0
        for start in starts:
            if count and start >= size:
                break
            count += 1
            if start + span >= size + padding:
                break
        return count
    return sum(start + span <= size + padding for start in starts)


def test_output_sizes_by_counting():
    compared = 0
    for size, kernel, stride, dilation in itertools.product(range(1, 9), range(1, 5), range(1, 4), range(1, 4)):
        for padding, ceil in itertools.product(range(3), (False, True)):
            if dilation * (kernel - 1) + 1 > size + 2 * padding or (ceil and 2 * padding > kernel):
                continue
            w = Window(kernel, stride, padding, dilation, ceil)
            assert w.out(size) == positions(size, kernel, stride, padding, dilation, ceil), (size, w)
            compared += 1
    assert compared > 800


@pytest.mark.parametrize("ceil", [False, True])
def test_output_sizes_as_torch(torch, ceil):
    for size, kernel, stride, padding, dilation in itertools.product(range(3, 9), (1, 2, 3), (1, 2, 3), (0, 1), (1, 2)):
        if 2 * padding > kernel or dilation * (kernel - 1) + 1 > size + 2 * padding:
            continue
        x = torch.zeros(1, 1, size, size + 1)
        y = torch.nn.functional.max_pool2d(x, kernel, stride, padding, dilation, ceil)
        assert Window(kernel, stride, padding, dilation, ceil).out(size, size + 1) == tuple(y.shape[2:])


@pytest.mark.parametrize(("kernel", "dilation", "pads"), [
    (1, 1, (0, 0)), (2, 1, (0, 1)), (3, 1, (1, 1)), (4, 1, (1, 2)), (2, 3, (1, 2)), (3, 2, (2, 2)),
])  # fmt: skip
def test_same(kernel, dilation, pads):
    w = Window(kernel, padding="same", dilation=dilation)
    assert w.pads == (pads,)
    assert [w.out(n) for n in (1, 5, 8)] == [1, 5, 8]


def test_windows_of_two_axes():
    w = Window((3, 2), (2, 1), (1, 0), (1, 2))
    assert (w.rank, len(w), w.spans, w.pads, w.out(7, 5)) == (2, 6, (3, 3), ((1, 1), (0, 0)), (4, 3))
    assert Window(3).out(5, 6, 7) == (3, 4, 5)
    assert Window(3, stride=(1, 2)).out(5, 5) == (3, 2)
    assert window((3, 3), (1, 1), (0, 0), (1, 1)) is window((3, 3), (1, 1), (0, 0), (1, 1))
    assert Window(3, padding="valid").out(5) == 3


def test_taps_meet_the_right_pixels(rng):
    x = rng.normal(size=(9, 8))
    w = Window((3, 2), (2, 3), 0, (2, 1))
    P, Q = w.out(9, 8)
    for (r, s), (rows, columns) in w.taps(P, Q):
        expected = [[x[p * 2 + r * 2, q * 3 + s] for q in range(Q)] for p in range(P)]
        np.testing.assert_array_equal(x[rows, columns], expected)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Window(0), "kernel=.*at least 1"),
    (lambda: Window(2, stride=0), "stride=.*at least 1"),
    (lambda: Window(2, dilation=0), "dilation=.*at least 1"),
    (lambda: Window(2, padding=-1), "padding=.*at least 0"),
    (lambda: Window((2, 2), stride=(1, 2, 3)), "kernel=.*one whole number or 3"),
    (lambda: Window(2.5), "whole number"),
    (lambda: Window(2, padding="half"), '"valid", "same"'),
    (lambda: Window(3, 2, "same"), 'padding="same" needs stride 1'),
    (lambda: Window(5).out(4), r"spanning 5 pixels does not fit into 4: \(4 − 5\)/1 \+ 1 = 0, which must"),
    (lambda: Window(3, 3).out(7, exact=True), r"window: \(7 − 3\)/3 \+ 1 = 2.33: doesn't fit; the last pixel would be"),
    (lambda: Window((2, 2)).out(4), "with 2 axes cannot slide along 1"),
])  # fmt: skip
def test_windows_that_cannot_be(make, message):
    with pytest.raises((ShapeError, TypeError), match=message):
        make()


def test_strides_given_apart_from_their_kernels_are_refused():
    with pytest.raises(ShapeError, match=r"axis \[4, 2\] must be a number; strides stand beside their kernels"):
        receptive_field([11, 3], [4, 2])


def test_receptive_fields():
    assert receptive_field([]) == 1
    assert receptive_field([Window(5), Window(2, 2), Window(5), Window(2, 2)]) == 16  # LeNet-5 up to its pooling
    assert receptive_field([Window(3, dilation=2), Window(3, stride=2), Window(3)]) == 11
    assert receptive_field([Window((3, 5))], axis=1) == 5


def test_latex_names_the_numbers():
    assert Window(3, 2, 1).latex(7) == r"\left\lfloor\frac{7 + 1 + 1 - 3}{2}\right\rfloor + 1 = 4"
    assert "lceil" in Window(2, 2, ceil_mode=True).latex(5)


# ---- signatures


def match(text, attributes=None, **shapes):
    return Signature.parse(text).match("op", shapes, attributes)


def test_signatures_bind_letters():
    assert match("x:NCHW, weight:KC/groupsRS, bias?:K -> NKPQ", {"groups": 2}, x=(1, 4, 5, 6), weight=(2, 2, 3, 3)) == {
        "N": 1, "C": 4, "H": 5, "W": 6, "K": 2, "R": 3, "S": 3,
    }  # fmt: skip
    assert match("x:...F -> ...F", x=(2, 3, 4)) == {"F": 4}
    assert match("x:NC... -> N", x=(2, 3, 4, 5)) == {"N": 2, "C": 3}
    assert Signature.parse("x:NC -> N").arguments[0].layout == "(N, C)"


@pytest.mark.parametrize(("text", "shapes", "message"), [
    ("x:NF, y:NF -> N", {"x": (2, 3), "y": (2, 4)}, r"op: y \(2, 4\) wants F=4 input features, x \(2, 3\) has 3"),
    ("x:NF -> N", {"x": (2,)}, r"x must have 2 dimensions \(N, F\), it has 1: \(2,\)"),
    ("x:NC... -> N", {"x": (2,)}, "at least 2 dimensions"),
    ("x:...F -> F", {"x": ()}, "at least 1 dimension"),
    ("x:N, y:N -> N", {"x": (2,)}, "y .* is missing"),
    ("x:NN -> N", {"x": (2, 3)}, "wants N=3"),
])  # fmt: skip
def test_signatures_say_what_does_not_fit(text, shapes, message):
    with pytest.raises(ShapeError, match=message):
        match(text, **shapes)


def test_a_signature_that_cannot_be_read():
    with pytest.raises(ValueError, match="cannot read the dimensions"):
        Signature.parse("x:n -> N")


# ---- dimensions


def test_dimensions():
    assert normalise_dims("f", None, 3) == (0, 1, 2)
    assert normalise_dims("f", (-1, 0), 3) == (2, 0)
    assert normalise_dims("f", [1], 3) == (1,)
    assert normalise_dims("f", 0, 0) == normalise_dims("f", -1, 0) == ()
    assert one_dim("f", -2, 3) == 1
    for dim in (3, -4, (0, 3)):
        with pytest.raises(ShapeError, match=r"f: there is no dimension .* use -3\.\.2"):
            normalise_dims("f", dim, 3)
    with pytest.raises(ShapeError, match="twice"):
        normalise_dims("f", (0, -3), 3)
    with pytest.raises(ShapeError, match="f: a 0-d tensor has no dimension 0"):
        one_dim("f", 0, 0)


def test_broadcast_shapes():
    assert broadcast_shapes("f", (2, 1, 3), (4, 1)) == (2, 4, 3)
    assert broadcast_shapes("f", (), (0, 1)) == (0, 1)
    assert broadcast_shapes("f", (0,), (1,)) == (0,)
    for x, y in [((2,), (3,)), ((2, 3), (2, 1, 4)), ((0,), (2,))]:
        with pytest.raises(ShapeError, match=r"f: shapes .* cannot be broadcast: axis −1"):
            broadcast_shapes("f", x, y)
