"""NVIDIA GPUs, through CuPy: `device = "cuda" if tcnn.cuda.is_available() else "cpu"`.

Nothing else in the package imports CuPy, and this module does so only when a GPU is asked for: the import succeeds
without a driver, so it says nothing, and takes a second.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tinygrad_cnn import backends
from tinygrad_cnn.about import install
from tinygrad_cnn.backends import Backend, DeviceError, to_numpy


class OutOfMemoryError(DeviceError, MemoryError):
    """The GPU's memory is full; says how much was asked for and how much is taken, and what helps."""


class CudaBackend(Backend):
    """CuPy on one NVIDIA GPU."""

    kernel_sets = ("cudnn", "cuda", "reference")
    checks_values = False

    def __init__(self, cupy: Any, index: int) -> None:
        self.name = f"cuda:{index}"
        self.xp = cupy
        self.index = index
        self._device = cupy.cuda.Device(index)
        self._active = _Active(self)

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """Values as an array on this GPU."""
        with self._active:
            if isinstance(values, self.xp.ndarray):
                moved = values if values.device.id == self.index else values.copy()
                return moved if dtype is None else moved.astype(dtype, copy=False)
            return self.xp.asarray(to_numpy(values), dtype=dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        """The array copied to the host; waits for the device."""
        return self.xp.asnumpy(array)

    def lock(self, array: Any) -> Any:
        """CuPy has no read-only arrays; the array as it is."""
        return array

    def writable(self, array: Any) -> bool:
        """Always."""
        return True

    def readonly(self, array: Any) -> Any:
        """The array as it is."""
        return array

    @contextlib.contextmanager
    def unlocked(self, array: Any) -> Iterator[Any]:
        """The array as it is."""
        yield array

    def activate(self) -> AbstractContextManager[Any]:
        """Make this GPU the current device; inside, a full memory is an `OutOfMemoryError` of ours."""
        return self._active

    def synchronize(self) -> None:
        """Wait for the GPU."""
        self._device.synchronize()

    def memory(self) -> dict[str, int]:
        """Bytes free and in total on the GPU, and held by CuPy's pool."""
        free, total = self._device.mem_info
        with self._device:  # the pool tells of the current one
            pool = self.xp.get_default_memory_pool()
            return {"free": free, "total": total, "held": pool.total_bytes(), "used": pool.used_bytes()}


class _Active:
    """The device as the current one; may be entered several times, one inside the other."""

    def __init__(self, backend: CudaBackend) -> None:
        self.backend, self.device = backend, backend._device

    def __enter__(self) -> None:
        self.device.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        self.device.__exit__(kind, error, traceback)
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemoryError) and hasattr(error, "_size"):
            raise OutOfMemoryError(full(self.backend, error)) from None


def full(backend: CudaBackend, error: Any) -> str:
    """What to say when the memory is full: what was asked for, what is held and by whom, what helps."""
    memory = backend.memory()
    others = memory["total"] - memory["free"] - memory["held"]
    limit = f"; CuPy may take {_size(error._limit)} (its limit)" if error._limit else ""
    return (
        f"{backend.name} is out of memory: {_size(error._size)} were asked for; of {_size(memory['total'])} this "
        f"program uses {_size(memory['used'])} and keeps {_size(memory['held'] - memory['used'])} for later, "
        f"{_size(others)} are taken otherwise{limit}. Halve the batch size; keep no losses with their graphs "
        "(loss.item() instead of loss); evaluate inside no_grad(); see what else runs there with nvidia-smi"
    )


def _size(number: int) -> str:
    """Bytes for people.

    >>> _size(1_500_000_000), _size(2_300_000), _size(512)
    ('1.5 GB', '2.3 MB', '512 bytes')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(number) >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} bytes"


def problem() -> str | None:
    """Why `device="cuda"` cannot be used here, in one sentence; None if it can."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not installed ({error}); {install('cuda12')}, or cuda13, matching the driver"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own classes here, which exist only with a driver
        return f"CuPy {cupy.__version__} is installed but found no usable GPU: {error}{_remedy(str(error))}"
    if not count:
        return f"CuPy {cupy.__version__} is installed but this machine has no NVIDIA GPU"
    return None


def _remedy(error: str) -> str:
    """What helps against an error of the CUDA runtime, where that is known."""
    if "InsufficientDriver" in error:
        return (
            ". Either there is no NVIDIA driver (does `nvidia-smi` show a GPU?), or it is older than the CUDA version "
            "this CuPy is made for: update the driver, or install the CuPy for an older CUDA (cupy-cuda12x, not "
            "cupy-cuda13x)"
        )
    if "NoDevice" in error:
        return ". There is a driver, but no GPU that it shows to this program: is CUDA_VISIBLE_DEVICES set?"
    return ""


@functools.cache
def _backend(index: int) -> CudaBackend:
    reason = problem()
    if reason is not None:
        raise DeviceError(f'device "cuda:{index}": {reason}. Nothing was moved to the CPU instead')
    import cupy

    count = cupy.cuda.runtime.getDeviceCount()
    if index >= count:
        raise DeviceError(f'device "cuda:{index}": this machine has {count} GPU(s), numbered from 0')
    return CudaBackend(cupy, index)


backends.register("cuda", _backend, "cupy", lambda array: _backend(array.device.id))


# ---- as in torch.cuda


def is_available() -> bool:
    """Whether `device="cuda"` can be used; if not, `problem()` says why."""
    return problem() is None


def device_count() -> int:
    """How many GPUs can be used."""
    if problem() is not None:
        return 0
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())


def get_device_name(device: str = "cuda") -> str:
    """The GPU's name, such as "NVIDIA H200".

    Raises:
        DeviceError: If there is no such GPU.
    """
    return str(_properties(device)["name"].decode())


def get_device_capability(device: str = "cuda") -> tuple[int, int]:
    """Its compute capability, such as (9, 0); from (8, 0) on it has TF32.

    Raises:
        DeviceError: If there is no such GPU.
    """
    properties = _properties(device)
    return properties["major"], properties["minor"]


def version() -> str:
    """The CUDA version CuPy computes with, such as "12.9".

    Raises:
        DeviceError: If there is no GPU.
    """
    return _version(_get("cuda").xp.cuda.runtime.runtimeGetVersion())


def driver_version() -> str:
    """The newest CUDA version the driver takes.

    Raises:
        DeviceError: If there is no GPU.
    """
    return _version(_get("cuda").xp.cuda.runtime.driverGetVersion())


def _version(number: int) -> str:
    """CUDA's way to write a version.

    >>> _version(12090)
    '12.9'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def _properties(device: str) -> Any:
    backend = _get(device)
    return backend.xp.cuda.runtime.getDeviceProperties(backend.index)


def _get(device: str) -> CudaBackend:
    backend = backends.get(device)
    if not isinstance(backend, CudaBackend):
        raise DeviceError(f'device "{device}" is no GPU; use "cuda" or "cuda:1"')
    return backend


def synchronize(device: str = "cuda") -> None:
    """Wait until the GPU has done all it was asked to do: before a clock is read."""
    _get(device).synchronize()


def mem_get_info(device: str = "cuda") -> tuple[int, int]:
    """Bytes that are free, and in total."""
    memory = _get(device).memory()
    return memory["free"], memory["total"]


def memory_allocated(device: str = "cuda") -> int:
    """Bytes that this program's arrays take."""
    return _get(device).memory()["used"]


def memory_reserved(device: str = "cuda") -> int:
    """Bytes that CuPy's pool holds, for arrays there are and for later ones."""
    return _get(device).memory()["held"]


def empty_cache() -> None:
    """Give back what the pool keeps for later; for other programs, it makes nothing faster."""
    for index in range(device_count()):
        backend = _get(f"cuda:{index}")
        with backend.activate():
            backend.xp.get_default_memory_pool().free_all_blocks()
