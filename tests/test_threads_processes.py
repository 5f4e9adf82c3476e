"""Training in forked and started processes, in several threads, under asyncio and pytest-xdist: no deadlock, same bits.

Everything here runs a real LeNet-5 in a process of its own, with a deadline.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_cnn.kernels.threads import WORTHWHILE_SECONDS

DEADLINE = 60  # seconds, for machines that have a lot else to do

# `weights()` trains, and gives a digest of what came out; two workers are enough for every way to get stuck
TRAIN = """
import hashlib, os, sys, threading
import numpy as np
import tinygrad_cnn as tcnn
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.kernels import threads

threads.WORTHWHILE_SECONDS = 0.0  # split all there is
seeding = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child of a fork in the middle of it
    os.register_at_fork(after_in_child=lambda: globals().update(seeding=threading.Lock()))

def weights(steps=3, images=37):
    with seeding:  # all threads draw from one generator
        tcnn.manual_seed(7)
        model = models.LeNet5()
    draw = np.random.default_rng(0)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        x = tcnn.tensor(draw.normal(size=(images, 1, 28, 28)).astype(np.float32))
        loss = nn.functional.cross_entropy(model(x), tcnn.tensor(draw.integers(0, 10, images)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert len(threads._pool._workers) == tcnn.get_num_threads() - 1
    return hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()

def blas_threads():
    from threadpoolctl import threadpool_info
    return [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()]
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def program(code, *, threads="2", options=(), **environment):
    """Runs the code after TRAIN in a process of its own; what it printed, line by line."""
    path = environment.pop("as_file", None)
    if path is not None:
        path.write_text(TRAIN + code, encoding="utf-8")
    command = [sys.executable, *options, *([str(path)] if path else ["-c", TRAIN + code])]
    environment = os.environ | {"TINYGRAD_CNN_NUM_THREADS": threads} | environment
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def digest():
    """What a training with two threads gives."""
    (alone,) = program("print(weights())")
    return alone


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_bits_are_the_same_from_run_to_run(digest, threads):
    """In several processes, and several times in one."""
    one = program("print(weights(), weights(), weights())", threads=threads)
    two = program("print(weights())", threads=threads, PYTHONHASHSEED="3")
    assert len({*one, *two}) == 1
    if threads == "2":
        assert one[0] == digest


@pytest.mark.parametrize("images", [64, 256])
def test_bits_are_the_same_at_real_sizes(images):
    """Where what is split, and how, is decided by the size of the work."""
    code = f"threads.WORTHWHILE_SECONDS = {WORTHWHILE_SECONDS}; print(weights(10, {images}))"
    assert len({*program(code), *program(code), *program(code)}) == 1


def test_nothing_changes_in_numpy_and_its_blas():
    """Not at import; and after a training, one that fails included, all is as it was."""
    code = """
import numpy as np, os, signal, sys, threading
from threadpoolctl import threadpool_info

def state():
    np.ones((64, 64)) @ np.ones((64, 64))
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    libraries = [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()]
    return libraries, np.geterr(), np.get_printoptions(), handlers, threading.excepthook, dict(os.environ)

before = state()
import tinygrad_cnn
from tinygrad_cnn import nn, optim
assert state() == before
assert threading.active_count() == 1
from tinygrad_cnn.kernels import threads
assert threads._pool.blas._libraries is None  # it was not even looked for
"""
    after = """
assert state() == before
print(weights())
assert threading.active_count() == 2
assert state() == before
try:
    threads.split(8, lambda *part: 1 / 0, 1.0)
except ZeroDivisionError:
    print("failed as expected")
assert state() == before
"""
    text = code + TRAIN + after
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=DEADLINE, check=False,
                          env=os.environ | {"TINYGRAD_CNN_NUM_THREADS": "2"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "failed as expected" in done.stdout


# Processes


@needs_fork
def test_a_forked_child_trains(digest):
    """The pool has run, its threads do not come along; also from a thread, and a child of the child."""
    code = """
def child(generations):
    read, write = os.pipe()
    number = os.fork()
    if number == 0:
        answer = b"failed"
        try:
            answer = weights().encode()
            if generations > 1:
                answer += b" " + child(generations - 1)
        finally:
            os.write(write, answer)
            os._exit(0)
    os.close(write)
    answer = os.read(read, 1000)
    os.waitpid(number, 0)
    return answer

print(weights(), child(2).decode())
answers = []
other = threading.Thread(target=lambda: answers.append(child(1).decode()))
other.start()
mine = weights()
other.join()
print(mine, *answers)
"""
    assert program(code, options=["-W", "ignore::DeprecationWarning"]) == [digest] * 5


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_train(digest, tmp_path, method):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    code = f"""
import multiprocessing
if __name__ == "__main__":
    print(weights())
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as pool:
        print(*pool.map(weights, [3, 3, 3]))
    print(weights())
"""
    found = program(code, as_file=tmp_path / "children.py", options=["-W", "ignore::DeprecationWarning"])
    assert found == [digest] * 5


def test_several_programs_at_once(digest):
    """As under pytest-xdist: each with as many threads as there are cores."""
    command = [sys.executable, "-c", TRAIN + "print(weights(), weights(), weights())"]
    environment = os.environ | {"TINYGRAD_CNN_NUM_THREADS": "2"}
    programs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [p.communicate(timeout=DEADLINE)[0].split() for p in programs] == [[digest] * 3] * 3


def test_pytest_xdist(tmp_path):
    pytest.importorskip("xdist")
    test = TRAIN + "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n): weights()\n"
    (tmp_path / "test_training.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"TINYGRAD_CNN_NUM_THREADS": "2", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


# Threads


def test_two_threads_train_at_once(digest):
    code = """
before = blas_threads()
found = []
users = [threading.Thread(target=lambda: found.append(weights())) for _ in range(3)]
for user in users:
    user.start()
found.append(weights())
for user in users:
    user.join()
assert len(found) == 4
assert blas_threads() == before
print(*found)
"""
    assert program(code) == [digest] * 4


def test_training_under_an_event_loop(digest):
    """As in a Jupyter kernel: in the loop's own thread, in its executor, and while the loop goes on."""
    code = """
import asyncio

async def ticking(ticks):
    while True:
        ticks.append(len(ticks))
        await asyncio.sleep(0.001)

async def main():
    ticks = []
    clock = asyncio.create_task(ticking(ticks))
    await asyncio.sleep(0.01)
    print(weights())
    print(*await asyncio.gather(asyncio.to_thread(weights), asyncio.to_thread(weights)))
    assert len(ticks) > 3
    clock.cancel()

asyncio.run(main())
asyncio.run(main())
"""
    assert program(code) == [digest] * 6


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself")
def test_ctrl_c_in_a_training(digest):
    """Again and again, wherever it strikes; then everything is as if nothing had been."""
    code = """
import signal, time
before = blas_threads()
weights()
for number in range(12):
    timer = threading.Timer(0.003 * number, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        while True:
            weights(1)
    except KeyboardInterrupt:
        pass
    assert blas_threads() == before, number
print(weights())
"""
    assert program(code) == [digest]


# The end of the program


@pytest.mark.parametrize(
    "end",
    [
        "",
        "sys.exit(0)",
        "import atexit; atexit.register(weights)",
        "threads._pool = threads.Pool(); import atexit; atexit.register(lambda: threads.split(9, print, 1.0))",
        "threading.Thread(target=weights).start()",
        "import gc; weights(); gc.collect()",
    ],
)
def test_the_program_ends_with_workers_waiting(digest, end):
    assert program(f"print(weights())\n{end}")[0] == digest
