"""What recording a training step costs, and what it costs that one could record: nothing measurable is wanted.

python -m benchmarks.recording [--against FOLDER]

FOLDER: another copy of the package, say of an older commit, whose steps without recording are timed in turns with this
one's, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

ROUNDS, STEPS, TURNS = 12, 8, 20


def step_times(recorded: bool = False, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Milliseconds of LeNet-5 training steps at B = 64."""
    import numpy as np

    import tinygrad_cnn as tcnn
    from tinygrad_cnn import models, optim
    from tinygrad_cnn.nn import functional as F

    if recorded:
        from tinygrad_cnn import viz

    model = models.LeNet5()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    draw = np.random.default_rng(0)
    x, y = tcnn.tensor(draw.normal(size=(64, 1, 28, 28)).astype("f4")), tcnn.tensor(draw.integers(0, 10, 64))
    times = []
    for _ in range(STEPS + 3):
        started = clock()
        with viz.record() if recorded else nullcontext():
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
        times.append(1000 * (clock() - started))
    return times[3:]


def looks() -> float:
    """Milliseconds a step spends on asking whether somebody looks on: per operation, walk back, and module called."""
    from tinygrad_cnn.observe import Scope, observer, scope

    many = 100_000
    started = time.perf_counter()
    for _ in range(many):
        watcher = observer.get()
        if watcher:
            break
        scope.get()
    per_operation = (time.perf_counter() - started) / many
    started = time.perf_counter()
    for _ in range(many):
        scope.reset(scope.set(Scope(None, scope.get())))
    per_module = (time.perf_counter() - started) / many
    operations, modules = 14, 14  # of a LeNet-5 with its loss
    return 1000 * (operations * per_operation + modules * per_module)


def against(folder: Path) -> tuple[list[float], list[float]]:
    """Steps of this copy and of another, in turns, each turn in a process of its own."""
    here = Path(__file__).parent.parent
    times: dict[Path, list[float]] = {here: [], folder: []}
    for turn in range(TURNS):
        for copy in (here, folder) if turn % 2 else (folder, here):
            environment = {**os.environ, "PYTHONPATH": str(copy)}  # that copy's package, this file's steps
            command = [sys.executable, __file__, "--only-times"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            times[copy] += map(float, done.stdout.split())
    return times[here], times[folder]


def main() -> None:
    """Print the medians and ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--against", type=Path)
    arguments.add_argument("--only-times", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.only_times:
        print(*step_times(clock=time.process_time))  # other programs' noise is not in it
        return
    other = given.against
    plain, recorded = [], []
    for _ in range(ROUNDS):
        plain += step_times()
        recorded += step_times(recorded=True)
    off, on = statistics.median(plain), statistics.median(recorded)
    print("LeNet-5, a training step at B = 64, median of alternating blocks")
    print(f"  not recorded {off:7.2f} ms")
    print(f"  recorded     {on:7.2f} ms   ratio {on / off:.2f}")
    cost = looks()
    print(f"  asking whether anybody looks on: {1000 * cost:.1f} µs a step, {cost / off:.3%} of it")
    if other is not None:
        here, there = (statistics.median(times) for times in against(other.resolve()))
        print(f"  CPU time, this copy {here:.2f} ms, {other.name} {there:.2f} ms: ratio {here / there:.3f}")


if __name__ == "__main__":
    main()
