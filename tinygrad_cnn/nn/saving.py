"""Putting saved values into a module: everything is checked before anything is copied."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.backends import is_array

if TYPE_CHECKING:
    from tinygrad_cnn.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the state, and what it had no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(module: Module, state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy the values into the module's parameters and buffers, or raise an error and change nothing."""
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: state must be a dict of name → values, not {type(state).__name__}")
    own = dict(module._saved_tensors(""))
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    arrays: dict[str, Any] = {}
    problems = []
    for name, tensor in own.items():
        if name in state:
            try:
                arrays[name] = as_array(state[name])
            except (TypeError, ValueError, RuntimeError) as error:
                problems.append(f"'{name}' is {type(state[name]).__name__}, which is no array of numbers: {error}")
                continue
            if arrays[name].shape != tensor.shape:
                problems.append(_conflict(name, tensor.shape, arrays[name].shape))
    if strict:
        problems += _absent(missing, unexpected)
    if problems:
        raise RuntimeError(
            f"{type(module).__name__}: this state does not fit (nothing was changed):\n  "
            + "\n  ".join([*problems, *_remedies(missing, unexpected, strict)])
        )
    for name, array in arrays.items():
        tensor = own[name]
        with tensor.backend.activate(), tensor.writing("load_state_dict") as target:
            target[...] = tensor.backend.asarray(array, dtype=tensor.dtype)
    return IncompatibleKeys(missing, unexpected)


def as_array(value: Any) -> Any:
    """The numbers of a tensor (a PyTorch one, too), an array or a list as an array, where they are.

    Raises:
        TypeError: If it holds anything but numbers.
    """
    if isinstance(value, Tensor):
        return value.data
    if hasattr(value, "detach"):  # a PyTorch tensor, say a Parameter
        value = value.detach().cpu()
    array = value if is_array(value) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"its elements are {array.dtype}")
    return array


def _conflict(name: str, own: tuple[int, ...], given: tuple[int, ...]) -> str:
    hint = ""
    if len(own) > 1 and own == tuple(reversed(given)):
        hint = " (transposed? weights are stored (out, in, ...))"
    elif np.prod(own) == np.prod(given):
        hint = " (as many numbers: reshape them?)"
    return f"'{name}' has shape {own} in the model, {given} in the state{hint}"


def _absent(missing: list[str], unexpected: list[str]) -> Iterable[str]:
    if missing:
        yield f"missing in the state: {', '.join(map(repr, missing))}"
    if unexpected:
        near = {name: difflib.get_close_matches(name, missing, n=1) for name in unexpected}
        yield "not in the model: " + ", ".join(
            repr(name) + (f" (did you mean '{near[name][0]}'?)" if near[name] else "") for name in unexpected
        )


def _remedies(missing: list[str], unexpected: list[str], strict: bool) -> Iterable[str]:
    first = unexpected[0].partition(".")[0] + "." if unexpected else ""
    if first and all(name.startswith(first) and name[len(first) :] in missing for name in unexpected):
        yield f"→ all names begin with '{first}': load {{k.removeprefix('{first}'): v for k, v in state.items()}}"
    elif strict and (missing or unexpected):
        yield "→ make the model as it was when the state was saved, or load what fits with strict=False"
    else:
        yield "→ make the model as it was when the state was saved, or leave these entries out with strict=False"
