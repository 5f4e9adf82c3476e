"""What differs between Linux, macOS and Windows: how processes are kept together, limited, and ended.

Needs the standard library only, and little of it: the checker, the keeper and the student's process all load it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import time
from typing import Any

LINUX = sys.platform.startswith("linux")
WINDOWS = os.name == "nt"
#: In the environment of all that belongs to one run.
MARK = "TINYGRAD_CNN_EXERCISE"

# prctl
_DIE_WITH_PARENT, _ADOPT_ORPHANS, _NO_NEW_RIGHTS, _FILTER = 1, 36, 38, 22

# system calls by machine: the kernel's name of the machine, those that are refused, those that may be aimed at oneself
# only, clone (which makes threads and processes), clone3 (which does the same in a way a filter cannot look into)
_CALLS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], int, int]] = {
    "x86_64": (
        0xC000003E,
        # fork, vfork, execve, execveat, tkill, ptrace, process_vm_readv/writev, pidfd_send_signal, pidfd_open,
        # unshare, mknod, mknodat, socket
        (57, 58, 59, 322, 200, 101, 310, 311, 424, 434, 272, 133, 259, 41),
        (62, 234, 129, 297),  # kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo
        56,
        435,
    ),
    "aarch64": (
        0xC00000B7,
        (221, 281, 130, 117, 270, 271, 424, 434, 97, 33, 198),
        (129, 131, 138, 240),
        220,
        435,
    ),
}


def own_group() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a process that Ctrl-C does not reach, and that is ended with its children."""
    if WINDOWS:
        return {"creationflags": 0x00000200 | 0x08000000}  # a new process group, no window
    return {"start_new_session": True}


def end_group(pid: int) -> None:
    """End a process and its group; on Windows with all it has started."""
    if WINDOWS:
        import subprocess

        command = ["taskkill", "/F", "/T", "/PID", str(pid)]
        with contextlib.suppress(OSError):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return
    for end in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            end(pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none is lost (Linux)."""
    _prctl(_ADOPT_ORPHANS, 1)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends (Linux)."""
    _prctl(_DIE_WITH_PARENT, getattr(signal, "SIGKILL", 9))


def end_all(group: int, seconds: float = 1.0) -> None:
    """End what a process of this group has left behind; called by its parent, which has adopted all orphans."""
    if not LINUX:
        end_group(group)
        return
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return  # no child is left, and so no descendant
        end(descendants(os.getpid()))
        time.sleep(0.002)


def end(processes: list[int]) -> None:
    """End processes, the first stopped first, so that none of them starts new ones meanwhile."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes:
            with contextlib.suppress(OSError):
                os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """All processes that descend from one (Linux)."""
    children: dict[int, list[int]] = {}
    for number in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{number}/stat", "rb") as file:
            children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(number)
    found = list(children.get(pid, ()))
    for child in found:  # it grows
        found += children.get(child, ())
    return found


def strays(mark: str) -> list[int]:
    """All processes of a run, wherever they have gone, known by their environment (Linux)."""
    found, wanted = [], f"{MARK}={mark}".encode()
    for number in _processes():
        with contextlib.suppress(OSError), open(f"/proc/{number}/environ", "rb") as file:
            if wanted in file.read().split(b"\0"):
                found.append(number)
    return found


def _processes() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return []


def limit(memory: int, files: int, seconds: float) -> list[str]:
    """Limit this process: address space on top of what is used now, size of files, processor time, no core dumps.

    Returns:
        What could not be limited, in words.
    """
    try:
        import resource
    except ImportError:  # Windows
        return ["On this system neither memory nor the size of files is limited; the time is."]
    # processor time counts for all threads; it only matters if nobody else is left to end the process
    wanted = [
        ("the size of core dumps", resource.RLIMIT_CORE, 0),
        ("the size of files", resource.RLIMIT_FSIZE, files),
        ("processor time", resource.RLIMIT_CPU, int(4 * seconds) + 10),
    ]
    notes = []
    if LINUX:
        with open("/proc/self/statm", "rb") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        wanted.append(("memory", resource.RLIMIT_AS, used + memory))
    else:
        notes.append("On this system memory is looked at a few times a second rather than limited by the kernel.")
    for what, kind, most in wanted:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):
            notes.append(f"On this system {what} could not be limited.")
    return notes


def watched() -> float | None:
    """Seconds from one look at the memory of a student's process to the next; None where the kernel limits it."""
    return None if LINUX or WINDOWS else 0.25


def resident(pid: int) -> int:
    """Bytes of memory a process takes, 0 if unknown."""
    import subprocess

    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=2, check=False)
        return int(told.stdout) * 1024
    return 0


def forbid_processes() -> bool:
    """Have the Linux kernel refuse, from now on and for good, that this process starts or touches another one.

    A filter of system calls ("seccomp"), a program for a little machine of the kernel's: load a number, compare, jump.
    Threads are let through, and so are signals to oneself.

    Returns:
        Whether it does.

    Source: Linux, Documentation/userspace-api/seccomp_filter.rst; McCanne & Jacobson 1993, "The BSD packet filter".
    """
    machine = os.uname().machine if LINUX else ""
    if machine not in _CALLS:
        return False
    import ctypes

    architecture, refused, own_only, clone, clone3 = _CALLS[machine]
    load, equal, at_least, any_bit, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    yes, no, unknown = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # allowed; "not permitted"; "no such call"
    thread, call, first_argument = 0x00010000, 0, 16
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, no), (load, 0, 0, call)]
    program += [(at_least, 0, 1, 0x40000000), (answer, 0, 0, no)]  # the x86 calls of another numbering
    for number in refused:
        program += [(equal, 0, 1, number), (answer, 0, 0, no)]
    program += [(equal, 0, 1, clone3), (answer, 0, 0, unknown)]  # the C library then takes clone
    for number, test, wanted in [(clone, any_bit, thread), *((n, equal, os.getpid()) for n in own_only)]:
        program += [(equal, 0, 4, number), (load, 0, 0, first_argument), (test, 0, 1, wanted)]
        program += [(answer, 0, 0, yes), (answer, 0, 0, no)]
    program.append((answer, 0, 0, yes))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    code = b"".join(struct.pack("HBBI", *step) for step in program)
    filter = Program(len(program), code)
    return _prctl(_NO_NEW_RIGHTS, 1) and _prctl(_FILTER, 2, ctypes.addressof(filter))


def _prctl(what: int, *values: int) -> bool:
    """Set something about this process in the Linux kernel; returns whether that worked."""
    if not LINUX:
        return False
    with contextlib.suppress(Exception):  # no ctypes, no such function
        import ctypes

        given = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
        return ctypes.CDLL(None).prctl(ctypes.c_int(what), *given) == 0
    return False
