"""From DOT text to a picture: the `dot` program, else pygraphviz, else a sentence that says how to get one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

# The layout of a few hundred boxes takes a second or two; a hopeless one must not hang a training run.
TIMEOUT_SECONDS = 120.0
PNG_DPI = 144

REMEDY = (
    "pip install pygraphviz (it brings Graphviz along), "
    "or install Graphviz from https://graphviz.org/download so that `dot` is on the PATH"
)

# pygraphviz draws inside its process and its C libraries write to stderr; in a process of its own neither their
# warnings nor a crash reach the user's program.
PYGRAPHVIZ_PROGRAM = """
import sys
import pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode("utf-8"))
if sys.argv[1] == "png":
    graph.graph_attr["dpi"] = sys.argv[2]
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""


class RenderError(RuntimeError):
    """No picture could be drawn: Graphviz is missing, failed or took too long."""


def renderers() -> list[str]:
    """Names the programs that can draw here, the preferred one first (`"dot"`, `"pygraphviz"`)."""
    found = []
    if shutil.which("dot"):
        found.append("dot")
    if sys.executable and importlib.util.find_spec("pygraphviz") is not None:
        found.append("pygraphviz")
    return found


def render(dot: str, format: str) -> bytes:
    """Draws DOT text as `"svg"`, `"png"` or `"pdf"` and returns the file's bytes.

    Raises:
        RenderError: neither the `dot` program nor pygraphviz is installed, or all that are failed.
    """
    failures = []
    for name in renderers():
        if name == "dot":
            command = [shutil.which("dot") or "dot", "-Kdot", f"-T{format}"]
            command += [f"-Gdpi={PNG_DPI}"] if format == "png" else []
        else:
            command = [sys.executable, "-P", "-c", PYGRAPHVIZ_PROGRAM, format, str(PNG_DPI)]
        try:
            done = subprocess.run(
                command,
                input=dot.encode("utf-8"),
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # no flashing console on Windows
            )
        except subprocess.TimeoutExpired:
            failures.append(f"{name} took more than {TIMEOUT_SECONDS:.0f} s (draw fewer boxes: limit=100)")
            continue
        except OSError as error:
            failures.append(f"{name} could not be started ({error})")
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        failures.append(f"{name} failed ({lines[-1] if lines else f'exit status {done.returncode}'})")
    if failures:
        raise RenderError(f"Graphviz made no {format}: {'; '.join(failures)}.")
    raise RenderError(f"Graphviz is not installed, so there is no {format}: {REMEDY}.")
