"""What a beginner is told when their code did not come to its end."""

from __future__ import annotations

import codecs
import re
import signal
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygrad_cnn.exercises.sandbox import Call, Limits, Problem

#: Bytes of a file that is read; characters of a line that are shown.
MOST, CODE = 1 << 20, 160
_ENCODINGS = re.compile(r"utf-8(-sig)?|ascii|iso8859-\d+|cp\d+|mac-\w+|koi8-\w")
_BLOCKS = 'code that tries things out belongs below `if __name__ == "__main__":`'


class Source:
    """A student's file: its bytes, its lines, and what is wrong with it as a file.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.text = path, b"", ""
        self.problem = self._read()
        self.lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def line(self, number: int) -> str:
        """What stands in a line, counted from 1."""
        return self.lines[number - 1].rstrip() if 1 <= number <= len(self.lines) else ""

    def place(self, number: int) -> dict[str, Any]:
        """A line for a `Problem`."""
        code = self.line(number).strip()[:CODE]
        return {"line": number if code else 0, "code": code}

    def _read(self) -> Problem | None:
        name = self.path.name
        try:
            if self.path.is_dir():
                return Problem("missing", f"{name} is a folder; the exercise wants a file of Python code.")
            with self.path.open("rb") as file:
                self.data = file.read(MOST + 1)
        except FileNotFoundError:
            return Problem("missing", f"There is no file {name} in {self.path.parent}.")
        except OSError as error:
            return Problem("missing", f"{name} cannot be read: {error.strerror or error}.")
        if len(self.data) > MOST:
            return Problem("encoding", f"{name} is larger than 1 MB; the solution of an exercise takes a few kB.")
        if self.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return Problem("encoding", f"{name} is saved as UTF-16. Choose UTF-8 in your editor's save dialog.")
        if b"\0" in self.data:
            line = self.data[: self.data.index(b"\0")].count(b"\n") + 1
            return Problem("encoding", f"Line {line} holds a null byte: {name} is no text. Save it as UTF-8.", line)
        return self._decode(name)

    def _decode(self, name: str) -> Problem | None:
        lines = iter(self.data.splitlines(keepends=True))
        try:
            encoding = tokenize.detect_encoding(lambda: next(lines, b""))[0]
            known = codecs.lookup(encoding).name
        except (SyntaxError, LookupError):
            encoding, known = _declared(self.data), ""
        if not _ENCODINGS.fullmatch(known) and encoding:
            says = f'{name} says of itself that it is written in "{encoding}". Save it as UTF-8 and remove that line.'
            return Problem("encoding", says, 1)
        try:
            self.text = self.data.decode(known or "utf-8")
        except UnicodeDecodeError as error:
            before = self.data[: error.start]
            line = before.count(b"\n") + 1
            says = (
                f"Line {line} of {name} holds a byte (0x{self.data[error.start]:02X}) that is not UTF-8. Save the file "
                "as UTF-8 in your editor."
            )
            code = self.data.split(b"\n")[line - 1].decode("utf-8", "replace").strip()
            return Problem("encoding", says, line, code[:CODE])
        return None


def _declared(data: bytes) -> str:
    """The encoding that the first two lines declare, known or not."""
    found = re.search(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", b"\n".join(data.split(b"\n")[:2]), re.MULTILINE)
    return found[1].decode("ascii", "replace") if found and found[1].lower() not in (b"utf-8", b"utf8") else ""


# ---- while it ran


def told(message: dict[str, Any], source: Source, limits: Limits) -> Problem:
    """A problem the student's process told of: a syntax error, an import, an exception while the file was loaded.

    Raises:
        ValueError: If the message is not what our own code would have sent.
    """
    try:
        kind = message["kind"]
        if kind == "syntax":
            return _syntax(message, source)
        if kind == "forbidden":
            return forbidden(message["does"], int(message["line"]), source)
        if kind == "import":
            return _loading(message["raised"], source, limits)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a problem: {error}") from None
    raise ValueError(f"unknown problem {kind}")


def forbidden(does: str, line: int, source: Source, file: str = "") -> Problem:
    """Something that was refused; in the student's file, or in one beside it."""
    place = f"{file}, line {line}," if file else f"Line {line}" if line else "Your code"
    return Problem("forbidden", f"{place} {does}.", **source.place(0 if file else line))


def leaves(line: int, source: Source, where: str) -> Problem:
    """`sys.exit` and its like."""
    place = f"Line {line}" if line else "Your code"
    says = f"{place} ends the whole program {where} (quit, exit or sys.exit); use return to hand a result back."
    return Problem("exit", says, **source.place(line))


def memory(text: str, limits: Limits) -> str:
    """A MemoryError's text: how much was wanted, and how much may be."""
    most = f"at most {size(limits.memory)} may be used"
    found = re.match(r"Unable to allocate ([\d.]+) (\w+?)i?B for an array with shape (\([^)]*\))", text)
    if found:
        return f"{float(found[1]):.3g} {found[2]}B wanted for an array of shape {found[3]}, {most}"
    if text.startswith("too large"):
        return text
    return f"more memory wanted than there is, {most}"


def size(bytes: int) -> str:
    """`"1 GB"`, `"512 MB"`."""
    return f"{bytes / (1 << 30):.3g} GB" if bytes >= 1 << 30 else f"{bytes / (1 << 20):.3g} MB"


def timeout(seconds: float, line: int, source: Source, where: str) -> Problem:
    """The time was up."""
    at = f": it was still at line {line}" if line else ""
    says = f"Your code did not come to its end within {seconds:g} s {where}{at}. "
    if "loaded" in where:
        says += f"Is there a loop that never stops? And {_BLOCKS}."
    else:
        says += "Is there a loop that never stops, or one that is much longer than it need be?"
    return Problem("timeout", says, **source.place(line))


def ended(status: int, line: int, source: Source, where: str, limits: Limits) -> Problem:
    """The process ended by itself, before its last result."""
    from tinygrad_cnn.exercises.sandbox import student

    at = f" at line {line}" if line else ""
    place = source.place(line)
    if status == student.CHANNEL_LOST:
        says = f"Your code closed a file that is not its own (os.close, os.closerange) {where}: no result came through."
        return Problem("garbage", says)
    if status == student.LOST:
        return Problem("garbage", f"Your code interrupted the checker {where}: leave signals and timers alone.")
    if status == student.NO_MEMORY or -status == getattr(signal, "SIGKILL", 9):
        says = f"Memory ran out {where}; {size(limits.memory)} may be used. Is there a list or array that only grows?"
        return Problem("memory", says)
    if -status == getattr(signal, "SIGXCPU", 24):
        return timeout(limits.seconds, line, source, where)
    if status < 0 or status >= 0xC0000000:  # a signal; on Windows a number of this size
        says = f"Python itself crashed{at} {where} ({_signal(status)})."
        if "fault" in says or status > 0:
            says += " Most often a function calls itself without end, or sys.setrecursionlimit is set too high."
        return Problem("crash", says, **place)
    says = f"Your code ended the whole program {where} (with status {status}, as os._exit does); use return instead."
    return Problem("exit", says, **place)


def _signal(status: int) -> str:
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"0x{status:08X}" if status > 0 else f"signal {-status}"
    return {"SIGSEGV": "segmentation fault", "SIGBUS": "bus fault"}.get(number.name, number.name)


def where(call: int | None, calls: Sequence[Call]) -> str:
    """What was being done: `"in conv2d_forward (call 3 of 7)"`."""
    if call is None:
        return "while your file was loaded"
    return f"in {calls[call].function} (call {call + 1} of {len(calls)})"


def hanging_line(dump: str, path: str, thread: int) -> int:
    """The line of the student's file that a thread was at, from a dump of Python's `faulthandler`; 0 if unknown.

    Args:
        dump: What it wrote.
        path: The student's file, as that process knows it.
        thread: The thread's number; the crashed one comes before it.
    """
    escaped = path.encode("ascii", "backslashreplace").decode()
    line, wanted = 0, False
    for text in dump.splitlines():
        if found := re.match(r"(Stack|Current thread|Thread)(?: 0x([0-9a-fA-F]+))?.* \(most recent call first\)", text):
            if line:
                break
            wanted = found[1] != "Thread" or int(found[2], 16) == thread
        elif wanted and not line and (found := re.match(r'  File "(.*)", line (\d+) in ', text)):
            line = int(found[2]) if found[1] == escaped else 0
    return line


def _syntax(message: dict[str, Any], source: Source) -> Problem:
    line, text = int(message["line"]), str(message["text"])
    code = source.line(line)
    shown = code.strip()
    column, end = int(message["column"]) - (len(code) - len(code.lstrip())), int(message["end"])
    if shown and 1 <= column <= len(shown) + 1 <= CODE:
        width = max(1, min(end - int(message["column"]), len(shown) - column + 1))
        shown += "\n" + " " * (column - 1) + "^" * width
    else:
        shown = shown[:CODE]
    return Problem("syntax", _plain(str(message["type"]), text.rstrip(".?"), line), line, shown)


def _plain(type: str, text: str, line: int) -> str:
    """A syntax error in plain words; Python's own are good, except about indentation."""
    if type == "TabError":
        return f"Line {line} is indented with tabs and spaces mixed. Use four spaces everywhere."
    if text == "unexpected indent":
        return f"Line {line} is indented further than the line above it, without a line that ends in a colon before it."
    if text.startswith("unindent does not match"):
        return f"Line {line} is indented unlike any block above it: the lines of a block begin at the same column."
    if text.startswith("expected an indented block"):
        return f"Line {line} must be indented: {text}."
    return f"Python cannot read line {line}: {text}." if line else f"Python cannot read this file: {text}."


def _loading(raised: dict[str, Any], source: Source, limits: Limits) -> Problem:
    """An exception while the file was loaded."""
    kind, text = str(raised["type"]), str(raised["text"]).strip()
    line = next((int(p[1]) for p in reversed(raised["places"]) if p[0] == str(source.path)), 0)
    if "SystemExit" in raised["types"]:
        return leaves(line, source, "while your file was loaded")
    place = f"Line {line}" if line else "Your file"
    if "MemoryError" in raised["types"]:
        return Problem("memory", f"{place} wants too much memory: {text}.", **source.place(line))
    first = text.split("\n")[0].rstrip(".")
    says = f"{place} raised {kind}{': ' * bool(first)}{first}, while your file was loaded; no function could be tried."
    if kind == "EOFError":
        says = f"{place} waits for somebody to type: {first}."
    return Problem("import", says, **source.place(line))
