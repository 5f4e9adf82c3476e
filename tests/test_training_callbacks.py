"""Early stopping and the progress bar."""

import io
import math
import re
import signal

import numpy as np
import pytest
from rich.console import Console

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, optim
from tinygrad_cnn.training import Callback, EarlyStopping, Interrupted, ProgressBar, Run, fit, timing
from tinygrad_cnn.training.progress import duration

F = nn.functional


class OneNumber(nn.Module):
    """A model whose weight counts the steps: the loss is minus it, so SGD with lr 1 adds 1 a step."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(np.zeros(1, np.float32))

    def forward(self, x):
        return x * 0 + self.w


def minus(y_hat, y):
    return -y_hat.mean()


BATCH = (tcnn.ones(2, 1), tcnn.ones(2, 1))


def train(values, callback, batches=1, epochs=None, **options):
    """Train with a metric `score` that takes these values, one an epoch."""
    model = OneNumber()
    run = {}

    class Script(Callback):
        def on_epoch_end(self, r):
            r.logs["score"] = values[r.epoch - 1]

    class Keep(Callback):
        def on_train_end(self, r):
            run["run"] = r

    optimizer = optim.SGD(model.parameters(), lr=1.0)
    history = fit(
        model,
        [BATCH] * batches,
        optimizer,
        epochs=epochs or len(values),
        loss_fn=minus,
        metrics=(),
        callbacks=[Script(), callback, Keep()],
        **options,
    )
    return history, model, run["run"]


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best_epoch"),
    [
        ([5, 4, 3, 3, 3, 1], {"patience": 2, "mode": "min"}, 5, 3),
        ([5, 4, 3, 3, 2, 9, 9, 9], {"patience": 2, "mode": "min"}, 7, 5),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 5, 3),
        ([5, 4.9, 4.8, 4.7, 4.6], {"patience": 2, "mode": "min", "min_delta": 0.5}, 3, 1),
        ([5, 4.75, 4.5, 3.5, 3.25, 3.25], {"patience": 2, "mode": "min", "min_delta": 0.5}, 3, 1),
        ([5, 4.75, 4.5, 3.5, 3.25, 3.25], {"patience": 3, "mode": "min", "min_delta": 0.5}, 6, 4),
        ([math.nan, math.nan, 1, 2], {"patience": 2, "mode": "min"}, 2, None),
        ([3, math.nan, 2, math.nan, math.nan], {"patience": 2, "mode": "min"}, 5, 3),
        ([3, 2, 1], {"patience": 1, "mode": "min"}, 3, 3),
        ([math.inf, 2, 3, 4], {"patience": 2, "mode": "min"}, 4, 2),
    ],
)
def test_early_stopping(values, options, epochs, best_epoch):
    callback = EarlyStopping("score", **options)
    history, model, run = train(values, callback)
    assert (len(history), callback.best_epoch) == (epochs, best_epoch)
    stopped = callback.wait >= options["patience"]
    assert run.outcome == ("stopped" if stopped else "completed")
    assert (history.stop_reason is not None) == stopped
    assert model.w.item() == epochs  # the last weights, without restore_best


def test_early_stopping_restores_the_best_weights_at_the_end():
    for values, best in (([3, 1, 2, 2, 0], 2), ([3, 2, 1], 3), ([1, 2, 3], 1)):
        history, model, _ = train(values, EarlyStopping("score", patience=2, mode="min", restore_best=True))
        assert model.w.item() == best, history


def test_early_stopping_can_be_used_for_a_second_training():
    callback = EarlyStopping("score", patience=2, mode="min")
    assert [len(train([1, 2, 3, 4], callback)[0]) for _ in range(2)] == [3, 3]


def test_the_direction_is_judged_by_the_name():
    assert EarlyStopping("val_accuracy").mode == "max"
    assert EarlyStopping("val_top5_accuracy").mode == "max"
    assert EarlyStopping().mode == "min"
    assert EarlyStopping("val_accuracy", mode="min").mode == "min"


def test_early_stopping_options_and_values_that_are_not_there():
    for options in (
        {"patience": 0},
        {"patience": 1.5},
        {"min_delta": -1},
        {"min_delta": math.nan},
        {"mode": "up"},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            EarlyStopping(**options)
    with pytest.raises(ValueError, match=r"no 'val_loss', only .*loss.*; give fit a val_loader"):
        train([1, 2], EarlyStopping())
    with pytest.raises(ValueError, match=r"no 'socre', only .*score"):
        train([1, 2], EarlyStopping("socre"))


def test_a_stopped_run_that_is_resumed_stays_stopped_and_goes_on_with_more_patience(tmp_path):
    values = [3, 1, 2, 2, 2, 0, 5, 5]

    def run(patience, resume):
        stop = EarlyStopping("score", patience=patience, mode="min", restore_best=True)
        history, model, _ = train(values, stop, checkpoint_dir=tmp_path, resume=resume)
        return len(history), model.w.item(), stop.best_epoch

    assert run(2, resume=False) == (4, 2, 2)
    assert run(2, resume=True) == (4, 2, 2)  # the best weights are in the checkpoint
    assert run(4, resume=True) == (8, 6, 6)


def shown(batches=3, epochs=2, width=120, terminal=False, plain=None, every=1e9, validation=None, **options):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, force_jupyter=False, color_system=None)
    model = nn.Sequential(nn.Linear(4, 3))
    x, y = tcnn.ones(5, 4), tcnn.tensor([0, 1, 2, 0, 0])
    history = fit(
        model,
        [(x, y)] * batches,
        optim.SGD(model.parameters(), lr=0.25),
        epochs=epochs,
        callbacks=[ProgressBar(console, plain=plain, every_seconds=every, validation=validation)],
        **options,
    )
    return stream.getvalue(), history


def test_plain_lines_are_the_history():
    text, history = shown(val_loader=[(tcnn.ones(5, 4), tcnn.zeros(5, dtype="int64"))])
    lines = text.splitlines()
    assert len(lines) == 2
    for record, line in zip(history, lines):
        assert line.startswith(f"epoch {record['epoch']}/2  loss {record['loss']:.4f}  accuracy ")
        assert f"accuracy {100 * record['accuracy']:.2f} %  val_loss {record['val_loss']:.4f}" in line
        assert f"lr 0.25  {record['images_per_second']:,.0f} images/s" in line
    assert "\x1b" not in text


def test_the_validation_data_can_have_a_name():
    text, history = shown(val_loader=[(tcnn.ones(5, 4), tcnn.zeros(5, dtype="int64"))], validation="test")
    assert f"  test loss {history.last['val_loss']:.4f}  test accuracy " in text
    assert "val_" not in text


def final_lines(text):
    """What stays on a terminal: the lines without what was drawn over."""
    pieces = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")
    return [piece for piece in pieces if "test accuracy" in piece]


@pytest.mark.parametrize(
    ("width", "there", "absent"),
    [
        (120, ["images/s", "lr 0.25", " s", "%  test"], []),
        (105, ["lr 0.25", " s"], ["images/s"]),
        (94, [" s"], ["images/s", "lr"]),
        (80, ["test accuracy", "accuracy"], ["images/s", "lr"]),
    ],
)
def test_the_epochs_line_leaves_out_the_least_important_on_narrow_terminals(width, there, absent):
    pairs = [(tcnn.ones(5, 4), tcnn.zeros(5, dtype="int64"))]
    text, _ = shown(terminal=True, width=width, epochs=2, val_loader=pairs, validation="test")
    lines = final_lines(text)
    assert len(lines) == 2
    for line in lines:
        assert len(line) <= width
        assert all(words in line for words in there)
        assert not any(words in line for words in absent)
    piped, _ = shown(width=width, epochs=2, val_loader=pairs, validation="test")
    assert piped.count("images/s") == piped.count("lr 0.25") == 2


def test_the_longest_line_of_an_epoch_fits_into_80_columns():
    record = {"loss": 0.00123, "accuracy": 1.0, "val_loss": 0.0123, "val_accuracy": 1.0}
    logs = {**record, "lr": 1.2e-08, "images_per_second": 12345.0, "seconds": 12.3}
    run = Run(nn.Identity(), None, epochs=100, epoch=100, logs=logs)
    lines = ProgressBar(validation="test")._summaries(run)
    assert [len(line) for line in lines] == sorted(map(len, lines), reverse=True)
    assert len(lines[-1]) <= 80


def test_the_live_line_leaves_out_the_speed_before_the_time_left():
    pairs = {"batches": 938, "epochs": 20}
    run = Run(nn.Identity(), None, **pairs, logs={"loss": 0.0123, "accuracy": 1.0}, images_per_second=12345.0)
    run.epoch, run.batch, run.seconds = 20, 900, 90.0
    seen = {}
    for width in (78, 200):
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        bar = ProgressBar(console)
        console.print(bar._line(run))
        seen[width] = console.file.getvalue()
        assert len(seen[width].splitlines()) == 1
    assert "ETA" in seen[78]
    assert "images/s" not in seen[78]
    assert "12,345 images/s  ETA" in seen[200]


def test_plain_lines_within_an_epoch_come_now_and_then():
    text, _ = shown(batches=3, epochs=1, every=0.0)
    lines = text.splitlines()
    assert [line.split("  ")[1] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert all(re.search(r"images/s  ETA \d", line) for line in lines[:3])
    assert len(lines) == 4


def test_the_live_line_shows_everything_and_leaves_one_line_an_epoch():
    text, history = shown(terminal=True)
    final = [
        line
        for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")
        if "lr 0.25" in line
    ]
    assert len(final) == 2
    assert re.search(r"3/3 loss \d\.\d{3}  accuracy [\d.]+ % ", text)  # whole also in 80 columns
    assert "images/s  ETA 0.0 s" in text
    assert f"accuracy {100 * history.last['accuracy']:.2f} %" in text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_live_line_stays_one_line_on_any_terminal(width):
    text, _ = shown(terminal=True, width=width, epochs=1)
    live = text.split("\x1b[?25h")[0]
    assert "\x1b[1A\x1b[1A" not in live  # never more than one line to go back over
    for piece in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", live).replace("\r", "\n").split("\n"):
        assert len(piece) <= width


def test_the_live_line_ends_when_training_fails():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, force_jupyter=False)
    bar = ProgressBar(console)

    def broken(y_hat, y):
        raise RuntimeError("broken")

    model = nn.Linear(4, 3)
    with pytest.raises(RuntimeError, match="broken"):
        fit(
            model,
            [(tcnn.ones(5, 4), tcnn.zeros(5))],
            optim.SGD(model.parameters()),
            epochs=1,
            loss_fn=broken,
            callbacks=[bar],
        )
    assert stream.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()  # the cursor is back
    console.print("next")  # a second live display would raise
    ProgressBar(console).on_epoch_begin(Run(model, None, epochs=1))


def test_a_loader_without_length_has_no_end_in_sight():
    class Endless:
        def __iter__(self):
            return iter([(tcnn.ones(5, 4), tcnn.zeros(5, dtype="int64"))] * 2)

    stream = io.StringIO()
    model = nn.Linear(4, 3)
    bar = ProgressBar(Console(file=stream, width=150), every_seconds=0.0)
    fit(model, Endless(), optim.SGD(model.parameters(), lr=0.1), epochs=1, callbacks=[bar])
    assert "epoch 1/1  batch 2  loss" in stream.getvalue()
    assert "ETA" not in stream.getvalue()


def test_by_default_it_prints_on_standard_output(capsys):
    model = nn.Linear(4, 3)
    pairs = [(tcnn.zeros(5, 4), tcnn.zeros(5, dtype="int64"))]
    fit(model, pairs, optim.SGD(model.parameters(), lr=0.1), epochs=1, callbacks=[ProgressBar()])
    assert capsys.readouterr().out.startswith("epoch 1/1  loss ")


def test_why_it_stopped_is_said():
    text, _ = shown(epochs=5, terminal=False)
    assert "stopped" not in text
    stream = io.StringIO()
    bar = ProgressBar(Console(file=stream, width=150))
    model = nn.Linear(4, 3)
    pairs = [(tcnn.zeros(5, 4), tcnn.zeros(5, dtype="int64"))]
    stop = EarlyStopping("lr", patience=1, mode="max")
    fit(model, pairs, optim.SGD(model.parameters(), lr=0.1), epochs=5, callbacks=[bar, stop])
    assert "stopped: lr has not improved for 1 epoch (best 0.1 in epoch 1)" in stream.getvalue()


def test_the_time_left_counts_remaining_batches_and_validations():
    run = Run(nn.Identity(), None, epochs=3, batches=4)
    assert run.seconds_left is None
    for batch in range(1, 5):
        run.batch, run.seconds = batch, 2.0 * batch
        assert run.seconds_left == 2.0 * (12 - batch)
    run.epoch, run.batch, run.seconds, run.validation_seconds = 2, 3, 3.0, 5.0
    assert run.seconds_left == 1.0 * 5 + 2 * 5.0
    run.batches = None
    assert run.seconds_left is None


def test_a_budget_keeps_its_distance_and_its_share(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    budget = timing.Budget(every=0.5, share=0.1)

    def spend(seconds):
        with budget.spending():
            now[0] += seconds

    def next_one():
        start = now[0]
        while not budget.due():
            now[0] += 0.0625
        return now[0] - start

    assert budget.due()
    spend(0.03125)
    assert next_one() == 0.5
    spend(1.0)  # a tenth of the time: nine seconds must follow
    assert next_one() == 9.0
    budget.restart()
    assert next_one() == 0.5


def test_the_last_batch_is_shown_to_callbacks_and_then_forgotten():
    seen = []

    class Look(Callback):
        def on_batch_end(self, run):
            batch = run.last_batch
            assert not batch.y_hat.requires_grad
            seen.append((batch.x.shape, batch.y.tolist(), batch.y_hat.shape, batch.values))

        def on_epoch_end(self, run):
            assert run.last_batch is None
            mean = sum(values["loss"] * len(y) for _, y, _, values in seen) / 5  # each batch alone, not the average
            assert run.logs["loss"] == pytest.approx(mean)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(x), "something else"

    model = Two()
    pairs = [(tcnn.ones(n, 4), tcnn.zeros(n, dtype="int64")) for n in (3, 2)]
    fit(
        model,
        pairs,
        optim.SGD(model.parameters(), lr=0.5),
        epochs=1,
        loss_fn=lambda y_hat, y: F.cross_entropy(y_hat[0], y),
        callbacks=[Look()],
    )
    assert [shapes for *shapes, _ in seen] == [[(3, 4), [0] * 3, (3, 3)], [(2, 4), [0] * 2, (2, 3)]]


@pytest.mark.parametrize("how", ["resume", "stop", "signal"])
def test_a_paused_training_waits_and_the_pause_does_not_count(how, monkeypatch):
    waits, now = [], [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    class Pause(Callback):
        def on_batch_end(self, run):
            run.paused = run.step == 1

        def on_wait(self, run):
            waits.append(run.step)
            now[0] += 100.0
            if len(waits) == 5:
                if how == "resume":
                    run.paused = False
                elif how == "stop":
                    run.stop("enough")
                else:
                    signal.raise_signal(signal.SIGINT)

    model = nn.Linear(4, 3)
    pairs = [(tcnn.ones(5, 4), tcnn.zeros(5, dtype="int64"))] * 3

    def train():
        return fit(model, pairs, optim.SGD(model.parameters(), lr=0.1), epochs=1, callbacks=[Pause()])

    if how == "signal":
        with pytest.raises(Interrupted):
            train()
    else:
        history = train()
        assert len(history) == (how == "resume")
        if history.records:
            assert history.last["seconds"] == 0
    assert waits == [1] * 5


def test_durations():
    assert [duration(s) for s in (0, 59.94, 59.96, 60, 3599, 3600, 90061)] == [
        "0.0 s",
        "59.9 s",
        "1:00",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]
