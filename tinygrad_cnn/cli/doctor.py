"""`doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tinygrad_cnn.about import install
from tinygrad_cnn.cli import blas as kernels
from tinygrad_cnn.cli.console import console, say

REQUIRED = ("numpy", "threadpoolctl", "safetensors", "graphviz", "typer", "rich")
OPTIONAL = {
    "scikit-learn": "the digits data set",
    "matplotlib": "figures",
    "pillow": "reading pictures",
    "pygraphviz": "drawing graphs without Graphviz",
}


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
    """The library that multiplies NumPy's matrices, how fast it does, and whether it could be faster."""
    from tinygrad_cnn.kernels.threads import cpu_count

    libraries = kernels.libraries()
    if not libraries:
        yield "BLAS", "one that threadpoolctl does not know (on macOS: Accelerate); one worker thread is used", ""
    here, flags = kernels.speed(), kernels.processor_flags()
    for library in libraries:
        core = library.get("architecture") or "unknown"
        text = f"{library['internal_api']} {library.get('version') or ''}, core type {core}, {here:.0f} GFLOP/s a core"
        if kernels.slower(library):
            more, remedy = better(core, here)
        else:
            chosen = library["internal_api"] == "openblas" and core != "unknown" and flags
            more, remedy = ", the best for this processor" if chosen else "", ""
        yield "BLAS", f"{text}{more}", remedy
        if library["num_threads"] > cpu_count():
            remedy = (
                f"the BLAS has {library['num_threads']} threads for {cpu_count()} cores, which slows down NumPy's own "
                f"matrix products; tinygrad_cnn.set_num_threads({cpu_count()}) gives both that number"
            )
            yield "", "", remedy
    wide = "not known" if not flags else "yes" if flags >= kernels.AVX512 else "no"
    yield "processor", f"{platform.processor() or platform.machine()}, AVX-512: {wide}", ""


def better(core: str, here: float) -> tuple[str, str]:
    """What the kernels that OpenBLAS has not chosen would bring, measured; and how to have them."""
    best, variable = kernels.BEST, kernels.VARIABLE
    there = kernels.speed_with(best)
    if there is None or there < 1.1 * here:
        return f"; core type {best} is not faster here" if there else f"; core type {best} cannot be measured", ""
    times = f"{there / here:.1f} times as fast"
    if variable in os.environ:
        remedy = f"{variable} is set to {core}; the {best} kernels are {times}: unset or change it"
    else:
        remedy = (
            f"OpenBLAS chose its {core} kernels on a processor with AVX-512; its {best} kernels are {times}. "
            f"{', '.join(kernels.COMPUTING)} start themselves with them; your own programs do with the environment "
            f"variable {variable}={best}, set before Python starts"
        )
    return f"; with {best} {there:.0f}, {times}", remedy


def threads() -> Iterator[Finding]:
    """How many cores there are and how many may be used."""
    from tinygrad_cnn.kernels.threads import VARIABLE, cgroup_quota, get_num_threads

    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cgroup_quota()
    limit = "no container limit" if quota is None else f"container limit {quota:g}"
    asked = f" ({VARIABLE}={os.environ[VARIABLE]})" if os.environ.get(VARIABLE) else ""
    yield (
        "threads",
        f"{get_num_threads()} used{asked}; {os.cpu_count()} cores, {affinity} allowed to this process, {limit}",
        "",
    )


def gpu() -> Iterator[Finding]:
    """The GPUs that --device cuda would use, or why there is none."""
    from tinygrad_cnn import cuda

    problem = cuda.problem()
    if problem is not None:
        yield "GPU", f"none: {problem}", ""
        return
    for index in range(cuda.device_count()):
        device = f"cuda:{index}"
        free, total = cuda.mem_get_info(device)
        major, minor = cuda.get_device_capability(device)
        what = f"{cuda.get_device_name(device)}, compute capability {major}.{minor}"
        yield "GPU", f"{what}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free; usable with --device {device}", ""
    names = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
    cupy = next((f"{version} ({name})" for name in names if (version := installed(name))), "of unknown version")
    yield "CUDA", f"CuPy {cupy}; made for CUDA {cuda.version()}, the driver takes up to {cuda.driver_version()}", ""


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
