"""Parts of a network by the names that `state_dict` and `summary` show, such as `classifier.fc2`."""

from __future__ import annotations

import difflib
from collections.abc import Collection

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

    >>> from tinygrad_cnn import nn
    >>> module_at("example", nn.Sequential({"act": nn.ReLU()}), "atc")
    Traceback (most recent call last):
    ValueError: example: Sequential has no 'atc' (did you mean 'act'?); it has act
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if path not in modules:
        raise unknown(operation, model, path, modules)
    return modules[path]


def unknown(operation: str, model: nn.Module, path: str, known: Collection[str]) -> ValueError:
    """The error for a name that is none of `known`."""
    names = [name for name in known if name]
    near = difflib.get_close_matches(str(path), names, n=1)
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
