"""The command line without training: help, errors, and commands that look at a network or at the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

import tinygrad_cnn
from tinygrad_cnn import data, models
from tinygrad_cnn.cli import app, console, recipes
from tinygrad_cnn.cli.console import many
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.viz import render

COMMANDS = ("train", "evaluate", "predict", "summary", "graph", "recipes", "doctor")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs the program in an empty folder; gives status, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TINYGRAD_CNN_DEBUG", raising=False)

    def run(*arguments, **more):
        return CliRunner().invoke(app, [str(a) for a in arguments], **more)

    return run


def program(*arguments, **environment):
    """Runs the program as a process of its own, on bytes."""
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_help_names_all_commands_and_fits_80_columns(call):
    for arguments in (["--help"], ["-h"], []):
        result = call(*arguments)
        assert result.exit_code == 0
        assert all(command in result.stdout for command in COMMANDS)
        assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call, command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "--debug" in result.stdout


def test_train_help_has_all_options_with_defaults(call):
    text = " ".join(call("train", "--help").stdout.replace("│", " ").split())
    options = "data data-dir variant width epochs batch-size lr optimizer seed device out resume"
    for option in options.split():
        assert f"--{option}" in text
    for words in ("tinygrad-cnn recipes", "no download", "tinygrad-cnn train lenet5 --data mnist", "Ctrl-C"):
        assert words in text


def test_help_lists_what_there_is(call, monkeypatch):
    text = " ".join(call("train", "--help").stdout.replace("│", " ").split())
    for name in (*data.available(), *recipes.OPTIMIZERS, *models.list_models()):
        assert name in text
    for name, (rate, _) in recipes.OPTIMIZERS.items():
        assert f"{rate:g} for {name}" in text
    for name in models.list_models():
        for variant in models.variants(name):
            assert variant in text
    usage = call("predict", "--help").stdout
    assert "IMAGE" in usage
    assert "......" not in usage


def test_version(call):
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"tinygrad-cnn {tinygrad_cnn.__version__}\n")


def test_the_module_is_the_program():
    result = program("--version")
    assert (result.returncode, result.stdout.decode().strip()) == (0, f"tinygrad-cnn {tinygrad_cnn.__version__}")


def test_help_imports_nothing_heavy():
    code = """
import sys
from tinygrad_cnn.cli import app
try:
    app(["train", "--help"])
except SystemExit as end:
    assert end.code == 0
heavy = ("matplotlib", "sklearn", "scipy", "PIL", "pygraphviz", "cupy", "safetensors", "threadpoolctl")
assert not [name for name in heavy if name in sys.modules], [name for name in heavy if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "Did you mean 'train'"]),
        (["train", "lenet"], ["lenet", "did you mean lenet5?"]),
        (["train", "--data", "mnits"], ["mnits", "did you mean mnist?"]),
        (["train", "--data", ""], ["--data", "choose one of: digits, mnist"]),
        (["train", "--optimizer", ""], ["--optimizer", "choose one of: sgd, adam"]),
        (["train", ""], ["model", "choose one of: lenet5"]),
        (["train", "--optimizer", "adamm"], ["adamm", "did you mean adam?"]),
        (["train", "lenet5", "--variant", "1997"], ["--variant", "did you mean 1998?"]),
        (["train", "convnetjs", "--variant", "1998"], ["convnetjs comes in one form only", "lenet5, alexnet"]),
        (["train", "lenet5", "--width", "2"], ["lenet5 has one width only", "alexnet, vgg11"]),
        (["train", "alexnet", "--width", "0"], ["--width 0", "0.5 for half of them"]),
        (["summary", "lenet5", "--width", "2"], ["lenet5 has one width only"]),
        (["graph", "lenet5", "--variant", "modren"], ["did you mean modern?"]),
        (["train", "--epochs", "0"], ["--epochs"]),
        (["train", "--epochs", "many"], ["--epochs", "integer"]),
        (["train", "--batch-size", "0"], ["--batch-size"]),
        (["train", "--lr", "0"], ["--lr", "greater than 0"]),
        (["train", "--lr", "nan"], ["--lr", "greater than 0"]),
        (["train", "--lr", "inf"], ["--lr", "finite"]),
        (["train", "--seed", "-1"], ["--seed"]),
        (["train", "--epoch", "3"], ["--epoch"]),
        (["summary"], ["MODEL"]),
        (["summary", "lenet5", "--input-shape", "3x32"], ["3x32", "3x32x32"]),
        (["summary", "lenet5", "--format", "markdwon"], ["did you mean markdown?"]),
        (["graph", "lenet5", "--level", "layer"], ["layer", "choose one of: op, module"]),
        (["graph", "lenet5", "--out", "x.jpg"], ["x.jpg", ".svg"]),
        (["predict"], ["IMAGE"]),
    ],
)
def test_wrong_usage_is_explained_and_ends_with_2(call, tmp_path, arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2
    text = " ".join(result.stderr.replace("│", " ").replace("|", " ").split())
    for word in words:
        assert word in text
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "nowhere"], "there is no run directory nowhere"),
        (["evaluate", "."], "no run directory of `tinygrad-cnn train`"),
        (["predict", "x.png"], "there is no run in runs/ yet"),
        (["predict", "x.png", "--run", "nowhere"], "there is no run directory nowhere"),
        (["train", "--resume", "nowhere"], "there is no run directory nowhere"),
        (["train", "--device", "gpu"], 'there is no device "gpu"'),
        (["train", "--data", "mnist", "--data-dir", "nowhere"], "nowhere"),
        (["summary", "lenet5", "--input-shape", "1x3x3"], "too small"),
        (["train", "vgg16", "--width", "0.1"], "images of 28×28 are too small"),
        (["train", "alexnet", "--variant", "paper", "--data", "cifar10"], "variant='cifar'"),
        (["train", "lenet5", "--variant", "1998", "--data", "cifar100"], "num_classes=100 must be at most 10"),
    ],
)
def test_mistakes_are_one_message_and_end_with_1(call, tmp_path, monkeypatch, arguments, words):
    import tinygrad_cnn.data.download as download

    def offline(*args, **kwargs):
        raise tinygrad_cnn.data.DataError("nowhere: cannot be downloaded here")

    monkeypatch.setattr(download, "fetch", offline)
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_no_gpu_is_an_error_that_says_why(call):
    from tinygrad_cnn import cuda

    if cuda.problem() is None:
        pytest.skip("there is a GPU")
    result = call("train", "--device", "cuda")
    assert result.exit_code == 1
    assert cuda.problem() in result.stderr


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_shows_where(call, monkeypatch, how):
    arguments = ["summary", "lenet5", "--input-shape", "1x3x3"]
    if how == "environment":
        monkeypatch.setenv("TINYGRAD_CNN_DEBUG", "1")
    result = call(*arguments, *(["--debug"] if how == "option" else []))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "ShapeError" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_an_error_of_our_own_keeps_its_traceback(call, monkeypatch):
    def broken(*args):
        raise ZeroDivisionError("a mistake in the program")

    monkeypatch.setattr(tinygrad_cnn.cli.describe, "summary", broken)
    result = call("summary", "lenet5")
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ShapeError("a shape"), "a shape"),
        (MemoryError("no room"), "smaller --batch-size"),
        (PermissionError(13, "Permission denied", "runs"), "runs: Permission denied"),
        (ImportError("figures need it: pip install 'x'"), "figures need it: pip install 'x'"),
        (ImportError("cannot import name 'x'"), None),
        (KeyError("x"), None),
    ],
)
def test_which_errors_are_explained(error, message):
    said = console.explained(error)
    assert said is None if message is None else message in said


def test_ctrl_c_before_the_training_ends_with_130(call, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tinygrad_cnn.cli.describe, "summary", interrupted)
    result = call("summary", "lenet5")
    assert result.exit_code == 130
    assert "stopped by Ctrl-C" in result.stderr


@pytest.mark.parametrize("module", ["tinygrad_cnn.cli.console", "tinygrad_cnn.cli.app"])
def test_ctrl_c_while_the_program_starts_is_no_traceback(module):
    """As if the signal came while this module is imported, or while the arguments are read."""
    code = f"""
import importlib, runpy, sys
if {module!r}.endswith("app"):
    from tinygrad_cnn.cli import app
    sys.modules["tinygrad_cnn.cli.app"].prepare = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
else:
    class Interrupt:
        def find_spec(self, name, path, target=None):
            if name == {module!r}:
                raise KeyboardInterrupt
    sys.meta_path.insert(0, Interrupt())
sys.argv = ["tinygrad-cnn", "--version"]
runpy.run_module("tinygrad_cnn", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


def test_names_may_be_written_in_other_ways(call):
    assert call("summary", "LeNet-5").stdout == call("summary", "lenet5").stdout


def test_numbers_of_things():
    assert [many(n, "epoch") for n in (0, 1, 2000)] == ["0 epochs", "1 epoch", "2,000 epochs"]


def test_summary_in_its_formats(call):
    text = call("summary", "lenet5").stdout
    assert "16 × (6·5·5 + 1)" in text
    assert "61,706 parameters" in text
    assert call("summary", "lenet5", "--format", "markdown").stdout.count("\n| ") == 14
    html = call("summary", "lenet5", "--format", "html").stdout
    assert ElementTree.fromstring(f"<div>{html}</div>").find("table") is not None


def test_summary_of_a_deep_network_by_modules(call):
    table = json.loads(call("summary", "googlenet", "--variant", "paper", "--depth", "1", "--format", "json").stdout)
    rows = {row["name"]: row for row in table["rows"]}
    assert rows["inception3a"]["output"] == [256, 28, 28]
    assert rows["inception3a"]["parameters"] == 163_696  # 64·193 + 96·193 + 128·865 + 16·193 + 32·401 + 32·193
    assert table["parameters"] == sum(row["parameters"] for row in table["rows"]) == 13_378_280
    assert call("summary", "lenet5", "--depth", "-1").exit_code == 2


def test_summary_for_other_images(call):
    for shape in ("3x32x32", "3,32,32", "(3, 32, 32)", "3×32×32"):
        result = call("summary", "lenet5", "--input-shape", shape)
        assert "6 × (3·5·5 + 1)" in result.stdout


def test_summary_of_a_variant_and_of_a_width(call):
    text = call("summary", "lenet5", "--variant", "1998").stdout
    assert "60,000 parameters" in text
    text = call("summary", "alexnet", "--variant", "cifar", "--width", 0.25).stdout
    assert "370,394 parameters" in text
    assert "61,100,840 parameters" in call("summary", "alexnet").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["lenet5", "--variant", "1998"],
        ["alexnet", "--variant", "cifar", "--width", 0.125],
        ["googlenet", "--variant", "cifar", "--width", 0.125, "--batch-size", 2],
        ["vgg11", "--width", 0.05, "--input-shape", "3x32x32"],
        ["convnetjs", "--level", "module"],
    ],
)
def test_graph_of_every_kind_of_network(call, tmp_path, arguments):
    result = call("graph", *arguments, "--out", "x.dot")
    assert result.exit_code == 0, result.output
    assert "digraph" in (tmp_path / "x.dot").read_text(encoding="utf-8")


def test_recipes_are_one_screen(call):
    text = call("recipes").stdout
    lines = text.splitlines()
    assert len(lines) <= 24
    table = lines[: lines.index("")]
    assert max(map(len, table)) <= 80
    for (network, name), recipe in recipes.RECIPES.items():
        (row,) = [line for line in table if re.match(rf"{network} +{name} ", line)]
        numbers = [str(recipe.epochs), str(recipe.batch_size), recipe.optimizer, f"{recipe.lr:g}"]
        assert row.removeprefix(network).replace(name, "").split()[:4] == numbers
        assert recipe.schedule in row
        assert recipe.schedule in recipes.SCHEDULES
    assert "made with variant=cifar" in text


def test_graph_is_written_where_it_is_asked_for(call, tmp_path):
    result = call("graph", "lenet5")
    assert result.exit_code == 0
    assert "lenet5.svg" in result.stdout
    ElementTree.parse(tmp_path / "lenet5.svg")
    assert call("graph", "lenet5", "--out", "pictures/small.png", "--level", "module").exit_code == 0
    assert (tmp_path / "pictures" / "small.png").read_bytes().startswith(b"\x89PNG")
    assert call("graph", "lenet5", "--out", "x.dot", "--input-shape", "3x32x32", "--batch-size", 7).exit_code == 0
    assert "7×3×32×32" in (tmp_path / "x.dot").read_text(encoding="utf-8")


def test_graph_with_modules_and_formulas(call, tmp_path):
    assert call("graph", "lenet5", "--depth", 1, "--out", "blocks.dot").exit_code == 0
    text = (tmp_path / "blocks.dot").read_text(encoding="utf-8")
    assert "<B>features</B>" in text
    assert "<B>conv2d</B>" not in text
    assert call("graph", "lenet5", "--formulas", "--out", "x.dot").exit_code == 0
    assert "∂L/∂weight = " in (tmp_path / "x.dot").read_text(encoding="utf-8")
    assert "grad mean" in text  # of a real step


def test_graph_steps_back_in_the_terminal(call, monkeypatch):
    result = call("graph", "lenet5", "--step")  # nobody presses Enter: all at once
    lines = result.stdout.splitlines()
    assert lines[1] == "step 1 of 25: the gradient of mean (criterion) with respect to itself"
    assert lines[-1].startswith("all 25 steps are made")
    assert sum(line.startswith("step ") for line in lines) == 25
    answers = iter(["", "", "b", "", "q"])
    monkeypatch.setattr("tinygrad_cnn.cli.backprop.asked", lambda: next(answers))
    steps = [line[:12] for line in call("graph", "lenet5", "--step").stdout.splitlines() if line.startswith("step")]
    assert steps == ["step 1 of 25", "step 2 of 25", "step 1 of 25", "step 2 of 25"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--step", "--replay", "x.html"], "give one of them"),
        (["--step", "--open"], "give --out or --replay"),
        (["--replay", "x.svg"], "must end in .html"),
        (["--out", "x.html"], "must end in .svg"),
    ],
)
def test_graph_refuses_what_cannot_be_made(call, tmp_path, options, message):
    result = call("graph", "lenet5", *options)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named_with_a_remedy(call, tmp_path):
    (tmp_path / "file").write_text("")
    result = call("graph", "lenet5", "--out", "file/x.svg")
    assert result.exit_code == 1
    assert "file cannot be written: " in result.stderr
    assert result.stderr.rstrip().endswith("choose another place with --out")
    (tmp_path / "runs").write_text("")
    for out in ([], ["--out", "file/run"]):
        result = call("train", *out)
        assert result.exit_code == 1
        assert "choose another place with --out" in result.stderr


def test_a_closed_pipe_is_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(BrokenPipeError), console.writing(tmp_path, "buy a larger one"):
        raise BrokenPipeError(32, "Broken pipe")


def test_graph_without_graphviz_says_what_to_do(call, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(render, "renderers", list)
    result = call("graph", "lenet5")
    assert result.exit_code == 0
    assert (tmp_path / "lenet5.dot").exists()
    assert "lenet5.dot" in result.stdout
    assert "pip install pygraphviz" in caplog.text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8", "utf-16"])
def test_no_encoding_of_the_terminal_ends_the_program(encoding):
    for arguments in (["train", "--help"], ["nonsense"], ["summary", "lenet5"]):
        result = program(*arguments, PYTHONIOENCODING=encoding, COLUMNS="80")
        assert result.returncode == (2 if arguments == ["nonsense"] else 0)
        assert "Traceback" not in result.stderr.decode(encoding)
    summary = result.stdout.decode(encoding)
    assert "6 x (1*5*5 + 1)" in summary.replace("×", "x").replace("·", "*")
    assert "?" not in summary


def test_a_closed_pipe_is_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_cnn", "summary", "lenet5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in errors


def test_warnings_are_one_plain_line(capsys, monkeypatch):
    import warnings

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    console.prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = console._warn
        warnings.warn("the checkpoint is damaged", tinygrad_cnn.TinygradCnnWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: the checkpoint is damaged\n"
