"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores, memory and system."""
    processor, flags = cpu()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor,
        "cores": cores,
        "avx512": sorted(flag for flag in flags if flag.startswith("avx512")),
        "avx2": "avx2" in flags,
        "memory_bytes": memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def cpu() -> tuple[str, set[str]]:
    """The processor's name and what it can do, as Linux lists them; elsewhere a name alone."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), set()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    name = facts.get("model name", platform.machine())
    if {"cpu family", "model"} <= facts.keys():
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name, set(facts.get("flags", "").split())


def memory() -> int | None:
    """Bytes of memory, where the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def line(machine: dict[str, Any]) -> str:
    """The machine in one line.

    >>> line({"processor": "Z80", "cores": 1, "avx512": [], "avx2": False, "memory_bytes": 2**30, "system": "CP/M 2.2",
    ...       "python": "3.11"})
    'Z80, 1 core, without AVX-512, 1.0 GiB; CP/M 2.2, Python 3.11'
    """
    cores = f"{machine['cores']} core{'s' if machine['cores'] != 1 else ''}"
    wide = f"AVX-512 ({', '.join(flag[6:] for flag in machine['avx512'])})" if machine["avx512"] else "without AVX-512"
    size = f", {machine['memory_bytes'] / 2**30:.1f} GiB" if machine["memory_bytes"] else ""
    return f"{machine['processor']}, {cores}, {wide}{size}; {machine['system']}, Python {machine['python']}"


class Others:
    """From now on: how much do other programs work, which the figures suffer from?"""

    def __init__(self) -> None:
        self._began = (time.perf_counter(), _busy(), _own())

    def cores(self) -> float | None:
        """So many cores' worth of time went to others since then; None where the system does not tell.

        All that the processors did, less what this process and those it started (and waited for) did.
        """
        began, busy, own = self._began
        now = _busy()
        if busy is None or now is None:
            return None
        return max(0.0, (now - busy - (_own() - own)) / (time.perf_counter() - began))


def stolen() -> float:
    """Seconds that this machine, a virtual one, wanted to work and its host did not let it; 0 where nobody tells."""
    return (_seconds() or [0.0] * 8)[7]


def _busy() -> float | None:
    """Seconds all processors have worked: user, nice, system, interrupts, stolen."""
    seconds = _seconds()
    return sum(seconds[:3]) + sum(seconds[5:8]) if seconds else None


def _seconds() -> list[float] | None:
    """What all processors did with their time, as Linux counts it."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        return [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
    except (OSError, ValueError):
        return None


def _own() -> float:
    """Seconds this process and its children have worked."""
    return sum(os.times()[:4])
