"""Networks as the command line names them: a model, its variant, its width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_cnn.cli.console import chosen, fail, wrong
from tinygrad_cnn.shapes import ShapeError

if TYPE_CHECKING:
    from tinygrad_cnn.nn import Module


def named(name: str) -> str:
    """The model that was meant."""
    from tinygrad_cnn import models

    return chosen("model", name, models.list_models())


def form(name: str, variant: str | None, width: float | None) -> dict[str, Any]:
    """Variant and width as options of the model, if it has them; what was not given is left out.

    Args:
        name: The model.
        variant: One of its forms.
        width: So many times as many channels.
    """
    from tinygrad_cnn import models

    given: dict[str, Any] = {}
    if variant is not None:
        if not models.variants(name):
            others = ", ".join(other for other in models.list_models() if models.variants(other))
            wrong(f"--variant: {name} comes in one form only; there are several of {others}")
        given["variant"] = chosen("--variant", variant, models.variants(name))
    if width is not None:
        scaled = [other for other in models.list_models() if "width" in models.options(other)]
        if name not in scaled:
            wrong(f"--width: {name} has one width only; there are others of {', '.join(scaled)}")
        if not 0 < width <= 4:
            wrong(f"--width {width:g}: so many times as many channels, from above 0 to 4; 0.5 for half of them")
        given["width"] = width
    return given


def built(name: str, options: dict[str, Any], seed: int | None = None) -> Module:
    """The network; what it cannot be made for ends the command.

    Args:
        name: The model.
        options: Its options.
        seed: Of its first weights.
    """
    from tinygrad_cnn import models, random

    drawn = {} if seed is None else {"generator": random.Generator(seed)}
    try:
        return models.create(name, **options, **drawn)
    except ShapeError:
        raise
    except ValueError as error:  # a number of classes, say
        fail(str(error))
