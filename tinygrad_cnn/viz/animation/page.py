"""The animation as one HTML page that asks for nothing else: its parts are `../pages/animation.*`."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_cnn.viz.page import Page, filled, part

if TYPE_CHECKING:
    from tinygrad_cnn.viz.animation.show import Animation


def page(animation: Animation, directions: Sequence[Any]) -> Page:
    """The page with these directions; it begins with the animation's own."""
    boards = [vars(animation.board(way)) | {"notes": animation.notes(way)} for way in directions]
    data = json.dumps(
        {"start": animation.direction, "boards": boards}, default=vars, ensure_ascii=False, separators=(",", ":")
    )
    parts = {
        "title": html.escape(animation.title),
        "sizes": html.escape(animation.sizes),
        "css": part("animation.css"),
        "js": part("animation.js"),
        "data": data.replace("<", "\\u003c"),  # no text can end the script
    }
    return filled("animation.html", parts)
