"""The frames in words: a sentence for each, and its sums written out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from tinygrad_cnn.viz.animation.frames import BackwardFrame, Frame
from tinygrad_cnn.viz.animation.slide import Slide

MOST_TERMS = 27  # as many are written out: 3×3 in three channels, or 5×5 in one
RESULTS = {"convolution": "sum", "max": "largest", "mean": "mean", "norm": "norm"}


def number(value: float) -> str:
    """A number for a small cell: whole ones as they are, others with two or three decimals.

    >>> number(-3.0), number(0.126), number(0.0126), number(0.00012), number(float("-inf"))
    ('−3', '0.13', '0.013', '1e−4', '−∞')
    """
    if not isfinite(value):
        return "NaN" if value != value else "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == int(value) and size < 1e5:
        text = str(int(value))
    elif 0.001 <= size < 1e5:
        text = f"{value:.{3 if size < 0.1 else 2 if size < 1000 else 0}f}"
    else:
        digits, _, power = f"{value:.0e}".partition("e")
        text = f"{digits}e{int(power)}"
    return text.replace("-", "−")


def factor(value: float) -> str:
    """A number behind a sign: a negative one in brackets.

    >>> factor(2.0), factor(-2.0)
    ('2', '(−2)')
    """
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def plus(values: Iterable[float]) -> str:
    """The numbers, added.

    >>> plus([-3.0, 2.0, -1.0])
    '−3 + 2 + (−1)'
    """
    first, *rest = values
    return " + ".join([number(first), *map(factor, rest)])


def power(p: float) -> str:
    """An exponent.

    >>> power(2.0), power(3.0)
    ('²', '^3')
    """
    return "²" if p == 2 else f"^{number(p)}"


def span(numbers: Sequence[int]) -> str:
    """Rows or columns.

    >>> span([2, 3, 4]), span([-1, 0, 1]), span([0, 2, 4]), span([5])
    ('2–4', '−1 to 1', '0, 2, 4', '5')
    """
    texts = [str(n).replace("-", "−") for n in numbers]
    if list(numbers) != list(range(numbers[0], numbers[-1] + 1)):
        return ", ".join(texts)
    return texts[0] if len(texts) == 1 else f"{texts[0]}{'–' if numbers[0] >= 0 else ' to '}{texts[-1]}"


class Words:
    """How the frames of a layer are told; `channels` are those that are shown."""

    def __init__(self, slide: Slide, channels: Sequence[int]) -> None:
        self.slide, self.channels = slide, channels

    def result(self, frame: Frame) -> str:
        """`, sum −3`."""
        return f", {RESULTS[self.slide.kind]} {number(frame.y)}{self._winner(frame)}"

    def route(self, frame: BackwardFrame) -> str:
        """`, gradient −1; …` and where it goes."""
        seen = frame.forward
        route = {
            "convolution": "dy·filter goes to the window of dx, dy·window to the filter's dweight",
            "max": f"all of it goes to the largest,{self._winner(seen)[3:]}",
            "mean": f"each pixel of the window gets 1/{number(seen.divisor or 1)} of it",
            "norm": "larger pixels of the window get more of it",
        }
        return f", gradient {number(frame.dy)}; {route[self.slide.kind]}"

    def where(self, frame: Frame) -> str:
        """`output (0, 1) of filter 0: window rows 0–2, columns 2–4`."""
        k, p, q = frame.place
        outside = int((~frame.inside).sum())
        padding = f" ({outside} of {frame.inside.size} in the padding)" if outside else ""
        what = "channel" if frame.weight is None else "filter"
        if self.slide.rank == 1:
            return f"output {q} of {what} {k}: window positions {span(frame.columns)}{padding}"
        rows, columns = span(frame.rows), span(frame.columns)
        return f"output ({p}, {q}) of {what} {k}: window rows {rows}, columns {columns}{padding}"

    def _place(self, frame: Frame, r: int, s: int) -> str:
        if self.slide.rank == 1:
            return f"position {frame.columns[s]}"
        return f"row {frame.rows[r]}, column {frame.columns[s]}"

    def _winner(self, frame: Frame) -> str:
        return f" at {self._place(frame, *frame.winner)}" if frame.winner else ""

    def sums(self, frame: Frame) -> list[str]:
        """How the output number is computed, written out."""
        if self.slide.kind == "convolution":
            return self._products(frame)
        y, counted = number(frame.y), frame.window[0][frame.inside].tolist()
        few, total = len(counted) <= MOST_TERMS, number(frame.sums[0])
        if self.slide.kind == "max":
            listed = ", ".join(map(number, counted)) if few else f"{len(counted)} numbers"
            return [f"max({listed}) = {y}"]
        if self.slide.kind == "mean":
            return [f"({plus(counted) if few else total}) / {number(frame.divisor or 1)} = {y}"]
        p, scale = number(self.slide.power), "" if frame.scale == 1 else f"{number(frame.scale)}·"
        powers = " + ".join(f"{factor(v)}{power(self.slide.power)}" for v in counted) if few else total
        powers = f"{scale}({powers})" if scale else powers
        root = "√({})" if p == "2" else f"({{}})^(1/{p})"
        return [f"{root.format(powers)} = {root.format(scale + total)} = {y}"]

    def _products(self, frame: Frame) -> list[str]:
        lines, parts, hidden = [], [], []
        taps = frame.inside.size
        for c, window, weight, total in zip(frame.channels, frame.window, frame.weight, frame.sums):
            if c not in self.channels:
                hidden.append(total)
                continue
            pairs = zip(window.ravel(), weight.ravel())
            products = " + ".join(f"{number(a) if not i else factor(a)}·{factor(b)}" for i, (a, b) in enumerate(pairs))
            lines.append(f"channel {c}: {products if taps <= MOST_TERMS else f'{taps} products'} = {number(total)}")
            parts.append(total)
        if hidden:
            parts.append(sum(hidden))
            lines.append(f"{len(hidden)} more channels, not shown: {number(parts[-1])}")
        bias = "" if frame.bias is None else f" + bias {factor(frame.bias)}"
        if len(parts) > 1 or bias:
            lines.append(f"{plus(parts)}{bias} = {number(frame.y)}")
        return lines

    def additions(self, frame: BackwardFrame) -> list[str]:
        """The running sum of one pixel and of one weight, written out, and the bias's."""
        seen, dy, lines = frame.forward, factor(frame.dy), []
        shown = [i for i, c in enumerate(seen.channels) if c in self.channels]
        if shown:
            i, (r, s) = shown[0], self._example(frame, shown[0])
            c = seen.channels[i]
            product = f"{dy}·{factor(seen.slope[i, r, s])}"
            share = factor(frame.to_x[i, r, s]) if seen.weight is None else product
            if seen.inside[r, s]:
                sums = f"{number(frame.dx_before[i, r, s])} + {share} = {number(frame.dx[i, r, s])}"
                lines.append(f"dx, channel {c}, {self._place(seen, r, s)}: {sums}")
            if seen.weight is not None:
                tap = f"{s}" if self.slide.rank == 1 else f"({r}, {s})"
                product = f"{dy}·{factor(seen.window[i, r, s])}"
                sums = f"{number(frame.dweight_before[i, r, s])} + {product} = {number(frame.dweight[i, r, s])}"
                lines.append(f"dweight, channel {c}, tap {tap}: {sums}")
        if frame.dbias is not None:
            before = frame.dbias_before or 0.0
            lines.append(f"dbias of filter {seen.place[0]}: {plus([before, frame.dy])} = {number(frame.dbias)}")
        return lines

    def _example(self, frame: BackwardFrame, i: int) -> tuple[int, int]:
        """The tap nearest to the window's middle whose pixel gets one share; the winner of a max pooling."""
        seen = frame.forward
        if seen.winner:
            return seen.winner
        once = np.isclose(frame.dx_before[i] + frame.to_x[i], frame.dx[i])  # the padding may hand it another share
        once &= seen.inside
        taps: Any = np.argwhere(once if once.any() else np.ones_like(once))
        middle = (np.array(once.shape) - 1) / 2
        r, s = taps[np.abs(taps - middle).sum(axis=1).argmin()]
        return int(r), int(s)
