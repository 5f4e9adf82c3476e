"""The pictures of the README and of these pages, made anew.

python docs/pictures.py

Two of them are photographs of pages in a real browser: it needs the `test` extra, chromium and chromedriver.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests")]

from browser import chromium  # noqa: E402

import tinygrad_cnn as tcnn  # noqa: E402
from tinygrad_cnn import data, exercises, models, optim, training, viz  # noqa: E402

IMAGES = HERE / "images"


def run(*arguments: object, cwd: Path | None = None) -> None:
    """The command line, as a reader uses it."""
    subprocess.run([sys.executable, "-m", "tinygrad_cnn", *map(str, arguments)], check=True, cwd=cwd)


def trained(folder: Path) -> None:
    """The first command of the README, and the page its run leaves."""
    run("train", "lenet5", "--out", folder / "run")
    (IMAGES / "learning_curves.png").write_bytes((folder / "run" / "learning_curves.png").read_bytes())
    with chromium(1280, 900, reduced_motion=True) as browser:
        browser.get((folder / "run" / "replay.html").resolve().as_uri())
        browser.execute_script("replay.go(Math.round(0.62 * replay.frames.length))")  # in the middle of backward
        time.sleep(0.5)
        browser.save_screenshot(str(IMAGES / "replay.png"))


def graphs() -> None:
    """A network's graph, that of three numbers, and a convolution."""
    run("graph", "lenet5", "--level", "module", "--formulas", "--out", IMAGES / "lenet5_graph.svg")
    x, y, z = (tcnn.tensor(value, requires_grad=True) for value in (-2.0, 5.0, -4.0))
    with viz.record({"x": x, "y": y, "z": z}) as tape:
        ((x + y) * z).backward()
    tape.graph(formulas=True).save(IMAGES / "three_numbers.svg")
    viz.animate().to_gif(IMAGES / "convolution.gif", width=800)


def mine(folder: Path) -> None:
    """LeNet-5 with the layers of a student who has solved everything but the fast convolution."""
    workspace = exercises.Workspace.make(folder / "exercises")
    for exercise in workspace.catalogue.values():
        if exercise.id != "conv_im2col":
            (workspace.folder / exercise.file).write_text(exercise.solution(), encoding="utf-8")
    command = "exercise", "train", "lenet5", "--mine", "--minutes", "1", "--out", folder / "mine"
    run(*command, cwd=workspace.folder)
    (IMAGES / "mine.png").write_bytes((folder / "mine" / "comparison.png").read_bytes())


def dashboard() -> None:
    """A training in the middle, as its page shows it."""
    tcnn.manual_seed(0)
    digits = data.load("digits", augment=("shift",))
    images, labels = digits.test.get_batch(range(10))
    watched = viz.Dashboard(images=images, labels=labels, classes=digits.classes, validation="test")
    model = models.LeNet5()
    arguments = (model, data.DataLoader(digits.train, batch_size=32, shuffle=True), optim.Adam(model.parameters()))
    more = {"epochs": 30, "val_loader": data.DataLoader(digits.test, batch_size=250), "callbacks": [watched]}
    thread = threading.Thread(target=training.fit, args=arguments, kwargs=more, daemon=True)
    thread.start()
    while watched.url is None and thread.is_alive():
        time.sleep(0.05)
    with chromium(1280, 900) as browser:
        browser.get(watched.url)
        time.sleep(5)
        browser.save_screenshot(str(IMAGES / "dashboard.png"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        trained(Path(folder))
        mine(Path(folder))
    graphs()
    dashboard()
