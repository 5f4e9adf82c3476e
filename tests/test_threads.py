"""The thread pool: every item once, errors raised here, no deadlock, the BLAS library's threads given back."""

import os
import sys
import threading
import time

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.threads import Blas, Pool, Worker, split

WORTH_IT = 1.0  # seconds, as the caller guesses


class FakeLibrary:
    """A BLAS library as threadpoolctl shows it."""

    def __init__(self, n=4):
        self.num_threads = n

    def get_num_threads(self):
        return self.num_threads

    def set_num_threads(self, n):
        self.num_threads = n


def pool_with(*libraries, size=3):
    pool = Pool()
    pool.blas._libraries = list(libraries)
    pool.blas.__dict__["controllable"] = bool(libraries)
    pool.size = size
    return pool


@pytest.fixture
def library(monkeypatch):
    """A pool of three, and its BLAS library, which counts."""
    library = FakeLibrary()
    monkeypatch.setattr(threads, "_pool", pool_with(library))
    return library


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_item_once(library, n, size):
    threads._pool.size = size
    done, calls = np.zeros(n, int), {}

    def work(part, first, last):
        calls[part] = (first, last)
        done[first:last] += 1

    parts = split(n, work, WORTH_IT)
    assert (done == 1).all()
    assert sorted(calls) == list(range(parts))
    assert parts == (min(size, n) if min(size, n) > 1 else 1)
    bounds = [calls[part] for part in range(parts)]
    assert [b[0] for b in bounds] == [0, *(b[1] for b in bounds[:-1])]  # in order, without gaps
    sizes = [last - first for first, last in bounds]
    assert max(sizes) - min(sizes) <= 1


def test_the_parts_run_at_the_same_time(library):
    together = threading.Barrier(3)
    names = set()

    def work(part, first, last):
        together.wait(10)
        names.add(threading.current_thread().name)

    assert split(3, work, WORTH_IT) == 3
    assert names == {threading.current_thread().name, "tinygrad_cnn-1", "tinygrad_cnn-2"}


def test_little_work_stays_here(library):
    seen = []
    assert split(100, lambda *part: seen.append((part, threading.current_thread())), 1e-6) == 1
    assert seen == [((0, 0, 100), threading.current_thread())]
    assert threads._pool._workers == []


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_errors_of_workers_are_raised_here(library, failing):
    finished = []

    def work(part, first, last):
        if part == failing:
            raise KeyError(f"part {part}")
        time.sleep(0.02)
        finished.append(part)

    with pytest.raises(KeyError, match=f"part {failing}"):
        split(3, work, WORTH_IT)
    assert sorted(finished) == sorted({0, 1, 2} - {failing})  # nobody still writes when the error arrives
    assert library.num_threads == 4
    assert split(3, lambda *part: None, WORTH_IT) == 3  # the workers are still there


def test_of_several_errors_the_first_part_counts(library):
    def work(part, first, last):
        if part:
            time.sleep(0.02 * (3 - part))
            raise KeyError(f"part {part}")

    with pytest.raises(KeyError, match="part 1"):
        split(3, work, WORTH_IT)


def test_a_split_inside_a_worker_does_not_wait_for_workers(library):
    inner = {}

    def work(part, first, last):
        inner[part] = split(5, lambda *part: None, WORTH_IT)

    split(3, work, WORTH_IT)
    assert inner == {0: 3, 1: 1, 2: 1}  # part 0 runs in this thread, which may split again


def test_several_threads_may_split_at_once(library):
    wrong = []

    def user(number):
        for _ in range(50):
            done = np.zeros(7, int)

            def work(part, first, last, done=done):
                done[first:last] += number

            split(7, work, WORTH_IT)
            if not (done == number).all():
                wrong.append(number)

    users = [threading.Thread(target=user, args=(n,)) for n in (1, 2, 3)]
    for thread in users:
        thread.start()
    for thread in users:
        thread.join(30)
    assert not any(thread.is_alive() for thread in users)
    assert wrong == []
    assert library.num_threads == 4
    assert len(threads._pool._workers) == 2  # they share the workers


def test_workers_let_go_of_their_last_job(library):
    """Else the arrays of one batch would live until the next."""
    import gc
    import weakref

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    split(3, lambda *part, thing=thing: None, WORTH_IT)
    del thing
    for _ in range(100):
        if gone() is None:
            break
        time.sleep(0.01)
        gc.collect()
    assert gone() is None


# The BLAS library


def test_the_blas_has_one_thread_while_workers_run(library):
    seen = []
    split(3, lambda *part: seen.append(library.num_threads), WORTH_IT)
    assert seen == [1, 1, 1]
    assert library.num_threads == 4


def test_the_blas_has_one_thread_where_the_work_is_not_split_too(library):
    """Its threads wait by spinning: they would take the cores of the next kernel's workers."""
    seen = []
    split(3, lambda *part: seen.append(library.num_threads), 0)
    assert seen == [1]
    assert library.num_threads == 4


def test_nested_users_give_the_threads_back_at_the_end(library):
    blas = threads._pool.blas
    with blas.single():
        with blas.single():
            assert library.num_threads == 1
        with pytest.raises(ZeroDivisionError), blas.single():
            _ = 1 / 0
        assert library.num_threads == 1
    assert library.num_threads == 4


def test_users_that_overlap_in_time():
    """The first in is the first out: the second must not give back the 1 it found."""
    library = FakeLibrary(6)
    blas = pool_with(library).blas
    inside, leave = threading.Event(), threading.Event()

    def second():
        with blas.single():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=second)
    with blas.single():
        thread.start()
        assert inside.wait(10)
    assert library.num_threads == 1
    leave.set()
    thread.join()
    assert library.num_threads == 6


def test_a_number_set_while_workers_run_counts_afterwards():
    library = FakeLibrary(6)
    blas = pool_with(library).blas
    with blas.single():
        blas.set(2)
        assert library.num_threads == 1
    assert library.num_threads == 2


def test_several_libraries_get_their_own_numbers_back():
    first, second = FakeLibrary(6), FakeLibrary(3)
    with pool_with(first, second).blas.single():
        assert (first.num_threads, second.num_threads) == (1, 1)
    assert (first.num_threads, second.num_threads) == (6, 3)


def test_the_real_library_is_limited_and_given_back():
    from threadpoolctl import threadpool_info

    def number():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    blas, before = Blas(), number()
    if not blas.controllable:
        pytest.skip("threadpoolctl cannot limit this BLAS")
    with blas.single():
        assert number() == [1] * len(before)
    assert number() == before


@pytest.mark.parametrize("found", [[], ["without a number"]])
def test_where_no_blas_can_be_limited_there_is_one_worker(monkeypatch, found, caplog):
    """Else every worker would start as many BLAS threads as there are cores."""
    import threadpoolctl

    class Nothing:
        num_threads = None

    class Controller:
        def select(self, user_api):
            assert user_api == "blas"
            return type("Found", (), {"lib_controllers": [Nothing() for _ in found]})()

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    monkeypatch.setattr(threads, "_pool", Pool())
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    with caplog.at_level("INFO", logger="tinygrad_cnn"):
        assert tcnn.get_num_threads() == 1
    assert "cannot limit the threads" in caplog.text
    tcnn.set_num_threads(4)
    assert tcnn.get_num_threads() == 1
    assert split(10, lambda *part: None, WORTH_IT) == 1


# How many


def test_set_num_threads(library):
    tcnn.set_num_threads(2)
    assert tcnn.get_num_threads() == 2
    assert library.num_threads == 2
    assert split(10, lambda *part: None, WORTH_IT) == 2
    tcnn.set_num_threads(np.int64(3).item())
    assert tcnn.get_num_threads() == 3
    for wrong in (0, -1, 1.5, "2", None, True, np.float32(2)):
        with pytest.raises(ValueError, match="not a positive whole number"):
            tcnn.set_num_threads(wrong)
    assert tcnn.get_num_threads() == 3


def test_the_default_is_the_number_of_cores(monkeypatch):
    monkeypatch.setattr(threads, "_pool", pool_with(FakeLibrary(), size=None))
    monkeypatch.setattr(threads, "cpu_count", lambda: 5)
    assert tcnn.get_num_threads() == 5


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """A control group whose files the test writes."""
    monkeypatch.setattr(threads, "Path", lambda path: tmp_path / path.removeprefix("/sys/fs/cgroup/"))

    names = {"v2": "cpu.max", "quota": "cpu/cpu.cfs_quota_us", "period": "cpu/cpu.cfs_period_us"}

    def write(**files):
        for name, text in files.items():
            path = tmp_path / names[name]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"v2": "max 100000\n"}, None),
        ({"v2": "200000 100000\n"}, 2.0),
        ({"v2": "150000 100000"}, 1.5),
        ({"v2": ""}, None),
        ({"v2": "nonsense"}, None),
        ({"v2": "100000 0"}, None),
        ({"quota": "-1\n", "period": "100000\n"}, None),
        ({"quota": "50000\n", "period": "100000\n"}, 0.5),
        ({"quota": "50000\n"}, None),
        ({"quota": "50000\n", "period": "0\n"}, None),
        ({"quota": "?", "period": "100000\n"}, None),
        ({"v2": "300000 100000", "quota": "100000\n", "period": "100000\n"}, 3.0),
    ],
)
def test_the_quota_of_a_control_group(cgroup, files, quota):
    cgroup(**files)
    assert threads.cgroup_quota() == quota


@pytest.mark.parametrize(
    ("affinity", "quota", "count"),
    [
        ({0, 1, 5}, None, 3),
        ({0}, None, 1),
        (set(range(64)), 2.0, 2),
        ({0, 1, 2, 3}, 1.5, 2),
        ({0, 1}, 0.2, 1),
        ({0}, 4.0, 1),
    ],
)
def test_cores_are_those_this_process_may_use(monkeypatch, affinity, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: affinity, raising=False)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    assert threads.cpu_count() == count


def test_cores_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS and Windows have none
    monkeypatch.setattr(threads, "cgroup_quota", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads.cpu_count() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.cpu_count() == 1


def test_the_blas_respects_a_quota(monkeypatch, library):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: None)
    tcnn.respect_quota()
    assert library.num_threads == 4
    monkeypatch.setattr(threads, "cgroup_quota", lambda: 2.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    tcnn.respect_quota()
    assert library.num_threads == 2


# Fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_workers_of_its_own(library):
    split(3, lambda *part: None, WORTH_IT)
    assert len(threads._pool._workers) == 2
    tcnn.set_num_threads(3)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        answer = b"failed"
        try:
            done = np.zeros(9, int)

            def work(part, first, last):
                done[first:last] += 1

            alone = len(threads._pool._workers)
            parts = split(9, work, WORTH_IT)
            answer = f"{alone} {parts} {(done == 1).all()} {tcnn.get_num_threads()} {library.num_threads}".encode()
        finally:
            os.write(write, answer)
            os._exit(0)
    os.close(write)
    deadline = time.monotonic() + 20
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child waits for workers it does not have")
        time.sleep(0.01)
    assert os.read(read, 100) == b"0 3 True 3 3"
    os.close(read)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_split(library):
    """The child of a fork while the BLAS is held to one thread gets the number back, too."""
    read, write = os.pipe()
    children = []

    def work(part, first, last):
        if part == 0:
            child = os.fork()
            if child == 0:  # pragma: no cover
                os.write(write, f"{library.num_threads}".encode())
                os._exit(0)
            children.append(child)

    split(3, work, WORTH_IT)
    os.waitpid(children[0], 0)
    os.close(write)
    assert os.read(read, 10) == b"4"
    os.close(read)


def test_workers_do_not_keep_the_program_alive():
    assert Worker(1).daemon


def test_contexts_of_the_caller_do_not_reach_workers(library):
    """Workers see arrays only; kernels must not depend on `no_grad` or overrides."""
    seen = {}

    def work(part, first, last):
        seen[part] = tcnn.is_grad_enabled()

    with tcnn.no_grad():
        split(3, work, WORTH_IT)
    assert seen == {0: False, 1: True, 2: True}


@pytest.mark.skipif(sys.platform == "win32", reason="timing of Windows' threads")
def test_the_split_of_a_real_step_is_repeatable():
    """The same number of threads, the same bits."""
    before = tcnn.get_num_threads()
    tcnn.set_num_threads(3)
    try:
        draw = np.random.default_rng(0)
        x = tcnn.tensor(draw.normal(size=(65, 3, 20, 18)).astype(np.float32))
        w = tcnn.tensor(draw.normal(size=(7, 3, 3, 3)).astype(np.float32), requires_grad=True)
        gradients = []
        for _ in range(4):
            w.grad = None
            (tcnn.functional.conv2d(x, w) ** 2).mean().backward()
            gradients.append(w.grad.copy())
        assert all(np.array_equal(gradients[0], g) for g in gradients[1:])
    finally:
        tcnn.set_num_threads(before)
