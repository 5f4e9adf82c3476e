"""PyTorch's names, arguments and refusals, as users of PyTorch type them without thinking."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from conftest import OURS, flat
from tinygrad_cnn import forms
from tinygrad_cnn import functional as F
from tinygrad_cnn.data import DataLoader, TensorDataset


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


INF = float("inf")
ZEROS = np.array([[0.0, 0.0], [3.0, -4.0], [0.0, -2.0], [2.0, -2.0]])
PLANE, IMAGES = normal(3, 4), normal(2, 3, 6, 5)
MASK = np.array([[True, False, True, False]] * 3)

# name → (case, inputs), as in test_ops.py
CASES = {
    "var unbiased": (lambda m, x: (x.var(unbiased=False), x.var(unbiased=True)), [PLANE]),
    "var dim unbiased": (lambda m, x: (x.var(0, unbiased=False), x.var(1, False, True)), [PLANE]),
    "var bool": (lambda m, x: (x.var(False), x.std(True), x.std(1, True), x.std(1, False)), [PLANE]),
    "var keepdim": (lambda m, x: x.var(1, keepdim=True) + x.std((0, 1), correction=0), [PLANE]),
    "linear input": (lambda m, x, w: m.F.linear(input=x, weight=w), [PLANE, normal(2, 4)]),
    "conv2d input": (lambda m, x, w: m.F.conv2d(input=x, weight=w, padding=1), [IMAGES, normal(4, 3, 3, 2)]),
    "pool input": (
        lambda m, x: m.F.max_pool2d(input=x, kernel_size=2) + m.F.avg_pool2d(input=x, kernel_size=2), [IMAGES],
    ),
    "batch_norm input": (
        lambda m, x: m.F.batch_norm(input=x, running_mean=None, running_var=None, training=True), [IMAGES],
    ),
    "activations input": (
        lambda m, x: m.F.relu(input=x) + m.F.leaky_relu(input=x) + m.sigmoid(input=x) + m.tanh(input=x), [PLANE],
    ),
    "softmax input": (lambda m, x: m.softmax(input=x, dim=1) + m.F.log_softmax(input=x, dim=0), [PLANE]),
    "softmax dtype": (lambda m, x: m.F.softmax(x, -1, dtype=m.float64) + x.log_softmax(0, m.float64), [PLANE]),
    "cross_entropy input": (lambda m, x, t: m.F.cross_entropy(input=x, target=t), [PLANE, np.array([0, 3, 1])]),
    "nll_loss input": (lambda m, x, t: m.F.nll_loss(input=x, target=t), [PLANE, np.array([0, 3, 1])]),
    "mse_loss input": (lambda m, x: m.F.mse_loss(input=x, target=x.detach() * 2), [PLANE]),
    "bce input": (
        lambda m, x: m.F.binary_cross_entropy_with_logits(input=x, target=x.detach().sigmoid()), [PLANE],
    ),
    "pad flatten input": (lambda m, x: m.flatten(input=m.F.pad(input=x, pad=(1, 0))), [PLANE]),
    "where names": (lambda m, c, x: m.where(condition=c, input=x, other=x * 2), [MASK, PLANE]),
    "two names": (
        lambda m, x: m.maximum(input=x, other=-x) + m.matmul(input=x, other=x.T).sum(),
        [PLANE],
    ),
    "sort topk names": (lambda m, x: (m.sort(input=x, dim=0)[0], m.topk(input=x, k=2, sorted=True)[0]), [PLANE]),
    "inplace": (
        lambda m, x: m.F.relu(x * 1, inplace=True) + m.F.relu(x * 2, True) + m.F.leaky_relu(x * 3, 0.2, True), [PLANE],
    ),
    "dropout positional": (lambda m, x: m.F.dropout(x, 0.5, False, True), [PLANE]),
    "softplus": (lambda m, x: m.F.softplus(x, beta=2, threshold=1) + m.F.softplus(x, 0.5), [PLANE * 3]),
    "softplus large": (lambda m, x: m.F.softplus(x), [np.array([-800.0, 19.9, 20.1, 800.0])]),
    "mean dtype": (lambda m, x: x.mean(dtype=m.float64) + x.mean(1, dtype=m.float64), [PLANE]),
    "topk": (lambda m, x: x.topk(2, sorted=True)[0] + x.topk(2, 1, True, True)[0], [PLANE]),
    "cat axis": (lambda m, x: (m.cat([x, x], axis=1), m.stack((x, x), axis=2)), [PLANE]),
    "clamp tensors": (lambda m, x, y: x.clamp(y, y + 1), [PLANE, normal(4, seed=1)]),
    "clamp ties": (
        lambda m, x, y, z: m.clamp(x, y, z),
        [np.array([1.0, 2, 3, 5, 0]), np.array([1.0, 2.5, 0, 7, 1]), np.array([2.0, 3, 3, 6, 4])],
    ),
    "clamp one tensor": (lambda m, x, y: x.clamp(min=y) + x.clamp(max=y), [PLANE, normal(3, 1, seed=1)]),
    "arithmetic": (
        lambda m, x, y: x.add(y, alpha=2).sub(y, alpha=3).mul(y).div(3).neg() + m.add(x, y) * m.sub(x, 1),
        [PLANE, normal(4)],
    ),
    "div floor": (
        lambda m, x, y: x.detach().div(y.detach(), rounding_mode="floor"), [PLANE * 9, np.array([2.0, 3, -1, 4])],
    ),
    "products": (lambda m, x: x.matmul(x.T) + x.mm(x.t()) + x[0].dot(x[1]) + m.dot(x[0], x[2]), [PLANE]),
    "comparisons": (lambda m, x: (x.eq(0), x.ne(0), x.lt(0), x.gt(0), x.le(0), x.ge(0), (x / 0).isinf()), [ZEROS]),
    "norm p": (lambda m, x: (x.norm(1), x.norm(3), x.norm(1.5), x.norm(p=0.5)), [PLANE]),
    "norm": (lambda m, x: x.norm() + x.norm(dim=1) + x.norm(2, 1, True).sum() + m.norm(x, dim=(0, 1)), [ZEROS[1:]]),
    "norm fro": (lambda m, x: x.norm("fro"), [PLANE]),
    "repeat": (lambda m, x: (x.repeat(2, 3), x.repeat(2, 1, 1), x.repeat((1, 0))), [PLANE]),
    "repeat number": (lambda m, x: x.repeat(3), [np.array(2.0)]),
    "as others": (lambda m, x, y: x.expand_as(y) + y.view_as(y * 1) + x.type(m.float64), [normal(4), PLANE]),
    "new": (lambda m, x: (x.new_zeros(2, 3), x.new_ones((2,)), x.new_zeros((), dtype=m.int64)), [PLANE]),
    "masked_fill_": (lambda m, x, c: (x * 1).masked_fill_(c, 2.0), [PLANE, MASK]),
    "sign of bools": (lambda m, x: (x > 0).sign(), [PLANE]),
    "logic": (lambda m, c: (c & 1, c | ~c, c ^ True, c.long() & 3), [MASK]),
    "bools and numbers": (lambda m, c: (c // 2, c % 2, c + c, c * 3, c.float() - 1), [MASK]),
    "reductions": (
        lambda m, x: (
            m.sum(x), m.sum(x, 0), m.mean(x, dim=1), m.prod(x, 1), m.logsumexp(x, 1), m.amax(x, 1), m.amin(x, (0, 1)),
            m.var(x), m.std(x, 0, keepdim=True), m.var(x, unbiased=False),
        ),
        [PLANE],
    ),
    "extremes": (
        lambda m, x: (m.max(x), m.min(x), m.max(x, 1)[0], m.min(x, dim=0)[1], m.argmax(x, 1), m.argmin(x)), [PLANE],
    ),
    "max of two": (lambda m, x: m.max(x, x * 2) + m.min(x, -x), [PLANE]),
    "elements": (
        lambda m, x: m.exp(x) + m.log(m.abs(x)) + m.sqrt(m.square(x)) + m.sin(x) * m.cos(x) + m.pow(x, 3), [PLANE],
    ),
    "steps": (lambda m, x: m.sign(x) + m.floor(x) + m.ceil(x) + m.round(x) + x, [PLANE]),
    "held": (lambda m, x: m.clamp(x, min=-0.5) + m.clamp(x, -0.1, 0.3), [PLANE]),
    "questions": (lambda m, x: (m.isnan(x), m.isfinite(x / 0), m.isinf(x), m.any(x > 0), m.all(x > 0, 1)), [PLANE]),
    "shapes": (
        lambda m, x: (
            m.reshape(x, (2, 6)), m.unsqueeze(x, 1), m.squeeze(m.unsqueeze(x, 0)), m.permute(x, (1, 0)),
            m.transpose(x, 0, 1), m.flip(x, (0,)), m.broadcast_to(x, (2, 3, 4)),
        ),
        [PLANE],
    ),
    "pieces": (lambda m, x: (*m.split(x, 2), *m.chunk(x, 2, dim=1), *m.unbind(x, 1)), [PLANE]),
    "picks": (
        lambda m, x, i: (m.gather(x, 1, i), m.argsort(x, dim=1, descending=True)), [PLANE, np.array([[0], [3], [1]])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_against_torch(against_torch, name, dtype):
    case, arrays = CASES[name]
    against_torch(case, *[a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays])


@pytest.mark.parametrize("p", [2, 1, 3, 1.5, 0.5, INF, -INF, "fro"])
def test_norm_and_its_gradient_at_zero(against_torch, p):
    against_torch(lambda m, x: x.norm(p, 1), ZEROS)


def test_norm_counts():
    assert tcnn.tensor(ZEROS).norm(0, dim=1).tolist() == [0.0, 2.0, 1.0, 2.0]
    assert tcnn.tensor([300.0] * 4).half().norm().item() == 600.0  # the squares are beyond float16
    with pytest.raises(tcnn.DtypeError, match=r"norm: needs floating-point numbers"):
        tcnn.tensor([1, 2]).norm()


@pytest.mark.parametrize("name", CASES)
def test_slopes(name):
    case, arrays = CASES[name]
    inputs = [tcnn.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    outputs = flat(case(OURS, *inputs))
    bent = ("clamp ties", "softplus", "mse_loss input", "bce input")  # steps, or constants made from x
    if name not in bent and any(o.requires_grad and o.numel() for o in outputs):
        assert tcnn.gradcheck(lambda *tensors: case(OURS, *tensors), inputs)


# ---- formats


def test_pythons_float_is_float64():
    x = tcnn.tensor([1, 2])
    assert x.to(float).dtype == x.sum(dtype=float).dtype == tcnn.zeros(2, dtype=float).dtype == tcnn.float64
    assert tcnn.tensor([1.0]).dtype == (x * 0.5).dtype == tcnn.full((1,), 0.5).dtype == tcnn.float32
    assert (x.to(int).dtype, x.to(bool).dtype) == (tcnn.int64, tcnn.bool_)


def test_short_names_of_formats(torch):
    for name in ("float", "double", "half", "int", "long", "bool"):
        assert str(getattr(torch, name)) == f"torch.{getattr(tcnn, name)}"
        assert tcnn.zeros(1, dtype=getattr(tcnn, name)).dtype == getattr(tcnn, name)


def test_a_star_import_leaves_pythons_names_alone():
    names: dict = {}
    exec("from tinygrad_cnn import *", names)
    builtins = names.pop("__builtins__")
    assert {"exp", "unsqueeze", "allclose", "long"} <= set(names)
    assert set(names) & set(builtins) == set()


# ---- creation


def test_sizes_and_limits_by_name(torch):
    for m in (tcnn, torch):
        for make in (m.zeros, m.ones, m.empty, m.rand, m.randn):
            assert tuple(make(size=(2, 3)).shape) == tuple(make(2, 3).shape) == tuple(make((2, 3)).shape) == (2, 3)
        assert m.arange(0, 10, step=4).tolist() == [0, 4, 8]
        assert m.arange(start=1, end=3).tolist() == [1, 2]
        assert m.arange(end=2).tolist() == m.arange(2).tolist() == [0, 1]
        assert m.arange(2.0, 0, -1).tolist() == [2.0, 1.0]
        assert tuple(m.full(size=(2,), fill_value=3).tolist()) == (3, 3)
        for drawn in (
            m.randint(low=5, high=6, size=(2,)),
            m.randint(5, 6, (2,)),
            m.randint(high=6, size=(2,)).clamp(min=5),
        ):
            assert drawn.tolist() == [5, 5]
        assert m.randint(1, size=(2,)).tolist() == m.randint(1, (2,)).tolist() == [0, 0]
        for wrong in (m.arange, lambda m=m: m.randint(5), lambda m=m: m.randint(0, 5)):
            with pytest.raises(TypeError):
                wrong()


def test_a_size_is_given_once():
    with pytest.raises(TypeError, match="given twice"):
        tcnn.zeros(2, size=(3,))


def test_as_tensor():
    array = np.zeros(2, np.float32)
    x = tcnn.as_tensor(array)
    array[0] = 5
    assert x.tolist() == [5.0, 0.0]
    assert tcnn.as_tensor(x) is x
    assert tcnn.as_tensor([1, 2], dtype=tcnn.float16).dtype == tcnn.float16
    assert tcnn.is_tensor(x)
    assert not tcnn.is_tensor(array)


def test_new_tensors_are_like_theirs():
    x = tcnn.tensor([1.0], dtype="float16").new_ones(2, requires_grad=True)
    assert (x.dtype, x.requires_grad, x.is_leaf, x.nelement(), x.is_floating_point()) == (
        tcnn.float16,
        True,
        True,
        2,
        True,
    )
    assert not tcnn.arange(2).is_floating_point()


# ---- functions


def test_inplace_never_overwrites():
    x = tcnn.tensor([-1.0, 2.0])
    F.relu(x, inplace=True), F.leaky_relu(x, inplace=True), F.dropout(x, 0.5, True, True)
    assert x.tolist() == [-1.0, 2.0]


def test_signatures_begin_as_torchs(torch):
    """Names and order of the arguments, where PyTorch's functions show them."""
    for name in F.__all__:
        theirs = getattr(torch.nn.functional, name, None)
        try:
            wanted = list(inspect.signature(theirs).parameters)
        except (TypeError, ValueError):
            continue
        if "args" in wanted:
            continue
        ours = [
            n for n, p in inspect.signature(getattr(F, name)).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        wanted = [n for n in wanted if n not in ("size_average", "reduce", "_stacklevel", "dtype")]
        if name == "mse_loss":  # the latest has a weight, which is not here
            wanted = [n for n in wanted if n != "weight"]
        assert ours == wanted[: len(ours)], name
        assert set(wanted) - set(ours) <= {"dtype", "antialias"}, name  # no smoothing before interpolating


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nothing_but_ignored_targets(against_torch, smoothing):
    for images in (PLANE, IMAGES):
        target = np.full((len(images), *images.shape[2:]), -100)
        (loss,) = against_torch(lambda m, x, t: m.F.cross_entropy(x, t, label_smoothing=smoothing), images, target)
        assert np.isnan(loss.item())
    against_torch(lambda m, x, t: m.F.nll_loss(x, t), PLANE, np.full(3, -100))


def test_weights_that_add_up_to_nothing():
    """The loss is 0/0 as in PyTorch, but NaN gradients would spoil every parameter."""
    for loss in (F.cross_entropy, F.nll_loss):
        x = tcnn.tensor(PLANE, requires_grad=True)
        value = loss(x, tcnn.tensor([0, 1, 0]), weight=tcnn.tensor([0.0, 0, 1, 1]).double())
        value.backward()
        assert np.isnan(value.item())
        assert (x.grad == 0).all()


def test_a_mixed_format_says_what_helps():
    weight = tcnn.ones(1, 1, 2, 2)
    with pytest.raises(tcnn.DtypeError, match=re.escape(".to('float32'), pictures with x.float() / 255")):
        F.conv2d(tcnn.zeros(1, 1, 3, 3, dtype="uint8"), weight)
    with pytest.raises(tcnn.DtypeError, match=r"model.to\('float64'\)"):
        F.conv2d(tcnn.zeros(1, 1, 3, 3, dtype="float64"), weight)
    with pytest.raises(tcnn.DtypeError, match=r"convert x with .to\('float32'\)$"):
        F.linear(tcnn.arange(2), tcnn.ones(1, 2))


# ---- bools, bits, shapes

b, f, i = tcnn.tensor([True, False]), tcnn.tensor([1.0, 2.0]), tcnn.tensor([3, 2])


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (lambda b, f: b - b, "~mask inverts a mask"),
        (lambda b, f: b - 1, "~mask"),
        (lambda b, f: 1 - b, "~mask"),
        (lambda b, f: f - b, "~mask"),
        (lambda b, f: b - f, "~mask"),
        (lambda b, f: b.sub(b), "~mask"),
        (lambda b, f: -b, "neg: .*~mask"),
        (lambda b, f: b // b, r"two bools .*\.long\(\)"),
        (lambda b, f: True % b, r"two bools .*\.long\(\)"),
        (lambda b, f: b.relu(), "relu: .*not bools"),
        (lambda b, f: f & f, r"&: takes bools and whole numbers, not floats"),
        (lambda b, f: f | b, r"\|: takes bools"),
        (lambda b, f: b & 1.5, "&: takes bools"),
        (lambda b, f: 1 ^ f, r"\^: takes bools"),
        (lambda b, f: ~f, "~: takes bools"),
    ],
)
def test_refused_as_in_torch(torch, refused, text):
    with pytest.raises((TypeError, RuntimeError)):
        refused(torch.tensor([True, False]), torch.tensor([1.0, 2.0]))
    with pytest.raises(tcnn.DtypeError, match=text):
        refused(b, f)


@pytest.mark.parametrize("compare", [lambda x, y: x == y, lambda x, y: x < y, lambda x, y: (x > 0) & (y > 0)])
def test_comparisons_of_shapes_that_do_not_fit(compare):
    with pytest.raises(tcnn.ShapeError, match=r"\(2, 3\).*\(4,\)"):
        compare(tcnn.ones(2, 3), tcnn.ones(4))


def test_wrong_arguments():
    for call, error, text in (
        (lambda: f.var(0, unbiased=False, correction=2), TypeError, "unbiased or correction, not both"),
        (lambda: f.mm(f), tcnn.ShapeError, r"mm: both must have 2 dimension\(s\)"),
        (lambda: f.dot(tcnn.ones(2, 1)), tcnn.ShapeError, "dot: both"),
        (lambda: tcnn.ones(2, 3).repeat(2), tcnn.ShapeError, "repeat: "),
        (lambda: f.div(2, rounding_mode="up"), ValueError, "rounding_mode='up'"),
        (lambda: i.clone().normal_(), tcnn.DtypeError, "normal_: needs floating-point"),
        (lambda: tcnn.ones(2, requires_grad=True).uniform_(), tcnn.GraphError, "uniform_: this leaf requires"),
    ):
        with pytest.raises(error, match=text):
            call()


# ---- in place, randomness


def test_drawn_in_place():
    x = tcnn.zeros(4000)
    y = x[:2000]
    assert x.normal_(3, 0.5) is x
    assert abs(x.mean().item() - 3) < 0.05
    assert y.tolist() == x[:2000].tolist()  # the view sees it
    x.uniform_(-2, -1)
    assert -2 <= x.min().item() < x.max().item() < -1
    first = tcnn.zeros(3).normal_(generator=tcnn.Generator(5)).tolist()
    assert tcnn.zeros(3).normal_(generator=tcnn.Generator(5)).tolist() == first
    assert f.clone().masked_fill_(b, 9).tolist() == [9.0, 2.0]


def test_generators_begin_anew():
    generator = tcnn.Generator().manual_seed(42)
    drawn = tcnn.rand(3, generator=generator).tolist()
    assert (generator.initial_seed(), generator.offset) == (42, 1)
    assert generator.manual_seed(42) is generator
    assert tcnn.rand(3, generator=generator).tolist() == drawn
    with pytest.raises(ValueError, match="must be whole numbers"):
        generator.manual_seed(-1)


# ---- function forms


def test_forms_are_the_methods():
    made = {name: value for name, value in vars(forms).items() if hasattr(value, "__wrapped__")}
    assert len(made) > 45
    for name, form in made.items():
        method = getattr(tcnn.Tensor, name)
        assert getattr(tcnn, name) is form
        assert form.__doc__ == method.__doc__
        ours, theirs = inspect.signature(form).parameters, inspect.signature(method).parameters
        assert [*ours] == ["input", *[*theirs][1:]]
    assert tcnn.sum(input=np.ones(3)).item() == 3.0
    assert tcnn.exp([0.0]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("x", "y", "settings"),
    [
        ([1.0, 2.0], [1.0, 2.00001], {}),
        ([1.0, 2.0], [1.0, 2.1], {}),
        ([1.0, 2.0], [1.0, 2.1], {"atol": 0.2}),
        ([1.0, 2.0], [1.0, 2.1], {"rtol": 0.1}),
        ([INF, 1.0], [INF, 1.0], {}),
        ([1.0], [INF], {}),
        ([INF], [-INF], {}),
        ([INF], [1.0], {}),
        ([np.nan], [np.nan], {}),
        ([np.nan], [np.nan], {"equal_nan": True}),
        ([1.0, 1.0], [1.0], {}),
    ],
)
def test_allclose_and_equal(torch, x, y, settings):
    ours = tcnn.allclose(tcnn.tensor(x), tcnn.tensor(y), **settings)
    assert ours is torch.allclose(torch.tensor(x), torch.tensor(y), **settings)
    assert tcnn.equal(tcnn.tensor(x), tcnn.tensor(y)) is torch.equal(torch.tensor(x), torch.tensor(y))


# ---- devices


def test_devices():
    """What `cuda` tells of GPUs is tried in test_devices.py."""
    assert tcnn.device("cpu") == "cpu"
    with pytest.raises(tcnn.DeviceError, match='no device "gpu"'):
        tcnn.device("gpu")


# ---- data


def test_a_sampler_says_the_order():
    data = TensorDataset(np.arange(5.0), np.arange(5))
    for workers in (0, 2):
        loader = DataLoader(data, batch_size=2, sampler=[4, 0, 3], num_workers=workers)
        assert len(loader) == 2
        assert [labels.tolist() for _, labels in loader] == [[4, 0], [3]]
    walk = iter(loader)
    next(walk)
    state = loader.state_dict()
    walk.close()
    loader.load_state_dict(state)
    assert [labels.tolist() for _, labels in loader] == [[3]]


def test_torchs_arguments_of_the_loader():
    data = TensorDataset(np.arange(3))
    loader = DataLoader(data, pin_memory=True, persistent_workers=True)
    assert len(list(loader)) == 3
    for settings, error, text in (
        ({"sampler": [0], "shuffle": True}, ValueError, "give one of them"),
        ({"sampler": []}, ValueError, "the sampler is empty"),
        ({"worker_init_fn": print}, ValueError, "workers are threads"),
    ):
        with pytest.raises(error, match=text):
            DataLoader(data, **settings)
    with pytest.raises(IndexError, match="the sampler gave 3; the dataset has samples 0 to 2"):
        list(DataLoader(data, sampler=[3]))


def test_slices_of_a_dataset():
    x, y = TensorDataset(tcnn.arange(5), np.arange(5))[1:3]
    assert (x.tolist(), y.tolist()) == ([1, 2], [1, 2])
