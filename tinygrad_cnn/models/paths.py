"""Parts of a network by the names that `state_dict` and `summary` show, such as `classifier.fc2`."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from tinygrad_cnn import nn

_SHOWN = 40


def module_at(operation: str, model: nn.Module, path: str) -> nn.Module:
    """The module of a dotted name; "" is the model itself.

    Args:
        operation: Who asks, for the message.
        model: The network.
        path: The name.

    Raises:
        ValueError: If there is none; names the nearest and lists what there is.
        TypeError: If it is no string.

    >>> from tinygrad_cnn import nn
    >>> module_at("example", nn.Sequential({"act": nn.ReLU()}), "atc")
    Traceback (most recent call last):
    ValueError: example: Sequential has no 'atc' (did you mean 'act'?); it has act
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if not isinstance(path, str) or path not in modules:
        raise unknown(operation, model, path, modules)
    return modules[path]


def unknown(operation: str, model: nn.Module, path: Any, known: Collection[str]) -> Exception:
    """The error for a name that is none of `known`, or no name at all."""
    if not isinstance(path, str):
        own = [name for name, module in model.named_modules() if name and module is path]
        example = next(iter([*own, *filter(None, known)]), "")
        return TypeError(
            f"{operation}: parts of {type(model).__name__} are given by their names, such as {example!r}, one by one; "
            f"not as {type(path).__name__}"
        )
    names = [name for name in known if name]
    near = [name for name in names if name.endswith(f".{path}")] or difflib.get_close_matches(path, names, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    more = f", and {len(names) - _SHOWN} more: model.named_modules()" if len(names) > _SHOWN else ""
    listed = ", ".join(names[:_SHOWN]) or "no parts"
    return ValueError(f"{operation}: {type(model).__name__} has no {path!r}{meant}; it has {listed}{more}")


def is_below(path: str, prefix: str) -> bool:
    """Whether a name is `prefix` or lies below it.

    >>> is_below("features.conv1.weight", "features"), is_below("features2.weight", "features")
    (True, False)
    """
    return not prefix or path == prefix or path.startswith(f"{prefix}.")
