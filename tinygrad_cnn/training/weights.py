"""A model's weights as one safetensors file, readable by every framework that knows PyTorch's key names."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.training.storage import CheckpointError, write_file
from tinygrad_cnn.training.trees import Arrays


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a model's parameters and buffers to one `.safetensors` file, all of it or nothing.

    Args:
        model: The model; on any device.
        path: The file, replaced if it exists.

    Raises:
        CheckpointError: If it cannot be written; an earlier file is untouched then.
    """
    arrays = arrays_of(model)
    content = pack(arrays, {"sha256": _checksum(pack(arrays))})
    try:
        write_file(path, content)
    except OSError as error:
        raise CheckpointError(f"save_weights: cannot write {path}: {error.strerror or error}") from error


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Give a model the weights in a `.safetensors` file, ours or PyTorch's.

    Args:
        model: A model whose parameters and buffers have the file's names and shapes.
        path: The file.

    Raises:
        CheckpointError: If the file cannot be read, is damaged or is not a safetensors file.
        RuntimeError: If names or shapes differ; it lists them, and the model is unchanged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"load_weights: cannot read {path}: {error.strerror or error}") from error
    try:
        arrays = unpack(content)
        intact = _metadata(content).get("sha256") in (None, _checksum(content))
    except ValueError as error:
        raise CheckpointError(f"load_weights: {path} is damaged or not a safetensors file: {error}") from error
    if not intact:
        raise CheckpointError(f"load_weights: {path} is damaged: its checksum of itself does not fit")
    model.load_state_dict(arrays)


def arrays_of(model: nn.Module) -> Arrays:
    """A model's parameters and buffers as NumPy arrays, from any device; not to be written into."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def pack(arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """The arrays as the bytes of a safetensors file."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}, metadata)


def unpack(content: bytes) -> Arrays:
    """The arrays in the bytes of a safetensors file, writable.

    Raises:
        ValueError: If the bytes are something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(content))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """A safetensors file's header (the file: 8 bytes length, JSON, numbers), and where the numbers begin."""
    start = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:start]), start


def _metadata(content: bytes) -> dict[str, str]:
    return _header(content)[0].get("__metadata__") or {}


def _checksum(content: bytes) -> str:
    """SHA-256 of names, formats, shapes and numbers: all but the metadata, where the checksum itself goes."""
    header, start = _header(content)
    header.pop("__metadata__", None)
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + content[start:]).hexdigest()
