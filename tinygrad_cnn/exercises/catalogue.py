"""The exercises: read from one folder each, so that a teacher adds one by adding a folder."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import itertools
import json
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_cnn.exercises import sources
from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.exercises.sources import CatalogueError

HERE = Path(__file__).parent
TASKS = HERE / "tasks"
SEED = 20261  # of the cases; `grade` may choose another
TEXT, TEXTS, TABLE, TABLES = "a text", "a list of texts", "a table", "a list of tables, [[…]], one at least"
POSITIVE, POINTS = "a number above 0", "a number, 0 or more"
PAIRS = "a list of pairs of texts, [[find, replace], …]"


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


_IS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str) and bool(value.strip()),
    TEXTS: _is_texts,
    TABLE: lambda value: isinstance(value, dict),
    TABLES: lambda value: isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value),
    POSITIVE: lambda value: _is_number(value) and value > 0,
    POINTS: _is_number,
    PAIRS: lambda value: isinstance(value, list) and all(_is_texts(pair) and len(pair) == 2 for pair in value),
}
#: What may stand in an exercise.toml.
_EXERCISE = {
    "title": TEXT, "intro": TEXT, "tutorial": TEXT, "hints": TEXTS, "functions": TABLES, "allow": TEXTS,
    "aliases": TEXTS, "time_limit": POSITIVE, "rtol": POINTS, "atol": POINTS, "imports": TEXTS,
}  # fmt: skip
_FUNCTION = {
    "name": TEXT, "solution": TEXT, "points": POINTS, "returns": TEXTS, "changes": TEXTS, "mistakes": TABLES,
    "rival": TABLE, "kernel": TEXT,
}  # fmt: skip
_RIVAL = {"name": TEXT, "solution": TEXT, "times": POSITIVE}
_MISTAKE = {"id": TEXT, "change": PAIRS, "body": TEXT, "says": TEXT, "hint": TEXT, "tutorial": TEXT, "both": TEXTS}


@dataclass(frozen=True)
class Mistake:
    """A typical wrong version of a function: the solution with one slip in it.

    Attributes:
        id: Its name, one per function.
        says: What the student is told, one or two sentences.
        hint: What to look at next.
        tutorial: The section to read.
        change: (find, replace) pairs that turn the solution into it.
        body: Instead of change, the whole body.
        both: Names of two others it is the same as at once, if it is.
    """

    id: str
    says: str
    hint: str
    tutorial: str
    change: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    both: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rival:
    """A function a student's is compared with in speed, which is never a matter of points.

    Attributes:
        name: What it is called: "im2col".
        solution: Where it is, as in `Task`.
        times: A star for a function that takes at most this many times as long.
    """

    name: str
    solution: str
    times: float


@dataclass(frozen=True)
class Task:
    """One function of an exercise.

    Attributes:
        name: The function's.
        solution: `package.module:function`, or `solution.py:function` in the exercise's folder.
        points: For getting it right.
        returns: Names of what it returns, for messages: `("dx", "dweight", "dbias")`; one name: no tuple.
        changes: Names of the arguments it is to change in place; every other one must stay as it was.
        mistakes: Its wrong versions.
        rival: What its speed is compared with, on the case that `speed(rng)` of cases.py gives.
        kernel: The kernel it can stand in for as it is, see `plugin`; for others there are adapters.
    """

    name: str
    solution: str
    points: float
    returns: tuple[str, ...]
    changes: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    rival: Rival | None = None
    kernel: str = ""

    def mistake(self, id: str) -> Mistake:
        """The wrong version of this name."""
        return next(m for m in self.mistakes if m.id == id)


@dataclass(frozen=True)
class Exercise:
    """An exercise: one file of the student's, with one function or a few.

    Attributes:
        id: Its folder's name.
        number: Its place in the course, from 1.
        folder: Where its data lie.
        title: A few words.
        intro: What is to be done, at the top of the student's file.
        tutorial: The section of the tutorials it belongs to.
        hints: Three: the idea, where to look, pseudo-code.
        tasks: Its functions by name.
        allow: Modules a student may import besides NumPy and the standard library.
        imports: Lines of import at the top of the student's file, besides NumPy's.
        aliases: Names it had in earlier versions, so that progress is kept.
        time_limit: Seconds for all calls together.
        rtol, atol: Tolerances in float64, see `wire.same`.
    """

    id: str
    number: int
    folder: Path
    title: str
    intro: str
    tutorial: str
    hints: tuple[str, str, str]
    tasks: Mapping[str, Task]
    allow: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    time_limit: float = 10.0
    rtol: float = 1e-7
    atol: float = 1e-9
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def points(self) -> float:
        """Of all its functions together."""
        return sum(task.points for task in self.tasks.values())

    @property
    def file(self) -> str:
        """What the student's file is called: `12_conv_forward.py`."""
        return f"{self.number:02}_{self.id}.py"

    # ---- what is made of the solution

    def text(self, function: str) -> str:
        """A function's solution."""
        return sources.definition(self.tasks[function].solution, self.folder)[0]

    def solution(self) -> str:
        """The text of a file that solves the exercise."""
        return self._file()

    def skeleton(self) -> str:
        """The text of the file a student begins with."""
        from tinygrad_cnn.exercises.skeletons import skeleton

        return skeleton(self)

    def wrong_text(self, function: str, *mistakes: str) -> str:
        """The text of a file in which one function has these mistakes, and the others are right."""
        text = self.text(function)
        for id in mistakes:
            mistake = self.tasks[function].mistake(id)
            place = f"{self.folder / 'exercise.toml'}: mistake {id!r} of {function}"
            if mistake.body is not None:
                text = sources.with_body(text, mistake.body)
            else:
                text = sources.with_changes(text, mistake.change, place)
        return self._file({function: text})

    def _file(self, changed: Mapping[str, str] | None = None) -> str:
        solutions = {task.name: task.solution for task in self.tasks.values()}
        return "\n".join([*self.imports, ""] if self.imports else []) + sources.standalone(
            solutions, self.folder, changed
        )

    def function(self, name: str, *mistakes: str) -> Callable[..., Any]:
        """A function's solution, or a wrong version of it, to be called."""
        key = "\0".join((name, *mistakes))
        if key not in self._cache:
            try:
                self._cache[key] = sources.compiled(self.wrong_text(name, *mistakes), name)
            except CatalogueError:
                raise
            except Exception as error:
                what = f"mistake {' and '.join(map(repr, mistakes))} of {name}" if mistakes else f"solution of {name}"
                line = f" in `{error.text.strip()}`" if isinstance(error, SyntaxError) and error.text else ""
                told = f"{type(error).__name__}: {getattr(error, 'msg', error)}{line}"
                raise CatalogueError(f"{self.folder / 'exercise.toml'}: {what} cannot be loaded: {told}") from None
        return self._cache[key]

    def pairs(self, function: str) -> list[tuple[str, str]]:
        """Pairs of mistakes that can be made at once: those that change different places of the solution."""
        key = f"pairs of {function}"
        if key not in self._cache:
            changes = [mistake.id for mistake in self.tasks[function].mistakes if mistake.body is None]
            both = itertools.combinations(changes, 2)
            self._cache[key] = [pair for a, b in both for pair in ((a, b), (b, a)) if self._fit(function, *pair)]
            # where both orders fit, they make the same text
            self._cache[key] = [p for i, p in enumerate(self._cache[key]) if p[::-1] not in self._cache[key][:i]]
        return self._cache[key]

    def _fit(self, function: str, *mistakes: str) -> bool:
        """Whether a function can have these mistakes at once."""
        try:
            self.function(function, *mistakes)
        except CatalogueError:
            return False
        apart = [sources.words(self.wrong_text(function, id)) for id in mistakes]
        return sources.words(self.wrong_text(function, *mistakes)) <= frozenset().union(*apart)  # no name is torn

    # ---- cases

    @functools.cached_property
    def _script(self) -> ModuleType:
        path = self.folder / "cases.py"
        if not path.exists():
            raise CatalogueError(f"{path} does not exist: it must define cases(rng), see the instructors' guide")
        spec = importlib.util.spec_from_file_location(f"tinygrad_cnn_exercise_{self.id}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        self._do(spec.loader.exec_module, module)
        if not hasattr(module, "cases"):
            raise CatalogueError(f"{path}: there is no function cases(rng) in it, see the instructors' guide")
        return module

    def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a teacher's code."""
        path = self.folder / "cases.py"
        try:
            return function(*args)
        except Exception as error:
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
            place = f"{path}, line {line}" if line else f"{path}: {function.__name__}"
            raise CatalogueError(f"{place}: {type(error).__name__}: {getattr(error, 'msg', error)}") from None

    def _made(self, name: str, seed: int) -> list[Any]:
        """What `cases(rng)` or `laws(rng)` gives."""
        make = getattr(self._script, name, None)
        made = () if make is None else self._do(make, np.random.default_rng(seed))
        if not isinstance(made, Sequence):
            raise CatalogueError(f"{self.folder / 'cases.py'}: {name}(rng) returned {made!r}; it must return a list")
        return list(made)

    def _valid(self, case: Any) -> Case:
        """A case, if its function can be called with it, in the student's process as well."""
        place = f"{self.folder / 'cases.py'}: "
        if not isinstance(case, Case):
            raise CatalogueError(f"{place}{case!r} is no Case(function, args, label)")
        place += f"the case {case.label!r} of {case.function}: " if case.label else f"a call of {case.function}: "
        if case.function not in self.tasks:
            raise CatalogueError(
                f"{place}there is no such function in exercise.toml; there are {', '.join(self.tasks)}"
            )
        if case.kind not in ("function", "module"):
            raise CatalogueError(f"{place}its kind is {case.kind!r}; it must be 'function' or 'module'")
        if not isinstance(case.args, tuple):
            raise CatalogueError(f"{place}its arguments must be a tuple, such as (x,)")
        try:
            told = wire.write(case.args)["value"]
            if case.kind == "function":
                inspect.signature(self.function(case.function)).bind(*case.args)
        except (MemoryError, TypeError) as error:
            raise CatalogueError(f"{place}{error}") from None
        if '{"$other": ' in json.dumps(told):
            raise CatalogueError(
                f"{place}one of its arguments cannot be sent to the student's process; what can is arrays of numbers, "
                "numbers, None, texts, and tuples, lists and dicts of these, Node and Random"
            )
        return case

    def cases(self, seed: int = SEED) -> list[Case]:
        """The calls a student's functions are tried with, the smallest of each function first.

        Raises:
            CatalogueError: If there are none, or they are not as they should be.
        """
        cases = [self._valid(case) for case in self._made("cases", seed)]
        for name in self.tasks:
            if not any(case.function == name for case in cases):
                raise CatalogueError(f"{self.folder / 'cases.py'}: cases(rng) gives no Case for {name}; add one")
        return cases

    def laws(self, seed: int = SEED) -> list[Law]:
        """Sentences that are true of the right functions."""
        laws = self._made("laws", seed)
        for law in laws:
            if not isinstance(law, Law):
                raise CatalogueError(
                    f"{self.folder / 'cases.py'}: laws(rng): {law!r} is no Law(function, says, calls, holds)"
                )
            for args in law.calls:
                self._valid(Case(law.function, args))
        return laws

    def agrees(self, case: Case, got: Any, want: Any) -> bool | None:
        """Whether a result is right, where several are; None: if it is the solution's."""
        judge = getattr(self._script, "agrees", None)
        return None if judge is None else self._do(judge, case, got, want)

    def speed(self, function: str, seed: int = SEED) -> Case | None:
        """A case large enough to measure time with."""
        make = getattr(self._script, "speed", None)
        case = None if make is None else self._valid(self._do(make, np.random.default_rng(seed)))
        return case if case is not None and case.function == function else None

    def where(self, case: Case, part: str, index: tuple[int, ...]) -> str:
        """What a wrong number should have been computed from, if the exercise can tell."""
        tell = getattr(self._script, "where", None)
        return "" if tell is None else str(self._do(tell, case, part, index) or "")


class Catalogue(Mapping[str, Exercise]):
    """Exercises by name, in the order of the course.

    Args:
        *folders: Where further exercises lie, a folder each; one with the name of a built-in exercise takes its place.
        only: Names of those wanted; all if empty.

    Raises:
        CatalogueError: If an exercise's files are not as they should be.
    """

    def __init__(self, *folders: Path, only: Sequence[str] = ()) -> None:
        order = tomllib.loads((HERE / "catalogue.toml").read_text(encoding="utf-8"))["order"]
        found: dict[str, Path] = {}
        for place in (TASKS, *folders):
            if (place / "exercise.toml").exists():
                found[place.resolve().name] = place
                continue
            inside = sorted(p for p in place.iterdir() if (p / "exercise.toml").exists()) if place.is_dir() else []
            if not inside and place != TASKS:
                raise CatalogueError(f"{place}: there is no exercise in this folder, that is no */exercise.toml")
            found |= {path.name: path for path in inside}
        ids = [*(id for id in order if id in found), *(id for id in found if id not in order)]
        numbers = {id: number for number, id in enumerate([*order, *(id for id in ids if id not in order)], start=1)}
        self._paths = {id: found[id] for id in ids}
        self._numbers = numbers
        self._read: dict[str, Exercise] = {}
        unknown = [id for id in only if id not in self._paths]
        if unknown:
            self.named(unknown[0])
        if only:
            self._paths = {id: path for id, path in self._paths.items() if id in only}

    def __getitem__(self, id: str) -> Exercise:
        if id not in self._read:
            self._read[id] = read(self._paths[id], self._numbers[id])
        return self._read[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def named(self, name: str) -> Exercise:
        """The exercise a student means by a name, a number, a former name, or its file's name.

        Raises:
            CatalogueError: If there is none; the message names the nearest.
        """
        word = _plain(Path(name).name.removesuffix(".py"))
        head, _, tail = word.partition("_")
        if head.isdigit() and tail:
            word = tail
        for id in self:
            if word == _plain(id) or (word.isdigit() and int(word) == self._numbers[id]):
                return self[id]
        for exercise in self.values():
            if word in map(_plain, (*exercise.aliases, *exercise.tasks)):
                return exercise
        near = difflib.get_close_matches(word, self, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? All" if near else "all"
        raise CatalogueError(f"there is no exercise {name!r}; {meant} of them: {', '.join(self)}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def read(folder: Path, number: int) -> Exercise:
    """An exercise from its folder."""
    path = folder / "exercise.toml"
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: {error}") from None
    _known(path, "the exercise", told, _EXERCISE, ("title", "intro", "tutorial", "hints", "functions"))
    hints = told["hints"]
    if len(hints) != 3 or not all(hint.strip() for hint in hints):
        raise CatalogueError(f"{path}: hints must be three texts: the idea, where to look, pseudo-code")
    tasks = {}
    for entry in told.pop("functions"):
        _known(path, "a function", entry, _FUNCTION, ("name", "solution", "points"))
        name = entry["name"]
        if name != entry["solution"].partition(":")[2] or not name.isidentifier():
            raise CatalogueError(
                f'{path}: the solution of {name} is {entry["solution"]!r}; it must be "package.module:{name}", or '
                f'"solution.py:{name}" in the exercise\'s folder'
            )
        if name in tasks:
            raise CatalogueError(f"{path}: there are two functions named {name}")
        tasks[entry["name"]] = Task(
            entry["name"],
            entry["solution"],
            entry["points"],
            tuple(entry.get("returns", ("y",))),
            tuple(entry.get("changes", ())),
            tuple(_mistake(path, m, told["tutorial"]) for m in entry.get("mistakes", ())),
            _rival(path, entry.get("rival")),
            entry.get("kernel", ""),
        )
        ids = [m.id for m in tasks[entry["name"]].mistakes]
        if twice := {id for id in ids if ids.count(id) > 1}:
            raise CatalogueError(f"{path}: {entry['name']} has two mistakes named {twice.pop()!r}; names must differ")
        for mistake in tasks[name].mistakes:
            if unknown := [id for id in mistake.both if id not in ids]:
                raise CatalogueError(f"{path}: mistake {mistake.id!r}: both names {unknown[0]!r}, which does not exist")
    lists: dict[str, Any] = {
        key: tuple(told.pop(key)) for key in ("hints", "allow", "imports", "aliases") if key in told
    }
    texts = {key: " ".join(told[key].split()) for key in ("title", "tutorial")}
    return Exercise(id=folder.resolve().name, number=number, folder=folder, tasks=tasks, **{**told, **texts}, **lists)


def _mistake(path: Path, entry: dict[str, Any], tutorial: str) -> Mistake:
    _known(path, "a mistake", entry, _MISTAKE, ("id", "says", "hint"))
    if ("change" in entry) == ("body" in entry):
        raise CatalogueError(f"{path}: mistake {entry['id']!r} must have either change = [[find, replace]] or a body")
    change = tuple((find, replace) for find, replace in entry.get("change", ()))
    both = tuple(entry.get("both", ()))
    says, hint = (" ".join(entry[key].split()) for key in ("says", "hint"))
    return Mistake(entry["id"], says, hint, entry.get("tutorial", tutorial), change, entry.get("body"), both)


def _rival(path: Path, entry: dict[str, Any] | None) -> Rival | None:
    if entry is None:
        return None
    _known(path, "a rival", entry, _RIVAL, tuple(_RIVAL))
    return Rival(**entry)


def _known(path: Path, what: str, given: Mapping[str, Any], allowed: Mapping[str, str], needed: Sequence[str]) -> None:
    """Refuse settings that nobody reads or that are of the wrong kind, and say which are missing."""
    for key, value in given.items():
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            raise CatalogueError(
                f"{path}: {what} has an unknown entry {key!r}{f'; did you mean {near[0]}?' if near else ''}"
            )
        if not _IS[allowed[key]](value):
            raise CatalogueError(f"{path}: {what}: {key} must be {allowed[key]}; it is {value!r:.80}")
    for key in needed:
        if key not in given:
            raise CatalogueError(f"{path}: {what} needs an entry {key!r}")


@functools.lru_cache(maxsize=8)
def catalogue(*folders: Path, only: tuple[str, ...] = ()) -> Catalogue:
    """The built-in exercises and those in further folders."""
    return Catalogue(*folders, only=only)
