"""Printing that survives every terminal, and mistakes told in one readable message."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import functools
import io
import os
import re
import shlex
import subprocess
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])
# the option of every command, for which `command` below answers
Debug = Annotated[bool, typer.Option("--debug", help="On an error show where in the program it happened.")]

# What our messages use beyond ASCII, for terminals and pipes that cannot show it (Windows code pages, LANG=C).
PLAIN = {
    "×": "x", "·": "*", "−": "-", "–": "-", "→": "->", "…": "...", "≥": ">=", "≤": "<=", "─": "-", "█": "#", "▏": "|",
    "✓": "ok", "✗": "no", "µ": "u", "“": '"', "”": '"', "’": "'", "★": "*", "①": "1)", "②": "2)", "Σ": "sum ",
    "√": "sqrt", "⌊": "floor(", "⌋": ")", "σ": "sigma", "μ": "mu", "ε": "eps", "β": "beta", "γ": "gamma", "∂": "d",
    "≈": "~", "—": "-", "‖": "|", "∈": "in", "←": "<-", "∞": "inf", "⁻": "-", "\u0302": "_hat",
}  # fmt: skip
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ˡˣᵀᵗ]+")


def prepare() -> None:
    """Makes messages plain: characters a stream cannot encode are replaced, warnings come without program lines."""
    warnings.showwarning = _warn
    codecs.register_error("tinygrad_cnn.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tinygrad_cnn.plain")


def _warn(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    Console(stderr=True, highlight=False).print(Text(f"warning: {message}", style="yellow"), soft_wrap=True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


def plain(text: str) -> str:
    """A text in ASCII; a question mark for each letter that nobody thought of.

    >>> plain("3×3 → e⁻ˣ, Hyvärinen ☃")
    '3x3 -> e^-x, Hyvarinen ?'
    """
    return "".join(map(_letter, _RAISED.sub(lambda exponent: f"^{exponent[0]}", text)))


def _letter(c: str) -> str:
    return PLAIN.get(c) or unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() or "?"


def console() -> Console:
    """Where results go: standard output as it is now, so that pipes and tests see it."""
    return Console(highlight=False, soft_wrap=False)


def say(text: str = "", style: str = "") -> None:
    """Prints a line as it is: no markup in it, no line breaks added (paths can be copied)."""
    console().print(Text(text, style=style), soft_wrap=True)


def complain(text: str) -> None:
    """Prints a message of an error to standard error."""
    Console(stderr=True, highlight=False).print(Text.assemble(("error: ", "bold red"), (text, "red")), soft_wrap=True)


def fail(text: str, status: int = 1) -> NoReturn:
    """Ends the command with a message."""
    complain(text)
    raise typer.Exit(status)


def stop(status: int) -> NoReturn:
    """Ends the command without a further message."""
    raise typer.Exit(status)


def wrong(text: str) -> NoReturn:
    """Ends the command because it was called wrongly (exit status 2, with a hint to `--help`)."""
    raise typer.BadParameter(text)


def chosen(what: str, name: str, allowed: Sequence[str]) -> str:
    """The allowed name that was meant; capitals, hyphens and underscores do not matter.

    >>> chosen("--data", "Fashion_MNIST", ["mnist", "fashion-mnist"])
    'fashion-mnist'
    """

    def key(word: str) -> str:
        return word.lower().replace("-", "").replace("_", "")

    keys = {key(word): word for word in allowed}
    if key(name) in keys:
        return keys[key(name)]
    near = difflib.get_close_matches(key(name), keys, n=1, cutoff=0.5)
    meant = f"did you mean {keys[near[0]]}? Choose" if near else "choose"
    wrong(f"{what}: there is no {name!r}; {meant} one of: {', '.join(allowed)}")


def one_by_one(names: Sequence[str]) -> list[str]:
    """Names that may stand in one word, with commas between.

    >>> one_by_one(["relu, 12", "adam"])
    ['relu', '12', 'adam']
    """
    return [name.strip() for word in names for name in word.split(",") if name.strip()]


def many(number: int, thing: str) -> str:
    """A number of things: `1 epoch`, `1,438 images`.

    >>> many(1, "epoch"), many(1438, "image")
    ('1 epoch', '1,438 images')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


def program() -> str:
    """How the program was called, for commands the user can repeat."""
    name = Path(sys.argv[0]).stem
    return name if name in ("tinygrad-cnn", "tcnn") else "python -m tinygrad_cnn"


def quoted(path: Path) -> str:
    """A path as it must be typed."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


@contextlib.contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """Ends the command with the place and a remedy if something cannot be written in this block."""
    try:
        yield
    except BrokenPipeError:  # whoever read what we print has gone
        raise
    except OSError as error:
        fail(f"{error.filename or path} cannot be written: {error.strerror or error}; {remedy}")


def command(function: Command) -> Command:
    """Makes a user's mistake one message with exit status 1; with `--debug` (or TINYGRAD_CNN_DEBUG=1) all of it."""

    @functools.wraps(function)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> Any:
        try:
            return function(*args, debug=debug, **kwargs)
        except KeyboardInterrupt:
            fail("stopped by Ctrl-C", 130)
        except Exception as error:
            message = explained(error)
            if message is None:
                raise
            if debug or os.environ.get("TINYGRAD_CNN_DEBUG", "0") not in ("", "0"):
                traceback.print_exc()
            fail(message)

    return run  # type: ignore[return-value]


def explained(error: Exception) -> str | None:
    """The message for an error that a user can do something about; None for one of our own."""
    from tinygrad_cnn.backends import DeviceError
    from tinygrad_cnn.data import DataError
    from tinygrad_cnn.exercises.grading.reading import GradingError
    from tinygrad_cnn.exercises.sources import CatalogueError
    from tinygrad_cnn.exercises.workspace import WorkspaceError
    from tinygrad_cnn.shapes import ShapeError
    from tinygrad_cnn.training import CheckpointError, NonFiniteError
    from tinygrad_cnn.viz import RenderError

    ours = ShapeError | DataError | CheckpointError | DeviceError | NonFiniteError | RenderError
    if isinstance(error, ours | CatalogueError | GradingError | WorkspaceError):
        return str(error)
    if isinstance(error, ImportError) and "pip install" in str(error):
        return str(error)
    if isinstance(error, MemoryError):
        return f"the memory does not suffice ({error}); a smaller --batch-size needs less"
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    return None
