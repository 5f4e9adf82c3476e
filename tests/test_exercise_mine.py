"""`exercise train lenet5 --mine`: the student's layers and the library's train side by side."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from tinygrad_cnn import data, tensor
from tinygrad_cnn.cli import app
from tinygrad_cnn.cli.exercise import comparing, shown
from tinygrad_cnn.cli.exercise.comparing import Settings, planned
from tinygrad_cnn.exercises import trial
from tinygrad_cnn.exercises.plugin import load
from tinygrad_cnn.exercises.trial import Step
from tinygrad_cnn.exercises.workspace import Workspace

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

LOOPS = ("conv_im2col", "conv_backward", "adam", "lenet5")  # not solved: convolution is by loops, and SGD trains


def note(workspace, exercise, text):
    """Save a file, which is then known to have passed."""
    workspace.path(exercise).write_text(text, encoding="utf-8")
    with workspace.progress.changing(exercise) as (entry,):
        entry.passed = dict.fromkeys(exercise.tasks, hashlib.sha256(workspace.path(exercise).read_bytes()).hexdigest())


def solve(folder, unsolved=()):
    """A workspace with the textbook's solutions, known to have passed."""
    workspace = Workspace.make(folder)
    with workspace.progress.changing(*workspace.catalogue.values()) as entries:
        for exercise, entry in zip(workspace.catalogue.values(), entries):
            if exercise.id not in unsolved:
                text = exercise.solution().encode()
                workspace.path(exercise).write_bytes(text)
                entry.passed = dict.fromkeys(exercise.tasks, hashlib.sha256(text).hexdigest())
    return workspace


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    return solve(tmp_path_factory.mktemp("solved"))


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return solve(tmp_path_factory.mktemp("half"), LOOPS)


def call(*arguments):
    return CliRunner().invoke(app, ["exercise", "train", *map(str, arguments)])


@pytest.fixture
def here(monkeypatch):
    """Changes into a workspace, where nobody takes long to measure."""
    monkeypatch.setattr(comparing, "MEASURING", 0.002)
    return lambda workspace: monkeypatch.chdir(workspace.folder)


@pytest.fixture(scope="module")
def run(solved, tmp_path_factory):
    """What a training of a few seconds printed, and left."""
    out = tmp_path_factory.mktemp("runs") / "first"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(solved.folder)
        result = call("lenet5", "--mine", "--minutes", 0.02, "--out", out)
    assert result.exit_code == 0, result.output
    return result.stdout, out


def test_every_layer_is_told(run):
    told, _ = run
    lines = {line.split()[0]: line for line in told.splitlines() if "YOURS" in line}
    assert "YOURS 14_conv_im2col.py" in lines["conv1"]
    assert "YOURS 15_conv_backward.py" in lines["conv1"]
    assert "YOURS 16_max_pool_forward.py" in lines["pool2"]
    assert "YOURS 10_cross_entropy.py" in lines["cross_entropy"]
    assert "YOURS 24_adam.py" in lines["optimizer"]
    assert "YOURS 05_toposort.py" in lines["order"]
    assert "26 of 26 are YOURS; and so is the network itself." in told
    assert "Solved, but not in this network: sigmoid_forward" in told
    assert "All of this network is yours" in told
    assert max(map(len, told.splitlines()[:50])) <= 80


def test_both_learn_the_same(run):
    told, out = run
    numbers = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    mine, library = numbers["yours"], numbers["library"]
    assert len(mine["losses"]) == numbers["steps"] >= 2
    np.testing.assert_allclose(mine["losses"][:10], library["losses"][:10], atol=1e-4)
    assert mine["test_accuracies"].keys() == library["test_accuracies"].keys()
    assert list(mine["test_accuracies"])[-1] == str(numbers["steps"])
    assert "which is rounding" in told or "are equal" in told
    assert f"loss, last {min(10, numbers['steps'])} steps" in told
    right, images = (numbers["recognised_by_your_layers"][key] for key in ("right", "images"))
    assert f"it recognises {right} of {images} test images" in told


def test_what_is_left(run):
    told, out = run
    assert {path.name for path in out.iterdir()} == {"comparison.png", "comparison.json"}
    assert f"In {out}:" in told
    with Image.open(out / "comparison.png") as picture:
        assert picture.size[0] > 1200
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_the_table_of_times(run):
    told, out = run
    numbers = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    conv1 = next(n for n in numbers["layers"] if n["layer"] == "conv1" and n["way"] == "forward")
    assert conv1["yours"]
    table = told[told.index("Time of each layer") :]
    cells = re.search(r"^conv1 +([\d.,]+) +([\d.,]+) +×([\d.,]+)", table, re.MULTILINE)
    assert float(cells[1].replace(",", "")) == pytest.approx(conv1["ms"]["yours"], rel=0.05)
    assert re.search(r"^the whole step +[\d.,]+ +[\d.,]+ +×[\d.,]+$", table, re.MULTILINE)


def test_loops_and_layers_that_are_not_solved(half, here, tmp_path):
    here(half)
    result = call("lenet5", "--mine", "--minutes", 0.02, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert re.search(r"^conv1 +YOURS 12_conv_forward.py +library: not begun$", result.stdout, re.MULTILINE)
    assert "24 of 26 are YOURS.\n" in result.stdout
    assert "optimizer: sgd" in result.stdout
    assert "with small batches" in " ".join(result.stdout.split())
    told = result.stdout[result.stdout.index("What to try next") :]
    assert "14_conv_im2col.py is for convolution without the loops" in told
    assert "15_conv_backward.py is for conv1, conv2, backward" in told
    numbers = json.loads((tmp_path / "run" / "comparison.json").read_text(encoding="utf-8"))
    assert numbers["batch_size"] == comparing.SMALLEST_BATCH
    np.testing.assert_allclose(numbers["yours"]["losses"], numbers["library"]["losses"], atol=1e-4)


def test_ctrl_c_leaves_the_curves_so_far(solved, here, tmp_path, monkeypatch):
    here(solved)
    real = comparing.look

    def look(sides, test, done):
        if done:
            signal.raise_signal(signal.SIGINT)
        real(sides, test, done)

    monkeypatch.setattr(comparing, "look", look)
    result = call("lenet5", "--mine", "--epochs", 1, "--batch-size", 8, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "Stopped after 18 of 180 steps; this is what there is." in result.stdout
    numbers = json.loads((tmp_path / "run" / "comparison.json").read_text(encoding="utf-8"))
    assert numbers["steps"] == len(numbers["yours"]["losses"]) == 18
    assert (tmp_path / "run" / "comparison.png").exists()


def test_a_second_ctrl_c_in_the_first_step_leaves_nothing(solved, here, tmp_path, monkeypatch):
    here(solved)

    def look(sides, test, done):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(comparing, "look", look)
    result = call("lenet5", "--mine", "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "nothing was written" in result.stdout
    assert not (tmp_path / "run").exists()


def test_it_ends_when_it_takes_longer_than_measured(solved, here, tmp_path, monkeypatch):
    here(solved)
    monkeypatch.setattr(comparing, "planned", lambda *args: comparing.Plan(4, 10_000, -10.0, "by mistake"))
    result = call("lenet5", "--mine", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "It took longer than it was measured to take; this is enough." in result.stdout
    assert len(json.loads((tmp_path / "run" / "comparison.json").read_text(encoding="utf-8"))["yours"]["losses"]) == 1


def test_what_functions_print_is_left_out(tmp_path, here):
    workspace = Workspace.make(tmp_path / "work", only=["relu"])
    exercise = workspace.catalogue["relu"]
    note(workspace, exercise, exercise.solution().replace("    return np.max", '    print("HERE")\n    return np.max'))
    here(workspace)
    result = call("--mine", "--minutes", 0.02, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "HERE" not in result.stdout
    assert re.search(r"^conv1 +library: no exercise +library: no exercise$", result.stdout, re.MULTILINE)
    assert "8 of 26 are YOURS." in result.stdout
    assert re.search(r"Your functions printed [\d,]+ lines meanwhile", result.stdout)
    assert "optimizer: adam" in result.stdout  # the library's, since none is solved


def test_a_function_that_fails_at_work(tmp_path, here):
    workspace = Workspace.make(tmp_path / "work", only=["relu"])
    exercise = workspace.catalogue["relu"]
    note(workspace, exercise, exercise.solution().replace("    return np.max", "    x[99]\n    return np.max"))
    here(workspace)
    result = call("lenet5", "--mine")
    assert result.exit_code == 1
    assert "error: layer features.relu1: your relu_forward failed with IndexError" in result.stderr
    assert "01_relu.py, line" in result.stderr


def test_nothing_solved_yet(tmp_path, here):
    workspace = Workspace.make(tmp_path / "work")
    here(workspace)
    result = call("lenet5", "--mine")
    assert result.exit_code == 1
    assert "There is nothing of yours to train with" in result.stdout
    assert "exercise check relu" in result.stdout
    path = workspace.path(workspace.catalogue["tanh"])
    path.write_text("import numpy as np\n\n\ndef tanh_forward(x):\n    return x\n", encoding="utf-8")
    result = call("lenet5", "--mine")
    assert "checking 03_tanh.py" in result.stdout
    assert "exercise check tanh" in result.stdout


def test_wrong_calls(solved, here, tmp_path, monkeypatch):
    here(solved)
    result = call("lenet5")
    assert result.exit_code == 2
    assert "--mine is missing" in result.stderr
    assert "train lenet5" in result.stderr
    assert "trains lenet5, not 'vgg11'" in call("vgg11", "--mine").stderr
    assert "there is no 'digit'" in call("lenet5", "--mine", "--data", "digit").stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = call("lenet5", "--mine", "--out", tmp_path / "full")
    assert result.exit_code == 1
    assert "exists already, and nothing is overwritten" in result.stderr
    monkeypatch.chdir(tmp_path)
    assert "exercise init" in call("lenet5", "--mine").stderr


def test_without_scikit_learn(solved, here, monkeypatch):
    here(solved)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = call("lenet5", "--mine")
    assert result.exit_code == 1
    assert "the digits come with scikit-learn, which cannot be imported" in result.stderr


def test_without_matplotlib_the_numbers_stay(solved, here, tmp_path, monkeypatch):
    here(solved)

    def missing(*args):
        raise ImportError("figures need matplotlib")

    monkeypatch.setattr(shown, "figure", missing)
    monkeypatch.setattr(comparing, "planned", lambda *args: comparing.Plan(4, 2, 1.0, "a test"))
    result = call("lenet5", "--mine", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "no figure: figures need matplotlib" in result.stdout
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["comparison.json"]


# ---- how much is trained


def settings(seconds=120.0, epochs=None, batch_size=None):
    return Settings("digits", None, epochs, batch_size, 0, seconds, None)


def step_of(an_image, images=32):
    return Step(
        images, [], {"yours": [2 * an_image * images, an_image * images * 0.9], "library": [an_image * images * 0.1]}
    )


@pytest.mark.parametrize(
    ("an_image", "given", "batch_size", "steps"),
    [
        (0.1, settings(), 16, 60),  # 96 s are 960 images
        (0.0099, settings(), 32, 303),
        (0.0001, settings(), 32, 450),  # 10 epochs of 45 steps
        (0.0001, settings(epochs=2), 32, 90),
        (1.0, settings(), 4, 24),
        (1000.0, settings(), 4, 1),  # one step at least
        (0.1, settings(batch_size=32), 32, 30),
        (1.0, settings(seconds=None, epochs=2), 32, 90),  # however long it takes
        (1.0, settings(seconds=None, epochs=1, batch_size=10), 10, 144),
    ],
)
def test_as_much_as_fits(an_image, given, batch_size, steps):
    plan = planned(step_of(an_image), given, 1438, 0.0)
    assert (plan.batch_size, plan.steps) == (batch_size, steps)
    assert plan.seconds == pytest.approx(steps * batch_size * an_image)
    if given.seconds is not None and steps > 1:
        assert plan.seconds <= 0.8 * given.seconds


def test_why_so_much_is_told():
    def why(an_image, spent=0.0, **given):
        return planned(step_of(an_image), settings(**given), 1438, spent).why

    assert why(0.01) == "what fits into 2 minutes"
    assert why(0.01, seconds=45.0) == "what fits into 45 seconds"
    assert why(0.1, spent=20.0) == "what fits into 2 minutes, with small batches, so that there are 63 steps"
    assert why(0.0001) == "more epochs than 10 teach little"
    assert why(0.0001, epochs=3) == why(9.0, epochs=3, seconds=None) == "as --epochs 3 says"


def test_colour_images_are_for_the_librarys_network(solved):
    mine = load(solved.folder)
    colour = SimpleNamespace(info=SimpleNamespace(image_shape=(3, 32, 32)), classes=range(10))
    learners = comparing.Learners(mine, colour, seed=0)
    assert learners.own is None
    assert learners()[0].input_shape == (3, 32, 32)
    grey = SimpleNamespace(info=SimpleNamespace(image_shape=(1, 28, 28)), classes=range(10))
    sides = comparing.Learners(mine, grey, seed=0).sides()
    assert type(sides["yours"].model) is mine.classes["LeNet5"]
    for a, b in zip(sides["yours"].model.parameters(), sides["library"].model.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_two_losses():
    assert "agree within 1e-06, which is rounding" in shown.agreement([2.0, 1.000001], [2.0, 1.0])
    grown = shown.agreement([2.0, 1.0, 1.0, 0.5], [2.0, 1.0, 1.000001, 0.25])
    assert grown.startswith("In the first 3 steps the two losses agree within 1e-06, which is rounding")
    assert grown.endswith("here up to 0.25.")
    assert "In the first 3 steps the two losses are equal" in shown.agreement([2.0, 1, 1, 0.5], [2.0, 1, 1, 0.25])
    assert "differ from step 2 on, by 0.5" in shown.agreement([2.0, 1.5], [2.0, 1.0])  # backward
    assert "differ from step 1 on, by 0.5" in shown.agreement([2.5], [2.0])


# ---- measuring


def test_each_call_of_a_kernel_belongs_to_a_layer(half):
    mine = load(half.folder)
    images = tensor(np.random.default_rng(0).normal(size=(2, 1, 28, 28)).astype("float32"))
    learners = comparing.Learners(mine, data.load("digits"), seed=0)
    step = trial.measure(mine, learners, images, tensor([3, 4]), seconds=60.0, most=2)
    assert step.images == 2
    places = [share.place for share in step.shares]
    assert places[0] == ("features.conv1", "forward")
    assert places[-2:] == [("features.conv1", "backward"), ("optimizer", "update")]
    assert len(places) == len(set(places)) == 26
    assert places.index(("cross_entropy", "forward")) < places.index(("order of backward", "backward"))
    shares = dict(zip(places, step.shares))
    assert shares["features.conv1", "forward"].yours
    assert not shares["features.conv1", "backward"].yours
    assert [s.name for s in shares["features.conv1", "backward"].functions] == ["conv2d_backward"]
    assert all(len(share.times[who]) == 2 for share in step.shares for who in ("yours", "library"))
    assert sum(share.seconds[0] for share in step.shares) < step.seconds[0]
    assert mine.calls["conv2d_forward"] == (4, 0)  # two runs, two layers


def test_the_librarys_turn_is_the_librarys(half):
    mine = load(half.folder)
    clock = trial.Clock(mine, yours=False)
    with clock.running():
        tensor([-1.0, 2.0]).relu()
    (call,) = clock.calls
    assert (call.place, call.kernel, call.yours) == (("relu", "forward"), "relu_forward", False)
    assert mine.calls["relu_forward"] == (0, 0)
