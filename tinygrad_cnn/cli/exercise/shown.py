"""What `train --mine` shows: who computes which layer, how the training went, how fast each layer is, what is next."""

from __future__ import annotations

import contextlib
import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tinygrad_cnn.cli.console import console, many, program, say, writing
from tinygrad_cnn.exercises.plugin import Mine
from tinygrad_cnn.exercises.trial import OPTIMIZER, ORDER, Share, Step
from tinygrad_cnn.training.progress import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tinygrad_cnn.cli.exercise.comparing import Plan, Side
    from tinygrad_cnn.exercises.catalogue import Exercise

FIGURE, NUMBERS = "comparison.png", "comparison.json"
WIDTH = 80
LAYER = 18  # columns for a layer's name
LAST = 10  # steps whose mean loss is told
ROUNDING = 1e-3  # more of a difference between two losses is worth a word
BEGINNING = 3  # steps in which rounding cannot have grown to that: the first shows forward, the others backward, too


def nothing_yet(mine: Mine) -> None:
    """What to do first."""
    first = next(iter(mine.functions.values())).exercise
    begun = [s for s in mine.functions.values() if s.why_not.endswith("points")]
    say("There is nothing of yours to train with: none of your functions has passed its check yet.", style="bold")
    say(f"Begin with {begun[0].file.name if begun else first.file}, and let it be checked:")
    say(f"  {program()} exercise check {begun[0].exercise.id if begun else first.id}")


# ---- before the training


def layers(mine: Mine, step: Step, own_network: bool) -> None:
    """The table of who computes what."""
    names = short_names(step)
    yours = sum(share.yours for share in step.shares)
    say(f"LeNet-5 with your layers, from {mine.folder}", style="bold")
    say()
    say(f"{'layer':<{LAYER}}{'forward':<31}{'backward':<31}".rstrip(), style="dim")
    for layer, ways in by_layer(step).items():
        cells = [Text(f"{names[layer]:<{LAYER}}")]
        for way in ("update", "backward") if "update" in ways else ("forward", "backward"):
            cells.append(_author(ways[way]) if way in ways else Text(" " * 31))
        line = Text.assemble(*cells)
        line.rstrip()
        console().print(line, soft_wrap=True)
    say()
    say(f"{yours} of {len(step.shares)} are YOURS{'; and so is the network itself' if own_network else ''}.")
    used = {s.name for share in step.shares if share.yours for s in share.functions}
    idle = [name for plug in mine.plugs.values() for name in plug.adapter.functions if name not in used]
    if idle:
        for words in textwrap.wrap(f"Solved, but not in this network: {', '.join(idle)}.", WIDTH):
            say(words, style="dim")
    say()


def _author(share: Share) -> Text:
    if share.yours:
        return Text.assemble(("YOURS ", "bold green"), (f"{share.functions[0].file.name:<25}", "green"))
    return Text(f"{'library: ' + reason(share):<31}", style="yellow" if share.functions else "dim")


def reason(share: Share) -> str:
    """Why the library computes it."""
    if not share.functions:
        return "no exercise"
    return next((s.why_not for s in share.functions if s.why_not), "beyond the exercise")


def by_layer(step: Step) -> dict[str, dict[str, Share]]:
    """The shares of each layer, by their directions."""
    found: dict[str, dict[str, Share]] = {}
    for share in step.shares:
        found.setdefault(share.place.layer, {})[share.place.way] = share
    return found


def short_names(step: Step) -> dict[str, str]:
    """`conv1` for `features.conv1`, where there is only one of it."""
    paths = list(by_layer(step))
    ends = [path.rpartition(".")[2] for path in paths]
    return {path: end if ends.count(end) == 1 else path for path, end in zip(paths, ends)}


def plan(step: Step, plan: Plan, data: str, images: int, optimizer: str) -> None:
    """What will be done, and why so much."""
    mine, library = step.seconds
    say(f"A step with {many(step.images, 'image')} takes {_time(mine)} with your layers, {_time(library)} without.")
    epochs = plan.steps * plan.batch_size / images
    walks = many(round(epochs), "epoch") if epochs >= 1 and plan.steps % -(-images // plan.batch_size) == 0 else ""
    amount = f"{many(plan.steps, 'step')} of {many(plan.batch_size, 'image')}"
    amount += f", {walks or f'{epochs:.2g} epochs'} of the {images:,} {data}"
    for line in textwrap.wrap(f"Both get {amount}, in about {duration(plan.seconds)}: {plan.why}.", WIDTH):
        say(line)
    say(f"They begin with the same weights and see the same batches; optimizer: {optimizer}.")
    say()


# ---- during the training


def heading() -> None:
    """Of the lines that `progress` prints."""
    say(f"{'':>10}{'loss':>22}{'test accuracy':>29}", style="dim")
    say(f"{'step':>10}{'yours':>12}{'library':>12}{'yours':>15}{'library':>12}", style="dim")


def progress(done: int, plan: Plan, sides: dict[str, Side]) -> None:
    """How far it is."""
    losses = "".join(f"{side.losses[-1]:>12.4f}" for side in sides.values())
    mine, library = (100 * side.accuracies[done] for side in sides.values())
    say(f"{f'{done}/{plan.steps}':>10}{losses}{mine:>13.1f} %{library:>10.1f} %")


@contextlib.contextmanager
def bar(steps: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    to = console()
    if not to.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("  step"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    # drawn by hand: the thread that would do it writes to what the steps print to
    with Progress(*columns, console=to, transient=True, auto_refresh=False) as shown:
        task = shown.add_task("", total=steps)
        shown.refresh()

        def advance(done: int) -> None:
            shown.update(task, completed=done, refresh=True)

        yield advance


# ---- after the training


def results(sides: dict[str, Side], own: tuple[int, int] | None, printed: int) -> None:
    """How both came out."""
    mine, library = sides.values()
    steps = len(mine.losses)
    last = min(LAST, steps)
    say()
    say(f"{'':<28}{'yours':>12}{'library':>12}", style="dim")
    ends = [sum(side.losses[-last:]) / last for side in sides.values()]
    rows = {
        f"loss, last {many(last, 'step')}": [f"{loss:.4f}" for loss in ends],
        "test accuracy": [f"{list(side.accuracies.values())[-1]:.2%}" for side in sides.values()],
        "time": [duration(side.seconds) for side in sides.values()],
    }
    for what, (one, other) in rows.items():
        say(f"{what:<28}{one:>12}{other:>12}", style="bold" if what == "test accuracy" else "")
    say()
    told = agreement(mine.losses, library.losses)
    for line in textwrap.wrap(told, WIDTH):
        say(line, style="yellow" if "differ" in told else "green")
    if own is not None:
        right, images = own
        say(f"Asked with your own layers, it recognises {right} of {many(images, 'test image')}.", style="green")
    if printed:
        say(f"Your functions printed {many(printed, 'line')} meanwhile, which were left out.", style="dim")
    say()


def agreement(mine: list[float], library: list[float]) -> str:
    """Whether the two losses are the same numbers.

    >>> agreement([2.0, 1.0], [2.0, 1.0])
    'The two losses are equal in all 2 steps: your layers compute the same numbers.'
    """
    differences = [abs(a - b) for a, b in zip(mine, library)]
    largest, begin = max(differences), differences[:BEGINNING]
    if largest == 0:
        return f"The two losses are equal in all {many(len(mine), 'step')}: your layers compute the same numbers."
    if largest < ROUNDING:
        return (
            f"In all {many(len(mine), 'step')} the two losses {_within(largest)}: your layers compute the same numbers."
        )
    if max(begin) < ROUNDING:
        return (
            f"In the first {many(len(begin), 'step')} the two losses {_within(max(begin))}: your layers compute the "
            f"same numbers. Each step makes what rounding leaves a little larger, here up to {largest:.2g}."
        )
    step, difference = next((i, d) for i, d in enumerate(begin, start=1) if d >= ROUNDING)
    return f"The two losses differ from step {step} on, by {difference:.2g}: that is more than rounding."


def _within(difference: float) -> str:
    return f"agree within {difference:.0e}, which is rounding" if difference else "are equal"


def speed(step: Step) -> None:
    """The table of times."""
    say(f"Time of each layer in a step of {many(step.images, 'image')}, in milliseconds:", style="bold")
    say()
    say(f"{'':<{LAYER}}{'forward':>20}{'backward':>31}", style="dim")
    cells = "".join(f"{word:>{width}}" for word, width in zip(("yours", "library", "") * 2, (10, 10, 10) * 2))
    say(f"{'layer':<{LAYER}}{cells}".rstrip(), style="dim")
    names = short_names(step)
    for layer, ways in by_layer(step).items():
        pair = [ways.get(way) for way in ("forward", "backward")]
        if "update" in ways:
            pair = [ways["update"], None]
        say(f"{names[layer]:<{LAYER}}{''.join(_times(share) for share in pair)}".rstrip())
    mine, library = step.seconds
    say(f"{'the whole step':<{LAYER}}{_three(mine, library)}", style="bold")
    say()


def _times(share: Share | None) -> str:
    if share is None:
        return " " * 30
    if not share.yours:
        return f"{'·':>10}{_ms(share.seconds[1]):>10}{'':>10}"
    return _three(*share.seconds)


def _three(mine: float, library: float) -> str:
    return f"{_ms(mine):>10}{_ms(library):>10}{'×' + _ratio(mine / max(library, 1e-9)):>10}"


def _ms(seconds: float) -> str:
    """Milliseconds with three digits.

    >>> _ms(0.0001234), _ms(0.01234), _ms(1.234)
    ('0.12', '12.3', '1,234')
    """
    ms = 1000 * seconds
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def _ratio(times: float) -> str:
    return f"{times:.1f}" if times < 9.95 else f"{times:,.0f}"


def _time(seconds: float) -> str:
    return f"{_ms(seconds)} ms" if seconds < 1 else duration(seconds)


# ---- what stays


def leave(run: Path, step: Step, sides: dict[str, Side], told: dict[str, Any]) -> None:
    """Draws the figure, writes the numbers, and says where they are."""
    left = {"numbers": run / NUMBERS}
    with writing(run, "free some space"):
        (run / NUMBERS).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        try:
            figure(step, sides, told["data"]).savefig(run / FIGURE)
            left = {"figure": run / FIGURE, **left}
        except ImportError as error:
            say(f"no figure: {error}", style="yellow")
    say(f"In {run}:", style="bold")
    for what, path in left.items():
        say(f"  {what:<8} {path.name}")
    say()


def numbers(step: Step, sides: dict[str, Side], own: tuple[int, int] | None) -> dict[str, Any]:
    """All that was found out, as JSON holds it."""
    names = short_names(step)
    return {
        "layers": [
            {
                "layer": names[share.place.layer],
                "way": share.place.way,
                "yours": share.yours,
                "file": share.functions[0].file.name if share.yours else None,
                "why_not": None if share.yours else reason(share),
                "ms": dict(zip(("yours", "library"), (round(1000 * seconds, 4) for seconds in share.seconds))),
            }
            for share in step.shares
        ],
        "step": {"images": step.images, "ms": dict(zip(("yours", "library"), (1000 * s for s in step.seconds)))},
        "recognised_by_your_layers": None if own is None else {"right": own[0], "images": own[1]},
        **{
            who: {"losses": side.losses, "test_accuracies": side.accuracies, "seconds": side.seconds}
            for who, side in sides.items()
        },
    }


def figure(step: Step, sides: dict[str, Side], data: str) -> Figure:
    """Both losses, both test accuracies, and the time of each layer."""
    from tinygrad_cnn.viz.plot import style

    drawn = style.figure(12.5, 4.2, f"LeNet-5 on {data}: with your layers and with the library's")
    looks: dict[str, dict[str, Any]] = {
        "library": {"color": style.COLOURS[5], "linewidth": 5.0, "alpha": 0.55, "label": "library"},
        "yours": {"color": style.COLOURS[0], "linewidth": 1.3, "label": "yours"},
    }
    loss, accuracy = (
        style.axes(drawn, (1, 3, 1), "step", "loss"),
        style.axes(drawn, (1, 3, 2), "step", "test accuracy (%)"),
    )
    for who, look in looks.items():  # the library's broad line lies below yours
        side = sides[who]
        n = len(side.losses)
        loss.plot(range(1, n + 1), side.losses, marker="" if n > 40 else "o", markersize=3, **look)
        places, values = zip(*side.accuracies.items())
        accuracy.plot(places, [100 * v for v in values], marker="o", markersize=4, **look)
    loss.set_ylim(bottom=0)
    accuracy.set_ylim(0, 102)
    for axes in (loss, accuracy):
        axes.legend(handles=axes.get_lines()[::-1], frameon=False)
    bars = style.axes(drawn, (1, 3, 3), f"ms for {many(step.images, 'image')}, forward and backward")
    _bars(bars, step, {who: look["color"] for who, look in looks.items()})
    return drawn


def _bars(axes: Any, step: Step, colours: dict[str, str]) -> None:
    """Two bars for each layer, the first layer on top."""
    names = short_names(step)
    layers = by_layer(step)
    places = range(len(layers))
    for who, index, shift in (("yours", 0, -0.2), ("library", 1, 0.2)):
        widths = [1000 * sum(share.seconds[index] for share in ways.values()) for ways in layers.values()]
        axes.barh([p + shift for p in places], widths, height=0.4, color=colours[who], label=who)
    axes.set_yticks(list(places), [names[layer].replace("_", " ") for layer in layers], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8)


# ---- what to do next


def next_steps(mine: Mine, step: Step) -> None:
    """Which exercise would change most."""
    say("What to try next:", style="bold")
    for line in suggestions(mine, step):
        say(line)


def suggestions(mine: Mine, step: Step) -> list[str]:
    """The first exercise whose layers are still the library's, and what would make the slowest of yours faster."""
    names = short_names(step)
    todo = [(share, s) for share in step.shares if not share.yours for s in share.functions if s.why_not]
    lines: list[str] = []
    if todo:
        exercise = min((s.exercise for _, s in todo), key=lambda exercise: exercise.number)
        shares = [share for share, s in todo if s.exercise is exercise]
        where = ", ".join(names[layer] for layer in by_layer(step) if any(s.place.layer == layer for s in shares))
        ways = " and ".join(dict.fromkeys(share.place.way for share in shares))
        lines += _suggested(exercise, f"the {where}" if where in (ORDER, OPTIMIZER) else f"{where}, {ways}")
    columns = mine.functions.get("im2col")
    loops = [s for s in step.shares if s.yours and any(f.name == "conv2d_forward" for f in s.functions)]
    if columns is not None and columns.why_not and loops:
        took = sum(share.seconds[0] for share in loops)
        lines += _suggested(columns.exercise, f"convolution without the loops, {_time(took)} of a step")
    return lines or [
        "  All of this network is yours. Every other one takes your layers, too:",
        "    from tinygrad_cnn import exercises",
        "    with exercises.use() as mine:",
        "        …",
        "    print(mine)",
    ]


def _suggested(exercise: Exercise, what: str) -> list[str]:
    return [f"  {exercise.file} is for {what}:", f"    {program()} exercise check {exercise.id}"]
