"""Trees of dicts, lists, numbers and arrays as strict JSON beside named arrays: no pickle needed.

JSON has no NaN, no infinity, no tuples, no integer keys and no arrays. Each becomes a dict with one key that
starts with a dollar sign: `{"$array": "optimizer/state/0/momentum"}` stands for the array stored under that
name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def encode(tree: Any, arrays: Arrays, path: str = "") -> Any:
    """The tree as values that strict JSON can hold; its arrays are put into `arrays`, named by their path.

    Raises:
        TypeError: If there is something else in it, with its path.

    >>> arrays = {}
    >>> encode({"lr": float("inf"), "state": {0: np.ones(2)}}, arrays, "sgd")
    {'lr': {'$float': 'inf'}, 'state': {'$dict': [[0, {'$array': 'sgd/state/0'}]]}}
    >>> arrays
    {'sgd/state/0': array([1., 1.])}
    """
    if tree is None or isinstance(tree, (bool, str)) or type(tree) is int:
        return tree
    if type(tree) is float:
        return tree if math.isfinite(tree) else {"$float": str(tree)}
    if isinstance(tree, (np.ndarray, np.generic)):
        if tree.dtype.kind not in "biuf" or tree.dtype.name == "float128":
            raise TypeError(f"{path}: arrays of {tree.dtype} cannot be stored; use whole numbers, floats or bools")
        name = path
        while name in arrays:  # "a/b" and {"a": {"b"}} would meet
            name += "'"
        arrays[name] = np.array(tree)  # a copy: the optimizer goes on while this is being written
        return {"$array" if isinstance(tree, np.ndarray) else "$scalar": name}
    if isinstance(tree, dict):
        pairs = [(key, encode(value, arrays, f"{path}/{key}")) for key, value in tree.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in tree):
            return dict(pairs)
        return {"$dict": [[encode(key, arrays, f"{path}/key"), value] for key, value in pairs]}
    if isinstance(tree, (list, tuple)):
        values = [encode(value, arrays, f"{path}/{index}") for index, value in enumerate(tree)]
        return values if isinstance(tree, list) else {"$tuple": values}
    raise TypeError(
        f"{path}: a {type(tree).__name__} cannot be stored; use dicts, lists, tuples, numbers, strings, None "
        "and NumPy arrays"
    )


def decode(value: Any, arrays: Arrays) -> Any:
    """The tree that `encode` was given; exactly: types, keys, bits of every number.

    >>> decode({"$tuple": [1, {"$float": "-inf"}]}, {})
    (1, -inf)
    """
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        match key:
            case "$float":
                return float(content)
            case "$array":
                return arrays[content]
            case "$scalar":
                return arrays[content][()]
            case "$tuple":
                return tuple(decode(item, arrays) for item in content)
            case "$dict":
                return {decode(k, arrays): decode(v, arrays) for k, v in content}
    return {key: decode(item, arrays) for key, item in value.items()}
