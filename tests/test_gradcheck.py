"""The checker itself: it passes what is right, and finds what is wrong, where."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import DtypeError, Function, GradcheckError, gradcheck
from tinygrad_cnn.random import Generator


def leaf(*shape, seed=0):
    return tcnn.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


class Wrong(Function):
    """x², whose backward is wrong at one place."""

    def __init__(self, place, factor=1.001):
        self.place, self.factor = place, factor

    def forward(self, x):
        self.save(x=x)
        return x * x

    def backward(self, dy):
        dx = 2 * self.saved.x * dy
        dx[self.place] *= self.factor
        return dx


def wrong(x, place=(1, 2), factor=1.01):
    return tcnn.apply(Wrong(place, factor), x)


def test_it_passes_what_is_right():
    x, y = leaf(2, 3), leaf(3, seed=1)
    assert gradcheck(lambda x, y: (x * y).tanh(), [x, y])
    assert gradcheck(lambda x: x.exp(), x)
    assert gradcheck(lambda x: (x.sum(), x * 2, x.argmax()), [x])  # several outputs, one without a gradient
    assert x.grad is None


def test_it_finds_the_place_and_both_values():
    x, other = leaf(3, 4), leaf(3, 4, seed=1)
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda a, b: a + wrong(b, factor=3.0), [other, x])
    message = str(error.value)
    assert "input 1 (shape (3, 4)) is wrong, worst at (1, 2)" in message
    assert "1 of 12 entries are off" in message
    numbers = message.partition("backward says ")[2].replace(",", " ").split()
    assert float(numbers[0]) == pytest.approx(3 * float(message.partition("measured is ")[2].split()[0]), rel=1e-4)


def test_it_can_answer_instead():
    assert not gradcheck(wrong, [leaf(3, 4)], raise_exception=False)
    assert gradcheck(wrong, [leaf(3, 4)], rtol=0.1)


def test_random_cotangents_see_what_sums_hide():
    class HalfNorm(Function):
        """Batch norm whose backward forgets that the mean depends on x; the sum of its outputs is always 0."""

        def forward(self, x):
            self.save(std=x.std())
            return (x - x.mean()) / x.std()

        def backward(self, dy):
            return dy * 0

    assert gradcheck(lambda x: tcnn.apply(HalfNorm(), x).sum(), [leaf(5)])
    with pytest.raises(GradcheckError, match="5 of 5"):
        gradcheck(lambda x: tcnn.apply(HalfNorm(), x), [leaf(5)])


def test_a_gradient_that_is_not_a_number_is_found():
    with pytest.raises(GradcheckError, match=r"worst at \(1, 2\).*says nan"):
        gradcheck(lambda x: wrong(x, factor=np.nan), [leaf(3, 4)])


def test_a_missing_gradient_is_found():
    with pytest.raises(GradcheckError, match="backward says 0"):
        gradcheck(lambda x, y: x + y.detach() * 2 + x * 0, [leaf(3), leaf(3, seed=1)])


def test_an_unused_input_has_gradient_0():
    assert gradcheck(lambda x, y: x * 2, [leaf(3), leaf(2)])


def test_only_inputs_that_ask_are_checked():
    x, y, n = leaf(3), tcnn.Tensor([1.0, 2.0, 3.0]), tcnn.tensor([0, 1, 1])
    assert gradcheck(lambda x, y, n, k: (x * y)[n] * k, [x, y, n, 2.5])


def test_inputs_come_back_unchanged():
    x = leaf(4)
    before = x.data.tobytes()
    gradcheck(lambda x: x.exp(), [x])
    assert x.data.tobytes() == before
    assert x.data.flags.writeable


def test_random_operations_need_a_fixed_generator():
    assert gradcheck(lambda x: F.dropout(x, 0.4, generator=Generator(1)), [leaf(5, 4)])


def test_0_d_and_empty_inputs():
    assert gradcheck(lambda x: x.exp() * 2, [leaf()])
    assert gradcheck(lambda x, y: x.sum() * y, [leaf(0, 3), leaf(2)])


def test_the_same_tensor_twice():
    x = leaf(3)
    assert gradcheck(lambda a, b: a * a, [x, leaf(3, seed=1)])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tcnn.Tensor([1.0], requires_grad=True)], r"input 0 is float32; differences need float64: use \.double\(\)"),
        ([tcnn.Tensor([1.0])], "no input requires a gradient"),
        ([], "no input requires a gradient"),
    ],
)
def test_inputs_that_cannot_be_checked(inputs, message):
    with pytest.raises(DtypeError, match=message):
        gradcheck(lambda *x: x[0] * 2, inputs)


def test_a_result_without_a_graph():
    with pytest.raises(GradcheckError, match="no output requires a gradient"):
        gradcheck(lambda x: x.detach(), [leaf(2)])
