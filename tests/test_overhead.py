"""What the framework itself does for an operation, in calls: a gate against slowness that no clock can make flaky.

Counted are the functions of the package that are called, and the built-in functions they call, kernels left out: those
do the arithmetic, and have tests of their own. A call costs some 30 to 100 ns. When a count is above its bound, the
message lists what was called how often: look for what the change has added to every operation (a property, a context
manager, a generator, a check of shapes that is no longer remembered), and raise the bound only for something that is
worth its time in every step of every training. When a count has become much smaller, lower the bound.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import backends, nn, optim
from tinygrad_cnn.function import Function
from tinygrad_cnn.models import LeNet5

PACKAGE = Path(tcnn.__file__).parent
KERNELS = PACKAGE / "kernels"


def calls(function):
    """Name → how often: what `function` calls in the package, or the package calls of Python's and NumPy's own."""
    counts = Counter()
    plumbing = {}

    def inside(code):
        if code not in plumbing:
            path = Path(code.co_filename)
            plumbing[code] = PACKAGE in path.parents and (KERNELS not in path.parents or path.name == "table.py")
        return plumbing[code]

    def note(frame, event, argument):
        if event == "call" and inside(frame.f_code):
            counts[frame.f_code.co_qualname] += 1
        elif event == "c_call" and inside(frame.f_code):
            counts[argument.__qualname__] += 1

    function()  # the second time sizes are known, and caches warm
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return counts


def at_most(bound, counts, operations=1):
    """Refuse more calls than the bound, and say which they are."""
    number = counts.total() / operations
    told = ", ".join(f"{name} {count / operations:g}" for name, count in counts.most_common(40))
    assert number <= bound, f"{number:g} calls, at most {bound} are allowed: {told}"
    assert number > bound / 2, f"{number:g} calls: the bound {bound} is too generous"


@pytest.fixture
def numbers():
    return tcnn.tensor(1.0, requires_grad=True), tcnn.tensor(2.0)


def test_counting_sees_the_package_and_what_it_calls(numbers):
    a, b = numbers
    counts = calls(lambda: a + b)
    assert counts["apply"] == counts["Add.forward"] == 1
    assert counts["ndarray.setflags"] == 3  # both inputs and the result
    assert counts["isinstance"] > 1
    with pytest.raises(AssertionError, match=r"10 calls, at most 9 are allowed: .*isinstance"):
        at_most(9, Counter({"isinstance": 6, "apply": 4}))


def test_an_addition_with_a_graph(numbers):
    a, b = numbers
    at_most(50, calls(lambda: a + b))


def test_an_addition_without_a_graph(numbers):
    a, b = numbers[1], numbers[1]
    at_most(50, calls(lambda: a + b))


def test_a_product_which_saves_both(numbers):
    a, _ = numbers
    at_most(74, calls(lambda: a * a))


def test_backward_through_a_node(numbers):
    a, b = numbers
    length = 1000
    y = a
    for _ in range(length):
        y = y + b
    at_most(27, calls(lambda: y.backward(retain_graph=True)), length)


def test_a_training_step_of_lenet():
    tcnn.manual_seed(0)
    model, criterion = LeNet5(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = tcnn.tensor(np.random.default_rng(0).random((4, 1, 28, 28), dtype=np.float32))
    target = tcnn.tensor([3, 1, 4, 1])

    def step():
        optimizer.zero_grad()
        criterion(model(x), target).backward()
        optimizer.step()

    at_most(1950, calls(step))


def test_a_module_adds_little_to_its_function():
    layer, x = nn.Identity(), tcnn.tensor(1.0)
    at_most(7, calls(lambda: layer(x)))


def test_numpy_keeps_what_it_ignores_where_the_short_way_looks_for_it():
    """If this fails, a new NumPy keeps it elsewhere: all is right still, but each operation slower by half a µs."""
    assert backends._ignoring() is not None


def test_an_operation_ignores_overflow_and_leaves_numpy_as_it_found_it():
    seen = []

    class Look(Function):
        def forward(self, x):
            seen.append(np.geterr())
            with backends.CPU.activate():  # as a kernel in a kernel
                pass
            seen.append(np.geterr())
            if x.ndim:
                raise ZeroDivisionError
            return x * 2

    with np.errstate(over="raise", divide="warn"):
        before = np.geterr()
        tcnn.apply(Look(), tcnn.tensor(1.0))
        assert np.geterr() == before
        with pytest.raises(ZeroDivisionError):
            tcnn.apply(Look(), tcnn.tensor([1.0]))
        assert np.geterr() == before
    assert [set(told.values()) for told in seen] == [{"ignore"}] * 4


def test_a_remembered_check_of_shapes_refuses_again():
    x, weight = tcnn.zeros(2, 3), tcnn.zeros(4, 5)
    texts = set()
    for _ in range(3):
        with pytest.raises(tcnn.ShapeError, match="flatten x first") as caught:
            nn.functional.linear(x, weight)
        texts.add(str(caught.value))
    assert len(texts) == 1
    nn.functional.max_pool2d(tcnn.zeros(1, 1, 7, 8), 2)
    with tcnn.strict_sizes(), pytest.raises(tcnn.ShapeError, match="doesn't fit"):
        nn.functional.max_pool2d(tcnn.zeros(1, 1, 7, 8), 2)  # of the same sizes, which were fine before
    assert nn.functional.max_pool2d(tcnn.zeros(1, 1, 7, 8), 2).shape == (1, 1, 3, 4)
