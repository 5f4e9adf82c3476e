"""Every kernel in CUDA C against the readable one, with the arguments of `test_cpu_kernels.py`.

Without a GPU the stand-in compiles its lines for the CPU; with one, `pytest -m gpu` runs the same on CuPy.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import cuda_on_cpu
import numpy as np
import pytest
import standin
from test_cpu_kernels import GENERATORS, Draw, same

from tinygrad_cnn import backends, kernels
from tinygrad_cnn.kernels.cuda.each import Each

MORE = {}


def generator(*names):
    def register(function):
        MORE.update(dict.fromkeys(names, function))
        return function

    return register


@generator("softmax_forward", "log_softmax_forward")
def _(draw):
    for shape in ((4, 5), (3, 1), (2, 3, 7), (0, 4)):
        x = draw(*shape)
        yield (x, -1), {}
        yield (x * 100, x.ndim - 1), {}
        if x.size:
            x = x.copy()
            x[0, ..., 0], x[-1, ..., -1] = -np.inf, np.nan
            yield (draw.laid(x), -1), {}


@generator("softmax_backward", "log_softmax_backward")
def _(draw):
    for (x, dim), _ in MORE["softmax_forward"](draw):
        yield (draw(*x.shape), draw.laid(x / 100), dim), {}


@generator("gather_images")
def _(draw):
    for N, *sizes in ((5, 7, 3, 1), (4, 2, 5, 3)):
        images = draw.draw.integers(0, 256, (N, *sizes), dtype=np.uint8)
        mean, std = draw(sizes[-1]), abs(draw(sizes[-1])) + 1
        for indices in ([0], [N - 1, 0, 0, 2], []):
            yield (draw.laid(images), np.array(indices, np.int64), mean, std), {}


GENERATORS = MORE | GENERATORS
FUSED = [name for name in kernels.names() if "cuda" in kernels.get(name).implementations]

WHERE = [
    pytest.param("standin", marks=pytest.mark.skipif(not cuda_on_cpu.COMPILER, reason="there is no g++ or clang++")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]


@pytest.fixture(name="device", params=WHERE)
def on_a_device(request, monkeypatch):
    """A backend, its device being the current one; on the CPU the readable kernels compute."""
    monkeypatch.setattr(backends.CPU, "kernel_sets", ("reference",), raising=False)
    with standin.registered("cuda", "reference") if request.param == "standin" else contextlib.nullcontext():
        backend = backends.get(request.param)
        with backend.activate():
            yield backend


def there(backend, value):
    """Arrays on the device, lying in memory as they did; anything else as it is."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(there(backend, v) for v in value)
    if not isinstance(value, np.ndarray):
        return value
    order = sorted(range(value.ndim), key=lambda axis: -abs(value.strides[axis]))
    back = [order.index(axis) for axis in range(value.ndim)]
    return backend.asarray(value.transpose(order)).transpose(back)


def run(name, kernel_set, args, kwargs):
    """The results on the host as one tuple; of a kernel that works in place, what it has changed."""
    implementations = kernels.get(name).implementations
    with np.errstate(all="ignore"):
        result = implementations[kernel_set](*args, **kwargs)
    if result is NotImplemented:
        return None
    if implementations["reference"].__annotations__["return"] == "None":
        result = tuple(a for a in (*args, *kwargs.values()) if backends.is_array(a))
    *results, last = result if isinstance(result, tuple) else (result,)
    return tuple(map(backends.to_numpy, (*results, *(last if isinstance(last, tuple) else (last,)))))


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        ("float32", "contiguous"),
        ("float32", "channels outermost"),
        ("float64", "channels outermost"),
        ("float32", "reversed axes"),
    ],
)
@pytest.mark.parametrize("name", FUSED)
def test_as_the_reference(name, dtype, layout, device):
    computed = 0
    for args, kwargs in GENERATORS[name](Draw(dtype, layout)):
        here = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        fused = run(name, "cuda", [there(device, a) for a in args], {k: there(device, v) for k, v in kwargs.items()})
        if fused is not None:
            computed += 1
            same(fused, run(name, "reference", here, copies), dtype)
    assert computed, "it declines everything"


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_optimizers_keep_single_precisions_digits(device, weight_decay):
    """With the usual numbers: 1 − 0.999, computed in single precision, would be wrong in its fifth digit."""
    draw = np.random.default_rng(0)
    usual = {"lr": 0.01, "weight_decay": weight_decay}
    betas = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "step": 3}
    for name, states, numbers in (
        ("sgd_step", 0, {}), ("sgd_step", 1, {"momentum": 0.9}), ("adam_step", 2, betas), ("adam_step", 3, betas),
        ("rmsprop_step", 1, {"alpha": 0.999, "eps": 1e-8}),
    ):  # fmt: skip
        arrays = [abs(draw.normal(size=9)).astype(np.float32) for _ in range(2 + states)]
        fused = run(name, "cuda", [there(device, a) for a in arrays], usual | numbers)
        for a, b in zip(fused, run(name, "reference", arrays, usual | numbers), strict=True):
            np.testing.assert_allclose(a, b, rtol=5e-7)


@pytest.mark.parametrize("name", ["sgd_step", "adam_step", "rmsprop_step"])
def test_an_infinite_weight_stays_infinite(device, name):
    numbers = {
        "adam_step": {"beta1": 0.9, "beta2": 0.9, "eps": 0.1, "step": 1},
        "rmsprop_step": {"alpha": 0.9, "eps": 0.1},
    }
    w, dw, *states = (device.asarray(np.array([a], np.float32)) for a in (np.inf, 1, 1, 1))
    states = states[: {"sgd_step": 0, "adam_step": 2, "rmsprop_step": 1}[name]]
    with device.activate():
        kernels.get(name).implementations["cuda"](w, dw, *states, lr=0.1, **numbers.get(name, {}))
    assert device.to_numpy(w).tolist() == [np.inf]


@pytest.mark.parametrize("name", FUSED)
def test_half_precision_is_left_to_the_reference(name, device):
    for args, kwargs in GENERATORS[name](Draw("float16", "contiguous")):
        fused = run(name, "cuda", [there(device, a) for a in args], {k: there(device, v) for k, v in kwargs.items()})
        assert fused is None or fused[0].dtype == bool  # which elements dropout keeps


def test_the_kernel_that_docs_gpu_shows(device):
    page = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    names, before = {}, list(Each.made)
    exec(block, names)
    Each.made[:] = before
    dy, mask = device.asarray(np.array([1.0, 2.0])), device.asarray(np.array([True, False]))
    assert device.to_numpy(names["relu_backward"](dy, mask)).tolist() == [1, 0]


def test_every_kernel_has_a_name_of_its_own():
    names = [each.name for each in Each.made]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not cuda_on_cpu.COMPILER, reason="there is no g++ or clang++")
def test_every_kernel_is_tried():
    """Some case reaches each of them."""
    with standin.registered("cuda", "reference"), standin.counting():
        backend = backends.get("standin")
        with backend.activate():
            for name in FUSED:
                for args, kwargs in GENERATORS[name](Draw("float32", "contiguous")):
                    given = [there(backend, a) for a in args], {k: there(backend, v) for k, v in kwargs.items()}
                    run(name, "cuda", *given)
        launched = {place.removesuffix("()") for place in standin.launches}
    assert {each.name for each in Each.made} <= launched
