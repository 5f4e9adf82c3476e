"""The process of a side: told on its standard input what to do, a line of JSON each; answers with a line each.

| line | what it does |
|---|---|
| `{"do": "describe"}` | versions, threads |
| `{"do": "prepare", "case": …, "seconds": …}` | makes the network, and works for so long without looking at the clock |
| `{"do": "block", "calls": …, "seconds": …, "longest": …}` | times at least so many calls, for so long |
| `{"do": "memory", "case": …, "calls": …}` | the rise of the largest memory in so many calls |

python -m benchmarks.worker MODULE
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import sys
import time
from typing import Any

from benchmarks import memory
from benchmarks.sides.task import CannotRun, Task


class Worker:
    """Does what it is told, for one side.

    Args:
        module: The side's module in `benchmarks.sides`.
    """

    def __init__(self, module: str) -> None:
        self.side = importlib.import_module(f"benchmarks.sides.{module}")
        self.task: Task | None = None

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to one line; what goes wrong is an answer too."""
        orders = {"describe": self.describe, "prepare": self.prepare, "block": self.block, "memory": self.memory}
        try:
            return orders[message["do"]](message)
        except CannotRun as reason:
            return {"cannot": str(reason)}
        except Exception as error:  # whatever a framework raises is its result
            return {"failed": f"{type(error).__name__}: {error}".partition("\n")[0][:200]}

    def describe(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.side.describe()

    def prepare(self, message: dict[str, Any]) -> dict[str, Any]:
        """Make the task of a case, and call it until everything is warm."""
        self.task = None
        gc.collect()
        self.task = self.side.task(message["case"])
        self._times(self.task.warm, message["seconds"])
        return {}

    def block(self, message: dict[str, Any]) -> dict[str, Any]:
        """Seconds of calls, by part; the first, which finds the other side's data in the caches, is not counted."""
        self._times(1, 0)
        return {"times": self._times(message["calls"], message["seconds"], message["longest"])}

    def memory(self, message: dict[str, Any]) -> dict[str, Any]:
        """Bytes by which the process grew at most since the network was made."""
        task = self.side.task(message["case"])
        gc.collect()
        watch = memory.Peak()
        for _ in range(message["calls"]):
            call(task)
        return {"times": {"peak": [watch.rise()]}, "how": watch.how}

    def _times(self, calls: int, seconds: float, longest: float = math.inf) -> dict[str, list[float]]:
        assert self.task is not None, "prepare comes first"
        times: dict[str, list[float]] = {part: [] for part in self.task.parts}
        began, done, passed = time.perf_counter(), 0, 0.0
        while not done or (passed < longest and (done < calls or passed < seconds)):
            for part, taken in call(self.task).items():
                times[part].append(taken / self.task.per)
            done += 1
            passed = time.perf_counter() - began
        return times


def call(task: Task) -> dict[str, float]:
    """Seconds of each part, of one call."""
    taken = {}
    task.before()
    for part, function in task.parts.items():
        started = time.perf_counter()
        function()
        taken[part] = time.perf_counter() - started
    return taken


def main() -> None:
    """Answer line after line; what a framework prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    try:
        worker = Worker(sys.argv[1])
        print("{}", file=answers)
    except Exception as error:
        print(json.dumps({"failed": f"{type(error).__name__}: {error}".partition("\n")[0]}), file=answers)
        return
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
