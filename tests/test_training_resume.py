"""Stopping and going on: the same bits as a run that was never stopped."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn import data, nn, optim
from tinygrad_cnn import random as rnd
from tinygrad_cnn.training import Callback, EarlyStopping, Interrupted, fit
from tinygrad_cnn.training import checkpoint as ckpt

EPOCHS = 3
BATCHES = 4
images = rnd.Generator(0).uniform((30, 1, 8, 8)).astype(np.float32)
labels = rnd.Generator(1).integers(0, 3, (30,))

SCHEDULERS = {
    "step": lambda optimizer: optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.3),
    "cosine": lambda optimizer: optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS),
    "one cycle": lambda optimizer: optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * BATCHES),
    "plateau": lambda optimizer: optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5),
    "none": lambda optimizer: None,
}
OPTIMIZERS = {
    "sgd": lambda params: optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda params: optim.Adam(params, lr=0.01),
    "adamw": lambda params: optim.AdamW(params, lr=0.01),
    "rmsprop": lambda params: optim.RMSprop(params, lr=0.003, momentum=0.5),
}


class Signal(Callback):
    """Send this process a signal at a place: (hook, epoch, batch)."""

    def __init__(self, *places, number=signal.SIGINT):
        self.places, self.number = list(places), number

    def _here(self, hook, run):
        if (hook, run.epoch, run.batch) in self.places:
            signal.raise_signal(self.number)

    def on_epoch_begin(self, run):
        self._here("begin", run)

    def on_batch_end(self, run):
        self._here("batch", run)

    def on_epoch_end(self, run):
        self._here("end", run)


def training(directory, callbacks=(), seed=3, optimizer="sgd", scheduler="step", workers=0, **options):
    """Dropout, momentum, batch norm, a schedule, shuffling and augmentation, all made anew from `seed`."""
    g = rnd.Generator(seed)
    with rnd.use_generator(g):
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(36, 3),
        )  # fmt: skip
        augment = data.transforms.Compose(
            [data.transforms.RandomCrop(8, padding=1), data.transforms.RandomHorizontalFlip()]
        )
        loader = data.DataLoader(
            data.TensorDataset(images, labels), 8, True, generator=g, transform=augment, num_workers=workers
        )
        val_loader = data.DataLoader(data.TensorDataset(images, labels), 7, True, generator=g, num_workers=workers)
    opt = OPTIMIZERS[optimizer](model.parameters())
    schedule = SCHEDULERS[scheduler](opt)
    stop = EarlyStopping(patience=50, restore_best=True)
    history = fit(
        model, loader, opt, epochs=EPOCHS, val_loader=val_loader, scheduler=schedule,
        callbacks=[stop, *callbacks], checkpoint_dir=directory, generator=g, **options,
    )  # fmt: skip
    return outcome(model, opt, history, stop)


def outcome(model, opt, history, stop):
    numbers = [name for name in history.names if name not in ("seconds", "images_per_second")]
    state = opt.state_dict()
    return {
        "weights": {name: value.numpy().tobytes() for name, value in model.state_dict().items()},
        "moments": [
            [(key, np.asarray(value).tobytes()) for key, value in sorted(entry.items())]
            for entry in state["state"].values()
        ],
        "groups": state["param_groups"],
        "history": {name: np.array(history[name]).tobytes() for name in numbers},
        "best": (stop.best, stop.best_epoch, stop.wait),
    }


def same(a, b):
    return [part for part in a if a[part] != b[part]] == []


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Uninterrupted runs, by their options."""
    known = {}

    def run(**options):
        key = json.dumps(options, sort_keys=True)
        if key not in known:
            known[key] = training(tmp_path_factory.mktemp("straight"), **options)
        return known[key]

    return run


def interrupted(directory, *places, **options):
    """Train with a signal at each place, resuming in fresh objects after each, until the end."""
    resume = False
    for place in places:
        with pytest.raises(Interrupted) as caught:
            training(directory, [Signal(place)], seed=3 + resume, resume=resume, **options)
        assert caught.value.checkpoint == ckpt.checkpoints(directory)[-1]
        resume = True
    return training(directory, seed=99, resume=True, **options)  # another seed: everything must come from the file


def test_the_straight_run_is_reproducible_and_not_trivial(straight, tmp_path):
    first = straight()
    assert same(first, training(tmp_path / "again"))
    other = training(tmp_path / "other", seed=4)
    assert not same(first, other)
    assert len(set(np.frombuffer(first["history"]["lr"]))) == 2


PLACES = {
    "before the first batch": [("begin", 1, 0)],
    "after the first": [("batch", 1, 1)],
    "in the middle": [("batch", 2, 2)],
    "after an epoch's last": [("batch", 1, BATCHES)],
    "after the last of all": [("batch", EPOCHS, BATCHES)],
    "at an epoch's end": [("end", 2, BATCHES)],
    "at the very end": [("end", EPOCHS, BATCHES)],
    "three times": [("batch", 1, 3), ("batch", 2, 1), ("batch", 2, 3)],
    "in every batch": [("batch", e, b) for e in range(1, EPOCHS + 1) for b in range(1, BATCHES)],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_interrupted_and_resumed_is_bitwise_the_same(straight, tmp_path, places):
    assert same(straight(), interrupted(tmp_path, *places))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_every_optimizer_and_schedule(straight, tmp_path, optimizer, scheduler):
    options = {"optimizer": optimizer, "scheduler": scheduler}
    assert same(straight(**options), interrupted(tmp_path, ("batch", 1, 2), ("end", 2, BATCHES), **options))


@pytest.mark.parametrize("workers", [1, 3])
def test_with_prefetching_threads(straight, tmp_path, workers):
    assert same(straight(), interrupted(tmp_path, ("batch", 1, 2), ("batch", 3, 1), workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted_in_the_middle_of_validation(straight, tmp_path, workers):
    calls = []

    def metric(y_hat, y):
        from tinygrad_cnn import is_grad_enabled
        from tinygrad_cnn.training import accuracy

        calls.append(y_hat.requires_grad)
        # 4 training and 5 validation batches an epoch: this is the second validation batch of each epoch
        if signals and (len(calls) - 1) % 9 == 5:
            signal.raise_signal(signal.SIGINT)
        assert is_grad_enabled() is False
        return accuracy(y_hat, y)

    signals = False
    metrics = {"accuracy": metric}
    wanted = straight()
    signals = True
    resume = False
    for epoch in (1, 2, 3):
        calls.clear()
        with pytest.raises(Interrupted) as caught:
            training(tmp_path, seed=5 if resume else 3, resume=resume, metrics=metrics, workers=workers)
        assert len(caught.value.history) == epoch - 1
        stored = ckpt.load(tmp_path).progress
        assert (stored["epoch"], stored["trained"]) == (epoch, True)
        # resuming starts with validation: let it pass this time
        signals = False
        calls.clear()
        if epoch < 3:
            with pytest.raises(Interrupted):
                training(
                    tmp_path,
                    [Signal(("end", epoch, BATCHES))],
                    seed=6,
                    resume=True,
                    metrics=metrics,
                    workers=workers,
                )
        signals, resume = True, True
    signals = False
    assert same(wanted, training(tmp_path, seed=7, resume=True, metrics=metrics, workers=workers))


def test_random_numbers_drawn_in_validation_are_drawn_again(tmp_path):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 3)
            self.linear.load_state_dict({"weight": np.ones((3, 64)), "bias": np.zeros(3)})

        def forward(self, x):
            if not self.training and signals and next(calls) == 2:
                signal.raise_signal(signal.SIGINT)
            return self.linear(x * rnd.default_generator().uniform())  # also in evaluation mode

    batches = list(data.DataLoader(data.TensorDataset(images.reshape(30, 64), labels), 8))

    def run(directory, **options):
        model = Noisy()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        return fit(model, batches, optimizer, epochs=2, val_loader=batches, checkpoint_dir=directory, **options)

    signals = False
    wanted = run(tmp_path / "a", generator=rnd.Generator(1))
    signals, calls = True, iter(range(99))
    with pytest.raises(Interrupted):
        run(tmp_path / "b", generator=rnd.Generator(1))
    signals = False
    resumed = run(tmp_path / "b", generator=rnd.Generator(2), resume=True)
    assert resumed["val_loss"] == wanted["val_loss"]
    assert resumed["loss"] == wanted["loss"]


def test_stopped_by_a_callback_in_the_middle_of_an_epoch_and_resumed(straight, tmp_path):
    class Enough(Callback):
        def on_batch_end(self, run):
            if (run.epoch, run.batch) == (2, 3):
                run.stop("enough for today")

    training(tmp_path, [Enough()])
    assert ckpt.load(tmp_path).progress["batch"] == 3
    assert same(straight(), training(tmp_path, seed=8, resume=True))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX: background jobs ignore SIGINT")
def test_a_signal_that_is_ignored_stays_ignored(straight):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        result = training(None, [Signal(("batch", 1, 2), number=signal.SIGTERM)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert same(straight(), result)


def test_a_finished_run_is_not_trained_again_but_can_be_prolonged(straight, tmp_path):
    wanted = straight()
    training(tmp_path)
    assert same(wanted, training(tmp_path, seed=8, resume=True))
    assert len(ckpt.checkpoints(tmp_path)) == 2


def test_resume_without_any_checkpoint_starts_from_the_beginning(straight, tmp_path):
    assert same(straight(), training(tmp_path / "new", resume=True))


def test_a_damaged_newest_checkpoint_costs_an_epoch_not_the_run(straight, tmp_path):
    from tinygrad_cnn import TinygradCnnWarning

    with pytest.raises(Interrupted):
        training(tmp_path, [Signal(("batch", 3, 2))])
    newest = ckpt.checkpoints(tmp_path)[-1]
    content = bytearray((newest / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "model.safetensors").write_bytes(content)
    with pytest.warns(TinygradCnnWarning, match=r"using \S*checkpoint-000003 .*damaged:\n\s+\S*model\.safetensors"):
        resumed = training(tmp_path, resume=True)
    assert same(straight(), resumed)


def test_lists_of_batches_are_resumed_by_skipping(tmp_path):
    batches = list(data.DataLoader(data.TensorDataset(images.reshape(30, 64), labels), 8))

    def run(directory, place=None, resume=False):
        with rnd.use_generator(rnd.Generator(5 + resume)):
            model = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, 3))
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        history = fit(
            model, batches, optimizer, epochs=2, callbacks=[Signal(place)] if place else [], resume=resume,
            checkpoint_dir=directory, generator=rnd.Generator(1 + resume),
        )  # fmt: skip
        return {k: v.numpy().tobytes() for k, v in model.state_dict().items()}, history["loss"]

    wanted = run(tmp_path / "a")
    with pytest.raises(Interrupted):
        run(tmp_path / "b", ("batch", 2, 3))
    assert run(tmp_path / "b", resume=True) == wanted


class Slowly(Callback):
    def on_batch_end(self, run):
        time.sleep(0.01)


def digest(directory, resume):
    """For other processes: train with a checkpoint after every batch and print what came out."""
    result = training(Path(directory), [Slowly()], seed=3, resume=resume, checkpoint_every=1)
    return hashlib.sha256(repr(sorted(result.items())).encode()).hexdigest()


PROGRAM = "import sys; import test_training_resume as t; print(t.digest(sys.argv[1], sys.argv[2] == 'resume'))"


def process(directory, *arguments):
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", PROGRAM, str(directory), *arguments]
    environment = {**os.environ, "PYTHONPATH": folder}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)


def test_a_fresh_process_goes_on_with_the_same_bits(tmp_path):
    wanted = digest(tmp_path / "straight", resume=False)
    with pytest.raises(Interrupted):
        training(tmp_path / "run", [Signal(("batch", 2, 3))])
    other = process(tmp_path / "run", "resume")
    assert other.communicate()[0].strip() == wanted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_killed_at_random_moments_and_resumed(tmp_path):
    rng = random.Random(0)
    wanted = digest(tmp_path / "straight", resume=False)
    kills = 0
    for attempt in range(10):
        directory, seen, result = tmp_path / str(attempt), [], ""
        while not result:
            started = process(directory, "resume")
            while started.poll() is None and ckpt.checkpoints(directory) == seen:
                time.sleep(0.001)
            time.sleep(rng.random() * 0.1)
            if started.poll() is None:
                started.kill()
                kills += 1
            result = started.communicate()[0].strip()
            seen = ckpt.checkpoints(directory)
        assert result == wanted, f"attempt {attempt}"
    assert kills >= 20
