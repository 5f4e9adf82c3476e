"""Who is measured: this package, with several of OpenBLAS's kernels, PyTorch, and the small frameworks beside it.

| file | what it holds |
|---|---|
| `task.py` | `Task`: what a process times; `CannotRun` |
| `torchlike.py` | networks, layers and loops as PyTorch's users write them; this package takes the same lines |
| `ours.py`, `pytorch.py` | the names that `torchlike` needs, from either of the two |
| `products.py` | this package's matrix products alone |
| `mygrad.py`, `tinygrad.py`, `autograd.py` | the same networks as their own users write them |

Each side's module has `describe()`: versions and threads, and `task(case)`: what to time. It is imported in the side's
own process, never here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The names OpenBLAS gives to its kernels that use AVX-512.
AVX512_CORES = ("SkylakeX", "Cooperlake", "SapphireRapids")
AVX512_FLAGS = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


@dataclass(frozen=True)
class Side:
    """One that is measured.

    Attributes:
        name: On the command line and in the JSON files.
        title: In the tables.
        module: The module of this package that writes its networks.
        environment: Variables its process gets; none are set otherwise.
        peer: A small framework beside this one, measured in fewer processes.
    """

    name: str
    title: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)
    peer: bool = False


OURS = Side("ours", "tinygrad_cnn", "ours")
SIDES = {
    side.name: side
    for side in (
        OURS,
        Side("ours-avx512", "tinygrad_cnn, SkylakeX kernels", "ours", {"OPENBLAS_CORETYPE": "SkylakeX"}),
        Side("ours-avx2", "tinygrad_cnn, AVX2 kernels", "ours", {"OPENBLAS_CORETYPE": "Haswell"}),
        Side("products", "tinygrad_cnn, matrix products alone", "products"),
        Side("pytorch", "PyTorch", "pytorch"),
        Side("mygrad", "MyGrad", "mygrad", peer=True),
        Side("tinygrad-jit", "tinygrad, TinyJit", "tinygrad", {"BENCHMARK_JIT": "1"}, peer=True),
        Side("tinygrad", "tinygrad", "tinygrad", peer=True),
        Side("autograd", "autograd", "autograd", peer=True),
    )
}


def of_no_use(side: Side, core: str, flags: set[str]) -> str | None:
    """Why a side would say nothing new on this machine, or None.

    Args:
        side: The side.
        core: The core type OpenBLAS takes by default.
        flags: What the processor can do.

    >>> of_no_use(SIDES["ours-avx512"], "SkylakeX", AVX512_FLAGS)
    'OpenBLAS takes its SkylakeX kernels by default'
    """
    wanted = side.environment.get("OPENBLAS_CORETYPE")
    if wanted == "SkylakeX":
        if core in AVX512_CORES:
            return f"OpenBLAS takes its {core} kernels by default"
        if not flags >= AVX512_FLAGS:
            return "the processor has no AVX-512"
    if wanted == "Haswell" and core not in AVX512_CORES:
        return f"OpenBLAS takes its {core or 'unknown'} kernels by default"
    return None
