"""The slips of a first operation, a first kernel, a first training loop: each is named, none passes silently."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import Function, GraphError, kernels, nn


class Square(Function):
    def forward(self, x):
        self.save(x=x)
        return x * x

    def backward(self, dy):
        return 2 * self.saved.x * dy


def leaf(*values):
    return tcnn.tensor(list(values), requires_grad=True)


class KeepsByAttribute(Square):
    def forward(self, x):
        self.saved.x = x  # as PyTorch's ctx.x = x
        return x * x


class KeepsByItem(Square):
    def forward(self, x):
        self.saved["x"] = x
        return x * x


class ForgetsReturn(Square):
    def forward(self, x):
        self.save(x=x)


class ReturnsList(Square):
    def forward(self, x):
        return [1, 2]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (KeepsByAttribute, r"keep a value for backward with self.save\(x=…\)"),
        (KeepsByItem, r"self.save\(x=…\)"),
        (ForgetsReturn, r"forgets_return.forward returned NoneType, not an array; forgot `return`"),
        (ReturnsList, "returns_list.forward returned list"),
    ],
)
def test_forward(operation, message):
    with pytest.raises(GraphError, match=message):
        tcnn.apply(operation(), leaf(1.0, 2.0))
    assert not Function.saved  # nothing is left in what all operations share


def test_an_operation_is_used_once():
    square, a = Square(), leaf(3.0)
    y = tcnn.apply(square, a)
    with pytest.raises(GraphError, match="each call an instance of its own"):
        tcnn.apply(square, y)
    with pytest.raises(GraphError, match=r"apply\(Square\(\), x\)"):
        tcnn.apply(Square, a)
    y.backward()
    assert a.grad.tolist() == [6.0]


def test_backward_without_return():
    class Forgets(Square):
        def backward(self, dy):
            2 * self.saved.x * dy

    with pytest.raises(GraphError, match=r"forgets.backward returned no gradient, but x wants one; forgot `return`"):
        tcnn.apply(Forgets(), leaf(1.0)).sum().backward()


def test_backward_may_return_a_list():
    class Product(Function):
        def forward(self, x, y):
            self.save(x=x, y=y)
            return x * y

        def backward(self, dz):
            return [dz * self.saved.y, dz * self.saved.x]

    x, y = leaf(2.0), leaf(5.0)
    tcnn.apply(Product(), x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (5.0, 2.0)


def test_writing_into_the_gradient_or_the_input():
    class WritesGradient(Square):
        def backward(self, dy):
            dy *= 2
            return dy

    class WritesInput(Square):
        def forward(self, x):
            x += 1
            return x

    a, b, dy = leaf(1.0, 2.0), leaf(3.0, 4.0), tcnn.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        (tcnn.apply(WritesGradient(), a) + b).backward(dy)
    assert dy.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        tcnn.apply(WritesInput(), a)
    with (
        kernels.use(relu_forward=lambda x: (np.maximum(x, 0, out=x), x > 0)),
        pytest.raises(ValueError, match="read-only"),
    ):
        leaf(-1.0, 1.0).relu()
    assert a.tolist() == [1.0, 2.0]


def test_a_kernel_that_returns_what_it_should_not():
    w = nn.Parameter(tcnn.ones(2))
    w.grad = np.ones(2)
    optimizer = tcnn.optim.SGD([w], lr=0.5)
    with (
        kernels.use(sgd_step=lambda w, dw, velocity=None, **settings: w - settings["lr"] * dw),
        pytest.raises(
            kernels.KernelError, match=r"sgd_step: .* returned ndarray; it must change its arguments in place"
        ),
    ):
        optimizer.step()
    x = leaf(-1.0, 1.0)
    for mine, message in [
        (lambda x: np.maximum(x, 0), "returned ndarray; the reference returns tuple"),
        (lambda x: (x, x > 0, x), "returned tuple; the reference returns tuple"),
        (lambda x: None, "returned None; forgot `return`"),
    ]:
        with kernels.use(relu_forward=mine), pytest.raises(kernels.KernelError, match=message):
            x.relu()
    with pytest.raises(kernels.KernelError, match="conv2d_forward=1 must be a function"), kernels.use(conv2d_forward=1):
        pass


def test_freezing_and_thawing_a_layer():
    """As in transfer learning: the gradient, and the graphs that wait for backward, are still there."""
    w = leaf(1.0, 2.0)
    y = (w * w).sum()
    w.requires_grad_(False)
    assert not (w * 2).requires_grad
    w.requires_grad_(True)
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]
    w.requires_grad = False
    assert w.grad.tolist() == [2.0, 4.0]
    w.data = tcnn.ones(3)  # another shape: nothing of before fits
    w.requires_grad = True
    assert w.grad is None
    (w * 3).sum().backward()
    assert w.grad.tolist() == [3.0, 3.0, 3.0]


def test_memory_the_caller_made_read_only():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    t = tcnn.from_numpy(array)
    for write in (lambda: t.fill_(7), lambda: t.reshape(3, 1).fill_(7), lambda: t.detach().zero_()):
        with pytest.raises(GraphError, match="must not be written"):
            write()
    assert array.tolist() == [1.0, 1.0, 1.0]
    assert not array.flags.writeable


def test_one_number_into_one_place():
    x = tcnn.zeros(2, 2)
    x[0, 0] = tcnn.tensor([3.0])
    x[1] = tcnn.tensor([[4.0]])
    assert x.tolist() == [[3.0, 0.0], [4.0, 4.0]]


def test_the_remedy_for_a_clone_is_not_to_clone():
    y = leaf(1.0, 2.0).clone()
    with pytest.raises(GraphError, match=r"write into its detach\(\).clone\(\)"):
        y[0] = 5.0


@pytest.mark.parametrize("move", [lambda: tcnn.ones(2).to("gpu"), lambda: nn.Linear(1, 1).to("gpu")])
def test_neither_device_nor_format(move):
    with pytest.raises(tcnn.DeviceError, match=r'"gpu" is neither a device \(cpu, cuda'):
        move()


def test_images_of_another_size_for_lenet():
    model = tcnn.models.LeNet5()
    for x, advice in [
        (tcnn.zeros(2, 1, 32, 32), r"Resize\(\(28, 28\)\).*image_size=\(32, 32\)"),
        (tcnn.zeros(1, 28, 28), r"x\[None\]"),
        (tcnn.zeros(2, 3, 28, 28), "in_channels=1"),
    ]:
        with pytest.raises(tcnn.ShapeError, match=f"LeNet5: made for images .*{advice}"):
            model(x)


def test_a_window_error_names_the_layer():
    x = tcnn.zeros(1, 1, 3, 3)
    F = nn.functional
    for call, name in [
        (lambda: F.conv2d(x, tcnn.zeros(1, 1, 5, 5)), "conv2d"),
        (lambda: F.max_pool2d(x, 4), "max_pool2d"),
        (lambda: F.avg_pool2d(x, 4), "avg_pool2d"),
    ]:
        with pytest.raises(tcnn.ShapeError, match=rf"{name}: x \(1, 1, 3, 3\), kernel \(\d, \d\): a kernel spanning"):
            call()


def test_an_optimizer_of_a_model():
    with pytest.raises(TypeError, match=r"model.parameters\(\)"):
        tcnn.optim.SGD(nn.Linear(1, 1), lr=0.1)


def test_gradcheck_of_a_random_function():
    x = tcnn.tensor([1.0, 2.0] * 40, dtype="float64", requires_grad=True)
    with pytest.raises(tcnn.GradcheckError, match="other results the second time"):
        tcnn.gradcheck(lambda x: nn.functional.dropout(x, 0.5), [x])
