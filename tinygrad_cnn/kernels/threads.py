"""The batch split over cores: a small pool of threads, with the BLAS library held to one thread inside it.

NumPy lets go of Python's global lock in copies, arithmetic and matrix products, so threads that work on different
samples run at the same time. Splits are static and partial sums are added in worker order: the same number of threads
gives the same bits in every run.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

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


class Blas:
    """The matrix-product library's own threads, limited while our workers run.

    One guard for the process: it counts its users under a lock, so that two training threads, or one inside another,
    neither lift the limit too early nor leave it in place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._libraries: list[Any] = []
        self._before: list[int] = []

    @functools.cached_property
    def controllable(self) -> bool:
        """Whether threadpoolctl can limit the BLAS NumPy uses."""
        from threadpoolctl import ThreadpoolController

        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._libraries = [lib for lib in libraries if lib.num_threads is not None]
        return bool(self._libraries)

    def set(self, n: int) -> None:
        """Give the BLAS library n threads of its own."""
        with self._lock:
            if self._users:  # workers are running: the number counts from when they are done
                self._before = [n] * len(self._libraries)
            elif self.controllable:
                for library in self._libraries:
                    library.set_num_threads(n)

    @contextlib.contextmanager
    def single(self) -> Iterator[None]:
        """One BLAS thread inside the block."""
        with self._lock:
            if not self._users and self.controllable:
                self._before = [library.get_num_threads() for library in self._libraries]
                for library in self._libraries:
                    library.set_num_threads(1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self.restore()

    def restore(self) -> None:
        """Give the library back the threads it had."""
        for library, n in zip(self._libraries, self._before):
            library.set_num_threads(n)
        self._before = []


class Worker(threading.Thread):
    """A thread that runs the functions it is handed, one after the other."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"tinygrad_cnn-{number}", daemon=True)
        self.todo: queue.SimpleQueue[tuple[Callable[[int], None], int, Join]] = queue.SimpleQueue()

    def run(self) -> None:
        """Work until the process ends."""
        with np.errstate(all="ignore"):  # as `Backend.activate` in the thread that asks
            while True:
                function, part, join = self.todo.get()
                try:
                    function(part)
                except BaseException as error:  # handed to the caller, who raises it
                    join.errors.append((part, error))
                finally:
                    join.done.release()
                del function, join  # else the arrays of the last job would live until the next one


class Join:
    """Where the caller waits for the parts it gave away."""

    def __init__(self) -> None:
        self.done = threading.Semaphore(0)
        self.errors: list[tuple[int, BaseException]] = []


class Pool:
    """The process's workers; made at first use, and anew in a forked child, whose threads did not come along."""

    def __init__(self) -> None:
        self.blas = Blas()
        self.size: int | None = None
        self._workers: list[Worker] = []
        self._lock = threading.Lock()

    def threads(self) -> int:
        """Threads in use: as set, else all cores; one where the BLAS cannot be limited."""
        if self.size is None:
            self.size = cpu_count() if self.blas.controllable else 1
            if not self.blas.controllable:
                logger.info("threadpoolctl cannot limit the threads of this BLAS: working with one thread")
        return self.size

    def run(self, function: Callable[[int], None], parts: int) -> None:
        """Call `function(0)` … `function(parts − 1)` at the same time, part 0 here; the first error is raised."""
        with self._lock:
            while len(self._workers) < parts - 1:
                worker = Worker(len(self._workers) + 1)
                worker.start()
                self._workers.append(worker)
            workers = self._workers[: parts - 1]
        join = Join()
        with self.blas.single():
            for part, worker in enumerate(workers, start=1):
                worker.todo.put((function, part, join))
            try:
                function(0)
            finally:  # also after an error here: nobody may still write into the caller's arrays
                for _ in workers:
                    join.done.acquire()
        if join.errors:
            raise min(join.errors, key=lambda pair: pair[0])[1]


_pool = Pool()


def _after_fork() -> None:
    global _pool
    parents, _pool = _pool, Pool()
    _pool.size = parents.size
    parents.blas.restore()  # in the middle of a split, whose thread may not be here to end it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get_num_threads() -> int:
    """Threads a fast kernel splits its batch over."""
    return _pool.threads()


def set_num_threads(n: int) -> None:
    """Use n threads, here and in the BLAS library.

    Raises:
        ValueError: If n is not a positive whole number.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"set_num_threads: {n!r} is not a positive whole number of threads")
    _pool.size = n if _pool.blas.controllable else 1
    _pool.blas.set(n)


def respect_quota() -> None:
    """Keep the BLAS from starting a thread per core of the machine in a container that may use only some of them."""
    if (cgroup_quota() or math.inf) < (os.cpu_count() or 1):
        _pool.blas.set(cpu_count())


# below this, handing work over (some 40 µs) costs more than it saves
WORTHWHILE_SECONDS = 150e-6


def split(n: int, work: Callable[[int, int, int], Any], seconds: float) -> int:
    """Do `work(part, first, last)` for contiguous parts of n items, in parallel where it pays.

    Args:
        n: Number of items, usually samples.
        work: Handles items first … last − 1; `part` numbers the parts from 0.
        seconds: Rough time of all the work on one core.

    Returns:
        The number of parts, so that partial sums can be added in order.
    """
    threads = min(get_num_threads(), n)
    inside = isinstance(threading.current_thread(), Worker)  # a worker that waited for workers could wait for ever
    if threads < 2 or seconds < WORTHWHILE_SECONDS or inside:
        with _pool.blas.single():  # else the library's threads, which wait by spinning, would slow down our own
            work(0, 0, n)
        return 1
    bounds = [n * i // threads for i in range(threads + 1)]
    _pool.run(lambda part: work(part, bounds[part], bounds[part + 1]), threads)
    return threads
