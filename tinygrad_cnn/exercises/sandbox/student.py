"""The process a student's code runs in: it loads the file, makes the calls, and tells what came of them.

Started by the keeper as `python -I -S student.py FOLDER`; FOLDER holds `request.json`, and `work/` with a copy of the
student's files. What comes in on standard output belongs to the checker: the results go there, one line of JSON each,
`[token, kind, told]`. What the student's code prints goes to standard error, together with its errors.

Loaded are only neighbours of this file, each in a copy that no name of the student's code leads to: whatever it does to
`json`, `numpy`, `os` or `builtins` changes its own surroundings, not ours.
"""

from __future__ import annotations

import builtins
import faulthandler
import importlib
import importlib.util
import inspect
import json.encoder
import os
import site
import sys
import threading
from types import CodeType, ModuleType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
#: Exit statuses: results can no longer be sent; there is no memory to send them; something else went wrong here.
CHANNEL_LOST, NO_MEMORY, LOST = 77, 78, 79
#: Bytes of one line; a larger result is not sent.
MOST = 48 << 20


def private(path: str) -> Any:
    """A module that no name of the student's code leads to, with Python's functions as they are now.

    Args:
        path: Its file.
    """
    name = f"tinygrad_cnn_exercise_{os.path.basename(path).removesuffix('.py')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = dict(vars(builtins))
    spec.loader.exec_module(module)
    for name, value in list(vars(module).items()):
        if isinstance(value, ModuleType) and value not in (sys, builtins):  # those two are to be changed
            vars(module)[name] = copied(value)
    return module


def copied(module: ModuleType) -> ModuleType:
    """A module object with the same contents."""
    copy = ModuleType(module.__name__)
    vars(copy).update(vars(module))
    return copy


class Student:
    """One run of a student's file.

    Args:
        folder: See above.
    """

    def __init__(self, folder: str) -> None:
        self.channel = os.dup(1)
        os.dup2(2, 1)
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        self.streams = sys.stdout, sys.stderr
        self.reserve = bytes(4 << 20)  # given up when memory has run out
        self.lock = threading.RLock()  # a thread of the student's may be refused something meanwhile
        self.encode = private(json.encoder.__file__).JSONEncoder(separators=(",", ":")).encode
        self.system = private(os.path.join(HERE, "system.py"))
        self.system.die_with_parent()
        self.system.forbid_processes()
        order = os.path.join(folder, "request.json")
        with open(order, encoding="utf-8") as file:
            self.order = json.load(file)
        os.remove(order)
        self.token, self.limits = self.order["token"], self.order["limits"]
        self.where = open(os.path.join(folder, "where.txt"), "wb", buffering=0)  # noqa: SIM115  # open to the end
        self.work = os.path.join(folder, "work")
        self.path = os.path.join(self.work, self.order["file"])

    def tell(self, kind: str, told: Any) -> None:
        """One line to the checker."""
        self.send(self.encode([self.token, kind, told]))

    def send(self, line: str) -> None:
        """Write a line; a pipe takes it piece by piece."""
        data = memoryview(line.encode() + b"\n")
        try:
            with self.lock:
                while data:
                    data = data[os.write(self.channel, data) :]
        except OSError:
            self.leave(CHANNEL_LOST)

    def leave(self, status: int) -> None:
        """End, whatever threads, exit handlers and destructors the student's code has left."""
        for stream in self.streams:
            try:
                stream.flush()
            except BaseException:
                continue
        os._exit(status)

    def prepare(self) -> None:
        """Load NumPy and what else may be imported, then give up all rights that are not needed."""
        sys.path += self.order["paths"]
        self.wire = private(os.path.join(HERE, "wire.py"))
        self.wire.np.random = copied(self.wire.np.random)
        for name in self.order["allow"]:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
        rules = private(os.path.join(HERE, "look.py"))
        self.look = rules.look
        guard = private(os.path.join(HERE, "guard.py")).Guard(
            self.work, self.order["library"], self.order["paths"], self.order["allow"], rules, self.refused
        )
        notes = self.system.limit(self.limits["memory"], self.limits["files"], self.limits["seconds"])
        os.chdir(self.work)
        sys.path.insert(0, self.work)
        sys.argv = [self.order["file"]]
        site.setquit()  # `quit` and `exit`, as students know them
        builtins.input = no_input
        faulthandler.enable(self.where, all_threads=False)
        self.tell("ready", {"notes": notes, "thread": threading.get_ident()})
        faulthandler.dump_traceback_later(self.limits["seconds"], file=self.where)
        guard.install(self.path)

    def refused(self, does: str, file: str, line: int) -> None:
        """Called by the guard."""
        self.tell("refused", {"does": does, "file": file, "line": line})

    def run(self) -> None:
        """Load the file, and make all calls."""
        with open(self.path, "rb") as file:
            source = file.read()
        code, problem = self.look(source, self.path, self.order["allow"], self.order["rooms"])
        if problem is None:
            names = self.load(code)
            if names is not None:
                self.tell("functions", {n: parameters(names[n]) for n in self.order["functions"] if n in names})
                for number, call in enumerate(self.order["calls"]):
                    self.call(number, call, names.get(call["function"]))
        else:
            self.tell("problem", problem)
        self.tell("end", None)
        self.leave(0)

    def load(self, code: CodeType) -> dict[str, Any] | None:
        """Run the file; returns what it defines."""
        module = ModuleType("exercise")  # not "__main__": what stands below `if __name__ == "__main__":` does not run
        module.__file__ = self.path
        sys.modules["exercise"] = module
        names = vars(module)
        names["__builtins__"] = builtins
        try:
            exec(code, names)
        except BaseException as error:
            told = self.wire.raised(error)
            told["places"] = [place for place in told["places"] if place[0] != __file__]
            self.tell("problem", {"kind": "import", "raised": told})
            return None
        return names

    def call(self, number: int, call: dict[str, Any], function: Any) -> None:
        """Make a call, and tell what came of it."""
        if not callable(function):
            return
        self.tell("started", number)
        try:
            try:
                outcome = self.wire.invoke(function, call["message"], call["kind"])
                line = self.encode([self.token, "done", [number, outcome]])
                if len(line) > MOST:
                    raise MemoryError(f"too large to be handed over: {len(line) >> 20} MB of text")
            except BaseException as error:  # the result cannot be told: too large, or its methods raise
                line = self.encode([self.token, "done", [number, {"raised": self.wire.raised(error), "seconds": 0.0}]])
        except BaseException:
            self.reserve = b""
            raised = {"type": "Exception", "types": ["Exception"], "text": "its result cannot be read", "places": []}
            line = self.encode([self.token, "done", [number, {"raised": raised, "seconds": 0.0}]])
        self.send(line)


def main(folder: str) -> None:
    """Run a student's file, and end this process whatever comes."""
    student = Student(folder)
    student.prepare()
    try:
        student.run()
    except MemoryError:
        student.reserve = b""
        student.leave(NO_MEMORY)
    except BaseException:  # a signal handler of the student's, say, that raised in our midst
        student.leave(LOST)


def parameters(value: Any) -> list[str] | None:
    """The names of a function's parameters, stars included; none if they cannot be found out; None for other values."""
    if not callable(value):
        return None
    try:
        found = inspect.signature(value).parameters.values()
        return ["*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + str(p.name) for p in found]
    except BaseException:
        return []


def no_input(prompt: object = "") -> str:
    """Instead of Python's `input`."""
    raise EOFError("input() cannot be used here, as nobody is there to answer: use the function's arguments")


if __name__ == "__main__":
    private(__file__).main(sys.argv[1])
