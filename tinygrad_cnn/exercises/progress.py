"""What a student has done so far: one small JSON file beside the student's files.

It survives what happens to files on students' machines. It is replaced as a whole, so that a kill or a full disk leaves
the old one; every change reads it again first, under a lock, so that `watch` and `check` at once lose nothing; what a
newer version has written in it stays there; one that cannot be read is set aside, never deleted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.about import TinygradCnnWarning, __version__

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.catalogue import Exercise

NAME = "exercise-progress.json"
FORMAT = 1
ABOUT = "What you have solved so far, and which hints you have seen. tcnn exercise keeps it; leave it with your files."
PATIENCE = 10.0  # seconds to wait for another process, or for a virus scanner
_LOCK = ".exercise-progress.lock"
_COPY = ".exercise-progress.copy"
_WINDOWS = os.name == "nt"


@dataclass
class Entry:
    """What a student has done about one exercise.

    Attributes:
        points: The best so far.
        passed: For each function that was right: the SHA-256 of the file that passed.
        hints: How many of the three have been seen.
        gave_up: Whether the solution was shown before the exercise was solved.
        checks: How often it was checked.
        first: When it was checked first; local time, as ISO 8601.
        last: When it was checked last.
        solved: When all its functions were right for the first time; empty if never.
        skeleton: The SHA-256 of the file as it was handed out.
        more: What a newer version has noted.
    """

    points: float = 0.0
    passed: dict[str, str] = field(default_factory=dict)
    hints: int = 0
    gave_up: bool = False
    checks: int = 0
    first: str = ""
    last: str = ""
    solved: str = ""
    skeleton: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All that is not as it is for an exercise nobody has looked at."""
        told = {name: value for name, value in vars(self).items() if name != "more" and value != getattr(Entry(), name)}
        return {**self.more, **told}

    @classmethod
    def from_json(cls, told: Any) -> Entry:
        """What is noted, without what is no entry: somebody may have edited it."""
        entry = cls()
        for name, value in told.items() if isinstance(told, dict) else ():
            ours = getattr(entry, name, None)
            if name == "more" or name not in vars(entry):
                entry.more[name] = value
            elif isinstance(ours, bool) or not isinstance(ours, int | float):
                if type(value) is type(ours):
                    setattr(entry, name, value)
            elif isinstance(value, int | float) and math.isfinite(value) and value >= 0:
                setattr(entry, name, type(ours)(value))
        entry.passed = {k: v for k, v in entry.passed.items() if isinstance(v, str)}
        return entry

    def absorb(self, other: Entry) -> None:
        """Add what was noted about the same exercise under another name."""
        self.points, self.hints = max(self.points, other.points), max(self.hints, other.hints)
        self.passed, self.more = other.passed | self.passed, other.more | self.more
        self.gave_up, self.checks = self.gave_up or other.gave_up, self.checks + other.checks
        self.first = min(filter(None, (self.first, other.first)), default="")
        self.solved = min(filter(None, (self.solved, other.solved)), default="")
        self.last, self.skeleton = max(self.last, other.last), self.skeleton or other.skeleton


class Progress:
    """The file, and how it is read and changed.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def entry(self, exercise: Exercise) -> Entry:
        """What is noted about an exercise, also under names it had before."""
        return _entry(self.read(), exercise)

    def entries(self, exercises: Iterable[Exercise]) -> dict[str, Entry]:
        """What is noted about these exercises, by name."""
        told = self.read()
        return {exercise.id: _entry(told, exercise) for exercise in exercises}

    def settings(self) -> dict[str, Any]:
        """What is noted about the folder: `catalogues` and `only`."""
        told = self.read()
        lists = {name: told.get(name) for name in ("catalogues", "only")}
        return {
            name: [v for v in old if isinstance(v, str)] if isinstance(old, list) else [] for name, old in lists.items()
        }

    @contextlib.contextmanager
    def changing(self, *exercises: Exercise) -> Iterator[list[Entry]]:
        """The entries of these exercises, to be changed inside the block; they are written at its end.

        Raises:
            OSError: If they cannot be written; the old file is untouched then.
        """
        with self.changing_all() as told:
            entries = [_entry(told, exercise) for exercise in exercises]
            yield entries
            for exercise, entry in zip(exercises, entries):
                for name in exercise.aliases:
                    told["exercises"].pop(name, None)
                told["exercises"][exercise.id] = entry.to_json()

    @contextlib.contextmanager
    def changing_all(self) -> Iterator[dict[str, Any]]:
        """All that the file holds, to be changed inside the block; keep the block short, others wait for it."""
        with _locked(self.path.with_name(_LOCK)) as alone:
            for scratch in self.path.parent.glob(f".{self.path.name}-*") if alone else ():
                scratch.unlink(missing_ok=True)  # of a process that was killed while it wrote
            told = self._read(self._set_aside)
            yield told
            self._write(told)

    def read(self) -> dict[str, Any]:
        """All that the file holds; nothing if there is none."""

        def broken(error: Exception) -> dict[str, Any]:
            with _locked(self.path.with_name(_LOCK)):
                return self._read(self._set_aside)

        return self._read(broken)

    def _read(self, broken: Callable[[Exception], dict[str, Any]]) -> dict[str, Any]:
        try:
            return _parsed(_patiently(self.path.read_bytes))
        except FileNotFoundError:
            return {"exercises": {}}
        except (ValueError, RecursionError) as error:
            return broken(error)

    def _set_aside(self, error: Exception) -> dict[str, Any]:
        """Move a file that cannot be read out of the way."""
        stem = f"{self.path.stem}.broken-{datetime.now():%Y%m%d-%H%M%S}"
        aside, number = self.path.with_name(f"{stem}.json"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{stem}-{number}.json")
        where = "it stays where it is"
        with contextlib.suppress(OSError):
            _patiently(lambda: os.replace(self.path, aside))
            where = f"it is now {aside.name}"
        told: dict[str, Any] = {"exercises": {}}
        remedy = "run `tcnn exercise check --all`, and they count again"
        with contextlib.suppress(OSError, ValueError, RecursionError):
            told, remedy = _parsed(self.path.with_name(_COPY).read_bytes()), "a copy of your progress takes its place"
        warnings.warn(
            f"{self.path} cannot be read ({error}); {where}. Your solutions are untouched; {remedy}.",
            TinygradCnnWarning,
            stacklevel=2,
        )
        with contextlib.suppress(OSError):
            self._write(told)
        return told

    def _write(self, told: dict[str, Any]) -> None:
        from tinygrad_cnn.training.storage import write_file

        known = told.get("format")
        head = {"about": ABOUT, "format": max(FORMAT, known) if isinstance(known, int) else FORMAT}
        text = json.dumps(
            {**head, "version": __version__, **_without(told, "about", "format", "version")},
            indent=1,
            ensure_ascii=False,
        )
        content = f"{text}\n".encode(errors="backslashreplace")  # half a character is written as JSON writes it
        _patiently(lambda: write_file(self.path, content))
        with contextlib.suppress(OSError):
            write_file(self.path.with_name(_COPY), content)


def now() -> str:
    """The time as it is noted."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _parsed(content: bytes) -> dict[str, Any]:
    told = json.loads(content)
    if not isinstance(told, dict):
        raise ValueError("it does not begin with {")
    if not isinstance(told.get("exercises"), dict):
        told["exercises"] = {}
    return told


def _entry(told: dict[str, Any], exercise: Exercise) -> Entry:
    entry = Entry.from_json(told["exercises"].get(exercise.id))
    for name in exercise.aliases:
        if name in told["exercises"]:
            entry.absorb(Entry.from_json(told["exercises"][name]))
    return entry


def _without(told: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def _patiently(action: Callable[[], Any]) -> Any:
    """Do it, on Windows again and again for a while: others may hold the file open for a moment."""
    deadline = time.monotonic() + (PATIENCE if _WINDOWS else 0.0)
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Keep other processes out; whether they are.

    The system lets go of the lock when the process ends, however it ends. Where there is no locking, on some network
    drives, or nothing can be written, or somebody keeps the lock for ever, it goes on without.
    """
    try:
        file = open(path, "ab")  # noqa: SIM115 - what goes wrong inside the block is not ours
    except OSError:
        yield False
        return
    with file:
        deadline = time.monotonic() + PATIENCE
        while (got := _lock(file.fileno())) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        yield bool(got)


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was got; None if somebody else has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return None
    except OSError:
        return False
    return True
