"""What `viz.why` answers, and how that is written for a terminal or a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tinygrad_cnn.viz.numbers import short

WIDTH = 110  # characters in a line
WRITTEN = 4  # operations on a path whose factors are written out although they are 1
ENDS = 12  # operations that are named at each end of a very long path
EXACT = 2.0**53  # so far float64 counts without rounding

Index = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation on a path.

    Attributes:
        operation: Its name.
        input: The name of the input, if the number before is more than one input of the operation; else empty.
        module: The path of the module that called it; empty outside all modules.
        index: Which number of its result; None where the path was not followed further.
        factor: That number's derivative by the number before; not followed further: what all that follows amounts to.
        words: How a gradient flows through such an operation.
    """

    operation: str
    input: str
    module: str
    index: Index | None
    factor: float
    words: str = ""

    @property
    def place(self) -> str:
        """`conv2d[0, 3, 5, 5]`."""
        number = " …" if self.index is None else bracket(self.index)
        return f"{self.operation}{number}{f' (as {self.input})' * bool(self.input)}"


@dataclass(frozen=True)
class Path:
    """One way from the number to the loss.

    Attributes:
        contribution: The product of the factors and of `start`.
        steps: The operations, in the order of the forward pass.
        start: The gradient with which backward began where the path ends; 1 for a loss.
    """

    contribution: float
    steps: tuple[Step, ...]
    start: float = 1.0


@dataclass(frozen=True)
class Share:
    """What came some way, along one path or along many.

    Attributes:
        via: The way.
        contribution: What came.
        factors: It is the product of these, if they are known.
    """

    via: str
    contribution: float
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, repr=False)
class Why:
    """One number of a gradient and where it came from: `print` it, or let a notebook's cell end with it.

    Attributes:
        name: What was asked for, `∂L/∂w[0, 1]`.
        result: The operation that computed L.
        value: The number. It is the sum of the paths, of the rest and of the difference.
        paths: The paths with the largest contributions, the largest first.
        rest: What all other paths contribute together.
        difference: What is missing to the recorded gradient: rounding, or what hooks did.
        rounding: How large a difference is nothing but rounding.
        count: How many paths there are with all factors other than 0.
        complete: Whether all paths were followed to their ends; if not, there are more than `count`.
        by_consumer: What each operation that uses the tensor handed on.
        by_number: What came through single numbers of their results, the largest first, no more than `limit`: the
            number's derivative times its own gradient.
        by_route: What the paths through the same operations amount to; empty if there are more than 12 routes.
        notes: What else there is to say.
    """

    name: str
    result: str
    value: float
    paths: tuple[Path, ...]
    rest: float
    difference: float
    rounding: float
    count: float
    complete: bool
    by_consumer: tuple[Share, ...]
    by_number: tuple[Share, ...]
    by_route: tuple[Share, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, as JSON has them."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"<viz.Why: {self.name} = {short(self.value)}, paths: {counted(self.count)}; print it>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return f'<pre style="overflow-x: auto; line-height: 1.35">{html.escape(str(self))}</pre>'

    def _lines(self) -> Iterator[str]:
        tensor, paths, single = self.name.removeprefix("∂L/∂"), self.paths, self.count == 1 and self.complete
        yield f"Why is {self.name} = {short(self.value)}?"
        if paths:
            yield ""
            found = "one path leads" if self.count == 1 else f"{counted(self.count)} paths lead"
            found = found.capitalize() if self.complete else f"More than {found}"
            yield f"{found} from {tensor} to L, the result of {self.result}."
            long = any(len(path.steps) > WRITTEN for path in paths)
            yield (
                f"Along {'it' if single else 'each'} the local derivatives are multiplied"
                f"{' (factors of 1 are not written)' * long}{':' if single else ', and the products are added up:'}"
            )
            yield ""
            yield from self._sum(tensor)
            yield ""
            if not single:
                yield "The largest, step by step:"
            yield from _stepwise(tensor.rpartition(".")[-1], paths[0])
        if 1 < len(self.by_route) < self.count:
            yield from _shares("By route:", self.by_route)
        elif not self.by_route and len(self.by_consumer) > 1:
            yield from _shares("By the first operation:", self.by_consumer)
        if len(paths) < self.count and len(self.by_number) > 1:
            yield from _shares("By the first number on the way: its derivative · its own gradient", self.by_number)
        for note in self.notes:
            yield ""
            yield from textwrap.wrap(note, WIDTH)

    def _sum(self, tensor: str) -> Iterator[str]:
        """The paths, one under the other, as they are added up."""
        rows = [
            (path.contribution, _product(path), route([tensor, *(step.place for step in path.steps)]))
            for path in self.paths
        ]
        others = self.count - len(rows)
        if others or abs(self.rest) > self.rounding:
            many = f"the {counted(others)} other path{'s' * (others != 1)}" if self.complete else "all other paths"
            rows.append((self.rest, "", f"{many}{' together' * (others != 1)}"))
        if abs(self.difference) > self.rounding:
            rows.append((self.difference, "", "the difference to the recorded gradient (see below)"))
        sign = "+" if len(rows) > 1 else ""
        numbers = [_signed(row[0], sign) for row in rows]
        total = _signed(self.value, sign)
        wide = max(map(len, [*numbers, total]))
        middle = max(len(product) for _, product, _ in rows)
        for number, (_, product, text) in zip(numbers, rows):
            start = f"  {number:>{wide}}"
            if not product:
                yield f"{start}   {text}"
            elif wide + middle + len(text) + 8 <= WIDTH:
                yield f"{start} = {product:<{middle}}   {text}"
            else:
                yield f"{start} = {product}"
                yield from textwrap.wrap(
                    text, WIDTH, initial_indent=" " * (wide + 5), subsequent_indent=" " * (wide + 7)
                )
        if len(rows) > 1:
            yield f"  {'─' * wide}"
            yield f"  {total:>{wide}} = {self.name}"


def bracket(index: Index) -> str:
    """`[0, 3]`; nothing for a single number."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def counted(count: float) -> str:
    """With thousands separated, as far as it was counted exactly."""
    return f"{int(count):,}" if count < EXACT else f"about {count:.1e}"


def _signed(number: float, sign: str) -> str:
    return (sign if number > 0 else "") + short(number)


def _product(path: Path) -> str:
    """`0.53 · (−2)`; in long products without the factors that are 1."""
    factors = [step.factor for step in path.steps] + [path.start] * (path.start != 1 or not path.steps)
    if len(path.steps) > WRITTEN:
        factors = [factor for factor in factors if factor != 1] or [1.0]
    return _times(factors)


def _times(factors: Sequence[float]) -> str:
    first, *more = map(short, factors)
    return " · ".join(_middle_out([first, *(f"({text})" if text[0] == "−" else text for text in more)]))


def route(places: Sequence[str]) -> str:
    """Places with arrows between, the middle of a very long route left out."""
    return " → ".join(_middle_out(places))


def _middle_out(parts: Sequence[str]) -> list[str]:
    left_out = len(parts) - 2 * ENDS
    return list(parts) if left_out < 2 else [*parts[:ENDS], f"({left_out:,} more)", *parts[-ENDS:]]


def _stepwise(tensor: str, path: Path) -> Iterator[str]:
    """The steps of one path, one under the other."""
    places = [tensor, *(replace(step, input="").place for step in path.steps)]
    rows = [
        (f"∂{place}/∂{before}", short(step.factor), f"{step.module}: {step.words}".strip(": "))
        for before, place, step in zip(places, places[1:], path.steps)
    ]
    if path.start != 1 or not rows:
        rows.append((f"∂L/∂{places[-1]}", short(path.start), "what backward began with"))
    left, right = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows if len(rows) <= 2 * ENDS else [*rows[:ENDS], None, *rows[-ENDS:]]:
        if row is None:
            yield f"  ({len(rows) - 2 * ENDS:,} more)"
            continue
        start = f"  {row[0]:<{left}} = {row[1]:>{right}}   "
        yield from textwrap.wrap(
            start + row[2], max(WIDTH, len(start) + 30), subsequent_indent=" " * len(start), drop_whitespace=True
        )


def _shares(title: str, shares: Sequence[Share]) -> Iterator[str]:
    numbers = [_signed(share.contribution, "+") for share in shares]
    products = [f" = {_times(share.factors)}" if share.factors else "" for share in shares]
    wide, middle = max(map(len, numbers)), max(map(len, products))
    yield ""
    yield title
    for number, product, share in zip(numbers, products, shares):
        yield f"  {number:>{wide}}{product:<{middle}}   {share.via}"
