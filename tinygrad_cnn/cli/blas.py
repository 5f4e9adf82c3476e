"""OpenBLAS's kernels: whether it chose the best ones for this processor, what others cost, and starting with better.

OpenBLAS brings matrix products for many kinds of processors ("core types") and chooses when it is loaded. Its choice is
sometimes an older one with half as wide registers. The choice can be made for it, but only before NumPy is imported.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from tinygrad_cnn.kernels.threads import respect_quota, split

VARIABLE = "OPENBLAS_CORETYPE"
BEST = "SkylakeX"
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
# the names OpenBLAS gives to its kernels that use AVX-512
AVX512_CORES = ("skylakex", "cooperlake", "sapphirerapids")
# the commands that compute for long; `doctor` is to see what other programs get
COMPUTING = ("train", "evaluate", "predict")


def processor_flags() -> set[str]:
    """What the processor can do, as Linux lists it; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()


def libraries() -> list[dict[str, Any]]:
    """The BLAS libraries in this process, as threadpoolctl describes them; NumPy's, after it is imported."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # so that it is loaded
    return [library for library in threadpool_info() if library["user_api"] == "blas"]


def slower(library: Mapping[str, Any]) -> bool:
    """Whether OpenBLAS uses kernels without AVX-512 on a processor that has it."""
    core = library.get("architecture")
    if library["internal_api"] != "openblas" or core is None:
        return False
    return core.lower() not in AVX512_CORES and processor_flags() >= AVX512


def prepare() -> None:
    """Make a command that computes for long as fast as it can be; for the command's own process only."""
    if is_command() and sys.argv[1] in COMPUTING:
        restart()
        respect_quota()


def restart() -> None:
    """Start this program again, once, with the better kernels of OpenBLAS, where its own choice is slower.

    On Linux only, where a process can become another program and keep its number, files and terminal. The variable
    that is set for it tells the second start from the first; whoever has set it himself has his way.
    """
    if sys.platform != "linux" or VARIABLE in os.environ or not processor_flags() >= AVX512:
        return
    if any(map(slower, libraries())):
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(OSError):  # else it is slower, no more
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {VARIABLE: BEST})


def is_command() -> bool:
    """Whether this process is the command, with its own arguments, and not a program that calls it."""
    name = Path(sys.argv[0])
    ours = name.name in ("tinygrad-cnn", "tcnn") or name.parts[-2:] == ("tinygrad_cnn", "__main__.py")
    arguments = sys.argv[1:]
    return bool(ours and arguments and sys.executable and sys.orig_argv[-len(arguments) :] == arguments)


def speed(n: int = 512, seconds: float = 0.15) -> float:
    """Floating-point operations per second, in billions, of float32 matrix products n×n on one core here and now."""
    import numpy as np

    a = np.ones((n, n), np.float32)
    times: list[float] = []
    end = perf_counter() + seconds
    while not times or perf_counter() < end:
        start = perf_counter()
        split(1, lambda *part: a @ a, 0)
        times.append(perf_counter() - start)
    return 2 * n**3 / min(times) / 1e9


def speed_with(core: str) -> float | None:
    """`speed()` of a process of its own with these kernels; None if it cannot be measured."""
    command = [sys.executable, "-c", "from tinygrad_cnn.cli import blas; print(blas.speed())"]
    environment = os.environ | {VARIABLE: core}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return float(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
