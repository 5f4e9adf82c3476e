"""`fit`: the loop, its numbers, its options and its errors."""

import signal
import threading

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import data, nn, optim
from tinygrad_cnn import random as rnd
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import Callback, evaluate, fit, train_step

F = nn.functional
x_all = rnd.Generator(0).normal((22, 4)).astype(np.float32)
y_all = rnd.Generator(1).integers(0, 3, (22,))


def loader(batch_size=5, shuffle=False, **options):
    pairs = data.TensorDataset(x_all, y_all)
    return data.DataLoader(pairs, batch_size, shuffle, generator=rnd.Generator(2), **options)


def net(dropout=0.0):
    with rnd.use_generator(rnd.Generator(3)):
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def bits(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_fit_is_the_five_lines_and_its_numbers_are_the_averages():
    by_hand, optimizer = net(), None
    optimizer = optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    losses, hits = [], []
    for _ in range(3):
        total = right = 0
        for x, y in loader():
            optimizer.zero_grad()
            y_hat = by_hand(x)
            loss = F.cross_entropy(y_hat, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x_all[: x.shape[0]])
            right += int((y_hat.numpy().argmax(axis=1) == y.numpy()).sum())
        losses.append(total / 22)
        hits.append(right / 22)

    model = net()
    history = fit(model, loader(), optim.SGD(model.parameters(), lr=0.1, momentum=0.9), epochs=3)
    assert bits(model) == bits(by_hand)
    assert history["loss"] == losses
    assert history["accuracy"] == pytest.approx(hits, abs=1e-12)
    assert history["epoch"] == [1, 2, 3]
    assert history["lr"] == [0.1] * 3
    assert history.names == ["epoch", "loss", "accuracy", "lr", "seconds", "images_per_second"]
    assert all(record["seconds"] > 0 and record["images_per_second"] > 0 for record in history)
    assert (history.interrupted, history.stop_reason) == (False, None)


def test_train_step_returns_loss_and_outputs_and_clips():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    x, y = next(iter(loader()))
    before = {name: p.numpy().copy() for name, p in model.named_parameters()}
    loss, y_hat = train_step(model, x, y, optimizer, clip_norm=0.01)
    assert loss.shape == ()
    assert y_hat.shape == (5, 3)
    moved = np.sqrt(sum(((p.numpy() - before[name]) ** 2).sum() for name, p in model.named_parameters()))
    np.testing.assert_allclose(moved, 0.01, rtol=1e-3)


def test_validation_is_what_evaluate_measures_and_draws_no_random_numbers():
    def run(**options):
        model = net(dropout=0.5)
        generator = rnd.Generator(5)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        history = fit(model, loader(shuffle=True), optimizer, epochs=2, generator=generator, **options)
        return model, history, generator.offset

    model, history, offset = run(val_loader=loader(7), metrics=("accuracy", "top2_accuracy"))
    measured = evaluate(model, loader(7), metrics=("accuracy", "top2_accuracy"))
    assert history.last["val_loss"] == measured.loss
    assert history.last["val_accuracy"] == measured["accuracy"]
    assert history.last["val_top2_accuracy"] == measured["top2_accuracy"] >= measured["accuracy"]
    without, _, same_offset = run()
    assert bits(model) == bits(without)
    assert offset == same_offset == 2 * 5


def test_the_model_trains_in_training_mode_and_a_frozen_layer_stays_frozen():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    model.eval()

    class Freeze(Callback):
        modes = ()

        def on_train_begin(self, run):
            run.model[1].eval()

        def on_batch_end(self, run):
            self.modes = (run.model.training, run.model[0].training, run.model[1].training)

    freeze = Freeze()
    fit(
        model,
        loader(),
        optim.SGD(model.parameters(), lr=0.1),
        epochs=2,
        val_loader=loader(),
        callbacks=[freeze],
    )
    assert freeze.modes == (True, True, False)
    assert model[1].running_mean.tolist() == [0, 0, 0]


def test_dropout_comes_from_the_generator_of_fit():
    def run(seed=None, **options):
        if seed is not None:
            rnd.manual_seed(seed)
        model = net(dropout=0.5)
        fit(model, loader(), optim.SGD(model.parameters(), lr=0.1), epochs=1, **options)
        return bits(model)

    assert run(generator=rnd.Generator(7)) == run(generator=rnd.Generator(7)) != run(generator=rnd.Generator(8))
    assert run(seed=1) == run(seed=1) != run(seed=2)
    before = rnd.default_generator().state_dict()
    run(generator=rnd.Generator(7))
    assert rnd.default_generator().state_dict() == before


def test_callbacks_see_a_run_in_order_with_the_right_numbers():
    seen = []

    class Watch(Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                return lambda run: seen.append((name[3:], run.epoch, run.batch, run.step, run.outcome, dict(run.logs)))
            return super().__getattribute__(name)

    model = net()
    history = fit(model, loader(8), optim.SGD(model.parameters(), lr=0.1), epochs=2, callbacks=[Watch()])
    places = [entry[:4] for entry in seen]
    assert places == [
        ("train_begin", 1, 0, 0),
        ("epoch_begin", 1, 0, 0),
        *[("batch_end", 1, b, b) for b in (1, 2, 3)],
        ("epoch_end", 1, 3, 3),
        ("epoch_begin", 2, 0, 3),
        *[("batch_end", 2, b, b + 3) for b in (1, 2, 3)],
        ("epoch_end", 2, 3, 6),
        ("train_end", 2, 3, 6),
    ]
    assert seen[4][5] == {name: history[0][name] for name in ("loss", "accuracy")}
    assert seen[5][5] == history[0]
    assert {entry[4] for entry in seen[:-1]} == {"running"}
    assert seen[-1][4] == "completed"


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
def test_an_error_in_a_callback_ends_all_of_them(hook):
    outcomes = []

    class Broken(Callback):
        pass

    def broken(self, run):
        raise RuntimeError("broken callback")

    setattr(Broken, hook, broken)

    class Last(Callback):
        def on_train_end(self, run):
            outcomes.append(run.outcome)

    model = net()
    with pytest.raises(RuntimeError, match="broken callback"):
        fit(
            model,
            loader(),
            optim.SGD(model.parameters(), lr=0.1),
            epochs=1,
            callbacks=[Last(), Broken(), Last()],
        )
    assert outcomes == (["completed"] if hook == "on_train_end" else ["failed"]) * 2


def test_a_callback_stops_after_a_batch_or_an_epoch():
    class Enough(Callback):
        def __init__(self, hook, epoch, batch):
            self.where = (epoch, batch)
            setattr(self, hook, self.check)

        def check(self, run):
            if (run.epoch, run.batch) == self.where:
                run.stop("that is enough")
                run.stop("and another reason")

    def run(*where):
        model = net()
        seen = []

        class Last(Callback):
            def on_train_end(self, run):
                seen.append((run.outcome, run.step))

        optimizer = optim.SGD(model.parameters(), lr=0.1)
        history = fit(model, loader(), optimizer, epochs=4, callbacks=[Enough(*where), Last()])
        return len(history), history.stop_reason, *seen

    assert run("on_batch_end", 2, 3) == (1, "that is enough", ("stopped", 8))
    assert run("on_epoch_end", 2, 5) == (2, "that is enough", ("stopped", 10))
    assert run("on_batch_end", 2, 5) == (2, "that is enough", ("stopped", 10))  # the epoch's last batch
    assert run("on_epoch_begin", 3, 0) == (2, "that is enough", ("stopped", 10))


def test_schedulers_step_per_epoch_or_per_batch():
    following = []

    def rates(make, **options):
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=0.8)
        scheduler = make(optimizer)
        seen = []
        following.clear()

        class Watch(Callback):
            def on_batch_end(self, run):
                seen.append(run.lr)

            def on_epoch_end(self, run):
                following.append(run.lr)

        history = fit(model, loader(), optimizer, epochs=2, scheduler=scheduler, callbacks=[Watch()], **options)
        return seen, history["lr"]

    halve = lambda optimizer: optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)  # noqa: E731
    assert rates(halve) == ([0.8] * 5 + [0.4] * 5, [0.8, 0.4])
    assert following == [0.4, 0.2]
    seen, recorded = rates(halve, step_scheduler="batch")
    assert seen == [0.8 / 2 ** (i + 1) for i in range(10)]
    assert recorded == [0.8 / 2**4, 0.8 / 2**9]  # of each epoch's last step
    cycle = lambda optimizer: optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=11)  # noqa: E731
    seen, _ = rates(cycle)
    assert len(set(seen)) == 10


def test_plateau_sees_the_monitored_value():
    def rates(**options):
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=1e-6)
        plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=10.0, mode="max")
        return fit(model, loader(), optimizer, epochs=3, scheduler=plateau, **options)["lr"]

    constant = {"constant": lambda y_hat, y: 1.0}
    assert rates(metrics=constant, monitor="constant") == [1e-6, 1e-6, 5e-7]
    assert rates(val_loader=loader()) == [1e-6, 1e-6, 5e-7]
    with pytest.raises(ValueError, match=r"monitor='val_loss' is not measured; there are epoch, loss, accuracy, lr"):
        rates(monitor="val_loss")


def test_a_list_of_batches_will_do_and_a_loss_must_be_one_number():
    model, same = net(), net()
    one = fit(model, list(loader()), optim.SGD(model.parameters(), lr=0.1), epochs=2)
    two = fit(same, loader(), optim.SGD(same.parameters(), lr=0.1), epochs=2)
    assert bits(model) == bits(same)
    assert one["loss"] == two["loss"]
    with pytest.raises(ShapeError, match=r"returned shape \(5,\); training needs one number"):
        fit(
            model,
            loader(),
            optim.SGD(model.parameters(), lr=0.1),
            epochs=1,
            loss_fn=lambda y_hat, y: F.cross_entropy(y_hat, y, reduction="none"),
        )


def test_signal_handlers_are_restored_and_other_threads_do_without():
    model = net()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    inside = []

    class Look(Callback):
        def on_batch_end(self, run):
            inside.append(signal.getsignal(signal.SIGINT))

    def run():
        fit(model, loader(), optim.SGD(model.parameters(), lr=0.1), epochs=1, callbacks=[Look()])

    run()
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert before[0] not in inside
    inside.clear()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [before[0]] * 5


def test_the_loss_falls_on_something_learnable():
    model = net()
    x = tcnn.Tensor(x_all)
    y = tcnn.Tensor((x_all[:, 0] > 0).astype(np.int64) + (x_all[:, 1] > 0))
    history = fit(model, [(x, y)], optim.Adam(model.parameters(), lr=0.05), epochs=150)
    assert history.last["accuracy"] == 1
    assert history.last["loss"] < 0.1 < history[0]["loss"]
