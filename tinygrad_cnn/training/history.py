"""What happened in each epoch of a training run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, overload

from tinygrad_cnn.training.storage import write_file

Record = dict[str, Any]
_FORMAT = "tinygrad_cnn history 1"
_HIGHER_IS_BETTER = ("accuracy", "acc", "precision", "recall", "f1", "auc", "score")


def higher_is_better(name: str) -> bool:
    """Whether a measured value is better when larger, judged by its name: yes for accuracies, no for losses.

    >>> higher_is_better("val_accuracy"), higher_is_better("val_loss")
    (True, False)
    """
    return any(name.lower().endswith(word) for word in _HIGHER_IS_BETTER)


def direction(monitor: str, mode: str | None) -> str:
    """`"min"` or `"max"`; without a `mode` (or with `"auto"`) judged by the name.

    Raises:
        ValueError: If `mode` is something else.
    """
    if mode in (None, "auto"):
        return "max" if higher_is_better(monitor) else "min"
    if mode not in ("min", "max"):
        raise ValueError(f'mode is {mode!r}; use "min" (smaller is better), "max" or "auto"')
    return str(mode)


class History:
    """The records of a training run, one dict per finished epoch.

    Keys: `epoch` (1, 2, …), `loss` and the metrics (averages over the epoch's training samples), the same
    with `val_` in front where there is validation data, `lr` (learning rate of the epoch's last step),
    `seconds` (training and validation) and `images_per_second` (training only).

    Args:
        records: Records to start from.

    Attributes:
        interrupted: True if Ctrl-C or SIGTERM ended the run.
        stop_reason: Why a callback ended the run early; None if none did.

    >>> first = {"epoch": 1, "loss": 0.5, "accuracy": 0.8}
    >>> second = {"epoch": 2, "loss": 0.25, "accuracy": 0.9}
    >>> history = History([first, second])
    >>> history["loss"]
    [0.5, 0.25]
    >>> history.best("accuracy")["epoch"]
    2
    """

    def __init__(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        self.records: list[Record] = [dict(record) for record in records]
        self.interrupted = False
        self.stop_reason: str | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Add the record of an epoch."""
        self.records.append(dict(record))

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, key: int) -> Record: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | str) -> Record | list[Any]:
        if isinstance(key, int):
            return self.records[key]
        if key not in self:
            raise KeyError(f"history has no {key!r}; it has {', '.join(self.names) or 'no epochs yet'}")
        return [record.get(key) for record in self.records]  # a value measured in some epochs only: None elsewhere

    def __contains__(self, name: object) -> bool:
        return any(name in record for record in self.records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # it grows

    @property
    def names(self) -> list[str]:
        """What was recorded, in the order in which it first appeared."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    @property
    def last(self) -> Record:
        """The record of the last epoch.

        Raises:
            LookupError: If no epoch was finished.
        """
        if not self.records:
            raise LookupError("history: no epoch was finished yet")
        return self.records[-1]

    def best(self, monitor: str | None = None, mode: str | None = None) -> Record:
        """The record of the best epoch (the first of equals; NaN is never best).

        Args:
            monitor: What to compare; by default the first of `val_accuracy`, `val_loss`, `accuracy`, `loss`
                that was recorded.
            mode: `"min"` or `"max"`; by default larger is better for accuracies, smaller for all else.

        Raises:
            KeyError: If that was not recorded.
            LookupError: If no epoch has a number to compare.
        """
        if monitor is None:
            monitor = next((name for name in ("val_accuracy", "val_loss", "accuracy") if name in self), "loss")
        values = self[monitor]
        sign = -1 if direction(monitor, mode) == "max" else 1
        numbers = [(sign * v, i) for i, v in enumerate(values) if v is not None and not math.isnan(v)]
        if not numbers:
            raise LookupError(f"history: {monitor} is not a number in any of the {len(self)} epochs")
        return self.records[min(numbers)[1]]

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold; NaN and infinities, which it does not have, are the strings "nan", "inf", "-inf"."""
        return {
            "format": _FORMAT,
            "interrupted": self.interrupted,
            "stop_reason": self.stop_reason,
            "epochs": [{name: _to_json(value) for name, value in record.items()} for record in self.records],
        }

    @classmethod
    def from_dict(cls, content: Any) -> History:
        """The history that `as_dict` was asked of.

        Raises:
            ValueError: If it is something else.
        """
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f'history: this is not a history file (no "format": "{_FORMAT}")')
        history = cls({k: _from_json(v) for k, v in record.items()} for record in content["epochs"])
        history.interrupted, history.stop_reason = content["interrupted"], content["stop_reason"]
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a JSON file, all of it or nothing."""
        write_file(path, (json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is something else, with its path.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=refuse_constant))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epochs)"
        shown = ", ".join(f"{k}={v:.4g}" for k, v in self.last.items() if isinstance(v, float))
        return f"History({len(self)} epochs; last: {shown})"


def _to_json(value: Any) -> Any:
    if hasattr(value, "item"):  # a NumPy number
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


def refuse_constant(name: str) -> None:
    """For `json.loads`, which would take NaN."""
    raise ValueError(f"{name} is not JSON")
