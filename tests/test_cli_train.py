"""The command line, trained for real on the digits: run directories, resuming, measuring, predicting."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from tinygrad_cnn import TinygradCnnWarning, data, models, random, tensor, training
from tinygrad_cnn.about import install
from tinygrad_cnn.cli import app, images, pictures, recipes, runs
from tinygrad_cnn.cli.networks import built
from tinygrad_cnn.cli.train import download_bar, settings
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import History, checkpoint
from tinygrad_cnn.viz import render

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

PICTURES = ("learning_curves.png", "confusion_matrix.png", "filters.png", "misclassified.png")


def call(*arguments):
    """Runs the program; gives status, output and error output."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of one epoch, and what the command printed."""
    run = tmp_path_factory.mktemp("trained") / "first run"
    result = call("train", "lenet5", "--epochs", 1, "--out", run)
    assert result.exit_code == 0, result.output
    return run, result.stdout


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_leaves_everything_it_promises(trained):
    run, _ = trained
    assert {path.name for path in run.iterdir()} == {
        *PICTURES, "example.png", "graph.svg", "replay.html", "report.html", "history.json", "config.json",
        "checkpoints",
    }  # fmt: skip
    for name in PICTURES:
        with Image.open(run / name) as picture:
            assert picture.format == "PNG"
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    ElementTree.parse(run / "graph.svg")


def test_the_graph_is_that_of_a_training_step(trained):
    text = (trained[0] / "graph.svg").read_text(encoding="utf-8")
    for words in ("features.conv1.weight", "classifier.fc3.bias", "cross_entropy", "2×1×28×28", "61,706", "grad mean"):
        assert words in text


def test_the_step_is_replayed_on_a_page_of_its_own(trained):
    run, _ = trained
    replay = run / "replay.html"
    assert "Backpropagation through LeNet5" in replay.read_text(encoding="utf-8")
    assert replay.stat().st_size < 2_000_000
    assert '<a href="replay.html">' in (run / "report.html").read_text(encoding="utf-8")


def test_history_config_and_checkpoint_agree(trained):
    run, output = trained
    history = History.load(run / "history.json")
    saved = checkpoint.load(run / "checkpoints")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert history == saved.history
    assert config == saved.config
    assert len(history) == 1
    assert set(history[-1]) >= {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "images_per_second"}
    started_with = {"model": "lenet5", "data": "digits", "epochs": 1, "batch_size": 32, "optimizer": "adam", "seed": 0}
    assert {key: config[key] for key in started_with} == started_with
    as_ever = {"lr": 0.003, "weight_decay": 0, "schedule": "one-cycle", "augment": ["shift"], "device": "cpu"}
    assert {key: config[key] for key in as_ever} == as_ever
    assert f"test accuracy {history[-1]['val_accuracy']:.2%}" in output
    assert history[-1]["val_accuracy"] > 0.3  # ten classes: it has begun to learn


def test_a_run_that_was_stopped_says_how_to_go_on_and_does(here, monkeypatch):
    class Stopping(training.ProgressBar):  # as the dashboard's button does
        def on_epoch_end(self, run):
            super().on_epoch_end(run)
            run.stop("enough")

    with monkeypatch.context() as patch:
        patch.setattr(training, "ProgressBar", Stopping)
        result = call("train", "lenet5", "--epochs", 2, "--out", "stopped")
    assert result.exit_code == 0, result.output
    assert "after 1 epoch;" in result.stdout
    assert "train --resume stopped\n" in result.stdout
    result = call("train", "--resume", "stopped")
    assert result.exit_code == 0, result.output
    assert "after 2 epochs;" in result.stdout
    assert "--resume" not in result.stdout


def test_the_end_says_where_things_are_and_what_to_try(trained):
    run, output = trained
    for name in (*PICTURES, "report.html", "graph.svg", "replay.html", "history.json", "checkpoints/"):
        assert name in output
    assert re.search(r"evaluate .*first run", output)
    assert re.search(r"predict '?.*first run.example\.png'?\n", output)
    assert re.search(r"test loss \d\.\d+  test accuracy [\d.]+ %", output)
    assert "val_" not in output
    assert "1 epoch of 45 steps" in output
    assert "61,706 parameters" in output
    assert "images/s" in output
    assert str(run) in output


def test_the_page_shows_the_pictures_and_the_numbers(trained):
    run, _ = trained
    page = (run / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'<img src="([^"]+)" alt="[^"]+">', page)
    assert sorted(sources) == sorted([*PICTURES, "graph.svg"])
    assert all((run / source).is_file() for source in sources)
    assert "http" not in page  # works offline
    assert "nothing was chosen by looking at the test images" in page
    assert "are changed at random (shift) and are measured during the epoch" in page
    assert "changed" not in pictures.about_numbers((), "test")


def test_the_example_is_a_test_image_and_can_be_predicted(trained):
    run, output = trained
    test = data.load("digits").test
    image, done = images.read_picture(run / "example.png", data.catalogue.DIGITS)
    np.testing.assert_allclose(image, test[0][0], atol=0.02)
    assert done == []
    assert re.search(rf"example, class {test[0][1]} +example\.png", output)
    result = call("predict", run / "example.png")  # the run is the one the picture lies in
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{run}: lenet5")


def test_the_example_of_a_colour_data_set_has_its_colours(here):
    info = data.catalogue.CIFAR10
    raw = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    steps = data.transforms.Compose([data.transforms.ToTensor(), data.transforms.Normalize(info.mean, info.std)])
    test = data.datasets.ImageDataset(raw, [3], transform=steps)
    left = pictures.example(here, data.DataSplit(None, test, info.classes, info))
    assert left == {"example, class cat": here / "example.png"}
    np.testing.assert_array_equal(np.asarray(Image.open(here / "example.png")), raw[0])


def test_evaluate_measures_what_the_training_measured(trained):
    run, _ = trained
    result = call("evaluate", run)
    assert result.exit_code == 0
    history = History.load(run / "history.json")
    assert f"accuracy {history[-1]['val_accuracy']:.2%}" in result.stdout
    assert "359 test images of digits" in result.stdout
    assert "Most frequent mistakes" in result.stdout


def test_evaluate_refuses_other_images_before_it_looks_for_them(trained):
    result = call("evaluate", trained[0], "--data", "cifar10")
    assert result.exit_code == 1
    assert "1×28×28; those of cifar10 are 3×32×32" in result.stderr


def test_evaluate_on_other_data_of_the_same_shape(trained, here, monkeypatch):
    other = data.load("digits")
    asked = []

    def load(name, **more):
        asked.append(name)
        return other

    monkeypatch.setattr(data, "load", load)
    result = call("evaluate", trained[0], "--data", "mnist")
    assert (result.exit_code, asked) == (0, ["mnist"])
    assert "test images of mnist" in result.stdout


def damage(run, newest_only):
    for folder in sorted((run / "checkpoints").iterdir())[-1 if newest_only else 0 :]:
        for path in folder.glob("*.safetensors"):
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)


def test_damaged_checkpoints_are_an_error(trained, here):
    shutil.copytree(trained[0], here / "run")
    damage(here / "run", newest_only=False)
    result = call("evaluate", "run")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "damaged" in result.stderr


def test_the_checkpoint_before_a_damaged_one_is_used(trained, here):
    shutil.copytree(trained[0], here / "run")
    damage(here / "run", newest_only=True)
    with pytest.warns(TinygradCnnWarning, match="checkpoint"):
        result = call("evaluate", "run")
    assert result.exit_code == 0
    assert "accuracy" in result.stdout


# ── run directories ──


def test_runs_get_names_of_their_own(here):
    first, second = (runs.new_run("lenet5", "digits", None) for _ in range(2))
    assert first != second
    assert re.fullmatch(r"lenet5-digits-\d{8}-\d{6}", first.name)
    assert first.parent == second.parent == Path("runs")


@pytest.mark.parametrize("there", ["file", "folder"])
def test_nothing_is_overwritten(here, there):
    if there == "file":
        (here / "out").write_text("mine")
    else:
        (here / "out").mkdir()
        (here / "out" / "notes.txt").write_text("mine")
    result = call("train", "--out", "out")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (here / "out" if there == "file" else here / "out" / "notes.txt").read_text() == "mine"


def test_an_empty_folder_may_be_used(here):
    (here / "out").mkdir()
    assert runs.new_run("lenet5", "digits", Path("out")) == Path("out")


def test_the_newest_run_is_found(here):
    for number, name in enumerate(("b", "a")):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "config.json").write_text("{}")
        os.utime(here / "runs" / name / "config.json", (number, number))
    (here / "runs" / "no run").mkdir()
    assert runs.newest_run() == Path("runs/a")


# ── resuming ──


def test_a_finished_run_is_not_trained_further(trained, here):
    shutil.copytree(trained[0], here / "run")
    before = (here / "run" / "history.json").read_bytes()
    (here / "run" / "filters.png").unlink()
    result = call("train", "--resume", "run")
    assert result.exit_code == 0
    assert "this run has finished its 1 epoch; for more, start a new one: " in result.stdout
    assert "train lenet5 --epochs 2\n" in result.stdout
    assert (here / "run" / "history.json").read_bytes() == before
    assert (here / "run" / "filters.png").exists()  # pictures are made again


def test_resume_takes_no_other_settings(trained):
    run, _ = trained
    result = call("train", "--resume", run, "--epochs", 3, "--lr", 0.1, "--out", "x")
    assert result.exit_code == 2
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "leave out --epochs, --lr, --out; this run has finished its 1 epoch" in said
    assert call("train", "alexnet", "--resume", run).exit_code == 2


def test_a_finished_run_of_other_data_says_so_in_the_command():
    said = runs.finished({"model": "lenet5", "data": "mnist", "epochs": 20})
    assert said.endswith("train lenet5 --data mnist --epochs 30")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_a_run_that_goes_on_as_if_nothing_had_happened(here):
    command = [sys.executable, "-m", "tinygrad_cnn", "train", "--epochs", "4", "--seed", "7", "--batch-size", "256"]
    straight = subprocess.run([*command, "--out", "straight"], capture_output=True, timeout=120, check=True)
    assert b"after 4 epochs" in straight.stdout
    process = subprocess.Popen([*command, "--out", "cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = ""
    while "epoch 1/4" not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert "nothing is lost" in rest
    again = rest.strip().splitlines()[-1].strip()
    assert again == "python -m tinygrad_cnn train --resume cut"
    assert not (here / "cut" / "report.html").exists()
    assert len(History.load(here / "cut" / "history.json")) < 4
    resumed = subprocess.run([sys.executable, *again.split()[1:]], capture_output=True, timeout=120, check=False)
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = (checkpoint.load(here / name / "checkpoints") for name in ("cut", "straight"))
    for name, array in theirs.model.items():
        np.testing.assert_array_equal(ours.model[name], array)
    timing = ("seconds", "images_per_second")
    records = [[{k: v for k, v in r.items() if k not in timing} for r in saved.history] for saved in (ours, theirs)]
    assert records[0] == records[1]
    assert (here / "cut" / "report.html").exists()


# ── what can go wrong ──


def test_too_large_a_learning_rate_is_explained(here):
    result = call("train", "--optimizer", "sgd", "--lr", 1e6, "--out", "run")
    assert result.exit_code == 1
    assert "Try a smaller learning rate" in result.stderr
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(("signum", "status"), [(2, 130), (15, 143)])
def test_an_interruption_says_how_to_go_on(here, monkeypatch, signum, status):
    def interrupted(*args, **kwargs):
        raise training.Interrupted(signum, History([{"epoch": 1, "loss": 1.0}]), None)

    monkeypatch.setattr(training, "fit", interrupted)
    result = call("train", "--out", "a run")
    assert result.exit_code == status
    assert "stopped after 1 of 20 epochs" in result.stdout
    assert "train --resume 'a run'" in result.stdout
    assert len(History.load(here / "a run" / "history.json")) == 1


@pytest.mark.parametrize("what", ["history.json", "learning_curves.png"])
def test_a_full_disk_after_the_training_names_the_file_and_what_to_do(trained, here, monkeypatch, what):
    from matplotlib.figure import Figure

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    shutil.copytree(trained[0], here / "run")
    if what == "history.json":
        monkeypatch.setattr(os, "replace", full)
    else:
        monkeypatch.setattr(Figure, "savefig", full)
    result = call("train", "--resume", "run")
    assert result.exit_code == 1
    place = Path("run") / what if what == "history.json" else Path("run")
    assert result.stderr.startswith(f"error: {place} cannot be written: No space left on device; the training is safe")
    assert "train --resume run" in result.stderr


def test_downloads_are_announced_and_counted(capsys):
    with download_bar() as progress:
        progress("images.gz", 0, None)
        progress("images.gz", 50, 100)
        progress("labels.gz", 10, 10)
    assert capsys.readouterr().out.splitlines()[:2] == ["downloading images.gz", "downloading labels.gz"]
    with download_bar():
        pass
    assert capsys.readouterr().out == ""


def test_the_folder_of_the_data_is_remembered(here, monkeypatch):
    asked = []

    def load(name, data_dir=None, **more):
        asked.append(data_dir)
        return digits

    digits = data.load("digits")
    monkeypatch.setattr(data, "load", load)
    (here / "files").mkdir()
    assert call("train", "--epochs", 1, "--batch-size", 512, "--data-dir", "files", "--out", "run").exit_code == 0
    assert call("evaluate", "run").exit_code == 0
    assert call("train", "--resume", "run").exit_code == 0
    assert call("evaluate", "run", "--data-dir", here).exit_code == 0
    assert call("evaluate", "run", "--data", "mnist").exit_code == 0
    assert asked == [here / "files"] * 3 + [here, None]


def test_without_matplotlib_and_graphviz_the_training_is_not_lost(trained, here, monkeypatch):
    from tinygrad_cnn.viz import plot

    shutil.copytree(trained[0], here / "run")
    for path in (here / "run").iterdir():
        if path.suffix in (".png", ".svg", ".html"):
            path.unlink()
    plot.style.figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(render, "renderers", list)
    result = call("train", "--resume", "run")
    assert result.exit_code == 0
    assert "no figures" in result.stdout
    assert install("demo") in result.stdout
    assert "predict my_picture.png --run run" in result.stdout  # there is no example without Pillow's pictures
    assert {path.name for path in (here / "run").iterdir()} == {
        "graph.dot", "report.html", "history.json", "config.json", "checkpoints",
    }  # fmt: skip
    assert "test accuracy" in result.stdout


# ── recipes ──


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_every_optimizer_goes_with_the_schedule(optimizer):
    model = models.create("lenet5")
    config = settings("lenet5", {"optimizer": optimizer, "lr": 0.01, "epochs": 2})
    chosen = recipes.optimizer(config, model.parameters())
    schedule = recipes.schedule(config, chosen, 5)
    rates = []
    for _ in range(10):
        rates.append(chosen.param_groups[0]["lr"])
        for parameter in model.parameters():
            parameter.grad = np.ones(parameter.shape, np.float32)
        chosen.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] < rates[0] < max(rates)


def test_another_optimizer_comes_with_its_own_numbers():
    recipe = settings("alexnet", {"data": "cifar10"})
    assert (recipe["optimizer"], recipe["lr"], recipe["weight_decay"]) == ("sgd", 0.01, 5e-4)
    adam = settings("alexnet", {"data": "cifar10", "optimizer": "adam"})
    assert (adam["optimizer"], adam["lr"], adam["weight_decay"]) == ("adam", 0.003, 0)
    sgd = settings("lenet5", {"optimizer": "sgd"})
    assert (sgd["lr"], sgd["weight_decay"], sgd["schedule"]) == (0.05, 5e-4, "one-cycle")
    momentum = recipes.optimizer(sgd, models.create("lenet5").parameters()).param_groups[0]["momentum"]
    assert momentum == 0.9


def test_the_first_recipe_that_fits_is_taken():
    assert settings("lenet5", {"variant": "1998", "data": "mnist"})["schedule"] == "halving"
    assert settings("lenet5", {"variant": "caffe", "data": "mnist"})["epochs"] == 3
    assert settings("vgg19", {"data": "cifar10"})["options"]["batch_norm"]
    assert settings("alexnet", {"data": "cifar10"})["options"]["variant"] == "cifar"
    assert settings("alexnet", {"data": "cifar10", "variant": "torchvision"})["options"]["variant"] == "torchvision"


def test_augmentation_never_changes_what_images_show():
    assert settings("alexnet", {"data": "mnist"})["augment"] == ["shift"]
    assert settings("alexnet", {"data": "fashion-mnist"})["augment"] == ["shift", "mirror"]
    assert settings("alexnet", {"data": "cifar100"})["augment"] == ["shift", "mirror", "colour"]


def test_the_learning_rate_of_1998_falls_after_its_passes():
    config = settings("lenet5", {"variant": "1998", "data": "mnist"})
    optimizer = recipes.optimizer(config, models.create("lenet5").parameters())
    schedule = recipes.schedule(config, optimizer, 5)
    rates = []
    for _ in range(14):
        rates.append(optimizer.param_groups[0]["lr"] / config["lr"])
        optimizer.step()
        schedule.step()
    assert rates == [1] * 2 + [1 / 2] * 3 + [1 / 4] * 3 + [1 / 8] * 4 + [1 / 16] * 2


@pytest.mark.parametrize("data_name", data.available())
@pytest.mark.parametrize("model_name", models.list_models())
def test_every_network_learns_from_every_data_set_it_is_large_enough_for(model_name, data_name):
    """One step with its own recipe: the loss is finite, the weights change, the schedule goes on."""
    given = {"data": data_name, "batch_size": 4}
    if "width" in models.options(model_name):
        given["width"] = 0.1
    config = settings(model_name, given)
    C, (H, W) = config["options"]["in_channels"], config["options"]["image_size"]
    if model_name.startswith("vgg") and min(H, W) < 32:
        with pytest.raises(ShapeError, match=rf"images of {H}×{W} are too small.*Enlarge"):
            built(model_name, config["options"], seed=0)
        return
    model = built(model_name, config["options"], seed=0)
    before = model.state_dict()
    before = {name: value.numpy().copy() for name, value in before.items()}
    optimizer = recipes.optimizer(config, model.parameters())
    schedule = recipes.schedule(config, optimizer, 5)
    generator = random.Generator(0)
    x = tensor(generator.normal((4, C, H, W)), dtype="float32")
    y = tensor(generator.integers(0, config["options"]["num_classes"], (4,)))
    loss, _ = training.train_step(model, x, y, optimizer)
    assert np.isfinite(loss.item())
    schedule.step(*[0.5] * (config["schedule"] == "plateau"))
    after = model.state_dict()
    assert any(not np.array_equal(before[name], after[name].numpy()) for name in before)
    assert model.eval()(x).shape == (4, config["options"]["num_classes"])


def test_every_recipe_is_of_a_network_and_a_data_set():
    families = [*models.list_models(), "vgg"]
    for (network, data_name), recipe in recipes.RECIPES.items():
        name, *variant = network.split()
        assert name in families
        assert all(word in models.variants(name) for word in variant)
        assert data_name in (*data.available(), recipes.ANY)
        assert recipe.optimizer in recipes.OPTIMIZERS
        assert recipe.schedule in recipes.SCHEDULES
        assert set(recipe.augment) <= set(data.datasets.AUGMENTATIONS)


# ── other networks ──


def test_lenet_of_1998_learns_the_digits(here):
    result = call("train", "lenet5", "--variant", "1998", "--epochs", 1, "--out", "old")
    assert result.exit_code == 0, result.output
    assert "lenet5 1998, 60,000 parameters" in result.stdout
    assert re.search(r"train lenet5 --variant 1998 --data mnist\n", result.stdout)
    assert History.load(here / "old" / "history.json").last["val_accuracy"] > 0.3
    assert "MAPLoss" not in (here / "old" / "graph.svg").read_text(encoding="utf-8")
    result = call("evaluate", "old")
    assert result.exit_code == 0
    assert "accuracy" in result.stdout
    result = call("predict", "old/example.png")
    assert result.exit_code == 0
    assert result.stdout.startswith("old: lenet5 1998, trained on digits")


@pytest.fixture(scope="session")
def few_photographs(tmp_path_factory):
    """A folder with CIFAR-10's files: 100 images to learn from and 30 to test with, noise but for their brightness."""
    folder = tmp_path_factory.mktemp("few photographs")
    rng = np.random.default_rng(0)
    for name, count in [*((f"data_batch_{i}.bin", 20) for i in range(1, 6)), ("test_batch.bin", 30)]:
        labels = np.arange(count) % 10
        pixels = rng.integers(0, 100, (count, 3072)) + 15 * labels[:, None]
        (folder / name).write_bytes(np.column_stack([labels, pixels]).astype(np.uint8).tobytes())
    return folder


@pytest.fixture(scope="session")
def photographed(few_photographs, tmp_path_factory):
    """A run of the scaled AlexNet that nothing interrupted, and what the command printed."""
    run = tmp_path_factory.mktemp("photographed") / "straight"
    result = call(*alexnet(few_photographs), "--out", run)
    assert result.exit_code == 0, result.output
    return run, result.stdout


def alexnet(folder):
    return ["train", "alexnet", "--width", 0.1, "--data", "cifar10", "--data-dir", folder, "--epochs", 5,
            "--batch-size", 32]  # fmt: skip


def test_alexnet_watches_images_it_does_not_learn_from(photographed):
    run, output = photographed
    assert "90 images to learn from, 10 held out to watch it, 30 to test with" in output
    assert "augmentation   shift, mirror, colour" in output
    assert re.search(r"validation loss \d\.\d+  validation accuracy [\d.]+ %", output)
    saved = checkpoint.load(run / "checkpoints")
    assert saved.config["options"]["variant"] == "cifar"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<th>validation accuracy</th>" in page
    assert "The test images were looked at once, at the end." in page


def test_the_learning_rate_falls_when_the_held_out_images_stall(photographed):
    history = History.load(photographed[0] / "history.json")
    rates, best = [0.01], -1.0
    for accuracy in history["val_accuracy"]:
        rates.append(rates[-1] if accuracy > best else rates[-1] / 10)
        best = max(best, accuracy)
    assert history["lr"] == pytest.approx(rates[:-1])
    assert history["lr"][-1] < 0.01  # so that resuming has something to remember


def test_the_test_accuracy_is_what_evaluate_says(photographed):
    run, output = photographed
    said = re.search(r"^test accuracy ([\d.]+%) \((\d+) of 30 images\)", output, flags=re.M)
    result = call("evaluate", run)
    assert result.exit_code == 0
    assert f"accuracy {said[1]} ({said[2]} of 30 right)" in result.stdout
    assert f"test accuracy {said[1]}" in (run / "report.html").read_text(encoding="utf-8")
    result = call("predict", run / "example.png")
    assert result.stdout.startswith(f"{run}: alexnet width 0.1, trained on cifar10")


@pytest.mark.parametrize("epoch", [2, 5])
def test_an_interrupted_plateau_goes_on_as_if_nothing_had_happened(
    photographed, few_photographs, here, monkeypatch, epoch
):
    class Interrupting(training.ProgressBar):
        def on_batch_end(self, run):
            super().on_batch_end(run)
            if (run.epoch, run.batch) == (epoch, 1):
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training, "ProgressBar", Interrupting)
        result = call(*alexnet(few_photographs), "--out", "cut")
    assert result.exit_code == 130
    assert len(History.load(here / "cut" / "history.json")) == epoch - 1
    assert call("train", "--resume", "cut").exit_code == 0
    ours, theirs = (checkpoint.load(run / "checkpoints") for run in (here / "cut", photographed[0]))
    for name, array in theirs.model.items():
        np.testing.assert_array_equal(ours.model[name], array)
    assert ours.states["scheduler"] == theirs.states["scheduler"]
    timing = ("seconds", "images_per_second")
    records = [[{k: v for k, v in r.items() if k not in timing} for r in saved.history] for saved in (ours, theirs)]
    assert records[0] == records[1]


def test_runs_of_other_networks_are_named_after_them(here):
    config = settings("alexnet", {"data": "cifar10", "width": 0.5})
    assert runs.called(config) == "alexnet width 0.5"
    assert runs.form(config) == "alexnet --width 0.5"
    assert runs.form(config, trained=False) == "alexnet --variant cifar --width 0.5"
    assert runs.new_run(runs.called(config), "cifar10", None).name.startswith("alexnet-width-0.5-cifar10-")
    assert runs.called(settings("lenet5", {})) == "lenet5"
    config = settings("lenet5", {"variant": "1998", "data": "mnist"})
    assert runs.finished(config).endswith("train lenet5 --variant 1998 --data mnist --epochs 30")


# ── pictures of one's own ──


def test_predict_uses_the_newest_run(trained, here):
    shutil.copytree(trained[0], here / "runs" / "lenet5-digits-1")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save("black.png")
    result = call("predict", "black.png")
    assert result.exit_code == 0
    assert "lenet5-digits-1" in result.stdout.splitlines()[0]


def test_predict_prints_probabilities_as_bars(trained, here):
    dataset = data.datasets.Digits(train=True)
    for i in (0, 1):
        Image.fromarray((dataset.data[i, 0] * 255).astype(np.uint8)).save(here / f"{i}.png")
    result = call("predict", "0.png", "1.png", "--run", trained[0])
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if "%" in line]
    assert len(lines) == 6
    shares = [float(re.search(r"([\d.]+)%", line)[1]) for line in lines]
    assert shares[:3] == sorted(shares[:3], reverse=True)
    assert [line.count("█") for line in lines] == pytest.approx([0.3 * share for share in shares], abs=0.6)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.png", "no picture no.png; any picture will do, draw one with a paint program, or take "),
        ("no.png", "example.png"),
        ("text.png", "Pillow can read"),
        ("folder", "folder is a folder"),
        ("cut.png", "cut.png is damaged: "),
        ("spoilt.png", "spoilt.png is damaged: "),
        ("cut.jpg", "cut.jpg is damaged: "),
    ],
)
def test_predict_says_what_is_wrong_with_a_picture(trained, here, name, words):
    (here / "text.png").write_text("this is no picture")
    (here / "folder").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (50, 50)).astype(np.uint8)
    for form in ("png", "jpg"):
        content = saved(here / f"whole.{form}", noise).read_bytes()
        (here / f"cut.{form}").write_bytes(content[: len(content) // 2])
    whole = (here / "whole.png").read_bytes()
    at = whole.index(b"IDAT")
    (here / "spoilt.png").write_bytes(whole[: at + 20] + bytes(9) + whole[at + 29 :])
    result = call("predict", name, "--run", trained[0])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_predict_looks_for_all_pictures_before_it_answers(trained):
    example = trained[0] / "example.png"
    result = call("predict", example, "missing.png", example)
    assert result.exit_code == 1
    assert "missing.png" in result.stderr
    assert result.stdout == ""


def saved(path, array, mode=None):
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def digit(i=0):
    """A digit as numbers from 0 to 1 (28, 28), and as the network gets it."""
    dataset = data.load("digits").train
    return dataset.data[i, 0], dataset[i][0]


def likeness(image, wanted):
    """Correlation of the two images' pixels, 1 for the same picture."""
    return float(np.corrcoef(image.ravel(), wanted.ravel())[0, 1])


@pytest.mark.parametrize("i", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1, 10])
@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_any_form_of_a_digit_is_read_as_the_training_images(tmp_path, i, scale, light, mode):
    plain, wanted = digit(i)
    pixels = np.kron(1 - plain if light else plain, np.ones((scale, scale)))
    path = saved(tmp_path / "x.png", (pixels * 255).round().astype(np.uint8), mode)
    image, done = images.read_picture(path, data.catalogue.DIGITS)
    assert (image.shape, image.dtype) == ((1, 28, 28), np.float32)
    if scale == 1:
        np.testing.assert_allclose(image, wanted, atol=0.01)
    assert likeness(image, wanted) > 0.95
    assert any("inverted" in change for change in done) == light
    assert any("resized" in change for change in done) == (scale > 1)


def test_a_small_digit_in_a_corner_is_found(tmp_path):
    plain, wanted = digit(0)
    canvas = np.ones((200, 300))
    canvas[100:184, 200:284] -= np.kron(plain, np.ones((3, 3)))
    path = saved(tmp_path / "x.png", (canvas * 255).astype(np.uint8))
    image, done = images.read_picture(path, data.catalogue.DIGITS)
    assert likeness(image, wanted) > 0.95
    assert "cut to the ink and centred" in done


def test_mnist_digits_get_mnists_margin(tmp_path):
    canvas = np.zeros((300, 100), np.uint8)
    canvas[50:250, 30:70] = 255  # a one, 200 pixels high
    image, _ = images.read_picture(saved(tmp_path / "x.png", canvas), data.catalogue.MNIST)
    ink = image[0] > 0.5
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert abs(len(rows) - 20) <= 1
    assert abs(len(columns) - 4) <= 1
    assert abs(rows.mean() - 13.5) <= 1
    assert abs(columns.mean() - 13.5) <= 1


def test_transparent_pictures_are_put_on_white(tmp_path):
    plain, wanted = digit(0)
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[..., 3] = plain * 255  # black ink on nothing
    image, done = images.read_picture(saved(tmp_path / "x.png", pixels), data.catalogue.DIGITS)
    assert likeness(image, wanted) > 0.95
    assert "put on white (it is transparent)" in done


def test_a_light_digit_on_nothing_is_put_on_black(tmp_path):
    plain, wanted = digit(0)
    pixels = np.full((28, 28, 4), 255, np.uint8)
    pixels[..., 3] = plain * 255  # white ink on nothing
    image, done = images.read_picture(saved(tmp_path / "x.png", pixels), data.catalogue.DIGITS)
    assert likeness(image, wanted) > 0.95
    assert done == ["put on black (it is transparent)"]


def test_a_light_page_with_transparent_edges_keeps_its_ink(tmp_path):
    plain, wanted = digit(0)
    pixels = np.full((68, 68, 4), 255, np.uint8)
    pixels[:10, :, 3] = 0
    pixels[20:48, 20:48, :3] = 255 * (1 - plain[..., None])
    image, done = images.read_picture(saved(tmp_path / "x.png", pixels), data.catalogue.DIGITS)
    assert likeness(image, wanted) > 0.9
    assert "put on white (it is transparent)" in done


def test_an_alpha_channel_alone_is_not_transparent(tmp_path):
    plain, _ = digit(0)
    pixels = np.full((28, 28, 4), 255, np.uint8)
    pixels[..., :3] = 255 * plain[..., None]
    _, done = images.read_picture(saved(tmp_path / "x.png", pixels), data.catalogue.DIGITS)
    assert done == []


def test_16_bits_palettes_and_bits(tmp_path):
    plain, wanted = digit(0)
    wide = saved(tmp_path / "wide.png", (plain * 65535).astype(np.uint16))
    palette = saved(tmp_path / "palette.gif", (plain * 255).astype(np.uint8), "P")
    for path in (wide, palette):
        image, _ = images.read_picture(path, data.catalogue.DIGITS)
        assert likeness(image, wanted) > 0.95
    Image.fromarray(plain > 0.5).save(tmp_path / "bits.png")
    image, _ = images.read_picture(tmp_path / "bits.png", data.catalogue.DIGITS)
    assert image.shape == (1, 28, 28)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_gets_no_class(trained, tmp_path, value):
    path = saved(tmp_path / "x.png", np.full((40, 30), value, np.uint8))
    for info in (data.catalogue.DIGITS, data.catalogue.CIFAR10):
        assert images.read_picture(path, info) == (None, [])
    result = call("predict", path, trained[0] / "example.png", "--run", trained[0])
    assert result.exit_code == 0
    assert "x.png: nothing to see" in result.stdout
    assert result.stdout.count("%") == 3  # of the other picture


def test_colour_pictures_keep_their_colours(tmp_path):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[..., 0] = 255
    pixels[0, 0] = 0  # a picture of one colour shows nothing
    image, done = images.read_picture(saved(tmp_path / "x.png", pixels), data.catalogue.CIFAR10)
    assert image.shape == (3, 32, 32)
    info = data.catalogue.CIFAR10
    middle = image[:, 16, 16] * info.std + info.mean
    np.testing.assert_allclose(middle, [1, 0, 0], atol=1e-5)
    assert done == ["resized to 32×32"]
