"""The student's functions in the places of kernels: the textbook's, all at once, compute what the library computes."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import right_versions
import standin
from odd_right_versions import ODD

import tinygrad_cnn as tcnn
from tinygrad_cnn import exercises, kernels, nn, optim, random
from tinygrad_cnn import functional as F
from tinygrad_cnn.exercises import checking
from tinygrad_cnn.exercises.adapters import ADAPTERS, ELSEWHERE, Adapter
from tinygrad_cnn.exercises.catalogue import catalogue
from tinygrad_cnn.exercises.plugin import PluginError, load
from tinygrad_cnn.exercises.sources import CatalogueError
from tinygrad_cnn.exercises.workspace import Workspace, WorkspaceError
from tinygrad_cnn.models import LeNet5

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture(scope="module")
def textbook(tmp_path_factory):
    """A folder in which every exercise is solved by the textbook."""
    folder = tmp_path_factory.mktemp("textbook")
    for exercise in catalogue().values():
        (folder / exercise.file).write_text(exercise.solution(), encoding="utf-8")
    return folder


@pytest.fixture
def mine(textbook):
    return load(textbook, trust=True)


def everything():
    """A network with a layer for every exercise about layers; images of 1×14×15."""
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), padding=1, bias=False),  # its bias would be nothing but rounding to Adam
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.LocalResponseNorm(3),
        nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
        nn.Conv2d(4, 6, (2, 3), stride=2),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.LPPool2d(2, 2, stride=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Softmax(dim=1),
        nn.Flatten(),
        nn.Linear(6 * 3 * 4, 10),
        nn.Sigmoid(),
        Shifted(),
        nn.Linear(10, 5),
    )


class Shifted(nn.Module):
    """A parameter that is broadcast."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(np.linspace(-1, 1, 10))

    def forward(self, x):
        return x * self.shift


def trained(make, images, classes, dtype, optimizer, work, steps=3):
    """A few steps: losses, the gradient of the images, all parameters."""
    with random.use_generator(random.Generator(3)):
        model = make().to(dtype)
        x = tcnn.tensor(np.random.default_rng(1).normal(size=images).astype(dtype), requires_grad=True)
        y = tcnn.tensor(np.arange(images[0]) % classes)
        descent = optimizer(model.parameters())
        losses = []
        with work:
            for _ in range(steps):
                descent.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                descent.step()
                losses.append(loss.item())
    return [np.array(losses), x.grad, *(p.numpy() for p in model.parameters()), *(b.numpy() for b in model.buffers())]


OPTIMIZERS = {
    "sgd": lambda parameters: optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.01),
    "plain sgd": lambda parameters: optim.SGD(parameters, lr=0.05),
    "adam": lambda parameters: optim.Adam(parameters, lr=0.01),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", [LeNet5, everything])
def test_the_textbook_trains_networks_as_the_library_does(mine, make, dtype, optimizer):
    images, classes = ((2, 1, 28, 28), 10) if make is LeNet5 else ((5, 1, 14, 15), 5)
    theirs = trained(make, images, classes, dtype, OPTIMIZERS[optimizer], contextlib.nullcontext())
    ours = trained(make, images, classes, dtype, OPTIMIZERS[optimizer], mine.at_work())
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(b).max()))
    step = "adam_step" if optimizer == "adam" else "sgd_step"
    calls = mine.calls
    assert calls["conv2d_forward"] == (6, 0)
    assert calls[step] == (3 * len(list(make().parameters())), 0)
    if make is everything:
        idle = {name for name, (yours, library) in calls.items() if not yours or library}
        assert idle == {"sgd_step", "adam_step"} - {step}


def test_every_function_of_the_catalogue_stands_in_or_it_is_said_why_not(mine):
    names = {name for exercise in catalogue().values() for name in exercise.tasks}
    adapted = {name for adapter in ADAPTERS for name in adapter.functions}
    assert names == adapted | set(ELSEWHERE) | {"LeNet5"}
    assert {name for name, standing in mine.functions.items() if standing.why_not} == set(ELSEWHERE)
    assert mine.functions["backward"].why_not == "the walk back is a part of Tensor itself"
    assert set(mine.classes) == {"LeNet5"}
    assert mine.plugs["conv2d_forward"].adapter.functions == ("im2col", "conv2d_from_columns")  # faster than loops


def test_own_network(mine):
    ours, theirs = mine.classes["LeNet5"](), LeNet5()
    ours.load_state_dict(theirs.state_dict())
    x = tcnn.randn(2, 1, 28, 28)
    np.testing.assert_array_equal(ours(x).numpy(), theirs(x).numpy())


ADAPTED = {id for id, e in catalogue().items() if any(set(a.functions) <= set(e.tasks) for a in ADAPTERS)}


STYLES = right_versions.RIGHT | ODD


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(("id", "style"), [key for key in STYLES if key[0] in ADAPTED])
def test_right_functions_of_other_styles_stand_in_too(tmp_path, id, style):
    (tmp_path / catalogue()[id].file).write_text(STYLES[id, style], encoding="utf-8")
    mine = load(tmp_path, only=[id], trust=True)
    optimizer = OPTIMIZERS["adam" if id == "adam" else "sgd"]
    theirs = trained(everything, (2, 1, 14, 15), 5, "float32", optimizer, contextlib.nullcontext(), steps=1)
    ours = trained(everything, (2, 1, 14, 15), 5, "float32", optimizer, mine.at_work(), steps=1)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * max(1, np.abs(b).max()))
    assert mine.calls
    assert all(yours and not library for yours, library in mine.calls.values())


def leaf(*shape, dtype="float64", seed=0):
    return tcnn.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


LABELS = tcnn.tensor([0, 2])
SOFT = tcnn.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], dtype="float64")
BEYOND = {
    "groups": ("conv2d", lambda: F.conv2d(leaf(2, 4, 6, 5), leaf(6, 2, 3, 2), groups=2)),
    "dilation": ("conv2d", lambda: F.conv2d(leaf(2, 3, 7, 6), leaf(4, 3, 3, 2), dilation=2)),
    "stride per axis": ("conv2d", lambda: F.conv2d(leaf(2, 3, 7, 6), leaf(4, 3, 3, 2), stride=(2, 1))),
    "padding per axis": ("conv2d", lambda: F.conv2d(leaf(2, 3, 7, 6), leaf(4, 3, 3, 2), padding=(0, 1))),
    "same, an odd pixel": ("conv2d", lambda: F.conv2d(leaf(2, 3, 7, 6), leaf(4, 3, 2, 2), padding="same")),
    "half precision": (
        "conv2d",
        lambda: F.conv2d(leaf(2, 3, 7, 6, dtype="float16"), leaf(4, 3, 3, 2, dtype="float16")),
    ),
    "no images": ("conv2d", lambda: F.conv2d(leaf(0, 3, 7, 6), leaf(4, 3, 3, 2))),
    "pool, dilation": ("max_pool2d", lambda: F.max_pool2d(leaf(2, 3, 7, 6), 2, dilation=2)),
    "pool, stride per axis": ("max_pool2d", lambda: F.max_pool2d(leaf(2, 3, 7, 6), 2, stride=(1, 2))),
    "pool, ceil_mode": ("max_pool2d", lambda: F.max_pool2d(leaf(2, 3, 7, 6), 2, ceil_mode=True)),
    "average, divisor": ("avg_pool2d", lambda: F.avg_pool2d(leaf(2, 3, 7, 6), 2, divisor_override=3)),
    "average, ceil_mode": ("avg_pool2d", lambda: F.avg_pool2d(leaf(2, 3, 7, 6), 2, ceil_mode=True)),
    "3-norm": ("l2_pool2d", lambda: F.lp_pool2d(leaf(2, 3, 7, 6), 3.0, 2)),
    "2-norm, ceil_mode": ("l2_pool2d", lambda: F.lp_pool2d(leaf(2, 3, 7, 6), 2.0, 2, ceil_mode=True)),
    "layer norm": ("batch_norm", lambda: F.layer_norm(leaf(2, 3, 4), (3, 4))),
    "instance norm": ("batch_norm", lambda: F.instance_norm(leaf(2, 3, 4, 5))),
    "group norm": ("batch_norm", lambda: F.group_norm(leaf(2, 4, 3, 5), 2)),
    "lrn of lines": ("local_response_norm", lambda: F.local_response_norm(leaf(2, 4, 5), 3)),
    "drop all": ("dropout", lambda: F.dropout(leaf(2, 3), 1.0)),
    "a number": ("relu", lambda: leaf().relu()),
    "smoothing": ("cross_entropy", lambda: F.cross_entropy(leaf(2, 3), LABELS, label_smoothing=0.1)),
    "class weights": (
        "cross_entropy",
        lambda: F.cross_entropy(leaf(2, 3), LABELS, weight=tcnn.tensor([1.0, 2.0, 3.0], dtype="float64")),
    ),
    "an ignored class": ("cross_entropy", lambda: F.cross_entropy(leaf(2, 3), LABELS, ignore_index=2)),
    "classes of pixels": (
        "cross_entropy",
        lambda: F.cross_entropy(leaf(2, 3, 4), tcnn.tensor([[0, 1, 2, 2], [1, 1, 0, 2]])),
    ),
}


@pytest.mark.parametrize("what", BEYOND)
def test_calls_beyond_an_exercise_are_the_librarys(mine, what):
    name, compute = BEYOND[what]

    def gradients(work):
        with random.use_generator(random.Generator(0)), work:
            y = compute()
            y.backward(np.random.default_rng(2).normal(size=y.shape).astype(y.dtype))
        return y.numpy()

    np.testing.assert_array_equal(gradients(mine.at_work()), gradients(contextlib.nullcontext()))
    assert mine.calls[f"{name}_forward"] == (0, 1)
    assert mine.calls[f"{name}_backward"] == (0, 1)


WITHIN = {
    "no bias": ("conv2d", lambda x: F.conv2d(x, leaf(4, 3, 3, 2)), (2, 3, 7, 6)),
    "transposed": (
        "conv2d",
        lambda x: F.conv_transpose2d(x, tcnn.ones(3, 4, 3, 2, dtype="float64"), stride=2),
        (2, 3, 5, 4),
    ),
    "many taps": ("max_pool2d", lambda x: F.max_pool2d(x, 17, stride=2), (1, 2, 21, 20)),
    "far from the edge": ("max_pool2d", lambda x: F.max_pool2d(x, 2, stride=150), (1, 1, 2, 302)),
    "overlapping": ("max_pool2d", lambda x: F.max_pool2d(x, (3, 2), stride=1, padding=1), (2, 3, 7, 6)),
    "ceil_mode that fits": ("max_pool2d", lambda x: F.max_pool2d(x, 2, ceil_mode=True), (2, 3, 8, 6)),
    "padding counts": ("avg_pool2d", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), (2, 3, 7, 6)),
    "padding does not": (
        "avg_pool2d",
        lambda x: F.avg_pool2d(x, (3, 2), stride=2, padding=1, count_include_pad=False),
        (2, 3, 7, 6),
    ),
    "no padding": ("avg_pool2d", lambda x: F.avg_pool2d(x, 2, count_include_pad=False), (2, 3, 7, 6)),
    "without scale": ("batch_norm", lambda x: F.batch_norm(x, training=True), (3, 2, 4, 5)),
    "of vectors": ("batch_norm", lambda x: F.batch_norm(x, weight=leaf(4), bias=leaf(4), training=True), (6, 4)),
    "along rows": ("softmax", lambda x: F.softmax(x, 0), (4, 3)),
    "along channels": ("softmax", lambda x: F.softmax(x, 1), (2, 3, 4, 5)),
    "no linear bias": ("linear", lambda x: F.linear(x, leaf(4, 3)), (2, 3)),
    "many leading dimensions": ("linear", lambda x: F.linear(x, leaf(4, 3), leaf(4)), (5, 2, 3)),
    "a vector": ("linear", lambda x: F.linear(x, leaf(4, 3), leaf(4)), (3,)),
    "every loss for itself": (
        "cross_entropy",
        lambda x: F.cross_entropy(x, tcnn.tensor([0, 2, 1, 2]), reduction="none"),
        (4, 3),
    ),
    "sum of losses": (
        "cross_entropy",
        lambda x: F.cross_entropy(x, tcnn.tensor([0, 2, 1, 2]), reduction="sum"),
        (4, 3),
    ),
    "an even neighbourhood": ("local_response_norm", lambda x: F.local_response_norm(x, 4, alpha=0.5), (2, 6, 3, 2)),
    "dropout": ("dropout", lambda x: F.dropout(x, 0.3), (40, 7)),
}


@pytest.mark.parametrize("what", WITHIN)
def test_calls_that_an_adapter_brings_within_an_exercise(mine, what):
    name, compute, shape = WITHIN[what]

    def gradients(work):
        x = leaf(*shape, seed=5)
        with random.use_generator(random.Generator(0)), work:
            y = compute(x)
            y.backward(np.random.default_rng(2).normal(size=y.shape))
        return y.numpy(), x.grad

    for a, b in zip(gradients(mine.at_work()), gradients(contextlib.nullcontext())):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)
    assert mine.calls[f"{name}_forward"] == (1, 0)
    assert mine.calls[f"{name}_backward"] == (1, 0)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("sgd_step", lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
        ("adam_step", lambda p: optim.Adam(p, amsgrad=True)),
        ("adam_step", lambda p: optim.Adam(p, weight_decay=0.1)),
        ("adam_step", lambda p: optim.AdamW(p, weight_decay=0.1)),
    ],
)
def test_optimizers_beyond_an_exercise_are_the_librarys(mine, name, optimizer):
    w, other = nn.Parameter([1.0, 2.0]), nn.Parameter([1.0, 2.0])
    for parameter, work in ((w, mine.at_work()), (other, contextlib.nullcontext())):
        descent = optimizer([parameter])
        with work:
            parameter.grad = np.array([3.0, -1.0], "float32")
            descent.step()
    np.testing.assert_array_equal(w.numpy(), other.numpy())
    assert mine.calls[name] == (0, 1)


def test_arrays_of_another_library_are_the_librarys(mine):
    with standin.registered(), mine.at_work():
        tcnn.tensor([-1.0, 2.0], device="standin", requires_grad=True).relu().sum().backward()
    assert mine.calls["relu_forward"] == mine.calls["relu_backward"] == (0, 1)


def test_the_order_of_a_graph_whose_inputs_want_no_gradient(mine):
    x = leaf(3)
    with mine.at_work():
        y = (x * tcnn.tensor([1.0, 2.0, 3.0]) + x * x + 1.0).sum()  # constants have no node
        y.backward()
    np.testing.assert_allclose(x.grad, np.array([1.0, 2.0, 3.0]) + 2 * x.numpy())
    assert mine.calls["toposort"] == (1, 0)


def test_outside_the_block_the_library_computes(textbook):
    with exercises.use(textbook, trust=True) as mine:
        assert kernels.overridden("relu_forward")
        leaf(3).relu()
    leaf(3).relu()
    assert not kernels.overridden("relu_forward")
    assert mine.calls["relu_forward"] == (1, 0)
    assert "<relu_forward: 1 calls by you, 0 by the library>" in repr(mine)
    assert "<class LeNet5>" in repr(mine)


def test_only_some(textbook):
    mine = load(textbook, only=["conv_forward", "relu_backward"], trust=True)
    assert set(mine.plugs) == {"conv2d_forward", "relu_backward"}
    assert mine.plugs["conv2d_forward"].adapter.functions == ("conv2d_forward",)
    assert mine.functions["relu_forward"].why_not == "left out"
    with pytest.raises(
        PluginError, match=r"only='conv2d': there is no such function or exercise; functions are relu_f"
    ):
        load(textbook, only=["conv2d"], trust=True)


def test_nothing_is_left_in_the_students_folder(textbook):
    load(textbook, trust=True)
    assert {path.suffix for path in textbook.iterdir()} == {".py"}
    assert "tinygrad_cnn_mine_relu" in sys.modules


# ---- which functions take part

RELU = """
    import numpy as np


    def relu_forward(x):
        return np.maximum(x, 0)


    def relu_backward(dy, x):
        return {}
    """
RIGHT, WRONG = (textwrap.dedent(RELU.format(text)) for text in ("dy * (x > 0)", "dy"))


@pytest.fixture
def workspace(tmp_path):
    return Workspace.make(tmp_path / "work", only=["relu", "tanh", "output_size"])


def write(workspace, text, passed=()):
    """Save the exercise about ReLU, of which these functions are known to have passed."""
    exercise = workspace.catalogue["relu"]
    workspace.path(exercise).write_text(text, encoding="utf-8")
    with workspace.progress.changing(exercise) as (entry,):
        entry.passed = dict.fromkeys(passed, hashlib.sha256(workspace.path(exercise).read_bytes()).hexdigest())


def test_what_has_passed_is_not_checked_again(workspace, monkeypatch):
    write(workspace, RIGHT, ["relu_forward", "relu_backward"])
    monkeypatch.setattr(checking, "check", lambda *args: pytest.fail("there is nothing to check"))
    mine = load(workspace.folder)
    assert set(mine.plugs) == {"relu_forward", "relu_backward"}
    assert mine.functions["tanh_forward"].why_not == "not begun"
    assert mine.functions["output_size"].why_not == ELSEWHERE["output_size"]


def test_what_is_not_known_is_checked_and_noted(workspace):
    write(workspace, WRONG)
    told = []
    mine = load(workspace.folder, told=told.append)
    assert told == ["01_relu.py"]
    assert set(mine.plugs) == {"relu_forward"}
    exercise = workspace.catalogue["relu"]
    possible, earned = exercise.points, exercise.tasks["relu_forward"].points
    assert mine.functions["relu_backward"].why_not == f"{earned:g} of {possible:g} points"
    entry = workspace.progress.entry(exercise)
    assert set(entry.passed) == {"relu_forward"}
    assert entry.checks == 0  # it was not the student's own


def test_a_file_that_has_changed_is_checked_again(workspace):
    write(workspace, RIGHT, ["relu_forward", "relu_backward"])
    workspace.path(workspace.catalogue["relu"]).write_text(WRONG, encoding="utf-8")
    assert set(load(workspace.folder).plugs) == {"relu_forward"}


def test_a_file_that_is_saved_during_its_check_does_not_take_part(workspace, monkeypatch):
    write(workspace, RIGHT)
    path = workspace.path(workspace.catalogue["relu"])
    check = checking.check

    def slow(exercise, file):
        verdict = check(exercise, file)
        path.write_text(WRONG, encoding="utf-8")
        return verdict

    monkeypatch.setattr(checking, "check", slow)
    assert not load(workspace.folder).plugs


def test_the_workspace_is_found_from_inside(workspace, monkeypatch):
    write(workspace, RIGHT, ["relu_forward", "relu_backward"])
    monkeypatch.chdir(workspace.folder)
    with exercises.use() as mine:
        assert mine.folder == workspace.folder
    monkeypatch.chdir(workspace.folder.parent)
    with pytest.raises(WorkspaceError, match="exercise init"):
        load()
    with pytest.raises(WorkspaceError):
        load(workspace.folder.parent)


def test_a_missing_file(workspace):
    workspace.path(workspace.catalogue["relu"]).unlink()
    assert load(workspace.folder).functions["relu_forward"].why_not == "the file is gone"


def test_trust_takes_what_is_written_and_no_skeleton(workspace):
    assert not load(workspace.folder, trust=True).plugs
    write(workspace, WRONG)
    assert set(load(workspace.folder, trust=True).plugs) == {"relu_forward", "relu_backward"}
    write(workspace, "def relu_forward(x:\n")
    assert load(workspace.folder, trust=True).functions["relu_forward"].why_not == "not written"


def test_a_file_that_cannot_be_loaded(workspace):
    write(workspace, RIGHT + "\n1 / 0\n")
    with pytest.raises(PluginError, match=r"01_relu\.py cannot be loaded: ZeroDivisionError: division by zero"):
        load(workspace.folder, trust=True)


# ---- functions that fail at work


def failing(workspace, text):
    write(workspace, textwrap.dedent(text))
    return load(workspace.folder, trust=True).at_work()


def test_files_beside_a_students_can_be_imported_as_in_its_check(workspace):
    """A helper of their own, or another exercise's file; what is called like one of Python's modules stays unused."""
    solution, helper = catalogue()["relu"].solution(), workspace.folder / "my_helper.py"
    helper.write_text("import numpy as np\ndef larger(x):\n    return np.maximum(x, 0)\n", encoding="utf-8")
    (workspace.folder / "random.py").write_text("1 / 0\n", encoding="utf-8")
    text = solution.replace("import numpy as np", "import random\nimport my_helper\nimport numpy as np")
    text = text.replace("np.maximum(x, 0)", "my_helper.larger(x)")
    workspace.path(catalogue()["relu"]).write_text(text, encoding="utf-8")
    before = list(sys.path), sys.dont_write_bytecode
    with exercises.use(workspace.folder, only=["relu"]) as mine:
        assert tcnn.tensor([-1.0, 2.0]).relu().tolist() == [0.0, 2.0]
    assert mine.calls["relu_forward"] == (1, 0)
    assert (before, "my_helper" in sys.modules) == ((list(sys.path), sys.dont_write_bytecode), False)
    assert not (workspace.folder / "__pycache__").exists()


@pytest.mark.parametrize("line", ["1 / 0", "raise SystemExit(3)", "import sys; sys.exit()"])
def test_a_file_that_ends_while_it_is_loaded(workspace, line):
    path = workspace.path(catalogue()["relu"])
    path.write_text(f"{line}\n{catalogue()['relu'].solution()}", encoding="utf-8")
    with pytest.raises(PluginError, match=r"01_relu.py cannot be loaded: (ZeroDivisionError|SystemExit)"):
        load(workspace.folder, only=["relu"], trust=True)
    assert load(workspace.folder, only=["relu"]).functions["relu_forward"].why_not == "0 of 5 points"


def test_functions_that_are_no_def_are_trusted_too(workspace):
    path = workspace.path(catalogue()["relu"])
    path.write_text("import numpy as np\nrelu_forward = lambda x: np.maximum(x, 0)\n", encoding="utf-8")
    assert load(workspace.folder, only=["relu_forward"], trust=True).functions["relu_forward"].why_not == ""


def test_an_error_names_function_layer_file_and_line(workspace):
    model = nn.Sequential({"first": nn.Linear(3, 2), "bent": nn.ReLU()})
    x = tcnn.ones(4, 3)
    forward = """
        def relu_forward(x):
            return helper(x)

        def helper(x):
            return x[:, 7]
        """
    message = (
        r"layer bent: your relu_forward failed with IndexError: index 7 .*; it was called with arrays \(4, 2\)\n"
        r"  01_relu.py, line 6: return x\[:, 7\]"
    )
    with failing(workspace, forward), pytest.raises(PluginError, match=message):
        model(x)
    backward = "def relu_backward(dy, x):\n    return x / nothing\n"
    message = r"layer bent: your relu_backward failed with NameError: .*\n  01_relu.py, line 2: return x / nothing"
    with failing(workspace, backward), pytest.raises(PluginError, match=message):
        model(x).sum().backward()


def test_an_error_outside_all_layers(workspace):
    with (
        failing(workspace, "def relu_forward(x):\n    raise ValueError('no')\n"),
        pytest.raises(PluginError, match=r"^your relu_forward failed with ValueError: no; .* \(3,\)"),
    ):
        leaf(3).relu()


def test_a_result_that_does_not_fit(textbook, tmp_path):
    file = tmp_path / catalogue()["max_pool_forward"].file
    file.write_text("def max_pool2d_forward(x, kernel, stride, padding):\n    return None\n", encoding="utf-8")
    with (
        exercises.use(tmp_path, trust=True),
        pytest.raises(
            PluginError, match=r"your max_pool2d_forward failed .* What it returned is not what the exercise"
        ),
    ):
        F.max_pool2d(leaf(1, 1, 4, 4), 2)


# ---- a teacher's exercise

EXERCISE = """
title = "Swish"
intro = "x·sigmoid(x)"
tutorial = "Tutorial 1, One neuron"
hints = ["a", "b", "c"]

[[functions]]
name = "bend"
solution = "solution.py:bend"
points = 1
{more}
"""
SOLUTION = "import numpy as np\n\n\ndef bend(x):\n    return np.tanh(x)\n"


@pytest.fixture
def teachers(tmp_path):
    """Makes a folder with an exercise, and a student's folder where it is solved."""

    def make(more="", plug=""):
        folder = tmp_path / "course" / "bending"
        folder.mkdir(parents=True)
        (folder / "exercise.toml").write_text(EXERCISE.format(more=more), encoding="utf-8")
        (folder / "solution.py").write_text(SOLUTION, encoding="utf-8")
        (folder / "cases.py").write_text("def cases(rng):\n    return []\n", encoding="utf-8")
        if plug:
            (folder / "plug.py").write_text(textwrap.dedent(plug), encoding="utf-8")
        workspace = Workspace.make(tmp_path / "work", [folder.parent], ["bending"])
        workspace.path(workspace.catalogue["bending"]).write_text(SOLUTION, encoding="utf-8")
        return workspace.folder

    return make


def test_a_teachers_function_with_a_kernels_arguments(teachers):
    with exercises.use(teachers('kernel = "tanh_forward"'), trust=True) as mine:
        assert leaf(3).tanh().shape == (3,)
    assert mine.calls["bend"] == (1, 0)


def test_a_teachers_own_adapter(teachers):
    plug = """
        from tinygrad_cnn.exercises.adapters import Beyond, stands_in


        @stands_in("bend", kernel="sigmoid_forward")
        def own_sigmoid(yours, x):
            if x.ndim > 1:
                raise Beyond
            return (1 + yours(x / 2)) / 2
        """
    x, images = leaf(3), leaf(2, 3)
    with exercises.use(teachers(plug=plug), trust=True) as mine:
        bent = x.sigmoid(), images.sigmoid()
    assert mine.calls["own_sigmoid"] == (1, 1)
    for y, z in zip(bent, (x.sigmoid(), images.sigmoid())):
        np.testing.assert_allclose(y.numpy(), z.numpy(), atol=1e-15)


def test_a_teachers_function_without_either(teachers):
    assert load(teachers(), trust=True).functions["bend"].why_not == "no network asks for it"


def test_a_kernel_that_does_not_exist(teachers):
    with pytest.raises(CatalogueError, match=r"bending: bend is to stand in for a kernel 'tanh', which does not exist"):
        load(teachers('kernel = "tanh"'), trust=True)


def test_an_adapter_tells_what_it_is():
    assert all(isinstance(adapter, Adapter) and adapter.kernel in kernels.names() for adapter in ADAPTERS)
    assert [a.name for a in ADAPTERS].count("conv2d_forward") == 2


def test_the_adapter_in_the_instructors_guide(tmp_path):
    guide = (Path(__file__).parents[1] / "docs" / "instructors.md").read_text(encoding="utf-8")
    folder = tmp_path / "course" / "leaky_relu"
    folder.mkdir(parents=True)
    for name, text in re.findall(
        r"^`my-exercises/leaky_relu/(\S+)`\n\n```\w+\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE
    ):
        (folder / name).write_text(text, encoding="utf-8")
    workspace = Workspace.make(tmp_path / "work", [folder.parent], ["leaky_relu"])
    exercise = workspace.catalogue["leaky_relu"]
    workspace.path(exercise).write_text(exercise.solution(), encoding="utf-8")
    x = tcnn.tensor([-2.0, 3.0], requires_grad=True)
    with exercises.use(workspace.folder) as mine:
        y = x.relu()
        y.backward(np.array([5.0, 7.0]))
    np.testing.assert_allclose(y.numpy(), [-0.2, 3.0], rtol=1e-6)
    np.testing.assert_allclose(x.grad, [0.5, 7.0], rtol=1e-6)
    assert mine.calls == {"leaky_relu_forward": (1, 0), "leaky_relu_backward": (1, 0)}
