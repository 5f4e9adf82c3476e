"""The exercises on pooling, normalisation, dropout and LeNet-5: the textbook is the library's, slips are named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from exercising import one_process  # noqa: F401
from right_versions import RIGHT

import tinygrad_cnn as tcnn
from tinygrad_cnn.exercises import checking, sources
from tinygrad_cnn.exercises.catalogue import SEED, Catalogue
from tinygrad_cnn.exercises.diagnosis import diagnose
from tinygrad_cnn.exercises.outcomes import Expected, outcome
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.models import LeNet5
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.textbook import dropout, norm, pool

IDS = [
    *("max_pool_forward", "max_pool_backward", "avg_pool", "l2_pool"),
    *("batch_norm_forward", "batch_norm_backward", "dropout", "lrn", "lenet5"),
]
ALL = Catalogue(only=IDS)
TASKS = [(id, name) for id in IDS for name in ALL[id].tasks]
STYLES = [key for key in RIGHT if key[0] in IDS]

# N, C, H, W, kernel, stride, padding; padding is at most half the kernel
WINDOWS = [
    (2, 3, 7, 9, (3, 2), 2, 1),
    (2, 3, 6, 5, (2, 3), 1, 0),
    (1, 2, 8, 7, (3, 3), 3, 1),
    (3, 1, 5, 9, (2, 4), 3, 1),
    (2, 2, 9, 6, (1, 2), 4, 0),  # stride larger than the kernel
    (1, 3, 4, 5, (4, 5), 1, 2),  # a kernel as large as the image
    (2, 1, 4, 4, (1, 1), 1, 0),
]
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


# ---- the textbook against the library


def equal(got, expected):
    rounding = {"float32": 2e-5, "float64": 1e-12}[str(expected.dtype)]
    np.testing.assert_allclose(got, expected, rtol=rounding, atol=rounding)
    assert got.dtype == expected.dtype


def slopes(function, rng, *arrays):
    """The library's result, a random gradient for it, and the gradients of all arrays."""
    tensors = [tcnn.Tensor(array, requires_grad=True) for array in arrays]
    y = function(*tensors)
    dy = rng.normal(size=y.shape).astype(arrays[0].dtype)
    y.backward(dy)
    return y.numpy(), dy, [tensor.grad for tensor in tensors]


@DTYPES
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("N", "C", "H", "W", "kernel", "stride", "padding"), WINDOWS)
def test_max_pooling(rng, N, C, H, W, kernel, stride, padding, ties, dtype):
    x = (rng.integers(-3, 0, size=(N, C, H, W)) if ties else rng.normal(size=(N, C, H, W)) - 1).astype(dtype)
    expected, dy, (dx,) = slopes(lambda x: F.max_pool2d(x, kernel, stride, padding), rng, x)
    _, places = F.max_pool2d(tcnn.tensor(x), kernel, stride, padding, return_indices=True)
    y, index = pool.max_pool2d_forward(x, kernel, stride, padding)
    equal(y, expected)
    rows = np.arange(y.shape[2])[:, None] * stride - padding + index // kernel[1]
    columns = np.arange(y.shape[3]) * stride - padding + index % kernel[1]
    assert (rows * W + columns == places.numpy()).all()  # the library counts in the image
    equal(pool.max_pool2d_backward(dy, index, x.shape, kernel, stride, padding), dx)
    equal(pool.max_pool2d_backward_from_x(dy, x, kernel, stride, padding), dx)


@DTYPES
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize(("N", "C", "H", "W", "kernel", "stride", "padding"), WINDOWS)
def test_average_pooling(rng, N, C, H, W, kernel, stride, padding, counts, dtype):
    x = rng.normal(size=(N, C, H, W)).astype(dtype)
    y, dy, (dx,) = slopes(lambda x: F.avg_pool2d(x, kernel, stride, padding, count_include_pad=counts), rng, x)
    equal(pool.avg_pool2d_forward(x, kernel, stride, padding, counts), y)
    equal(pool.avg_pool2d_backward(dy, x.shape, kernel, stride, padding, counts), dx)


@DTYPES
@pytest.mark.parametrize(("N", "C", "H", "W", "kernel", "stride", "padding"), WINDOWS)
def test_l2_pooling(rng, N, C, H, W, kernel, stride, padding, dtype):
    x = rng.normal(size=(N, C, H, W)).astype(dtype)
    x[0, 0, :3, :4] = 0
    y, dy, (dx,) = slopes(lambda x: F.lp_pool2d(x, 2, kernel, stride), rng, x)
    equal(pool.l2_pool2d_forward(x, kernel, stride), y)
    equal(pool.l2_pool2d_backward(dy, x, y, kernel, stride), dx)


@DTYPES
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 1, 1, 3), (1, 2, 3, 2), (3, 5, 1, 1)])
def test_batch_normalisation(rng, shape, dtype):
    x, (weight, bias, mean, var) = rng.normal(size=shape).astype(dtype), rng.normal(size=(4, shape[1])).astype(dtype)
    var = var**2 + 0.5
    for training in (True, False):
        running = [tcnn.tensor(mean.copy()), tcnn.tensor(var.copy())]
        y, dy, gradients = slopes(
            lambda x, w, b, training=training, running=running: F.batch_norm(x, *running, w, b, training, 0.3, 0.1),
            rng, x, weight, bias,
        )  # fmt: skip
        ours = mean.copy(), var.copy()
        got, used_mean, used_var = norm.batch_norm_forward(x, weight, bias, *ours, training, 0.3, 0.1)
        equal(got, y)
        for array, tensor in zip(ours, running, strict=True):
            equal(array, tensor.numpy())
        if training:
            equal(used_mean, x.mean(axis=(0, 2, 3)))
            for gradient, expected in zip(
                norm.batch_norm_backward(dy, x, weight, used_mean, used_var, 0.1), gradients, strict=True
            ):
                equal(gradient, expected)
        else:
            assert (used_mean == mean).all()
            assert (used_var == var).all()


@DTYPES
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_local_response_normalisation(rng, size, dtype):
    x = 2 * rng.normal(size=(2, 6, 3, 4)).astype(dtype)
    y, dy, (dx,) = slopes(lambda x: F.local_response_norm(x, size, 0.7, 0.6, 1.5), rng, x)
    equal(norm.local_response_norm_forward(x, size, 0.7, 0.6, 1.5), y)
    equal(norm.local_response_norm_backward(dy, x, size, 0.7, 0.6, 1.5), dx)


@DTYPES
@pytest.mark.parametrize("p", [0.0, 0.3, 0.8])
def test_dropout(rng, p, dtype):
    x = rng.normal(size=(5, 3, 4)).astype(dtype)
    y, dy, (dx,) = slopes(lambda x: F.dropout(x, p), rng, x)
    random = np.where(y != 0, rng.uniform(p, 1, size=x.shape), rng.uniform(0, p, size=x.shape))  # of the same mask
    got, keep = dropout.dropout_forward(x, p, True, random)
    equal(got, y)
    assert (keep == (y != 0)).all()
    equal(dropout.dropout_backward(dy, keep, p), dx)
    same, everything = dropout.dropout_forward(x, p, False, random)
    equal(same, F.dropout(tcnn.tensor(x), p, training=False).numpy())
    assert everything.all()
    assert everything.dtype == bool


def test_dropout_keeps_what_is_exactly_at_p():
    _, keep = dropout.dropout_forward(np.ones(3), 0.25, True, np.array([0.25, np.nextafter(0.25, 0), 0.9]))
    assert keep.tolist() == [True, False, True]


def test_lenet_is_the_librarys(rng):
    theirs, ours = LeNet5().eval(), ALL["lenet5"].function("LeNet5")().eval()
    shapes = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
    assert {name: tuple(p.shape) for name, p in ours.named_parameters()} == shapes
    ours.load_state_dict(theirs.state_dict())
    images = tcnn.tensor(rng.normal(size=(3, 1, 28, 28)).astype("float32"))
    np.testing.assert_allclose(ours(images).numpy(), theirs(images).numpy(), rtol=1e-6)


# ---- wrong versions, laws, where numbers come from


def called(known, name, function):
    """A function's outcomes of its cases."""
    with np.errstate(all="ignore"):
        return [outcome(wire.invoke(function, wire.write(case.args), case.kind)) for case in known.of(name)]


def clearly_differ(a, b):
    """Whether two outcomes differ by more than rounding in float32 could explain, or in what they raise."""
    if a.raised or b.raised:
        return (a.raised or {}).get("type") != (b.raised or {}).get("type")
    return not wire.same([a.value, a.after], [b.value, b.after], 1e-3, 1e-3)


@pytest.mark.parametrize("seed", [SEED, 4])
@pytest.mark.parametrize(("id", "name"), TASKS)
def test_every_wrong_version_clearly_differs_from_every_other(id, name, seed):
    known, mistakes = Expected(ALL[id], seed), [mistake.id for mistake in ALL[id].tasks[name].mistakes]
    assert len(mistakes) >= 4
    made = {mistake: list(known.outcomes(name, mistake)) for mistake in mistakes}
    made["right"] = list(known.right(name))
    for a, b in itertools.combinations(made, 2):
        assert any(map(clearly_differ, made[a], made[b])), (a, b)


@pytest.mark.parametrize(("id", "name"), TASKS)
def test_two_mistakes_at_once_are_not_right(id, name):
    known = Expected(ALL[id])
    right = list(known.right(name))
    for pair in ALL[id].pairs(name):
        assert any(map(clearly_differ, known.outcomes(name, *pair), right)), pair


@pytest.mark.parametrize(("id", "name"), TASKS)
def test_cases_are_free_of_nan_and_some_are_float32(id, name):
    known = Expected(ALL[id])
    formats = set()
    for case, right in zip(known.of(name), known.right(name)):
        values = right.value if isinstance(right.value, tuple) else (right.value,)
        arrays = [v for v in (*case.args, *values) if isinstance(v, np.ndarray)]
        assert all(np.isfinite(array).all() for array in arrays)
        formats |= {str(array.dtype) for array in arrays if array.dtype.kind == "f"}
    assert formats >= ({"float32"} if id == "lenet5" else {"float32", "float64"})


@pytest.mark.parametrize("id", [id for id in IDS if id != "lenet5"])
def test_laws_are_broken_by_some_mistake_and_never_by_the_solution(id):
    for law in ALL[id].laws():
        task = ALL[id].tasks[law.function]

        def obeyed(*mistakes, law=law):
            with np.errstate(all="ignore"):
                results = [ALL[id].function(law.function, *mistakes)(*args) for args in law.calls]
            return bool(law.holds(results))

        assert obeyed()
        if "twice with the same random numbers" not in law.says and "index must not change" not in law.says:
            broken = []
            for mistake in task.mistakes:
                try:
                    broken += [mistake.id] if not obeyed(mistake.id) else []
                except (ValueError, IndexError):
                    continue
            assert broken, law.says


@pytest.mark.parametrize(("id", "name"), TASKS)
def test_every_number_can_be_traced(id, name):
    known, task = Expected(ALL[id]), ALL[id].tasks[name]
    for case, right in zip(known.of(name), known.right(name)):
        values = right.value if isinstance(right.value, tuple) else (right.value,)
        parts = [*zip(task.returns, values, strict=True)]
        parts += [(part, np.zeros(case.args[0].shape[1])) for part in task.changes]
        for part, value in parts:
            if isinstance(value, np.ndarray):
                last = tuple(size - 1 for size in value.shape)
                assert len(ALL[id].where(case, part, last)) > 20


def test_where_names_the_window():
    (case,) = [c for c in ALL["max_pool_forward"].cases() if c.label == "stride 2 and padding 1"]
    assert "image 1, channel 2, rows 1 to 3, columns 5 to 6" in ALL["max_pool_forward"].where(case, "y", (1, 2, 1, 3))
    (case,) = [c for c in ALL["max_pool_backward"].cases() if c.label == "stride 2 and padding 1" and len(c.args) == 5]
    where = ALL["max_pool_backward"].where(case, "dx", (1, 2, 3, 0))  # row 3 lies in the windows of rows 1..3 and 3..5
    assert "dy[1, 2, 1, 0], dy[1, 2, 2, 0] in whose" in where


# ---- what a student is told


@pytest.mark.parametrize(
    ("id", "find", "replace", "kind", "says"),
    [
        ("dropout", "random >= p", "np.random.random(x.shape) >= p", "law", "draw none of your own"),
        ("dropout", "return dy * keep", "return dy * (np.random.random(dy.shape) >= p)", "law", "draw no new one"),
        ("dropout", "keep = random >= p", "keep = (random >= p) * 1.0", "dtype", "keep is float64; it must be bool"),
        ("max_pool_forward", "np.int64", "float", "dtype", "index is float64; it must be int64"),
        ("max_pool_forward", "window.max(axis=2)", "abs(window).max(axis=2)", "law", "every maximum must grow by 5"),
        ("batch_norm_forward", "running_mean[:] = (1", "running_mean[:] = 2 * (1", "value", "running_mean is not"),
        ("batch_norm_backward", "dnormalised - through", "2 * dnormalised - through", "law", "the sum of dx"),
        ("lenet5", "nn.Linear(120, 84)", "nn.Linear(120, 80)", "returned",
         "parameters: classifier.fc2.weight is (80, 120); it must be (84, 120)"),
        ("lenet5", '"fc3"', '"out"', "returned", "there is no classifier.fc3.weight, no classifier.fc3.bias, but "
         "classifier.out.weight and classifier.out.bias should not be there"),
        ("lenet5", "LeNet5(nn.Module)", "LeNet5", "raised",
         "LeNet5 is no module; begin it with class LeNet5(nn.Module)"),
        ("lenet5", "return self", "self", "returned", "scores is None"),
        ("lenet5", "maps.flatten(1)", "maps", "raised", "flatten x first"),
        ("lenet5", "nn.Linear(84, 10)", "nn.Linear(84, 10, bias=False)", "returned", "no classifier.fc3.bias"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("one_process")
def test_what_is_said_of_other_slips(tmp_path, id, find, replace, kind, says):
    text, file = ALL[id].solution(), tmp_path / "answer.py"
    assert text.count(find) == 1
    file.write_text(text.replace(find, replace), encoding="utf-8")
    (finding,) = [part.finding for part in checking.check(ALL[id], file).parts if part.finding]
    assert finding.kind == kind, finding
    assert says in finding.says + finding.detail


def test_the_skeleton_of_a_class_keeps_its_methods():
    skeleton = sources.skeleton(
        '''class Pair(Base):
    """Two numbers.

    As a pair.
    """

    count = 2

    def __init__(self, a, b):
        """Take them."""
        self.a, self.b = a, b

    def total(self):
        """Add them up."""
        return self.a + self.b
'''
    )
    assert (
        skeleton
        == '''class Pair(Base):
    """Two numbers.

    As a pair.
    """

    def __init__(self, a, b):
        """Take them."""
        # TODO: your code
        raise NotImplementedError("__init__ is still to be written")

    def total(self):
        """Add them up."""
        # TODO: your code
        raise NotImplementedError("total is still to be written")
'''
    )


# ---- other styles


@pytest.mark.parametrize(("id", "style"), STYLES)
def test_right_versions_in_other_styles(id, style):
    names = {}
    exec(compile(RIGHT[id, style], style, "exec"), names)
    for seed in (SEED, 5):
        known = Expected(ALL[id], seed)
        for name in ALL[id].tasks:
            assert diagnose(known, name, called(known, name, names[name])) is None
    for law in known.laws:
        assert law.holds([names[law.function](*args) for args in law.calls]), law.says


def test_there_are_enough_styles():
    for id, n in (("max_pool_forward", 4), ("batch_norm_forward", 4), ("max_pool_backward", 3), ("lrn", 2)):
        assert sum(key[0] == id for key in STYLES) >= n


TAPS = "one place of the window after the other"
# the same slips in other styles: (exercise, style, what is replaced, by what, which mistakes it is, if any)
SLIPS = [
    ("max_pool_forward", "lists", "both[..., 1].astype(int)",
     "(both[..., 1] % kernel[1] * kernel[0] + both[..., 1] // kernel[1]).astype(int)", "columns-first"),
    ("max_pool_forward", "lists", "r * S + s)", "r * R + s)", "row-times-rows"),
    ("max_pool_forward", "sliding_window_view", "constant_values=np.finfo(x.dtype).min", "mode='constant'",
     "zero-padding"),
    ("max_pool_forward", TAPS, "seen > y", "seen >= y", "last-of-equals"),
    ("max_pool_forward", TAPS, "-np.inf", "0", "zero-padding"),
    ("max_pool_forward", "single pixels", 'float("-inf")', "0.0", None),
    ("max_pool_forward", "single pixels", "r * S + s", "i * W + j", "index-in-image"),
    ("max_pool_forward", "single pixels", "p * stride + r - padding, q * stride + s - padding",
     "p + r - padding, q + s - padding", "stride-ignored"),
    ("max_pool_backward", TAPS, "seen += dy * (index == number)",
     "np.copyto(seen, dy, where=index == number)", "first-window-only"),
    ("max_pool_backward", "np.add.at", "np.add.at(dx, (n, c, rows, columns), dy)", "dx[n, c, rows, columns] = dy",
     "overwrites"),
    ("max_pool_backward", "np.add.at", "index // kernel[1]", "index // kernel[0]", None),
    ("max_pool_backward", "a mask of the first maximum", "x[n, c, i, j] > x", "x[n, c, i, j] >= x", "last-of-equals"),
    ("max_pool_backward", "a mask of the first maximum", "] += chosen[:, :, p, q] * dy", "] += dy", "whole-window"),
    ("max_pool_backward", "a mask of the first maximum", "dx[n, c, *best] +=", "dx[n, c, *best] =", "overwrites"),
    ("avg_pool", "sliding_window_view", "s : s + Q * stride : stride] += share", "s : s + Q * stride : stride] = share",
     "first-window-only"),
    ("avg_pool", "cut at the image's edges", "window.sum((2, 3)) / n", "window.mean((2, 3))", "padding-never-counts"),
    ("avg_pool", "cut at the image's edges", "np.prod(kernel) if count_include_pad else window[0, 0].size",
     "np.prod(kernel)", "padding-always-counts"),
    ("avg_pool", "cut at the image's edges", "window.sum((2, 3)) / n", "window.sum((2, 3)) / stride / stride",
     "divided-by-stride"),
    ("avg_pool", "cut at the image's edges", "window += dy[n, c, p, q]", "window[:] = dy[n, c, p, q]", "overwrites"),
    ("l2_pool", "norms, and zeros for NaN", "axis=(-2, -1))\n\n", "axis=(-2, -1)) ** 2\n\n", "no-root"),
    ("l2_pool", "norms, and zeros for NaN", "np.nan_to_num(dy / y, posinf=0.0, neginf=0.0)", "dy / y",
     "division-by-zero"),
    ("l2_pool", "single pixels", " / y[n, c, p, q]", "", "not-divided"),
    ("batch_norm_forward", "axes kept", ", ddof=1", "", "running-variance-biased"),
    ("batch_norm_forward", "axes kept", "np.sqrt(var + eps)", "(np.sqrt(var) + eps)", "eps-outside"),
    ("batch_norm_forward", "channel by channel", "if training:", "if training or True:", "training-ignored"),
    ("batch_norm_forward", "channel by channel", "weight[c] / (variances[c] + eps) ** 0.5 + bias[c]",
     "bias[c] / (variances[c] + eps) ** 0.5 + weight[c]", "weight-and-bias-swapped"),
    ("batch_norm_forward", "channels last", "(running_mean.copy(), running_var.copy())", "(flat.mean(0), flat.var(0))",
     "batch-statistics-without-training"),
    ("batch_norm_forward", "channels last", "y = (flat - mean)", "y = (flat - running_mean)", None),
    ("batch_norm_backward", "every step by itself", "+ spread(dvar) * 2 * centred / m", "", "no-way-through-variance"),
    ("batch_norm_backward", "every step by itself", "return dcentred + spread(dmean) / m", "return dcentred",
     "no-way-through-mean"),
    ("batch_norm_backward", "every step by itself", "+ spread(dmean) / m", "+ spread(dmean)", None),
    ("batch_norm_backward", "one formula", " / m)", ")", "sums-for-means"),
    ("batch_norm_backward", "channel by channel", "np.vdot(d, hat)", "np.vdot(d, x[:, c])", "dweight-from-x"),
    ("dropout", "np.where", "1 / (1 - p) if training", "1.0 if training", "not-scaled"),
    ("dropout", "np.where", "dx[~keep] = 0", "dx[keep] = 0", "mask-inverted"),
    ("dropout", "number by number", "if training:", "if p:", "active-without-training"),
    ("dropout", "number by number", "random[place] < p", "random[place] <= p", "boundary"),
    ("dropout", "number by number", "d / (1 - p) if k else 0", "d / (1 - p)", "no-mask"),
    ("lrn", "shifted and added", "sums(np.square(x), size // 2, (size - 1) // 2) / size + k) ** beta",
     "sums(x, size // 2, (size - 1) // 2) ** 2 / size + k) ** beta", "square-of-sum"),
    ("lrn", "shifted and added", "/ t, (size - 1) // 2, size // 2", "/ t, size // 2, (size - 1) // 2",
     "neighbourhood-not-mirrored"),
    ("lrn", "a matrix of neighbours", "k + alpha / size * np.einsum(\"cj,njhw->nchw\", neighbours",
     "k + alpha * np.einsum(\"cj,njhw->nchw\", neighbours", "alpha-not-divided"),
    ("lenet5", "functions for what has no parameters", "F.relu(self.conv1(x))", "self.conv1(x)", "no-relu-1"),
    ("lenet5", "functions for what has no parameters", "F.relu(F.max_pool2d(self.conv2(x), 2))",
     "F.max_pool2d(self.conv2(x), 2)", "no-relu-2"),
    ("lenet5", "functions for what has no parameters", "self.fc1(x).relu()).relu())", "self.fc1(x)))",
     "no-relu-3 no-relu-4"),
    ("lenet5", "layers added one by one", "nn.MaxPool2d(2, stride=2)", "nn.AvgPool2d(2)", "average-pooling"),
    ("lenet5", "layers added one by one", "self.classifier(self.features(images))",
     "nn.Softmax(-1)(self.classifier(self.features(images)))", "softmax-at-the-end"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "style", "find", "replace", "mistakes"), SLIPS)
def test_slips_in_other_styles(id, style, find, replace, mistakes):
    assert RIGHT[id, style].count(find) == 1
    names = {}
    exec(compile(RIGHT[id, style].replace(find, replace), style, "exec"), names)
    known = Expected(ALL[id])
    findings = [diagnose(known, name, called(known, name, names[name])) for name in ALL[id].tasks]
    assert {finding.mistakes for finding in findings if finding} == {tuple((mistakes or "").split())}
