"""The replay page as a file: what is in it, how large it is, and that no name can break it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import webbrowser
from types import SimpleNamespace

import numpy as np
import pytest
import standin
from typer.testing import CliRunner

import tinygrad_cnn as tcnn
from tinygrad_cnn import functional as F
from tinygrad_cnn import models, nn, random, viz
from tinygrad_cnn.cli.app import app
from tinygrad_cnn.viz import replay
from tinygrad_cnn.viz.numbers import numbers
from tinygrad_cnn.viz.store import Store, Worth

NASTY = "</script><img src=x onerror=alert(1)>\"'&{{data}}\\\n"


def lenet(batch=2):
    model = models.create("lenet5", generator=random.Generator(0))
    images = tcnn.tensor(random.Generator(1).normal((batch, 1, 28, 28)), dtype="float32")
    with viz.record() as tape:
        loss = F.cross_entropy(model(images), tcnn.tensor(list(range(batch))))
        loss.backward()
    return model, tape


def tiny():
    leaves = {name: tcnn.tensor(v, requires_grad=True) for name, v in (("x", -2.0), ("y", 5.0), ("z", -4.0))}
    with viz.record() as tape:
        result = (leaves["x"] + leaves["y"]) * leaves["z"]
        result.backward()
    return viz.graph(result, params=leaves), tape


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def array_of(data, n):
    told = data["numbers"][n]
    return np.frombuffer(base64.b64decode(told["bytes"]), dtype=f"<{told['kind']}")


@pytest.mark.parametrize("batch", [1, 4])
def test_lenet_fits_and_its_last_gradients_are_those_of_backward(batch):
    model, tape = lenet(batch)
    text = tape.to_html()
    assert len(text.encode("utf-8")) < 2_000_000
    data = data_of(text)
    assert data["samples"] == 0
    for name, parameter in model.named_parameters():
        (e,) = [i for i, entry in enumerate(data["entries"]) if entry["name"] == name]
        last = [frame for frame in data["frames"] if frame.get("node") == e][-1]
        assert last["phase"] == "kept"
        assert array_of(data, last["total"]).tobytes() == parameter.grad.tobytes()


def test_frames_are_the_events_in_order():
    _, tape = lenet()
    data = data_of(tape.to_html())
    phases = [frame["phase"] for frame in data["frames"]]
    assert phases == ["start", *(event.phase for event in tape.events)]
    names = [data["entries"][frame["node"]]["name"] for frame in data["frames"][1:]]
    assert names == [tape.graph().name(event.node) for event in tape.events]


def test_contributions_add_up_to_the_gradient():
    x = tcnn.tensor(3.0, requires_grad=True)
    with viz.record() as tape:
        y = x * x + x * 0.5
        y.backward()
    data = data_of(viz.graph(y, params={"x": x}).to_html())
    assert len(data["frames"]) == 1 + len(tape.events)
    e = next(i for i, entry in enumerate(data["entries"]) if entry["name"] == "x")
    pieces = [frame for frame in data["frames"] if frame.get("node") == e and frame["phase"] == "backward"]
    assert sorted(array_of(data, frame["dx"]).item() for frame in pieces) == [0.5, 3.0, 3.0]
    assert array_of(data, pieces[-1]["total"]).item() == 6.5 == x.grad.item()


def test_formulas_of_scalars_have_their_numbers_in():
    entries = {entry["name"]: entry for entry in data_of(tiny()[0].to_html())["entries"]}
    assert entries["mul"]["forward_filled"] == "3 · (−4) = −12"
    assert [filled for *_, filled in entries["mul"]["backward"]] == ["1 · (−4) = −4", "1 · 3 = 3"]
    assert entries["add"]["forward_filled"] == "−2 + 5 = 3"
    assert [filled for *_, filled in entries["add"]["backward"]] == ["−4", "−4"]


def test_the_source_of_backward_and_of_its_kernel_is_there_without_folders():
    data = data_of(lenet()[1].to_html())
    conv = next(entry for entry in data["entries"] if entry.get("title") == "conv2d")
    backward, kernel = data["sources"][conv["source"]]
    assert backward["where"] == "ops/conv.py"
    assert "def backward(self, dy" in backward["code"]
    assert kernel["where"] == "kernels/reference/conv.py"
    assert "def conv_backward(" in kernel["code"]
    assert re.fullmatch(r"test_viz_replay\.py, line \d+", conv["where"])
    assert "F.cross_entropy(model(images)" in conv["code"]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("/home/eve/train.py:12", "train.py, line 12"),
        ("C:\\eve\\train.py:12", "train.py, line 12"),
        ("/tmp/ipykernel_7/99.py:3", "a notebook's cell, line 3"),
        ("/usr/lib/python3/site-packages/typer/main.py:9", ""),
        ("", ""),
    ],
)
def test_places_are_told_without_folders(where, text):
    assert replay.where_text(where) == text


def test_no_name_can_break_the_page():
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        loss = (w * w).sum()
        loss.backward()
    graph = viz.graph(loss, params={NASTY: w})
    assert graph.tape is tape
    text = graph.to_html()
    assert text.count("</script>") == 2  # the data's and the program's
    assert "<img" not in text
    assert "{{" not in text.replace("{{data}}", "")
    assert any("onerror" in entry["name"] for entry in data_of(text)["entries"])


def test_only_the_pages_own_program_may_run_and_nothing_be_loaded():
    text = tiny()[0].to_html()
    program = re.search(r"<script>(.*)</script>", text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', text) == []


def test_levels_and_ids():
    data = data_of(lenet()[1].to_html())
    assert [scene["name"] for scene in data["scenes"]] == ["operations", "layers", "blocks"]
    text = lenet()[1].to_html(level="module", depth=1)
    assert data_of(text)["first"] == 2
    ids = re.findall(r' id="(s\d+-[na]\d+)"', text)
    assert len(ids) == len(set(ids)) == sum(len(s["boxes"]) + len(s["arrows"]) for s in data["scenes"])


def test_modules_of_a_graph_that_is_too_large_can_be_opened():
    model = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.ReLU()) for _ in range(6)])
    with viz.record() as tape:
        model(tcnn.ones(2, 3)).sum().backward()
    data = data_of(tape.to_html(limit=20))
    (blocks,) = [scene for scene in data["scenes"] if scene["name"] == "blocks"]
    opened = [data["scenes"][box["open"]] for box in blocks["boxes"] if box["kind"] == "module"]
    assert [scene["inside"] for scene in opened] == [str(i) for i in range(6)]
    assert {box["title"] for box in opened[3]["boxes"]} >= {"linear", "tanh", "relu", "3.0.weight"}
    assert all(scene["place"].count(None) for scene in opened)  # what is elsewhere lights nothing
    assert None not in blocks["place"]


def test_a_very_long_chain_is_one_page_in_seconds():
    w = y = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        for _ in range(2000):
            y = (y * 1.0001).sin()
        y.sum().backward()
    data = data_of(tape.to_html())
    middle = next(i for i, box in enumerate(data["scenes"][0]["boxes"]) if box["kind"] == "collapsed")
    many = [frame for frame in data["frames"] if frame.get("count", 1) > 1000]
    assert [frame["phase"] for frame in many] == ["forward", "backward"]
    assert {data["scenes"][0]["place"][frame["node"]] for frame in many} == {middle}
    assert array_of(data, data["frames"][-1]["total"]).tobytes() == w.grad.tobytes()


def test_a_very_wide_graph_is_a_small_page():
    leaves = {f"w{i}": tcnn.tensor([float(i)], requires_grad=True) for i in range(2500)}
    with viz.record(leaves) as tape:
        sum((w * w for w in leaves.values()), tcnn.tensor([0.0])).sum().backward()
    text = tape.to_html()
    assert len(text.encode("utf-8")) < 2_000_000
    data = data_of(text)
    assert sum(frame.get("count", 0) for frame in data["frames"]) == len(tape.events)
    named = {entry["name"]: i for i, entry in enumerate(data["entries"])}
    for name in [box.title for box in tape.graph().boxes if box.kind == "parameter"]:
        assert array_of(data, final_gradient(data, named[name])).tolist() == leaves[name].grad.tolist()


def test_frames_that_stand_for_many_events_have_all_their_gradients(monkeypatch):
    monkeypatch.setattr(replay, "FRAMES", 30)
    model, tape = lenet()
    data = data_of(tape.to_html(level="module", depth=1))
    assert len(data["frames"]) < 30
    for name, parameter in model.named_parameters():
        (e,) = [i for i, entry in enumerate(data["entries"]) if entry["name"] == name]
        assert array_of(data, final_gradient(data, e)).tobytes() == parameter.grad.tobytes()


def final_gradient(data, e):
    """What the page shows at the end: of the last frame that knows a gradient."""
    totals = [
        dict([(frame["node"], frame["total"]), *frame.get("also", [])]) for frame in data["frames"] if "total" in frame
    ]
    return [known[e] for known in totals if e in known][-1]


def test_a_hook_has_a_frame_of_its_own():
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    w.register_hook(lambda dy: dy * 10)
    with viz.record() as tape:
        (w * 3).sum().backward()
    data = data_of(tape.to_html())
    assert [frame["phase"] for frame in data["frames"]][-3:] == ["backward", "hooked", "kept"]
    assert [array_of(data, frame["total"]).tolist() for frame in data["frames"][-3:]] == [[3, 3], [30, 30], [30, 30]]


def test_half_a_character_in_a_name_does_not_break_the_page():
    class Odd(tcnn.Function):
        name = "odd\udc80"

        def forward(self, x):
            return x * 1

        def backward(self, dy):
            return dy

    with viz.record() as tape:
        tcnn.apply(Odd(), tcnn.tensor([1.0], requires_grad=True)).sum().backward()
    assert "odd?" in tape.to_html()


def test_without_a_recording_there_is_nothing_to_play_but_gradients_are_shown():
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    before = data_of(viz.graph(loss, params={"w": w}).to_html())
    loss.backward()
    after = data_of(viz.graph(loss, params={"w": w}).to_html())
    assert before["frames"] == after["frames"] == [{"phase": "start"}]
    assert before["entries"][0]["grad"] is None
    assert array_of(after, after["entries"][0]["grad"]).tolist() == [2.0, 4.0]


def test_forward_alone():
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        (w * w).sum()
    data = data_of(tape.to_html())
    assert [frame["phase"] for frame in data["frames"]] == ["start", "forward", "forward"]
    assert data["backward"] is False


def test_only_the_last_pass_is_shown():
    w = tcnn.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as tape:
        for _ in range(2):
            (w * w).sum().backward()
    data = data_of(tape.to_html())
    assert [frame["phase"] for frame in data["frames"]] == ["start", *["forward"] * 2, *["backward"] * 4, "kept"]
    assert array_of(data, data["frames"][-1]["total"]).tolist() == [4.0, 8.0] == w.grad.tolist()
    assert array_of(data, data["frames"][-2]["total"]).tolist() == [2.0, 4.0]


def test_making_a_page_changes_nothing():
    model, tape = lenet()

    def state():
        return [p.data.tobytes() + p.grad.tobytes() for p in model.parameters()], repr(random.default_generator())

    before = state()
    first, second = tape.to_html(), tape.to_html()
    assert first == second
    assert state() == before


def test_writes_the_page_where_it_is_asked_to(tmp_path):
    graph, _ = tiny()
    text = graph.to_html(tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == text
    assert graph.save(tmp_path / "other.html") == tmp_path / "other.html"
    assert repr(text).startswith("<a page of ")  # an interactive session does not print all of it
    with pytest.raises(ValueError, match=r"'page\.pdf' is to be a page: the name must end in \.html"):
        graph.to_html(tmp_path / "page.pdf")


def test_a_notebook_shows_it_in_a_frame_of_its_own():
    _, tape = lenet(1)
    shown = tape._repr_html_()
    assert shown.startswith('<iframe title="')
    assert 'sandbox="allow-scripts"' in shown
    assert shown.count("<") == 2  # the page is inside an attribute
    assert viz.record()._repr_html_() is None


def test_without_graphviz_there_is_one_helpful_line(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(viz.render, "renderers", list)
    graph, tape = tiny()
    with pytest.raises(viz.RenderError, match="pip install pygraphviz"):
        graph.to_html()
    assert tape._repr_html_() is None
    assert graph.save(tmp_path / "x.html").suffix == ".dot"
    assert "pip install pygraphviz" in caplog.text


def test_names_with_an_attribute_in_them_stay_text_in_the_drawing():
    w = tcnn.tensor([1.0], requires_grad=True)
    text = viz.graph(w * w, params={'" id="n0" onclick="x': w}).to_html()
    assert 'onclick="x' not in re.sub(r"<script.*?</script>", "", text, flags=re.S)


class TestStore:
    def test_equal_arrays_are_kept_once(self):
        store = Store()
        a, b = store.add(numbers([1.0, 2.0]), Worth.VALUE), store.add(numbers([1.0, 2.0]), Worth.RESULT)
        assert a == b
        assert store.add(numbers([[1.0, 2.0]]), Worth.VALUE) != a  # another shape
        assert store.add(None, Worth.VALUE) is None

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "bool", "uint8"])
    def test_numbers_come_back_as_they_were(self, dtype):
        array = np.array([0, 1, 3, 100]).astype(dtype)
        store = Store()
        store.add(numbers(array), Worth.GIVEN)
        store.fit(10**6)
        (told,) = store.packed()
        assert told["dtype"] == dtype
        assert array_of({"numbers": [told]}, 0).astype(dtype).tolist() == array.tolist()

    def test_bits_stay(self):
        array = np.array([0.1, -0.0, np.nan, np.inf, 1e-45], dtype="float32")
        store = Store()
        store.add(numbers(array), Worth.RESULT)
        (told,) = store.packed()
        assert array_of({"numbers": [told]}, 0).tobytes() == array.tobytes()
        assert (told["bad"], told["limit"]) == (2, pytest.approx(0.1))

    def test_what_is_worth_least_is_cut_first_and_counted(self):
        store, rng = Store(), np.random.default_rng(0)
        for worth in (Worth.RESULT, Worth.VALUE, Worth.GRADIENT, Worth.GIVEN):
            store.add(numbers(rng.normal(size=3000)), worth)
        assert store.fit(10**6) == 0
        assert store.fit(110_000) == 1
        assert [array.size for array in store.arrays] == [3000, 1024, 3000, 3000]
        assert store.fit(50_000) == 3
        assert [array.size for array in store.arrays] == [3000, 64, 64, 1024]
        assert sum(len(told["bytes"]) for told in store.packed()) <= 50_000

    def test_a_sample_is_no_whole_array(self):
        store = Store()
        store.add(numbers(np.ones(70_000)), Worth.RESULT)
        assert store.fit(10**6) == 1
        assert store.packed()[0]["size"] == 70_000


def test_a_page_stays_small_whatever_the_network(monkeypatch):
    monkeypatch.setattr(replay, "BYTES", 900_000)
    _, tape = lenet(4)
    text = tape.to_html()
    data = data_of(text)
    assert len(text.encode("utf-8")) < 900_000
    assert data["samples"] > 0
    whole = [n["size"] * int(n["kind"][1]) == len(base64.b64decode(n["bytes"])) for n in data["numbers"]]
    assert all(whole[frame["total"]] for frame in data["frames"] if frame["phase"] == "kept")


def test_operations_of_ones_own_without_source():
    space = SimpleNamespace(Function=tcnn.Function)
    exec(
        "class Twice(Function):\n def forward(self, x): return 2 * x\n def backward(self, dy): return 2 * dy",
        vars(space),
    )
    x = tcnn.tensor([1.0, 3.0], requires_grad=True)
    with viz.record() as tape:
        tcnn.apply(space.Twice(), x).sum().backward()
    data = data_of(tape.to_html())
    (twice,) = [entry for entry in data["entries"] if entry.get("title") == "twice"]
    assert data["sources"][twice["source"]] == []


def test_a_recording_of_another_device():
    with standin.registered():
        w = tcnn.tensor([[1.0, 2.0], [3.0, 4.0]], device="standin", requires_grad=True)
        with viz.record() as tape:
            (w @ w).relu().sum().backward()
        data = data_of(tape.to_html())
        assert array_of(data, data["frames"][-1]["total"]).tolist() == w.grad.get().ravel().tolist()


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs the program in an empty folder; what it would open in a browser is in `call.opened`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments))

    run.opened = []
    monkeypatch.setattr(webbrowser, "open", run.opened.append)
    return run


def test_the_program_replays_a_step_on_real_digits(call, tmp_path):
    pytest.importorskip("sklearn")
    result = call("graph", "lenet5", "--replay", "out/page.html", "--open", "--batch-size", "2")
    assert result.exit_code == 0, result.output
    assert "2 digits, 48 events: " in result.stdout
    assert call.opened == [(tmp_path / "out" / "page.html").as_uri()]
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]  # no drawing that nobody asked for
    data = data_of((tmp_path / "out" / "page.html").read_text(encoding="utf-8"))
    target = next(entry for entry in data["entries"] if entry["name"] == "target")
    expected = [int(tcnn.data.load("digits").test[i][1]) for i in range(2)]
    assert array_of(data, target["value"]).tolist() == expected
    assert {entry.get("where", "") for entry in data["entries"]} == {""}  # no line of anybody's program


@pytest.mark.parametrize("arguments", [["lenet5"], ["lenet5", "--input-shape", "3x32x32", "--out", "x.dot"]])
def test_the_program_replays_random_images_where_there_are_no_digits(call, tmp_path, monkeypatch, arguments):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = call("graph", *arguments, "--replay", "page.html", "--level", "module")
    assert result.exit_code == 0, result.output
    assert "1 random image, 48 events: page.html" in result.stdout
    assert (tmp_path / "x.dot").exists() == ("x.dot" in arguments)
    assert call.opened == []


def test_the_program_opens_a_drawing_too(call, tmp_path):
    assert call("graph", "lenet5", "--out", "x.svg", "--open").exit_code == 0
    assert call.opened == [(tmp_path / "x.svg").as_uri()]


def test_a_page_must_be_called_html(call, tmp_path):
    result = call("graph", "lenet5", "--replay", "page.htm")
    assert result.exit_code == 2
    assert "must end in .html" in " ".join(result.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_the_program_says_how_to_get_graphviz(call, monkeypatch):
    monkeypatch.setattr(viz.render, "renderers", list)
    result = call("graph", "lenet5", "--replay", "page.html")
    assert result.exit_code == 1
    assert "pip install pygraphviz" in result.stderr
