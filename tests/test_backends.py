"""The NumPy backend: what is an array, who owns memory, read-only results and how they are unlocked."""

import numpy as np
import pytest
import standin

from tinygrad_cnn import backends
from tinygrad_cnn.backends import CPU, DeviceError, backend_of, is_array, owner, to_numpy


class Sub(np.ndarray):
    pass


@pytest.mark.parametrize("value", [np.zeros(3), np.float32(1), np.zeros(()), np.zeros(3).view(Sub), np.bool_(True)])
def test_arrays_of_numpy_are_on_the_cpu(value):
    assert is_array(value)
    assert backend_of(value) is CPU
    assert backends.namespace(value) is np


@pytest.mark.parametrize("value", [[1.0], 1.0, None, "cupy", (1,), object(), type("cupy", (), {})()])
def test_what_is_no_array(value):
    assert not is_array(value)
    with pytest.raises(DeviceError, match=r"is not an array of NumPy or CuPy"):
        backend_of(value)
    assert to_numpy(value) is value


def test_a_class_of_the_cupy_package_that_is_no_array():
    """Random generators, streams and the like have no device."""
    stream = type("Stream", (), {"__module__": "cupy.cuda.stream"})()
    assert not is_array(stream)


def test_a_registered_library():
    with standin.registered():
        array = standin.xp.zeros(3)
        assert is_array(array)
        assert backend_of(array) is backends.get("standin")
        assert backends.kinds() == ("cpu", "cuda", "standin")
        assert to_numpy(array).tolist() == [0, 0, 0]
        assert isinstance(backends.get("standin").asarray([1, 2]), standin.Array)
        assert isinstance(CPU.asarray(array), np.ndarray)
    assert not is_array(array)
    assert backends.kinds() == ("cpu", "cuda")
    with pytest.raises(DeviceError, match='no device "standin"'):
        backends.get("standin")


def test_asarray_copies_only_where_it_must():
    x = np.arange(3.0)
    assert CPU.asarray(x) is x
    assert CPU.asarray(x, dtype="float64") is x
    assert CPU.asarray(x, dtype="float32").dtype == np.float32
    assert CPU.asarray([1, 2]).tolist() == [1, 2]
    assert CPU.to_numpy(x) is x


def test_the_owner_of_memory():
    x = np.zeros((4, 6))
    assert owner(x) is x
    assert owner(x[1:][:, ::2].T) is x
    assert owner(np.broadcast_to(x, (2, 4, 6))) is x
    assert owner(x.copy()) is not x
    buffer = np.frombuffer(b"12345678", np.uint8)
    assert owner(buffer[2:]) is buffer  # the bytes below are no array


def test_a_locked_array_is_unlocked_only_inside_the_block():
    x = CPU.lock(np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1
    with CPU.unlocked(x) as array:
        assert array is x
        array[0] = 1
    assert x.tolist() == [1, 0, 0]
    with pytest.raises(ZeroDivisionError), CPU.unlocked(x) as array:
        array[1] = 1 / 0
    assert not x.flags.writeable
    free = np.zeros(3)
    with CPU.unlocked(free) as array:
        array[0] = 1
    assert free.flags.writeable


def test_a_view_is_unlocked_together_with_its_base():
    base = CPU.lock(np.zeros((3, 4)))
    view = CPU.lock(base[1:].T)
    with CPU.unlocked(view) as array:
        array[0] = 7
    assert base[:, 0].tolist() == [0, 7, 7]
    assert not view.flags.writeable
    assert not base.flags.writeable


def test_memory_that_belongs_to_nobody_stays_locked():
    x = np.frombuffer(b"12345678", np.uint8)
    with pytest.raises(ValueError, match="WRITEABLE"), CPU.unlocked(x):
        pass


def test_repeated_memory_is_not_written():
    x = np.broadcast_to(np.zeros(3), (2, 3))
    with pytest.raises(ValueError, match=r"share one memory cell; clone\(\) it first"), CPU.unlocked(x):
        pass
    with CPU.unlocked(np.broadcast_to(np.zeros(1), (1, 1))[:, :1]) as array:  # one cell, one element
        array[...] = 2
    assert array.item() == 2
