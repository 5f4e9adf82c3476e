"""The checker's side: start a student's process, listen to it, and see to it that it ends.

    checker ── keeper.py ── student.py ── the student's file

What comes from the student's process is read as what it is: something anybody may have written.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pkgutil
import queue
import secrets
import shutil
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn
from tinygrad_cnn.exercises.sandbox import Call, Limits, Problem, Report, system, wire, words

HERE = Path(__file__).parent
#: Seconds: for Python to start; from the moment a process writes down where it is to its end; for the keeper to end.
START, GRACE, END = 60.0, 0.2, 1.0
#: Bytes of one line that is read, and of all.
LINE, ALL = 64 << 20, 512 << 20
#: Files beside the student's that are copied, if they are no larger than a student's may be.
BESIDE = 200


class Garbage(ValueError):
    """What came back is not what our own code sends."""


def run(
    file: Path, functions: Sequence[str], calls: Sequence[Call], limits: Limits, allow: Sequence[str] = ()
) -> Report:
    """See `tinygrad_cnn.exercises.sandbox.run`."""
    file = Path(os.path.abspath(file))
    source = words.Source(file)
    if source.problem:
        return Report(outcomes=[None] * len(calls), problem=source.problem)
    with _scratch(source) as folder:
        return _Run(source, folder, functions, calls, limits, allow).conduct()


class _Run:
    """One run.

    Args:
        source: The student's file.
        folder: The scratch folder, with a copy in `work/`.
        functions, calls, limits, allow: See `run`.
    """

    def __init__(
        self,
        source: words.Source,
        folder: Path,
        functions: Sequence[str],
        calls: Sequence[Call],
        limits: Limits,
        allow: Sequence[str],
    ) -> None:
        self.source, self.folder, self.calls, self.limits = source, folder, calls, limits
        self.report = Report(outcomes=[None] * len(calls))
        # the student's code may find its own process' token and the mark, but not the keeper's token
        self.token, self.keeper_token, self.mark = (secrets.token_hex(8) for _ in range(3))
        self.messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.refused: Problem | None = None
        self.call: int | None = None  # the one that runs
        self.pid = self.thread = 0
        self.ready = 0.0  # when the student's code began
        self.finished = self.over = False  # the student's process told its last; the keeper did
        self.late = False  # the time was up
        self.status, self.why, self.printed = 0, "", bytearray()
        order = {
            "token": self.token,
            "file": source.path.name,
            "paths": _packages(allow),
            "library": str(Path(tinygrad_cnn.__file__).parent),
            "rooms": [module.name for module in pkgutil.iter_modules(tinygrad_cnn.__path__)],
            "functions": list(functions),
            "calls": [{"function": c.function, "message": c.message, "kind": c.kind} for c in calls],
            "limits": {"memory": limits.memory, "files": limits.files, "seconds": limits.seconds},
            "allow": list(allow),
        }
        (folder / "request.json").write_bytes(wire.dumps(order))

    def conduct(self) -> Report:
        """Start, listen, end."""
        started = time.monotonic()
        python = [sys.executable, "-I", "-S", "-B", "-X", "utf8"]
        order = {
            "token": self.keeper_token,
            "folder": str(self.folder),
            "command": [*python, str(HERE / "student.py"), str(self.folder)],
            "memory": self.limits.memory + (256 << 20),  # where it is looked at, Python and NumPy count as well
        }
        self.keeper = subprocess.Popen(
            [*python, str(HERE / "keeper.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(self.mark, self.folder / "work"),
            cwd=self.folder,
            **system.own_group(),
        )
        threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._drain)]
        try:
            for thread in threads:
                thread.start()
            self._command(wire.dumps(order))
            self._attend(started)
            self._end()
            for thread in threads:
                thread.join(END)
            printed = self.printed.decode("utf-8", "replace")
            self.report.printed = printed.replace(str(self.folder / "work"), str(self.source.path.parent))
            self._explain()
        except BaseException:  # Ctrl-C
            self._kill()
            raise
        finally:
            for stream in (self.keeper.stdin, self.keeper.stdout, self.keeper.stderr):
                with contextlib.suppress(OSError):
                    stream.close()  # type: ignore[union-attr]
        self.report.seconds = time.monotonic() - (self.ready or started)
        return self.report

    # ---- two threads: one reads results, one what is printed; so it works on Windows, too

    def _listen(self) -> None:
        assert self.keeper.stdout is not None
        stream, total = self.keeper.stdout.fileno(), 0
        parts: list[bytes] = []  # of a line that has not ended
        while data := _read(stream):
            total += len(data)
            parts.append(data)
            if b"\n" in data:
                *lines, rest = b"".join(parts).split(b"\n")
                parts = [rest]
                for line in lines:
                    self._hear(line)
            if sum(map(len, parts)) > LINE or total > ALL:
                self.messages.put(("garbage", "more than anybody asked for"))
                parts = []
        self.messages.put(("eof", None))

    def _hear(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            token, kind, told = json.loads(line)
            if token != (self.keeper_token if kind in ("pid", "ended") else self.token):
                raise Garbage("not ours")
            self.messages.put((kind, told))
        except Exception:  # anything may be written there: nested too deeply, numbers too long, …
            self.messages.put(("garbage", repr(line[:80])))

    def _drain(self) -> None:
        assert self.keeper.stderr is not None
        stream = self.keeper.stderr.fileno()
        while data := _read(stream):
            self.report.printed_bytes += len(data)
            self.printed += data[: max(0, self.limits.output - len(self.printed))]

    # ---- in the checker's thread

    def _attend(self, started: float) -> None:
        deadline = started + START
        while not self.over:
            try:
                kind, told = self.messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.late = bool(self.ready) and not self.finished
                break
            if kind == "eof":
                break
            try:
                self._understand(kind, told)
            except Exception:  # of whatever kind: it is not our own code that sent this
                self._problem(Problem("garbage", _GARBAGE))
                break
            if kind == "ready":
                deadline = self.ready + self.limits.seconds + GRACE
            elif kind == "end":
                deadline = time.monotonic() + END

    def _understand(self, kind: str, told: Any) -> None:
        """Take note of one message.

        Raises:
            Exception: Of any kind, if it is not what our own code sends.
        """
        report = self.report
        if kind == "pid":
            self.pid = int(told)
        elif kind == "ended":
            self.over, (self.status, self.why) = True, (int(told[0]), str(told[1]))
        elif kind == "ready" and not self.ready:
            self.ready, self.thread = time.monotonic(), int(told["thread"])
            report.notes += [str(note) for note in told["notes"]]
        elif kind == "functions":
            report.functions = {str(n): None if p is None else [str(name) for name in p] for n, p in told.items()}
        elif kind == "started" and self.call is None and 0 <= int(told) < len(self.calls):
            self.call = int(told)
        elif kind == "done" and self.call == told[0] and report.outcomes[told[0]] is None:
            self._outcome(told[1])
            self.call = None
        elif kind == "problem":
            if told["kind"] == "import":
                told["raised"] = self._raised(told["raised"])
            self._problem(words.told(told, self.source, self.limits))
        elif kind == "refused":
            file, does, line = os.path.basename(str(told["file"])), str(told["does"])[:300], int(told["line"])
            beside = "" if file == self.source.path.name else file
            self.refused = self.refused or words.forbidden(does, line, self.source, beside)
        elif kind == "end":
            self.finished = True
        else:
            raise Garbage(f"{kind} out of turn")

    def _outcome(self, told: dict[str, Any]) -> None:
        """Check one outcome, and keep it."""
        assert self.call is not None
        seconds = float(told["seconds"])
        if not (math.isfinite(seconds) and seconds >= 0):
            raise Garbage("no time")
        if "raised" in told:
            raised = self._raised(told["raised"])
            if "SystemExit" in raised["types"]:
                line = next((p[1] for p in reversed(raised["places"]) if p[0] == str(self.source.path)), 0)
                self._problem(words.leaves(line, self.source, words.where(self.call, self.calls)))
                return
            self.report.outcomes[self.call] = {"raised": raised, "seconds": seconds}
        else:
            _, after = wire.read(told["returned"])
            if not isinstance(after, tuple) or len(after) != len(self.calls[self.call].message["value"]["$tuple"]):
                raise Garbage("no arguments")
            self.report.outcomes[self.call] = {"returned": told["returned"], "seconds": seconds}

    def _raised(self, told: dict[str, Any]) -> dict[str, Any]:
        """An exception, with the student's own file in place of its copy."""
        work, places = str(self.folder / "work"), []
        for file, line, name, code in told["places"]:
            file, line = str(file), int(line)
            if os.path.dirname(file) == work:
                file = str(self.source.path.parent / os.path.basename(file))
                code = self.source.line(line).strip() if file == str(self.source.path) else code
            places.append([file, line, str(name), str(code)])
        raised = {"type": str(told["type"]), "types": [str(t) for t in told["types"]], "text": str(told["text"])}
        if "MemoryError" in raised["types"]:
            raised |= {"type": "MemoryError", "text": words.memory(str(raised["text"]), self.limits)}
        return {**raised, "places": places}

    def _problem(self, problem: Problem) -> None:
        self.report.problem = self.report.problem or problem

    def _command(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended
            assert self.keeper.stdin is not None
            self.keeper.stdin.write(data)
            self.keeper.stdin.flush()

    def _end(self) -> None:
        """End everything that still runs, and find out why it had to."""
        if not self.over:
            self._command(b"stop\n")
            until = time.monotonic() + END
            while not self.over and (left := until - time.monotonic()) > 0:
                try:
                    kind, told = self.messages.get(timeout=left)
                except queue.Empty:
                    break
                if kind == "eof":
                    break
                with contextlib.suppress(Exception):
                    self._understand(kind, told) if kind in ("pid", "ended") else None
        if self.over:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keeper.wait(END)
        if self.keeper.poll() is None or not self.over:  # stopped or ended by the student's code
            self.over = False
            self._kill()

    def _kill(self) -> None:
        """End everything without the keeper's help."""
        for pid in filter(None, (self.keeper.pid, self.pid)):
            system.end_group(pid)
        for _ in range(100):
            strays = system.strays(self.mark)
            if not strays:
                break
            system.end(strays)
        self.keeper.wait()

    def _explain(self) -> None:
        """The problem, if the end was not as it should be."""
        if self.report.problem is None and not self.finished:
            line = self._line()
            where = words.where(self.call, self.calls)
            if not self.ready:
                says = "No process could be started for your code, which is the checker's fault, not yours. It said: "
                self._problem(Problem("checker", says + (self.report.printed.strip()[-500:] or "nothing") + "."))
            elif self.why == "memory":
                self._problem(words.ended(-9, line, self.source, where, self.limits))
            elif self.late:
                self._problem(words.timeout(self.limits.seconds, line, self.source, where))
            elif self.over:
                self._problem(words.ended(self.status, line, self.source, where, self.limits))
            else:
                says = "Your code stopped or ended the process that watches over it: leave other processes alone."
                self._problem(Problem("garbage", says))
        if self.refused is not None and (self.report.problem is None or self.report.problem.kind != "timeout"):
            self.report.problem = self.refused

    def _line(self) -> int:
        """The line of the student's file that hangs, or crashed."""
        with contextlib.suppress(OSError), (self.folder / "where.txt").open("rb") as file:
            dump = file.read(1 << 18).decode("utf-8", "replace")
            return words.hanging_line(dump, str(self.folder / "work" / self.source.path.name), self.thread)
        return 0


_GARBAGE = (
    "Something other than results came from your code: it writes to a file that is not its own (os.write, or an open "
    "file number). Use print to look at values."
)


def _read(stream: int) -> bytes:
    try:
        return os.read(stream, 1 << 20)
    except OSError:
        return b""


def _environment(mark: str, home: Path) -> dict[str, str]:
    """What a student's process needs of ours: where libraries lie, and one thread for NumPy's matrix products."""
    return (
        {name: os.environ[name] for name in _KEPT if name in os.environ}
        | dict.fromkeys(_THREADS, "1")
        | dict.fromkeys(_FOLDERS, str(home))
        | {system.MARK: mark, "MALLOC_ARENA_MAX": "2"}  # every arena reserves 64 MB of address space
    )


_KEPT = (
    "PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)  # fmt: skip
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_FOLDERS = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP")


def _packages(allow: Sequence[str]) -> list[str]:
    """Folders of installed packages: those this process looks in, NumPy's, and the library's if it may be imported."""
    usual = {*site.getsitepackages(), site.getusersitepackages()}
    paths = [path for path in sys.path if path in usual or Path(path).name in ("site-packages", "dist-packages")]
    paths.append(str(Path(np.__file__).parent.parent))
    if any(name.partition(".")[0] == "tinygrad_cnn" for name in allow):
        paths.append(str(Path(tinygrad_cnn.__file__).parent.parent))
    return list(dict.fromkeys(os.path.realpath(path) for path in paths))


@contextlib.contextmanager
def _scratch(source: words.Source) -> Iterator[Path]:
    """A folder with a copy of the student's file and of the Python files beside it, removed in the end."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="tinygrad_cnn-exercise-")))
    try:
        work = folder / "work"
        work.mkdir()
        home = source.path.parent
        for path in sorted(home.glob("*.py"))[:BESIDE]:
            with contextlib.suppress(OSError):
                inside = Path(os.path.realpath(path)).parent == Path(os.path.realpath(home))
                if inside and path.is_file() and path.stat().st_size <= words.MOST:
                    shutil.copyfile(path, work / path.name)
        (work / source.path.name).write_bytes(source.data)
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder whose contents may have been made unreadable, or are still in use for a moment (Windows)."""
    for attempt in range(5):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
            for at, folders, files in os.walk(folder):
                for name in folders + files:
                    path = os.path.join(at, name)
                    if not os.path.islink(path):
                        os.chmod(path, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05 * attempt)
