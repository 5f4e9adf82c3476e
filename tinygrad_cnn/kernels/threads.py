"""The work split over cores: a small pool of threads, with the BLAS library held to one thread inside it.

NumPy lets go of Python's global lock in copies, arithmetic and matrix products, so threads that work on different
samples run at the same time:

    caller    hands out part 1 ── part 0 ──────────────── waits ── goes on
    worker            wakes up ······ part 1 ─────────────────┘

Splits are static and partial sums are added in the order of the parts: the same number of threads gives the same bits
in every run, whichever thread does which part. Handing work over takes some 10 µs while the workers are awake
(`bell`), 60 µs when they sleep, as they do after half a millisecond without work; what is shorter than
WORTHWHILE_SECONDS stays where it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import logging
import math
import os
import queue
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.backends import CPU
from tinygrad_cnn.kernels.bell import Bell

VARIABLE = "TINYGRAD_CNN_NUM_THREADS"

logger = logging.getLogger(__name__)


def cpu_count() -> int:
    """Cores this process may use: its affinity, cut by the container's quota.

    >>> cpu_count() >= 1
    True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, math.ceil(cgroup_quota() or cores)))


def cgroup_quota() -> float | None:
    """Cores' worth of time the control group grants, or None without a limit (or without control groups)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]  # version 2
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        directory = Path("/sys/fs/cgroup/cpu")  # version 1
        microseconds = int((directory / "cpu.cfs_quota_us").read_text())
        return None if microseconds < 0 else microseconds / int((directory / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None


class Library:
    """A BLAS library in this process: how to read and set its number of threads.

    Attributes:
        get: Gives the number of threads.
        set: Sets it.
        per_thread: Whether every thread has a number of its own; else there is one for the process.
    """

    def __init__(self, controller: Any) -> None:
        self.get: Callable[[], int] = controller.get_num_threads
        self.set: Callable[[int], Any] = controller.set_num_threads
        layer = getattr(controller, "threading_layer", None)
        self.per_thread = controller.internal_api == "mkl" or layer == "openmp"
        if controller.internal_api == "openblas" and not self.per_thread:
            self.get, self.set = openblas_functions(controller.filepath) or (self.get, self.set)


def openblas_functions(path: str) -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """OpenBLAS's own functions for its number of threads.

    Not threadpoolctl's around them: those do nothing, silently, in all threads but the first that used them, and two
    threads may train. Called as PyDLL, with Python's global lock held: they take 0.2 µs, and letting go of the lock
    would invite a worker to take it.
    """
    library = ctypes.PyDLL(path)
    for prefix, suffix in itertools.product(("", "scipy_"), ("", "64_", "_64")):
        with contextlib.suppress(AttributeError):
            get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}")
            set = getattr(library, f"{prefix}openblas_set_num_threads{suffix}")
            set.argtypes, set.restype = [ctypes.c_int], None
            return get, set
    return None


class Blas:
    """The matrix-product library's own threads, limited to one while our code runs.

    One guard for the process. It knows its users, so that two training threads, or one inside another, neither lift
    the limit too early nor leave it in place. Ctrl-C may strike between any two lines below.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: dict[object, list[tuple[Library, int]]] = {}  # each with what it found in its own thread
        self._before: dict[Library, int] = {}
        self._libraries: list[Library] | None = None

    @property
    def libraries(self) -> list[Library]:
        """The BLAS libraries in this process that threadpoolctl can limit; looked for at first use."""
        if self._libraries is None:
            with self._lock:  # of two threads that look at once the second must not find, and remember, a limit of 1
                if self._libraries is None:
                    from threadpoolctl import ThreadpoolController

                    controllers = ThreadpoolController().select(user_api="blas").lib_controllers
                    self._libraries = [Library(each) for each in controllers if each.num_threads is not None]
        return self._libraries

    def set(self, n: int) -> None:
        """Give the libraries n threads of their own; while workers run, from when they are done."""
        with self._lock:
            for library in self.libraries:
                if library in self._before:
                    self._before[library] = n
                else:
                    library.set(n)

    def alone(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function with one BLAS thread, and as workers compute: the bits do not depend on who does a part."""
        user = object()
        try:
            self._limit(user)
            with CPU.activate():
                return function(*args)
        finally:
            try:
                self._lift(user)
            except BaseException:  # Ctrl-C on the way in
                self._lift(user)
                raise

    def _limit(self, user: object) -> None:
        with self._lock:
            found = self._users[user] = []
            for library in self._libraries or self.libraries:
                if library.per_thread:
                    found.append((library, library.get()))
                    library.set(1)
                else:
                    self._before.setdefault(library, library.get())  # a second user finds 1
                    library.set(1)

    def _lift(self, user: object) -> None:
        with self._lock:
            for library, n in self._users.pop(user, ()):
                library.set(n)
            if not self._users:
                self.restore()

    def restore(self) -> None:
        """Give the libraries back the threads they had."""
        for library, n in self._before.items():
            library.set(n)
        self._before.clear()


class Task:
    """One split: its parts, and who does which.

    A part is done by the first thread that takes it: its worker or, if that has not begun when the caller has done
    its own part, the caller. A worker that sleeps takes some 30 µs to wake up, and much longer where other programs
    have the cores; the caller waits only for parts on which somebody is at work. Who does a part does not change its
    numbers.
    """

    def __init__(self, function: Callable[[int], Any], parts: int) -> None:
        self.function = function
        self.takers: dict[int, int] = {}  # part → thread
        self.errors: dict[int, BaseException] = {}
        self.done: set[int] = set()  # by workers
        self.news: queue.SimpleQueue[int] = queue.SimpleQueue()  # one for each part in `done`, after it is there
        self.parts = parts
        self.workers: Sequence[Worker] = ()

    def take(self, part: int) -> bool:
        """Whether this thread is to do the part."""
        me = threading.get_ident()
        return part not in self.takers and self.takers.setdefault(part, me) == me

    def help(self, part: int) -> None:
        """Do a part in a worker, unless it is taken."""
        if self.take(part):
            try:
                self.function(part)
            except BaseException as error:  # for the caller, who raises it
                self.errors[part] = error
            finally:
                self.done.add(part)
                self.news.put(part)

    def lead(self, workers: Sequence[Worker]) -> None:
        """Hand out the parts, do part 0 and all that nobody has taken, and wait for the others; in the caller."""
        try:
            self.workers = workers
            for part, worker in enumerate(workers, start=1):
                worker.todo.put((self, part))
                worker.bell.ring()
            for part in (0, *reversed(range(1, self.parts))):  # the worker that was woken last may still be asleep
                if self.take(part):
                    try:
                        self.function(part)
                    except Exception as error:
                        self.errors[part] = error
        finally:
            try:
                self.end()
            except BaseException:  # Ctrl-C on the way in
                self.end()
                raise
        if self.errors:
            try:
                raise self.errors[min(self.errors)]
            finally:
                self.errors = {}  # the error knows this frame, which knows this task: no cycle

    def end(self) -> None:
        """Take what is left, and wait for workers: from here on nobody writes into the caller's arrays."""
        try:
            me = threading.get_ident()
            others = [part for part in range(self.parts) if self.takers.setdefault(part, me) != me]
            for part in others:
                if part not in self.done:
                    self.workers[part - 1].bell.look()
            while not self.done.issuperset(others):
                self.news.get()
            self.function = _nothing  # a worker that wakes up too late would keep its arrays
        except BaseException:  # Ctrl-C, perhaps not the first
            self.end()
            raise


def _nothing(part: int) -> None:
    pass


class Worker(threading.Thread):
    """A thread that does the parts it is handed, one after the other."""

    def __init__(self, number: int, blas: Blas) -> None:
        super().__init__(name=f"tinygrad_cnn-{number}", daemon=True)
        self.number = number
        self.blas = blas
        self.todo: queue.SimpleQueue[tuple[Task, int]] = queue.SimpleQueue()
        self.bell = Bell()

    def run(self) -> None:
        """Work until the process ends."""
        for library in self.blas.libraries:
            if library.per_thread:
                library.set(1)
        _here.splitting = True
        has_core = self.number < cpu_count()  # else waiting awake would take it from those who work
        with CPU.activate():  # as in the thread that asks, see `alone`
            while True:
                if has_core and self.todo.empty():
                    self.bell.listen()
                else:
                    self.bell.answer()
                task, part = self.todo.get()
                self.bell.hush()
                task.help(part)
                del task  # else the arrays of the last job would live until the next one


class Pool:
    """The process's workers; made at first use, and anew in a forked child, whose threads did not come along."""

    def __init__(self) -> None:
        self.blas = Blas()
        self.size: int | None = None
        self._workers: list[Worker] = []
        self._lock = threading.RLock()

    def threads(self) -> int:
        """Threads in use: as set, else all cores; one where the BLAS cannot be limited."""
        if self.size is None:
            self.size = (asked_for() or cpu_count()) if self.blas.libraries else 1
            if not self.blas.libraries:
                logger.info("threadpoolctl cannot limit the threads of this BLAS: working with one thread")
        return self.size

    def workers(self, number: int) -> list[Worker]:
        """So many workers, or fewer where the system has no more threads to give."""
        with self._lock:
            while len(self._workers) < number:
                worker = Worker(len(self._workers) + 1, self.blas)
                try:
                    worker.start()
                except RuntimeError:  # a limit of the system, or the program is about to end
                    break
                self._workers.append(worker)
            return self._workers[:number]

    def run(self, function: Callable[[int], Any], parts: int) -> None:
        """Call `function(0)` … `function(parts − 1)` at the same time, part 0 here; the first error is raised."""
        _here.splitting = True
        try:
            self.blas.alone(Task(function, parts).lead, self.workers(parts - 1))
        finally:
            _here.splitting = False


class Here(threading.local):
    """What this thread is about."""

    splitting = False  # a part of a split is being done here, or waited for


_here = Here()
_pool = Pool()


def _after_fork() -> None:
    global _pool
    parents, _pool = _pool, Pool()
    _pool.size = parents.size
    _here.splitting = False
    parents.blas.restore()  # in the middle of a split, whose thread may not be here to end it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def asked_for() -> int | None:
    """The number of threads TINYGRAD_CNN_NUM_THREADS asks for."""
    value = os.environ.get(VARIABLE, "").strip()
    if not value:
        return None
    with contextlib.suppress(ValueError):
        if (n := int(value)) > 0:
            return n
    warnings.warn(
        f"{VARIABLE}={value!r}: it must be a whole number of threads, 1 or more; using all {cpu_count()} cores. "
        "Correct it or unset it, or call tinygrad_cnn.set_num_threads(n)",
        TinygradCnnWarning,
        stacklevel=2,
    )
    return None


def get_num_threads() -> int:
    """Threads a fast kernel splits its work over: as set, else TINYGRAD_CNN_NUM_THREADS, else the cores there are."""
    return _pool.threads()


def set_num_threads(n: int) -> None:
    """Use n threads, here and in the BLAS library.

    Raises:
        ValueError: If n is not a positive whole number.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"set_num_threads: {n!r} is not a positive whole number of threads")
    _pool.size = n if _pool.blas.libraries else 1
    _pool.blas.set(n)


def respect_quota() -> None:
    """Keep the BLAS from starting a thread per core of the machine in a container that may use only some of them.

    It changes what NumPy does elsewhere in the process, too; the command line calls it, the library does not.
    """
    if (cgroup_quota() or math.inf) < (os.cpu_count() or 1):
        _pool.blas.set(cpu_count())


# below this, handing work over costs more than it saves; so long must it take for every few calls of NumPy: whoever
# comes out of a call needs Python's lock, and if another thread has it, sleeps, and runs again some 25 µs later
WORTHWHILE_SECONDS, FEW_CALLS = 130e-6, 4
# a worker begins so much later than the caller, who gets that much more to do
LATE_SECONDS = 20e-6

# below this, handing it over once instead of several times makes a difference
SHORT_SECONDS = 1e-2


def split(n: int, work: Callable[[int, int, int], Any], seconds: float, calls: int = 1) -> int:
    """Do `work(part, first, last)` for contiguous parts of n items, in parallel where it pays.

    Args:
        n: Number of items, usually samples.
        work: Handles items first … last − 1; `part` numbers the parts from 0. One thread may do several parts, one
            after the other: what a part leaves for later is kept by part, never by thread.
        seconds: Rough time of all the work on one core.
        calls: How many calls of NumPy it takes, roughly, if it is small.

    Returns:
        The number of parts, so that partial sums can be added in order.
    """
    if _here.splitting:  # a part is not split again, whoever does it: its numbers must not depend on who that was
        work(0, 0, n)
        return 1
    threads = min(_pool.size or _pool.threads(), n)
    if threads < 2 or seconds < WORTHWHILE_SECONDS * max(1, calls / FEW_CALLS):
        # alone, too: the library's threads wait by spinning, and would take the cores of the next kernel's workers
        _pool.blas.alone(work, 0, 0, n)
        return 1
    late = n * LATE_SECONDS / seconds if seconds > LATE_SECONDS else n  # items the caller has done before workers begin
    each = (n - late) / threads if n - late >= threads else n / threads  # for a worker
    bounds = [0, *(int(n - each * (threads - i) + 0.5) for i in range(1, threads + 1))]
    _pool.run(lambda part: work(part, bounds[part], bounds[part + 1]), threads)
    return threads


def together(seconds: float, *tasks: Callable[[], Any], calls: int = 1) -> None:
    """Do tasks that take about as long, which may split their work: two of them on two threads, a thread each.

    Work that is shared is handed over again for each of its steps; two tasks are handed over once. That pays where
    handing over counts, below SHORT_SECONDS, and only two threads have nothing left to do.

    Args:
        seconds: Rough time of all tasks on one core.
        *tasks: Functions that do not need each other's results; the longest first.
        calls: As for `split`.
    """

    def some(part: int, first: int, last: int) -> None:
        for task in tasks[first:last]:
            task()

    if len(tasks) == get_num_threads() == 2 and seconds < SHORT_SECONDS:
        split(2, some, seconds, calls)
    else:
        some(0, 0, len(tasks))
