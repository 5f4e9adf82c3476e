"""Curves, bars and pictures made of characters, for terminals: Braille and blocks, or plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.text import Text

# a Braille character's dots, by row and column (Unicode 15, section 21.1)
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_SHADES = " .:-=+*#%@"


@dataclass
class Line:
    """A curve, or points.

    Attributes:
        points: (x, y) from left to right; what is not finite is left out.
        style: Its colour.
        mark: The character of its points; in ASCII of the curve, too.
        joined: Whether points are joined to a curve.
    """

    points: Sequence[tuple[float, float]]
    style: str
    mark: str
    joined: bool = True


def chart(
    lines: Sequence[Line],
    width: int,
    height: int,
    ascii_only: bool = False,
    ends: tuple[str, str] = ("", ""),
    percent: bool = False,
) -> Text:
    """Curves in so many columns and rows, the scale's ends and the axis included.

    Args:
        lines: Drawn one over the other, the first one at the bottom.
        width: Columns, at least 20.
        height: Rows, at least 4.
        ascii_only: Without Braille.
        ends: What stands under the left and the right end of the horizontal axis.
        percent: Whether to write shares as percentages.
    """
    from rich.text import Text

    kept = [[(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)] for line in lines]
    xs, ys = ([point[i] for points in kept for point in points] or [0.0] for i in (0, 1))
    low, high = min(ys), max(ys)
    if high == low:
        low, high = low - 0.5, high + 0.5
    left, right = min(xs), max(max(xs), min(xs) + 1)
    labels = [f"{100 * y:.0f} %" if percent else _scale(y) for y in (high, low)]
    margin = max(map(len, labels)) + 1
    columns, rows = width - margin - 1, height - 2
    canvas = _Canvas(columns, rows, ascii_only)
    for line, points in zip(lines, kept):
        canvas.draw([((x - left) / (right - left), (high - y) / (high - low)) for x, y in points], line)
    text = Text(no_wrap=True)
    for row in range(rows):
        label = labels[0] if row == 0 else labels[1] if row == rows - 1 else ""
        text.append(f"{label:>{margin - 1}} ", "dim")
        text.append("|" if ascii_only else "│", "dim")
        for character, style in canvas.row(row):
            text.append(character, style)
        text.append("\n")
    text.append(" " * margin + ("+" + "-" * columns if ascii_only else "└" + "─" * columns) + "\n", "dim")
    text.append(" " * (margin + 1) + ends[0] + ends[1].rjust(columns - len(ends[0])), "dim")
    return text


def _scale(value: float) -> str:
    return f"{value:.3g}" if value == 0 or 0.001 <= abs(value) < 1e5 else f"{value:.0e}"


class _Canvas:
    """Characters, each with the style of what was drawn there last; Braille gives each 2×4 dots."""

    def __init__(self, columns: int, rows: int, ascii_only: bool) -> None:
        self.ascii_only = ascii_only
        self.across, self.down = (1, 1) if ascii_only else (2, 4)
        self.columns, self.rows = columns, rows
        self.dots = np.zeros((rows, columns), int)
        self.marks = np.full((rows, columns), " ")
        self.styles = np.full((rows, columns), "", object)

    def draw(self, points: list[tuple[float, float]], line: Line) -> None:
        """Points with both coordinates from 0 to 1, y downwards."""
        W, H = self.columns * self.across - 1, self.rows * self.down - 1
        places = [(round(x * W), round(y * H)) for x, y in points]
        if line.joined:
            for before, after in zip(places, places[1:] or places):
                steps = max(abs(after[0] - before[0]), abs(after[1] - before[1]), 1)
                for i in range(steps + 1):
                    x = before[0] + round((after[0] - before[0]) * i / steps)
                    y = before[1] + round((after[1] - before[1]) * i / steps)
                    self._dot(x, y, line)
        else:
            for x, y in places:
                self._mark(x // self.across, y // self.down, line)

    def _dot(self, x: int, y: int, line: Line) -> None:
        if self.ascii_only:
            self._mark(x, y, line)
            return
        column, row = x // 2, y // 4
        if self.styles[row, column] != line.style:  # a character has one colour: the last curve's
            self.dots[row, column] = 0
        self.dots[row, column] |= int(_DOTS[y % 4, x % 2])
        self.styles[row, column] = line.style

    def _mark(self, column: int, row: int, line: Line) -> None:
        self.marks[row, column], self.styles[row, column] = line.mark, line.style

    def row(self, row: int) -> list[tuple[str, str]]:
        """A row's characters with their styles."""
        return [
            (mark if mark != " " else chr(0x2800 + dots) if dots else " ", style)
            for mark, dots, style in zip(self.marks[row], self.dots[row], self.styles[row])
        ]


def bar(share: float, width: int, ascii_only: bool = False) -> str:
    """A horizontal bar, in eighths of a character.

    >>> bar(0.5, 4), bar(0.5, 4, ascii_only=True)
    ('██  ', '##  ')
    """
    share = min(max(share, 0.0), 1.0)
    if ascii_only:
        return ("#" * round(share * width)).ljust(width)
    whole, part = divmod(round(share * width * 8), 8)
    return ("█" * whole + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(width)


def pictures(tiles: Sequence[np.ndarray], width: int, height: int, coloured: bool) -> Text:
    """Pictures side by side as far as there is room: two pixels a character in colour, else a shade for each.

    Args:
        tiles: (H, W) or (H, W, 3) uint8, of one size.
        width: Columns there are.
        height: Rows there are.
        coloured: Whether the terminal shows any colour we like.
    """
    from rich.style import Style
    from rich.text import Text

    text = Text(no_wrap=True)
    if not tiles:
        return text
    H, W = tiles[0].shape[:2]
    wide, high = (W, -(-H // 2)) if coloured else (2 * W, H)
    across, down = max((width + 1) // (wide + 1), 1), (height + 1) // (high + 1)
    most = across * down
    across = min(across, -(-min(len(tiles), most) // max(down, 1)))  # rows of equal length
    for start in range(0, min(len(tiles), most), across):
        if start:
            text.append("\n\n")
        group = tiles[start : start + across]
        for row in range(high):
            text.append("\n" if row else "")
            for i, tile in enumerate(group):
                text.append(" " if i else "")
                for column in range(W):
                    if coloured:
                        upper, lower = tile[2 * row, column], tile[2 * row + 1, column] if 2 * row + 1 < H else None
                        text.append("▀", Style(color=_rgb(upper), bgcolor=None if lower is None else _rgb(lower)))
                    else:
                        text.append(2 * _SHADES[int(np.mean(tile[row, column])) * (len(_SHADES) - 1) // 255])
    return text


def _rgb(pixel: np.ndarray) -> str:
    red, green, blue = (int(v) for v in np.broadcast_to(pixel, 3))
    return f"#{red:02x}{green:02x}{blue:02x}"
