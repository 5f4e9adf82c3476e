"""A small process between the checker and a student's: it starts the student's, and nothing of that outlives it.

Started as `python -I -S keeper.py`, with the order on the first line of its standard input: JSON with `token`,
`folder`, `command`, `memory`. When the student's process ends, or the checker says stop (anything on standard input),
or the checker is gone (its end of the pipe closes), everything that was started is ended. It speaks on standard output,
in lines like the student's: `[token, "pid", …]`, and at the end `[token, "ended", [status, why]]`.

Standard library only; it starts in some 20 ms.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import system  # type: ignore[import-not-found]  # the neighbour of this script


def tell(token: str, kind: str, told: object) -> None:
    """One line to the checker; the student's process may have left half a line behind."""
    data = b"\n" + json.dumps([token, kind, told]).encode() + b"\n"
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass  # the checker is gone


def keep(token: str, folder: str, command: list[str], memory: int) -> None:
    """Run a command to its end, and end what it leaves behind."""
    system.adopt_orphans()
    student = subprocess.Popen(command, stdin=subprocess.DEVNULL, **system.own_group())
    tell(token, "pid", student.pid)
    why: list[str] = []

    def listen() -> None:
        why.append("stop" if sys.stdin.buffer.read(1) else "gone")
        system.end_group(student.pid)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            status = student.wait(system.watched())
            break
        except subprocess.TimeoutExpired:
            if system.resident(student.pid) > memory:
                why.append("memory")
                system.end_group(student.pid)
    system.end_all(student.pid)
    if "gone" in why:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    tell(token, "ended", [status, why[0] if why else ""])
    os._exit(0)  # the listening thread need not end


if __name__ == "__main__":
    line = sys.stdin.buffer.readline()
    if line.endswith(b"\n"):
        keep(**json.loads(line))
