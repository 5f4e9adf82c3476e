"""The optimizers' rules a block at a time: no array as large as a parameter is made, and threads share the blocks.

`w -= lr·v` over a whole parameter makes an array of products, in pages that the system hands out anew at every step,
and Adam's rule makes ten. The products of a block find the memory of those of the block before, and stay in the cache.
An element's update looks at no other element, so that the rules need not know of blocks: they are those of
`kernels/optimizers.py`, and the results the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.kernels import optimizers as rules
from tinygrad_cnn.kernels.cpu.elementwise import memory_order, row, walk, worth_sharing
from tinygrad_cnn.kernels.cpu.scratch import keep_pages
from tinygrad_cnn.kernels.table import kernel

Array = np.ndarray


def by_blocks(name: str, rule: Callable[..., None], arrays: int, cost: float) -> None:
    """Register a rule for blocks of the parameter and all that belongs to it; an array may be None.

    Args:
        name: The kernel's name.
        rule: For arrays of any size.
        arrays: So many arrays of a block are worked on at a time.
        cost: Nanoseconds for an element.
    """

    @kernel(name, backend="cpu")
    def step(w: Array, *others: Array | None, **numbers: Any) -> None:
        keep_pages()  # a rule makes arrays
        if not worth_sharing(w.size, cost):
            return rule(w, *others, **numbers)
        dw, *memory = [a for a in others if a is not None]
        order = memory_order(w)
        rows = [row(a, order) for a in (w, dw, *memory)]
        views = all(np.may_share_memory(a, r) for a, r in zip((w, *memory), (rows[0], *rows[2:])))
        if not views or any(isinstance(value, np.ndarray) for value in numbers.values()):
            return NotImplemented

        def work(w: Array, *pieces: Array) -> None:
            piece = iter(pieces)
            rule(w, *[None if a is None else next(piece) for a in others], **numbers)

        return walk(work, rows, w.dtype, cost, arrays=arrays)


by_blocks("sgd_step", rules.sgd_step, arrays=4, cost=0.7)
by_blocks("adam_step", rules.adam_step, arrays=6, cost=2.2)
by_blocks("rmsprop_step", rules.rmsprop_step, arrays=6, cost=1.5)
