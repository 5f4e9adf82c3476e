"""Properties for any shape, tried by hypothesis: broadcasting, indexing, reductions as NumPy's, slopes right."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_cnn as tcnn
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn.random import Generator

few = settings(max_examples=60)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
full_shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)
seeds = st.integers(0, 2**32)


def numbers(shape, seed):
    """Asymmetric float64 numbers, no two equal."""
    return np.random.default_rng(seed).normal(size=shape)


def leaf(array):
    return tcnn.Tensor(array, requires_grad=True)


def slope(value, x, seed=0):
    """Derivative of value(x) along a random direction, measured: central differences in float64."""
    direction = np.random.default_rng(seed).normal(size=x.shape)
    eps = 1e-6
    return direction, (value(x + eps * direction) - value(x - eps * direction)) / (2 * eps)


def check_slope(function, *arrays):
    """The gradient for each array against the measured slope, started from a random cotangent."""
    leaves = [leaf(a) for a in arrays]
    y = function(*leaves)
    v = Generator(3).normal(y.shape)
    if not y.requires_grad:
        return
    y.backward(v)
    for i, (array, t) in enumerate(zip(arrays, leaves)):

        def value(moved, i=i):
            inputs = [tcnn.Tensor(moved if j == i else a) for j, a in enumerate(arrays)]
            return float((function(*inputs).numpy() * v).sum())

        direction, measured = slope(value, array)
        gradient = np.zeros(array.shape) if t.grad is None else t.grad
        np.testing.assert_allclose((gradient * direction).sum(), measured, rtol=1e-4, atol=1e-6)


BINARY = {
    "add": (lambda x, y: x + y, np.add),
    "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply),
    "div": (lambda x, y: x / (y * y + 1), lambda x, y: x / (y * y + 1)),
    "maximum": (tcnn.maximum, np.maximum),
    "minimum": (tcnn.minimum, np.minimum),
    "where": (lambda x, y: tcnn.where(x > y, x, y * 2), lambda x, y: np.where(x > y, x, y * 2)),
}


@few
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0),
    st.sampled_from(sorted(BINARY)),
    seeds,
)
def test_broadcasting(pair, name, seed):
    ours, numpys = BINARY[name]
    a, b = (numbers(shape, seed + i) for i, shape in enumerate(pair.input_shapes))
    np.testing.assert_allclose(ours(tcnn.Tensor(a), tcnn.Tensor(b)).numpy(), numpys(a, b), rtol=1e-12)
    assert ours(tcnn.Tensor(a), tcnn.Tensor(b)).shape == pair.result_shape
    check_slope(ours, a, b)


@few
@given(full_shapes, full_shapes)
def test_shapes_that_do_not_broadcast_are_refused(x, y):
    try:
        expected = np.broadcast_shapes(x, y)
    except ValueError:
        with np.testing.assert_raises(tcnn.ShapeError):
            tcnn.zeros(x) + tcnn.zeros(y)
    else:
        assert (tcnn.zeros(x) + tcnn.zeros(y)).shape == expected


@few
@given(st.data(), shapes, seeds)
def test_basic_indexing(data, shape, seed):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True, max_dims=6))
    a = numbers(shape, seed)
    np.testing.assert_array_equal(tcnn.Tensor(a)[index].numpy(), a[index])
    check_slope(lambda x: x[index] * 2, a)


@few
@given(st.data(), full_shapes, seeds)
def test_picking(data, shape, seed):
    picks = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4)))
    assume(all(p.ndim for p in picks))
    a = numbers(shape, seed)
    np.testing.assert_array_equal(tcnn.Tensor(a)[picks].numpy(), a[picks])
    check_slope(lambda x: x[picks] * 2, a)  # an entry picked twice counts twice


@few
@given(st.data(), shapes, seeds)
def test_masks(data, shape, seed):
    mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(0, len(shape)))]))
    a = numbers(shape, seed)
    assume(mask.ndim)
    np.testing.assert_array_equal(tcnn.Tensor(a)[mask].numpy(), a[mask])
    check_slope(lambda x: x[mask] * 3, a)


@few
@given(st.data(), shapes, seeds)
def test_writing_at_an_index(data, shape, seed):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    a = numbers(shape, seed)
    t = tcnn.Tensor(a)
    t[index] = 7.0
    a[index] = 7.0
    np.testing.assert_array_equal(t.numpy(), a)


REDUCTIONS = {
    "sum": (lambda x, d, k: x.sum(d, k), np.sum),
    "mean": (lambda x, d, k: x.mean(d, k), np.mean),
    "var": (lambda x, d, k: x.var(d, correction=0, keepdim=k), np.var),
    "amax": (lambda x, d, k: x.amax(d, k), np.max),
    "amin": (lambda x, d, k: x.amin(d, k), np.min),
    "prod": (lambda x, d, k: x.prod(d, k), np.prod),
    "logsumexp": (
        lambda x, d, k: x.logsumexp(d, k),
        lambda a, axis, keepdims: np.log(np.exp(a).sum(axis, keepdims=keepdims)),
    ),
}


@few
@given(st.data(), full_shapes, st.sampled_from(sorted(REDUCTIONS)), st.booleans(), seeds)
def test_reductions(data, shape, name, keepdim, seed):
    dims = data.draw(
        st.none() | hnp.valid_tuple_axes(len(shape), min_size=1) | st.integers(-len(shape), len(shape) - 1)
    )
    ours, numpys = REDUCTIONS[name]
    a = numbers(shape, seed)
    y = ours(tcnn.Tensor(a), dims, keepdim)
    np.testing.assert_allclose(y.numpy(), numpys(a, axis=dims, keepdims=keepdim), rtol=1e-9, atol=1e-12)
    check_slope(lambda x: ours(x, dims, keepdim), a)


@few
@given(st.data(), full_shapes, seeds)
def test_extremes_along_a_dimension(data, shape, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    a = numbers(shape, seed)
    values, indices = tcnn.Tensor(a).max(dim)
    np.testing.assert_array_equal(values.numpy(), a.max(dim))
    np.testing.assert_array_equal(indices.numpy(), a.argmax(dim))
    np.testing.assert_array_equal(tcnn.Tensor(a).sort(dim, descending=True).values.numpy(), -np.sort(-a, dim))
    check_slope(lambda x: x.max(dim).values * 2 + x.min(dim).values, a)


@few
@given(st.data(), full_shapes, seeds)
def test_shape_operations_move_and_never_change(data, shape, seed):
    a = numbers(shape, seed)
    order = data.draw(st.permutations(range(len(shape))))
    flips = data.draw(hnp.valid_tuple_axes(len(shape)))
    x = leaf(a)
    y = x.permute(*order).flip(flips).reshape(-1).view(*[shape[i] for i in order])
    np.testing.assert_array_equal(y.numpy(), np.flip(a.transpose(order), flips))
    v = numbers(y.shape, seed + 1)
    y.backward(v)
    np.testing.assert_array_equal(x.grad, np.flip(v, flips).transpose(np.argsort(order)))


@few
@given(st.data(), full_shapes, seeds)
def test_what_is_split_is_put_together_again(data, shape, seed):
    a = numbers(shape, seed)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = leaf(a)
    pieces = x.split(data.draw(st.integers(1, 5)), dim)
    y = tcnn.cat(pieces, dim)
    np.testing.assert_array_equal(y.numpy(), a)
    y.backward(a)
    np.testing.assert_array_equal(x.grad, a)
    chunks = x.chunk(data.draw(st.integers(1, 5)), dim)
    np.testing.assert_array_equal(tcnn.cat(chunks, dim).numpy(), a)
    np.testing.assert_array_equal(tcnn.stack(x.unbind(dim), dim).numpy(), a)


@few
@given(
    st.tuples(*[st.integers(1, 3)] * 2), st.integers(1, 2), st.tuples(*[st.integers(1, 6)] * 2), st.integers(1, 2),
    st.tuples(*[st.integers(1, 3)] * 2), st.tuples(*[st.integers(1, 3)] * 2), st.tuples(*[st.integers(0, 2)] * 2),
    st.tuples(*[st.integers(1, 2)] * 2), st.booleans(), seeds,
)  # fmt: skip
def test_convolution_is_its_definition(counts, per_group, sizes, groups, kernel, stride, padding, dilation, bias, seed):
    N, K = counts[0], counts[1] * groups
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    assume(all(span <= size + 2 * p for span, size, p in zip(spans, sizes, padding)))
    x, w = numbers((N, per_group * groups, *sizes), seed), numbers((K, per_group, *kernel), seed + 1)
    b = [numbers(K, seed + 2)] if bias else []
    convolve = lambda *t: F.conv2d(*t[:2], t[2] if bias else None, stride, padding, dilation, groups)  # noqa: E731
    y = convolve(*map(tcnn.Tensor, (x, w, *b))).numpy()
    padded = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    n, k, p, q = (int(np.random.default_rng(seed + 3 + i).integers(size)) for i, size in enumerate(y.shape))
    first = k // (K // groups) * per_group
    window = padded[
        n,
        first : first + per_group,
        p * stride[0] : p * stride[0] + spans[0] : dilation[0],
        q * stride[1] : q * stride[1] + spans[1] : dilation[1],
    ]
    np.testing.assert_allclose(y[n, k, p, q], (window * w[k]).sum() + (b[0][k] if bias else 0), rtol=1e-9, atol=1e-12)
    check_slope(convolve, x, w, *b)


@few
@given(
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    seeds,
)
def test_matrix_products(batch, n, m, k, seed):
    a, b = numbers((*batch, n, m), seed), numbers((m, k), seed + 1)
    np.testing.assert_allclose((tcnn.Tensor(a) @ b).numpy(), a @ b, rtol=1e-9, atol=1e-12)
    check_slope(lambda x, y: x @ y, a, b)


@few
@given(full_shapes, seeds, st.sampled_from(["float16", "float32", "float64"]))
def test_softmax_is_a_distribution(shape, seed, dtype):
    a = (numbers(shape, seed) * 30).astype(dtype)
    for dim in range(len(shape)):
        p = tcnn.Tensor(a).softmax(dim).numpy()
        assert p.dtype == dtype
        np.testing.assert_allclose(p.sum(dim), 1, rtol=3e-3 if dtype == "float16" else 1e-5)
        np.testing.assert_allclose(tcnn.Tensor(a).log_softmax(dim).exp().numpy(), p, rtol=1e-2, atol=1e-3)
