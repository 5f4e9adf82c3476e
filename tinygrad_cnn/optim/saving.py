"""An optimizer's state as a tree of plain values and NumPy arrays, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.backends import is_array, to_numpy
from tinygrad_cnn.nn.saving import as_array

if TYPE_CHECKING:
    from tinygrad_cnn.optim.optimizer import Optimizer


def plain(value: Any) -> Any:
    """The value in the types that JSON knows; arrays become copies on the host.

    >>> plain({"betas": (0.9, np.float64(0.5))})
    {'betas': [0.9, 0.5]}
    """
    if isinstance(value, np.generic):
        return value.item()
    if is_array(value):
        return np.array(to_numpy(value))
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def pack(optimizer: Optimizer) -> dict[str, Any]:
    """The tree `Optimizer.state_dict` returns."""
    number = {p: i for i, p in enumerate(optimizer.parameters())}
    return {
        "state": {number[p]: plain(state) for p, state in optimizer.state.items() if state},
        "param_groups": [
            {**plain({k: v for k, v in group.items() if k != "params"}), "params": [number[p] for p in group["params"]]}
            for group in optimizer.param_groups
        ],
    }


def unpack(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Put a saved tree into an optimizer, after all of it was checked."""
    problems = list(_group_problems(optimizer, saved))
    params = list(optimizer.parameters())
    states = {} if problems else _states(optimizer, params, saved, problems)
    if problems:
        raise ValueError(
            f"{optimizer.name}: this state does not fit (nothing was changed):\n  "
            + "\n  ".join(problems)
            + "\n  make the optimizer as it was made when the state was saved: same class, same model, same groups"
        )
    optimizer.state = {params[i]: state for i, state in states.items()}
    for group, options in zip(optimizer.param_groups, saved["param_groups"]):
        for key, value in options.items():
            if key != "params":
                group[key] = tuple(value) if isinstance(optimizer.defaults.get(key), tuple) else plain(value)


def _group_problems(optimizer: Optimizer, saved: Any) -> list[str]:
    if not isinstance(saved, dict) or "state" not in saved or "param_groups" not in saved:
        return [f'it must be a dict with "state" and "param_groups", not {type(saved).__name__}']
    groups = saved["param_groups"]
    if len(groups) != len(optimizer.param_groups):
        return [f"it has {len(groups)} parameter group(s), the optimizer {len(optimizer.param_groups)}"]
    problems = []
    for i, (options, group) in enumerate(zip(groups, optimizer.param_groups)):
        if len(options["params"]) != len(group["params"]):
            problems.append(
                f"group {i} has {len(options['params'])} parameter(s), the optimizer's {len(group['params'])}"
            )
        missing = [key for key in optimizer.defaults if key not in options]
        if missing:
            problems.append(f"group {i} lacks the option(s) {', '.join(missing)}; was it another optimizer's?")
    return problems


def _states(
    optimizer: Optimizer, params: list[Any], saved: dict[str, Any], problems: list[str]
) -> dict[int, dict[str, Any]]:
    """Parameter number → its state as this optimizer keeps it; what does not fit is added to `problems`."""
    # the numbers in the file need not count from 0: they are matched by their place in the groups
    places = {str(key): i for i, key in enumerate(k for g in saved["param_groups"] for k in g["params"])}
    states: dict[int, dict[str, Any]] = {}
    for key, entry in saved["state"].items():
        i = places.get(str(key))
        if i is None:
            problems.append(f"it has a state for parameter {key}, which is in no group")
            continue
        p, states[i] = params[i], {}
        for name, value in entry.items():
            shape = np.shape(value)
            if value is None:
                continue
            if name in optimizer.state_arrays:
                if shape != p.shape:
                    problems.append(f"{name} of parameter {key} has shape {shape}, the parameter {p.shape}")
                    continue
                # plain() copies: the caller's array must not become ours
                states[i][name] = p.backend.asarray(plain(as_array(value)), dtype=p.dtype)
            elif isinstance(value, (bool, int, float, str)):
                states[i][name] = value
            elif shape == ():
                states[i][name] = as_array(value).item()
            else:
                problems.append(f"{name} of parameter {key} is unknown to {optimizer.name}")
    return states
