"""`graph`: one training step as a drawing, as a page that replays it, or to step through in the terminal."""

from __future__ import annotations

import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_cnn.cli import networks, runs
from tinygrad_cnn.cli.console import chosen, many, say, writing, wrong
from tinygrad_cnn.cli.describe import model_for

if TYPE_CHECKING:
    from tinygrad_cnn.viz import Graph

ELSEWHERE = "choose another place with --replay"


@dataclass
class Wanted:
    """What to make of the step; the options of the command."""

    out: Path | None
    level: str
    depth: int | None
    formulas: bool
    replay: Path | None
    step: bool
    open_browser: bool

    def check(self, model: str) -> None:
        """Refuses what cannot be made, before anything is computed."""
        from tinygrad_cnn.viz.graphs import FORMATS

        self.level = "module" if self.depth else chosen("--level", self.level, ("op", "module"))
        if self.step and self.replay:
            wrong("--step halts backward after every node, --replay shows all of it: give one of them")
        if self.out is None and self.replay is None and not self.step:
            self.out = Path(f"{model}.svg")
        if self.out is not None and self.out.suffix[1:].lower() not in FORMATS:
            wrong(f"--out {self.out}: the name must end in .{', .'.join(FORMATS)}, which says what is drawn")
        if self.replay is not None and self.replay.suffix.lower() != ".html":
            wrong(f"--replay {self.replay}: the name must end in .html, it is a page")
        if self.open_browser and self.out is None and self.replay is None:
            wrong("--open shows what was written: give --out or --replay, too")


def graph(
    name: str,
    variant: str | None,
    width: float | None,
    input_shape: str | None,
    batch_size: int,
    wanted: Wanted,
) -> None:
    """Makes one training step of a fresh network, and from it what is wanted."""
    from tinygrad_cnn import tensor, training, viz

    wanted.check(networks.named(name))
    model = model_for(name, variant, width, input_shape)
    what, images, labels = some_images(model.input_shape, batch_size)
    with viz.record(model) as tape:
        loss = training.loss_of(model)(model(tensor(images)), tensor(labels))
        if not wanted.step:
            loss.backward()
    view = viz.View("op" if wanted.level == "op" else "module", depth=wanted.depth, formulas=wanted.formulas)
    drawn = viz.Graph(loss, model, view)
    if wanted.step:
        step_through(drawn)
    written = []
    if wanted.out is not None:
        with writing(wanted.out, runs.ELSEWHERE):
            written.append(drawn.save(wanted.out))
        say(f"{drawn.description}: {written[-1]}")
    if wanted.replay is not None:
        with writing(wanted.replay, ELSEWHERE):
            drawn.to_html(wanted.replay)
        written.append(wanted.replay)
        say(f"{what}, {many(len(tape.events), 'event')}: {wanted.replay}")
    if wanted.open_browser:
        webbrowser.open(written[-1].resolve().as_uri())


def step_through(drawn: Graph) -> None:
    """Goes back a node for every Enter; all the way at once where nobody is there to press it."""
    say(f"{drawn.description}; Enter: the next step, b: take it back, q: enough")
    while (answer := asked()) != "q":
        step = drawn.back() if answer == "b" else drawn.step()
        say(str(step))
        if step.note and answer != "b":
            return


def asked() -> str:
    """What was typed; nothing, at once, where nobody can type."""
    if not sys.stdin.isatty():
        return ""
    try:
        return input().strip().lower()[:1]
    except EOFError:  # Ctrl-D
        return "q"


def some_images(shape: tuple[int, ...], count: int) -> tuple[str, np.ndarray, np.ndarray]:
    """What they are, images and labels: the first test digits, or random ones if those don't fit or are not there."""
    from tinygrad_cnn import data, random

    try:
        digits = data.load("digits").test
    except (ImportError, data.DataError):
        digits = None
    if digits is not None and digits[0][0].shape == tuple(shape) and count <= len(digits):
        images, labels = digits.get_batch(np.arange(count))
        return many(count, "digit"), images, labels
    generator = random.Generator(0)
    images = generator.normal((count, *shape)).astype("float32")
    return many(count, "random image"), images, generator.integers(0, 2, (count,))
