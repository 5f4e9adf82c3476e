"""The dashboards: what they remember and see, who may ask the page's server, and that training does not notice them."""

import base64
import contextlib
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
import standin
from rich.console import Console
from typer.testing import CliRunner

import tinygrad_cnn as tcnn
from tinygrad_cnn import TinygradCnnWarning, models, nn, optim, random, viz
from tinygrad_cnn.cli import app
from tinygrad_cnn.shapes import ShapeError
from tinygrad_cnn.training import Callback, ProgressBar, fit
from tinygrad_cnn.viz.dashboard import charts, look
from tinygrad_cnn.viz.dashboard.memory import Curves, Memory, Smoothed
from tinygrad_cnn.viz.dashboard.server import HEADERS, Server

rng = np.random.default_rng(5)
NASTY = ["</script><img src=x onerror=alert(1)>", "b&b", "ĉ"]


def network(channels=1):
    """Everything whose state an extra forward pass could change, and two calls of one layer."""
    with random.use_generator(random.Generator(3)):
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(4 * 4 * 3, 5),
            nn.BatchNorm1d(5),
            nn.Linear(5, 3),
        )


def batches(channels=1, device="cpu", n=4):
    draw = np.random.default_rng(0)
    return [
        (
            tcnn.tensor(draw.normal(size=(7, channels, 8, 6)).astype(np.float32), device=device),
            tcnn.tensor(draw.integers(0, 3, 7), device=device),
        )
        for _ in range(n)
    ]


def train(*callbacks, model=None, data=None, epochs=3, **options):
    model = network() if model is None else model
    return fit(
        model,
        batches() if data is None else data,
        optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        epochs=epochs,
        callbacks=callbacks,
        **options,
    )


@pytest.fixture
def often(monkeypatch):
    """Every batch is looked at."""
    from tinygrad_cnn.viz.dashboard import terminal, web

    for module in (web, terminal):
        monkeypatch.setattr(module, "EVERY", 0.0)
        monkeypatch.setattr(module, "SHARE", 1.0)
    monkeypatch.setattr(viz.Dashboard, "_is_watched", lambda self: True)
    monkeypatch.setattr(web, "FAREWELL", 0.0)
    monkeypatch.setattr(viz.Dashboard, "close", lambda self: None)
    made = []
    start = viz.Dashboard.start
    monkeypatch.setattr(viz.Dashboard, "start", lambda self: (made.append(self), start(self))[1])
    yield
    for dashboard in made:
        if dashboard._server is not None:
            dashboard._server.close()


def state_of(dashboard):
    return json.loads(dashboard._answer("/state", ""))["news"]


def terminal(width=120, height=32, encoding="utf-8", colours="truecolor", **options):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    return Console(
        file=stream, width=width, height=height, color_system=colours, force_jupyter=False,
        **{"force_terminal": True, "legacy_windows": False, **options},
    )  # fmt: skip


def written(console):
    console.file.flush()
    return console.file.buffer.getvalue().decode(console.file.encoding)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


# ---- what they remember


def test_curves_stay_short_and_keep_their_averages():
    curves = Curves(limit=8)
    for step in range(1, 101):
        curves.add(step, step * 2.0)
        assert len(curves.rows) <= 8
    xs, ys = curves.column(0), curves.column(1)
    assert xs == sorted(xs)
    assert ys == [2 * x for x in xs]
    assert len(xs) >= 4
    assert xs[0] == 8.5  # the average of 1 … 16
    assert xs[-1] > 80


def test_the_running_average_is_not_drawn_to_zero_and_leaves_out_what_is_no_number():
    mean = Smoothed(0.9)
    assert np.isnan(mean.add(np.nan))
    assert mean.add(5.0) == pytest.approx(5.0)
    assert mean.add(np.inf) == pytest.approx(5.0)
    assert 5.0 < mean.add(6.0) < 5.6


def test_the_classes_are_counted_and_other_tasks_are_not():
    memory = Memory()

    class Keep(Callback):
        def on_batch_end(self, run):
            memory.batch(run)

    class Scores(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(np.zeros(3, np.float32))

        def forward(self, x):
            return x + self.w * 0

    x = tcnn.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    train(Keep(), model=Scores(), data=[(x, tcnn.tensor([0, 1, 2]))] * 2, epochs=1)
    assert memory.total.tolist() == pytest.approx([1.98] * 3)
    assert (memory.right / memory.total).tolist() == [1, 1, 0]
    assert memory.metric == "accuracy"

    for y in (tcnn.tensor([[0.0] * 3] * 3), tcnn.tensor([0, 1, 7])):  # numbers to match; a class the scores do not have
        memory = Memory()
        loss = lambda a, b: ((a - 1) ** 2).mean()  # noqa: E731
        train(Keep(), model=Scores(), data=[(x, y)], epochs=1, metrics=(), loss_fn=loss)
        assert memory.total.size == 0
        assert memory.metric is None
        assert memory.curves.rows[0][Memory.LOSS] == pytest.approx(6 / 9)


def test_a_resumed_run_knows_its_earlier_epochs(tmp_path, often):
    val = batches(n=1)
    model = network()
    train(model=model, epochs=2, val_loader=val, checkpoint_dir=tmp_path)
    dashboard = viz.Dashboard()
    history = train(dashboard, model=model, epochs=3, val_loader=val, checkpoint_dir=tmp_path, resume=True)
    state = state_of(dashboard)
    assert [epoch["step"] for epoch in state["finished"]] == [4, 8, 12]
    assert [epoch["val_loss"] for epoch in state["finished"]] == history["val_loss"]
    assert state["curves"]["step"] == [9, 10, 11, 12]


# ---- what they see


def test_numbers_become_pictures():
    assert look.pixels(np.array([[0.0, np.nan, 2.0]])).tolist() == [[0, 0, 255]]
    assert look.pixels(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert look.shrunk(np.arange(24.0).reshape(1, 4, 6), 3).tolist() == [[[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]]
    assert look.shrunk(np.ones((1, 100)), 10).shape == (1, 10)
    assert look.picture(np.ones((1, 5, 4))).shape == (5, 4)
    assert look.picture(np.ones((3, 200, 100))).shape == (66, 33, 3)
    tiles = [np.full((2, 3), i, np.uint8) for i in (10, 20, 30)]
    assert look.mosaic(tiles).tolist() == [
        [10, 10, 10, 0, 20, 20, 20],
        [10, 10, 10, 0, 20, 20, 20],
        [0, 0, 0, 0, 0, 0, 0],
        [30, 30, 30, 0, 0, 0, 0],
        [30, 30, 30, 0, 0, 0, 0],
    ]
    assert look.mosaic([]) is None


@pytest.mark.parametrize(("channels", "shape"), [(1, (3, 3)), (3, (3, 3, 3)), (5, (3, 3))])
def test_filters_are_those_of_the_first_convolution(channels, shape):
    model = network(channels)
    tiles = look.filters(model)
    assert [tile.shape for tile in tiles] == [shape] * 4
    w = model[0].weight.numpy()
    w = np.moveaxis(w, 1, -1) if channels == 3 else w[:, 0]
    expected = 127.5 + 127.5 * w / np.abs(model[0].weight.numpy()[:, : channels if channels == 3 else 1]).max()
    np.testing.assert_allclose(np.stack(tiles), expected, atol=0.51)  # 0 is grey
    assert look.filters(nn.Linear(3, 2)) == []


def test_layers_are_seen_in_the_order_of_their_calls_with_their_real_numbers():
    model = network().eval()
    (x, _), *_ = batches()
    seen = look.run(model, x.numpy(), index=2)
    assert [layer.name for layer in seen.layers] == ["0", "1", "2", "3", "6", "7", "8"]  # neither flatten nor dropout
    assert [layer.kind for layer in seen.layers][:4] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    y = model[3](model[2](model[1](model[0](x)))).numpy()[2]
    pool = seen.layers[3]
    assert pool.shape == (4, 4, 3) == y.shape
    assert (pool.low, pool.high) == pytest.approx((y.min(), y.max()))
    np.testing.assert_array_equal(np.stack(pool.tiles), look.pixels(y, y.min(), y.max()))
    scores = model(x).numpy()
    np.testing.assert_allclose(seen.scores, look.softmax(scores))
    np.testing.assert_allclose(seen.scores.sum(axis=1), 1)
    last = seen.layers[-1]
    assert last.tiles[0].tolist() == [look.pixels(scores[2]).tolist()]


def test_a_layer_whose_output_is_changed_in_place_is_seen_as_it_was():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            y = self.conv(x)
            y += 100.0
            return y.mean((2, 3))

    (x, _), *_ = batches()
    assert look.run(InPlace(), x.numpy()).layers[0].high < 50


def test_of_very_many_layers_some_are_seen():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), *[nn.ReLU() for _ in range(100)])
    seen = look.run(model, np.ones((2, 1, 40, 70)))
    assert len(seen.layers) == look.LAYERS
    assert seen.skipped == 101 - look.LAYERS
    assert [seen.layers[0].name, seen.layers[-1].name] == ["0", "100"]
    assert seen.layers[0].tiles[0].shape == (13, 23)  # no more than 32 on a side
    assert seen.scores is None


@pytest.mark.parametrize(
    ("units", "shape"), [(10, (1, 10)), (84, (3, 28)), (120, (4, 30)), (31, (1, 31)), (37, (2, 19))]
)
def test_rows_of_neurons_are_of_one_length_if_they_can_be(units, shape):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, units))
    assert look.run(model, np.ones((2, 1, 1, 1))).layers[-1].tiles[0].shape == shape  # a filler looks like a number


def test_sizes_are_root_mean_squares():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    w = model[0].weight.numpy()
    model[0].weight.grad = np.full((2, 3), -3.0, np.float32)
    first, second = look.sizes(model)
    assert (first.name, first.gradient, second.gradient) == ("0.weight", 3.0, None)
    assert first.weight == pytest.approx(np.sqrt((w**2).mean()))


# ---- the page's contents


def test_the_state_holds_what_the_page_shows(often):
    x, y = batches()[0]
    dashboard = viz.Dashboard(images=x, labels=y, classes=NASTY, validation="test")
    history = train(dashboard, val_loader=batches(n=1))
    state = state_of(dashboard)
    assert (state["epoch"], state["epochs"], state["batch"], state["batches"], state["step"]) == (3, 3, 4, 4, 12)
    assert (state["model"], state["metric"], state["validation"]) == ("Sequential", "accuracy", "test")
    assert state["lr"] == 0.05
    assert state["curves"]["step"] == list(range(1, 13))
    assert np.mean(state["curves"]["loss"][-4:]) == pytest.approx(history.last["loss"], rel=1e-4)
    assert [e["val_accuracy"] for e in state["finished"]] == history["val_accuracy"]
    assert [c["name"] for c in state["classes"]] == NASTY
    assert all(0 <= c["share"] <= 1 for c in state["classes"])
    assert [s["name"] for s in state["sizes"]] == ["0.weight", "6.weight", "8.weight"]
    assert all(s["gradient"] > 0 for s in state["sizes"])
    filters = state["filters"]
    assert (filters["height"], filters["width"], filters["colours"], len(filters["tiles"])) == (3, 3, 1, 4)
    assert [len(base64.b64decode(tile)) for tile in filters["tiles"]] == [9] * 4
    assert len(state["predictions"]) == 7
    for said, label in zip(state["predictions"], y.tolist()):
        assert said["label"] == NASTY[label]
        assert said["right"] == (said["guess"] == said["label"])
        assert [name for name, _, _ in said["bars"]] == NASTY
        assert sum(share for _, share, _ in said["bars"]) == pytest.approx(1, abs=1e-3)
        assert [name for name, _, best in said["bars"] if best] == [said["guess"]]
    (first, *others) = json.loads(dashboard._answer("/pictures", ""))
    assert (first["height"], first["width"], len(others)) == (8, 6, 6)
    assert np.frombuffer(base64.b64decode(first["tiles"][0]), np.uint8).max() == 255


def test_of_many_classes_the_largest_shares_are_shown(often):
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 50))
    dashboard = viz.Dashboard(classes=["only one name"])
    train(dashboard, model=model, epochs=1)
    for said in state_of(dashboard)["predictions"]:
        shares = [share for _, share, _ in said["bars"]]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert said["bars"][0][2]
    names = [c["name"] for c in state_of(dashboard)["classes"]]
    assert names == ["only one name", *map(str, range(1, 50))]


@pytest.mark.parametrize(
    "case",
    ["vectors", "tuple", "channels", "colour", "regression", "segmentation", "no parameters", "no length"],
)
def test_everything_fit_can_train_can_be_watched(often, case):
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            return self.inner(x), x

    class Once:
        def __iter__(self):
            return iter(batches())

    cross, square = nn.functional.cross_entropy, nn.functional.mse_loss
    x = tcnn.ones(4, 6)
    model, data, options, images = {
        "vectors": (nn.Linear(6, 3), [(x, tcnn.zeros(4, dtype="int64"))], {}, False),
        "tuple": (Pair(), batches(), {"loss_fn": lambda y_hat, y: cross(y_hat[0], y)}, True),
        "channels": (network(5), batches(5), {}, False),
        "colour": (network(3), batches(3), {}, True),
        "regression": (nn.Linear(6, 1), [(x, tcnn.ones(4, 1))], {"loss_fn": square, "metrics": ()}, False),
        "segmentation": (nn.Conv2d(1, 3, 1), [(tcnn.ones(2, 1, 5, 4), tcnn.zeros(2, 5, 4, dtype="int64"))], {}, True),
        "no parameters": (network(), batches(), {"loss_fn": cross}, True),
        "no length": (network(), Once(), {}, True),
    }[case]
    if case == "no parameters":
        model[0].requires_grad_(False)
    dashboard = viz.Dashboard()
    drawn = viz.TerminalDashboard(terminal())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(dashboard, drawn, model=model, data=data, epochs=2, **options)
    state = state_of(dashboard)
    assert len(state["curves"]["loss"]) == state["step"] > 1
    assert ("image" in state) == images
    assert ("predictions" in state) == (images and case != "segmentation")
    if case == "colour":
        assert {t["colours"] for t in (state["filters"], *json.loads(dashboard._answer("/pictures", "")))} == {3}
    if case == "no parameters":
        assert state["sizes"][0]["gradient"] is None
    assert (state["metric"] is None) == (case == "regression")
    assert "epoch" in plain(written(drawn.console))


def test_nan_becomes_null_in_json(often):
    dashboard = viz.Dashboard()
    train(dashboard, epochs=1, metrics={"odd": lambda y_hat, y: np.nan})
    assert state_of(dashboard)["curves"]["metric"] == [None] * 4


def test_it_works_on_another_device(often):
    with standin.registered():
        data = batches(device="standin")
        model = network().to("standin")
        dashboard, drawn = viz.Dashboard(), viz.TerminalDashboard(terminal())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(dashboard, drawn, model=model, data=data, epochs=1, generator=random.Generator(8))
        there = state_of(dashboard)
        host = viz.Dashboard()
        train(host, epochs=1, generator=random.Generator(8))
    here = state_of(host)
    assert [p["label"] for p in there["predictions"]] == [p["label"] for p in here["predictions"]]
    np.testing.assert_allclose([s["weight"] for s in there["sizes"]], [s["weight"] for s in here["sizes"]], rtol=1e-4)


# ---- nothing is different afterwards


def results(*callbacks):
    model, generator = network(), random.Generator(8)
    calls = []
    with model[2].register_forward_hook(lambda *_: calls.append(model[2].training)):
        history = train(*callbacks, model=model, val_loader=batches(n=1), generator=generator)
    weights = {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    numbers = [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in history]
    gradients = [p.grad.tobytes() for p in model.parameters()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    return weights, gradients, numbers, modes, hooks, generator.state_dict(), random.default_generator().state_dict()


def test_training_with_and_without_is_the_same_bit_for_bit(often):
    bare = results()
    tcnn.manual_seed(1234)
    dashboard = viz.Dashboard()
    assert results(dashboard, viz.TerminalDashboard(terminal())) == bare
    assert state_of(dashboard)["version"] == 13  # it did look, at each of 12 batches and at the end


def test_a_recording_does_not_see_the_dashboard(often):
    from tinygrad_cnn import observe

    class Count(observe.Observer):
        applied_ones = 0

        def applied(self, *args):
            self.applied_ones += 1

    counts = []
    for callbacks in ((), (viz.Dashboard(),)):
        counter = Count()
        before = observe.observer.set(counter)
        train(*callbacks, epochs=1)
        observe.observer.reset(before)
        counts.append(counter.applied_ones)
    assert counts[0] == counts[1] > 0


def test_nobody_looks_nothing_is_computed(monkeypatch):
    from tinygrad_cnn.viz.dashboard import web

    monkeypatch.setattr(web, "EVERY", 0.0)
    monkeypatch.setattr(web, "SHARE", 1.0)
    monkeypatch.setattr(web, "FAREWELL", 0.0)
    looks = []
    real = viz.Dashboard._look
    monkeypatch.setattr(viz.Dashboard, "_look", lambda self, run: (looks.append(run.step), real(self, run))[1])
    dashboard = viz.Dashboard()
    train(dashboard)
    assert looks == [1, 12]
    assert dashboard.url is None
    looks.clear()

    class Ask(Callback):
        def on_batch_end(self, run):
            if run.step == 6:
                dashboard._answer("/state", "seen=1")

    train(dashboard, Ask())
    assert looks == [1, 7, 8, 9, 10, 11, 12, 12]


def test_a_page_that_lost_the_training_for_a_moment_learns_the_end():
    dashboard, answers = viz.Dashboard(), []

    class Ask(Callback):
        def on_batch_end(self, run):
            dashboard._answer("/state", "")
            if run.step == 12:  # as a page does after a question without answer
                threading.Timer(2.0, lambda: answers.append((dashboard.url, dashboard._answer("/state", "")))).start()

    train(dashboard, Ask())
    ((url, answer),) = answers
    assert url is not None  # the server waited
    assert json.loads(answer)["status"]["state"] == "completed"


def test_a_look_is_taken_now_and_then_only(monkeypatch):
    dashboard = viz.Dashboard()
    monkeypatch.setattr(viz.Dashboard, "_is_watched", lambda self: self._run.outcome == "running")
    train(dashboard, epochs=5)
    assert dashboard._version <= 3  # 20 batches in far less than half a second


def test_a_failing_look_is_told_once_and_the_curves_go_on(often):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            if not self.training:
                raise RuntimeError("I do not like to be watched")
            return self.inner(x)

    dashboard = viz.Dashboard()
    with pytest.warns(TinygradCnnWarning, match="only curves: RuntimeError: I do not like") as caught:
        train(dashboard, model=Moody())
    assert len(caught) == 1
    state = state_of(dashboard)
    assert state["step"] == len(state["curves"]["loss"]) == 12
    assert "layers" not in state


def test_a_failing_drawing_is_told_once_and_the_line_goes_on(often, monkeypatch):
    monkeypatch.setattr(charts, "chart", lambda *_, **__: 1 / 0)
    drawn = viz.TerminalDashboard(terminal())
    with pytest.warns(TinygradCnnWarning, match="only a line: ZeroDivisionError") as caught:
        train(drawn)
    assert len(caught) == 1
    assert "epoch 3/3" in plain(written(drawn.console))


def test_options_that_make_no_sense():
    for port in (-1, 65536, 1.5, "80"):
        with pytest.raises(ValueError, match=r"from 0 \(any free port\) to 65535"):
            viz.Dashboard(port)
    with pytest.raises(ShapeError, match=r"\(N, 1, H, W\) or \(N, 3, H, W\), not \(2, 5, 4, 4\)"):
        viz.Dashboard(images=np.zeros((2, 5, 4, 4)))
    with pytest.raises(ShapeError, match="3 labels for 2 images"):
        viz.Dashboard(images=np.zeros((2, 1, 4, 4)), labels=[1, 2, 3])
    assert viz.Dashboard(images=np.zeros((3, 8, 6), np.float32))._images.shape == (1, 3, 8, 6)


# ---- the server


@pytest.fixture(scope="module")
def listening():
    obeyed = []

    def obey(command):
        obeyed.append(command)
        return None if command.get("do") == "pause" else "unknown"

    made = Server(0, lambda path, query: f'"{query}"'.encode() if path == "/state" else None, obey)
    made.obeyed = obeyed
    yield made
    made.close()


@pytest.fixture
def server(listening):
    listening.obeyed.clear()
    return listening


def ask(server, path="/", method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    names = {"Host": f"127.0.0.1:{server.server_port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    if body is not None:
        names.setdefault("Content-Length", str(len(body)))
    for name, value in names.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def press(server, body=b'{"do": "pause"}', **headers):
    host = f"127.0.0.1:{server.server_port}"
    return ask(server, "/control", "POST", body, **{"X_Token": server.token, "Origin": f"http://{host}", **headers})


def test_it_listens_on_this_machine_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize(
    ("path", "kind", "beginning"),
    [
        ("/", "text/html", b"<!DOCTYPE html>"),
        ("/dashboard.js", "text/javascript", b'"use strict"'),
        ("/dashboard.css", "text/css", b":root"),
        ("/state?seen=3", "application/json", b'"seen=3"'),
    ],
)
def test_what_is_served(server, path, kind, beginning):
    answer, content = ask(server, path)
    assert (answer.status, answer.getheader("Content-Type")) == (200, f"{kind}; charset=utf-8")
    assert content.startswith(beginning)
    assert all(answer.getheader(name) == value for name, value in HEADERS.items())
    assert answer.getheader("Access-Control-Allow-Origin") is None
    assert b"{{" not in content
    assert (server.token.encode() in content) == (path == "/")
    assert re.findall(rb"(?:src|href)=\"(?!data:|dashboard\.)", content) == []
    assert b"https:" not in content
    assert "Python" not in answer.getheader("Server")


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/..%2fserver.py", "//etc/passwd", "/dashboard.html", "/pages/dashboard.js", "/favicon.ico",
     "/control", "/%2e%2e/web.py", "/dashboard.js/", "/./dashboard.js", "http://evil.example/dashboard.css.x"],
)  # fmt: skip
def test_nothing_else_is_served(server, path):
    answer, content = ask(server, path)
    assert (answer.status, json.loads(content)) == (404, {"error": "there is nothing here"})


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "[::1]:80", "localhost.x:1"],
)
def test_other_names_are_refused(server, method, host):
    if method == "GET":
        assert ask(server, "/state", Host=host)[0].status == 403
    else:
        assert press(server, Host=host, Origin=f"http://{host}")[0].status == 403
        assert server.obeyed == []


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "localhost:9999", "localhost"])
def test_own_names_are_served_also_through_a_forwarded_port(server, host):
    host = host.format(server.server_port)
    assert ask(server, Host=host)[0].status == 200
    assert press(server, Host=host, Origin=f"http://{host}")[0].status == 200


def test_buttons_take_the_token_and_our_origin(server):
    for headers in (
        {"X_Token": None},
        {"X_Token": "x" * len(server.token)},
        {"X_Token": "\xe9"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{server.server_port + 1}"},
        {"Origin": f"https://127.0.0.1:{server.server_port}"},
    ):
        answer, content = press(server, **headers)
        assert answer.status == 403, headers
        assert "error" in json.loads(content)
    assert server.obeyed == []
    for headers in ({}, {"Origin": None}):  # a script that knows the token needs no Origin
        answer, content = press(server, **headers)
        assert (answer.status, content) == (200, b"{}")
    assert server.obeyed == [{"do": "pause"}] * 2
    assert ask(server, "/state", "POST", b"{}", X_Token=server.token)[0].status == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"do": "dance"}', {}, 400),
        (b"[]", {}, 400),
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 900, {}, 400),
        (b"{}", {"Content_Length": "1001"}, 413),
        (b"{}", {"Content_Length": "-1"}, 413),
        (b"{}", {"Content_Length": "²"}, 413),
        (b"", {"Content_Length": None}, 413),
    ],
)
def test_bad_commands_are_refused(server, body, headers, status):
    headers = {k: v.encode() if v == "²" else v for k, v in headers.items()}
    answer, _ = press(server, body, **headers)
    assert answer.status == status
    assert server.obeyed in ([], [{"do": "dance"}])


def test_other_methods_do_not_exist(server):
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        assert ask(server, method=method)[0].status == 501


def test_clients_that_go_away_or_dawdle_are_nobodys_concern(server, monkeypatch, capfd):
    from tinygrad_cnn.viz.dashboard.server import Handler

    monkeypatch.setattr(Handler, "timeout", 0.2)
    slow = socket.create_connection(("127.0.0.1", server.server_port))
    slow.sendall(b"GET / HT")
    for _ in range(5):
        rude = socket.create_connection(("127.0.0.1", server.server_port))
        rude.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, not a farewell
        rude.close()
    assert ask(server)[0].status == 200
    slow.settimeout(5)
    assert slow.recv(100) == b""  # hung up on
    slow.close()
    assert capfd.readouterr() == ("", "")


def test_a_port_can_be_had_again_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(3):
        server = Server(port, lambda path, query: b"{}", lambda command: None)
        assert ask(server, "/state")[0].status == 200  # leaves the port waiting
        server.close()


def test_a_port_in_use_is_an_error_with_a_remedy_before_the_training(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} is in use already; choose another one, or 0"):
            train(viz.Dashboard(port))
        run = tmp_path / "run"
        result = CliRunner().invoke(app, ["train", "--dashboard", "--port", str(port), "--out", str(run)])
        assert result.exit_code == 1
        assert f"port {port} is in use already; choose another one, or 0" in result.stderr
        assert not run.exists()


# ---- watching a real training through its own address


def fetch(url, data=None, token=None):
    from urllib.request import Request

    request = Request(url, data, {"X-Token": token} if token else {})
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        return answer.read().decode()


class Slowly(Callback):
    def on_batch_end(self, run):
        time.sleep(0.01)


def test_pause_resume_look_and_stop(capsys):
    dashboard = viz.Dashboard(classes=NASTY)
    url = dashboard.start()
    assert dashboard.start() == url  # once
    assert capsys.readouterr().out == f"dashboard: {url}\n"
    histories = []
    thread = threading.Thread(target=lambda: histories.append(train(dashboard, Slowly(), epochs=10_000)))
    thread.start()
    token = re.search(r'name="token" content="([^"]+)"', fetch(url)).group(1)

    def state():
        return json.loads(fetch(f"{url}state"))

    def do(**command):
        return fetch(f"{url}control", json.dumps(command).encode(), token)

    def until(condition):
        end = time.monotonic() + 60
        while not condition(state()):
            assert time.monotonic() < end
            time.sleep(0.05)

    try:
        until(lambda s: s["news"] and s["status"] == {"state": "running", "reason": None})
        do(do="pause")
        until(lambda s: s["status"]["state"] == "paused")
        time.sleep(0.2)
        step = dashboard._run.step
        do(do="look", image=3)
        until(lambda s: s["news"]["image"] == 3)  # also while training waits
        do(do="look", image=10**6)
        until(lambda s: s["news"]["image"] == 6)
        assert dashboard._run.step == step
        do(do="resume")
        until(lambda s: s["news"]["step"] > step and s["status"]["state"] == "running")
        version = state()["news"]["version"]
        assert json.loads(fetch(f"{url}state?seen={version + 10}"))["news"]
        do(do="pause")
        until(lambda s: s["status"]["state"] == "paused")
        time.sleep(0.2)
        version = state()["news"]["version"]
        assert json.loads(fetch(f"{url}state?seen={version}"))["news"] is None  # nothing new, nothing sent
        do(do="stop")  # ends a pause, too
        until(lambda s: s["status"] == {"state": "stopped", "reason": "Stop was pressed on the dashboard"})
    finally:
        if dashboard._run is not None:
            dashboard._run.stop("the test failed")
        thread.join(20)
    (history,) = histories
    assert history.stop_reason == "Stop was pressed on the dashboard"
    assert dashboard.url is None
    with pytest.raises(OSError):
        fetch(url)
    assert dashboard._obey({"do": "pause"}) == "there is no training going on"


@pytest.mark.parametrize("command", [{}, {"do": "explode"}, {"do": "look"}, {"do": "look", "image": "1"}])
def test_unknown_commands_do_nothing(often, command):
    seen = []
    dashboard = viz.Dashboard()

    class Press(Callback):
        def on_batch_end(self, run):
            seen.append(dashboard._obey(command))

    train(dashboard, Press(), epochs=1)
    assert seen == ["the commands are pause, resume, stop and look"] * 4


def test_a_dashboard_can_be_used_again(capsys):
    dashboard, threads = viz.Dashboard(), threading.active_count()
    for epochs in (1, 2):
        train(dashboard, epochs=epochs)
        assert json.loads(dashboard._answer("/state", ""))["status"]["state"] == "completed"
        assert state_of(dashboard)["epoch"] == epochs
    assert capsys.readouterr().out.count("dashboard: http://127.0.0.1:") == 2
    assert threading.active_count() <= threads


def test_a_failed_training_closes_the_page_and_says_so():
    dashboard = viz.Dashboard()

    class Fail(Callback):
        def on_batch_end(self, run):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(dashboard, Fail())
    assert dashboard.url is None
    assert json.loads(dashboard._answer("/state", ""))["status"]["state"] == "failed"


def test_the_browser_is_opened_when_asked_for(monkeypatch):
    import webbrowser

    opened = threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda url: url.startswith("http://127.0.0.1:") and opened.set())
    dashboard = viz.Dashboard(open_browser=True)
    dashboard.start()
    assert opened.wait(60)
    dashboard.close()
    dashboard.close()  # twice is fine


# ---- in the terminal


def test_a_curve_in_braille_and_in_ascii():
    line = charts.Line([(0, 0.0), (1, 1.0), (2, float("nan")), (4, 4.0)], "", "*")
    drawn = charts.chart([line], 13, 5, ends=("a", "b")).plain.split("\n")
    assert drawn == ["4 │      ⢀⡠⠔⠊", "  │   ⣀⠤⠒⠁   ", "0 │⡠⠔⠊       ", "  └──────────", "   a        b"]
    drawn = charts.chart([line], 13, 5, ascii_only=True, ends=("a", "b")).plain.split("\n")
    assert drawn == ["4 |        **", "  |    ****  ", "0 |****      ", "  +----------", "   a        b"]


def test_points_lie_over_curves_and_the_last_curve_has_the_character():
    flat = [(0, 1.0), (9, 1.0)]
    one, two = charts.Line(flat, "red", "."), charts.Line(flat, "blue", "*")
    points = charts.Line([(0, 1.0)], "green", "o", joined=False)
    drawn = charts.chart([one, two, points], 30, 6)
    styles = {str(span.style) for span in drawn.spans}
    assert "red" not in styles
    assert {"blue", "green"} <= styles
    assert "o" in drawn.plain


def test_an_empty_chart_is_an_empty_chart():
    assert len(charts.chart([charts.Line([], "", "*")], 30, 6).plain.split("\n")) == 6


def test_bars_have_eighths():
    assert charts.bar(1 / 16, 2) == "▏ "
    assert charts.bar(7.0, 2) == "██"
    assert charts.bar(-1, 2) == "  "


def test_pictures_as_characters():
    tiles = [np.array([[0, 255], [255, 0], [128, 128]], np.uint8)] * 3
    shown = charts.pictures(tiles, 8, 5, coloured=True)
    assert shown.plain == "▀▀ ▀▀\n▀▀ ▀▀\n\n▀▀\n▀▀"
    assert "#ffffff on #000000" in {str(span.style) for span in shown.spans}
    assert charts.pictures(tiles[:1], 8, 5, coloured=False).plain == "  @@\n@@  \n===="
    assert charts.pictures([], 8, 5, coloured=True).plain == ""


@pytest.mark.parametrize(
    ("width", "height", "there", "absent"),
    [
        (120, 32, ["loss", "accuracy", "recognised", "first-layer filters", "⠒⠒ average", "● test"], []),
        (80, 24, ["loss", "accuracy", "recognised", "first-layer filters"], []),
        (76, 16, ["loss", "accuracy"], ["recognised"]),
        (50, 40, ["loss", "accuracy", "recognised"], []),
        (50, 14, ["loss"], ["recognised"]),
        (40, 10, ["loss"], ["recognised"]),
        (39, 40, [], ["average", "recognised"]),
        (200, 9, [], ["average", "recognised"]),
        (500, 100, ["recognised"], []),
    ],
)
def test_it_fits_into_any_terminal(often, width, height, there, absent):
    console = terminal(width, height)
    drawn = viz.TerminalDashboard(console, validation="test", classes=NASTY)
    frames = []

    class Frame(Callback):
        def on_batch_end(self, run):
            other = terminal(width, height)
            other.print(drawn._line(run))
            frames.append(plain(written(other)))

    train(drawn, Frame(), val_loader=batches(n=1))
    frame = frames[-1]
    assert all(words in frame for words in there)
    assert not any(words in frame for words in absent)
    rows = frame.rstrip("\n").split("\n")
    assert len(rows) < height
    assert max(map(len, rows)) <= width
    assert "epoch 3/3" in rows[-1]
    text = plain(written(console))
    assert text.count("test accuracy") >= 3  # a line an epoch stays behind
    assert written(console).rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in written(console)


def test_without_utf_8_it_is_drawn_in_ascii(often):
    console = terminal(encoding="ascii")
    train(viz.TerminalDashboard(console), val_loader=batches(n=1))
    text = written(console)
    assert "** average" in text.replace("\x1b[0m", "") or "average" in plain(text)
    assert "?" not in plain(text)  # nothing that could not be encoded
    assert "first-layer filters" in plain(text)


def test_without_colours_there_are_shades(often):
    console = terminal(colours=None)
    train(viz.TerminalDashboard(console), epochs=1)
    assert "▀" not in written(console)
    assert "first-layer filters" in plain(written(console))


def test_where_there_is_no_terminal_it_is_an_ordinary_progress_bar():
    def lines(callback):
        train(callback, val_loader=batches(n=1), generator=random.Generator(8))
        return re.sub(r"[\d,.]+ (images/s|s)", "", written(callback.console))

    ours = viz.TerminalDashboard(terminal(force_terminal=False), every_seconds=0.0, validation="test")
    theirs = ProgressBar(terminal(force_terminal=False), every_seconds=0.0, validation="test")
    assert re.sub("ETA *", "", lines(ours)) == re.sub("ETA *", "", lines(theirs))
    assert "\x1b" not in written(ours.console)


def test_a_notebook_gets_the_line():
    drawn = viz.TerminalDashboard(terminal())
    drawn.console.is_jupyter = True
    drawn._open = lambda run: None
    train(drawn)
    assert not drawn._draws
    assert not drawn._stays


def test_another_size_of_the_terminal_begins_with_a_clear_screen(often):
    console = terminal(120, 32)
    drawn = viz.TerminalDashboard(console, validation="test")

    class Resize(Callback):
        def on_batch_end(self, run):
            if run.step == 6:
                console.size = (80, 30)
                before.append(len(written(console)))

    before = []
    train(Resize(), drawn, val_loader=batches(n=1))
    after = written(console)[before[0] :]
    assert "\x1b[2J" in after
    assert "epoch 1/3" in plain(after)  # said again
    assert max(map(len, plain(after.split("\x1b[2J")[1]).replace("\r", "\n").split("\n"))) <= 80
    assert "\x1b[2J" not in written(console)[: before[0]]


def test_the_terminal_is_as_before_after_ctrl_c_and_errors(often):
    for error in (KeyboardInterrupt, ZeroDivisionError):
        console = terminal()

        class Fail(Callback):
            def on_batch_end(self, run):
                if run.step == 6:
                    raise error  # noqa: B023

        with pytest.raises(error):
            train(viz.TerminalDashboard(console), Fail())
        text = written(console)
        assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
        assert sys.stdout is not None
        assert type(sys.stdout).__name__ != "FileProxy"
        console.print("next")
        train(viz.TerminalDashboard(console), epochs=1)  # a second live display would raise


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a pseudo-terminal")
def test_ctrl_c_in_a_real_terminal_leaves_the_cursor(tmp_path):
    import os
    import pty
    import signal

    pytest.importorskip("sklearn")
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    command = [sys.executable, "-m", "tinygrad_cnn", "train", "--epochs", "500", "--out", "run", "--live"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment)
    os.close(slave)
    seen = b""
    while b"epoch 2/500" not in seen:
        seen += os.read(master, 65536)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal
        while chunk := os.read(master, 65536):
            seen += chunk
    assert process.wait(60) == 130
    text = seen.decode()
    assert "first-layer filters" in plain(text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    end = plain(text[text.rindex("\x1b[?25h") :])
    assert "nothing is lost" in end
    assert "Traceback" not in text


# ---- the command line


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def enlarged_filters(log):
    """Rows and columns of the pictures in a file of TensorBoard's."""
    from tensorboardX.proto import event_pb2

    content, sizes = log.read_bytes(), set()
    while content:
        end = 16 + int.from_bytes(content[:8], "little")
        for value in event_pb2.Event.FromString(content[12 : end - 4]).summary.value:
            if value.HasField("image"):
                sizes.add((value.image.height, value.image.width))
        content = content[end:]
    return sizes


def test_the_ways_to_watch_go_with_out_and_with_resume(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    short = ("--epochs", 2, "--batch-size", 512)
    first = call("train", *short, "--out", "run", "--live", "--dashboard", "--tensorboard")
    assert first.exit_code == 0, first.output
    assert re.search(r"^dashboard: http://127\.0\.0\.1:\d+/$", first.stdout, re.M)
    where = re.escape(str(Path("run/tensorboard")))
    assert re.search(rf"^TensorBoard +tensorboard --logdir {where}$", first.stdout, re.M)
    (log,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert enlarged_filters(log) == {(165, 255)}  # 2 rows and 3 columns of 5×5, 15 times as large
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert not {"live", "dashboard", "port", "tensorboard"} & set(config)
    again = call("train", "--resume", "run", "--live", "--dashboard", "--tensorboard")
    assert again.exit_code == 0, again.output
    plainly = call("train", *short, "--out", "plain")
    assert plainly.exit_code == 0
    accuracy = re.compile(r"test accuracy [\d.]+%")
    assert accuracy.findall(plainly.stdout) == accuracy.findall(first.stdout)


@pytest.mark.parametrize("option", [["--open"], ["--port", "0"]])
def test_options_of_the_page_need_the_page(option):
    result = call("train", *option)
    assert result.exit_code == 2
    assert f"{option[0]} belongs to --dashboard" in " ".join(result.stderr.replace("│", " ").split())


def test_a_missing_tensorboardx_is_noticed_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    result = call("train", "--tensorboard", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert 'pip install "tinygrad-cnn[tensorboard]"' in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_networks_with_many_layers_and_several_outputs_are_seen(name):
    model = models.create(name, variant="cifar") if "cifar" in models.variants(name) else models.create(name)
    x = rng.normal(size=(2, 3, 32, 32))  # of another number format than the model
    seen = look.run(model, x)
    assert len(seen.layers) > 10
    assert seen.scores.shape == (2, model.num_classes if hasattr(model, "num_classes") else seen.scores.shape[1])
    assert all(module.training for module in model.modules())
