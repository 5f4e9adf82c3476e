"""Histories: looking at them, and as JSON."""

import errno
import json
import math
import os

import numpy as np
import pytest

from tinygrad_cnn.training import History

RECORDS = [
    {"epoch": 1, "loss": 0.9, "val_loss": 0.8, "val_accuracy": 0.5, "lr": 0.1},
    {"epoch": 2, "loss": 0.5, "val_loss": float("nan"), "val_accuracy": 0.7, "lr": 0.1},
    {"epoch": 3, "loss": 0.1 + 0.2, "val_loss": 0.6, "val_accuracy": 0.7, "lr": 0.01},
    {"epoch": 4, "loss": 0.2, "val_loss": 0.7, "val_accuracy": 0.6, "lr": 0.01, "extra": 1},
]


def test_columns_records_and_names():
    history = History(RECORDS)
    assert len(history) == 4
    assert next(iter(history)) == history[0] == RECORDS[0]
    assert history[-1] == history.last == RECORDS[-1]
    assert history["lr"] == [0.1, 0.1, 0.01, 0.01]
    assert history["extra"] == [None, None, None, 1]
    assert history.names == ["epoch", "loss", "val_loss", "val_accuracy", "lr", "extra"]
    assert "loss" in history
    assert "val" not in history
    with pytest.raises(KeyError, match=r"no 'accuracy'; it has epoch, loss"):
        history["accuracy"]


def test_the_history_does_not_share_its_records_with_the_caller():
    record = {"epoch": 1, "loss": 1.0}
    history = History()
    history.append(record)
    record["loss"] = 2.0
    assert history["loss"] == [1.0]


@pytest.mark.parametrize(
    ("arguments", "epoch"),
    [
        ((), 2),
        (("val_accuracy",), 2),
        (("val_loss",), 3),
        (("loss",), 4),
        (("lr", "max"), 1),
        (("extra",), 4),
    ],
)
def test_best_epoch(arguments, epoch):
    assert History(RECORDS).best(*arguments)["epoch"] == epoch


def test_best_without_anything_to_compare():
    with pytest.raises(LookupError, match="not a number in any"):
        History([{"epoch": 1, "loss": math.nan}]).best()
    with pytest.raises(KeyError, match="no epochs yet"):
        History().best()
    with pytest.raises(LookupError, match="no epoch was finished"):
        _ = History().last
    with pytest.raises(ValueError, match="mode is 'largest'; use"):
        History(RECORDS).best("loss", "largest")


def test_json_is_strict_and_exact(tmp_path):
    history = History([*RECORDS, {"epoch": 5, "loss": math.inf, "val_loss": -math.inf, "lr": np.float64(1 / 3)}])
    history.stop_reason, history.interrupted = "enough — genug", True
    path = tmp_path / "new folder" / "history.json"
    history.save(path)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    loaded = History.load(path)
    assert loaded == history
    assert (loaded.stop_reason, loaded.interrupted) == ("enough — genug", True)
    assert np.array(loaded["loss"]).tobytes() == np.array(history["loss"]).tobytes()
    assert math.isnan(loaded["val_loss"][1])
    assert loaded["lr"][-1] == 1 / 3
    assert type(loaded[0]["epoch"]) is int


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": NaN}', "null", "\udcff"])
def test_another_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "history.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"history\.json: "):
        History.load(path)
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "absent.json")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "history.json"
    History(RECORDS[:1]).save(path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        History(RECORDS).save(path)
    assert raised.value.filename == str(path)  # not the name it had while it was written
    assert len(History.load(path)) == 1


def test_repr_shows_the_last_epoch():
    assert repr(History()) == "History(no epochs)"
    assert repr(History(RECORDS[:1])) == "History(1 epochs; last: loss=0.9, val_loss=0.8, val_accuracy=0.5, lr=0.1)"
