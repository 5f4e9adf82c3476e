"""The animation as one HTML page that asks for nothing else: its parts are `../pages/animation.*`."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.viz.animation.show import Animation


def page(animation: Animation, directions: Sequence[Any]) -> str:
    """The page with these directions; it begins with the animation's own."""
    boards = [vars(animation.board(way)) | {"notes": animation.notes(way)} for way in directions]
    data = json.dumps(
        {"start": animation.direction, "boards": boards}, default=vars, ensure_ascii=False, separators=(",", ":")
    )
    parts = {
        "title": html.escape(animation.title),
        "sizes": html.escape(animation.sizes),
        "css": _part("css"),
        "js": _part("js"),
        "data": data.replace("<", "\\u003c"),  # no text can end the script
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("html"))


def _part(ending: str) -> str:
    return files("tinygrad_cnn.viz").joinpath("pages", f"animation.{ending}").read_text(encoding="utf-8")
