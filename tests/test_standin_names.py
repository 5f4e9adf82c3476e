"""The stand-in has no name that CuPy lacks: compared with an installed CuPy (no GPU is needed to look)."""

import inspect
import re
from pathlib import Path

import pytest
import standin

import tinygrad_cnn
from tinygrad_cnn.kernels.cuda.each import Each


def listed(text: str) -> list[str]:
    return text.split()


# every name the package takes from its array namespace, and from arrays; what is not listed the stand-in refuses
FUNCTIONS = listed("""
    ElementwiseKernel ReductionKernel abs add.at arange argsort array asarray broadcast_to ceil clip concatenate cos
    cumsum empty exp expand_dims expm1 flip floor full full_like iinfo inf int32 isfinite isnan log log1p maximum
    minimum moveaxis nan ndarray ones round sign sin sqrt stack take_along_axis tanh uint64 uint8 where zeros zeros_like
""")
METHODS = listed("""
    T all any argmax argmin astype base copy device dtype fill flags get item itemsize max mean min nbytes ndim nonzero
    prod reshape shape size squeeze strides sum swapaxes tolist transpose view
""")
# what `CudaBackend` alone calls
CUDA = listed("""
    __version__ asnumpy cuda.Device cuda.memory.OutOfMemoryError cuda.runtime.driverGetVersion
    cuda.runtime.getDeviceCount cuda.runtime.getDeviceProperties cuda.runtime.runtimeGetVersion get_default_memory_pool
    ndarray
""")


def public(place: type) -> list[str]:
    return sorted(name for name in vars(place) if not name.startswith("_"))


def test_the_lists_are_the_standins_own():
    assert public(standin.Namespace) == sorted({name.partition(".")[0] for name in FUNCTIONS})
    assert public(standin.Array) == METHODS


def test_the_package_uses_these_functions_and_no_others():
    package = Path(tinygrad_cnn.__file__).parent
    used: dict[str, str] = {}
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?:\bxp|\bnamespace\([^()]*\))\.([A-Za-z_]\w*(?:\.at)?)", text):
            used[name] = path.name
    known = {*FUNCTIONS, *(name.partition(".")[0] for name in CUDA)}
    assert set(used) - known == set(), "check that CuPy has it, then list it"
    assert set(FUNCTIONS) - set(used) == set(), "nobody uses it any more"


def reach(cupy, path: str):
    value = cupy
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.fixture
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed: its names cannot be compared")


def test_cupy_has_the_functions(cupy):
    for name in (*FUNCTIONS, *CUDA):
        reach(cupy, name)


def test_cupy_has_the_methods(cupy):
    assert [name for name in METHODS if not hasattr(cupy.ndarray, name)] == []


def test_cupys_functions_take_these_arguments(cupy):
    """Names and order of the arguments; those the package never gives are left out."""
    for name in FUNCTIONS:
        function = getattr(standin.Namespace, name, None)
        if inspect.isfunction(function) and not isinstance(getattr(cupy, name), type):
            ours = list(inspect.signature(function).parameters)
            theirs = list(inspect.signature(getattr(cupy, name)).parameters)
            assert ours == theirs[: len(ours)], name


def test_cupy_takes_our_kernels(cupy):
    """Their parameters, which it reads when they are made; the lines themselves: test_cuda_source.py."""
    for each in Each.made:
        made = each._compile(cupy)
        assert made.name == each.name
        assert len(made.in_params) == each.reads.count(",") + 1


def test_cupys_methods_take_these_arguments(cupy):
    """Their first line of documentation shows them: `ndarray.sum(self, axis=None, …) -> ndarray`."""
    for name in METHODS:
        function = getattr(standin.Array, name)
        if inspect.isfunction(function):
            head = (getattr(cupy.ndarray, name).__doc__ or "").partition("\n")[0]
            for argument in list(inspect.signature(function).parameters)[1:]:
                assert re.search(rf"\b{argument}\b", head), head
