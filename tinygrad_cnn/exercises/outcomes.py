"""What came of calls: of a student's function, of the solution, of the wrong versions; and whether it is the same."""

from __future__ import annotations

import difflib
import inspect
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_cnn.exercises.cases import Case
from tinygrad_cnn.exercises.catalogue import SEED, Exercise, Task
from tinygrad_cnn.exercises.sandbox import Call, wire
from tinygrad_cnn.exercises.sources import CatalogueError

ROUNDING = {"float32": (1e-4, 1e-5), "float16": (5e-2, 1e-2)}  # of numbers that are not float64
Gist = tuple[str, float, float]


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    Attributes:
        value: What was returned.
        after: The arguments as the call left them.
        raised: The exception, as `wire.raised` tells it; None if there was none.
        seconds: It took.
    """

    value: Any = None
    after: tuple[Any, ...] = ()
    raised: dict[str, Any] | None = None
    seconds: float = 0.0


def outcome(told: dict[str, Any] | None) -> Outcome | None:
    """The outcome of what `wire.invoke` tells; None if the call did not come to its end.

    Raises:
        ValueError: If it tells no such thing.
    """
    if told is None:
        return None
    try:
        seconds = float(told["seconds"])
        if "raised" in told:
            raised = {"type": "?", "types": [], "text": "", "places": [], **told["raised"]}
            return Outcome(raised=raised, seconds=seconds)
        value, after = wire.read(told["returned"])
        return Outcome(value, tuple(after), None, seconds)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an outcome: {error}") from None


class Expected:
    """The right outcomes of an exercise's calls, and those of its wrong versions, computed once and when asked for.

    Attributes:
        exercise: Whose.
        cases: What its functions are tried with.
        laws: What they obey.
        calls: The cases, as they are sent.
        law_calls: The calls of all laws, likewise.
    """

    def __init__(self, exercise: Exercise, seed: int = SEED) -> None:
        self.exercise = exercise
        self.cases = exercise.cases(seed)
        self.laws = exercise.laws(seed)
        self._known: dict[tuple[int, str, tuple[str, ...]], Outcome] = {}
        self._gists: dict[int, Gist] = {}  # by the identity of the outcomes in _known
        self._parameters: dict[str, list[str]] = {}
        self.calls = [_call(case) for case in self.cases]
        self.law_calls = [_call(Case(law.function, args)) for law in self.laws for args in law.calls]

    def of(self, function: str) -> list[Case]:
        """The cases of one function."""
        return [case for case in self.cases if case.function == function]

    def outcomes(self, function: str, *mistakes: str) -> Iterator[Outcome]:
        """What the solution, or a wrong version of it, makes of the cases, one after the other."""
        for number, case in enumerate(self.cases):
            if case.function == function:
                key = (number, function, mistakes)
                if key not in self._known:
                    made = self.exercise.function(function, *mistakes)
                    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                        told = outcome(wire.invoke(made, self.calls[number].message, case.kind))
                    assert told is not None
                    self._known[key] = told
                yield self._known[key]

    def right(self, function: str) -> list[Outcome]:
        """What the solution makes of the cases."""
        return list(self.outcomes(function))

    def matches(self, function: str, got: Sequence[Outcome], pairs: bool) -> list[tuple[str, ...]]:
        """The wrong versions that make the same of all cases; or the pairs of them."""
        task, cases, right = self.exercise.tasks[function], self.of(function), self.right(function)
        wrong = sum(
            not (a.raised or self.is_right(task, case, a, b, formats=False)) for case, a, b in zip(cases, got, right)
        )
        if pairs and not wrong:
            return []  # an exception alone does not tell of two mistakes
        candidates = self.exercise.pairs(function) if pairs else [(m.id,) for m in task.mistakes]
        # what changes its arguments may return anything
        compared = [replace(a, value=None) if task.changes and b.value is None else a for a, b in zip(got, right)]
        gists = [_gist(o, self._changed(task, o)) for o in compared]
        # an exception's words depend on the style; they count only where wrong numbers do not tell enough
        alike = self._alike_but_for_words if wrong > pairs else self.alike
        return [
            ids
            for ids in candidates
            # most differ in one of the first cases, so the others are not even computed
            if all(
                _near(gist, self._gist(task, o)) and (gist[2] or alike(task, case, a, o))  # no numbers: look at once
                for gist, case, a, o in zip(gists, cases, got, self.outcomes(function, *ids))
            )
            and all(alike(task, *of) for of in zip(cases, got, self.outcomes(function, *ids)))
        ]

    def _alike_but_for_words(self, task: Task, case: Case, got: Outcome, want: Outcome) -> bool:
        if got.raised and want.raised:
            return bool(got.raised["type"] == want.raised["type"])
        return self.alike(task, case, got, want)

    def _gist(self, task: Task, known: Outcome) -> Gist:
        if id(known) not in self._gists:
            self._gists[id(known)] = _gist(known, self._changed(task, known))
        return self._gists[id(known)]

    def alike(
        self,
        task: Task,
        case: Case,
        got: Outcome,
        want: Outcome,
        formats: bool = False,
        tolerance: tuple[float, float] = (0.0, 0.0),
    ) -> bool:
        """Whether two outcomes say the same: results and arguments to be changed; number formats only if asked for."""
        if got.raised or want.raised:
            return bool(got.raised and want.raised and self._same_error(task, got.raised, want.raised))
        several = list(zip(self._changed(task, got), self._changed(task, want)))
        if not (several and want.value is None):  # what changes its arguments may also return them
            several.append((got.value, want.value))
        return all(self.same(a, b, formats, tolerance) for a, b in several)

    def same(self, got: Any, want: Any, formats: bool = False, tolerance: tuple[float, float] = (0.0, 0.0)) -> bool:
        """Whether two values are the same, within the tolerance of the less precise one; a list will do for a tuple."""
        tolerance = max(tolerance, rounding(got, want, self.exercise.rtol, self.exercise.atol))
        return wire.same(in_format_of(got, want, whole_only=formats), want, *tolerance)

    def _same_error(self, task: Task, a: dict[str, Any], b: dict[str, Any]) -> bool:
        """The same exception with nearly the same text (NumPy's names the shapes)."""
        if a["type"] == b["type"] == "RecursionError":
            return True  # its text depends on where the limit was met
        if a["type"] != b["type"]:
            return False
        wanted = any(o.raised and o.raised["type"] == a["type"] for o in self.right(task.name))
        return wanted or difflib.SequenceMatcher(None, a["text"], b["text"]).ratio() > 0.9  # wanted: words are free

    def is_right(
        self,
        task: Task,
        case: Case,
        got: Outcome,
        want: Outcome,
        formats: bool = True,
        tolerance: tuple[float, float] = (0.0, 0.0),
    ) -> bool:
        """Whether an outcome is right; where the solution raises, so must the student's function."""
        if want.raised:
            return bool(got.raised and want.raised["type"] in got.raised["types"])
        if got.raised:
            return False
        try:
            judged = self.exercise.agrees(case, got.value, want.value)
        except CatalogueError:  # it did not expect such a result
            return False
        return self.alike(task, case, got, want, formats, tolerance) if judged is None else bool(judged)

    def _changed(self, task: Task, outcome: Outcome) -> list[Any]:
        """What the call was to change in place: of a graph, the gradient of every node."""
        changed = [a for name, a in zip(self.parameters(task), outcome.after) if name in task.changes]
        return [[n.grad for n in wire.graph(a)] if isinstance(a, wire.Node) else a for a in changed]

    def parameters(self, task: Task) -> list[str]:
        """The names of a function's arguments."""
        if task.name not in self._parameters:
            self._parameters[task.name] = list(inspect.signature(self.exercise.function(task.name)).parameters)
        return self._parameters[task.name]


def _call(case: Case) -> Call:
    return Call(case.function, wire.write(case.args), case.kind)


def _gist(o: Outcome, changed: Sequence[Any]) -> Gist:
    """What outcomes that are alike have in common, quickly compared: the exception, a weighted sum of the numbers."""
    if o.raised:
        return o.raised["type"], 0.0, 0.0
    several = [part if isinstance(part, tuple | list) else (part,) for part in (o.value, *changed)]
    parts = map(array_of, itertools.chain.from_iterable(several))
    numbers = [part.ravel().astype("float64") for part in parts if part is not None]
    line = np.concatenate(numbers) if numbers else np.zeros(1)
    terms = np.where(np.abs(line) < 1e100, line, 0) * np.arange(1, line.size + 1)
    return "", float(terms.sum()), float(np.abs(terms).sum())


def _near(a: Gist, b: Gist) -> bool:
    return a[0] == b[0] and abs(a[1] - b[1]) <= 1e-3 + 1e-4 * (a[2] + b[2])


def untouched(before: Any, after: Any) -> bool:
    """Whether an argument is as it was before the call; of a graph, whether all nodes have their parents."""
    if isinstance(before, wire.Node) and isinstance(after, wire.Node):
        both = wire.graph(before), wire.graph(after)  # as they are now: in the order of their parents
        return [[p.name for p in n.parents] for n in both[0]] == [[p.name for p in n.parents] for n in both[1]]
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(map(untouched, before, after))
    return wire.same(after, before, 0.0, 0.0)


def as_before(before: Any, after: Any) -> bool:
    """Whether what was to be changed was not: an array, or the gradients of a graph."""
    if isinstance(before, wire.Node) and isinstance(after, wire.Node):
        return all(node.grad is None for node in wire.graph(after))
    return untouched(before, after)


def array_of(value: Any) -> Any:
    """The numbers of a value; None if it has none, or one that no format can hold, such as 10**30."""
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | float | int) else None
    return array if array is not None and array.dtype.kind in "fiub" else None


def in_format_of(a: Any, b: Any, whole_only: bool = False) -> Any:
    """The value a with the number formats of b, if that changes no number; with `whole_only` int32 to int64 only."""
    if isinstance(b, tuple | list) and isinstance(a, tuple | list) and len(a) == len(b):
        return type(b)(in_format_of(x, y, whole_only) for x, y in zip(a, b))
    source, target = array_of(a), array_of(b)
    if source is None or target is None or source.shape != target.shape:
        return a
    kinds = source.dtype.kind, target.dtype.kind
    if whole_only and not set(kinds) <= set("iu"):
        return a
    with np.errstate(all="ignore"):
        if kinds[1] != "f" and kinds[0] == "f":
            whole = np.rint(source)
            source = whole if np.abs(source - whole).max(initial=0) < 1e-6 else source
        converted = source.astype(target.dtype)
        return converted if kinds[1] == "f" or np.array_equal(source, converted) else a  # 2.5 is no whole number


def rounding(a: Any, b: Any, rtol: float, atol: float) -> tuple[float, float]:
    """Tolerances for results like a and b."""
    if isinstance(b, tuple | list):
        parts = a if isinstance(a, tuple | list) and len(a) == len(b) else b
        return max([rounding(x, y, rtol, atol) for x, y in zip(parts, b)], default=(rtol, atol))
    return max(ROUNDING.get(format_of(value), (rtol, atol)) for value in (a, b))


def format_of(value: Any) -> str:
    """The number format of a value, "float32"; of what has none, its type's name."""
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype)
    return type(value).__name__
