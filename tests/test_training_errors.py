"""What `fit` refuses, and what it does when a loss or a weight is not finite."""

import itertools

import numpy as np
import pytest
from test_training_fit import bits, loader, net, x_all, y_all

from tinygrad_cnn import data, nn, optim
from tinygrad_cnn.training import Callback, NonFiniteError, fit
from tinygrad_cnn.training import checkpoint as ckpt

F = nn.functional


def test_arguments_that_do_not_go_together():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    other = optim.SGD(model.parameters(), lr=0.1)
    step = optim.lr_scheduler.StepLR(other, 1)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    for message, options in {
        "belongs to another optimizer": {"scheduler": step},
        "looks at the values of an epoch": {"scheduler": plateau, "step_scheduler": "batch"},
        "step_scheduler='step'": {"step_scheduler": "step"},
        "epochs=-1": {"epochs": -1},
        "epochs=1.5": {"epochs": 1.5},
        "needs the checkpoint_dir": {"resume": True},
        "checkpoint_every=0 must be above 0": {"checkpoint_every": 0},
        "checkpoint_seconds=-1 must be above 0": {"checkpoint_seconds": -1},
        "keep_checkpoints=0 must be at least 1": {"keep_checkpoints": 0},
        "'nonsense' is unknown": {"metrics": ["nonsense"]},
    }.items():
        with pytest.raises(ValueError, match=message):
            fit(model, loader(), optimizer, **{"epochs": 1, **options})


def test_no_epochs_and_no_batches():
    model = net()
    before = bits(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert len(fit(model, loader(), optimizer, epochs=0)) == 0
    assert bits(model) == before
    with pytest.raises(ValueError, match=r"no batches in epoch 1"):
        fit(model, [], optimizer, epochs=1)
    with pytest.raises(ValueError, match=r"no batches in epoch 2; .* walked through only once"):
        fit(model, iter(list(loader())), optimizer, epochs=2)


def explode(at, value):
    """A loss that is not finite in one batch."""
    calls = itertools.count(1)

    def loss_fn(y_hat, y):
        loss = F.cross_entropy(y_hat, y)
        return loss * value if next(calls) == at else loss

    return loss_fn


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(tmp_path, value):
    model = net()
    good = []

    class Last(Callback):
        def on_batch_end(self, run):
            good.append(bits(run.model))

    with pytest.raises(NonFiniteError) as caught:
        fit(
            model,
            loader(),
            optim.SGD(model.parameters(), lr=0.1),
            epochs=3,
            loss_fn=explode(8, value),
            checkpoint_dir=tmp_path,
            callbacks=[Last()],
        )
    text = str(caught.value)
    assert f"the loss became {value} in epoch 2, batch 3 of 5, at learning rate 0.1. " in text
    assert "Try a smaller learning rate (lr=0.01) or clip_norm=1.0" in text
    assert f"The last good checkpoint is {tmp_path / 'checkpoint-000002'}." in text
    assert caught.value.checkpoint == tmp_path / "checkpoint-000002"
    assert len(caught.value.history) == 1
    assert bits(model) == good[6]
    assert len(good) == 7
    assert ckpt.load(tmp_path).progress["epoch"] == 2


def test_nan_in_the_data_and_steps_too_long_are_told_apart():
    x = x_all.copy()
    x[13] = np.nan
    spoilt = data.DataLoader(data.TensorDataset(x, y_all), 5)
    model = net()
    with pytest.raises(NonFiniteError, match=r"batch 3 of 5.*inputs of this batch contain NaN.*no checkpoint to go"):
        fit(model, spoilt, optim.SGD(model.parameters(), lr=0.1), epochs=1)
    model = net()
    message = r"learning rate 1e\+39.*The parameter \S+ is not finite.*lr=1e\+38"
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=message):
        fit(model, loader(), optim.SGD(model.parameters(), lr=1e39), epochs=5)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = net()

    class Spoil(Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                nn.init.constant_(run.model[3].bias, float("inf"))

    with pytest.raises(NonFiniteError, match=r"the parameter 3\.bias became NaN or infinite in epoch 2"):
        fit(
            model,
            loader(),
            optim.SGD(model.parameters(), lr=0.1),
            epochs=3,
            checkpoint_dir=tmp_path,
            callbacks=[Spoil()],
        )
    assert np.isfinite(ckpt.load(tmp_path).model["3.bias"]).all()
