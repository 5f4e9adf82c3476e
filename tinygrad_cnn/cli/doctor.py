"""`doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinygrad_cnn.about import install
from tinygrad_cnn.cli.console import console, say

REQUIRED = ("numpy", "threadpoolctl", "safetensors", "graphviz", "typer", "rich")
OPTIONAL = {
    "scikit-learn": "the digits data set",
    "matplotlib": "figures",
    "pillow": "reading pictures",
    "pygraphviz": "drawing graphs without Graphviz",
}
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
# the names OpenBLAS gives to its kernels that use AVX-512
AVX512_CORES = ("SkylakeX", "Cooperlake", "SapphireRapids")


def doctor() -> None:
    """Prints the examination, one line each, and the advice that follows from it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    advice: list[str] = []
    for part in (versions, blas, threads, gpu, pictures, data_files):
        for name, text, remedy in part():
            table.add_row(name, Text(text))
            if remedy:
                advice.append(remedy)
    console().print(table)
    say()
    say("Everything is there." if not advice else "What could be better:", style="bold")
    for line in advice:
        say(f"- {line}")


Finding = tuple[str, str, str]  # name, what was found, what to do about it (or nothing)


def versions() -> Iterator[Finding]:
    """Python, this package and those it uses."""
    from tinygrad_cnn import __file__, __version__

    yield "tinygrad_cnn", f"{__version__} in {Path(__file__).parent}", ""
    yield "python", f"{platform.python_version()} ({sys.executable}) on {platform.platform()}", ""
    yield "packages", ", ".join(f"{name} {installed(name) or 'MISSING'}" for name in REQUIRED), ""
    missing = [name for name in OPTIONAL if installed(name) is None]
    yield "demo extra", ", ".join(f"{name} {installed(name) or 'missing'}" for name in OPTIONAL), ""
    if missing:
        uses = ", ".join(f"{name} ({OPTIONAL[name]})" for name in missing)
        yield "", "", f"for {uses}: {install('demo')}"
    yield "output", f"{getattr(sys.stdout, 'encoding', None)}, {console().width} columns", ""


def installed(name: str) -> str | None:
    """The version of an installed distribution, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def blas() -> Iterator[Finding]:
    """The library that multiplies NumPy's matrices, and whether it uses the processor's widest registers."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))  # so that it is loaded
    libraries: list[dict[str, Any]] = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        yield "BLAS", "one that threadpoolctl does not know (on macOS: Accelerate); one worker thread is used", ""
    wide = processor_flags() >= AVX512
    for library in libraries:
        core = library.get("architecture") or "unknown"
        text = f"{library['internal_api']} {library.get('version') or ''}, core type {core}"
        slower = library["internal_api"] == "openblas" and wide and core not in AVX512_CORES
        remedy = (
            f"OpenBLAS uses its {core} kernels on a processor with AVX-512; with the environment variable "
            "OPENBLAS_CORETYPE=SkylakeX, set before Python starts, matrix products take less time"
        )
        yield "BLAS", text, remedy if slower else ""
    yield (
        "processor",
        f"{platform.processor() or platform.machine()}, AVX-512: {'yes' if wide else 'no or not known'}",
        "",
    )


def processor_flags() -> set[str]:
    """What the processor can do, as Linux lists it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())


def threads() -> Iterator[Finding]:
    """How many cores there are and how many may be used."""
    from tinygrad_cnn.kernels.threads import cgroup_quota, get_num_threads

    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cgroup_quota()
    limit = "no container limit" if quota is None else f"container limit {quota:g}"
    yield (
        "threads",
        f"{get_num_threads()} used; {os.cpu_count()} cores, {affinity} allowed to this process, {limit}",
        "",
    )


def gpu() -> Iterator[Finding]:
    """The GPUs that --device cuda would use, or why there is none."""
    from tinygrad_cnn import backends

    problem = backends.cuda_problem()
    if problem is not None:
        yield "GPU", f"none: {problem}", ""
        return
    memory = backends.get("cuda").memory()
    sizes = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in memory.items())
    yield "GPU", f"usable with --device cuda; CuPy {installed_cupy()}; {sizes}", ""


def installed_cupy() -> str:
    """The version of CuPy, which has one distribution for each CUDA version."""
    names = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
    return next((f"{version} ({name})" for name in names if (version := installed(name))), "of unknown version")


def pictures() -> Iterator[Finding]:
    """What draws graphs here."""
    from tinygrad_cnn.viz.render import REMEDY, renderers

    found = renderers()
    text = " and ".join(f"{name} ({shutil.which('dot')})" if name == "dot" else name for name in found)
    yield "graph drawing", text or "none; graphs are saved as DOT text", "" if found else f"to draw graphs: {REMEDY}"


def data_files() -> Iterator[Finding]:
    """Where downloaded data sets are kept, and which are there."""
    from tinygrad_cnn.data import cache_dir

    folder = cache_dir()
    names = sorted(path.name for path in folder.iterdir() if _holds_files(path)) if folder.is_dir() else []
    yield "data folder", f"{folder}: {', '.join(names) or 'nothing downloaded yet'} (TINYGRAD_CNN_DATA changes it)", ""


def _holds_files(path: Path) -> bool:
    """Whether there is a finished file: neither an empty folder nor a part of a download that was killed."""
    return any(file.is_file() and file.suffix != ".part" for file in (path, *path.rglob("*")))
