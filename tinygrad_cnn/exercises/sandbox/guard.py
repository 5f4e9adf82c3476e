"""What a student's code may not do to its surroundings, refused where Python itself announces it ("audit events").

It is a fence against accidents: the exercises say so. What is refused is told to the checker, too, so that catching the
exception hides nothing. Runs in the student's process; standard library only.

Source: PEP 578, "Python Runtime Audit Hooks".
"""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

#: How many files may be written: with their size limited, they cannot fill a disk.
FILES = 64

_STARTS = "starts another program ({}): nothing may be started from an exercise"
_SIGNALS = "sends a signal to a process ({}): leave other processes alone"
_NETWORK = "uses the network ({}): an exercise works without it"
_C = "calls code that is not Python's ({}): write it yourself with NumPy"
_MEMORY = "searches the memory of the process ({}): what you need is in your function's arguments"
_LIMITS = "changes the limits of the process ({}): they belong to the checker"
_REFUSED = {
    _STARTS: "os.fork os.forkpty os.exec os.posix_spawn os.spawn os.system os.startfile os.startfile/2 pty.spawn "
    "subprocess.Popen _winapi.CreateProcess webbrowser.open",
    _SIGNALS: "os.kill os.killpg signal.pthread_kill",
    _NETWORK: "socket.connect socket.bind socket.sendto socket.sendmsg socket.getaddrinfo socket.gethostbyname "
    "socket.gethostbyaddr urllib.Request",
    _C: "ctypes.dlopen ctypes.dlsym ctypes.dlsym/handle ctypes.call_function ctypes.string_at ctypes.wstring_at",
    _MEMORY: "gc.get_objects gc.get_referrers gc.get_referents",
    _LIMITS: "resource.setrlimit resource.prlimit",
}
_EVENTS = {event: does for does, events in _REFUSED.items() for event in events.split()}
#: Which arguments of an event are paths, and which the folders they are relative to (-1: none).
_CHANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.truncate": ((0, -1),),
    "os.chflags": ((0, -1),),
    "os.setxattr": ((0, -1),),
    "os.removexattr": ((0, -1),),
    "sqlite3.connect": ((0, -1),),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class NotAllowed(PermissionError):
    """Something that a student's code may not do; the text says what, and in which line."""


class ImportNotAllowed(ImportError):
    """A module that a student's code may not import."""


NotAllowed.__name__ = ImportNotAllowed.__name__ = "NotAllowed"


class Guard:
    """The audit hook.

    Args:
        work: The folder the student's copy lies in, and the only one that may be written to.
        library: The library's folder.
        packages: Folders of installed packages.
        allow: Modules that may be imported, see `look.allowed`.
        rules: The module `look`.
        tell: Called with what was refused: what it does, the file and the line.
    """

    def __init__(
        self,
        work: str,
        library: str,
        packages: Sequence[str],
        allow: Sequence[str],
        rules: Any,
        tell: Callable[[str, str, int], None],
    ) -> None:
        self.work, self.library = work, os.path.realpath(library)
        self.allow, self.rules, self.tell = tuple(allow), rules, tell
        self.main = ""
        self._inside = work + os.sep
        self._written: set[str] = set()
        self._told = 0
        # whose code runs? Python's, NumPy's and the library's door's is taken for its caller's (packages lie in Python)
        here, python = (os.path.join(os.path.dirname(path), "") for path in (__file__, os.__file__))
        numpy = [os.path.join(path, "numpy", "") for path in packages]
        packages = [os.path.join(path, "") for path in (*packages, library)]
        door = os.path.join(library, "__init__.py")
        self._passed, self._packages, self._python = (here, door, "<frozen ", *numpy), tuple(packages), python
        self._realpath, self._frame, self._fspath = os.path.realpath, sys._getframe, os.fspath
        self._extensions = tuple(importlib.machinery.EXTENSION_SUFFIXES)
        self._own = (str(os.getpid()), "self", "thread-self")

    def install(self, main: str) -> None:
        """Begin to refuse; `main` is the student's file."""
        self.main = main
        self._stop_posixsubprocess()
        if any(name.partition(".")[0] == self.rules.LIBRARY for name in self.allow):
            builtins.__import__ = self._importing(builtins.__import__)
        sys.meta_path.insert(0, self)  # a finder that finds nothing
        sys.addaudithook(self.hook)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Called by `importlib.import_module`, of which Python announces nothing."""
        self._import(name, None)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Called by Python with everything it is about to do."""
        if event == "open":
            self._open(*args[:3])
        elif event == "import":
            self._import(args[0], args[1])
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                self._change(args[path], args[folder] if 0 <= folder < len(args) else -1, event)
        elif event in _EVENTS:
            does = _EVENTS[event]
            if does is not _C or self._asker()[0] == "student":
                self.refuse(does.format(event))

    # ---- what is refused

    def _import(self, name: str, file: Any) -> None:
        does = self.rules.refused(name, self.allow)
        if not does and file and str(file).startswith(self._inside) and str(file).endswith(self._extensions):
            does = f"loads {os.path.basename(str(file))}, which is not Python: write it yourself with NumPy"
        if does:
            self.refuse(does, ImportNotAllowed)

    def _importing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`import` in the student's code; Python does not announce modules that are loaded already."""

        def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            if not level and name.partition(".")[0] == self.rules.LIBRARY and self._asker()[0] == "student":
                parts = [f"{name}.{part}" for part in fromlist or ()]
                for module in [name, *(part for part in parts if part in sys.modules)]:
                    self._import(module, None)
            return original(name, globals, locals, fromlist, level)

        return importing

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        real = self._real(path)
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITING):
            self._write(real, path)
        elif (real + os.sep).startswith(self.library + os.sep) and not self._readable(real):
            self.refuse(f"reads {self._module(real)}, {self.rules.OURS}")
        elif real.startswith("/proc/") and real.split("/")[2].isdigit() and real.split("/")[2] not in self._own:
            self.refuse(f"reads {real}: leave other processes alone")
        elif mode is None and not real.startswith(self._inside) and real != self.work and os.path.isdir(real):
            self.refuse(f"opens the folder {real}: only files in the current folder may be used")

    def _readable(self, real: str) -> bool:
        """Whether a file of the library belongs to a module that may be imported, or to this sandbox."""
        if real.startswith(os.path.dirname(__file__)):
            return True
        return bool(self.rules.allowed(self._module(real), self.allow))

    def _module(self, real: str) -> str:
        """The name of the module that a file of the library belongs to."""
        parts = os.path.relpath(real, os.path.dirname(self.library)).split(os.sep)
        names = [part.partition(".")[0] for part in parts]
        return ".".join(name for name in names if name not in ("__pycache__", "__init__"))

    def _change(self, path: Any, folder: Any, event: str) -> None:
        if isinstance(path, int) or path == ":memory:":
            return
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), self._fspath(path))
        self._write(self._real(path), path, event)

    def _write(self, real: str, path: Any, event: str = "open") -> None:
        if real in (self.work, os.devnull):
            return
        if not real.startswith(self._inside):
            by = f" ({event})" if event != "open" else ""
            self.refuse(f"writes to {path!s}{by}: only files in the current folder may be written")
        self._written.add(real)
        if len(self._written) > FILES:
            self.refuse(f"writes more than {FILES} files: keep what you need in variables")

    def _real(self, path: Any) -> str:
        path = self._fspath(path)
        return str(self._realpath(os.fsdecode(path) if isinstance(path, bytes) else path))

    def _stop_posixsubprocess(self) -> None:
        """The one way to start a process that Python does not announce."""
        try:
            import _posixsubprocess
        except ImportError:  # Windows
            return

        def fork_exec(*args: Any) -> None:
            self.refuse(_STARTS.format("_posixsubprocess.fork_exec"))

        _posixsubprocess.fork_exec = fork_exec  # type: ignore[assignment]

    # ---- who asks

    def refuse(self, does: str, kind: type[Exception] = NotAllowed) -> None:
        """Tell the checker, if it was the student's own code that asked, and raise."""
        who, file, line = self._asker()
        if who == "student" and self._told < 10:
            self._told += 1
            self.tell(does, file, line)
        place = f"line {line} " if file == self.main else f"{os.path.basename(file)}, line {line}, " if file else ""
        raise kind(f"{place}{does}")

    def _asker(self) -> tuple[str, str, int]:
        """Whose code asks, a "package"'s or the "student"'s; and the line of the student's that runs."""
        who = ""
        frame: FrameType | None = self._frame(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._inside):
                return who or "student", file, frame.f_lineno
            if not who and not file.startswith(self._passed):
                if file.startswith(self._packages):
                    who = "package"
                elif not file.startswith(self._python):
                    who = "student"
            frame = frame.f_back
        return who or "student", "", 0
