"""Devices: chosen by name, never replaced silently, and the CuPy side tried with a stand-in module."""

import contextlib
import sys
import threading
import types

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import backends, cuda
from tinygrad_cnn.backends import DeviceError
from tinygrad_cnn.cuda import CudaBackend


@pytest.fixture(autouse=True)
def _no_gpu_is_remembered():
    """`_backend` keeps its backends; a test's pretended ones must not outlive it."""
    cuda._backend.cache_clear()
    yield
    cuda._backend.cache_clear()


class FakeArray(standin.Array):
    """An array whose class says that it is CuPy's."""

    __slots__ = ()


FakeArray.__module__ = "cupy"
FakeArray.__qualname__ = "ndarray"


class FakeDevice:
    """`cupy.cuda.Device`: a context that makes a GPU the current one, and notes what it was asked."""

    log: list = []  # noqa: RUF012

    def __init__(self, index):
        self.id = index
        self.mem_info = (1_000_000_000 + index, 5_000_000_000)

    def __enter__(self):
        self.log.append(("enter", self.id))
        return self

    def __exit__(self, *error):
        self.log.append(("exit", self.id))

    def synchronize(self):
        self.log.append(("synchronize", self.id))


def pretend_cupy(monkeypatch, count=2):
    """Put a module in CuPy's place that counts `count` GPUs, or fails as CuPy does without a driver."""

    def device_count():
        if isinstance(count, Exception):
            raise count
        return count

    def asarray(values, dtype=None):
        made_on = FakeDevice.log[-1][1] if FakeDevice.log and FakeDevice.log[-1][0] == "enter" else 0
        return FakeArray(np.array(values, dtype=dtype), made_on, None)

    def current():
        entered = [index for what, index in FakeDevice.log if what == "enter"]
        return entered[-1] if entered else 0

    pool = types.SimpleNamespace(total_bytes=lambda: 300 + current(), used_bytes=lambda: 200)
    cupy = types.ModuleType("cupy")
    cupy.__version__ = "14.9.9"
    cupy.ndarray = FakeArray
    cupy.asarray = asarray
    cupy.asnumpy = lambda array: array.get()
    cupy.get_default_memory_pool = lambda: pool
    runtime = types.SimpleNamespace(
        getDeviceCount=device_count,
        getDeviceProperties=lambda index: {"name": f"NVIDIA Pretended {index}".encode(), "major": 9, "minor": 0},
        runtimeGetVersion=lambda: 12090,
        driverGetVersion=lambda: 13000,
    )
    cupy.cuda = types.SimpleNamespace(Device=FakeDevice, runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    FakeDevice.log.clear()
    return cupy


# Without a GPU


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_without_cupy(monkeypatch, device):
    monkeypatch.setitem(sys.modules, "cupy", None)  # `import cupy` fails
    with pytest.raises(DeviceError) as caught:
        tcnn.tensor([1.0], device=device)
    message = str(caught.value)
    assert f'device "cuda:{device[5:] or 0}"' in message
    assert "CuPy is not installed" in message
    assert 'pip install "tinygrad-cnn[cuda12]"' in message
    assert "Nothing was moved to the CPU instead" in message


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (
            RuntimeError("cudaErrorInsufficientDriver"),
            r"CuPy 14\.9\.9 is installed but found no usable GPU: cudaErrorInsuff.*\. .*nvidia-smi.*older CUDA",
        ),
        (RuntimeError("cudaErrorNoDevice"), "no usable GPU: cudaErrorNoDevice.*CUDA_VISIBLE_DEVICES"),
        (OSError("libcuda.so.1 is missing"), "found no usable GPU: libcuda"),
        (0, r"CuPy 14\.9\.9 is installed but this machine has no NVIDIA GPU"),
    ],
)
def test_with_cupy_but_without_a_gpu(monkeypatch, count, why):
    pretend_cupy(monkeypatch, count)
    x = tcnn.ones(2)
    for way in (
        lambda: tcnn.tensor([1.0], device="cuda"),
        lambda: x.to("cuda"),
        lambda: x.cuda(),
        lambda: tcnn.zeros(2, device="cuda:0"),
        lambda: tcnn.set_default_device("cuda"),
        lambda: tcnn.nn.Linear(2, 3).to("cuda"),
        lambda: backends.get("cuda"),
    ):
        with pytest.raises(DeviceError, match=why):
            way()
    assert tcnn.get_default_device() == "cpu"
    assert x.device == "cpu"


def test_an_error_is_not_remembered(monkeypatch):
    """A notebook may repair its driver, or import CuPy later."""
    pretend_cupy(monkeypatch, 0)
    with pytest.raises(DeviceError):
        backends.get("cuda")
    pretend_cupy(monkeypatch, 1)
    assert backends.get("cuda").name == "cuda:0"


def test_the_real_cupys_message():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its message cannot be seen")
    problem = cuda.problem()
    if problem is None:
        assert backends.get("cuda").kind == "cuda"
    else:
        assert problem.startswith(f"CuPy {cupy.__version__} is installed but ")
        with pytest.raises(DeviceError, match="Nothing was moved to the CPU"):
            backends.get("cuda")


# With pretended GPUs


def test_a_gpu_that_does_not_exist(monkeypatch):
    pretend_cupy(monkeypatch, 2)
    assert backends.get("cuda:1").name == "cuda:1"
    with pytest.raises(DeviceError, match=r'device "cuda:2": this machine has 2 GPU\(s\), numbered from 0'):
        backends.get("cuda:2")


def test_the_cuda_backend(monkeypatch):
    cupy = pretend_cupy(monkeypatch)
    backend = backends.get("cuda:1")
    assert isinstance(backend, CudaBackend)
    assert backend is backends.get("cuda:1")
    assert backend is not backends.get("cuda")
    assert (backend.name, backend.kind, backend.xp) == ("cuda:1", "cuda", cupy)
    assert backend.kernel_sets == ("cudnn", "cuda", "reference")
    assert not backend.checks_values
    assert repr(backend) == "Backend('cuda:1')"
    with backend.activate():
        assert cupy.cuda.Device.log == [("enter", 1)]
    assert cupy.cuda.Device.log.pop() == ("exit", 1)
    backend.synchronize()
    assert cupy.cuda.Device.log[-1] == ("synchronize", 1)
    assert backend.memory() == {"free": 1_000_000_001, "total": 5_000_000_000, "held": 301, "used": 200}


class Full(MemoryError):
    """As CuPy's `OutOfMemoryError`."""

    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")
        self._size, self._total, self._limit = size, total, limit


def test_a_full_memory_says_what_is_taken_and_what_helps(monkeypatch):
    pretend_cupy(monkeypatch)
    model = tcnn.nn.Sequential(tcnn.nn.Linear(2, 2), tcnn.nn.Linear(2, 2))

    def full(*args):
        with backends.get("cuda:1").activate():
            raise Full(3_000_000_000, 300, 4_000_000_000)

    with pytest.raises(MemoryError) as caught, tcnn.kernels.use(linear_forward=full):
        model(tcnn.ones(128, 2))
    assert isinstance(caught.value, tcnn.cuda.OutOfMemoryError)
    assert isinstance(caught.value, DeviceError)
    assert str(caught.value) == (
        "layer 0 (Linear), whose input is (128, 2): cuda:1 is out of memory: 3.0 GB were asked for; of 5.0 GB this "
        "program uses 200 bytes and keeps 101 bytes for later, 4.0 GB are taken otherwise; CuPy may take 4.0 GB (its "
        "limit). Halve the batch size; keep no losses with their graphs (loss.item() instead of loss); evaluate inside "
        "no_grad(); see what else runs there with nvidia-smi"
    )


def test_other_errors_are_left_alone(monkeypatch):
    pretend_cupy(monkeypatch)
    for error in (MemoryError("of NumPy"), ValueError("another")):
        with pytest.raises(type(error)) as caught, backends.get("cuda").activate(), backends.get("cuda").activate():
            raise error
        assert caught.value is error


def test_the_real_cupys_full_memory():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its error cannot be seen")
    error = cupy.cuda.memory.OutOfMemoryError(1 << 30, 5 << 30, 8 << 30)
    assert isinstance(error, MemoryError)
    assert (error._size, error._limit) == (1 << 30, 8 << 30)


def test_what_torch_cuda_tells(monkeypatch):
    cuda = tcnn.cuda
    pretend_cupy(monkeypatch, 0)
    assert not cuda.is_available()
    assert cuda.device_count() == 0
    cuda.empty_cache()  # there is nothing to give back
    cupy = pretend_cupy(monkeypatch, 2)
    freed = []
    cupy.get_default_memory_pool().free_all_blocks = lambda: freed.append(True)
    assert cuda.is_available()
    assert cuda.device_count() == 2
    assert cuda.get_device_name("cuda:1") == "NVIDIA Pretended 1"
    assert cuda.get_device_capability() == (9, 0)
    assert cuda.mem_get_info("cuda:1") == (1_000_000_001, 5_000_000_000)
    assert (cuda.memory_allocated(), cuda.memory_reserved(), cuda.memory_reserved("cuda:1")) == (200, 300, 301)
    cuda.synchronize("cuda:1")
    assert cupy.cuda.Device.log[-1] == ("synchronize", 1)
    cuda.empty_cache()
    assert freed == [True, True]  # on both
    with pytest.raises(DeviceError, match='device "cpu" is no GPU'):
        cuda.synchronize("cpu")


def test_arrays_of_the_cuda_backend(monkeypatch):
    pretend_cupy(monkeypatch)
    zero, one = backends.get("cuda:0"), backends.get("cuda:1")
    array = one.asarray(np.arange(3.0), dtype="float32")
    assert isinstance(array, FakeArray)
    assert (array.device.id, array.dtype) == (1, np.float32)  # made while GPU 1 was the current one
    assert one.asarray(array) is array
    with standin.using(1):
        assert one.asarray(array, dtype="float32") is array
        assert one.asarray(array, dtype="float64").dtype == np.float64
    there = zero.asarray(array)
    assert there is not array
    assert isinstance(there, standin.Array)
    back = one.to_numpy(array)
    assert type(back) is np.ndarray
    assert back.tolist() == [0, 1, 2]
    assert backends.to_numpy(array).tolist() == [0, 1, 2]
    assert one.lock(array) is array
    with one.unlocked(array) as same:
        assert same is array


def test_the_backend_of_a_cupy_array_is_found_by_its_module(monkeypatch):
    pretend_cupy(monkeypatch)
    array = FakeArray(np.zeros(3), 1, None)
    assert backends.is_array(array)
    assert backends.backend_of(array) is backends.get("cuda:1")
    assert backends.namespace(array) is sys.modules["cupy"]
    assert tcnn.from_numpy(array).device == "cuda:1"


def test_one_cupy_array_on_two_tensors(monkeypatch):
    pretend_cupy(monkeypatch)
    x = tcnn.from_numpy(FakeArray(np.zeros(3), 1, None))
    y = tcnn.from_numpy(FakeArray(np.zeros(3), 0, None))
    with pytest.raises(DeviceError, match="add: x is on cuda:1, y on cuda:0"):
        x + y


def test_nothing_imports_cupy_by_itself():
    """Neither the package nor a CPU's training asks for it."""
    import subprocess

    code = (
        "import sys; sys.modules['cupy'] = None\n"
        "import tinygrad_cnn as tcnn; from tinygrad_cnn import nn\n"
        "m = nn.Linear(2, 3); m(tcnn.ones(4, 2)).sum().backward()\n"
        "assert sys.modules['cupy'] is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Names of devices


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:1:2", "cpu:a", "cuda: 1"])
def test_devices_that_do_not_exist(name):
    with pytest.raises(DeviceError) as caught:
        backends.get(name)
    assert f'there is no device "{name}"' in str(caught.value)
    assert '"cpu", "cuda"' in str(caught.value)
    with pytest.raises((DeviceError, tcnn.DtypeError)):
        tcnn.ones(2).to(name)


def test_the_cpu():
    cpu = backends.get("cpu")
    assert cpu is backends.get() is backends.get(cpu) is backends.get("cpu:0")
    assert (cpu.name, cpu.kind, cpu.xp) == ("cpu", "cpu", np)
    assert cpu.checks_values
    assert cpu.memory() == {}
    cpu.synchronize()
    assert backends.kinds()[:2] == ("cpu", "cuda")


@contextlib.contextmanager
def default_device(name):
    before = tcnn.get_default_device()
    tcnn.set_default_device(name)
    try:
        yield
    finally:
        tcnn.set_default_device(before)


def test_the_default_device():
    assert tcnn.get_default_device() == "cpu"
    with standin.registered(), default_device("standin:1"):
        assert tcnn.get_default_device() == "standin:1"
        assert tcnn.tensor([1.0]).device == "standin:1"
        assert tcnn.tensor([1.0], device="cpu").device == "cpu"
        x = tcnn.tensor([1.0], device="cpu")
        assert (x * 2 + [1.0]).device == "cpu"  # what there is stays where it is
        assert tcnn.tensor(x).device == "cpu"
        assert tcnn.from_numpy(np.ones(2)).device == "cpu"
        seen = []
        thread = threading.Thread(target=lambda: seen.append(tcnn.get_default_device()))
        thread.start()
        thread.join()
        assert seen == ["cpu"]  # a setting of this thread
    assert tcnn.get_default_device() == "cpu"


def test_a_default_that_cannot_be_used_changes_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for wrong in ("cuda", "gpu"):
        with pytest.raises(DeviceError):
            tcnn.set_default_device(wrong)
    assert tcnn.get_default_device() == "cpu"
