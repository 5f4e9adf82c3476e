"""Networks, layers and loops as a user of PyTorch writes them; `tinygrad_cnn` takes the same lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.sides.task import Case, Task, batch

#: Small, since all steps see one batch: with a larger one its loss would reach 0, and denormal numbers are slow.
LEARNING_RATE, MOMENTUM = 1e-4, 0.9


@dataclass
class Torchlike:
    """A library with PyTorch's names.

    Attributes:
        lib: `tensor`, `no_grad`.
        nn, F, optim: Its parts.
        model: From a case to its network.
    """

    lib: Any
    nn: Any
    F: Any
    optim: Any
    set_threads: Callable[[int], None]
    model: Callable[[Case], Any] | None = None

    def task(self, case: Case) -> Task:
        """What to time."""
        if "threads" in case:
            self.set_threads(case["threads"])
        kinds = {
            "training": self.training,
            "inference": self.inference,
            "layer": self.layer,
            "add": self.add,
            "chain": self.chain,
        }
        return kinds[case["kind"]](case)

    def layers(self, case: Case) -> list[Any]:
        """The layers of a case, in order."""
        return [getattr(self.nn, kind)(**tuples(options)) for _, kind, options in case["layers"]]

    def network(self, case: Case) -> Any:
        """The network of a case."""
        return self.model(case) if self.model and case.get("model") else self.nn.Sequential(*self.layers(case))

    def training(self, case: Case) -> Task:
        """The five lines of every training loop."""
        F, model = self.F, self.network(case)
        optimizer = self.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        x, y = map(self.lib.tensor, batch(case))
        model.train()

        def step() -> None:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()

        return Task({"step": step})

    def inference(self, case: Case) -> Task:
        """Scores of a batch, without a graph."""
        model = self.network(case)
        x = self.lib.tensor(batch(case)[0])
        model.eval()

        def scores() -> None:
            with self.lib.no_grad():
                model(x)

        return Task({"step": scores})

    def layer(self, case: Case) -> Task:
        """The last layer of a case, behind the others: its input lies in memory as they left it.

        So does the gradient that comes back, in the order of the output. The first layer of a network needs no gradient
        of its input.
        """
        *before, layer = self.layers(case)
        x = self.lib.tensor(batch(case)[0])
        with self.lib.no_grad():
            for other in before:
                x = other(x)
        x = x.detach()
        x.requires_grad_(case["wants_dx"])
        dy = (layer(x) * 0.01 + 0.01).detach()
        last: list[Any] = []

        def clear() -> None:
            last.clear()
            x.grad = None
            layer.zero_grad()

        return Task({"forward": lambda: last.append(layer(x)), "backward": lambda: last[0].backward(dy)}, clear)

    def add(self, case: Case) -> Task:
        """The smallest operation."""
        a = self.lib.tensor(1.0)
        a.requires_grad_(case["graph"])

        def many() -> None:
            for _ in range(case["count"]):
                a + a

        return Task({"add": many}, per=case["count"])

    def chain(self, case: Case) -> Task:
        """A graph of so many additions, and the way back through it."""
        a = self.lib.tensor(1.0)
        a.requires_grad_()
        last: list[Any] = []

        def clear() -> None:
            last.clear()
            a.grad = None

        def build() -> None:
            y = a
            for _ in range(case["count"]):
                y = y + a
            last.append(y)

        return Task({"build": build, "backward": lambda: last[0].backward()}, clear, case["count"])


def tuples(options: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
