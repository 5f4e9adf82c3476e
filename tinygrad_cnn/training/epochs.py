"""The inside of `fit`: epochs, batches, and where training stands between two of them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NoReturn

from tinygrad_cnn import random
from tinygrad_cnn.autograd import Tensor
from tinygrad_cnn.optim import lr_scheduler
from tinygrad_cnn.training import checkpoint, storage
from tinygrad_cnn.training.callbacks import Batch, Callback, Run
from tinygrad_cnn.training.finite import NonFiniteError, diagnosis, first_non_finite
from tinygrad_cnn.training.loop import Evaluation, LossFn, batches, evaluate, measure, train_step
from tinygrad_cnn.training.metrics import Averages, Metric
from tinygrad_cnn.training.signals import Interrupted, Signals
from tinygrad_cnn.training.storage import CheckpointError
from tinygrad_cnn.training.timing import Saver, Speed

_PAUSE_SECONDS = 0.05  # how often a paused training looks whether it may go on


@dataclass
class Progress:
    """Where training stands between two batches; all of it goes into the checkpoint."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    trained: bool = False  # the epoch's batches are done, its validation is not
    lr: float = math.nan  # of the last step
    seconds: float = 0.0
    samples: int = 0
    sums: dict[str, float] = field(default_factory=dict)


@dataclass
class Training:
    """One call of `fit`; the fields are its arguments."""

    run: Run
    train_loader: Iterable[Any]
    val_loader: Iterable[Any] | None
    loss_fn: LossFn
    metrics: dict[str, Metric]
    step_scheduler: str
    monitor: str
    clip_norm: float | None
    callbacks: Sequence[Callback]
    generator: random.Generator
    saver: Saver
    config: Any
    signals: Signals = field(default_factory=Signals)
    progress: Progress = field(default_factory=Progress)

    def train(self, signals: Signals, resume: bool) -> None:
        """All epochs that are still to do."""
        run, self.signals = self.run, signals
        run.model.train()
        self._tell("on_train_begin")
        self._begin(resume)
        while self.progress.epoch <= run.epochs:
            run.epoch, run.batch, run.step = self.progress.epoch, self.progress.batch, self.progress.step
            run.logs, run.seconds = {}, self.progress.seconds
            self._tell("on_epoch_begin")
            if run.stop_reason or not (self.progress.trained or self._train_epoch()):
                break
            self._finish_epoch(self._validate())
            if self.signals.received is not None:
                self._leave()
            if run.stop_reason:
                break

    def _train_epoch(self) -> bool:
        """Train on the epoch's remaining batches; False if a callback stopped it before the last."""
        run, progress = self.run, self.progress
        speed = Speed(progress.seconds, progress.samples)
        averages = Averages(progress.sums, progress.samples)
        for x, y in batches(run.model, self.train_loader, skip=self._to_skip()):
            progress.lr = run.lr
            run.last_batch = self._step(x, y)
            averages.add(run.last_batch.values, x.shape[0])
            if self.step_scheduler == "batch" and run.scheduler is not None:
                run.scheduler.step()
            progress.batch += 1
            progress.step += 1
            progress.samples, progress.seconds = averages.samples, speed.seconds()
            run.batch, run.step, run.logs = progress.batch, progress.step, averages.result()
            run.images_per_second, run.seconds = speed.samples_per_second(averages.samples), progress.seconds
            self._tell("on_batch_end")
            run.last_batch = None  # its outputs need not stay in memory beside the next ones
            if run.paused:
                with speed.paused():
                    self._wait()
            if progress.batch == run.batches:
                continue  # the loader must reach its end before its position is one of the next epoch
            if self.signals.received is not None:
                self._save()
                self._leave()
            if run.stop_reason or self.saver.due(progress.batch):
                with speed.paused():
                    self._save()
            if run.stop_reason:
                return False
        if not progress.batch:
            raise ValueError(
                f"fit: the train_loader gave no batches in epoch {progress.epoch}; is the data set "
                "empty, or is it an iterator, which can be walked through only once? Then give a list"
            )
        progress.trained = True
        return True

    def _to_skip(self) -> int:
        """A `DataLoader` knows where it stands; a list, say, starts from its beginning."""
        return self.progress.batch if _state(self.train_loader) is None else 0

    def _wait(self) -> None:
        while self.run.paused and self.run.stop_reason is None and self.signals.received is None:
            self._tell("on_wait")
            time.sleep(_PAUSE_SECONDS)

    def _step(self, x: Tensor, y: Tensor) -> Batch:
        run = self.run
        try:
            loss, y_hat = train_step(run.model, x, y, run.optimizer, self.loss_fn, self.clip_norm)
        except NonFiniteError as error:
            raise self._explain(str(error), x) from None
        scores = y_hat[0] if isinstance(y_hat, tuple) else y_hat
        shown = scores.detach() if isinstance(scores, Tensor) else scores
        return Batch(x, y, shown, measure(loss, y_hat, y, self.metrics))

    def _validate(self) -> Evaluation | None:
        if self.val_loader is None:
            return None
        generator, loader = self.generator.state_dict(), _state(self.val_loader)
        with contextlib.suppress(_LeaveValidation):
            return evaluate(
                self.run.model,
                self.val_loader,
                self.loss_fn,
                self.metrics,
                after_batch=self._leave_validation,
            )
        # a signal came: when training resumes, validation is done again from its beginning
        self.generator.load_state_dict(generator)
        if loader is not None:
            self.val_loader.load_state_dict(loader)  # type: ignore[attr-defined]
        self._save()
        return self._leave()

    def _leave_validation(self) -> None:
        if self.signals.received is not None:
            raise _LeaveValidation

    def _finish_epoch(self, evaluation: Evaluation | None) -> None:
        run, progress = self.run, self.progress
        record: dict[str, Any] = {
            "epoch": progress.epoch,
            **Averages(progress.sums, progress.samples).result(),
        }
        if evaluation is not None:
            run.validation_seconds = evaluation.seconds
            record.update((f"val_{name}", value) for name, value in evaluation.as_dict().items())
        record["lr"] = progress.lr
        record["seconds"] = progress.seconds + (evaluation.seconds if evaluation else 0.0)
        record["images_per_second"] = progress.samples / max(progress.seconds, 1e-9)
        run.history.append(record)
        run.logs = run.history.last
        self._step_epoch_scheduler(record)
        self._tell("on_epoch_end")
        self.progress = Progress(epoch=progress.epoch + 1, step=progress.step)
        self._save()

    def _step_epoch_scheduler(self, record: Mapping[str, Any]) -> None:
        scheduler = self.run.scheduler
        if scheduler is None or self.step_scheduler == "batch":
            return
        if not isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step()
        elif self.monitor in record:
            scheduler.step(record[self.monitor])
        else:
            raise ValueError(f"fit: monitor={self.monitor!r} is not measured; there are {', '.join(record)}")

    def _tell(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self.run)

    def _begin(self, resume: bool) -> None:
        """Continue from a checkpoint, or write one now: so an unwritable directory is noticed at once."""
        directory = self.saver.directory
        if directory is None:
            return
        present = storage.checkpoints(directory)
        if present and not resume:
            raise CheckpointError(
                f"{directory} already holds {present[-1].name} of another run, which this one would replace; "
                "continue that run with resume=True, or give another checkpoint_dir"
            )
        storage.sweep(directory)
        if present:
            self._load(checkpoint.load(directory))
        else:
            self._save()

    def _load(self, found: checkpoint.Checkpoint) -> None:
        run, stored = self.run, found.progress
        if not {f.name for f in fields(Progress)} <= set(stored):
            raise CheckpointError(
                f"{found.path} was not written by fit, which cannot continue from it; take its weights with "
                "training.checkpoint.load(path).restore(model)"
            )
        if stored["batch"] and stored["batches"] != run.batches:
            raise CheckpointError(
                f"{found.path} stands at batch {stored['batch']} of {stored['batches']}, but the train_loader "
                f"has {run.batches}; nothing was loaded. Resume with the same data and batch size."
            )
        loader = None if _state(self.train_loader) is None else self.train_loader
        for role, thing in (("scheduler", run.scheduler), ("loader", loader)):
            if (thing is None) != (found.states[role] is None):
                had = found.kinds.get(role, f"no {role} that has a state")
                has = "none" if thing is None else f"a {type(thing).__name__}"
                raise CheckpointError(
                    f"{found.path} was written with {had}, this run has {has}; nothing was "
                    f"loaded. Resume with the same {role}."
                )
        found.restore(run.model, run.optimizer, run.scheduler, self.generator, loader, self.callbacks)
        if _state(self.val_loader) is not None and stored["val_loader"] is not None:
            self.val_loader.load_state_dict(stored["val_loader"])  # type: ignore[union-attr]
        self.progress = Progress(**{f.name: stored[f.name] for f in fields(Progress)})
        run.history = found.history or run.history
        run.optimizer._step_count = self.progress.step  # schedulers look at it to see that it was used before them
        self.saver.newest = found.path

    def _save(self) -> None:
        run, loader = self.run, self.train_loader
        if self.saver.directory is None:
            return
        spoilt = first_non_finite(run.model)
        if spoilt:
            raise self._explain(f"the parameter {spoilt} became NaN or infinite", None)
        self.saver.save(
            run.model,
            optimizer=run.optimizer,
            scheduler=run.scheduler,
            generator=self.generator,
            loader=None if _state(loader) is None else loader,
            history=run.history,
            callbacks=self.callbacks,
            progress={**asdict(self.progress), "batches": run.batches, "val_loader": _state(self.val_loader)},
            config=self.config,
        )

    def _leave(self) -> NoReturn:
        raise Interrupted(int(self.signals.received or 0), self.run.history, self.saver.newest)

    def _explain(self, problem: str, x: Tensor | None) -> NonFiniteError:
        text = diagnosis(problem, self.run, x, self.saver.newest)
        return NonFiniteError(text, self.run.history, self.saver.newest)


class _LeaveValidation(Exception):
    """Ctrl-C in the middle of validation."""


def _state(loader: Any) -> dict[str, Any] | None:
    """A loader's position; None for lists and other things that have none."""
    return loader.state_dict() if hasattr(loader, "state_dict") else None
