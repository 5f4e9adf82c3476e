"""HTML pages that need nothing else: their parts are files in `pages/`, put together here."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path


class Page(str):
    """The text of a page, which in an interactive session does not print itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<a page of {len(self.encode('utf-8')) / 1000:,.0f} kB; print() shows its text>"


def part(name: str) -> str:
    """One of the files pages are made of."""
    return files("tinygrad_cnn.viz").joinpath("pages", name).read_text(encoding="utf-8")


def filled(name: str, parts: Mapping[str, str]) -> Page:
    """The page `pages/name` with `{{title}}` and the like replaced; what is put in is not looked at again."""
    return Page(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], part(name)))


def written(page: Page, path: str | Path | None) -> Page:
    """The page, written to a file if one is named.

    Raises:
        ValueError: The name does not end in .html.
    """
    if path is not None:
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"to_html: {path.name!r} is to be a page: the name must end in .html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    return page


def framed(page: str, title: str, height: int, sandbox: str = "") -> str:
    """A page in a frame of its own, so that several in a notebook do not disturb one another.

    Args:
        page: Its text.
        title: What screen readers call the frame.
        height: Of the frame, in lines of text.
        sandbox: What the page may do; without it, all that pages may.
    """
    limits = f' sandbox="{sandbox}"' if sandbox else ""
    return (
        f'<iframe title="{html.escape(title)}"{limits} srcdoc="{html.escape(page)}" '
        f'style="width: 100%; height: {height}rem; box-sizing: border-box; border: 1px solid #8888"></iframe>'
    )
