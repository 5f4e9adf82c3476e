"""The student's layers beside the library's: who computes which layer of a training step, and how long it takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinygrad_cnn import kernels, observe
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.exercises.adapters import ADAPTERS
from tinygrad_cnn.exercises.plugin import Mine, Plug, Standing, path_of
from tinygrad_cnn.function import Function, Node
from tinygrad_cnn.training import train_step

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
ORDER, OPTIMIZER = "order of backward", "optimizer"  # what a step does besides its layers


class Place(NamedTuple):
    """A layer in one direction: `("features.conv1", "backward")`."""

    layer: str
    way: str


@dataclass
class Share:
    """What one layer does in one direction.

    Attributes:
        place: Where.
        yours: Whether the student's functions do all of it.
        functions: Those of the exercises that do it, or could.
        times: Seconds for it in each run, the student's runs and the library's.
    """

    place: Place
    yours: bool
    functions: list[Standing]
    times: dict[str, list[float]]

    @property
    def seconds(self) -> tuple[float, float]:
        """The student's time and the library's, the shortest of all runs."""
        return shortest(self.times)


class _Call(NamedTuple):
    """One call of a kernel."""

    place: Place
    kernel: str
    yours: bool
    seconds: float


class Clock(observe.Observer):
    """Sees the kernels that a training step calls: in which layer, by whom, how long.

    Args:
        mine: The student's.
        yours: Whether the student's functions compute, as far as there are any; else the library.
    """

    def __init__(self, mine: Mine, yours: bool) -> None:
        self.calls: list[_Call] = []
        self._waiting: list[tuple[str, bool, float]] = []  # computed, but by which layer?
        plugs = {plug.adapter.kernel: plug for plug in mine.plugs.values()} if yours else {}
        names = dict.fromkeys(adapter.kernel for adapter in (*ADAPTERS, *mine.adapters))
        self._kernels = {name: self._timed(name, plugs.get(name)) for name in names}

    @contextlib.contextmanager
    def running(self) -> Iterator[Clock]:
        """Inside the block it looks on."""
        token = observe.observer.set(self)
        try:
            with kernels.use(**self._kernels):
                yield self
        finally:
            observe.observer.reset(token)

    def _timed(self, name: str, plug: Plug | None) -> Callable[..., Any]:
        compute = kernels.get(name).library if plug is None else plug

        def call(*args: Any, **kwargs: Any) -> Any:
            before, started = plug.yours if plug else 0, time.perf_counter()
            result = compute(*args, **kwargs)
            seconds = time.perf_counter() - started
            self._waiting.append((name, plug is not None and plug.yours > before, seconds))
            return result

        return call

    def claim(self, layer: str, way: str) -> None:
        """What was computed since the last time was computed here."""
        self.calls += [_Call(Place(layer, way), *told) for told in self._waiting]
        self._waiting.clear()

    def applied(self, operation: Function, inputs: Sequence[Any], results: Sequence[Any], seconds: float) -> None:
        self.claim(path_of(operation.scope) or operation.name, FORWARD)

    def arrived(self, node: Node, dy: Any, kept: bool) -> None:
        self.claim(ORDER, BACKWARD)

    def finished(self, node: Node, seconds: float) -> None:
        self.claim(path_of(node.scope) or node.name, BACKWARD)


@dataclass
class Step:
    """A training step that was measured.

    Attributes:
        images: In its batch.
        shares: What each layer does, in the order of the computation.
        times: Seconds of the whole step in each run, the student's and the library's.
    """

    images: int
    shares: list[Share]
    times: dict[str, list[float]]

    @property
    def seconds(self) -> tuple[float, float]:
        """The student's time and the library's, the shortest of all runs."""
        return shortest(self.times)


def shortest(times: dict[str, list[float]]) -> tuple[float, float]:
    """The student's time and the library's."""
    return min(times["yours"]), min(times["library"])


def measure(
    mine: Mine, learner: Callable[[], tuple[Any, Any]], x: Tensor, y: Tensor, seconds: float = 0.0, most: int = 5
) -> Step:
    """Who computes each layer of a training step, and how long it takes.

    The student's functions and the library take turns, each on a network of its own with the same weights.

    Args:
        mine: The student's.
        learner: Makes a network and its optimizer.
        x: A batch.
        y: Its classes.
        seconds: Measure again until so much time has gone by.
        most: But at most so often.
    """
    learners = {"yours": learner(), "library": learner()}
    step = Step(len(x), [], {"yours": [], "library": []})
    found: dict[Place, Share] = {}
    started = time.perf_counter()
    for _ in range(most):
        for who, (model, optimizer) in learners.items():
            clock = Clock(mine, yours=who == "yours")
            begun = time.perf_counter()
            with clock.running():
                train_step(model, x, y, optimizer)
                clock.claim(OPTIMIZER, UPDATE)
            step.times[who].append(time.perf_counter() - begun)
            for place in dict.fromkeys(call.place for call in clock.calls):
                calls = [call for call in clock.calls if call.place == place]
                if place not in found:
                    asked = [s for name in dict.fromkeys(c.kernel for c in calls) for s in mine.standing(name)]
                    found[place] = Share(place, all(c.yours for c in calls), asked, {"yours": [], "library": []})
                found[place].times[who].append(sum(call.seconds for call in calls))
        if time.perf_counter() - started > seconds:
            break
    step.shares = list(found.values())
    return step
