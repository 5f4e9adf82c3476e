"""The stopwatch on sides that are made up, and every topic once on this package itself. No time is asserted."""

import doctest
import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, optim, training

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import (
        __main__,
        bench_layers,
        cifar10,
        figures,
        goals,
        harness,
        machine,
        memory,
        networks,
        report,
        topics,
    )
    from benchmarks.harness import Plan
    from benchmarks.sides import AVX512_FLAGS, SIDES, Side, of_no_use, products
    from benchmarks.sides.task import CannotRun, Task
    from benchmarks.tables import number, table
    from benchmarks.worker import Worker
finally:
    sys.path.remove(str(ROOT))

TINY = Plan(rounds=1, peer_rounds=1, blocks=1, calls=1, seconds=0, warm=0)
A, B = SIDES["ours"], SIDES["pytorch"]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(harness, "PAUSE", 0)
    monkeypatch.setattr(machine, "stolen", lambda: 0.0)


class Sham:
    """A side that takes the times it is told, one process after the other."""

    def __init__(self, log, seconds, problems=()):
        self.log, self.seconds, self.problems = log, seconds, dict(problems)
        self.started = {}

    def __call__(self, side, patience=0.0):
        number = self.started[side.name] = self.started.get(side.name, 0) + 1
        self.log.append(f"{side.name} starts")
        return ShamStation(self, side.name, self.seconds.get(side.name, [1.0]), number)


class ShamStation:
    def __init__(self, sham, name, seconds, number):
        self.sham, self.name, self.seconds = sham, name, seconds[(number - 1) % len(seconds)]

    def ask(self, message):
        do = message["do"]
        self.sham.log.append(f"{self.name} {do}")
        problem = self.sham.problems.get((self.name, do))
        if problem:
            return problem
        if do == "describe":
            return {"versions": {self.name: "1.0"}, "threads": 2, "core": "SkylakeX" if self.name == "ours" else ""}
        times = {"step": [self.seconds, self.seconds, 100 * self.seconds]}  # one call met something
        return {"prepare": {}, "block": {"times": times}, "memory": {"times": {"peak": [self.seconds]}}}[do]

    def close(self):
        self.sham.log.append(f"{self.name} ends")


def cases(*names):
    return [[{"name": name, "kind": "training", "network": name, "batch": 64} for name in names]]


# the stopwatch


def test_sides_take_turns_each_in_processes_of_its_own():
    log = []
    harness.measure(cases("x"), [A, B], Plan(rounds=2, blocks=3), Sham(log, {}))
    turn = ["ours block", "pytorch block"] * 3
    start = ["ours starts", "ours prepare", "pytorch starts", "pytorch prepare"]
    assert log == [*start, *turn, "ours ends", "pytorch ends"] * 2


def test_all_cases_of_a_group_are_one_process_and_groups_are_not():
    log = []
    harness.measure([*cases("x", "y"), *cases("z")], [A], Plan(rounds=1, blocks=1), Sham(log, {}))
    one = ["ours prepare", "ours block"]
    assert log == ["ours starts", *one, *one, "ours ends", "ours starts", *one, "ours ends"]


def test_ours_is_the_median_process_and_others_are_their_best():
    times = {"ours": [1.0, 2.0, 9.0], "pytorch": [8.0, 5.0, 4.0]}
    (case,) = harness.measure(cases("x"), [A, B], Plan(rounds=3, blocks=2, slow=10), Sham([], times))
    assert case["results"]["ours"]["parts"]["step"] == {
        "median": 2.0,
        "best": 1.0,
        "processes": [1.0, 2.0, 9.0],
        "calls": 18,
    }
    assert figures.times_faster(case, "ours", "pytorch", "step") == 2.0  # 4 ÷ 2: twice as fast
    assert figures.times_larger(case, "ours", "pytorch", "step") == 0.4  # 2 ÷ 5


def test_parts_are_added_call_by_call():
    found = harness.summary([{"forward": [1.0, 2.0, 3.0], "backward": [5.0, 1.0, 5.0]}])
    assert [found[part]["median"] for part in ("forward", "backward", "all")] == [2.0, 5.0, 6.0]


def test_a_slow_side_has_one_turn_in_each_process():
    log = []
    harness.measure(cases("x"), [A, B], Plan(rounds=2, blocks=3, slow=2), Sham(log, {"ours": [1.0], "pytorch": [3.0]}))
    assert log.count("ours block") == 6
    assert log.count("pytorch block") == 2


class Host:
    """Keeps the machine for itself, in seconds, in one turn after the other, each of which takes a second."""

    def __init__(self, monkeypatch, *seconds):
        self.clock, self.stolen, self.seconds = 0.0, 0.0, list(seconds)
        monkeypatch.setattr(harness.time, "perf_counter", lambda: self.clock)
        monkeypatch.setattr(machine, "stolen", lambda: self.stolen)

    def __call__(self, side, patience=0.0):
        return self

    def ask(self, message):
        if message["do"] != "block":
            return {}
        self.clock += 1.0
        self.stolen += self.seconds.pop(0)
        return {"times": {"step": [self.clock]}}

    def close(self):
        pass


@pytest.mark.parametrize(
    ("seconds", "step", "disturbed"),
    [
        ([0.0], 1.0, 0),
        ([0.3, 0.01], 2.0, 0),  # once more was enough
        ([0.3, 0.2, 0.4], 2.0, 1),  # the best of three tries, still a bad one
    ],
)
def test_a_turn_that_the_host_disturbed_is_repeated(monkeypatch, seconds, step, disturbed):
    result, plan = sham_result(), Plan(rounds=1, blocks=1, tries=3, slow=10)
    host = Host(monkeypatch, *seconds)
    (case,) = harness.measure(cases("x"), [A], plan, host)
    found = case["results"]["ours"]
    assert found["parts"]["step"]["processes"] == [step]
    assert not host.seconds
    told = report.turns(result | {"cases": [case], "plan": vars(plan)})
    assert f"of 1 turns {disturbed} stayed disturbed after 3 tries" in told


def test_a_slow_turn_is_not_repeated(monkeypatch):
    host = Host(monkeypatch, 0.3, 0.0)
    (case,) = harness.measure(cases("x"), [A], Plan(rounds=1, blocks=1, tries=3, slow=0.5), host)
    assert case["results"]["ours"]["stolen"] == [0.3]
    assert len(host.seconds) == 1


def test_peers_start_fewer_processes_and_sides_may_be_left_out():
    sham = Sham([], {})
    groups = cases("x")
    groups[0][0]["left_out"] = {"autograd": "for the full run"}
    plan = Plan(rounds=3, peer_rounds=1, blocks=1)
    (case,) = harness.measure(groups, [A, SIDES["mygrad"], SIDES["autograd"]], plan, sham)
    assert sham.started == {"ours": 3, "mygrad": 1}
    assert case["results"]["autograd"] == {"left_out": "for the full run"}


@pytest.mark.parametrize("moment", ["prepare", "block"])
@pytest.mark.parametrize("kind", ["failed", "cannot"])
def test_a_side_that_cannot_is_reported_and_asked_no_more(moment, kind):
    log = []
    sham = Sham(log, {}, {("pytorch", moment): {kind: "no such layer"}})
    (case,) = harness.measure(cases("x"), [A, B], Plan(rounds=2, blocks=1), sham)
    assert case["results"]["pytorch"] == {kind: "no such layer"}
    assert case["results"]["ours"]["parts"]["step"]["calls"] == 6
    assert log.count("pytorch starts") == log.count("pytorch ends") == 1
    assert figures.times_faster(case, "ours", "pytorch", "step") is None


def test_after_a_failure_the_next_case_has_a_new_process():
    class Once(Sham):
        def __call__(self, side, patience=0.0):
            station = super().__call__(side, patience)
            self.problems = {("ours", "prepare"): {"failed": "out of memory"}} if self.started[side.name] == 1 else {}
            return station

    first, second = harness.measure(cases("x", "y"), [A], Plan(rounds=1, blocks=1), Once([], {}))
    assert first["results"]["ours"] == {"failed": "out of memory"}
    assert second["results"]["ours"]["parts"]["step"]["median"] == 1.0


def test_memory_is_measured_in_a_fresh_process_for_each_case():
    log = []
    found = harness.measure_memory(
        cases("x", "y"), [A, B], Plan(rounds=2), Sham(log, {"ours": [3.0], "pytorch": [6.0]})
    )
    assert log == ["ours starts", "ours memory", "ours ends", "pytorch starts", "pytorch memory", "pytorch ends"] * 4
    assert [figures.times_larger(case, "ours", "pytorch", "peak") for case in found] == [0.5, 0.5]


# real processes


def test_a_process_answers_what_a_framework_prints_notwithstanding(monkeypatch):
    environment = {}
    begin = harness.subprocess.Popen
    monkeypatch.setattr(harness.subprocess, "Popen", lambda *a, **k: environment.update(k["env"]) or begin(*a, **k))
    for name in harness.SETTINGS:
        monkeypatch.setenv(name, "1")
    station = harness.Process(SIDES["ours-avx2"])
    assert {name: environment[name] for name in harness.SETTINGS if name in environment} == {
        "OPENBLAS_CORETYPE": "Haswell"
    }
    try:
        said = station.ask({"do": "describe"})
        assert said["versions"]["tinygrad_cnn"] == tcnn.__version__
        assert said["threads"] >= 1
        assert station.ask({"do": "block", "calls": 1, "seconds": 0, "longest": 1}) == {
            "failed": "AssertionError: prepare comes first"
        }
        station.process.kill()
        assert station.ask({"do": "describe"})["failed"].startswith("its process ended (-9)")
        assert station.ask({"do": "describe"})["failed"].startswith("its process ended (-9)")
    finally:
        station.close()


def test_a_side_that_is_not_installed_or_hangs_says_so():
    station = harness.Process(Side("x", "X", "no_such_side"))
    assert station.ask({"do": "describe"}) == {
        "failed": "ModuleNotFoundError: No module named 'benchmarks.sides.no_such_side'"
    }
    station.close()
    station = harness.Process(A, patience=0.001)  # less than Python takes to begin
    assert station.ask({"do": "describe"}) == {"failed": "no answer within 0.001 s"}
    station.close()


def test_the_worker_divides_by_the_operations_of_a_call_and_clears_up_before_it(monkeypatch):
    calls = []
    worker = Worker("ours")
    monkeypatch.setattr(
        worker.side, "task", lambda case: Task({"f": lambda: calls.append("f")}, lambda: calls.append("before"), per=10)
    )
    clock = iter(range(100))
    monkeypatch.setattr("benchmarks.worker.time.perf_counter", lambda: next(clock))
    assert worker.answer({"do": "prepare", "case": {}, "seconds": 0}) == {}
    assert calls == ["before", "f"] * 2
    block = {"do": "block", "calls": 3, "seconds": 0}
    assert worker.answer(block | {"longest": 100}) == {"times": {"f": [0.1, 0.1, 0.1]}}
    assert calls == ["before", "f"] * 6  # one call is not counted
    assert worker.answer(block | {"longest": 1}) == {"times": {"f": [0.1]}}  # a call takes long enough


def test_the_worker_tells_what_cannot_run_from_what_fails(monkeypatch):
    worker = Worker("ours")

    def raising(error):
        def task(case):
            raise error

        return task

    monkeypatch.setattr(worker.side, "task", raising(CannotRun("no groups")))
    assert worker.answer({"do": "prepare", "case": {}, "seconds": 0}) == {"cannot": "no groups"}
    monkeypatch.setattr(worker.side, "task", raising(RecursionError("too\ndeep")))
    assert worker.answer({"do": "memory", "case": {}, "calls": 1}) == {"failed": "RecursionError: too"}


# the products alone


def test_products_are_shared_between_threads_and_none_is_lost():
    draw = np.random.default_rng(0)
    pairs = [
        (draw.normal(size=(4, 1, 2, 3)), draw.normal(size=(6, 3, 5))),  # six matrices, each for four others
        (draw.normal(size=(2, 3)), draw.normal(size=(7, 3, 5))),  # an odd number of matrices
        (draw.normal(size=(2, 3)), draw.normal(size=(3, 5))),
        (draw.normal(size=(8, 3)), draw.normal(size=(3, 5))),
    ]
    wanted = [left @ right for left, right in pairs]
    with products.noted() as found:
        for left, right in pairs:
            np.matmul(left, right, out=np.empty_like(left @ right))
    assert len(found) == 4
    for _, _, out in found:
        out.fill(np.nan)
    shared = products.shared(found, 2)
    assert [len(each) for each in shared] == [3, 3]
    products.compute(shared)
    for (_, _, out), right in zip(found, wanted):
        np.testing.assert_array_equal(out, right)


def test_the_products_of_a_layer_are_measured_without_what_is_around_them():
    (layer,) = [case for case in bench_layers.of_network("LeNet-5 modern") if case["layer"] == "features.conv2"]
    task = products.task(layer | {"batch": 32, "threads": 2})
    assert list(task.parts) == ["forward", "backward"]
    forward, backward = (sum(map(len, part.args[0])) for part in task.parts.values())
    assert forward >= 1
    assert backward >= 2  # filters and pixels


# memory and machine


def test_the_peak_is_found_though_it_is_over():
    watch = memory.Peak()
    block = np.ones(64 * 2**20, np.uint8)
    del block
    assert 60 * 2**20 < watch.rise() < 200 * 2**20 or watch.how == "ru_maxrss"


def test_without_the_kernels_peak_the_rise_is_a_lower_bound(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "PROCESS", tmp_path / "none")
    watch = memory.Peak()
    assert watch.how == "ru_maxrss"
    assert watch.rise() >= 0


def test_the_machine_in_a_line():
    text = machine.line(machine.describe())
    assert "core" in text
    assert "Python 3." in text
    others = machine.Others().cores()
    assert others is None or others >= 0


def test_a_machine_without_a_host_has_nothing_stolen(monkeypatch, tmp_path):
    monkeypatch.undo()
    assert machine.stolen() >= 0
    monkeypatch.setattr(machine, "Path", lambda name: tmp_path / "none")
    assert machine.stolen() == 0


@pytest.mark.parametrize(
    ("side", "core", "flags", "use"),
    [
        ("ours", "Haswell", set(), True),
        ("ours-avx512", "Haswell", AVX512_FLAGS, True),
        ("ours-avx512", "Haswell", {"avx2"}, False),
        ("ours-avx512", "SkylakeX", AVX512_FLAGS, False),
        ("ours-avx2", "SkylakeX", AVX512_FLAGS, True),
        ("ours-avx2", "Zen", AVX512_FLAGS, False),
    ],
)
def test_which_kernels_are_worth_a_side(side, core, flags, use):
    assert (of_no_use(SIDES[side], core, flags) is None) == use


# networks


@pytest.mark.parametrize("name", networks.MODELS)
def test_the_lists_of_layers_are_the_models(name):
    network = json.loads(json.dumps(networks.network(name)))  # as a worker gets it
    kind, options = network["model"]
    with nn.init.skipped():
        model = models.create(kind, **options)
        built = nn.Sequential(*(getattr(nn, op)(**arguments) for _, op, arguments in network["layers"]))
    assert [p.shape for p in built.parameters()] == [p.shape for p in model.parameters()]
    flat = [str(layer) for part in (model.features, model.classifier) for layer in part]
    assert [str(layer) for layer in built if not isinstance(layer, nn.Flatten)] == flat
    assert networks.shapes(network["layers"], network["input"])[-1] == (network["classes"],)


def test_layers_that_are_the_same_are_measured_once():
    found = bench_layers.of_network("AlexNet cifar")
    seen = [json.dumps([case["layers"][-1][1:], case["shape"]]) for case in found]
    assert len(seen) == len(set(seen))
    assert {case["op"] for case in found} >= {"Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm", "Linear"}
    assert [case["wants_dx"] for case in found] == [False] + [True] * (len(found) - 1)
    assert sum(case["op"] == "Conv2d" for case in found) == 5


def test_pytorch_builds_the_same_networks_and_learns_the_same(torch):
    from benchmarks.sides import ours, pytorch

    case = {"batch": 4, **networks.network("LeNet-5 modern")}
    theirs, mine = (side.task.__self__.network(case) for side in (pytorch, ours))
    mine.load_state_dict(dict(zip(mine.state_dict(), (v.numpy() for v in theirs.state_dict().values()))))
    x = np.random.default_rng(0).normal(size=(4, 1, 28, 28)).astype("f4")
    np.testing.assert_allclose(mine(tcnn.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-5)
    for one in bench_layers.others():
        (layer,), (other,) = (side.task.__self__.layers(one) for side in (ours, pytorch))
        assert [tuple(p.shape) for p in layer.parameters()] == [tuple(p.shape) for p in other.parameters()]


# every topic, on this package, in this process


class Here:
    """A side's station without a process."""

    def __init__(self, side, patience):
        self.worker = Worker(side.module)

    def ask(self, message):
        return self.worker.answer(json.loads(json.dumps(message)))

    def close(self):
        pass


@pytest.mark.parametrize(
    ("topic", "only", "parts"),
    [
        ("training", "LeNet-5 modern", {"step"}),
        ("layers", "LeNet-5 modern", {"forward", "backward", "all"}),
        ("layers", "other layers", {"forward", "backward", "all"}),
        ("memory", "LeNet-5 modern", {"peak"}),
        ("scaling", "depth", {"step"}),
        ("overhead", "", {"add", "build", "backward", "all"}),
    ],
)
def test_a_topic_measures_this_package(topic, only, parts):
    tiny = replace(report.TOPICS[topic], quick=TINY)
    result = topics.run(tiny, quick=True, only=only, sides=["ours"], start=Here)
    assert result["cases"]
    found = set()
    for case in result["cases"]:
        assert set(case["results"]["ours"]) - {"stolen"} == {"parts"}, case["results"]["ours"]
        for part, figure in case["results"]["ours"]["parts"].items():
            assert figure["median"] >= 0 if part == "peak" else figure["median"] > 0
            found.add(part)
    assert found == parts
    text = report.section(tiny, json.loads(json.dumps(result)))
    for case in result["cases"]:
        assert next(iter(tiny.labels(case).values())) in text


def test_no_such_case():
    with pytest.raises(ValueError, match=r"training: no case has 'VGG' in its name; there are LeNet-5 modern"):
        topics.run(report.TOPICS["training"], quick=True, only="VGG", start=Sham([], {}))


# reports


def sham_result(name="training", seconds=None, problems=(), **plan):
    """The figures of a topic, with made-up times: ours 2 ms, PyTorch 3 or 4 ms, all others 20 ms."""
    seconds = {"ours": [0.002], "ours-avx2": [0.003], "pytorch": [0.004, 0.003]} | (seconds or {})
    others = {side: [0.02] for side in SIDES if side not in seconds}
    topic = replace(report.TOPICS[name], plan=Plan(rounds=2, blocks=1, **plan))
    return topics.run(topic, start=Sham([], seconds | others, problems))


def lines_of(markdown):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]


def test_markdown_says_what_json_says(tmp_path):
    result = sham_result()
    topics.save(result, tmp_path / "training.json")
    again = topics.load(tmp_path / "training.json")
    assert again == result
    text = report.section(report.TOPICS["training"], again)
    heads, _, *lines = lines_of(text)
    column = {head: place for place, head in enumerate(heads)}
    assert len(lines) == len(result["cases"])
    for cells, case in zip(lines, result["cases"]):
        ours, other = (case["results"][side]["parts"]["step"] for side in ("ours", "pytorch"))
        assert cells[0] == case["network"]
        assert cells[column["tinygrad_cnn, ms"]] == number(1e3 * ours["median"]) == "2.00"
        assert cells[column["PyTorch, ms: best (median)"]] == "3.00 (3.50)"
        assert cells[column["PyTorch ÷ ours"]] == number(other["best"] / ours["median"]) == "1.50"
        assert cells[column["MyGrad ÷ ours"]] == "10.0"
    assert "- tinygrad_cnn, SkylakeX kernels: left out; OpenBLAS takes its SkylakeX kernels by default" in text
    assert f"Measured {result['date'][:10]}" in text
    assert machine.line(result["machine"]) in text


def test_where_openblas_picks_avx2_the_best_core_type_counts(monkeypatch):
    monkeypatch.setattr(machine, "cpu", lambda: ("a processor", AVX512_FLAGS))
    picked = {("ours", "describe"): {"versions": {}, "core": "Haswell"}}
    result = sham_result(seconds={"ours-avx512": [0.001]}, problems=picked)
    assert figures.fastest_ours(result) == "ours-avx512"
    assert figures.ours_with_avx2(result) == "ours"
    assert "missing" in result["sides"]["ours-avx2"]
    text = report.section(report.TOPICS["training"], result)
    assert "*Ours* in the ratios: tinygrad_cnn, SkylakeX kernels." in text
    heads, _, first, *_ = lines_of(text)
    assert first[heads.index("PyTorch ÷ ours")] == "3.00"
    assert dict(verdicts({"training": result}))["LeNet-5, training step, with OpenBLAS's AVX2 kernels"] == 1.5


def test_missing_and_failing_sides_are_in_the_tables():
    problems = {
        ("mygrad", "describe"): {"failed": "ModuleNotFoundError: No module named 'mygrad'"},
        ("autograd", "prepare"): {"cannot": "it has no layers"},
        ("tinygrad-jit", "block"): {"failed": "its process ended (-11): it said nothing"},
    }
    text = report.section(report.TOPICS["training"], sham_result(problems=problems))
    assert "- MyGrad: left out; ModuleNotFoundError: No module named 'mygrad'" in text
    assert "- autograd cannot: it has no layers (LeNet-5 modern, training, B=64; " in text
    assert "- tinygrad, TinyJit failed: its process ended (-11): it said nothing (LeNet-5 modern" in text
    assert "- tinygrad was not asked: slower than with TinyJit (AlexNet cifar, training, B=64; " in text
    heads, _, first, *_ = lines_of(text)
    assert first[heads.index("autograd, ms")] == first[heads.index("tinygrad, TinyJit ÷ ours")] == "–"
    assert not [head for head in heads if "MyGrad" in head]


def verdicts(results):
    return [(goal.text, found and found[0]) for goal, found in goals.judged(results)]


def test_goals_are_computed():
    found = dict(verdicts({"training": sham_result()}))
    assert found["LeNet-5 modern, training step, B = 64"] == pytest.approx(1.5)
    assert found["AlexNet paper, training step, B = 16"] == pytest.approx(1.5)
    assert found["LeNet-5, training step, with OpenBLAS's AVX2 kernels"] == pytest.approx(1.0)
    assert found["MyGrad and tinygrad, every figure"] == pytest.approx(10)
    assert found["every convolution and pooling layer of them"] is None
    lines = {cells[0]: cells for cells in lines_of(goals.table({"training": sham_result()}))}
    assert lines["LeNet-5 modern, training step, B = 64"][1:4] == ["≥ 1.1× (the aim: 1.3×)", "1.50×", "yes"]
    assert lines["memory of a training step, ours ÷ PyTorch's"][2] == "not measured"
    slow = {cells[0]: cells for cells in lines_of(goals.table({"training": sham_result(seconds={"ours": [0.003]})}))}
    assert slow["LeNet-5 modern, training step, B = 64"][2:4] == ["1.00×", "**no**"]
    assert slow["inference, every network"][2:4] == ["1.00×", "yes"]


def test_goals_where_less_is_better():
    result = sham_result("memory", {"ours": [5.0], "pytorch": [4.0]})
    text = "memory of a training step, ours ÷ PyTorch's"
    assert dict(verdicts({"memory": result}))[text] == 1.25
    for ours, verdict in ((5.0, "yes"), (6.0, "**no**")):
        result = sham_result("memory", {"ours": [ours], "pytorch": [4.0]})
        lines = {cells[0]: cells for cells in lines_of(goals.table({"memory": result}))}
        assert lines[text][3] == verdict


def test_the_worst_layer_decides():
    def case(name, op, ours, other, of_network=True):
        parts = {side: {"parts": {"all": {"median": t, "best": t}}} for side, t in (("ours", ours), ("pytorch", other))}
        return {"name": name, "op": op, "of_network": of_network, "results": parts}

    found = [case("conv", "Conv2d", 1, 2), case("pool", "MaxPool2d", 4, 3), case("relu", "ReLU", 9, 1)]
    result = {"sides": {"ours": {}, "pytorch": {}}, "cases": [*found, case("depthwise", "Conv2d", 9, 1, False)]}
    assert goals.layer(result) == (0.75, "pool")


def test_if_ours_fails_no_goal_is_reached():
    result = sham_result(problems={("ours", "block"): {"failed": "ValueError: no"}})
    found = dict(goals.judged({"training": result}))
    assert {found[goal] for goal in goals.GOALS if goal.text.startswith("inference")} == {
        (0.0, "AlexNet cifar, inference, B=64: ours failed")
    }


def test_a_disturbed_machine_is_told():
    result = sham_result() | {"others": 0.9}
    assert "Other programs took 0.9 cores' worth of time meanwhile, so the figures are rough." in report.section(
        report.TOPICS["training"], result
    )
    assert "- training: other programs took 0.9 cores' worth of time" in goals.table({"training": result})
    assert "Rough" not in goals.table({"training": result | {"others": 0.0}})
    assert "- training: a quick look" in goals.table({"training": result | {"others": None, "quick": True}})


def test_tables():
    assert table(["a", "b"], [["x", "1"]]).splitlines() == ["| a | b |", "|---|---:|", "| x | 1 |"]


def test_results_are_generated_never_typed():
    """RESULTS.md is what `python -m benchmarks --report` makes of the figures beside it."""
    if not report.PAGE.exists():
        pytest.skip("nothing is measured yet")
    made = report.page(report.load(), topics.load(topics.path("cifar10")))
    assert report.PAGE.read_text(encoding="utf-8") == made


def test_a_page_of_nothing():
    text = report.page({}, None)
    assert text.count("Not measured yet") == len(report.TOPICS) + 1
    assert text.count("| not measured |") == len(goals.GOALS)


# the command line


@pytest.fixture
def kept(monkeypatch, tmp_path):
    monkeypatch.setattr(topics, "RESULTS", tmp_path / "results")
    written = []
    monkeypatch.setattr(report, "write", lambda: written.append("RESULTS.md"))
    monkeypatch.setattr(topics, "path", lambda name: tmp_path / "results" / f"{name}.json")
    real = topics.run

    def run(topic, quick, only, sides, known):
        return real(replace(topic, plan=TINY, quick=TINY), quick, only, sides, Sham([], {}), known)

    monkeypatch.setattr(topics, "run", run)
    return tmp_path / "results", written


def test_a_full_run_is_kept_topic_by_topic(kept, capsys):
    folder, written = kept
    __main__.main(["memory", "scaling"])
    assert sorted(file.name for file in folder.iterdir()) == ["memory.json", "scaling.json"]
    assert written == ["RESULTS.md"] * 2
    assert "## Memory of a training step" in capsys.readouterr().out


@pytest.mark.parametrize("look", [["--quick"], ["--only", "modern"], ["--sides", "ours,pytorch"]])
def test_a_look_is_not_kept(kept, tmp_path, look):
    folder, written = kept
    file = tmp_path / "figures.json"
    __main__.main(["memory", *look, "--json", str(file)])
    assert not folder.exists()
    assert written == []
    assert json.loads(file.read_text(encoding="utf-8"))["topic"] == "memory"


def test_report_measures_nothing(kept):
    folder, written = kept
    __main__.main(["--report"])
    assert written == ["RESULTS.md"]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [(["speed"], "there is no topic 'speed'; there is training, "), (["--sides", "jax"], "there is no side 'jax'")],
)
def test_unknown_words(words, message, capsys):
    with pytest.raises(SystemExit):
        __main__.main(words)
    assert message in capsys.readouterr().err


# CIFAR-10


def test_a_run_directory_becomes_figures_and_curves(tmp_path, monkeypatch):
    """Of a small run on the digits, with the files that `tinygrad-cnn train` leaves."""
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    pytest.importorskip("matplotlib")
    from tinygrad_cnn import data
    from tinygrad_cnn.cli import networks as cli_networks
    from tinygrad_cnn.cli import runs
    from tinygrad_cnn.cli.train import settings

    config = settings("lenet5", {"epochs": 2})
    run = tmp_path / "run"
    model = cli_networks.built(config["model"], config["options"], 0)
    split = data.load("digits")
    few = data.DataLoader(data.Subset(split.train, np.arange(64)), batch_size=32)
    history = training.fit(
        model,
        few,
        optim.SGD(model.parameters(), lr=0.01),
        epochs=2,
        val_loader=few,
        checkpoint_dir=run / runs.CHECKPOINTS,
        config=config,
    )
    history.save(run / runs.HISTORY)

    monkeypatch.setattr(topics, "RESULTS", tmp_path)
    monkeypatch.setattr(topics, "path", lambda name: tmp_path / f"{name}.json")
    monkeypatch.setattr(report, "write", lambda: None)
    monkeypatch.setattr(sys, "argv", ["cifar10", str(run)])
    cifar10.main()
    found = json.loads((tmp_path / "cifar10.json").read_text(encoding="utf-8"))
    expected = training.evaluate(model, data.DataLoader(split.test, batch_size=250))
    assert found["test_accuracy"] == pytest.approx(expected["accuracy"])
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2]
    assert "data_dir" not in found["config"]
    assert (tmp_path / "cifar10.png").read_bytes().startswith(b"\x89PNG")
    text = cifar10.section(found)
    assert f"test images: {found['test_accuracy']:.2%} (78% wanted: not reached)" in text
    assert len(lines_of(text)) == 2 + 2
    assert "(78% wanted: reached)" in cifar10.section(found | {"test_accuracy": 0.79})


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.stem.startswith("__"))
)
def test_examples(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).failed == 0


def test_every_goal_has_a_topic_and_every_topic_a_file():
    assert {goal.topic for goal in goals.GOALS} <= set(report.TOPICS)
    assert len({goal.text for goal in goals.GOALS}) == len(goals.GOALS)
    for name in report.TOPICS:
        assert (ROOT / "benchmarks" / f"bench_{name}.py").is_file()
        assert re.fullmatch(r"[a-z]+", name)
