"""The frames as a board: grids of numbers that are laid out once, and steps that fill and mark their cells.

A page and a GIF draw the same board; neither computes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_cnn.viz.animation.frames import BackwardFrame, Frame
from tinygrad_cnn.viz.animation.slide import Slide
from tinygrad_cnn.viz.animation.words import Words, number, power

Array = Any
Cell = tuple[int, int, str]


@dataclass
class Grid:
    """Numbers in rows and columns.

    Attributes:
        title: What they are.
        kind: Its colour: "x", "w", "terms", "y", "dx", "dw" or "dy".
        cells: Their texts at the beginning.
        rows: The rows' numbers, written in front; none if empty.
        columns: The columns' numbers, written above.
        border: (row, column) of the cells that are padding.
    """

    title: str
    kind: str
    cells: list[list[str]]
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    border: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Block:
    """Grids that belong together, such as those of a channel: names of grids, in lines, in stacks side by side."""

    title: str
    stacks: list[list[list[str]]]


@dataclass
class Step:
    """What one frame changes.

    Attributes:
        say: The frame as a sentence: where the window lies.
        result: How the sentence goes on: what came out.
        lines: Its sums, written out.
        cells: Grid → (row, column, text) that are new; they stay.
        marks: Grid → (row, column, mark): "window", "winner", "new" or "now"; until the next step.
        titles: Grid → its new title.
        idle: Numbers of the blocks that take no part: channels the filter does not see.
    """

    say: str
    result: str
    lines: list[str]
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    marks: dict[str, list[Cell]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)


@dataclass
class Board:
    """Grids by name, the blocks they stand in, of which the last is the output's, and the steps.

    `now` says what cells with the mark "now" are.
    """

    direction: str
    now: str
    grids: dict[str, Grid]
    blocks: list[Block]
    steps: list[Step]


@dataclass(frozen=True)
class View:
    """What is shown of a layer: channels, filters, output rows and columns, and the part of the image they look at."""

    channels: Sequence[int]
    filters: Sequence[int]
    rows: Sequence[int]
    columns: Sequence[int]
    image_rows: range
    image_columns: range

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """(k, p, q) of the frames: filter by filter, in reading order."""
        return [(k, p, q) for k in self.filters for p in self.rows for q in self.columns]


class _Painter:
    """Lays the grids out and fills them frame by frame; only cells whose text changes are written down."""

    direction: str

    def __init__(self, slide: Slide, view: View) -> None:
        self.slide, self.view = slide, view
        self.pooling = slide.weight is None
        self.words = Words(slide, view.channels)
        self.grids: dict[str, Grid] = {}
        blocks = [Block(f"channel {c}", self.channel(c)) for c in view.channels]
        blocks.append(Block("output", [[[self._output(k)] for k in view.filters]]))
        self.now = {key: [list(row) for row in grid.cells] for key, grid in self.grids.items()}
        self.blocks = blocks

    def board(self, frames: Iterable[Any]) -> Board:
        """The board with a step for each frame."""
        now = "written in this step"
        if self.direction == "backward":
            now = "dy of this step" if self.pooling else "dy of this step, and dweight, which grows by dy·window"
        return Board(self.direction, now, self.grids, self.blocks, [self.step(frame) for frame in frames])

    def channel(self, c: int) -> list[list[list[str]]]:
        """Make the grids of a channel; their names, in lines, in stacks."""
        raise NotImplementedError

    def step(self, frame: Any) -> Step:
        """Draw a frame."""
        raise NotImplementedError

    # the grids

    def _output(self, k: int) -> str:
        view, kind = self.view, "y" if self.direction == "forward" else "dy"
        blank = [["" for _ in view.columns] for _ in view.rows]
        title = f"{kind}, {'channel' if self.pooling else 'filter'} {k}"
        self.grids[f"y{k}"] = Grid(title, kind, blank, self._labels(view.rows), list(view.columns))
        return f"y{k}"

    def image(self, key: str, title: str, kind: str, plane: Array = None) -> str:
        """A grid for the part of the image that is shown: of a padded plane, or zeros with an empty border."""
        view, _, (top, left) = self.view, self.slide.x.shape, self.slide.corner
        cells, border = [], []
        for i, row in enumerate(view.image_rows):
            line = []
            for j, column in enumerate(view.image_columns):
                inside = self._inside(row, column)
                if not inside:
                    border.append((i, j))
                if plane is None:
                    line.append("0" if inside else "")
                else:
                    line.append(self.text(plane[row + top, column + left], row, column))
            cells.append(line)
        self.grids[key] = Grid(title, kind, cells, self._labels(view.image_rows), list(view.image_columns), border)
        return key

    def taps(self, key: str, title: str, kind: str) -> str:
        """A grid as large as the largest window."""
        R, S = max(map(len, self.slide.rows)), max(map(len, self.slide.columns))
        self.grids[key] = Grid(title, kind, [[""] * S for _ in range(R)])
        return key

    def _labels(self, rows: Iterable[int]) -> list[int]:
        return [] if self.slide.rank == 1 else list(rows)

    def _inside(self, row: int, column: int) -> bool:
        _, H, W = self.slide.x.shape
        return 0 <= row < H and 0 <= column < W

    def text(self, value: float, row: int, column: int) -> str:
        """A number of the padded image, nothing where the padding does not take part."""
        if not self._inside(row, column):
            counted = zip((row, column), self.slide.counted)
            if self.slide.kind == "norm" or (
                self.slide.kind == "mean" and not all(first <= n < end for n, (first, end) in counted)
            ):
                return ""
        return number(value)

    # the steps

    def put(self, step: Step, key: str, texts: Iterable[Cell]) -> None:
        """Write texts into cells."""
        now = self.now[key]
        for i, j, text in texts:
            if now[i][j] != text:
                now[i][j] = text
                step.cells.setdefault(key, []).append((i, j, text))

    def table(self, step: Step, key: str, texts: Sequence[Sequence[str]], mark: str = "") -> None:
        """Fill a small grid from its corner; what is left over becomes empty."""
        grid = self.grids[key].cells
        full = [[""] * len(grid[0]) for _ in grid]
        for line, row in zip(full, texts):
            line[: len(row)] = row
        self.put(step, key, ((i, j, text) for i, row in enumerate(full) for j, text in enumerate(row)))
        if mark:
            step.marks[key] = [(i, j, mark) for i, row in enumerate(texts) for j in range(len(row))]

    def window(self, step: Step, key: str, frame: Frame) -> None:
        """Mark the window, and the pixel that won."""
        rows, columns = self.view.image_rows, self.view.image_columns
        step.marks[key] = [
            (rows.index(row), columns.index(column), "winner" if frame.winner == (r, s) else "window")
            for r, row in enumerate(frame.rows)
            for s, column in enumerate(frame.columns)
        ]

    def output(self, step: Step, frame: Frame, value: float) -> None:
        """Write the number of the output, or its gradient."""
        k, p, q = frame.place
        i, j = self.view.rows.index(p), self.view.columns.index(q)
        self.put(step, f"y{k}", [(i, j, number(value))])
        step.marks[f"y{k}"] = [(i, j, "now")]

    def seen(self, step: Step, frame: Frame) -> Iterable[tuple[int, int]]:
        """(place among the frame's channels, channel) of those that are shown; the others' blocks are emptied."""
        for block, c in enumerate(self.view.channels):
            if c in frame.channels:
                yield frame.channels.index(c), c
            else:
                step.idle.append(block)
                for key in (f"{kind}{c}" for kind in ("w", "t", "u", "dw")):
                    if key in self.grids:
                        self.table(step, key, [])


class Forward(_Painter):
    """The forward pass: window, products, output."""

    direction = "forward"

    def channel(self, c: int) -> list[list[list[str]]]:
        terms = {"convolution": "x·filter", "norm": f"x{power(self.slide.power)}"}.get(self.slide.kind, "window")
        below = [] if self.pooling else [self.taps(f"w{c}", "filter", "w")]
        image = self.image(f"x{c}", "x", "x", self.slide.padded[c])
        return [[[image], [*below, self.taps(f"t{c}", terms, "terms")]]]

    def step(self, frame: Frame) -> Step:
        step = Step(self.words.where(frame), self.words.result(frame), self.words.sums(frame))
        for i, c in self.seen(step, frame):
            self.window(step, f"x{c}", frame)
            if not self.pooling:
                self.table(step, f"w{c}", numbers(frame.weight[i]))
                step.titles[f"w{c}"] = f"filter {frame.place[0]}"
            self.table(step, f"t{c}", self._terms(frame, i), "new")
            if frame.winner:
                step.marks[f"t{c}"].append((*frame.winner, "winner"))
        self.output(step, frame, frame.y)
        return step

    def _terms(self, frame: Frame, i: int) -> list[list[str]]:
        return [
            [self.text(value, row, column) for value, column in zip(values, frame.columns)]
            for values, row in zip(frame.terms[i], frame.rows)
        ]


class Backward(_Painter):
    """The backward pass: what each gradient of the output adds to those of image and filters."""

    direction = "backward"

    def channel(self, c: int) -> list[list[list[str]]]:
        image = [self.image(f"x{c}", "x", "x", self.slide.padded[c])]
        gradient = [self.image(f"dx{c}", "dx", "dx")]
        if self.pooling:
            return [[image], [gradient, [self.taps(f"t{c}", "shares of dy", "terms")]]]
        dweight = [self.taps(f"u{c}", "dy·window", "terms"), self.taps(f"dw{c}", "dweight", "dw")]
        shares = [self.taps(f"w{c}", "filter", "w"), self.taps(f"t{c}", "dy·filter", "terms")]
        return [[image, dweight], [gradient, shares]]

    def step(self, frame: BackwardFrame) -> Step:
        seen = frame.forward
        step = Step(self.words.where(seen), self.words.route(frame), self.words.additions(frame))
        for i, c in self.seen(step, seen):
            for key in (f"x{c}", f"dx{c}"):
                self.window(step, key, seen)
            self.table(step, f"t{c}", numbers(frame.to_x[i]), "new")
            self.put(step, f"dx{c}", self._pixels(frame, i))
            if not self.pooling:
                step.titles |= {f"w{c}": f"filter {seen.place[0]}", f"dw{c}": f"dweight {seen.place[0]}"}
                self.table(step, f"w{c}", numbers(seen.weight[i]))
                self.table(step, f"u{c}", numbers(frame.to_weight[i]), "new")
                self.table(step, f"dw{c}", numbers(frame.dweight[i]), "now")
        self.output(step, seen, frame.dy)
        return step

    def _pixels(self, frame: BackwardFrame, i: int) -> Iterable[Cell]:
        """The pixels of dx that change: those under the window, and those that its padding repeats."""
        rows, columns, W = self.view.image_rows, self.view.image_columns, self.slide.x.shape[2]
        _, source = self.slide.under(*frame.place)
        for (r, s), pixel in _entries(source):
            row, column = divmod(int(pixel), W)
            if pixel >= 0 and row in rows and column in columns:
                yield rows.index(row), columns.index(column), number(frame.dx[i, r, s])


def numbers(values: Array) -> list[list[str]]:
    """The texts of a small table."""
    return [[number(value) for value in row] for row in values]


def _entries(values: Array) -> Iterable[tuple[tuple[int, int], Any]]:
    return (((r, s), value) for r, row in enumerate(values) for s, value in enumerate(row))
