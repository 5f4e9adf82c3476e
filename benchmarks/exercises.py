"""How soon a student has an answer: a check on the command line, a save under `watch`, a loop that never ends.

python -m benchmarks.exercises

Seconds of wall time on this machine, whatever else it does; the promises are two seconds for a check, one for a save.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS, SAVES = 5, 12
PROGRAM = [sys.executable, "-m", "tinygrad_cnn", "exercise"]


def answers() -> dict[str, str]:
    """Files of a student at work on the convolution, by what is special about them."""
    from tinygrad_cnn.exercises.catalogue import Catalogue

    exercise = Catalogue()["conv_forward"]
    right = exercise.solution()
    return {
        "not begun": exercise.skeleton(),
        "a typical mistake": exercise.wrong_text("conv2d_forward", "flipped"),
        "an unknown mistake, held against all pairs": right.replace("weight[k])", "weight[k]) ** 3"),
        "right, and its speed measured": right,
    }


def row(what: str, seconds: list[float]) -> None:
    """Prints the middle one and the longest."""
    print(f"{what:<60} {statistics.median(seconds):6.2f} {max(seconds):6.2f}", flush=True)


def checks(folder: Path, file: Path) -> None:
    """`tcnn exercise check`, from its start to its end."""
    for what, text in answers().items():
        file.write_text(text, encoding="utf-8")
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            subprocess.run([*PROGRAM, "check", "conv_forward"], cwd=folder, capture_output=True, check=False)
            seconds.append(time.perf_counter() - started)
        row(f"check: {what}", seconds)


def saves(folder: Path, file: Path) -> None:
    """`tcnn exercise watch`, from a save to the first and to the last line of the verdict."""
    command, env = [*PROGRAM, "watch"], os.environ | {"PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=env) as watch:
        assert watch.stdout is not None
        line_with(watch.stdout.readline, "Next:")
        for what, text in answers().items():
            if what == "not begun":
                continue
            seconds = []
            last = "Next:" if "right" in what else "More:"
            for number in range(SAVES):
                time.sleep(0.3)
                started = time.perf_counter()
                file.write_text(f"{text}\n# save {number}\n", encoding="utf-8")
                line_with(watch.stdout.readline, last)
                seconds.append(time.perf_counter() - started)
            row(f"a save under watch: {what}", seconds)
        watch.kill()


def line_with(read: Callable[[], str], words: str) -> None:
    """Reads up to a line."""
    line = read()
    while words not in line:
        if not line:
            raise SystemExit(f"watch ended before it said {words!r}")
        line = read()


def limits(folder: Path, file: Path) -> None:
    """How long after its time limit a program that never ends has its verdict."""
    from tinygrad_cnn.exercises.catalogue import Catalogue
    from tinygrad_cnn.exercises.checking import check
    from tinygrad_cnn.exercises.sandbox import Limits

    file.write_text("while True:\n    pass\n", encoding="utf-8")
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        check(Catalogue()["conv_forward"], file, Limits(seconds=1))
        seconds.append(time.perf_counter() - started - 1)
    row("an endless loop: from its time limit to the verdict", seconds)


def main() -> None:
    """Prints the table."""
    from tinygrad_cnn.exercises.workspace import Workspace

    print(f"{'seconds':<60} {'median':>6} {'most':>6}")
    with tempfile.TemporaryDirectory() as place:
        space = Workspace.make(Path(place), only=["conv_forward", "output_size"])
        file = space.folder / space.catalogue["conv_forward"].file
        checks(space.folder, file)
        saves(space.folder, file)
        limits(space.folder, file)


if __name__ == "__main__":
    main()
