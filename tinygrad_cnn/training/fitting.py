"""`fit`: the training loop with validation, history, and checkpoints from which it goes on bit for bit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from tinygrad_cnn import nn, random
from tinygrad_cnn.training.callbacks import Callback, Run
from tinygrad_cnn.training.epochs import Training
from tinygrad_cnn.training.history import History
from tinygrad_cnn.training.loop import LossFn, loss_of
from tinygrad_cnn.training.metrics import Metrics, named
from tinygrad_cnn.training.signals import Signals
from tinygrad_cnn.training.timing import Saver, when_to_step


def fit(
    model: nn.Module,
    train_loader: Iterable[Any],
    optimizer: Any,
    *,
    epochs: int,
    loss_fn: LossFn | None = None,
    val_loader: Iterable[Any] | None = None,
    metrics: Metrics = ("accuracy",),
    scheduler: Any = None,
    step_scheduler: str | None = None,
    monitor: str | None = None,
    clip_norm: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    checkpoint_seconds: float | None = None,
    keep_checkpoints: int = 2,
    resume: bool = False,
    generator: random.Generator | None = None,
    config: Any = None,
) -> History:
    """Train a model: `train_step` for every batch of every epoch, and a record of each epoch.

    Args:
        model: The model; put into training mode once, at the beginning.
        train_loader: Yields batches (x, y). A `DataLoader` continues exactly where a checkpoint was written;
            any other iterable must give the same batches again.
        optimizer: What changes the model's parameters.
        epochs: How many epochs in all, those before a `resume` included.
        loss_fn: (ŷ, y) → average loss of the batch; by default the model's own, its attribute `criterion`, or
            cross-entropy if it has none.
        val_loader: Batches to measure on after each epoch.
        metrics: Names (`"accuracy"`, `"top5_accuracy"`), functions (ŷ, y) → average of the batch, or a dict
            name → function.
        scheduler: A learning-rate schedule of this optimizer.
        step_scheduler: `"epoch"` or `"batch"`; by default after each batch for `OneCycleLR`, else after each
            epoch.
        monitor: What `ReduceLROnPlateau` watches; by default `"val_loss"`, without validation data `"loss"`.
        clip_norm: Shorten the gradient to at most this norm.
        callbacks: Called in order: `ProgressBar()`, `EarlyStopping(…)`, your own.
        checkpoint_dir: Where checkpoints go, one before the first batch and one after each epoch. One run a
            directory.
        checkpoint_every: Also after every so many batches.
        checkpoint_seconds: Also when the last one is older than this, in seconds.
        keep_checkpoints: How many to keep; at least 2 leave one behind the newest.
        resume: Continue from the newest good checkpoint, as if training had never stopped: the same bits.
            Without any checkpoint start from the beginning.
        generator: Source of the random numbers drawn in training (dropout); by default a new one, seeded by
            the default one.
        config: Kept in every checkpoint: what your program needs to build the same model again.

    Returns:
        The history, one record an epoch.

    Raises:
        Interrupted: After Ctrl-C or SIGTERM, when the batch is finished and a checkpoint is written; a second
            Ctrl-C does not wait.
        NonFiniteError: If the loss or a parameter becomes NaN or infinite; checkpoints before that are kept.
        CheckpointError: If a checkpoint cannot be written, is of another model, or the directory belongs to
            another run.
        ValueError: If arguments do not go together.

    >>> import tinygrad_cnn as tcnn
    >>> from tinygrad_cnn import nn, optim
    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(model.weight)
    >>> batches = [(tcnn.tensor([[1.0]]), tcnn.tensor([[1.0]]))]              # wanted: ŷ = x
    >>> optimizer = optim.SGD(model.parameters(), lr=0.25)                    # dL/dw = 2·(w − 1)
    >>> history = fit(model, batches, optimizer, epochs=3, loss_fn=nn.functional.mse_loss, metrics=())
    >>> history["loss"]                                                       # (w − 1)² for w = 0, 1/2, 3/4
    [1.0, 0.25, 0.0625]
    """
    if not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"fit: epochs={epochs!r} must be a whole number of at least 0")
    if resume and checkpoint_dir is None:
        raise ValueError("fit: resume=True needs the checkpoint_dir to continue from")
    if generator is None:
        generator = random.Generator(random.default_generator().integers(0, 2**63 - 1))
    training = Training(
        run=Run(model, optimizer, scheduler, epochs, batches=_length(train_loader)),
        train_loader=train_loader,
        val_loader=val_loader,
        loss_fn=loss_of(model, loss_fn),
        metrics=named(metrics),
        step_scheduler=when_to_step(optimizer, scheduler, step_scheduler),
        monitor=monitor or ("loss" if val_loader is None else "val_loss"),
        clip_norm=clip_norm,
        callbacks=callbacks,
        generator=generator,
        saver=Saver(checkpoint_dir, checkpoint_every, checkpoint_seconds, keep_checkpoints),
        config=config,
    )
    run = training.run
    with random.use_generator(generator), Signals() as signals, ExitStack() as at_end:
        for callback in reversed(callbacks):  # called in order, each of them even if one before it fails
            at_end.callback(callback.on_train_end, run)
        try:
            training.train(signals, resume)
            run.outcome = "stopped" if run.stop_reason else "completed"
        except KeyboardInterrupt:
            run.outcome, run.history.interrupted = "interrupted", True
            raise
        except BaseException:
            run.outcome = "failed"
            raise
        finally:
            run.history.stop_reason = run.stop_reason
    return run.history


def _length(loader: Any) -> int | None:
    return len(loader) if hasattr(loader, "__len__") else None
