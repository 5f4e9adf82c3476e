"""State trees as strict JSON and arrays: what goes in comes out, bit by bit."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_cnn.training.trees import decode, encode
from tinygrad_cnn.training.weights import pack, unpack

DTYPES = ["float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]


def through_the_disk(tree):
    arrays = {}
    text = json.dumps(encode(tree, arrays, "t"), allow_nan=False)
    return decode(json.loads(text), unpack(pack(arrays)))


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


arrays_of_all_kinds = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | arrays_of_all_kinds
keys = st.text() | st.integers() | st.sampled_from(["$array", "$float", "a/b", "key"])
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=12,
)


@given(trees)
def test_every_tree_comes_back(tree):
    assert same(tree, through_the_disk(tree))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_shape_and_layout(dtype):
    base = np.arange(24).reshape(2, 3, 4).astype(dtype)
    cases = [base, np.asfortranarray(base), base[::-1, :, ::2], base[0, 0, 0].reshape(()), base[:0], base.T]
    for array in [*cases, base[0, 0, 1]]:
        back = through_the_disk({"x": array})["x"]
        assert same(np.ascontiguousarray(array).reshape(array.shape) if array.ndim else array, back)
    assert through_the_disk(base).flags.writeable


def test_nan_payloads_and_negative_zero_keep_their_bits():
    array = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x7F800000], dtype=np.uint32).view(np.float32)
    assert through_the_disk(array).tobytes() == array.tobytes()
    assert through_the_disk([-0.0, 5e-324, 1 / 3]) == [-0.0, 5e-324, 1 / 3]
    assert math.copysign(1, through_the_disk(-0.0)) == -1


def test_paths_that_meet_are_kept_apart():
    tree = {"a/b": np.ones(1), "a": {"b": np.zeros(1)}}
    assert same(tree, through_the_disk(tree))


def test_arrays_are_copies():
    array, arrays = np.zeros(2), {}
    encode(array, arrays, "x")
    array += 1
    assert arrays["x"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": [1, {2, 3}]}, r"t/a/1: a set cannot be stored"),
        ({"a": object()}, r"t/a: a object cannot be stored"),
        ({"a": np.array(["x"])}, r"t/a: arrays of <U1 cannot be stored"),
        ({"a": np.array([None])}, r"t/a: arrays of object"),
        ({"a": 1 + 2j}, r"t/a: a complex"),
        ({"a": np.ones(2, complex)}, r"t/a: arrays of complex128"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path(tree, message):
    with pytest.raises(TypeError, match=message):
        encode(tree, {}, "t")


def test_unpack_refuses_nonsense():
    good = pack({"x": np.ones(3)})
    for bad in (b"", b"\xff" * 30, good[:-1], good[:20]):
        with pytest.raises(ValueError):
            unpack(bad)
