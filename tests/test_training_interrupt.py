"""Ctrl-C and SIGTERM, when checkpoints are written, and checkpoints that `fit` refuses."""

import signal

import pytest
from test_training_resume import SCHEDULERS, Signal, images, labels, training

from tinygrad_cnn import data, nn, optim
from tinygrad_cnn.training import Callback, Interrupted, fit, timing
from tinygrad_cnn.training import checkpoint as ckpt


@pytest.mark.parametrize("where", ["train", "validate"])
def test_loaders_are_closed_at_once_when_training_ends_early(where):
    class Closing(list):
        closed = False

        def __iter__(self):
            try:
                for batch in list.__iter__(self):
                    if self.closing:
                        signal.raise_signal(signal.SIGINT)
                    yield batch
            finally:
                self.closed = True

    batches = [Closing(data.DataLoader(data.TensorDataset(images.reshape(30, 64), labels), 8)) for _ in range(2)]
    batches[0].closing, batches[1].closing = where == "train", where == "validate"
    model = nn.Linear(64, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(Interrupted) as caught:
        fit(model, batches[0], optimizer, epochs=1, val_loader=batches[1])
    assert batches[where == "validate"].closed  # while the error, with all its frames, is still held
    assert caught.value.signum == signal.SIGINT


def test_what_a_killed_run_left_behind_is_swept(tmp_path):
    with pytest.raises(Interrupted):
        training(tmp_path, [Signal(("batch", 1, 2))])
    (tmp_path / ".writing-checkpoint-000009-0123abcd").mkdir()
    training(tmp_path, resume=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-000004", "checkpoint-000005"]


def test_writing_a_checkpoint_is_not_training_time(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    real = ckpt.save

    def slow(*args, **kwargs):
        now[0] += 100.0
        saved.append(real(*args, **kwargs))
        return saved[-1]

    class Batches(list):
        def __iter__(self):
            for batch in list.__iter__(self):
                now[0] += 0.25
                yield batch

    monkeypatch.setattr(ckpt, "save", slow)
    batches = Batches(data.DataLoader(data.TensorDataset(images.reshape(30, 64), labels), 8))
    model = nn.Linear(64, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, batches, optimizer, epochs=1, checkpoint_dir=tmp_path, checkpoint_every=1)
    assert len(saved) >= 4
    assert history.last["seconds"] == 4 * 0.25
    assert history.last["images_per_second"] == 30 / (4 * 0.25)


def test_sigterm_and_what_the_error_says(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        training(tmp_path, [Signal(("batch", 2, 1), number=signal.SIGTERM)])
    error = caught.value
    assert isinstance(error, Interrupted)
    assert (error.signum, error.exit_code) == (15, 143)
    assert len(error.history) == 1
    assert error.history.interrupted
    assert str(error) == f"training was interrupted by SIGTERM after 1 epoch; resume from {error.checkpoint}"
    assert error.checkpoint == tmp_path / "checkpoint-000003"
    assert ckpt.load(tmp_path).history.interrupted is False  # a resumed run starts clean


def test_without_a_directory_ctrl_c_says_that_nothing_was_saved():
    with pytest.raises(Interrupted, match=r"by SIGINT after 0 epochs; no checkpoint_dir was given") as caught:
        training(None, [Signal(("batch", 1, 2))])
    assert caught.value.checkpoint is None
    assert caught.value.exit_code == 130


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        training(tmp_path, [Signal(("batch", 1, 2)), Signal(("batch", 1, 2))])
    assert not isinstance(caught.value, Interrupted)
    assert [p.name for p in ckpt.checkpoints(tmp_path)] == ["checkpoint-000001"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_callbacks_hear_that_it_was_interrupted(tmp_path):
    heard = []

    class Listen(Callback):
        def on_train_end(self, run):
            heard.append((run.outcome, run.history.interrupted, run.epoch, run.batch))

    with pytest.raises(Interrupted):
        training(tmp_path, [Signal(("batch", 2, 3)), Listen()])
    assert heard == [("interrupted", True, 2, 3)]


def test_checkpoints_every_few_batches_and_by_the_clock(tmp_path):
    def steps(directory, **options):
        found = []

        class Look(Callback):
            def on_batch_end(self, run):
                found.append(len(ckpt.checkpoints(directory)))

        training(directory, [Look()], keep_checkpoints=99, **options)
        return found

    assert steps(tmp_path / "a") == [1] * 4 + [2] * 4 + [3] * 4
    assert steps(tmp_path / "b", checkpoint_every=3) == [1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 5, 6]
    assert steps(tmp_path / "c", checkpoint_seconds=1e-9) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert steps(tmp_path / "d", checkpoint_seconds=1000.0) == steps(tmp_path / "e")


def test_only_the_newest_are_kept(tmp_path):
    training(tmp_path, checkpoint_every=1)
    assert len(ckpt.checkpoints(tmp_path)) == 2
    training(tmp_path / "three", keep_checkpoints=3)
    assert len(ckpt.checkpoints(tmp_path / "three")) == 3


def test_a_directory_of_another_run_is_refused(tmp_path):
    training(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    with pytest.raises(ckpt.CheckpointError, match=r"already holds checkpoint-000004 .* resume=True"):
        training(tmp_path)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}


def test_an_unwritable_directory_is_found_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, run):
            seen.append(run.epoch)

    with pytest.raises(ckpt.CheckpointError, match="cannot write"):
        training(tmp_path / "file", [Look()])
    assert seen == []


@pytest.mark.parametrize(("function", "place"), [("fsync", "MANIFEST.json|model|state"), ("rename", "")])
def test_a_full_disk_names_the_checkpoint_as_it_was_to_be_called(tmp_path, monkeypatch, function, place):
    def full(*args):
        raise OSError(28, "No space left on device", *([str(args[0]), None, str(args[1])] if args[1:] else []))

    monkeypatch.setattr(ckpt.storage.os, function, full)
    with pytest.raises(ckpt.CheckpointError, match=rf"checkpoint-000001.*({place}).*: No space left") as raised:
        training(tmp_path)
    assert ".writing" not in str(raised.value)


def test_a_run_that_does_not_fit_the_checkpoint_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        training(tmp_path, [Signal(("batch", 2, 2))])
    with pytest.raises(ckpt.CheckpointError, match=r"written with StepLR, this run has none.*same scheduler"):
        training(tmp_path, resume=True, scheduler="none")
    with pytest.raises(ckpt.CheckpointError, match=r"with the scheduler StepLR, this one is a CosineAnnealingLR"):
        training(tmp_path, resume=True, scheduler="cosine")
    with pytest.raises(ckpt.CheckpointError, match=r"with the optimizer SGD, this one is a AdamW"):
        training(tmp_path, resume=True, optimizer="adamw")
    model = nn.Linear(64, 3)
    pairs = data.TensorDataset(images.reshape(30, 64), labels)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = SCHEDULERS["step"](optimizer)
    with pytest.raises(ckpt.CheckpointError, match=r"batch 2 of 4, but the train_loader has 8; nothing was loaded"):
        fit(model, data.DataLoader(pairs, 4), optimizer, epochs=3, checkpoint_dir=tmp_path, resume=True)
    with pytest.raises(ckpt.CheckpointError, match=r"written with DataLoader, this run has none"):
        fit(
            model,
            list(data.DataLoader(pairs, 8)),
            optimizer,
            epochs=3,
            scheduler=step,
            checkpoint_dir=tmp_path,
            resume=True,
        )


def test_a_checkpoint_that_fit_did_not_write_cannot_be_resumed(tmp_path):
    model = nn.Linear(64, 3)
    ckpt.save(tmp_path, model)
    batches = list(data.DataLoader(data.TensorDataset(images.reshape(30, 64), labels), 8))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ckpt.CheckpointError, match=r"was not written by fit, which cannot continue from it"):
        fit(model, batches, optimizer, epochs=3, checkpoint_dir=tmp_path, resume=True)
