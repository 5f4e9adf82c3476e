"""From samples to a batch: equal shapes stacked along a new first axis, then made tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import backends
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.shapes import ShapeError


def stack(arrays: Sequence[Any], indices: Sequence[int] | np.ndarray | None = None) -> Any:
    """Arrays of equal shape as one array with a new first axis.

    Args:
        arrays: The arrays of one batch.
        indices: What to call them in a message; their places in the batch if absent.

    Raises:
        ShapeError: If the shapes differ, with the samples and their shapes.

    >>> stack([np.zeros((1, 2)), np.ones((1, 2))]).shape
    (2, 1, 2)
    """
    shapes: dict[tuple[int, ...], list[int]] = {}
    for place, array in enumerate(arrays):
        shapes.setdefault(array.shape, []).append(place if indices is None else int(indices[place]))
    if len(shapes) > 1:
        listed = "; ".join(f"{shape} of {_some(who)}" for shape, who in shapes.items())
        raise ShapeError(
            f"batch: all samples must have the same shape, these have {len(shapes)}: {listed}. "
            "Bring them to one size with transforms.Resize or RandomCrop, or pass collate_fn"
        )
    backend = backends.backend_of(arrays[0])
    with backend.activate():
        return backend.xp.stack(arrays)


def _some(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:5]))
    return f"sample{'s' if len(indices) > 1 else ''} {shown}" + (" …" if len(indices) > 5 else "")


def collate_arrays(samples: Sequence[Any], indices: Sequence[int] | np.ndarray | None = None) -> Any:
    """Samples as one batch of plain arrays; `default_collate` before it makes tensors.

    Raises:
        ShapeError: If arrays differ in shape.
        TypeError: If a sample holds something that cannot be stacked, or samples differ in structure.
    """
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, Mapping):
        return {key: collate_arrays([sample[key] for sample in samples], indices) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = [len(sample) for sample in samples]
        if len(set(lengths)) > 1:
            raise TypeError(f"batch: every sample must have the same number of parts, these have {lengths}")
        return tuple(collate_arrays(part, indices) for part in zip(*samples, strict=True))
    if isinstance(first, Tensor):
        return stack([sample.data for sample in samples], indices)
    if backends.is_array(first):
        return stack(samples, indices)
    if isinstance(first, (bool, int, float)):
        return np.array(samples, dtype=_number_dtype(samples))
    raise TypeError(
        f"batch: cannot stack {type(first).__module__}.{type(first).__qualname__}; return arrays and numbers "
        "(pictures: add transforms.ToTensor()), or pass collate_fn"
    )


def _number_dtype(numbers: Sequence[Any]) -> type:
    if all(isinstance(number, bool) for number in numbers):
        return np.bool_
    # float64, as PyTorch's default_collate has it
    return np.float64 if any(isinstance(number, float) for number in numbers) else np.int64


def to_tensors(batch: Any, device: Any = None) -> Any:
    """Every array in a batch as a tensor, on `device` if one is given."""
    if isinstance(batch, Tensor):
        return batch if device is None else batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_tensors(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(to_tensors(part, device) for part in batch)
    return Tensor(batch, device=device) if backends.is_array(batch) else batch


def default_collate(samples: Sequence[Any]) -> Any:
    """Samples as one batch: arrays, tensors and numbers become tensors with a new first axis.

    Tuples, lists and dicts are collated part by part. Whole numbers give int64, Python floats float64 (as in
    PyTorch); arrays keep their dtype; strings stay a list.

    Args:
        samples: What the dataset returned for each index of the batch.

    Raises:
        ShapeError: If arrays of one part differ in shape.
        TypeError: If something is neither an array nor a number.

    >>> images, labels = default_collate([(np.zeros((1, 2, 2)), 3), (np.ones((1, 2, 2)), 4)])
    >>> images.shape, labels.tolist()
    ((2, 1, 2, 2), [3, 4])
    """
    return to_tensors(collate_arrays(samples))
