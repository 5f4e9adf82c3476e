"""The animation as a GIF that repeats, for slides: Pillow draws, with the letters that matplotlib brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.about import install
from tinygrad_cnn.viz.animation.board import Block, Board, Grid, Step

if TYPE_CHECKING:
    from tinygrad_cnn.viz.animation.show import Animation

INK, SOFT, LINE, CARD, BACK = "#1c2330", "#5a6475", "#c9cfd9", "#ffffff", "#f4f5f7"
# tints and outlines of the Okabe-Ito palette; the outlines' width and the bold type say the same in grey
MARKS = {
    "window": ("#ffe3ad", "#b97a00", 2),
    "new": ("#d9ecf8", "#0072b2", 1),
    "now": ("#c5efe0", "#00795a", 3),
    "winner": ("#ffd9c2", "#c04f00", 3),
}
LEGEND = {"window": "under the window", "winner": "the largest", "new": "computed now"}
COLOURS = 64


def write_gif(animation: Animation, path: Path, milliseconds: int, width: int) -> Path:
    """Draws every step; the last one stays three times as long."""
    if milliseconds < 20 or width < 200:
        raise ValueError(
            f"animate: milliseconds={milliseconds} must be at least 20 (no viewer is faster), and width={width} at "
            "least 200"
        )
    board = animation.board()
    sheet = _fitting(board, animation, width)
    pictures = sheet.pictures()
    palette = pictures[len(pictures) // 2].quantize(COLOURS)
    frames = [picture.quantize(palette=palette, dither=0) for picture in pictures]
    times = [milliseconds] * (len(frames) - 1) + [3 * milliseconds]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    return path


def _fitting(board: Board, animation: Animation, width: int) -> Sheet:
    """The largest letters with which the board is no wider than it may be, and no higher than wide."""
    for size in range(20, 8, -1):
        sheet = Sheet(board, animation.title, animation.notes(), size, width)
        if sheet.width <= width and sheet.height <= width:
            break
    return sheet


@dataclass
class Box:
    """A block's place on the sheet, and its grids' places."""

    block: Block
    x: int
    y: int
    width: int
    height: int
    grids: dict[str, tuple[int, int]]


class Sheet:
    """Where everything stands, for letters of `size` pixels; `pictures` draws it, step by step."""

    def __init__(self, board: Board, title: str, notes: Sequence[str], size: int, most: int) -> None:
        try:
            from matplotlib import get_data_path
            from PIL import Image, ImageDraw, ImageFont
        except ImportError as error:
            raise ImportError(f"animate: a GIF needs Pillow and matplotlib: {install('demo')}") from error
        self.Image, self.Draw = Image, ImageDraw

        def font(name: str, pixels: float) -> Any:
            return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", f"{name}.ttf"), max(8, round(pixels)))

        self.board, self.size, self.gap = board, size, size
        self.plain, self.bold = font("DejaVuSans", size), font("DejaVuSans-Bold", size)
        self.small, self.tiny = font("DejaVuSans", size * 0.8), font("DejaVuSans", size * 0.6)
        self.head = font("DejaVuSans-Bold", size * 1.15)
        self.cell = round(size * 1.6)
        self.columns = self._columns()
        self.boxes = [self._box(block) for block in board.blocks]
        self.width = self._arrange(most)
        self.title = self._wrapped([title], self.head, less=5 * size)  # beside it, the number of the step
        self.says = [self._wrapped([step.say + step.result], self.bold) for step in board.steps]
        self.lines = [self._wrapped(step.lines, self.plain) for step in board.steps]
        self.notes = self._wrapped(notes, self.small)
        row = round(size * 1.4)
        self.top = self.gap + row * (len(self.title) + max(map(len, self.says))) + self.gap
        self.bottom = self.top + max(box.y + box.height for box in self.boxes) + self.gap // 2
        self.row = row
        self.height = self.bottom + row * (2 + max(map(len, self.lines)) + len(self.notes))

    # measures

    def _columns(self) -> dict[str, int]:
        """The width of a cell, for each kind of grid, so that nothing jumps."""
        widths: dict[str, float] = {}
        marks = ((key, mark) for step in self.board.steps for key, cells in step.marks.items() for *_, mark in cells)
        stars = {key for key, mark in marks if mark == "winner"}
        for key, grid in self.board.grids.items():
            texts = {text for row in grid.cells for text in row}
            texts |= {text for step in self.board.steps for *_, text in step.cells.get(key, [])}
            widest = max((self.bold.getlength(text) for text in texts), default=0)
            beside = self.size * (1.4 if key in stars else 0.5)  # the star does not cover a digit
            widths[grid.kind] = max(widths.get(grid.kind, self.cell), widest + beside)
        return {kind: round(width) for kind, width in widths.items()}

    def _grid(self, grid: Grid) -> tuple[int, int, int, int]:
        """Room for row numbers and for the title with column numbers; width and height of all."""
        left = round(self.size * 1.4) if grid.rows else 0
        top = round(self.size * (2.1 if grid.columns else 1.3))
        wide = max(left + self.columns[grid.kind] * len(grid.cells[0]), round(self.small.getlength(grid.title + " 00")))
        return left, top, wide, top + self.cell * len(grid.cells)

    def _box(self, block: Block) -> Box:
        gap, first = self.gap, round(self.size * 1.8)
        grids, left, height = {}, gap // 2, 0
        for stack in block.stacks:
            y, width = first, 0
            for line in stack:
                x, high = left, 0
                for key in line:
                    _, _, wide, tall = self._grid(self.board.grids[key])
                    grids[key] = x, y
                    x, high = x + wide + gap, max(high, tall)
                y, width = y + high + gap // 3, max(width, x - left)
            left, height = left + width, max(height, y)
        title = self.bold.getlength(f"{block.title}: not seen now") + gap if self._ever_idle() else 0
        return Box(block, 0, 0, max(left - gap // 2, round(title)), height + gap // 3, grids)

    def _ever_idle(self) -> bool:
        return any(step.idle for step in self.board.steps)

    def _arrange(self, most: int) -> int:
        """Place the blocks side by side, in rows; returns the width they need."""
        x, y, high, width = self.gap, 0, 0, 0
        for box in self.boxes:
            if x > self.gap and x + box.width + self.gap > most:
                x, y, high = self.gap, y + high + self.gap // 2, 0
            box.x, box.y = x, y
            x, high = x + box.width + self.gap // 2, max(high, box.height)
            width = max(width, x + self.gap // 2)
        return max(width, min(most, 46 * self.size))

    def _wrapped(self, texts: Sequence[str], font: Any, less: int = 0) -> list[str]:
        lines, room = [], self.width - 2 * self.gap - less
        for text in texts:
            line = ""
            for word in text.split(" "):
                longer = f"{line} {word}" if line else word
                if line and font.getlength(longer) > room:
                    lines.append(line)
                    longer = word
                line = longer
            lines.append(line)
        return lines

    # drawing

    def pictures(self) -> list[Any]:
        """One picture for each step."""
        texts = {key: [list(row) for row in grid.cells] for key, grid in self.board.grids.items()}
        titles = {key: grid.title for key, grid in self.board.grids.items()}
        result = []
        for number, step in enumerate(self.board.steps):
            for key, cells in step.cells.items():
                for i, j, text in cells:
                    texts[key][i][j] = text
            titles |= step.titles
            result.append(self._picture(number, step, texts, titles))
        return result

    def _picture(self, number: int, step: Step, texts: dict[str, Any], titles: dict[str, str]) -> Any:
        picture = self.Image.new("RGB", (self.width, self.height), BACK)
        draw = self.Draw.Draw(picture)
        y = self._text(draw, self.gap // 2, self.title, self.head)
        count = f"{number + 1} / {len(self.board.steps)}"
        draw.text((self.width - self.gap, self.gap // 2), count, SOFT, self.small, anchor="ra")
        self._text(draw, y + self.gap // 3, self.says[number], self.bold)
        for index, box in enumerate(self.boxes):
            self._block(picture, draw, box, step, texts, titles, index in step.idle)
        self._legend(draw, self.bottom)
        y = self._text(draw, self.bottom + self.row * 3 // 2, self.lines[number], self.plain)
        self._text(draw, self.height - self.row * len(self.notes) - self.gap // 3, self.notes, self.small, SOFT)
        return picture

    def _text(self, draw: Any, y: int, lines: Sequence[str], font: Any, colour: str = INK) -> int:
        for line in lines:
            draw.text((self.gap, y), line, colour, font)
            y += self.row
        return y

    def _block(
        self, picture: Any, draw: Any, box: Box, step: Step, texts: dict[str, Any], titles: dict[str, str], idle: bool
    ) -> None:
        x, y = box.x, self.top + box.y
        draw.rounded_rectangle((x, y, x + box.width, y + box.height), self.size // 2, CARD, LINE)
        title = f"{box.block.title}: not seen now" if idle else box.block.title
        draw.text((x + self.gap // 2, y + self.gap // 3), title, SOFT if idle else INK, self.bold)
        for key, (left, top) in box.grids.items():
            marks = {(i, j): mark for i, j, mark in step.marks.get(key, [])}
            self._cells(picture, draw, self.board.grids[key], titles[key], texts[key], marks, x + left, y + top, idle)

    def _cells(
        self, picture: Any, draw: Any, grid: Grid, title: str, texts: Any, marks: Any, x: int, y: int, idle: bool
    ) -> None:
        left, top, _, _ = self._grid(grid)
        width, height = self.columns[grid.kind], self.cell
        draw.text((x, y), title, SOFT, self.small)
        for j, column in enumerate(grid.columns):
            middle = x + left + j * width + width // 2, y + top - 2
            draw.text(middle, str(column).replace("-", "−"), SOFT, self.tiny, anchor="ms")
        for i, row in enumerate(grid.rows):
            middle = x + left - self.size // 4, y + top + i * height + height // 2
            draw.text(middle, str(row).replace("-", "−"), SOFT, self.tiny, anchor="rm")
        border = set(grid.border)
        for marked in (False, True):  # outlines of marks over the lines of their neighbours
            for i, line in enumerate(texts):
                for j, text in enumerate(line):
                    if ((i, j) in marks) is marked:
                        a, b = x + left + j * width, y + top + i * height
                        place = a, b, a + width, b + height
                        self._cell(picture, draw, place, text, marks.get((i, j), ""), (i, j) in border, idle)

    def _cell(self, picture: Any, draw: Any, place: Any, text: str, mark: str, border: bool, idle: bool) -> None:
        fill, outline, wide = MARKS.get(mark, (CARD, LINE, 1))
        draw.rectangle(place, fill, outline, wide)
        if border:
            picture.paste(LINE, place[:2], self._hatch(place[2] - place[0], place[3] - place[1]))
        middle = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
        font = self.bold if mark in ("now", "winner") else self.plain
        draw.text(middle, text, SOFT if border or idle else INK, font, anchor="mm")
        if mark == "winner":
            draw.text((place[2] - 2, place[1] + 1), "★", outline, self.tiny, anchor="ra")

    def _hatch(self, width: int, height: int) -> Any:
        """Slanted lines, as a mask: the mark of padding."""
        mask = self.Image.new("1", (width, height))
        lines = self.Draw.Draw(mask)
        for start in range(-height, width, 7):
            lines.line((start, height, start + height, 0), 1)
        return mask

    def _legend(self, draw: Any, y: int) -> None:
        used = {mark for step in self.board.steps for cells in step.marks.values() for *_, mark in cells}
        x, side = self.gap, round(self.size * 1.1)
        for mark, words in {**LEGEND, "now": self.board.now}.items():
            if mark in used:
                fill, outline, wide = MARKS[mark]
                draw.rectangle((x, y, x + side, y + side), fill, outline, wide)
                draw.text((x + side + self.size // 3, y + side / 2), words, SOFT, self.small, anchor="lm")
                x += side + round(self.small.getlength(words)) + self.gap * 3 // 2
