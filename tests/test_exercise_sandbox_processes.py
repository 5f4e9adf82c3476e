"""The process of a student's code: how it is ended when all else fails, what other systems can do, what comes back."""

import builtins
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_exercise_sandbox import EASY, SECONDS, SUBMISSIONS, G, X, check, students_home  # noqa: F401  # a fixture

from tinygrad_cnn.exercises.sandbox import Call, Limits, guard, look, parent, run, student, system, wire, words

pytestmark = pytest.mark.skipif(not system.LINUX, reason="what is left behind is looked for in /proc")

# a process that leaves its session and its parent, and multiplies
SCATTERS = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 3)
            while True:
                if len(sys.argv) > 2 and os.fork() == 0:
                    time.sleep(1000)
                time.sleep(0.01)
        os._exit(0)
time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
"""


def others(home, text, name="student.py"):
    """A copy of the sandbox's scripts in which one is another."""
    folder = home.parent / "scripts"
    shutil.copytree(parent.HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / name).write_text(textwrap.dedent(text))
    return folder


def replaced(home, name, find, replace):
    text = (parent.HERE / name).read_text(encoding="utf-8")
    assert find in text
    return others(home, text.replace(find, replace), name)


def reported(path, **limits):
    path.write_text(EASY)
    return check(path, **limits)


# ---- nothing is left


@pytest.mark.parametrize("ending", ["by itself", "stopped", "checker gone"])
def test_the_keeper_ends_whatever_has_left_its_session_and_its_parent(ending, tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    seconds = "0" if ending == "by itself" else "1000"
    command = [sys.executable, "-I", "-S", "-c", SCATTERS, "5", "multiply", seconds]
    order = {"token": "k", "folder": str(folder), "command": command, "memory": 1 << 30}
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", parent.HERE / "keeper.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={system.MARK: f"{ending} {os.getpid()}"},
    )  # fmt: skip
    keeper.stdin.write(wire.dumps(order))
    keeper.stdin.flush()
    mark = f"{ending} {os.getpid()}"
    until = time.monotonic() + SECONDS
    while ending != "by itself" and len(system.strays(mark)) < 8:  # the keeper, its child, and those it has scattered
        assert time.monotonic() < until
        time.sleep(0.01)
    if ending == "stopped":
        keeper.stdin.write(b"stop\n")
        keeper.stdin.flush()
    elif ending == "checker gone":
        keeper.stdin.close()
    told = [json.loads(line) for line in keeper.stdout.read().split(b"\n") if line]
    assert keeper.wait(SECONDS) == 0
    assert system.strays(mark) == []
    assert [kind for _, kind, _ in told] == ["pid", "ended"]
    why = {"by itself": "", "stopped": "stop", "checker gone": "gone"}[ending]
    assert told[1][2] == [0 if ending == "by itself" else -signal.SIGKILL, why]
    assert folder.exists() == (ending != "checker gone")  # there is nobody else left to remove it
    keeper.stdout.close()
    if not keeper.stdin.closed:
        keeper.stdin.close()


@pytest.mark.parametrize("number", ["SIGSTOP", "SIGKILL"])
@pytest.mark.parametrize("then", ["hangs", "ends"])
def test_a_keeper_that_is_stopped_or_ended_takes_nothing_with_it(number, then, home, monkeypatch):
    script = f"""
    import json, os, signal, sys, time
    order = json.load(open(sys.argv[1] + "/request.json"))
    os.write(1, (json.dumps([order["token"], "ready", {{"notes": [], "thread": 0}}]) + "\\n").encode())
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
    os.kill(os.getppid(), signal.{number})
    {"time.sleep(1000)" if then == "hangs" else ""}
    """
    monkeypatch.setattr(parent, "HERE", others(home, script))
    report, told = reported(home / "conv.py", seconds=0.5)
    assert report.problem.kind in ("garbage", "timeout")
    assert told == ["", ""]


def test_when_the_checker_is_killed_everything_ends_and_is_removed(home):
    (home / "conv.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(1000)\n")
    script = f"""
import tempfile
from pathlib import Path
from tinygrad_cnn.exercises.sandbox import Limits, parent, run
tempfile.tempdir = {str(home.parent / "scratch")!r}
parent.secrets.token_hex = lambda n: "mark-{os.getpid()}"
run(Path({str(home / "conv.py")!r}), [], [], Limits(seconds=1000))
"""
    checker = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + SECONDS
    while len(system.strays(f"mark-{os.getpid()}")) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    checker.kill()
    checker.wait()
    until = time.monotonic() + SECONDS
    while system.strays(f"mark-{os.getpid()}") or any((home.parent / "scratch").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_ctrl_c_ends_everything(home):
    (home / "conv.py").write_text("while True:\n    pass\n")
    thread = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(home / "conv.py", [], [], Limits(SECONDS))
    thread.join()


@pytest.mark.parametrize("text", ["while True:\n    pass\n", EASY])
def test_how_long_it_waits(text, home, monkeypatch):
    """By a clock that stands still, so that a busy machine changes nothing."""
    waits = []

    class Queue(queue.SimpleQueue):
        def get(self, timeout):
            waits.append(timeout)
            return super().get(timeout=timeout)

    monkeypatch.setattr(parent, "queue", SimpleNamespace(SimpleQueue=Queue, Empty=queue.Empty))
    monkeypatch.setattr(parent, "time", SimpleNamespace(monotonic=lambda: 1.0, sleep=time.sleep))
    (home / "conv.py").write_text(text)
    seconds = SECONDS if text == EASY else 0.3
    report, _ = check(home / "conv.py", seconds=seconds)
    assert (report.problem and report.problem.kind) == (None if text == EASY else "timeout")
    # for the start, for the student's code, and then for the end
    assert list(dict.fromkeys(waits)) == [parent.START, pytest.approx(seconds + parent.GRACE), parent.END]


@pytest.mark.skipif(os.uname().machine not in system._CALLS, reason="its system calls have other numbers")
def test_the_kernel_refuses_processes_and_lets_threads_through(home, monkeypatch):
    script = """
    import ctypes, os, signal, socket, subprocess, sys, threading, time
    import importlib.util
    spec = importlib.util.spec_from_file_location("system", os.path.join(os.path.dirname(__file__), "system.py"))
    system = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(system)
    assert system.forbid_processes()
    tried = {
        "fork": os.fork, "vfork": lambda: subprocess.run(["true"]),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "exec": lambda: os.execv("/bin/true", ["true"]), "kill": lambda: os.kill(os.getppid(), signal.SIGSTOP),
        "kill all": lambda: os.kill(-1, 0), "pidfd": lambda: os.pidfd_open(os.getppid()), "socket": socket.socket,
        "fifo": lambda: os.mkfifo(sys.argv[1] + "/fifo"),
        "syscall": lambda: ctypes.CDLL(None).fork() >= 0 or (_ for _ in ()).throw(PermissionError),
        "thread": threading.Thread(target=time.sleep, args=(0,)).start, "to itself": lambda: os.kill(os.getpid(), 0),
    }
    for name, attempt in tried.items():
        try:
            attempt()
        except PermissionError:
            continue
        print(name, file=sys.stderr)
    """
    monkeypatch.setattr(parent, "HERE", others(home, script))
    report, _ = reported(home / "conv.py")
    assert report.printed.split("\n")[:-1] == ["thread", "to itself"]


def test_a_busy_machine_runs_several_at_once(home):
    files = {"easy.py": EASY, "loop.py": "def f(x):\n    while True: pass\n" + G, "left.py": "import os\nos._exit(0)\n"}
    for name, text in files.items():
        (home / name).write_text(text)
    names, limits = [*files] * 3, {"loop.py": Limits(3)}
    calls = [Call(name, wire.write((X,))) for name in "fg"]
    with ThreadPoolExecutor(len(names)) as pool:
        reports = list(
            pool.map(lambda name: run(home / name, ["f", "g"], calls, limits.get(name, Limits(SECONDS))), names)
        )
    assert [r.problem and r.problem.kind for r in reports] == [None, "timeout", "exit"] * 3


# ---- what comes back is not to be trusted

READY = ["ready", {"notes": [], "thread": 1}]
GOOD = {"returned": wire.write((2 * X, (X,))), "seconds": 0.0}


def outcome(**changes):
    return ["done", [0, {**GOOD, **changes}]]


def result(written):
    return outcome(returned={"value": {"$tuple": [written, {"$tuple": [1]}]}, "nodes": []})


def exception(**changes):
    told = {"type": "E", "types": ["E"], "text": "", "places": []}
    return ["done", [0, {"raised": {**told, **changes}, "seconds": 0.0}]]


GARBAGE = [
    [["ready", None]],
    [READY, READY],
    [READY, ["ready", {"notes": 3, "thread": 1}]],
    [READY, ["functions", None]],
    [READY, ["functions", {"f": 3}]],
    [READY, ["started", "0"], ["started", 7]],
    [READY, ["started", -1]],
    [READY, ["started", 0], ["started", 0]],
    [READY, outcome()],
    [READY, ["started", 0], ["done", None]],
    [READY, ["started", 0], ["done", [1, GOOD]]],
    [READY, ["started", 0], outcome(), ["started", 0], outcome()],
    [READY, ["started", 0], outcome(seconds="x")],
    [READY, ["started", 0], outcome(seconds=float("nan"))],
    [READY, ["started", 0], outcome(seconds=-1)],
    [READY, ["started", 0], outcome(returned=None)],
    [READY, ["started", 0], outcome(returned={"value": None, "nodes": []})],
    [READY, ["started", 0], outcome(returned=wire.write((1, 2)))],
    [READY, ["started", 0], outcome(returned=wire.write((1, (2, 3))))],
    [READY, ["started", 0], result({"$node": 9})],
    [READY, ["started", 0], outcome(returned={"value": 1, "nodes": [3]})],
    [READY, ["started", 0], result({"$number": "9" * 9999})],
    [READY, ["started", 0], result({"$dict": [[{"$list": []}, 1]]})],
    [READY, ["started", 0], result({"$array": ["<f8", [3], "AAAA", False]})],
    [READY, ["started", 0], result({"$array": ["<f8", [1 << 62], "", False]})],
    [READY, ["started", 0], result({"$array": ["O", [1], "AAAAAAAAAAA=", False]})],
    [READY, ["started", 0], result({"$array": ["{'a': 1}", [1], "AAAAAAAAAAA=", False]})],
    [READY, ["started", 0], result({"$array": ["(99999999,99999999)f8", [1], "AAAAAAAAAAA=", False]})],
    [READY, ["started", 0], result({"$array": ["<f8", "x", "AAAAAAAAAAA=", False]})],
    [READY, ["started", 0], exception(places=3)],
    [READY, ["started", 0], exception(places=[[1]])],
    [READY, ["started", 0], exception(types=None)],
    [READY, ["problem", None]],
    [READY, ["problem", {"kind": "strange"}]],
    [READY, ["problem", {"kind": "syntax"}]],
    [READY, ["problem", {"kind": "import", "raised": {}}]],
    [READY, ["refused", {"does": 1}]],
    [READY, ["pid", 1]],
    [READY, ["end", None], ["started", 0], ["x"]],
    [READY, ["ended", [0, ""]]],
    [READY, ["strange", 1]],
    [READY, [["list"], 1]],
    [READY, "hello"],
    [READY, ["x"]],
    [READY, b"\xff\xfe"],
    [READY, b"[" * 100_000],
    [READY, b"9" * 100_000],
    [READY, b'{"a": 1}'],
    [READY, b"null"],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_garbage_is_called_so_and_never_stops_the_checker(number, home, monkeypatch):
    frames = home.parent / "frames"
    lines = [
        m if isinstance(m, bytes) else json.dumps(["TOKEN", *m] if isinstance(m, list) else m).encode()
        for m in GARBAGE[number]
    ]
    frames.write_bytes(b"\n".join(lines) + b"\n")
    script = f"""
    import json, os, sys
    token = json.load(open(sys.argv[1] + "/request.json"))["token"]
    data = open({str(frames)!r}, "rb").read().replace(b"TOKEN", token.encode())
    while data:
        data = data[os.write(1, data):]
    """
    monkeypatch.setattr(parent, "HERE", others(home, script))
    report, told = reported(home / "conv.py")
    assert report.problem.kind == "garbage", report
    assert "Use print" in report.problem.says
    assert "right" not in told or number == 11  # there the first was right


def test_good_lines_are_no_garbage(home, monkeypatch):
    script = f"""
    import json, os, sys
    token = json.load(open(sys.argv[1] + "/request.json"))["token"]
    for message in {[READY, ["functions", {"f": ["x"]}], ["started", 0], outcome(), ["end", None]]!r}:
        os.write(1, (json.dumps([token, *message]) + "\\n").encode())
    """
    monkeypatch.setattr(parent, "HERE", others(home, script))
    report, told = reported(home / "conv.py")
    assert report.problem is None
    assert told == ["right", ""]


def test_a_result_of_many_arrays_may_be_too_large_too(home):
    (home / "conv.py").write_text("import numpy as np\ndef f(x):\n    return [np.zeros(3_000_000)] * 2\n" + G)
    report, told = check(home / "conv.py")
    assert told == ["MemoryError", "right"]
    assert "too large to be handed over: 61 MB of text" in report.outcomes[0]["raised"]["text"]


def test_too_much_in_all_is_garbage(home, monkeypatch):
    monkeypatch.setattr(parent, "ALL", 1 << 20)
    (home / "conv.py").write_text("import numpy as np\ndef f(x):\n    return np.zeros(200_000)\n" + G)
    report, _ = check(home / "conv.py")
    assert report.problem.kind == "garbage"


def test_a_process_that_does_not_start_is_no_fault_of_the_student(home, monkeypatch):
    monkeypatch.setattr(parent, "HERE", others(home, "raise ImportError('NumPy is broken')"))
    report, _ = reported(home / "conv.py")
    assert report.problem.kind == "checker"
    assert "NumPy is broken" in report.problem.says


# ---- the student's files


def test_helpers_travel_along_and_places_are_the_students_own(home):
    path = home / "my solution ü.py"
    f, g = "def f(x):\n    return FACTOR * x\n\n", "def g(x):\n    return broken(x)\n"
    path.write_text("from helper import FACTOR, broken\n\n" + f + g)
    report, told = check(path)
    assert told == ["right", "AttributeError"]
    assert report.outcomes[1]["raised"]["places"] == [
        [str(path), 7, "g", "return broken(x)"],
        [str(home / "helper.py"), 4, "broken", "return x.nothing"],
    ]
    assert report.functions == {"f": ["x"], "g": ["x"]}


def test_large_files_and_links_that_lead_outside_stay_behind(home):
    (home.parent / "outside.py").write_text("")
    (home / "outside.py").symlink_to(home.parent / "outside.py")
    (home / "inside.py").symlink_to("helper.py")
    (home / "dangling.py").symlink_to("nothing.py")
    (home / "large.py").write_bytes(bytes(words.MOST + 1))
    (home / "folder.py").mkdir()
    os.mkfifo(home / "pipe.py")
    (home / "notes.txt").write_text("")
    (home / "conv.py").write_text("import os\nprint(sorted(os.listdir()))\n" + EASY)
    report, told = check(home / "conv.py")
    assert told == ["right", "right"]
    assert report.printed == "['conv.py', 'helper.py', 'helper_library.py', 'inside.py']\n"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "There is no file conv.py"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.symlink_to("conv.py"), "cannot be read"),
    ],
)
def test_a_file_that_is_none(make, says, home):
    make(home / "conv.py")
    report, told = check(home / "conv.py")
    assert (report.problem.kind, told) == ("missing", ["", ""])
    assert says in report.problem.says


def test_a_file_may_be_named_relatively_and_by_a_link(home, monkeypatch):
    (home / "conv.py").write_text(EASY)
    (home.parent / "link.py").symlink_to(home / "conv.py")
    monkeypatch.chdir(home.parent)
    for path in ("link.py", "mine/conv.py", "mine/../mine/conv.py"):
        assert check(Path(path))[1] == ["right", "right"]


def test_what_is_printed_is_kept_in_order_and_up_to_a_limit(home):
    head = "import sys\nfor i in range(9):\n    print(i, file=(sys.stdout, sys.stderr)[i % 2])\n"
    (home / "conv.py").write_text(head + EASY)
    report, _ = check(home / "conv.py")
    assert report.printed == "0\n1\n2\n3\n4\n5\n6\n7\n8\n"
    report, _ = check(home / "conv.py", output=5)
    assert (report.printed, report.printed_bytes) == ("0\n1\n2", 18)


def test_what_python_prints_names_the_students_own_file(home):
    text = "import traceback\nx = 1 is 1\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
    (home / "conv.py").write_text(text + EASY)
    report, _ = check(home / "conv.py")
    assert report.printed.count("SyntaxWarning") == 1
    assert report.printed.count(str(home / "conv.py")) == 2
    assert "scratch" not in report.printed


def test_what_was_printed_before_a_loop_is_not_lost(home):
    (home / "conv.py").write_text("print('before')\nwhile True:\n    pass\n")
    assert check(home / "conv.py", seconds=0.3)[0].printed == "before\n"


def test_functions_are_told_with_their_parameters(home):
    text = """
import functools, numpy as np
def f(x, /, y, *rest, key=1, **more): return 2 * x
class g:
    def __init__(self, a, b=2): ...
number, ufunc, part = 3, np.tanh, functools.partial(f, 1)
class Strange:
    __signature__ = property(lambda self: 1 / 0)
    def __call__(self): ...
strange = Strange()
"""
    (home / "conv.py").write_text(text)
    names = ["f", "g", "number", "ufunc", "part", "strange", "missing"]
    report = run(home / "conv.py", names, [Call("missing", wire.write(())), Call("number", wire.write(()))])
    assert report.outcomes == [None, None]
    ufunc = report.functions.pop("ufunc")
    assert isinstance(ufunc, list)
    assert report.functions == {
        "f": ["x", "y", "*rest", "key", "**more"], "g": ["a", "b"], "number": None,
        "part": ["y", "*rest", "key", "**more"], "strange": [],
    }  # fmt: skip


def test_names_are_those_of_a_module_that_was_imported(home):
    text = """
from __future__ import annotations
from dataclasses import dataclass
import pickle, sys
@dataclass
class Point:
    x: int
assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
assert __name__ != "__main__" and sys.argv == ["conv.py"] and __file__.endswith("conv.py")
"""
    (home / "conv.py").write_text(text + EASY)
    assert check(home / "conv.py")[1] == ["right", "right"]


def test_what_an_exercise_may_well_use_is_not_refused(home):
    text = """
import argparse, asyncio, collections, concurrent.futures, copy, csv, ctypes, dataclasses, doctest, gc, glob, hashlib
import inspect, itertools, json, logging, multiprocessing, os, pathlib, pdb, pickle, platform, random, shutil, sqlite3
import statistics, subprocess, tempfile, textwrap, threading, timeit, typing, unittest, uuid, warnings, zipfile
import numpy as np
import numpy.testing
from numpy.lib.stride_tricks import sliding_window_view

logging.basicConfig(filename="log.txt", level=logging.INFO)
logging.info("begun")
with tempfile.TemporaryDirectory() as folder:
    np.save(os.path.join(folder, "a.npy"), np.arange(3))
    assert np.load(os.path.join(folder, "a.npy"))[2] == 2
pathlib.Path("folder/inside").mkdir(parents=True)
shutil.move("log.txt", "folder")
shutil.rmtree("folder")
sqlite3.connect(":memory:").execute("select 1")
open(os.devnull, "w").write("nothing")
with concurrent.futures.ThreadPoolExecutor() as pool:
    assert list(pool.map(abs, [-1])) == [1]
async def nothing(): return 1
assert asyncio.run(nothing()) == 1
np.testing.assert_allclose(np.fft.ifft(np.fft.fft([1.0, 2.0])), [1, 2])
assert np.linalg.inv(np.eye(2))[0, 0] == 1 and np.random.default_rng(1).normal(size=3).shape == (3,)
assert sliding_window_view(np.arange(5), 3).shape == (3, 3) and gc.collect() >= 0
assert timeit.timeit("1 + 1", number=10) < 1 and len(str(uuid.uuid4())) == 36 and platform.system() == "Linux"
assert doctest.testmod(sys.modules[__name__] if (sys := __import__("sys")) else None).failed == 0
assert np.ctypeslib.as_array((ctypes.c_int * 3)(1, 2, 3))[1] == 2 and np.arange(3).ctypes.data
"""
    (home / "conv.py").write_text(text + EASY)
    report, told = check(home / "conv.py")
    assert report.problem is None, report.problem
    assert told == ["right", "right"]


# ---- the library, where it may be used

LENET = ("tinygrad_cnn", "tinygrad_cnn.nn")
NETWORK = """
import tinygrad_cnn as tcnn
from tinygrad_cnn import nn
import tinygrad_cnn.nn.functional as F

def f(x):
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data = 2 + 0 * layer.weight.data
    image = tcnn.tensor(x.reshape(1, 1, 1, 3).astype("float32"), requires_grad=True)
    F.max_pool2d(layer(image), 1).sum().backward()
    return layer(image).numpy().reshape(3).astype(x.dtype)
"""


def test_the_library_may_be_used_where_that_is_the_exercise(home):
    (home / "conv.py").write_text(NETWORK + G)
    report, told = check(home / "conv.py", LENET)
    assert report.problem is None, report.problem
    assert told == ["right", "right"]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("import tinygrad_cnn.models", ""),
        ("from tinygrad_cnn import models", ""),
        ("from tinygrad_cnn.models import LeNet5", ""),
        ("tcnn.models.LeNet5()", ""),
        ("tcnn.functional.conv2d", ""),
        ("import tinygrad_cnn.textbook", ""),
        ("from tinygrad_cnn import kernels", ""),
        ("getattr(tcnn, 'mod' + 'els')", "NotAllowed"),
        ("import importlib; importlib.import_module('tinygrad_cnn.models')", "NotAllowed"),
        ("__import__('tinygrad_cnn.' + 'kernels')", "NotAllowed"),
        ("__import__('tinygrad_cnn', fromlist=['kernels'])", "NotAllowed"),
        ("exec('from tinygrad_cnn import kernels')", "NotAllowed"),
        ("open(tcnn.__file__.replace('__init__', 'models/lenet'))", "NotAllowed"),
    ],
)
def test_of_the_library_only_what_is_named_may_be_used(line, outcome, home):
    (home / "conv.py").write_text(NETWORK + f"    {line}\n".join(["\ndef g(x):\n", "    return x + 1\n"]))
    report, told = check(home / "conv.py", LENET)
    assert report.problem.kind == "forbidden"
    assert "tinygrad_cnn." in report.problem.says
    assert report.problem.line == 14
    assert told == (["right", outcome] if outcome else ["", ""])


def test_a_package_may_be_allowed(home):
    (home / "scipy.py").write_text("two = 2\n")
    (home / "conv.py").write_text("import scipy\ndef f(x):\n    return scipy.two * x\n" + G)
    assert check(home / "conv.py")[0].problem.kind == "forbidden"
    assert check(home / "conv.py", ["scipy"])[1][1] == "right"


@pytest.mark.parametrize(
    ("name", "allow", "refused"),
    [
        ("numpy", [], False), ("math", [], False), ("torch", [], True), ("torchlight", [], False),
        ("scipy.signal", [], True), ("scipy.signal", ["scipy"], False), ("scipy", ["scipy.signal"], True),
        ("tinygrad_cnn", ["tinygrad_cnn"], False), ("tinygrad_cnn.nn", ["tinygrad_cnn"], True),
        ("tinygrad_cnn.nn.conv", ["tinygrad_cnn.nn"], False),
        ("tinygrad_cnn.nnn", ["tinygrad_cnn.nn"], True), ("_interpreters", ["_interpreters"], True),
    ],
)  # fmt: skip
def test_which_modules_are_refused(name, allow, refused):
    assert bool(look.refused(name, allow)) is refused


# ---- other systems


def test_without_limits_of_the_kernel_memory_is_watched_and_the_report_says_so(home, monkeypatch):
    scripts = replaced(home, "system.py", 'LINUX = sys.platform.startswith("linux")', "LINUX = False")
    monkeypatch.setattr(parent, "HERE", scripts)
    report, told = reported(home / "conv.py")
    assert told == ["right", "right"]
    assert [note for note in report.notes if "memory is looked at a few times a second" in note] == report.notes != []
    (home / "conv.py").write_text("import time, numpy as np\nkept = np.ones(60_000_000)\ntime.sleep(100)\n" + EASY)
    report, told = check(home / "conv.py", memory=1 << 20)
    assert (report.problem.kind, told) == ("memory", ["", ""])
    (home / "conv.py").write_text("while True:\n    pass\n")
    assert check(home / "conv.py", seconds=0.5)[0].problem.kind == "timeout"


def test_without_the_resource_module_the_report_says_so(monkeypatch):
    real = builtins.__import__

    def no_resource(name, *rest):
        if name == "resource":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_resource)
    assert system.limit(1, 1, 1.0) == ["On this system neither memory nor the size of files is limited; the time is."]


def test_what_a_kernel_refuses_to_limit_is_named(monkeypatch):
    import resource

    def refuse(*_):
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert [note.split()[3] for note in system.limit(1, 1, 1.0)] == ["the", "the", "processor", "memory"]


def test_on_windows_processes_are_grouped_and_ended_by_its_own_means(monkeypatch):
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setattr(system, "LINUX", False)
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(os, "kill", None)
    assert system.own_group() == {"creationflags": 0x200 | 0x8000000}
    system.end_all(7)
    assert ran == [["taskkill", "/F", "/T", "/PID", "7"]]
    assert system.watched() is None
    assert not system.forbid_processes()


def test_resident_memory_is_known_without_proc():
    assert 1 << 20 < system.resident(os.getpid()) < 1 << 36
    assert system.resident(2**22 + 1) == 0


def test_a_crash_is_known_on_every_system():
    source = words.Source(Path(__file__))
    told = {status: words.ended(status, 0, source, "in f", Limits()) for status in (-11, -7, -15, 0xC0000005, -40)}
    assert {p.kind for p in told.values()} == {"crash"}
    assert "segmentation fault" in told[-11].says
    assert "0xC0000005" in told[0xC0000005].says
    assert "calls itself" in told[-11].says
    assert "calls itself" not in told[-15].says
    assert words.ended(-signal.SIGXCPU, 0, source, "in f", Limits()).kind == "timeout"
    for status, kind in [(student.CHANNEL_LOST, "garbage"), (student.LOST, "garbage"), (student.NO_MEMORY, "memory")]:
        assert words.ended(status, 0, source, "in f", Limits()).kind == kind


def test_the_line_of_a_dump():
    dump = """Timeout (0:00:01)!
Thread 0x00007f01 [worker] (most recent call first):
  File "/w/conv.py", line 99 in turn

Thread 0x00007f02 (most recent call first):
  File "/python/threading.py", line 1 in wait
  File "/w/\\xfc.py", line 12 in f
  File "/w/\\xfc.py", line 13 in <module>
"""
    assert words.hanging_line(dump, "/w/ü.py", 0x7F02) == 12
    assert words.hanging_line(dump, "/w/conv.py", 0x7F01) == 99
    assert words.hanging_line(dump, "/w/conv.py", 0x7F02) == 0
    assert words.hanging_line("nonsense \0", "/w/conv.py", 1) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Unable to allocate 11.2 GiB for an array with shape (3, 4) and data type float64", "11.2 GB wanted for an"),
        (
            "Unable to allocate 512. MiB for an array with shape (3,) and data type x",
            "512 MB wanted for an array of shape",
        ),
        ("", "more memory wanted than there is, at most 1 GB may be used"),
    ],
)
def test_how_much_memory_was_wanted(text, says):
    assert words.memory(text, Limits()).startswith(says)


def test_a_folder_that_cannot_be_listed_is_removed(tmp_path):
    folder = tmp_path / "scratch"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "c").write_text("")
    (folder / "a" / "link").symlink_to(tmp_path)
    for path in (folder / "a" / "b", folder / "a", folder):
        path.chmod(0)
    parent._remove(folder)
    assert not folder.exists()
    assert tmp_path.exists()


def test_the_guard_knows_whose_code_asks(tmp_path):
    told = []
    made = guard.Guard(str(tmp_path), "/library", ["/packages"], [], look, lambda *what: told.append(what))
    package = compile("def call(f):\n    return f()\n", "/packages/p.py", "exec")
    names = {}
    exec(package, names)
    assert names["call"](made._asker)[0] == "package"
    assert made._asker()[0] == "student"  # anybody else
    exec(compile("def call(f):\n    return f()\n", str(tmp_path / "conv.py"), "exec"), names)
    assert names["call"](made._asker) == ("student", str(tmp_path / "conv.py"), 2)
    with pytest.raises(PermissionError, match=r"conv\.py, line 2, does something"):
        names["call"](lambda: made.refuse("does something"))
    assert told == [("does something", str(tmp_path / "conv.py"), 2)]
