"""A log for TensorBoard: numbers, histograms and pictures of a training run."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn.about import TinygradCnnWarning, install
from tinygrad_cnn.training.callbacks import Callback, Run
from tinygrad_cnn.training.histograms import thinned

_numbers = itertools.count(1)
_MOST = 2**18  # numbers of one parameter that a histogram looks at


class TensorBoard(Callback):
    """Write what TensorBoard shows: `tensorboard --logdir <log_dir>`.

    Curves: `loss/batch`, and for every epoch `loss/train`, `loss/val`, the same for each metric, `lr`,
    `images_per_second`; histograms `weights/…` and `gradients/…` (of the epoch's last batch). The step is the number
    of batches since the very beginning: a run that is resumed goes on in the same curves.

    Args:
        log_dir: The directory, made if it is not there; one run each.
        scalars_every: Batches from one point of `loss/batch` to the next.
        histograms_every: Epochs from one set of histograms to the next; 0 for none.
        images: Name → function that is given the `Run` after each epoch and returns a picture, (H, W) or (H, W, 3)
            of uint8; None for none this time.

    Raises:
        ImportError: If tensorboardX, which writes the files, is not installed.
        ValueError: If an interval makes no sense.
        OSError: If the directory cannot be written, when training begins. A disk that is full later ends the log with
            a warning, not the training.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        scalars_every: int = 10,
        histograms_every: int = 1,
        images: Mapping[str, Callable[[Run], np.ndarray | None]] | None = None,
    ) -> None:
        if scalars_every < 1 or histograms_every < 0:
            raise ValueError(
                f"TensorBoard: scalars_every={scalars_every!r} must be at least 1, "
                f"histograms_every={histograms_every!r} at least 0"
            )
        try:
            from tensorboardX import event_file_writer, summary
        except ImportError as error:
            raise ImportError(f"TensorBoard needs tensorboardX: {install('tensorboard')}") from error
        self.log_dir = Path(log_dir)
        self.scalars_every = scalars_every
        self.histograms_every = histograms_every
        self.images = dict(images or {})
        # not its SummaryWriter: that one's thread dies on a full disk, and then the training would wait for it forever
        self._open_file, self._summary = event_file_writer.EventsWriter, summary
        self._file: Any = None

    def on_train_begin(self, run: Run) -> None:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._file = self._open_file(str(self.log_dir / "events"), f".{os.getpid()}.{next(_numbers)}")
        self._begun = False

    def on_epoch_begin(self, run: Run) -> None:
        if not self._begun and run.step:  # resumed: points that an interrupted run wrote after this one are void
            self._write(run.step + 1, start=True)
        self._begun = True

    def on_batch_end(self, run: Run) -> None:
        if run.last_batch is not None and run.step % self.scalars_every == 0:
            self._scalars(run.step, {"loss/batch": run.last_batch.values["loss"]})

    def on_epoch_end(self, run: Run) -> None:
        self._scalars(run.step, {_tag(name): value for name, value in run.logs.items() if _is_number(value)})
        if self.histograms_every and run.epoch % self.histograms_every == 0:
            for name, parameter in run.model.named_parameters():
                self._histogram(run.step, f"weights/{name}", parameter.data)
                if parameter.grad is not None:
                    self._histogram(run.step, f"gradients/{name}", parameter.grad)
        for name, function in self.images.items():
            picture = function(run)
            if picture is not None:
                form = "HW" if picture.ndim == 2 else "HWC"
                self._write(run.step, self._summary.image(name, np.ascontiguousarray(picture), dataformats=form))
        self._do(lambda file: file.flush())

    def on_train_end(self, run: Run) -> None:
        self._do(lambda file: file.close())
        self._file = None

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._write(step, self._summary.scalar(name, float(value)))

    def _histogram(self, step: int, name: str, array: Any) -> None:
        values = thinned(array, _MOST)
        values = values[np.isfinite(values)]
        if values.size:
            self._write(step, self._summary.histogram(name, values, bins=30))

    def _write(self, step: int, summary: Any = None, start: bool = False) -> None:
        from tensorboardX.proto import event_pb2

        event = event_pb2.Event(step=step, summary=summary, wall_time=time.time())
        if start:
            event.session_log.status = event_pb2.SessionLog.START
        self._do(lambda file: file.write_event(event))

    def _do(self, action: Callable[[Any], Any]) -> None:
        if self._file is None:
            return
        try:
            action(self._file)
        except OSError as error:
            self._file = None
            text = f"the TensorBoard log in {self.log_dir} ends here: {error.strerror or error}; training goes on"
            warnings.warn(text, TinygradCnnWarning, stacklevel=2)


def _tag(name: str) -> str:
    """`val_loss` and `loss` belong into one diagram: `loss/val`, `loss/train`."""
    if name in ("epoch", "lr", "seconds", "images_per_second"):
        return name
    return f"{name.removeprefix('val_')}/{'val' if name.startswith('val_') else 'train'}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
