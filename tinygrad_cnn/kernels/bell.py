"""Waiting awake: how a thread learns within a few microseconds that there is work for it, or that its work is done.

A thread that sleeps runs again some 25 µs after it was woken, and a step of LeNet-5 hands work over seven times. To
look for a sign again and again, in Python, is no way out: it takes Python's global lock from the very thread that is to
give the sign. So NumPy does the looking. In a long reduction it lets go of the lock; `logical_or` stops at the first
True; and a view with strides of 0 shows the same byte a million times. All of waiting is one reduction of such a
view, row by row:

    row 0      True, True, …    "I am waiting": the result is there at once, and others look at it in the same way
    row 1      bell, bell, …    goes on until somebody rings, for half a millisecond at most
    row 2 …    True, True, …    a moment each, some 9 µs together

In those 9 µs whoever rang comes to a call of NumPy, and lets go of Python's lock. A thread that wanted the lock sooner
would be put to sleep for it.

Nothing but time depends on what is seen here. What was handed over, and whether it is done, is in the queues of
`threads`, and a thread for which nobody rings goes to sleep there.
"""

from __future__ import annotations

import numpy as np

# a look takes half a nanosecond, a row of its own 25 ns
LOOKS, MOMENTS = 1_000_000, 300
# bytes that a processor fetches at once, or two of them: so far from what is looked at nothing is written
APART = 128


class Bell:
    """One thread's bell. The thread listens; others ring, and look until it listens again."""

    def __init__(self) -> None:
        rows = 2 + MOMENTS
        memory = np.ones(APART + rows + APART, bool)[APART:-APART]
        self._rows = np.lib.stride_tricks.as_strided(memory, (rows, LOOKS), (1, 0))
        self._bell = memory[1:2]
        self._results = np.zeros(APART + rows + APART, bool)[APART:-APART]
        self._listens = np.broadcast_to(self._results[:1], LOOKS)
        self.hush()

    def listen(self) -> None:
        """Wait until somebody rings, for a moment."""
        np.logical_or.reduce(self._rows, axis=1, out=self._results)

    def hush(self) -> None:
        """Put an end to the ringing."""
        self._bell[0] = False

    def answer(self) -> None:
        """Have nobody look any longer, though this thread does not listen."""
        self._results[0] = True

    def ring(self) -> None:
        """Call the thread that listens; soon afterwards this one should call NumPy, for some time."""
        self._results[0] = False
        self._bell[0] = True

    def look(self) -> None:
        """Wait until the thread listens again, for a moment."""
        np.logical_or.reduce(self._listens)
