"""A student's file, run in a process of its own: with limits, and without anything worth stealing in reach.

| file | what it holds |
|---|---|
| `wire.py` | how calls and results travel; loaded by both sides, needs NumPy only |
| `parent.py` | the checker's side: starts a process, listens, and sees to it that it ends |
| `keeper.py` | a small process in between, which outlives the student's and ends all it has left behind |
| `student.py` | the process of the student's code: loads the file, makes the calls |
| `look.py` | is the file Python, and does it import what would do the work? |
| `guard.py` | what the student's code may not do to its surroundings |
| `system.py` | what differs between Linux, macOS and Windows: groups of processes, limits |
| `words.py` | what a beginner is told |

It is a fence against accidents, not a prison. On Linux the kernel refuses new processes and limits memory; elsewhere
Python refuses them, and memory is looked at from time to time (macOS) or not limited (Windows). Time is limited
everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """How much a student's process may use.

    Attributes:
        seconds: From the beginning of the student's code to its last result; starting Python does not count.
        memory: Bytes of address space on top of what Python and NumPy take.
        files: Bytes of a file it writes.
        output: Bytes of what it prints that are kept; the rest is read and dropped.
    """

    seconds: float = 10.0
    memory: int = 1 << 30
    files: int = 16 << 20
    output: int = 64 << 10


@dataclass(frozen=True)
class Call:
    """One call in the student's process.

    Attributes:
        function: Its name in the student's file.
        message: The arguments, as `wire.write` makes them.
        kind: See `wire.invoke`.
    """

    function: str
    message: dict[str, Any]
    kind: str = "function"


@dataclass(frozen=True)
class Problem:
    """Why a student's process ended before all calls were made, for a beginner to read.

    Attributes:
        kind: "missing", "encoding", "syntax", "import" (it raised while it was loaded), "forbidden", "timeout",
            "memory", "exit", "crash", "garbage", or "checker", which is our fault. Something forbidden, and an exit
            inside of a call, end that call only: the others have outcomes.
        says: One or two sentences: what happened, and what to do.
        line: Of the student's file, 0 if unknown.
        code: What stands there.
    """

    kind: str
    says: str
    line: int = 0
    code: str = ""


@dataclass
class Report:
    """What came out of a student's process.

    Attributes:
        functions: For each name that was asked for and is defined: the names of its parameters, stars included (none
            if they cannot be found out), or None if it is no function.
        outcomes: For each call what `wire.invoke` tells; None if it did not come to its end.
        problem: What ended the process early.
        printed: What it printed, the beginning of it.
        printed_bytes: How much it printed in all.
        seconds: It took.
        notes: What could not be limited on this system.
    """

    functions: dict[str, list[str] | None] = field(default_factory=dict)
    outcomes: list[dict[str, Any] | None] = field(default_factory=list)
    problem: Problem | None = None
    printed: str = ""
    printed_bytes: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def run(
    file: Path, functions: Sequence[str], calls: Sequence[Call], limits: Limits | None = None, allow: Sequence[str] = ()
) -> Report:
    """Load a student's file in a process of its own, and make these calls there.

    Args:
        file: The student's; it runs from a copy, so that it cannot change itself.
        functions: Names to ask for.
        calls: In order; one that raises does not keep the others from being made.
        limits: Of the process.
        allow: Modules that may be imported besides NumPy and the standard library.
    """
    from tinygrad_cnn.exercises.sandbox.parent import run as run_

    return run_(file, functions, calls, limits or Limits(), allow)
