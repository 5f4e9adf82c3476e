"""Shared by all tests: PyTorch as a fixture, and a comparison that looks at values, gradients, formats and memory."""

from __future__ import annotations

import functools
import os
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as tcnn_functional

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

TORCH_MISSING = "PyTorch is not installed, so nothing is compared with it: pip install torch==2.13.0"
_skipped_for_torch: list[str] = []


def pytest_collection_modifyitems(items):
    for item in items:
        if "torch" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.torch)
            # what PyTorch has to say about its own speed
            item.add_marker(
                pytest.mark.filterwarnings("ignore:(Creating a tensor from a list|Using padding=):UserWarning")
            )


_gpu = functools.cache(tcnn.cuda.problem)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and (problem := _gpu()):
        pytest.skip(problem)


def pytest_runtest_logreport(report):
    if report.skipped and TORCH_MISSING in str(report.longrepr):
        _skipped_for_torch.append(report.nodeid)


def pytest_terminal_summary(terminalreporter):
    if _skipped_for_torch:
        terminalreporter.write_line(f"{len(_skipped_for_torch)} tests skipped: {TORCH_MISSING}", red=True, bold=True)


@pytest.fixture(scope="session")
def torch():
    """PyTorch, imported once (that takes seconds), with one thread."""
    module = pytest.importorskip("torch", reason=TORCH_MISSING)
    module.set_num_threads(1)
    return module


@pytest.fixture
def rng():
    """NumPy random numbers, the same in every run."""
    return np.random.default_rng(20240607)


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run():
    tcnn.manual_seed(1234)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(1234)


class Library:
    """tinygrad_cnn or PyTorch, so that a case is written once: `lambda m, x: m.F.relu(m.cat([x, x]))`."""

    def __init__(self, module, functional):
        self._module, self.F = module, functional

    def __getattr__(self, name):
        return getattr(self._module, name)


OURS = Library(tcnn, tcnn_functional)


def flat(result):
    """The tensors of a result, be it one, a tuple or a named tuple."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def dtype_name(tensor):
    """`"float32"`, for ours and for PyTorch's."""
    return str(tensor.dtype).removeprefix("torch.")


def run_ours(case, arrays):
    """Run a case; returns leaves, outputs, and gradients for random cotangents (a check of memory is included)."""
    leaves = [tcnn.Tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in arrays]
    tensors = [t for t in leaves if isinstance(t, tcnn.Tensor)]
    before = [t.data.tobytes() for t in tensors]
    outputs = flat(case(OURS, *leaves))
    roots = [o for o in outputs if o.requires_grad]
    cotangents = [np.random.default_rng(i).normal(size=o.shape).astype(o.dtype) for i, o in enumerate(roots)]
    kept = [c.tobytes() for c in cotangents]
    for root, v in zip(roots, cotangents):
        root.backward(v, retain_graph=True)
    grads = [t.grad for t in tensors if t.requires_grad]
    assert [t.data.tobytes() for t in tensors] == before, "an operation changed its input"
    assert [c.tobytes() for c in cotangents] == kept, "backward changed the caller's gradient"
    check_unshared(
        [g for g in grads if g is not None], [t.data for t in tensors] + cotangents + [o.data for o in outputs]
    )
    return tensors, outputs, cotangents, grads


def check_unshared(gradients, others):
    """No gradient lies in the memory of another, or of any other array."""
    for i, gradient in enumerate(gradients):
        for other in gradients[i + 1 :] + list(others):
            assert not np.shares_memory(gradient, other), "a gradient shares memory"


@pytest.fixture(scope="session")
def against_torch(torch):
    """`against_torch(case, *arrays, theirs=None, rtol, atol)`: values, dtypes, shapes and gradients are PyTorch's."""
    library = Library(torch, torch.nn.functional)

    def compare(case, *arrays, theirs=None, rtol=None, atol=None, gradients=True):
        tensors, outputs, cotangents, grads = run_ours(case, arrays)
        leaves = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in arrays]
        for leaf in leaves:
            if isinstance(leaf, torch.Tensor) and leaf.is_floating_point():
                leaf.requires_grad_()
        expected = flat((theirs or case)(library, *leaves))
        assert len(outputs) == len(expected)
        widths = [t.dtype.itemsize for t in tensors if t.dtype.kind == "f"]
        default = {2: 5e-3, 4: 2e-5, 8: 1e-10}[min(widths, default=8)]
        tolerance = {"rtol": rtol or default, "atol": atol or default}
        for ours, its in zip(outputs, expected):
            assert ours.shape == tuple(its.shape)
            assert dtype_name(ours) == dtype_name(its)
            np.testing.assert_allclose(ours.numpy(), its.detach().numpy(), **tolerance, err_msg="values")
        roots = [e for e in expected if e.requires_grad]
        assert [o.requires_grad for o in outputs] == [e.requires_grad for e in expected]
        if not gradients:
            return outputs
        for root, v in zip(roots, cotangents):
            root.backward(torch.tensor(v), retain_graph=True)
        wanted = [t.grad for t in leaves if isinstance(t, torch.Tensor) and t.requires_grad]
        for number, (ours, its) in enumerate(zip(grads, wanted)):
            its = np.zeros(0) if its is None else its.numpy()
            ours = np.zeros(0) if ours is None else ours
            assert ours.dtype == its.dtype
            np.testing.assert_allclose(ours, its, **tolerance, err_msg=f"gradient of input {number}")
        return outputs

    return compare
