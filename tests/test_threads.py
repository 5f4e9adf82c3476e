"""The thread pool: every item once, errors raised here, no deadlock, the BLAS library's threads given back."""

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn.kernels import threads
from tinygrad_cnn.kernels.threads import Blas, Library, Pool, Worker, split

WORTH_IT = 1.0  # seconds, as the caller guesses


class FakeLibrary:
    """A BLAS library that counts; with one number for the process, or one for each thread."""

    def __init__(self, n=4, per_thread=False):
        self.n, self.per_thread, self.numbers = n, per_thread, {}

    @property
    def who(self):
        return threading.get_ident() if self.per_thread else None

    @property
    def num_threads(self):
        return self.numbers.get(self.who, self.n)

    def get(self):
        return self.num_threads

    def set(self, n):
        self.numbers[self.who] = n


def pool_with(*libraries, size=3):
    pool = Pool()
    pool.blas._libraries = list(libraries)
    pool.size = size
    return pool


def taken(parts):
    """Work that waits until each part has a thread of its own: quick parts would all be done by the caller."""
    together = threading.Barrier(parts)
    return lambda: together.wait(10)


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


@pytest.mark.parametrize("size", [2, 3])
def test_the_caller_begins_earlier_and_does_more(library, monkeypatch, size):
    monkeypatch.setattr(threads, "WORTHWHILE_SECONDS", 0)
    threads._pool.size, calls, seconds = size, {}, 5 * threads.LATE_SECONDS
    assert split(1000, lambda part, first, last: calls.update({part: last - first}), seconds) == size
    caller, *workers = (calls[part] for part in range(size))
    assert max(workers) - min(workers) <= 1
    assert caller - workers[0] == pytest.approx(1000 / 5, abs=2)
    assert sum(calls.values()) == 1000


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_tasks_at_the_same_time(library, size, number):
    """Two short ones on two threads; else one after the other, and each may split its work."""
    threads._pool.size, done, short = size, {}, threads.SHORT_SECONDS / 2
    both = taken(2) if size == number == 2 else lambda: None

    def task(i):
        both()
        done[i] = threading.current_thread().name, split(6, lambda *part: None, WORTH_IT)

    threads.together(short, *[partial(task, i) for i in range(number)])
    here = threading.current_thread().name
    if size == number == 2:
        assert done == {0: (here, 1), 1: ("tinygrad_cnn-1", 1)}
    else:
        assert done == dict.fromkeys(range(number), (here, size))


def test_long_tasks_and_very_short_ones_follow_each_other(library):
    threads._pool.size, done = 2, []
    for seconds in (threads.SHORT_SECONDS, threads.WORTHWHILE_SECONDS / 2):
        threads.together(seconds, *[lambda i=i: done.append((i, threading.current_thread().name)) for i in (0, 1)])
    here = threading.current_thread().name
    assert done == [(0, here), (1, here)] * 2


def test_the_parts_run_at_the_same_time(library):
    together = threading.Barrier(3)
    names = set()

    def work(part, first, last):
        together.wait(10)
        names.add(threading.current_thread().name)

    assert split(3, work, WORTH_IT) == 3
    assert names == {threading.current_thread().name, "tinygrad_cnn-1", "tinygrad_cnn-2"}


def test_many_short_calls_stay_here(library):
    """Threads that come out of short calls would wait for Python's lock as long as they work."""
    calls = 10 * threads.FEW_CALLS
    for seconds, parts in ((9 * threads.WORTHWHILE_SECONDS, 1), (11 * threads.WORTHWHILE_SECONDS, 3)):
        assert split(100, lambda *part: None, seconds, calls) == parts
        assert split(100, lambda *part: None, seconds) == 3


def test_little_work_stays_here(library):
    seen = []
    assert split(100, lambda *part: seen.append((part, threading.current_thread())), 1e-6) == 1
    assert seen == [((0, 0, 100), threading.current_thread())]
    assert threads._pool._workers == []


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_errors_of_workers_are_raised_here(library, failing):
    finished, together = [], taken(3)

    def work(part, first, last):
        together()
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
    together = taken(3)

    def work(part, first, last):
        together()
        if part:
            time.sleep(0.02 * (3 - part))
            raise KeyError(f"part {part}")

    with pytest.raises(KeyError, match="part 1"):
        split(3, work, WORTH_IT)
    with pytest.raises(KeyError, match="part 0"):  # whoever does the parts
        split(3, lambda part, *rest: (_ for _ in ()).throw(KeyError(f"part {part}")), WORTH_IT)


def test_a_part_is_not_split_again(library):
    """A worker that waited for workers could wait for ever; and numbers must not depend on who does a part."""
    inner, together = {}, taken(3)

    def work(part, first, last):
        together()
        inner[part] = split(5, lambda *part: None, WORTH_IT)

    split(3, work, WORTH_IT)
    assert inner == {0: 1, 1: 1, 2: 1}
    assert split(5, lambda *part: None, WORTH_IT) == 3  # and then again


def test_parts_that_nobody_has_begun_are_done_here(library):
    """Workers that are busy, or have not woken up, cost no waiting."""
    together, busy, leave = taken(3), threading.Event(), threading.Event()

    def other():
        split(3, lambda *part: (together(), busy.set(), leave.wait(10)), WORTH_IT)

    user = threading.Thread(target=other)
    user.start()
    assert busy.wait(10)
    try:
        seen, array = {}, np.zeros(3)
        gone = weakref.ref(array)
        assert split(3, lambda part, *rest, array=array: seen.update({part: threading.current_thread()}), WORTH_IT) == 3
        assert seen == dict.fromkeys(range(3), threading.current_thread())
        del array
        assert gone() is None  # busy workers have been handed parts, but not what they work on
        assert not leave.is_set()
    finally:
        leave.set()
        user.join(10)
    assert not user.is_alive()
    done = []
    split(3, lambda part, *rest: done.append(part), WORTH_IT)  # the workers go on, and do no part a second time
    assert sorted(done) == [0, 1, 2]


def test_without_threads_from_the_system_all_is_done_here(library, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Worker, "start", refuse)
    seen = []
    assert split(3, lambda *part: seen.append(part), WORTH_IT) == 3
    assert sorted(seen) == [(0, 0, 1), (1, 1, 2), (2, 2, 3)]
    assert library.num_threads == 4


# Ctrl-C


def test_ctrl_c_in_a_part_waits_for_workers_and_drops_what_nobody_has_begun(library):
    written, begun = [], threading.Event()

    def work(part, first, last):
        if part == 0:
            assert begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        written.append(part)

    with pytest.raises(KeyboardInterrupt):
        split(3, work, WORTH_IT)
    at_the_end = list(written)
    assert at_the_end  # whoever had begun has finished
    time.sleep(0.1)
    assert written == at_the_end
    assert library.num_threads == 4
    assert split(3, lambda *part: None, WORTH_IT) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself")
@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals arrive in the main thread only"
)
def test_ctrl_c_at_any_moment(library):
    """Signals in the midst of splits: they arrive, nobody writes afterwards, the limit is lifted, the pool works."""
    writing = set()

    def work(part, first, last):
        writing.add(part)
        np.sqrt(np.ones(20_000))
        writing.discard(part)

    split(3, work, WORTH_IT)
    draw, arrived = np.random.default_rng(0), 0
    for delay in draw.uniform(0, 4e-3, 60):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            while True:
                split(3, work, WORTH_IT)
        except KeyboardInterrupt:
            arrived += 1
        writing.discard(0)  # this thread's own part was cut short, perhaps others that it did
        others = {part for part in writing if part}
        time.sleep(0.002)
        assert others == {part for part in writing if part}, "a worker still writes"
        writing.clear()
        assert library.num_threads == 4
        assert not threads._pool.blas._users
    assert arrived == 60
    assert split(3, work, WORTH_IT) == 3
    assert len(threads._pool._workers) == 2


def test_a_second_ctrl_c_while_waiting_for_workers(library, monkeypatch):
    """The wait goes on: else a worker would write into arrays that have a new owner."""
    task_news, interrupts = threads.queue.SimpleQueue, iter([KeyboardInterrupt, KeyboardInterrupt])

    class News:
        def __init__(self):
            self.queue = task_news()
            self.put = self.queue.put

        def get(self):
            if (error := next(interrupts, None)) is not None:
                raise error
            return self.queue.get()

    begun, finished = threading.Event(), []

    def work(part, first, last):
        if part == 0:
            assert begun.wait(10)
            monkeypatch.undo()
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        finished.append(part)

    split(3, lambda *part: None, WORTH_IT)  # workers have queues of their own
    task = threads.Task(lambda part: work(part, part, part + 1), 2)
    task.news = News()
    with pytest.raises(KeyboardInterrupt):
        task.lead(threads._pool.workers(1))
    assert finished == [1]


@pytest.mark.parametrize(("interrupts", "left"), [(1, 6), (2, 1)])
def test_an_interrupt_while_the_limit_is_lifted_does_not_lose_the_number(interrupts, left):
    class Interrupted(FakeLibrary):
        def set(self, n):
            nonlocal interrupts
            if n != 1 and interrupts:
                interrupts -= 1
                raise KeyboardInterrupt
            super().set(n)

    library = Interrupted(6)
    blas = pool_with(library).blas
    with pytest.raises(KeyboardInterrupt):
        blas.alone(lambda: None)
    assert library.num_threads == left
    blas.alone(lambda: None)  # at the latest the next call lifts it
    assert library.num_threads == 6


# Two at once


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


@pytest.mark.parametrize("failing", [0, 2])
def test_an_error_does_not_keep_the_arrays_of_its_task(library, failing):
    """Without the help of the garbage collector."""
    import gc

    class Thing:
        pass

    def failed():
        thing, together = Thing(), taken(3)

        def work(part, first, last, thing=thing):
            together()
            if part == failing:
                raise KeyError(part)

        with pytest.raises(KeyError):
            split(3, work, WORTH_IT)
        return weakref.ref(thing)

    gc.disable()
    try:
        gone = failed()
        for _ in range(100):
            if gone() is None:
                break
            time.sleep(0.01)
        assert gone() is None
    finally:
        gc.enable()


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

    def outer():
        blas.alone(lambda: seen.append(library.num_threads))
        with pytest.raises(ZeroDivisionError):
            blas.alone(lambda: 1 / 0)
        seen.append(library.num_threads)

    seen = []
    blas.alone(outer)
    assert seen == [1, 1]
    assert library.num_threads == 4


def overlapping(blas, number):
    """A second thread enters while the first is inside, and leaves after it; gives `number()` where they are."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    def second():
        seen.append(number())
        inside.set()
        leave.wait(10)
        seen.append(number())

    def first():
        thread.start()
        assert inside.wait(10)
        seen.append(number())

    thread = threading.Thread(target=lambda: blas.alone(second))
    blas.alone(first)
    seen.append(number())
    leave.set()
    thread.join(10)
    return [*seen, number()]


def test_users_that_overlap_in_time():
    """The first in is the first out: the second must not give back the 1 it found."""
    library = FakeLibrary(6)
    assert overlapping(pool_with(library).blas, library.get) == [1, 1, 1, 1, 6]


def test_users_that_overlap_where_each_thread_has_a_number_of_its_own():
    """As in MKL, and in OpenBLAS with OpenMP."""
    library = FakeLibrary(6, per_thread=True)
    assert overlapping(pool_with(library).blas, library.get) == [1, 1, 6, 1, 6]


def test_workers_are_limited_where_each_thread_has_a_number_of_its_own(monkeypatch):
    library, together, seen = FakeLibrary(4, per_thread=True), taken(3), []
    monkeypatch.setattr(threads, "_pool", pool_with(library))
    split(3, lambda *part: (together(), seen.append(library.num_threads)), WORTH_IT)
    assert seen == [1, 1, 1]
    assert library.num_threads == 4


def test_a_number_set_while_workers_run_counts_afterwards():
    library, seen = FakeLibrary(6), []
    blas = pool_with(library).blas
    blas.alone(lambda: (blas.set(2), seen.append(library.num_threads)))
    assert seen == [1]
    assert library.num_threads == 2


def test_several_libraries_get_their_own_numbers_back():
    first, second, seen = FakeLibrary(6), FakeLibrary(3), []
    pool_with(first, second).blas.alone(lambda: seen.extend([first.num_threads, second.num_threads]))
    assert seen == [1, 1]
    assert (first.num_threads, second.num_threads) == (6, 3)


def blas_threads():
    """The numbers of threads of this process's BLAS libraries, by threadpoolctl."""
    from threadpoolctl import threadpool_info

    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.fixture
def real():
    """A guard of this process's BLAS, which has three threads; and a function that gives their number."""
    blas, before = Blas(), blas_threads()
    if not blas.libraries:
        pytest.skip("threadpoolctl cannot limit this BLAS")
    blas.set(3)
    yield blas, lambda: blas_threads()[0]
    for library, n in zip(blas.libraries, before):
        library.set(n)


def test_the_real_library_is_limited_and_given_back(real):
    blas, number = real
    assert (blas.alone(number), number()) == (1, 3)


def test_the_real_library_is_limited_in_every_thread(real):
    """threadpoolctl lets one thread set the number and ignores all others; two may train."""
    blas, number = real
    per_thread = blas.libraries[0].per_thread
    assert overlapping(blas, number) == [1, 1, 3 if per_thread else 1, 1, 3]
    other = []
    thread = threading.Thread(target=lambda: blas.alone(lambda: other.append(number())))
    thread.start()
    thread.join(10)
    assert other == [1]
    assert number() == 3


@pytest.mark.parametrize(
    ("internal_api", "layer", "per_thread"),
    [("mkl", "intel", True), ("openblas", "openmp", True), ("blis", "pthreads", False), ("flexiblas", None, False)],
)
def test_whose_number_it_is(internal_api, layer, per_thread):
    class Controller:
        num_threads, threading_layer, filepath = 2, layer, "nowhere"
        get_num_threads = set_num_threads = staticmethod(lambda *n: 7)

    Controller.internal_api = internal_api
    library = Library(Controller())
    assert library.per_thread == per_thread
    assert library.get() == 7


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


def test_threads_that_begin_at_once_look_for_the_libraries_once(monkeypatch):
    """Were they found twice, the second time while one works, its limit would be remembered as the number before."""
    import threadpoolctl

    both, library = threading.Barrier(2), FakeLibrary()

    class Controller:
        def __init__(self):
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # here the second one comes, too, if nobody holds it up

        def select(self, **by):
            return self

        @property
        def lib_controllers(self):
            return [library]

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Controller)
    monkeypatch.setattr(threads, "Library", lambda controller: controller)
    blas, found = threads.Blas(), []
    users = [threading.Thread(target=lambda: found.append(blas.libraries)) for _ in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert found[0] is found[1]


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


@pytest.mark.parametrize(("value", "n"), [("3", 3), (" 2 ", 2), ("1", 1), ("64", 64), ("", 5), ("  ", 5)])
def test_the_environment_may_say_how_many(monkeypatch, value, n):
    library = FakeLibrary()
    monkeypatch.setattr(threads, "_pool", pool_with(library, size=None))
    monkeypatch.setattr(threads, "cpu_count", lambda: 5)
    monkeypatch.setenv("TINYGRAD_CNN_NUM_THREADS", value)
    assert tcnn.get_num_threads() == n
    assert library.num_threads == 4  # NumPy's own products are not ours
    monkeypatch.setenv("TINYGRAD_CNN_NUM_THREADS", "7")
    assert tcnn.get_num_threads() == n  # read once
    tcnn.set_num_threads(2)
    assert tcnn.get_num_threads() == 2


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "all", "1e3", "²"])
def test_an_environment_that_says_nonsense(monkeypatch, value):
    monkeypatch.setattr(threads, "_pool", pool_with(FakeLibrary(), size=None))
    monkeypatch.setattr(threads, "cpu_count", lambda: 5)
    monkeypatch.setenv("TINYGRAD_CNN_NUM_THREADS", value)
    with pytest.warns(tcnn.TinygradCnnWarning) as warned:
        assert tcnn.get_num_threads() == 5
    message = str(warned[0].message)
    for words in (f"TINYGRAD_CNN_NUM_THREADS={value!r}", "whole number", "5 cores", "unset it", "set_num_threads"):
        assert words in message
    assert tcnn.get_num_threads() == 5  # and not another word


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
    threads.respect_quota()
    assert library.num_threads == 4
    monkeypatch.setattr(threads, "cgroup_quota", lambda: 2.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    threads.respect_quota()
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
    deadline = time.monotonic() + 60
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
    assert Worker(1, Blas()).daemon


def test_contexts_of_the_caller_do_not_reach_workers(library):
    """Workers see arrays only; kernels must not depend on `no_grad` or overrides."""
    seen, together = {}, taken(3)

    def work(part, first, last):
        together()
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
