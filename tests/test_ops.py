"""Every operation: forward and gradient against PyTorch and against measured slopes, on asymmetric random cases.

Each comparison also checks that no input was changed and that no gradient shares memory (see conftest).
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from conftest import OURS, flat, run_ours


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.3, 2.0, size=shape)


def distinct(*shape, seed=0):
    """Numbers at least 0.1 apart, so that a small step never changes which is the largest."""
    n = int(np.prod(shape))
    return (np.random.default_rng([seed, *shape]).permutation(n) - n / 2 + 0.25).reshape(shape) * 0.1


def whole(high, *shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, high, shape)


# name → (case, inputs). m is tinygrad_cnn or torch; m.F its nn.functional.
ELEMENTWISE = {
    "add": (lambda m, x, y: x + y, [normal(2, 3), normal(2, 3, seed=1)]),
    "add broadcast both": (lambda m, x, y: x + y, [normal(2, 1, 3), normal(4, 1)]),
    "add 0-d": (lambda m, x, y: x + y, [normal(2, 3), normal()]),
    "add empty": (lambda m, x, y: x + y, [normal(0, 3), normal(3)]),
    "add to itself": (lambda m, x: x + x, [normal(2, 3)]),
    "add number": (lambda m, x: 2 + x + 0.5, [normal(2, 3)]),
    "sub broadcast": (lambda m, x, y: x - y, [normal(3, 1), normal(2, 1, 4)]),
    "number sub": (lambda m, x: (1 - x) - 2, [normal(2, 3)]),
    "mul broadcast": (lambda m, x, y: x * y, [normal(3), normal(2, 1)]),
    "mul itself": (lambda m, x: x * x, [normal(3, 2)]),
    "mul number": (lambda m, x: 3 * x * -0.5, [normal(2, 3)]),
    "div": (lambda m, x, y: x / y, [normal(2, 3), positive(3)]),
    "div by itself": (lambda m, x: x / (x + 3), [positive(4)]),
    "div numbers": (lambda m, x: (2 / x) / 4, [positive(2, 3)]),
    "pow tensors": (lambda m, x, y: x**y, [positive(2, 3), normal(3)]),
    "pow 2": (lambda m, x: x**2, [normal(2, 3)]),
    "pow 3": (lambda m, x: x**3, [normal(2, 3)]),
    "pow half": (lambda m, x: x**0.5, [positive(2, 3)]),
    "pow minus one": (lambda m, x: x**-1, [positive(2, 3)]),
    "pow 0": (lambda m, x: x**0 + x, [normal(2, 3)]),
    "number pow": (lambda m, x: 2**x, [normal(2, 3)]),
    "number pow broadcast": (lambda m, x: 2.5**x + x, [normal(2, 1)]),
    "remainder": (lambda m, x, y: x % y, [normal(4, 3) * 3, positive(3)]),
    "remainder number": (lambda m, x: x % 0.7, [normal(4, 3)]),
    "neg pos abs": (lambda m, x: -(+x) + abs(x) * 3, [normal(2, 3)]),
    "exp": (lambda m, x: x.exp(), [normal(2, 3)]),
    "log": (lambda m, x: x.log(), [positive(2, 3)]),
    "sqrt": (lambda m, x: x.sqrt(), [positive(2, 3)]),
    "sin cos": (lambda m, x: x.sin() * x.cos(), [normal(2, 3)]),
    "tanh": (lambda m, x: x.tanh(), [normal(2, 3)]),
    "sigmoid": (lambda m, x: x.sigmoid(), [normal(2, 3)]),
    "relu": (lambda m, x: x.relu(), [normal(2, 3)]),
    "square": (lambda m, x: x.square(), [normal(2, 3)]),
    "clamp": (lambda m, x: x.clamp(-0.4, 0.6), [normal(4, 3)]),
    "clamp min": (lambda m, x: x.clamp(min=0.1), [normal(4, 3)]),
    "clamp max": (lambda m, x: x.clamp(max=0.1), [normal(4, 3)]),
    "clamp crossed": (lambda m, x: x.clamp(0.5, -0.5) + x, [normal(4, 3)]),
    "maximum": (lambda m, x, y: m.maximum(x, y), [normal(2, 3), normal(3)]),
    "minimum": (lambda m, x, y: m.minimum(x, y), [normal(2, 1), normal(2, 3)]),
    "where": (lambda m, c, x, y: m.where(c, x, y), [whole(2, 2, 3) > 0, normal(2, 1), normal(3)]),
    "where number": (lambda m, c, x: m.where(c, x, 1.5), [whole(2, 2, 3) > 0, normal(3)]),
    "where condition largest": (lambda m, c, x, y: m.where(c, x, y), [whole(2, 4, 1) > 0, normal(3), normal()]),
    "masked_fill": (lambda m, c, x: x.masked_fill(c, -2.0), [whole(2, 2, 3) > 0, normal(2, 3)]),
    "floor ceil round sign": (lambda m, x: x.floor() + x.ceil() + x.round() + x.sign() + x, [normal(2, 3)]),
    "leaky_relu": (lambda m, x: m.F.leaky_relu(x, 0.2), [normal(2, 3)]),
    "softplus": (lambda m, x: m.F.softplus(x), [normal(2, 3)]),
    "clone": (lambda m, x: x.clone() * x, [normal(2, 3)]),
    "cast and back": (lambda m, x: x.double() * 2, [normal(2, 3)]),
}

MATMUL = {
    "matrices": (lambda m, x, y: x @ y, [normal(2, 3), normal(3, 4)]),
    "vectors": (lambda m, x, y: x @ y, [normal(3), normal(3, seed=1)]),
    "matrix vector": (lambda m, x, y: x @ y, [normal(2, 3), normal(3)]),
    "vector matrix": (lambda m, x, y: x @ y, [normal(3), normal(3, 2)]),
    "stack": (lambda m, x, y: m.matmul(x, y), [normal(2, 1, 2, 3), normal(4, 3, 2)]),
    "stack times vector": (lambda m, x, y: x @ y, [normal(2, 2, 3), normal(3)]),
    "vector times stack": (lambda m, x, y: x @ y, [normal(3), normal(2, 3, 4)]),
    "transposed operands": (lambda m, x, y: x.T @ y.T, [normal(3, 2), normal(4, 3)]),
    "with itself": (lambda m, x: x @ x.T @ x, [normal(2, 3)]),
    "expanded": (lambda m, x, y: x.expand(2, 3) @ y.expand(3, 4), [normal(1, 3), normal(3, 1)]),
    "empty inner": (lambda m, x, y: x @ y, [normal(2, 0), normal(0, 3)]),
    "empty stack": (lambda m, x, y: x @ y, [normal(0, 2, 3), normal(3, 4)]),
    "linear": (lambda m, x, w, b: m.F.linear(x, w, b), [normal(2, 3), normal(4, 3), normal(4)]),
    "linear without bias": (lambda m, x, w: m.F.linear(x, w), [normal(2, 2, 3), normal(4, 3)]),
    "linear to nothing": (lambda m, x, w, b: m.F.linear(x, w, b), [normal(2, 3), normal(0, 3), normal(0)]),
    "linear from nothing": (lambda m, x, w: m.F.linear(x, w), [normal(2, 0), normal(4, 0)]),
    "linear vector": (lambda m, x, w, b: m.F.linear(x, w, b), [normal(3), normal(4, 3), normal(4)]),
}


def _reductions():
    cases = {}
    for name in ("sum", "mean", "amax", "amin"):
        for dim in (None, 0, -1, 1, (0, 2), (-1, 1), (0, 1, 2)):
            for keepdim in (False, True):
                kwargs = ({"keepdim": True} if keepdim else {}) | ({} if dim is None else {"dim": dim})
                if dim is None and keepdim and name in ("sum", "mean"):
                    continue  # PyTorch takes keepdim only with dim there
                cases[f"{name} {dim} {keepdim}"] = (
                    lambda m, x, name=name, kwargs=kwargs: getattr(x, name)(**kwargs),
                    [distinct(2, 3, 4)],
                )
    for name in ("var", "std"):
        for dim in (None, 0, (0, -1)):
            for correction in (0, 1, 2):
                cases[f"{name} {dim} correction {correction}"] = (
                    lambda m, x, name=name, d=dim, c=correction: getattr(x, name)(dim=d, correction=c, keepdim=c == 1),
                    [normal(3, 2, 4)],
                )
        cases[f"{name} default"] = (lambda m, x, name=name: getattr(x, name)(), [normal(3, 4)])
    for name in ("max", "min"):
        cases[f"{name} all"] = (lambda m, x, name=name: getattr(x, name)(), [distinct(3, 4)])
        cases[f"{name} other"] = (lambda m, x, y, name=name: getattr(x, name)(y), [normal(3, 4), normal(4)])
        for dim in (0, 1, -1):
            for keepdim in (False, True):
                cases[f"{name} {dim} {keepdim}"] = (
                    lambda m, x, name=name, d=dim, k=keepdim: getattr(x, name)(d, k),
                    [distinct(2, 3, 4)],
                )
    for dim in (0, -1):
        cases[f"prod {dim}"] = (lambda m, x, d=dim: x.prod(d), [normal(3, 4)])
        cases[f"logsumexp {dim}"] = (lambda m, x, d=dim: x.logsumexp(d), [normal(3, 4)])
        cases[f"softmax {dim}"] = (lambda m, x, d=dim: x.softmax(d), [normal(3, 4)])
        cases[f"log_softmax {dim}"] = (lambda m, x, d=dim: x.log_softmax(d), [normal(3, 4)])
        cases[f"sort {dim}"] = (lambda m, x, d=dim: x.sort(d), [distinct(3, 4)])
        cases[f"sort down {dim}"] = (lambda m, x, d=dim: x.sort(d, descending=True), [distinct(3, 4)])
        cases[f"topk {dim}"] = (lambda m, x, d=dim: x.topk(2, d), [distinct(3, 4)])
        cases[f"topk smallest {dim}"] = (lambda m, x, d=dim: x.topk(3, d, largest=False), [distinct(3, 4)])
        cases[f"argsort {dim}"] = (lambda m, x, d=dim: x.argsort(d), [distinct(3, 4)])
    cases["prod all"] = (lambda m, x: x.prod(), [normal(2, 3)])
    cases["prod one zero"] = (lambda m, x: x.prod(1), [np.array([[1.0, 0.0, 3.0], [2.0, -1.0, 5.0]])])
    cases["prod two zeros"] = (lambda m, x: x.prod(1, keepdim=True), [np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 5.0]])])
    cases["logsumexp several"] = (lambda m, x: x.logsumexp((0, 2), keepdim=True), [normal(2, 3, 2)])
    cases["softmax middle"] = (lambda m, x: x.softmax(1), [normal(2, 3, 2)])
    cases["0-d everything"] = (
        lambda m, x: x.sum() + x.mean(0) + x.amax() + x.prod() + x.max() + x.softmax(0) + x.logsumexp(0) + x.min(0)[0],
        [normal()],
    )
    cases["sum of empty"] = (lambda m, x: x.sum(0) + x.prod(0), [normal(0, 3)])
    cases["sum beside empty"] = (lambda m, x: x.sum(1), [normal(0, 3)])
    return cases


SHAPE = {
    "reshape": (lambda m, x: x.reshape(3, -1) * x.reshape((3, 4)), [normal(2, 6)]),
    "view": (lambda m, x: x.view(4, 3), [normal(2, 6)]),
    "reshape after transpose": (lambda m, x: x.T.reshape(-1), [normal(2, 3)]),
    "flatten": (lambda m, x: x.flatten(1), [normal(2, 3, 2)]),
    "flatten middle": (lambda m, x: m.flatten(x, 1, -2), [normal(2, 3, 2, 1)]),
    "flatten 0-d": (lambda m, x: x.flatten(), [normal()]),
    "permute": (lambda m, x: x.permute(2, 0, 1), [normal(2, 3, 4)]),
    "permute negative": (lambda m, x: x.permute((-1, 0, -2)), [normal(2, 3, 4)]),
    "transpose": (lambda m, x: x.transpose(0, -1), [normal(2, 3, 4)]),
    "T t mT": (lambda m, x: x.T + x.t() + x.mT, [normal(2, 3)]),
    "squeeze": (
        lambda m, x: x.squeeze() + x.squeeze(0)[:, 0] + x.squeeze(-1)[0] + x.squeeze((0, 2)),
        [normal(1, 3, 1)],
    ),
    "squeeze nothing": (lambda m, x: x.squeeze(1), [normal(2, 3)]),
    "unsqueeze": (lambda m, x: x.unsqueeze(0).unsqueeze(-1) * x.unsqueeze(1)[..., None], [normal(2, 3)]),
    "expand": (lambda m, x: x.expand(4, 2, 3), [normal(2, 1)]),
    "expand keep": (lambda m, x: x.expand(-1, 3), [normal(2, 1)]),
    "expand twice and add": (lambda m, x: x.expand(4, 3) + x.expand(2, 4, 3).sum(0), [normal(3)]),
    "broadcast_to": (lambda m, x: x.broadcast_to((2, 3)), [normal(3)]),
    "cat": (lambda m, x, y: m.cat([x, y, x], dim=1), [normal(2, 3), normal(2, 1)]),
    "cat last": (lambda m, x, y: m.cat((x, y), -1), [normal(2, 3), normal(2, 0)]),
    "stack": (lambda m, x, y: m.stack([x, y, x], dim=1), [normal(2, 3), normal(2, 3, seed=1)]),
    "stack last": (lambda m, x, y: m.stack([x, y], -1), [normal(2), normal(2, seed=1)]),
    "split": (lambda m, x: x.split(2, dim=1), [normal(2, 5)]),
    "split sizes": (lambda m, x: x.split([1, 0, 3], 0), [normal(4, 2)]),
    "chunk": (lambda m, x: x.chunk(3, -1), [normal(2, 7)]),
    "unbind": (lambda m, x: x.unbind(1), [normal(2, 3)]),
    "flip": (lambda m, x: x.flip(0, -1), [normal(2, 3, 2)]),
    "pad": (lambda m, x: m.F.pad(x, (1, 2)), [normal(2, 3)]),
    "pad value": (lambda m, x: m.F.pad(x, (1, 0, 2, 1), value=3.5), [normal(2, 3)]),
    "pad crop": (lambda m, x: m.F.pad(x, (-1, 2, 0, -1)), [normal(3, 4)]),
    "pad nothing": (lambda m, x: m.F.pad(x, (0, 0)) * 2, [normal(3, 4)]),
    **{
        f"pad {mode}": (lambda m, x, mode=mode: m.F.pad(x, (2, 1, 0, 3), mode), [normal(2, 3, 4, 5)])
        for mode in ("reflect", "replicate", "circular")
    },
    "pad reflect, as far as it goes": (lambda m, x: m.F.pad(x, (3, 3), "reflect"), [normal(2, 4)]),
    "pad circular, once around": (lambda m, x: m.F.pad(x, (4, 4, 2, 1), "circular"), [normal(3, 2, 4)]),
    "pad replicate, far": (lambda m, x: m.F.pad(x, (7, 0, 0, 5, 1, 2), "replicate"), [normal(2, 2, 1, 3)]),
    "pad circular 3-d": (lambda m, x: m.F.pad(x, (1, 2, 0, 1, 3, 0), "circular"), [normal(1, 2, 3, 2, 4)]),
    "pad reflect and cut off": (lambda m, x: m.F.pad(x, (3, -2, -1, 1), "reflect"), [normal(2, 3, 4)]),
    "pad replicate and cut off": (lambda m, x: m.F.pad(x, (2, -3), "replicate"), [normal(2, 3, 4)]),
    "cut off and pad circular": (lambda m, x: m.F.pad(x, (-1, 3), "circular"), [normal(2, 3, 4)]),
    "pad reflect by nothing": (lambda m, x: m.F.pad(x, (0, 0), "reflect") * 2, [normal(3, 4)]),
    "gather": (lambda m, x, i: x.gather(1, i), [normal(2, 3), whole(3, 2, 5)]),
    "gather rows": (lambda m, x, i: x.gather(0, i), [normal(4, 3), whole(4, 2, 2)]),
    "gather 3-d": (lambda m, x, i: x.gather(-2, i), [normal(2, 4, 3), whole(4, 2, 3, 2)]),
}

INDEX = {
    "integer": (lambda m, x: x[1], [normal(3, 4)]),
    "negative": (lambda m, x: x[-1, -2], [normal(3, 4)]),
    "slice": (lambda m, x: x[1:, :-1], [normal(3, 4)]),
    "step": (lambda m, x: x[::2, 1::2], [normal(5, 4)]),
    "empty slice": (lambda m, x: x[2:1], [normal(3, 4)]),
    "beyond": (lambda m, x: x[1:100], [normal(3, 4)]),
    "None": (lambda m, x: x[None, :, None], [normal(3, 4)]),
    "ellipsis": (lambda m, x: x[..., 0] + x[1, ..., None, 0][:, 0], [normal(2, 3, 4)]),
    "all": (lambda m, x: x[()] * x[...], [normal(3)]),
    "list": (lambda m, x: x[[2, 0, 2]], [normal(3, 4)]),
    "repeated": (lambda m, x, i: x[i], [normal(3, 2), whole(3, 7)]),
    "negative picks": (lambda m, x, i: x[-i - 1], [normal(3, 2), whole(3, 7)]),
    "matrix of picks": (lambda m, x, i: x[i], [normal(3, 2), whole(3, 2, 4)]),
    "two pick lists": (lambda m, x, i, j: x[i, j], [normal(3, 4), whole(3, 5), whole(4, 5, seed=1)]),
    "picks broadcast": (lambda m, x, i, j: x[i[:, None], j], [normal(3, 4), whole(3, 2), whole(4, 3)]),
    "picks and slice": (lambda m, x, i: x[1:, i], [normal(3, 4), whole(4, 5)]),
    "picks apart": (lambda m, x, i: x[i, :, i], [normal(3, 2, 3), whole(3, 4)]),
    "picks and None": (lambda m, x, i: x[i, None, 1:], [normal(3, 4), whole(3, 2)]),
    "integer and picks": (lambda m, x, i: x[1, :, i], [normal(2, 3, 4), whole(4, 5)]),
    "picks and integer": (lambda m, x, i: x[i, :, 1], [normal(2, 3, 4), whole(2, 5)]),
    "integer beside picks": (lambda m, x, i: x[:, 1, i], [normal(2, 3, 4), whole(4, 5)]),
    "integer, None, mask": (lambda m, x, c: x[0, None, c, 1:], [normal(2, 3, 4), np.array([True, False, True])]),
    "0-d picks beside picks": (lambda m, x, i, j: x[j, :, i], [normal(2, 3, 4), whole(4, 5), np.array(1)]),
    "ellipsis and picks": (lambda m, x, i: x[..., i], [normal(2, 3, 4), whole(4, 5)]),
    "mask": (lambda m, x, c: x[c], [normal(3, 4), whole(2, 3, 4) > 0]),
    "mask rows": (lambda m, x, c: x[c], [normal(3, 4), np.array([True, False, True])]),
    "mask columns": (lambda m, x, c: x[:, c], [normal(2, 3), np.array([True, False, True])]),
    "mask of nothing": (lambda m, x, c: x[c], [normal(3, 4), np.zeros((3, 4), bool)]),
    "own mask": (lambda m, x: x[x > 0] * 2, [normal(3, 4)]),
    "no picks": (lambda m, x, i: x[i], [normal(3, 4), whole(3, 0)]),
    "0-d pick": (lambda m, x, i: x[i], [normal(3, 4), np.array(2)]),
    "chained": (lambda m, x: x[1:][0][::2] + x[0, :2], [normal(3, 4)]),
    "iterate": (lambda m, x: sum(row * i for i, row in enumerate(x)), [normal(3, 4)]),
}

CASES = {
    f"{group}: {name}": case
    for group, cases in {
        "elementwise": ELEMENTWISE,
        "matmul": MATMUL,
        "reduce": _reductions(),
        "shape": SHAPE,
        "index": INDEX,
    }.items()
    for name, case in cases.items()
}
every_case = pytest.mark.parametrize(("case", "arrays"), CASES.values(), ids=CASES.keys())


def in_format(arrays, dtype):
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


@every_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_against_torch(against_torch, case, arrays, dtype):
    against_torch(case, *in_format(arrays, dtype))


@every_case
def test_slopes(case, arrays):
    inputs = [tcnn.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    outputs = flat(case(OURS, *inputs))
    if any(o.requires_grad and o.numel() for o in outputs):
        assert tcnn.gradcheck(lambda *tensors: case(OURS, *tensors), inputs)


@every_case
def test_gradients_keep_the_format_and_the_memory_is_their_own(case, arrays):
    tensors, _, _, grads = run_ours(case, in_format(arrays, "float16"))
    floats = [t for t in tensors if t.requires_grad]
    for tensor, gradient in zip(floats, grads, strict=True):
        assert gradient is None or (gradient.dtype == np.float16 and gradient.shape == tensor.shape)
        assert gradient is None or gradient.flags.writeable


@pytest.mark.parametrize("divide", [lambda x, y: x // y, lambda x, y: x % y])
def test_whole_numbers_divided_by_zero(divide):
    """PyTorch refuses it, too; NumPy would answer 0."""
    for divisor in (0, tcnn.tensor([2, 0, 1])):
        with pytest.raises(ZeroDivisionError, match="holds a 0"):
            divide(tcnn.tensor([4, 5, 6]), divisor)
    assert not divide(tcnn.tensor([4.0, -5.0]), 0).isfinite().any()


@pytest.mark.filterwarnings("error")
def test_infinities_come_without_warnings():
    """A warning would name a line of the package; the numbers say it, as in PyTorch."""
    x = tcnn.tensor([0.0, -1.0, 1e30] * 40_000, requires_grad=True)
    y = x.log() + x / 0 + (x * x) ** 2 + x.reshape(-1, 300).relu().exp().reshape(-1)
    y.sum().backward()
    assert not np.isfinite(x.grad).any()
