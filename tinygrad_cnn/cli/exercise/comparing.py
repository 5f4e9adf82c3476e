"""LeNet-5 trained with the student's layers, and beside it with the library's, from the same weights and batches."""

from __future__ import annotations

import contextlib
import io
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.about import __version__
from tinygrad_cnn.cli import networks, recipes, runs
from tinygrad_cnn.cli.console import chosen, fail, many, say, stop
from tinygrad_cnn.cli.exercise import shown
from tinygrad_cnn.cli.train import load_data
from tinygrad_cnn.exercises.plugin import Mine, PluginError, load
from tinygrad_cnn.exercises.trial import Step, measure

if TYPE_CHECKING:
    from tinygrad_cnn.data import DataSplit
    from tinygrad_cnn.training.signals import Signals

MODEL = "lenet5"
BATCH, SMALLEST_BATCH = 32, 4
FEWEST_STEPS = 60  # with fewer, smaller batches teach more
MOST_EPOCHS = 10
MEASURING, TRAINING = 0.1, 0.8  # of the time: for finding out how long a step takes, and for all but the pictures
LOOKS = 10  # how often the test accuracy is measured
TEST_IMAGES = 1000
RATES = {"sgd": (0.02, 5e-4), "adam": (0.002, 0.0)}  # learning rate, the same in all steps, and weight decay


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Attributes:
        data: The data set.
        data_dir: Its folder.
        epochs: How many; None for as many as fit.
        batch_size: Images in a step; None for a good number.
        seed: Of weights and batches.
        seconds: How long all may take; None for as long as the epochs take.
        out: The folder to make.
    """

    data: str
    data_dir: Path | None
    epochs: int | None
    batch_size: int | None
    seed: int
    seconds: float | None
    out: Path | None


@dataclass(frozen=True)
class Plan:
    """How much is trained.

    Attributes:
        batch_size: Images in a step.
        steps: How many.
        seconds: They will take, with your layers and the library's together.
        why: In words.
    """

    batch_size: int
    steps: int
    seconds: float
    why: str


@dataclass
class Side:
    """One of the two trainings.

    Attributes:
        model: Its network.
        optimizer: What changes its weights.
        losses: Of each step.
        accuracies: Of the test images, by the number of steps before.
        seconds: Its steps took.
    """

    model: Any
    optimizer: Any
    losses: list[float] = field(default_factory=list)
    accuracies: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


class Quiet(io.TextIOBase):
    """Takes what a student's functions print, thousands of times, and counts the lines."""

    def __init__(self) -> None:
        self.lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)


def compare(given: Settings) -> None:
    """All that `train --mine` does."""
    from tinygrad_cnn import data
    from tinygrad_cnn.training.signals import Signals

    started = time.perf_counter()
    info = data.catalogue.ALL[chosen("--data", given.data, data.available())]
    if given.out is not None and given.out.exists() and (not given.out.is_dir() or any(given.out.iterdir())):
        fail(f"--out {given.out} exists already, and nothing is overwritten; choose another name")
    try:
        mine = load(told=lambda file: say(f"checking {file} …", style="dim"))
        if not mine.plugs and not mine.classes:
            shown.nothing_yet(mine)
            stop(1)
        split = load_data(info.name, given.data_dir)
        learners = Learners(mine, split, given.seed)
        step = measured(mine, learners, split, given)
        shown.layers(mine, step, learners.own is not None)
        plan = planned(step, given, len(split.train), time.perf_counter() - started)
        shown.plan(step, plan, info.name, len(split.train), learners.optimizer)
        sides = learners.sides()
        quiet = Quiet()
        with Signals() as signals:
            done = train(mine, sides, split, plan, given, signals, quiet)
            own = None if signals.received else recognised(mine, sides["yours"].model, split, step, given, quiet)
    except PluginError as error:
        fail(str(error))
    if done and done < plan.steps and signals.received:
        say(f"Stopped after {done} of {many(plan.steps, 'step')}; this is what there is.", style="yellow")
    if done:
        shown.results(sides, own, quiet.lines)
        shown.speed(step)
        settings = {
            "model": MODEL,
            "data": info.name,
            "seed": given.seed,
            "batch_size": plan.batch_size,
            "steps": done,
            "optimizer": learners.optimizer,
            "version": __version__,
        }
        run = runs.new_run(f"mine-{MODEL}", info.name, given.out)
        shown.leave(run, step, sides, settings | shown.numbers(step, sides, own))
        shown.next_steps(mine, step)
    else:
        say("Stopped before the first step was done; nothing was written.", style="yellow")
    if signals.received:
        stop(128 + signals.received)


class Learners:
    """Makes networks with the same weights, and their optimizers.

    Args:
        mine: The student's; a network of their own is taken where it fits the images.
        split: The images.
        seed: Of the weights.
    """

    def __init__(self, mine: Mine, split: DataSplit, seed: int) -> None:
        C, H, W = split.info.image_shape
        self.options = {"num_classes": len(split.classes), "in_channels": C, "image_size": [H, W]}
        fits = (C, H, W) == (1, 28, 28) and len(split.classes) == 10
        self.own = mine.classes.get("LeNet5") if fits else None
        self.seed = seed
        # SGD comes early in the course, Adam at its end: the one that is theirs
        self.optimizer = "sgd" if "sgd_step" in mine.plugs and "adam_step" not in mine.plugs else "adam"

    def __call__(self, own: bool = True) -> tuple[Any, Any]:
        """A network and its optimizer."""
        model = networks.built(MODEL, self.options, self.seed)
        if own and self.own is not None:
            theirs = self.own()
            theirs.load_state_dict(model.state_dict())
            model = theirs
        lr, weight_decay = RATES[self.optimizer]
        config = {"optimizer": self.optimizer, "lr": lr, "weight_decay": weight_decay}
        return model, recipes.optimizer(config, model.parameters())

    def sides(self) -> dict[str, Side]:
        """The two that are to be trained."""
        return {"yours": Side(*self()), "library": Side(*self(own=False))}


def measured(mine: Mine, learners: Learners, split: DataSplit, given: Settings) -> Step:
    """A training step, on as many images of a batch as a tenth of the time allows."""
    from tinygrad_cnn.data import DataLoader

    allowed = MEASURING * (given.seconds or 120.0)
    batch = given.batch_size or BATCH
    x, y = next(iter(DataLoader(split.train, batch_size=batch)))
    with contextlib.redirect_stdout(Quiet()):
        started = time.perf_counter()
        few = measure(mine, learners, x[:2], y[:2], most=1)
        images = min(batch, int(allowed / (time.perf_counter() - started)))
        return few if images <= 2 else measure(mine, learners, x[:images], y[:images], seconds=allowed / 2)


def planned(step: Step, given: Settings, images: int, spent: float) -> Plan:
    """How much can be trained in the time that is left.

    Args:
        step: What was measured.
        given: The wishes.
        images: To learn from.
        spent: Seconds gone by so far.
    """
    an_image = sum(step.seconds) / step.images
    batch = given.batch_size or BATCH
    if given.seconds is None:
        steps = (given.epochs or 1) * -(-images // batch)
        return Plan(batch, steps, steps * batch * an_image, f"as --epochs {given.epochs} says")
    left = TRAINING * given.seconds - spent
    if given.batch_size is None:
        batch = max(SMALLEST_BATCH, min(BATCH, int(left / an_image / FEWEST_STEPS)))
    steps = max(1, int(left / an_image / batch))
    most = (given.epochs or MOST_EPOCHS) * -(-images // batch)
    minutes = many(round(given.seconds / 60), "minute") if given.seconds >= 60 else f"{given.seconds:.0f} seconds"
    why = f"what fits into {minutes}"
    if steps > most:
        steps = most
        why = f"as --epochs {given.epochs} says" if given.epochs else f"more epochs than {MOST_EPOCHS} teach little"
    if batch < BATCH and given.batch_size is None:
        why += f", with small batches, so that there are {steps} steps"
    return Plan(batch, steps, steps * batch * an_image, why)


def train(
    mine: Mine,
    sides: dict[str, Side],
    split: DataSplit,
    plan: Plan,
    given: Settings,
    signals: Signals,
    quiet: Quiet,
) -> int:
    """Trains both, a step of one, a step of the other, on the same batches; gives the number of steps done."""
    from tinygrad_cnn import random
    from tinygrad_cnn.data import DataLoader

    batches = DataLoader(
        split.train, plan.batch_size, shuffle=True, generator=random.Generator(given.seed, stream=(1,))
    )
    test = next(iter(DataLoader(split.test, min(TEST_IMAGES, len(split.test)))))
    looks = {round(i * plan.steps / LOOKS) for i in range(1, LOOKS + 1)} | {plan.steps}
    deadline = time.perf_counter() + (1.25 * plan.seconds + 5 if given.seconds else float("inf"))
    done = 0
    shown.heading()
    with shown.bar(plan.steps) as advance:
        try:
            look(sides, test, 0)
            for x, y in itertools.islice(itertools.chain.from_iterable(itertools.repeat(batches)), plan.steps):
                both_learn(mine, sides, x, y, quiet)
                done += 1
                advance(done)
                late = time.perf_counter() > deadline
                if done in looks or late or signals.received:
                    look(sides, test, done)
                    shown.progress(done, plan, sides)
                if late and done < plan.steps:
                    say("It took longer than it was measured to take; this is enough.", style="yellow")
                if late or signals.received:
                    break
        except KeyboardInterrupt:  # a second one, which does not wait for the end of a step
            pass
    return done


def both_learn(mine: Mine, sides: dict[str, Side], x: Any, y: Any, quiet: Quiet) -> None:
    """One step of each, noted when both are done."""
    from tinygrad_cnn.training import train_step

    losses = []
    for who, side in sides.items():
        begun = time.perf_counter()
        with mine.at_work() if who == "yours" else contextlib.nullcontext(), contextlib.redirect_stdout(quiet):
            loss, _ = train_step(side.model, x, y, side.optimizer)
        side.seconds += time.perf_counter() - begun
        losses.append(loss.item())
    for side, number in zip(sides.values(), losses):
        side.losses.append(number)


def look(sides: dict[str, Side], test: tuple[Any, Any], done: int) -> None:
    """Measures both networks on the test images; the library computes, which takes no time."""
    from tinygrad_cnn.training import evaluate

    for side in sides.values():
        side.accuracies[done] = evaluate(side.model, [test])["accuracy"]


def recognised(mine: Mine, model: Any, split: DataSplit, step: Step, given: Settings, quiet: Quiet) -> tuple[int, int]:
    """How many test images the trained network recognises where the student's layers compute, and of how many."""
    from tinygrad_cnn.data import DataLoader
    from tinygrad_cnn.training import evaluate

    an_image = sum(share.seconds[0] for share in step.shares if share.place.way == "forward") / step.images
    images = min(len(split.test), TEST_IMAGES, max(10, int(MEASURING * (given.seconds or 120.0) / max(an_image, 1e-9))))
    x, y = next(iter(DataLoader(split.test, images)))
    with mine.at_work(), contextlib.redirect_stdout(quiet):
        return round(evaluate(model, [(x, y)])["accuracy"] * images), images
