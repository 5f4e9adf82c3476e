"""Histograms of activations, gradients and weights: right numbers, and training is none the wiser."""

from __future__ import annotations

import numpy as np
import pytest
import standin

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, optim, random, training
from tinygrad_cnn import functional as F
from tinygrad_cnn.random import Generator
from tinygrad_cnn.training.histograms import histogram

DRAW = Generator(3)
IMAGES = DRAW.normal((24, 1, 8, 6)).astype(np.float32)
LABELS = DRAW.integers(0, 3, 24)


def network(device="cpu"):
    g = Generator(0)
    return nn.Sequential(
        {
            "conv": nn.Conv2d(1, 4, 3, generator=g),
            "bn": nn.BatchNorm2d(4),
            "relu": nn.ReLU(),
            "drop": nn.Dropout(0.3),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(96, 3, generator=g),
        }
    ).to(device)


def fit(model, *callbacks, epochs=2, device="cpu", **more):
    loader = data.DataLoader(data.TensorDataset(IMAGES, LABELS), 8, shuffle=True, generator=Generator(1))
    generator = Generator(2)
    history = training.fit(
        model, loader, optim.Adam(model.parameters(), lr=0.01), epochs=epochs, callbacks=callbacks,
        val_loader=[(tcnn.tensor(IMAGES, device=device), tcnn.tensor(LABELS, device=device))], generator=generator,
        **more,
    )  # fmt: skip
    return history, generator


def state(model):
    return {name: t.numpy().tobytes() for name, t in model.state_dict().items()}


@pytest.mark.parametrize("every", [1, 2, 100])
def test_training_with_it_gives_the_same_bits(every):
    plain, watched = network(), network()
    random.manual_seed(7)
    history, generator = fit(plain)
    default = random.default_generator().state_dict()
    random.manual_seed(7)
    recorder = training.LayerHistograms(every)
    other_history, other_generator = fit(watched, recorder)
    assert state(plain) == state(watched)
    assert generator.state_dict() == other_generator.state_dict()
    assert default == random.default_generator().state_dict()
    assert history["loss"] == other_history["loss"]
    assert history["val_loss"] == other_history["val_loss"]
    assert all(p.grad.tobytes() == q.grad.tobytes() for p, q in zip(plain.parameters(), watched.parameters()))
    assert {h.step for h in recorder.histograms} == set(range(1, 7, every))


def test_no_hooks_are_left_even_after_an_error():
    class Fails(training.Callback):
        def on_batch_end(self, run):
            raise RuntimeError("enough")

    model = network()
    with pytest.raises(RuntimeError, match="enough"):
        fit(model, training.LayerHistograms(1), Fails())
    fit(model, training.LayerHistograms(1))
    assert all(not m._forward_hooks for m in model.modules())
    assert all(not p.node.hooks for p in model.parameters())


def test_there_are_hooks_in_recorded_steps_only():
    counts = []

    class Counts(training.Callback):
        def on_batch_end(self, run):
            counts.append(len(run.model.conv._forward_hooks))

    fit(network(), training.LayerHistograms(4), Counts())
    assert counts == [0, 0, 0, 1, 0, 0]  # for the steps 2, 3, 4, 5, 6, 7


def test_what_is_recorded():
    model, recorder = network(), training.LayerHistograms(3, bins=12)
    fit(model, recorder, epochs=1)
    (step,) = {h.step for h in recorder.histograms}
    found = {(h.kind, h.layer): h for h in recorder.histograms}
    assert len(found) == len(recorder.histograms)  # validation is not in it
    names = list(dict(model.named_children()))
    assert [layer for kind, layer in found if kind == "activations"] == names
    assert [layer for kind, layer in found if kind == "gradients"] == names[::-1]  # as they come
    assert [layer for kind, layer in found if kind == "weights"] == ["conv", "fc"]
    assert [layer for kind, layer in found if kind == "weight_gradients"] == ["conv", "fc"]
    relu = found["activations", "relu"]
    assert step == 1
    assert len(relu.counts) == 12
    assert relu.counts.sum() == round((1 - relu.zeros) * 8 * 4 * 6 * 4)
    assert 0.2 < relu.zeros < 0.8


def test_the_numbers_are_those_of_the_step():
    """One full batch, no dropout: what it saw can be computed again."""
    model = nn.Sequential({"fc": nn.Linear(2, 3, bias=False), "relu": nn.ReLU()}).double()
    w = np.array([[1.0, -1.0], [-1.0, -1.0], [0.5, 2.0]])
    model.load_state_dict({"fc.weight": w})
    x, y = np.array([[1.0, 2.0], [3.0, 1.0]]), np.zeros((2, 3))
    recorder = training.LayerHistograms(1, bins=3)
    batches = [(tcnn.tensor(x), tcnn.tensor(y))]
    training.fit(
        model, batches, optim.SGD(model.parameters(), lr=0.5), epochs=1, loss_fn=F.mse_loss, metrics=(),
        callbacks=[recorder],
    )  # fmt: skip
    found = {(h.kind, h.layer): h for h in recorder.histograms}
    h = x @ w.T
    out = np.maximum(h, 0)
    dout = out / 3  # the mean of six squares
    dh = dout * (h > 0)
    dw = dh.T @ x
    for key, values in {
        ("activations", "fc"): h,
        ("activations", "relu"): out,
        ("gradients", "relu"): dout,
        ("gradients", "fc"): dh,
        ("weight_gradients", "fc"): dw,
        ("weights", "fc"): w - 0.5 * dw,
    }.items():
        np.testing.assert_allclose(found[key].rms, np.sqrt((values**2).mean()), rtol=1e-12)
        assert found[key].zeros == pytest.approx((values == 0).mean())
        seen = values[values != 0]
        ends = np.log10(np.abs(seen)) if "gradients" in key[0] else seen
        np.testing.assert_allclose((found[key].low, found[key].high), (ends.min(), ends.max()))
    assert found["activations", "relu"].dead == 1 / 3  # the second neuron
    assert found["activations", "relu"].logarithmic is False
    assert found["gradients", "relu"].logarithmic is True


def test_a_module_that_is_called_twice_has_two_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.act = nn.Linear(2, 2), nn.Tanh()

        def forward(self, x):
            return self.act(self.fc(self.act(x)))

    found = training.layer_histograms(Twice(), tcnn.randn(4, 2), tcnn.tensor([0, 1, 0, 1]))
    assert [h.layer for h in found if h.kind == "activations"] == ["act", "fc", "act (2)"]


def test_chosen_layers_only():
    recorder = training.LayerHistograms(1, layers=["conv"])
    fit(network(), recorder, epochs=1)
    assert {h.layer for h in recorder.histograms} == {"conv"}
    with pytest.raises(ValueError, match=r"Sequential has no 'conv9'; it has conv, bn"):
        fit(network(), training.LayerHistograms(1, layers=["conv9"]))


@pytest.mark.parametrize("arguments", [{"every": 0}, {"bins": 0}, {"every": 1.5}])
def test_options_without_sense(arguments):
    with pytest.raises(ValueError, match="must be a whole number from 1 on"):
        training.LayerHistograms(**arguments)


def test_it_is_kept_in_checkpoints(tmp_path):
    whole = training.LayerHistograms(2)
    fit(network(), whole, epochs=3)

    first = training.LayerHistograms(2)
    fit(network(), first, epochs=1, checkpoint_dir=tmp_path)
    again, model = training.LayerHistograms(2), network()
    fit(model, again, epochs=3, checkpoint_dir=tmp_path, resume=True)
    assert [h[:3] for h in again.histograms] == [h[:3] for h in whole.histograms]
    for ours, theirs in zip(again.histograms, whole.histograms):
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        assert ours[4:] == theirs[4:]


def test_one_batch_leaves_no_trace():
    model = network()
    F.cross_entropy(model(tcnn.tensor(IMAGES)), tcnn.tensor(LABELS)).backward()
    model.conv.weight.requires_grad_(False)
    before = state(model), [None if p.grad is None else p.grad.tobytes() for p in model.parameters()]
    drawn = random.default_generator().state_dict()
    x = tcnn.tensor(IMAGES)
    found = training.layer_histograms(model, x, tcnn.tensor(LABELS), bins=7)
    assert (state(model), [None if p.grad is None else p.grad.tobytes() for p in model.parameters()]) == before
    assert random.default_generator().state_dict() == drawn
    assert model.training
    assert not x.requires_grad
    assert all(not m._forward_hooks for m in model.modules())
    kinds = {(h.kind, h.layer) for h in found}
    assert ("gradients", "conv") in kinds  # frozen, but gradients pass its output
    assert ("weight_gradients", "conv") not in kinds
    assert ("weights", "conv") in kinds


def test_it_runs_on_a_gpu():
    with standin.registered():
        here, there = training.LayerHistograms(2), training.LayerHistograms(2)
        fit(network(), here)
        model = network("standin:1")
        fit(model, there, device="standin:1")
        assert model.fc.weight.device == "standin:1"
        assert [h[:3] for h in there.histograms] == [h[:3] for h in here.histograms]
        for ours, theirs in zip(there.histograms, here.histograms):
            if ours.step == 1 and ours.kind != "weights":  # Adam makes much of small differences
                np.testing.assert_allclose(ours.rms, theirs.rms, rtol=1e-4, atol=1e-8)
        found = training.layer_histograms(model, tcnn.tensor(IMAGES), tcnn.tensor(LABELS))
        assert len(found) == len(training.layer_histograms(model.cpu(), tcnn.tensor(IMAGES), tcnn.tensor(LABELS)))


def test_odd_arrays():
    assert histogram(np.zeros((2, 3)), bins=4)[3:] == (pytest.approx([0] * 4), 0.0, 1.0, 1.0, 1.0, 0.0)
    nothing = histogram(np.zeros((0, 3)))
    assert (nothing.counts.sum(), nothing.zeros, nothing.rms) == (0, 0.0, 0.0)
    spoilt = histogram(np.array([np.nan, np.inf, 1.0, 3.0]), bins=2)
    assert (spoilt.counts.tolist(), spoilt.low, spoilt.high) == ([1, 1], 1.0, 3.0)
    half = histogram(np.full((2, 2), 60_000, np.float16))  # its squares would overflow
    assert half.rms == 60_000
    tiny = histogram(np.array([1e-30, -1e-3]), "gradients", bins=1)
    assert (tiny.low, tiny.high) == (-30, -3)


def test_of_very_many_numbers_a_part_is_counted():
    values = np.tile(np.array([1.0, 2.0]), 2**20)
    found = histogram(values, bins=2)
    assert 2**19 < found.counts.sum() <= 2**20
    assert abs(found.counts[0] - found.counts[1]) <= 1  # not every second one
