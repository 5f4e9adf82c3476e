"""Checkpoints: everything a run needs to go on, bit for bit, as if it had never stopped. No pickle.

What a checkpoint directory holds (`storage.py` sees to it that it is whole):

- `model.safetensors`: parameters and buffers, under the names of `model.state_dict()`;
- `optimizer.safetensors`: the arrays in the states of optimizer, scheduler and callbacks;
- `state.json`: those states' structure and numbers, random generator, loader position, history,
  configuration, versions;
- `MANIFEST.json`: size and SHA-256 of each of these.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.about import TinygradCnnWarning, __version__
from tinygrad_cnn.training import storage
from tinygrad_cnn.training.history import History, refuse_constant
from tinygrad_cnn.training.storage import CheckpointError, DamagedError, checkpoints
from tinygrad_cnn.training.trees import Arrays, decode, encode
from tinygrad_cnn.training.weights import arrays_of, pack, unpack

__all__ = ["Checkpoint", "CheckpointError", "DamagedError", "checkpoints", "load", "save"]

_MODEL, _ARRAYS, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass
class Checkpoint:
    """What a checkpoint holds, verified and decoded; `restore` puts it into a model and its company.

    Attributes:
        path: Its directory.
        model: Parameters and buffers, name → array.
        states: State of `optimizer`, `scheduler`, `generator`, `loader` (None where there was none).
        callbacks: Class name and state of each callback that has one.
        history: Records of the finished epochs; None if none was saved.
        progress: Where `fit` stood in the epoch.
        config: The caller's configuration.
        kinds: Class names of the model, optimizer, …
        versions: Of Python, NumPy and the package that wrote it.
    """

    path: Path
    model: Arrays
    states: dict[str, Any]
    callbacks: list[tuple[str, Any]] = field(default_factory=list)
    history: History | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    config: Any = None
    kinds: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def restore(
        self,
        model: nn.Module,
        optimizer: Any = None,
        scheduler: Any = None,
        generator: Any = None,
        loader: Any = None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Give each of these the state it had when the checkpoint was written: all of them or none.

        Args:
            model: A model with the same parameters and buffers (names, shapes, formats).
            optimizer: Of the same class, over the same parameters; None leaves that part of the checkpoint
                unused, here and with the others.
            scheduler: Of the same class.
            generator: The random generator that was used in training.
            loader: The training data's loader.
            callbacks: The same callbacks in the same order, others may stand between them.

        Raises:
            CheckpointError: If something is of another kind or shape; it lists the differences, and nothing
                was changed.
        """
        differences = _differences(self.model, arrays_of(model))
        if differences:
            raise CheckpointError(
                f"{self.path} is of another model ({self.kinds.get('model', 'unknown class')}; this one is a "
                f"{type(model).__name__}):\n  "
                + "\n  ".join(differences)
                + "\nNothing was loaded. Build the model with the options of the checkpoint (its .config), "
                "or give another checkpoint directory."
            )
        company = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator, "loader": loader}
        wanted: list[tuple[str, Any, Any]] = [("model", model, self.model)]
        for role, target in company.items():
            if target is not None:
                self._require(role, target)
                wanted.append((role, target, self.states[role]))
        remaining = list(self.callbacks)
        for callback in callbacks:
            match = next((entry for entry in remaining if entry[0] == type(callback).__name__), None)
            if match:
                remaining.remove(match)
                wanted.append((match[0], callback, match[1]))
        _load_all(self.path, wanted)

    def _require(self, role: str, target: Any) -> None:
        kind = type(target).__name__
        if self.states.get(role) is None:
            raise CheckpointError(f"{self.path} has no {role} state, but a {kind} wants one; resume without the {role}")
        if self.kinds.get(role, kind) != kind:
            raise CheckpointError(
                f"{self.path} was written with the {role} {self.kinds[role]}, this one is a {kind}; "
                f"nothing was loaded. Use {self.kinds[role]} to resume."
            )


def save(
    directory: str | os.PathLike[str],
    model: nn.Module,
    *,
    optimizer: Any = None,
    scheduler: Any = None,
    generator: Any = None,
    loader: Any = None,
    history: History | None = None,
    callbacks: Sequence[Any] = (),
    progress: Mapping[str, Any] | None = None,
    config: Any = None,
    keep: int = 2,
) -> Path:
    """Write the next checkpoint of a directory and return its path.

    Args:
        directory: Where checkpoints go; the new one is `directory/checkpoint-000123`.
        model: Its parameters and buffers are stored.
        optimizer: Anything with `state_dict()`, or None; so are scheduler, generator (random numbers) and
            loader.
        scheduler: See optimizer.
        generator: See optimizer.
        loader: See optimizer.
        history: Records of the finished epochs.
        callbacks: Those with a non-empty `state_dict()` are stored.
        progress: Where in the epoch training stands; a dict of numbers.
        config: What a program needs to build the same model again: dicts, lists, numbers, strings, arrays.
        keep: Good checkpoints to keep, this one included; older ones are removed once this one is durable.

    Raises:
        CheckpointError: If it cannot be written; the earlier checkpoints are untouched then.
        TypeError: If a state or the configuration holds something that cannot be stored.
    """
    company = {"optimizer": optimizer, "scheduler": scheduler, "generator": generator, "loader": loader}
    states = {role: None if thing is None else thing.state_dict() for role, thing in company.items()}
    arrays: Arrays = {}
    content = {role: encode(state, arrays, role) for role, state in states.items()}
    content["callbacks"] = [
        [type(callback).__name__, encode(state, arrays, f"callbacks/{index}")]
        for index, callback in enumerate(callbacks)
        if (state := callback.state_dict())
    ]
    content["progress"] = encode(dict(progress or {}), arrays, "progress")
    content["config"] = encode(config, arrays, "config")
    content["history"] = None if history is None else history.as_dict()
    content["kinds"] = {role: type(thing).__name__ for role, thing in company.items() if thing is not None}
    content["kinds"]["model"] = type(model).__name__
    content["versions"] = _versions()
    state = json.dumps(content, indent=1, allow_nan=False)
    files = {_MODEL: pack(arrays_of(model)), _ARRAYS: pack(arrays), _STATE: state.encode()}
    return storage.write(directory, files, keep)


def load(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint after checking every byte of it; change nothing.

    Args:
        path: A directory of checkpoints, whose newest good one is taken (with a warning about damaged ones
            that are newer), or one checkpoint.

    Raises:
        CheckpointError: If there is no checkpoint, or none that is undamaged; it names the damaged files.
    """
    path = Path(path)
    if (path / storage.MANIFEST).exists():
        return _read(path)
    damages = []
    for candidate in reversed(checkpoints(path)):
        try:
            found = _read(candidate)
        except DamagedError as error:
            damages.append(str(error))
            continue
        if damages:
            problem = "\n  ".join(damages)
            warnings.warn(
                f"checkpoint: using {candidate} instead of a newer one, which is damaged:\n  {problem}",
                TinygradCnnWarning,
                stacklevel=2,
            )
        return found
    if damages:
        problem = "\n  ".join(damages)
        raise CheckpointError(f"{path}: every checkpoint is damaged:\n  {problem}\nUse a backup, or train again")
    raise CheckpointError(
        f"{path} holds no checkpoint; fit(…, checkpoint_dir=…) writes them as checkpoint-000001, checkpoint-000002, …"
    )


def _read(path: Path) -> Checkpoint:
    files = storage.read(path)
    try:
        content = json.loads(files[_STATE].decode(), parse_constant=refuse_constant)
        arrays = unpack(files[_ARRAYS])
        return Checkpoint(
            path=path,
            model=unpack(files[_MODEL]),
            states={role: decode(content[role], arrays) for role in ("optimizer", "scheduler", "generator", "loader")},
            callbacks=[(name, decode(state, arrays)) for name, state in content["callbacks"]],
            history=None if content["history"] is None else History.from_dict(content["history"]),
            progress=decode(content["progress"], arrays),
            config=decode(content["config"], arrays),
            kinds=content["kinds"],
            versions=content["versions"],
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path} is whole, but is not a checkpoint of this package: {error!r}") from error


def _differences(stored: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> list[str]:
    lines = [f"{name}: only in the checkpoint" for name in stored if name not in present]
    lines += [f"{name}: only in the model" for name in present if name not in stored]
    for name, array in stored.items():
        if name in present:
            there, here = (f"{tuple(a.shape)} {a.dtype}" for a in (array, present[name]))
            if there != here:
                lines.append(f"{name}: {there} in the checkpoint, {here} in the model")
    return lines


def _load_all(path: Path, wanted: Sequence[tuple[str, Any, Any]]) -> None:
    before: list[tuple[Any, Any]] = []
    for role, target, state in wanted:
        try:
            before.append((target, copy.deepcopy(target.state_dict())))
            target.load_state_dict(state)
        except Exception as error:
            for changed, old in reversed(before):
                changed.load_state_dict(old)
            raise CheckpointError(
                f"{path}: its {role} state does not fit this {type(target).__name__}; nothing was loaded. {error}"
            ) from error


def _versions() -> dict[str, str]:
    return {
        "tinygrad_cnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
