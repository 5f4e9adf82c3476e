"""The kernel table: which implementation is called, and how one's own gets in."""

import threading

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import backends, kernels
from tinygrad_cnn.kernels import table
from tinygrad_cnn.kernels.table import Kernel, KernelError, kernel


@pytest.fixture
def own_table(monkeypatch):
    """A table the test may fill."""
    monkeypatch.setattr(table, "_TABLE", {})


def implementations(**results):
    """Register the kernel "answer" with these results per set; a result is an array, or NotImplemented."""
    for name, result in results.items():
        kernel("answer", backend=name)(lambda x, result=result: result)
    return table.get("answer")


def test_the_first_set_of_the_backend_answers(own_table):
    answer = implementations(reference="reference", cpu="cpu", cuda="cuda")
    assert answer(np.ones(2)) == "cpu"
    assert repr(answer) == "<kernel answer: reference, cpu, cuda>"


def test_not_implemented_passes_on(own_table):
    answer = implementations(cpu=NotImplemented, reference="reference")
    assert answer(np.ones(2)) == "reference"


def test_without_an_own_version_the_reference_answers(own_table):
    assert implementations(reference="reference", cudnn="cudnn")(np.ones(2)) == "reference"


def test_nobody_takes_the_arguments(own_table):
    answer = implementations(cpu=NotImplemented, reference=NotImplemented, cuda="cuda")
    with pytest.raises(KernelError, match=r"answer: none of \['cpu', 'reference', 'cuda'\] takes .* on cpu"):
        answer(np.ones(2))


def test_the_backend_is_that_of_the_first_array(own_table):
    kernel("place")(lambda *args, **kwargs: "reference")
    kernel("place", backend="cpu")(lambda *args, **kwargs: "cpu")
    place = table.get("place")
    with standin.registered():
        assert place(None, 3, standin.xp.ones(2), np.ones(2)) == "reference"
        assert place(None, 3, np.ones(2), standin.xp.ones(2)) == "cpu"
    assert place(None, 3) == "reference"  # no array at all, as for toposort
    assert place(np.float32(2)) == "cpu"


def test_the_order_of_sets_is_the_backends(own_table, monkeypatch):
    answer = implementations(reference="reference", cpu="cpu", cudnn="cudnn", cuda="cuda")
    for sets in (("cudnn", "cuda", "reference"), ("cuda", "reference"), ("reference",)):
        monkeypatch.setattr(backends.CPU, "kernel_sets", sets, raising=False)
        assert answer(np.ones(2)) == sets[0]


def test_an_override_comes_first(own_table):
    answer = implementations(reference="reference", cpu="cpu")
    with kernels.use(answer=lambda x: x.sum()):
        assert kernels.overridden("answer")
        assert answer(np.ones(2)) == 2
    assert not kernels.overridden("answer")
    assert answer(np.ones(2)) == "cpu"


def test_an_override_must_answer(own_table):
    answer = implementations(reference="reference")
    with (
        kernels.use(answer=lambda x: NotImplemented),
        pytest.raises(KernelError, match=r"answer: the function given to kernels.use\(\) returned NotImplemented"),
    ):
        answer(np.ones(2))


def test_overrides_nest_and_end_with_their_block(own_table):
    answer = implementations(reference="reference")
    kernel("other")(lambda x: "reference")
    other = table.get("other")
    with kernels.use(answer=lambda x: "outer", other=lambda x: "outer"):
        with kernels.use(answer=lambda x: "inner"):
            assert (answer(1), other(1)) == ("inner", "outer")
        assert (answer(1), other(1)) == ("outer", "outer")
        with pytest.raises(ZeroDivisionError), kernels.use(answer=lambda x: 1 / 0):
            answer(1)
        assert answer(1) == "outer"
    assert (answer(1), other(1)) == ("reference", "reference")


def test_an_override_may_call_the_original(own_table):
    """A student's function that wraps the framework's must not call itself."""
    answer = implementations(reference=2)
    with kernels.use(answer=lambda x: answer.implementations["reference"](x) * 10):
        assert answer(1) == 20


def test_overrides_are_those_of_the_thread(own_table):
    answer = implementations(reference="reference")
    seen = {}

    def elsewhere():
        seen["other thread"] = answer(1)
        with kernels.use(answer=lambda x: "theirs"):
            seen["their block"] = answer(1)
            inside.set()
            done.wait(10)

    inside, done = threading.Event(), threading.Event()
    with kernels.use(answer=lambda x: "mine"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        assert inside.wait(10)
        seen["my block"] = answer(1)
        done.set()
        thread.join()
    assert seen == {"other thread": "reference", "their block": "theirs", "my block": "mine"}


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(KernelError, match=r"'conv2d_foward'; did you mean conv2d_forward\? \(all: .*adam_step"):
        kernels.get("conv2d_foward")
    with pytest.raises(KernelError, match="did you mean relu_forward"), kernels.use(relu_forwards=abs):
        pass
    with pytest.raises(AttributeError, match="did you mean softmax_forward"):
        kernels.softmax_forwad(np.ones(2))
    with pytest.raises(KernelError, match=r"no kernel 'qqqqq' \(all:"):
        kernels.get("qqqqq")


def test_a_failed_use_changes_nothing():
    with pytest.raises(KernelError), kernels.use(relu_forward=abs, unheard_of=abs):
        pass
    assert not kernels.overridden("relu_forward")


def test_a_set_has_a_kernel_once(own_table):
    implementations(reference=1)
    with pytest.raises(KernelError, match="answer: the set 'reference' has this kernel already"):
        implementations(reference=2)


def test_kernels_are_attributes_and_show_the_textbook():
    assert isinstance(kernels.conv2d_forward, Kernel)
    assert kernels.names() == sorted(kernels.names())
    assert "toposort" in kernels.names()
    for name in kernels.names():
        found = kernels.get(name)
        assert found.__doc__, f"{name} has no docstring"
        assert "reference" in found.implementations, f"{name} has no readable version"
        assert found.__doc__ == found.implementations["reference"].__doc__
    assert not hasattr(kernels, "no_such_kernel")


def test_a_users_function_enters_the_network():
    x = tcnn.tensor([[-1.0, 2.0]], requires_grad=True)
    seen = []

    def mine(dy, mask):
        seen.append(mask.tolist())
        return dy * 100

    with kernels.use(relu_backward=mine):
        x.relu().sum().backward()
    assert seen == [[[False, True]]]
    assert x.grad.tolist() == [[100, 100]]


def test_the_topological_order_can_be_replaced():
    calls = []

    def mine(root):
        calls.append(root)
        return kernels.toposort.implementations["reference"](root)

    x = tcnn.tensor(2.0, requires_grad=True)
    with kernels.use(toposort=mine):
        (x * x + x).backward()
    assert len(calls) == 1
    assert x.grad.item() == 5
