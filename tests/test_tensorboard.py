"""The log for TensorBoard, read back from its files."""

import io
import os
import struct
import sys

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import TinygradCnnWarning, nn, optim, random
from tinygrad_cnn.training import Callback, TensorBoard, fit

pytest.importorskip("tensorboardX", reason='needs the extra "tensorboard"')
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

KINDS = {"train": "", "val": "val_"}


def events(folder):
    """All events of a directory, the files in the order of their names, checksums verified."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: int(path.name.rpartition(".")[2])):
        content = path.read_bytes()
        while content:
            head, check = content[:8], content[8:12]
            (size,) = struct.unpack("<Q", head)
            body, end = content[12 : 12 + size], content[12 + size : 16 + size]
            assert struct.unpack("<II", check + end) == (masked_crc32c(head), masked_crc32c(body))
            found.append(event_pb2.Event.FromString(body))
            content = content[16 + size :]
    return found


def curve(folder, tag):
    """What a curve of TensorBoard shows: a restart makes points from its step on void."""
    points = {}
    for event in events(folder):
        if event.HasField("session_log"):
            assert event.session_log.status == event_pb2.SessionLog.START
            points = {step: value for step, value in points.items() if step < event.step}
        points.update((event.step, v.simple_value) for v in event.summary.value if v.tag == tag)
    return points


def train(*callbacks, epochs=2, model=None, **options):
    if model is None:
        with random.use_generator(random.Generator(3)):
            model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 3))
    draw = np.random.default_rng(1)
    data = [
        (tcnn.tensor(draw.normal(size=(5, 1, 6, 6)).astype(np.float32)), tcnn.tensor(draw.integers(0, 3, 5)))
        for _ in range(4)
    ]
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return fit(
        model, data, optimizer, epochs=epochs, val_loader=data[:1], callbacks=callbacks,
        generator=random.Generator(4), **options,
    )  # fmt: skip


def without_times(history):
    return [{k: v for k, v in record.items() if k not in ("seconds", "images_per_second")} for record in history]


def test_scalars_are_the_history_and_every_batch_has_a_loss(tmp_path):
    history = train(TensorBoard(tmp_path / "a" / "log", scalars_every=1))
    log = tmp_path / "a" / "log"
    pairs = {f"{name}/{kind}": prefix + name for name in ("loss", "accuracy") for kind, prefix in KINDS.items()}
    for tag, name in {**pairs, "lr": "lr", "images_per_second": "images_per_second"}.items():
        assert curve(log, tag) == pytest.approx({4: history[name][0], 8: history[name][1]}, rel=1e-6), tag
    losses = curve(log, "loss/batch")
    assert list(losses) == list(range(1, 9))
    assert np.mean([losses[step] for step in range(1, 5)]) == pytest.approx(history["loss"][0], rel=1e-5)
    assert events(log)[0].file_version == "brain.Event:2"


def test_the_intervals(tmp_path):
    train(TensorBoard(tmp_path, scalars_every=3, histograms_every=2), epochs=3)
    assert list(curve(tmp_path, "loss/batch")) == [3, 6, 9, 12]
    assert {e.step for e in events(tmp_path) for v in e.summary.value if v.HasField("histo")} == {8}
    none = tmp_path / "none"
    train(TensorBoard(none, histograms_every=0))
    assert not [v for e in events(none) for v in e.summary.value if v.HasField("histo")]


def test_histograms_are_of_weights_and_gradients(tmp_path):
    class Keep(Callback):
        def on_epoch_end(self, run):
            kept.update({name: (p.numpy().copy(), p.grad.copy()) for name, p in run.model.named_parameters()})

    kept = {}
    train(TensorBoard(tmp_path), Keep(), epochs=1)
    found = {v.tag: v.histo for e in events(tmp_path) for v in e.summary.value if v.HasField("histo")}
    assert set(found) == {f"{kind}/{name}" for name in kept for kind in ("weights", "gradients")}
    for name, arrays in kept.items():
        for kind, array in zip(("weights", "gradients"), arrays):
            histogram = found[f"{kind}/{name}"]
            assert sum(histogram.bucket) == histogram.num == array.size
            assert (histogram.min, histogram.max) == pytest.approx((array.min(), array.max()))
            assert histogram.sum_squares == pytest.approx((array**2).sum(), rel=1e-4)


def test_large_and_spoilt_parameters_have_histograms_too(tmp_path):
    class Spoil(Callback):
        def on_epoch_end(self, run):
            run.model[0].bias.data[0] = np.nan
            run.model[3].bias.data[:] = np.inf

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 9000), nn.Linear(9000, 3))
    train(Spoil(), TensorBoard(tmp_path), model=model, epochs=1)
    found = {v.tag: v.histo.num for e in events(tmp_path) for v in e.summary.value if v.HasField("histo")}
    assert found["weights/2.weight"] == 32 * 9000 / 2
    assert found["weights/0.bias"] == 1
    assert "weights/3.bias" not in found


def test_pictures(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    grey, colour = np.arange(12, dtype=np.uint8).reshape(3, 4), np.full((2, 5, 3), 7, np.uint8)
    steps = []

    def second_epoch_only(run):
        steps.append(run.step)
        return colour if run.epoch == 2 else None

    train(TensorBoard(tmp_path, images={"grey": lambda run: grey, "colour": second_epoch_only}))
    shown = [(e.step, v.tag, v.image) for e in events(tmp_path) for v in e.summary.value if v.HasField("image")]
    assert [(step, tag) for step, tag, _ in shown] == [(4, "grey"), (8, "grey"), (8, "colour")]
    pixels = [np.asarray(Image.open(io.BytesIO(image.encoded_image_string))) for *_, image in shown]
    assert pixels[0].reshape(3, 4, -1)[..., 0].tolist() == grey.tolist()
    assert pixels[2].tolist() == colour.tolist()
    assert steps == [4, 8]


def test_a_resumed_run_goes_on_in_the_same_curves(tmp_path):
    class Stop(Callback):
        def on_batch_end(self, run):
            if run.step == 7:
                raise ZeroDivisionError

    log, checkpoints = tmp_path / "log", tmp_path / "checkpoints"
    board = {"scalars_every": 1, "histograms_every": 0}
    with pytest.raises(ZeroDivisionError):
        train(TensorBoard(log, **board), Stop(), epochs=3, checkpoint_dir=checkpoints)
    first = curve(log, "loss/batch")
    assert list(first) == [1, 2, 3, 4, 5, 6, 7]  # flushed and closed after the error
    history = train(TensorBoard(log, **board), epochs=3, checkpoint_dir=checkpoints, resume=True)
    assert len(list(log.iterdir())) == 2
    starts = [e.step for e in events(log) if e.HasField("session_log")]
    assert starts == [5]  # the checkpoint is of step 4
    assert list(curve(log, "loss/batch")) == list(range(1, 13))
    assert list(curve(log, "loss/train").values()) == pytest.approx(history["loss"], rel=1e-6)
    straight = tmp_path / "straight"
    train(TensorBoard(straight, **board), epochs=3)
    assert curve(log, "loss/batch") == curve(straight, "loss/batch")


def test_it_changes_nothing(tmp_path):
    bare = train()
    assert without_times(train(TensorBoard(tmp_path, scalars_every=1))) == without_times(bare)


def test_a_full_disk_ends_the_log_not_the_training(tmp_path, monkeypatch):
    board = TensorBoard(tmp_path, scalars_every=1)

    class Full(Callback):
        def on_batch_end(self, run):
            if run.step == 3:
                monkeypatch.setattr(board._file, "write_event", no_space)

    def no_space(event):
        raise OSError(28, "No space left on device")

    with pytest.warns(TinygradCnnWarning, match="ends here: No space left on device; training goes on") as caught:
        history = train(Full(), board)
    assert len(caught) == 1
    assert len(history) == 2


def test_what_cannot_be(tmp_path, monkeypatch):
    for options in ({"scalars_every": 0}, {"histograms_every": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}={next(iter(options.values()))}"):
            TensorBoard(tmp_path, **options)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError):
        train(TensorBoard(tmp_path / "file"))
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"tinygrad-cnn\[tensorboard\]"):
        TensorBoard(tmp_path)
    assert os.listdir(tmp_path) == ["file"]
