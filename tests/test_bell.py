"""Waiting awake: NumPy stops at the first True, looks without Python's lock, and nothing depends on what is heard."""

import threading
import time

import pytest

from tests.test_threads import WORTH_IT, FakeLibrary, pool_with
from tinygrad_cnn.kernels import bell, threads
from tinygrad_cnn.kernels.bell import Bell
from tinygrad_cnn.kernels.threads import split


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_a_bell_that_rings_ends_the_waiting():
    """Should NumPy no longer stop at the first True, waiting would take its full time, always."""
    one = Bell()
    in_vain = min(seconds(one.listen) for _ in range(5))
    one.ring()
    assert min(seconds(one.listen) for _ in range(5)) < in_vain / 5
    one.hush()
    assert min(seconds(one.listen) for _ in range(5)) > in_vain / 5


def test_it_is_heard_while_others_run_python(monkeypatch):
    """A listening thread has let go of Python's lock, and hears what another one does meanwhile."""
    monkeypatch.setattr(bell, "LOOKS", 1_000_000_000_000)  # many minutes
    one, heard = Bell(), threading.Event()
    thread = threading.Thread(target=lambda: (one.listen(), heard.set()), daemon=True)
    thread.start()
    one.look()  # it says when it begins
    assert one._results[0]
    assert not heard.is_set()
    one.ring()
    assert heard.wait(60)
    thread.join(60)


def test_looking_ends_when_the_thread_listens_again():
    one = Bell()
    one.ring()
    in_vain = min(seconds(one.look) for _ in range(5))
    one.listen()
    assert min(seconds(one.look) for _ in range(5)) < in_vain / 5
    one.ring()
    assert min(seconds(one.look) for _ in range(5)) > in_vain / 5
    one.answer()
    assert min(seconds(one.look) for _ in range(5)) < in_vain / 5


@pytest.mark.parametrize("deaf", ["ring", "listen", "look"])
def test_work_is_done_though_nobody_hears(monkeypatch, deaf):
    """A lost sign costs time only: queues know what there is to do."""
    monkeypatch.setattr(Bell, deaf, lambda self: None)
    monkeypatch.setattr(threads, "_pool", pool_with(FakeLibrary()))
    for n in (3, 7, 50):
        done, everybody = [], threading.Barrier(3)
        split(n, lambda part, first, last: (everybody.wait(10), done.extend(range(first, last))), WORTH_IT)  # noqa: B023
        assert sorted(done) == list(range(n))


@pytest.mark.parametrize(("cores", "listening"), [(1, 0), (2, 1), (8, 2)])
def test_only_workers_with_a_core_of_their_own_wait_awake(monkeypatch, cores, listening):
    listeners = set()
    listen = Bell.listen
    monkeypatch.setattr(Bell, "listen", lambda self: (listeners.add(self), listen(self)))
    monkeypatch.setattr(threads, "cpu_count", lambda: cores)
    monkeypatch.setattr(threads, "_pool", pool_with(FakeLibrary()))
    for _ in range(3):
        everybody = threading.Barrier(3)
        split(3, lambda *part: everybody.wait(10), WORTH_IT)  # noqa: B023
    assert len(listeners) == listening
