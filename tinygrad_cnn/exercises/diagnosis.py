"""What is wrong with a function, in words: its outcomes held against the solution's and those of all wrong versions.

The order of the questions: is it there, is it written yet, does it take the arguments → are the numbers right but not
their format, or was an argument changed → does it do what exactly one wrong version does, or two at once → did it
raise, did it return something else, are shapes wrong → is a law broken → the smallest case that fails, its first wrong
number, and what that should have been computed from.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.exercises.catalogue import SEED, Exercise, Task
from tinygrad_cnn.exercises.sandbox import wire

ROUNDING = {"float32": (1e-4, 1e-5), "float16": (5e-2, 1e-2)}  # of numbers that are not float64
SHOWN = 12  # numbers of an array that are written out
Gist = tuple[str, float, float]


@dataclass(frozen=True)
class Finding:
    """What is wrong, for a student to read.

    Attributes:
        kind: "todo" (not written yet), "missing", "signature", "raised", "returned" (nothing, or no array), "shape",
            "dtype", "changed" (an argument was modified), "mistake", "looks-like", "law", "value"; of the whole file
            those of `sandbox.Problem`.
        says: One or two sentences.
        hint: What to look at next.
        tutorial: The section to read.
        mistakes: Names of the typical mistakes it is, or looks like.
        detail: Further lines: the call, the first wrong number, where it comes from.
    """

    kind: str
    says: str
    hint: str = ""
    tutorial: str = ""
    mistakes: tuple[str, ...] = ()
    detail: str = ""


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
    """The right outcomes of an exercise's calls, and those of its wrong versions, computed once and when asked for."""

    def __init__(self, exercise: Exercise, seed: int = SEED) -> None:
        self.exercise = exercise
        self.cases = exercise.cases(seed)
        self.laws = exercise.laws(seed)
        self._known: dict[tuple[int, str, tuple[str, ...]], Outcome] = {}
        self._gists: dict[int, Gist] = {}  # by the identity of the outcomes in _known
        self._parameters: dict[str, list[str]] = {}
        self._written = [wire.write(case.args) for case in self.cases]

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
                        told = outcome(wire.invoke(made, self._written[number], case.kind))
                    assert told is not None
                    self._known[key] = told
                yield self._known[key]

    def right(self, function: str) -> list[Outcome]:
        """What the solution makes of the cases."""
        return list(self.outcomes(function))

    def matches(self, function: str, got: Sequence[Outcome], pairs: bool) -> list[tuple[str, ...]]:
        """The wrong versions that make the same of all cases; or the pairs of them."""
        task, cases = self.exercise.tasks[function], self.of(function)
        candidates = self.exercise.pairs(function) if pairs else [(m.id,) for m in task.mistakes]
        gists = [_gist(o, self._changed(task, o)) for o in got]
        # an exception's words depend on the style; they count only where there is nothing else to go by
        alike = self.alike if all(o.raised for o in got) else self._alike_but_for_words
        return [
            ids
            for ids in candidates
            # most differ in one of the first cases, so the others are not even computed
            if all(_near(gist, self._gist(task, o)) for gist, o in zip(gists, self.outcomes(function, *ids)))
            and all(alike(task, *compared) for compared in zip(cases, got, self.outcomes(function, *ids)))
        ]

    def _alike_but_for_words(self, task: Task, case: Case, got: Outcome, want: Outcome) -> bool:
        if got.raised and want.raised:
            return bool(got.raised["type"] == want.raised["type"])
        return self.alike(task, case, got, want)

    def _gist(self, task: Task, known: Outcome) -> Gist:
        if id(known) not in self._gists:
            self._gists[id(known)] = _gist(known, self._changed(task, known))
        return self._gists[id(known)]

    def alike(self, task: Task, case: Case, got: Outcome, want: Outcome, formats: bool = False) -> bool:
        """Whether two outcomes say the same: results and arguments to be changed; number formats only if asked for."""
        if got.raised or want.raised:
            return bool(got.raised and want.raised and _same_error(got.raised, want.raised))
        rtol, atol = self.exercise.rtol, self.exercise.atol
        value = got.value
        if isinstance(value, list | tuple) and isinstance(want.value, list | tuple):
            value = type(want.value)(value)  # results may come in a list as well
        for a, b in [(value, want.value), *zip(self._changed(task, got), self._changed(task, want))]:
            if not formats:
                a = _in_format_of(a, b)
            if not wire.same(a, b, *_rounding(b, rtol, atol)):
                return False
        return True

    def is_right(self, task: Task, case: Case, got: Outcome, want: Outcome, formats: bool = True) -> bool:
        """Whether an outcome is right; where the solution raises, so must the student's function."""
        if want.raised:
            return bool(got.raised and want.raised["type"] in got.raised["types"])
        if got.raised:
            return False
        judged = self.exercise.agrees(case, got.value, want.value)
        return self.alike(task, case, got, want, formats) if judged is None else bool(judged)

    def _changed(self, task: Task, outcome: Outcome) -> list[Any]:
        """What the call was to change in place: of a graph, the gradient of every node."""
        changed = [a for name, a in zip(self.parameters(task), outcome.after) if name in task.changes]
        return [[n.grad for n in wire.graph(a)] if isinstance(a, wire.Node) else a for a in changed]

    def parameters(self, task: Task) -> list[str]:
        """The names of a function's arguments."""
        if task.name not in self._parameters:
            self._parameters[task.name] = list(inspect.signature(self.exercise.function(task.name)).parameters)
        return self._parameters[task.name]


def _gist(o: Outcome, changed: Sequence[Any]) -> Gist:
    """What outcomes that are alike have in common, quickly compared: the exception, a weighted sum of the numbers."""
    if o.raised:
        return o.raised["type"], 0.0, 0.0
    several = [part if isinstance(part, tuple | list) else (part,) for part in (o.value, *changed)]
    parts = itertools.chain.from_iterable(several)
    numbers = [np.ravel(part) for part in parts if isinstance(part, np.ndarray | np.generic | float | int)]
    line = np.concatenate(numbers).astype("float64") if numbers else np.zeros(1)
    terms = np.where(np.abs(line) < 1e100, line, 0) * np.arange(1, line.size + 1)
    return "", float(terms.sum()), float(np.abs(terms).sum())


def _near(a: Gist, b: Gist) -> bool:
    return a[0] == b[0] and abs(a[1] - b[1]) <= 1e-3 + 1e-4 * (a[2] + b[2])


def diagnose(
    expected: Expected,
    function: str,
    got: Sequence[Outcome],
    lawful: Callable[[Law], bool | None] = lambda law: None,
    parameters: Sequence[str] | None = None,
) -> Finding | None:
    """What is wrong with a function; None if it is right.

    Args:
        expected: The right outcomes.
        function: Its name.
        got: Its outcomes of all its cases.
        lawful: Whether it obeys a law; None if that is not known.
        parameters: The names of its arguments in the student's file.
    """
    exercise, task = expected.exercise, expected.exercise.tasks[function]
    cases, right = expected.of(function), expected.right(function)
    names = expected.parameters(task)
    if all(o.raised and o.raised["type"] == "NotImplementedError" for o in got):
        return Finding("todo", f"{function} is still to be written.", "Replace the TODO and the line below it.")
    if parameters is not None and len(parameters) != len(names) and all(_not_called(o) for o in got):
        return Finding(
            "signature",
            f"{function} is called with {len(names)} arguments, ({', '.join(names)}); yours takes "
            f"({', '.join(parameters)}).",
            f"Its first line must be: def {function}({', '.join(names)}):",
        )
    fails = [i for i, (case, a, b) in enumerate(zip(cases, got, right)) if not expected.is_right(task, case, a, b)]
    broken = next((law for law in expected.laws if law.function == function and lawful(law) is False), None)
    if not fails:
        if broken:
            return Finding("law", broken.says, "", exercise.tutorial)
        return _changed_argument(expected, task, got)
    if all(expected.is_right(task, c, a, b, formats=False) for c, a, b in zip(cases, got, right)):
        return _wrong_format(task, cases, got, right, names, fails[0])
    for pairs in (False, True):
        ids = expected.matches(function, got, pairs)
        if ids:
            return _named(task, ids, _wrong(expected, task, fails, got, right, names))
    first = fails[0]
    detail = _call(cases[first], names)
    if got[first].raised:
        return _raised(function, got[first].raised or {}, right[first], detail)
    if right[first].raised:
        wanted = (right[first].raised or {})["type"]
        says = f"{function} must raise a {wanted} here, and returned {_short(got[first].value)}."
        hint = f"raise {wanted}(…) with a sentence that says what does not fit."
        return Finding("returned", says, hint, "", (), detail)
    odd = _odd_value(task, got[first].value, right[first].value)
    if odd:
        return Finding(*odd, exercise.tutorial, (), detail)
    if broken:
        return Finding("law", broken.says, "", exercise.tutorial, (), _wrong(expected, task, fails, got, right, names))
    right_cases = [case.label for i, case in enumerate(cases) if i not in fails and case.label]
    fine = f" It is right for: {'; '.join(right_cases[:3])}." if right_cases else ""
    says = f"{function} computes other numbers than it should in {len(fails)} of {len(cases)} cases.{fine}"
    return Finding("value", says, "", exercise.tutorial, (), _wrong(expected, task, fails, got, right, names))


def _named(task: Task, ids: list[tuple[str, ...]], detail: str) -> Finding:
    """One wrong version, or two at once, or several that cannot be told apart."""
    mistakes = list(dict.fromkeys(id for group in ids for id in group))
    told = [task.mistake(id) for id in mistakes]
    if len(ids) == 1 and len(told) == 1:
        (only,) = told
        return Finding("mistake", only.says, only.hint, only.tutorial, (only.id,), detail)
    tutorials = " · ".join(dict.fromkeys(m.tutorial for m in told))
    if len(ids) == 1:
        says = "Two things at once. " + " ".join(f"{'①②'[i]} {m.says}" for i, m in enumerate(told))
        hint = " ".join(f"{'①②'[i]} {m.hint}" for i, m in enumerate(told))
        return Finding("mistake", says, hint, tutorials, tuple(mistakes), detail)
    if len(ids[0]) == 1:
        says = "It looks like one of these: " + " Or: ".join(m.says for m in told)
    else:
        several = [" and ".join(f"“{task.mistake(id).says}”" for id in group) for group in ids[:3]]
        says = "It looks like two things at once, perhaps " + "; or ".join(several)
    return Finding("looks-like", says, told[0].hint, tutorials, tuple(mistakes), detail)


def _wrong_format(
    task: Task, cases: list[Case], got: Sequence[Outcome], right: Sequence[Outcome], names: list[str], i: int
) -> Finding:
    """All numbers are right, but float64 came back for float32, or a float for a whole number."""
    pairs = [(n, a, b) for n, a, b in _parts(task, got[i].value, right[i].value) if _format(a) != _format(b)]
    name, a, b = pairs[0] if pairs else ((*task.returns, "the result")[0], got[i].value, right[i].value)
    return Finding(
        "dtype",
        f"The numbers are right, but {name} is {_format(a)}; it must be {_format(b)}, in the format of the input.",
        "np.zeros, np.ones and np.array make float64 unless they are told otherwise: give them dtype=x.dtype.",
        "",
        (),
        _call(cases[i], names),
    )


def _changed_argument(expected: Expected, task: Task, got: Sequence[Outcome]) -> Finding | None:
    """All results are right; was an argument modified that must not be?"""
    names = expected.parameters(task)
    for case, o in zip(expected.of(task.name), got):
        for name, before, after in zip(names, case.args, o.after):
            if o.raised or name in task.changes or isinstance(before, wire.Random):
                continue
            if not _untouched(before, after):
                return Finding(
                    "changed",
                    f"The result is right, but {task.name} changed its argument {name}; whoever called it still needs "
                    "it as it was.",
                    f"Look for +=, *=, out= and {name}[…] = …; work on a copy, {name}.copy(), or make a new array.",
                    "",
                    (),
                    _call(case, names),
                )
    return None


def _untouched(before: Any, after: Any) -> bool:
    if isinstance(before, wire.Node) and isinstance(after, wire.Node):
        return len(before.parents) == len(after.parents)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(map(_untouched, before, after))
    return wire.same(after, before, 0.0, 0.0)


def _raised(function: str, raised: dict[str, Any], right: Outcome, detail: str) -> Finding:
    """An exception, with the student's line."""
    place = next((p for p in reversed(raised["places"]) if not _library(str(p[0]))), None)
    line = f" in line {place[1]}, `{place[3]}`" if place else ""
    text = str(raised["text"]).strip().split("\n")[0]
    hints = {
        "RecursionError": "Python's recursion ends after about 1,000 calls; a loop with a list as a stack does not.",
        "UnboundLocalError": "A name is used before it got a value: is it spelled the same everywhere, is the first "
        "value inside a branch?",
        "NameError": "Is the name spelled the same everywhere? Is it an argument?",
        "IndexError": "An index runs past the end of an array: print the shapes, and compare with the docstring.",
    }
    hint = hints.get(raised["type"], "")
    if not hint and any(word in text for word in ("broadcast", "shape", "aligned", "mismatch", "dimension")):
        hint = "Print the .shape of both arrays in this line, and write the axes beside them, as in (N, C, H, W)."
    wanted = f" It must raise {right.raised['type']} here." if right.raised else ""
    says = f"{function} raised {raised['type']}{f': {text}' if text else ''}{line}.{wanted}"
    return Finding("raised", says, hint, "", (), detail)


def _odd_value(task: Task, got: Any, want: Any) -> tuple[str, str, str] | None:
    """(kind, what it says, hint) if the result is of another kind or shape than it should be."""
    name = task.name
    if want is None and got is not None and task.changes:
        changes = " and ".join(task.changes)
        says = f"{name} must return nothing, but change {changes} in place; it returned {_kind(got)}."
        return "returned", says, f"{task.changes[0]} -= … and {task.changes[0]}[...] = … change an array in place."
    if got is None and want is not None:
        return "returned", f"{name} returned nothing (None).", "Is there a return at its end, at the right indentation?"
    if isinstance(want, tuple):
        parts = f"({', '.join(task.returns)})"
        if not isinstance(got, tuple | list) or len(got) != len(want):
            n = f"{len(got)} of them" if isinstance(got, tuple | list) else _kind(got)
            says = f"{name} must return {len(want)} things, {parts}; it returned {n}."
            return "returned", says, f"Its last line: return {parts[1:-1]}"
    for part, a, b in _parts(task, got, want):
        if a is None and b is not None:
            return "returned", f"{part} is None.", f"Compute {part}, and return it in its place."
        if isinstance(b, np.ndarray | np.generic | int | float) and not isinstance(b, bool):
            if not isinstance(a, np.ndarray | np.generic | int | float):
                kind = a.type if isinstance(a, wire.Other) else type(a).__name__
                return "returned", f"{part} is no array but a {kind}: {_short(a)}.", "np.array(…) makes one of a list."
            if np.shape(a) != np.shape(b):
                hint = ""
                if sorted(np.shape(a)) == sorted(np.shape(b)):
                    hint = "The sizes are right, their order is not: an axis is in the wrong place, or a .T too many."
                elif np.size(a) == np.size(b):
                    hint = "It has the right number of numbers: look at the last reshape, or at keepdims."
                says = f"{part} has shape {np.shape(a)}; it must be {np.shape(b)}."
                return "shape", says, hint or "Look at the sizes in the docstring, under Returns."
        elif isinstance(a, dict) and isinstance(b, dict):
            if not wire.same(a, b, 0.0, 0.0):
                return "returned", _other_entries(part, a, b), "Compare names and sizes with the docstring."
        elif type(a) is not type(b):
            kind = a.type if isinstance(a, wire.Other) else type(a).__name__
            says = f"{part} is a {kind}; it must be a {type(b).__name__}."
            return "returned", says, "Look at the docstring, Returns."
    return None


def _other_entries(part: str, got: dict[Any, Any], want: dict[Any, Any]) -> str:
    """Which entries of a dict are missing, too many, or different, such as the sizes of a network's parameters."""
    missing, extra = [k for k in want if k not in got], [k for k in got if k not in want]
    if missing or extra:
        sentences = [f"there is no {', no '.join(map(str, missing[:2]))}"] if missing else []
        sentences += [f"{' and '.join(map(str, extra[:2]))} should not be there"] if extra else []
        return f"{part}: {', but '.join(sentences)}."
    first = next(k for k in want if not wire.same(got[k], want[k], 0.0, 0.0))
    return f"{part}: {first} is {_short(got[first])}; it must be {_short(want[first])}."


def _wrong(
    expected: Expected,
    task: Task,
    fails: list[int],
    got: Sequence[Outcome],
    right: Sequence[Outcome],
    names: list[str],
) -> str:
    """The smallest case that fails: which results are right in it, the first wrong number, where that comes from."""
    cases = expected.of(task.name)
    i = fails[0]
    lines = [_call(cases[i], names)]
    for what, raised in (("It raised", got[i].raised), ("It should raise", right[i].raised)):
        if raised:
            return "\n".join([*lines, f"{what} {raised['type']}: {raised['text']}"])
    parts = _parts(task, got[i].value, right[i].value) if right[i].value is not None else []
    parts += [
        (name, a, b)
        for name, a, b in zip(names, got[i].after, right[i].after)
        if name in task.changes and not isinstance(b, wire.Node)  # what it had to change
    ]
    for name, a, b in zip(names, got[i].after, right[i].after):
        if name in task.changes and isinstance(a, wire.Node) and isinstance(b, wire.Node):
            parts += [(f"{m.name}.grad", n.grad, m.grad) for n, m in zip(wire.graph(a), wire.graph(b))]
    rtol, atol = expected.exercise.rtol, expected.exercise.atol
    wrong = [(n, a, b) for n, a, b in parts if not wire.same(_in_format_of(a, b), b, *_rounding(b, rtol, atol))]
    fine = [n for n, *_ in parts if n not in [w for w, *_ in wrong]]
    if fine and wrong and len(parts) <= SHOWN:
        lines.append(f"{' and '.join(fine)} {'is' if len(fine) == 1 else 'are'} right, "
                     f"{' and '.join(n for n, *_ in wrong)} {'is' if len(wrong) == 1 else 'are'} not.")  # fmt: skip
    for name, a, b in wrong[:1]:
        if isinstance(b, np.ndarray) and isinstance(a, np.ndarray) and a.shape == b.shape and b.ndim:
            r, t = _rounding(b, rtol, atol)
            scale = float(np.nanmax(np.abs(np.where(np.isfinite(b), b, 0))))
            cells = np.argwhere(~np.isclose(a, b, rtol=0, atol=t + r * scale, equal_nan=True))
            index = tuple(int(c) for c in cells[0])
            lines.append(
                f"{len(cells)} of {b.size} numbers of {name} are wrong. The first: "
                f"{name}[{', '.join(map(str, index))}] is {_number(a[index])}, should be {_number(b[index])}."
            )
            where = expected.exercise.where(cases[i], name, index)
            if where:
                lines.append(where[0].upper() + where[1:].rstrip(".") + ".")
        else:
            lines.append(f"{name} is {_short(a)}, should be {_short(b)}.")
    return "\n".join(lines)


def _call(case: Case, names: Sequence[str]) -> str:
    """How the function was called: sizes of arrays, small ones written out."""
    shown = []
    for name, arg in zip(names, case.args):
        if isinstance(arg, np.ndarray):
            numbers = f" = {_short(arg)}" if 0 < arg.size <= SHOWN and arg.ndim <= 2 else ""
            shown.append(f"{name} {arg.shape} {arg.dtype}{numbers}".replace(" float64", ""))
        else:
            shown.append(f"{name} = {_short(arg)}")
    label = f"Case: {case.label}\n" if case.label else ""
    return f"{label}Call: {case.function}({', '.join(shown)})"


def _parts(task: Task, got: Any, want: Any) -> list[tuple[str, Any, Any]]:
    """Results one by one, with their names."""
    if isinstance(want, tuple) and isinstance(got, tuple | list) and len(got) == len(want):
        names = task.returns if len(task.returns) == len(want) else [f"result {i}" for i in range(len(want))]
        return list(zip(names, got, want))
    return [(task.returns[0] if len(task.returns) == 1 else "the result", got, want)]


def _in_format_of(a: Any, b: Any) -> Any:
    """The value a with the number formats of b, where it has numbers at all."""
    if isinstance(b, tuple | list) and isinstance(a, tuple | list) and len(a) == len(b):
        return type(b)(_in_format_of(x, y) for x, y in zip(a, b))
    numbers = np.ndarray | np.generic | float | int
    if isinstance(a, numbers) and isinstance(b, numbers) and np.shape(a) == np.shape(b):
        with np.errstate(all="ignore"):
            target = np.asarray(b).dtype
            source = np.asarray(a)
            if target.kind in "iub" and not np.array_equal(source, source.astype(target)):
                return a  # 2.5 is no whole number
            return source.astype(target)
    return a


def _rounding(b: Any, rtol: float, atol: float) -> tuple[float, float]:
    """Tolerances for a result like b."""
    if isinstance(b, tuple | list):
        both = [_rounding(part, rtol, atol) for part in b] or [(rtol, atol)]
        return max(both)
    return ROUNDING.get(_format(b), (rtol, atol))


def _format(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype)
    return type(value).__name__


def _same_error(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """The same exception with nearly the same text (NumPy's names the shapes)."""
    if a["type"] == b["type"] == "RecursionError":
        return True  # its text depends on where the limit was met
    return a["type"] == b["type"] and difflib.SequenceMatcher(None, a["text"], b["text"]).ratio() > 0.9


def _not_called(o: Outcome) -> bool:
    return bool(o.raised and o.raised["type"] == "TypeError" and "argument" in o.raised["text"])


def _library(file: str) -> bool:
    own = str(Path(__file__).parents[1])  # where the package is, if it is installed for editing
    return "site-packages" in file or "dist-packages" in file or file.startswith(("<frozen", own))


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _kind(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else _short(value)


def _short(value: Any) -> str:
    """A value in a few characters."""
    if isinstance(value, np.ndarray):
        if not 0 < value.size <= SHOWN:
            return f"an array of shape {value.shape}"
        return np.array2string(value, precision=4, separator=", ", max_line_width=10_000).replace("\n", "")
    if isinstance(value, float | np.floating):
        return _number(value)
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
