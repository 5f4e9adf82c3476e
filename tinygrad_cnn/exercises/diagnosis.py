"""What is wrong with a function, in words: its outcomes held against the solution's and those of all wrong versions.

The order of the questions: is it written yet, does it take the arguments → are the numbers right, but not their format,
or was an argument changed, or a law broken → does it do what exactly one wrong version does, or two at once → is it
nothing but zeros, in another order, nearly right → did it raise, did it return something else, are shapes wrong → is a
law broken → the smallest case that fails, its first wrong number, and what that should have been computed from.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.exercises.cases import Case, Law
from tinygrad_cnn.exercises.catalogue import Task
from tinygrad_cnn.exercises.outcomes import (
    ROUNDING,
    Expected,
    Outcome,
    array_of,
    as_before,
    format_of,
    rounding,
    untouched,
)
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.exercises.sources import CatalogueError

SHOWN = 12  # numbers of an array that are written out
NAN = (
    "inf is what a number divided by 0 gives, or e to the power of 1000; nan is what 0/0, inf/inf and the root of a "
    "negative number give. Print what goes into the division, the exponential or the root."
)


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


def diagnose(
    expected: Expected,
    function: str,
    got: Sequence[Outcome],
    broken_by: Callable[[Law], Finding | None] = lambda law: None,
    parameters: Sequence[str] | None = None,
) -> Finding | None:
    """What is wrong with a function; None if it is right.

    Args:
        expected: The right outcomes.
        function: Its name.
        got: Its outcomes of all its cases.
        broken_by: What to say if it breaks a law, see `law_finding`; None if it does not, or if that is not known.
        parameters: The names of its arguments in the student's file.
    """
    exercise, task = expected.exercise, expected.exercise.tasks[function]
    cases, right = expected.of(function), expected.right(function)
    names = expected.parameters(task)
    if all(o.raised and o.raised["type"] == "NotImplementedError" for o in got):
        return Finding("todo", f"{function} is still to be written.", "Replace the TODO and the line below it.")
    if parameters is not None and all(map(_not_called, got)):
        many = (
            f"with {len(names)} argument{'s' * (len(names) > 1)}, ({', '.join(names)})"
            if names
            else "without arguments"
        )
        return Finding(
            "signature",
            f"{function} is called {many}; yours takes ({', '.join(parameters)}).",
            f"Its first line must be: def {'__init__(self' if function[0].isupper() else function + '('}"
            f"{', '.join(names)}):",
            detail=f"Python says: {(got[0].raised or {})['text']}.",
        )
    fails = [i for i, (case, a, b) in enumerate(zip(cases, got, right)) if not expected.is_right(task, case, a, b)]
    broken = [told for law in expected.laws if law.function == function and (told := broken_by(law))]
    if not fails:
        return broken[0] if broken else _changed_argument(expected, task, got)
    wrong = [i for i in fails if not expected.is_right(task, cases[i], got[i], right[i], formats=False)]
    if not wrong:
        return _wrong_format(task, cases, got, right, names, fails[0])
    where = _wrong(expected, task, wrong, got, right, names)
    if instead := _returned_instead(task, cases, got, right, names):
        return Finding("returned", *instead, "", (), _call(cases[wrong[0]], names))
    for pairs in (False, True):
        if ids := expected.matches(function, got, pairs):
            return _named(task, ids, where)
    if zeros := _all_zeros(task, [(got[i], right[i]) for i in wrong]):
        hint = "Is it ever filled? Look for a loop that is not entered, and for a name that is spelled in two ways."
        return Finding("value", f"{zeros} is 0 everywhere.", hint, "", (), where)
    if order := _other_order(expected, task, got, right):
        return Finding("returned", *order, "", (), _call(cases[wrong[0]], names))
    if all(expected.is_right(task, *of, formats=False, tolerance=ROUNDING["float32"]) for of in zip(cases, got, right)):
        says = f"{function} is right to about six digits, but not to ten, as it should be in {len(wrong)} cases."
        hint = "Is something rounded to float32 on the way, or a small number added that does not belong there?"
        return Finding("value", says, hint, "", (), where)
    first = wrong[0]
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
    hint = NAN if _not_finite(got[first]) and not _not_finite(right[first]) else ""
    for told in broken:
        if told.kind == "law":
            return replace(told, hint=hint, detail=where)
    right_cases = [case.label for i, case in enumerate(cases) if i not in fails and case.label]
    fine = f" It is right for: {'; '.join(right_cases[:3])}." if right_cases else ""
    says = f"{function} computes other numbers than it should in {len(wrong)} of {len(cases)} cases.{fine}"
    return Finding("value", says, hint, exercise.tutorial, (), where)


def _all_zeros(task: Task, outcomes: Sequence[tuple[Outcome, Outcome]]) -> str:
    """The name of the first result that is nothing but zeros in all of these cases, though it should not be."""
    for several in zip(*(_parts(task, a.value, b.value) for a, b in outcomes)):
        both = [(array_of(a), array_of(b)) for _, a, b in several]
        if all(a is not None and b is not None and a.ndim and b.any() and not a.any() for a, b in both):
            return several[0][0]
    return ""


def _other_order(
    expected: Expected, task: Task, got: Sequence[Outcome], right: Sequence[Outcome]
) -> tuple[str, str] | None:
    """What to say if all results are right, but not in their places."""
    n = len(task.returns)
    for places in list(itertools.permutations(range(n)))[1:]:
        moved = [
            [o.value[i] for i in places] if isinstance(o.value, tuple | list) and len(o.value) == n else None
            for o in got
        ]
        if all(expected.same(value, o.value) for value, o in zip(moved, right)):
            says = f"{task.name} returns the right things, but in another order: it must be {', '.join(task.returns)}."
            return says, f"Its last line: return {', '.join(task.returns)}"
    return None


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


def law_finding(expected: Expected, law: Law, made: Sequence[Outcome]) -> Finding | None:
    """What to say of the results of a law's calls; None if it is obeyed."""
    names = expected.parameters(expected.exercise.tasks[law.function])
    calls = [_call(Case(law.function, args), names) for args in law.calls]
    for call, o in zip(calls, made):
        if o.raised:
            return _raised(law.function, o.raised, Outcome(), call)
    try:
        obeyed = bool(law.holds([o.value for o in made]))
    except Exception:  # results of any shape and type come here
        obeyed = False
    detail = "\n".join(dict.fromkeys(calls))
    return None if obeyed else Finding("law", law.says, "", expected.exercise.tutorial, (), detail)


def _not_finite(o: Outcome) -> bool:
    """Whether nan or inf is among the results."""
    parts = o.value if isinstance(o.value, tuple | list) else (o.value,)
    return any(array is not None and not np.isfinite(array).all() for array in map(array_of, (*parts, *o.after)))


def _wrong_format(
    task: Task, cases: list[Case], got: Sequence[Outcome], right: Sequence[Outcome], names: list[str], i: int
) -> Finding:
    """All numbers are right, but float64 came back for float32, or a float for a whole number."""
    pairs = [(n, a, b) for n, a, b in _parts(task, got[i].value, right[i].value) if format_of(a) != format_of(b)]
    name, a, b = pairs[0] if pairs else ((*task.returns, "the result")[0], got[i].value, right[i].value)
    numbers, wanted = np.asarray(a), np.asarray(b)
    like = {"b": ": True and False", "i": ": whole numbers"}.get(wanted.dtype.kind, ", in the format of the input")
    if wanted.dtype.kind == "b":
        hint = "A comparison makes True and False; leave them as they are."
    elif wanted.dtype.kind == "i":
        hint = "/ makes a float, // a whole number; np.zeros makes floats unless dtype=int is given."
    elif numbers.itemsize < wanted.itemsize:
        hint = f"Is there a dtype={numbers.dtype} or an astype in your code? x.dtype is the format of x."
    else:
        hint = (
            "np.zeros, np.ones and np.array make float64 unless they are told otherwise: give them dtype=x.dtype. "
            "A number that NumPy has computed, np.sqrt(2) say, makes float64 of float32, too: write float(np.sqrt(2))."
        )
    says = f"The numbers are right, but {name} is {format_of(a)}; it must be {format_of(b)}{like}."
    return Finding("dtype", says, hint, "", (), _call(cases[i], names))


def _changed_argument(expected: Expected, task: Task, got: Sequence[Outcome]) -> Finding | None:
    """All results are right; was an argument modified that must not be?"""
    names = expected.parameters(task)
    for case, o in zip(expected.of(task.name), got):
        for name, before, after in zip(names, case.args, o.after):
            if o.raised or name in task.changes or isinstance(before, wire.Random):
                continue
            if not untouched(before, after):
                hint = f"Look for +=, *=, out= and {name}[…] = …; work on a copy, {name}.copy(), or make a new array."
                if isinstance(before, wire.Node):
                    hint = "Leave node.parents alone; keep what you want to remember in a set or dict of your own."
                return Finding(
                    "changed",
                    f"The result is right, but {task.name} changed its argument {name}; whoever called it still needs "
                    "it as it was.",
                    hint,
                    "",
                    (),
                    _call(case, names),
                )
    return None


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


def _returned_instead(
    task: Task, cases: Sequence[Case], got: Sequence[Outcome], right: Sequence[Outcome], names: Sequence[str]
) -> tuple[str, str] | None:
    """What to say if new arrays came back where arguments were to be changed, and none was."""
    returned = [o.value for o in got if o.value is not None]
    if not returned or not task.changes or any(o.value is not None for o in right):
        return None
    for case, o in zip(cases, got):
        for name, before, after in zip(names, case.args, o.after):
            if name in task.changes and not as_before(before, after):
                return None
    changes, first = _and(task.changes), task.changes[0]
    says = f"{task.name} must return nothing, but change {changes} in place; it returned {_kind(returned[0])}."
    graph = any(isinstance(argument, wire.Node) for argument in cases[0].args)
    hint = f"{first} -= … and {first}[...] = … change an array in place."
    return says, "Put each gradient into node.grad." if graph else hint


def _odd_value(task: Task, got: Any, want: Any) -> tuple[str, str, str] | None:
    """(kind, what it says, hint) if the result is of another kind or shape than it should be."""
    name = task.name
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
        numbers = array_of(b)
        if numbers is not None and not isinstance(b, bool):
            found = array_of(a)
            if found is None and isinstance(a, int):
                return None  # a number that no format can hold
            if found is None:
                return "returned", f"{part} is {_no_array(a)}; it must be {_wanted(b)}.", _how_to_array(a)
            if found.shape != numbers.shape:
                hint = "Look at the sizes in the docstring, under Returns."
                if sorted(found.shape) == sorted(numbers.shape):
                    hint = "The sizes are right, their order is not: an axis is in the wrong place, or a .T too many."
                elif found.size == numbers.size:
                    hint = "It has the right number of numbers: look at the last reshape, or at keepdims."
                return "shape", f"{part} has shape {found.shape}; it must be {numbers.shape}.", hint
            if found.dtype.kind in "iu" and numbers.dtype.kind == "f" and (numbers % 1).any():
                says = f"{part} holds whole numbers only, {format_of(a)}: what stands behind the point is lost."
                return (
                    "dtype",
                    says,
                    "Which line makes the array? Give it dtype=x.dtype, as in np.zeros(shape, x.dtype).",
                )
        elif isinstance(a, dict) and isinstance(b, dict):
            if not wire.same(a, b, 0.0, 0.0):
                return "returned", _other_entries(part, a, b), "Compare names and sizes with the docstring."
        elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
            if a and b and type(a[0]) is not type(b[0]):
                says = f"{part} must hold {type(b[0]).__name__}s, such as {_short(b[0])}; yours holds {_short(a[0])}."
                return "returned", says, "Look at the docstring, Returns."
        elif type(a) is not type(b):
            says = f"{part} is {_no_array(a)}; it must be a {type(b).__name__}."
            return "returned", says, "Look at the docstring, Returns."
    return None


def _no_array(value: Any) -> str:
    """What came instead of an array: "a list: [[1.0]]"."""
    kind = value.type if isinstance(value, wire.Other) else type(value).__name__
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}: {_short(value)}"


def _wanted(value: Any) -> str:
    """What should have come."""
    if np.ndim(value):
        return f"an array of {format_of(value)}"
    return "a whole number" if np.asarray(value).dtype.kind in "iu" else "a number"


def _how_to_array(value: Any) -> str:
    """What may help if a value is no array."""
    if isinstance(value, tuple | list) and len(value) == 1 and array_of(value[0]) is not None:
        return "Is there a comma too many in the line with return, or a pair of brackets? The array comes alone."
    if isinstance(value, wire.Other) and value.type == "generator":
        return "A function with yield in it makes a generator: collect the numbers, and return them."
    if isinstance(value, wire.Other) and value.type == "array of object":
        return "Such an array is made of parts of different lengths, or of other things than numbers."
    return "np.array(…) makes an array of a list of numbers."


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
    wrong = [(n, a, b) for n, a, b in parts if not expected.same(a, b)]
    fine = [n for n, *_ in parts if n not in [w for w, *_ in wrong]]
    if fine and wrong and len(parts) <= SHOWN:
        bad = [n for n, *_ in wrong]
        is_, are = ("is" if len(names) == 1 else "are" for names in (fine, bad))
        lines.append(f"{_and(fine)} {is_} right, {_and(bad)} {are} not.")
    for name, a, b in wrong[:1]:
        if isinstance(b, np.ndarray) and isinstance(a, np.ndarray) and a.shape == b.shape and b.ndim:
            r, t = rounding(a, b, expected.exercise.rtol, expected.exercise.atol)
            scale = float(np.abs(np.where(np.isfinite(b), b, 0)).max(initial=0))
            cells = np.argwhere(~np.isclose(a, b, rtol=0, atol=t + r * scale, equal_nan=True))
            cells = cells if len(cells) else np.argwhere(a != b)
            index = tuple(int(c) for c in cells[0])
            lines.append(
                f"{len(cells)} of {b.size} numbers of {name} are wrong. The first: "
                f"{name}[{', '.join(map(str, index))}] is {', should be '.join(_numbers(a[index], b[index]))}."
            )
            where = ""
            with contextlib.suppress(CatalogueError):  # that is for `verify` to tell
                where = expected.exercise.where(cases[i], name, index)
            if where:
                first = where[0].upper() if where.split()[0].isalpha() else where[0]
                lines.append(first + where[1:].rstrip(".") + ".")
        else:
            both = _numbers(a, b) if isinstance(a, float) and isinstance(b, float) else (_short(a), _short(b))
            lines.append(f"{name} is {', should be '.join(both)}.")
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


def _not_called(o: Outcome) -> bool:
    """Whether the call itself failed, and not a line of the function."""
    return bool(
        o.raised and o.raised["type"] == "TypeError" and "argument" in o.raised["text"] and not o.raised["places"]
    )


def _library(file: str) -> bool:
    own = str(Path(__file__).parents[1])  # where the package is, if it is installed for editing
    return "site-packages" in file or "dist-packages" in file or file.startswith(("<frozen", own))


def _numbers(a: Any, b: Any) -> tuple[str, str]:
    """Two different numbers, with so many digits that they look different."""
    for digits in (6, 9, 17):
        both = tuple(f"{v:.{digits}g}" if isinstance(v, float | np.floating) else str(v) for v in (a, b))
        if both[0] != both[1]:
            break
    return both[0], both[1]


def _and(names: Sequence[str]) -> str:
    """`"w, m and v"`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


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
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "…"
