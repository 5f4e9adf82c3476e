"""Random numbers whose whole state is two integers: a seed and how many draws were made.

Every draw gets a Philox stream of its own, numbered by `offset`. So a checkpoint stores two numbers, a mask can be
drawn again in the backward pass instead of being kept, and the same numbers come out on every device: weights are
drawn with NumPy and copied, masks are computed from the counter (kernel `dropout_keep`).

Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

_WORD = 2**64


class Generator:
    """A source of random numbers.

    Args:
        seed: A whole number from 0 to 2⁶⁴ − 2; None draws one from the operating system.
        stream: Up to two whole numbers that select an independent sequence of the same seed, such as
            `(epoch, index)`.

    >>> g = Generator(seed=1)
    >>> bool((g.normal((2, 3)) == Generator(seed=1).normal((2, 3))).all()), g.offset
    (True, 1)
    """

    def __init__(self, seed: int | None = 0, stream: Sequence[int] = ()) -> None:
        if seed is None:
            seed = secrets.randbits(63)
        self._check(seed, stream)
        self.seed = int(seed)
        self.stream = tuple(int(s) for s in stream)
        self.offset = 0

    @staticmethod
    def _check(seed: Any, stream: Sequence[Any]) -> None:
        numbers = [seed, *stream]
        whole = all(isinstance(n, (int, np.integer)) and 0 <= n < _WORD - 1 for n in numbers)
        if not whole or len(stream) > 2:
            raise ValueError(
                f"Generator: seed={seed!r} and at most two numbers of stream={tuple(stream)!r} "
                "must be whole numbers from 0 to 2**64 - 2"
            )

    def __repr__(self) -> str:
        stream = f", stream={self.stream}" if self.stream else ""
        return f"Generator(seed={self.seed}{stream}, offset={self.offset})"

    def take(self) -> tuple[int, int]:
        """Reserve one draw for later: the (seed, offset) from which a kernel computes it, again and again."""
        offset = self.offset
        self.offset += 1
        return self.seed, offset

    def _next(self) -> np.random.Generator:
        seed, offset = self.take()
        return np.random.Generator(philox(seed, offset, self.stream))

    def normal(self, shape: Any = (), mean: float = 0.0, std: float = 1.0) -> Any:
        """Gaussian numbers, float64."""
        return self._next().normal(mean, std, None if shape == () else shape)  # () is one number

    def uniform(self, shape: Any = (), low: float = 0.0, high: float = 1.0) -> Any:
        """Numbers in [low, high), float64."""
        return self._next().uniform(low, high, None if shape == () else shape)

    def integers(self, low: int, high: int, shape: Any = ()) -> Any:
        """Whole numbers in low … high − 1, int64."""
        drawn = self._next().integers(low, high, size=shape)
        return int(drawn) if shape == () else drawn

    def permutation(self, n: int) -> np.ndarray:
        """The numbers 0 … n − 1 in random order."""
        return self._next().permutation(n)

    def manual_seed(self, seed: int) -> Generator:
        """Begin anew with this seed, as a new `Generator(seed)` would; returns the generator itself."""
        self.load_state_dict({"seed": seed, "offset": 0})
        return self

    def initial_seed(self) -> int:
        """The seed."""
        return self.seed

    def state_dict(self) -> dict[str, Any]:
        """The state as plain numbers, for a checkpoint."""
        return {"seed": self.seed, "offset": self.offset, "stream": list(self.stream)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._check(state["seed"], state.get("stream", ()))
        self.seed, self.offset = int(state["seed"]), int(state["offset"])
        self.stream = tuple(int(s) for s in state.get("stream", ()))


def philox(seed: int, offset: int, stream: Sequence[int] = ()) -> np.random.Philox:
    """The Philox4x64-10 stream of one draw: key (seed, stream₁), counter (block, 0, offset, stream₀).

    Numbers of a stream count from 1 here, so that `()`, `(0,)` and `(0, 0)` are three different streams.
    """
    first, second = (*(s + 1 for s in stream), 0, 0)[:2]
    return np.random.Philox(key=(second << 64) | seed, counter=(first << 192) | ((offset % _WORD) << 128))


_shared = Generator(secrets.randbits(63))
_current: ContextVar[Generator] = ContextVar("default_generator", default=_shared)


def default_generator() -> Generator:
    """The generator that is used where none is given."""
    return _current.get()


def manual_seed(seed: int) -> Generator:
    """Restart the default generator, so that a program draws the same numbers in every run.

    Raises:
        ValueError: If the seed is not a whole number from 0 to 2⁶⁴ − 2.

    >>> manual_seed(0)
    Generator(seed=0, offset=0)
    """
    return default_generator().manual_seed(seed)


@contextlib.contextmanager
def use_generator(generator: Generator) -> Iterator[Generator]:
    """Draw from this generator inside the block."""
    token = _current.set(generator)
    try:
        yield generator
    finally:
        _current.reset(token)
