"""The documentation site: sphinx-build -W docs docs/_build/html (the `docs` extra; no network, nothing is executed).

Pages are the Markdown files here, the notebooks of the tutorials as they were made, and a page for each public module,
written anew at every build (`api/`, `tutorials/`, `project/`).
"""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import docstrings  # noqa: E402
import notebooks  # noqa: E402

from tinygrad_cnn import textbook  # noqa: E402
from tinygrad_cnn.about import __version__  # noqa: E402

project = "tinygrad_cnn"
author = copyright = "The tinygrad_cnn authors"
release = version = __version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tinygrad_cnn"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"  # drawn by the browser: nothing is loaded from elsewhere

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_rtype = False
napoleon_use_ivar = True

# page → its heading, and the modules that it describes
API = {
    "tensor": ("Tensors and gradients", ["tinygrad_cnn"]),
    "nn": ("Layers: nn", ["tinygrad_cnn.nn"]),
    "functional": ("Functions: nn.functional", ["tinygrad_cnn.nn.functional"]),
    "init": ("First values and helpers: nn.init, nn.utils", ["tinygrad_cnn.nn.init", "tinygrad_cnn.nn.utils"]),
    "optim": ("Optimizers: optim", ["tinygrad_cnn.optim"]),
    "data": ("Data: data", ["tinygrad_cnn.data", "tinygrad_cnn.data.transforms", "tinygrad_cnn.data.toys"]),
    "training": ("Training: training", ["tinygrad_cnn.training"]),
    "cuda": ("GPUs: cuda", ["tinygrad_cnn.cuda"]),
    "models": ("Networks: models, tables", ["tinygrad_cnn.models", "tinygrad_cnn.tables"]),
    "viz": ("Pictures: viz", ["tinygrad_cnn.viz", "tinygrad_cnn.viz.plot"]),
    "exercises": ("Exercises: exercises", ["tinygrad_cnn.exercises"]),
    "keras": ("Keras' names: keras", ["tinygrad_cnn.keras"]),
    "kernels": ("Kernels: kernels", ["tinygrad_cnn.kernels"]),
    "textbook": (
        "Every layer in plain NumPy: textbook",
        [f"tinygrad_cnn.textbook.{name}" for name in textbook.__all__],
    ),
}
# pages of the repository that the site has, too
PROJECT = {"benchmarks/RESULTS.md": "results", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}


def setup(app: Any) -> None:
    """Writes the pages that are made of something else, and says how sources are read."""
    write_api()
    write_tutorials()
    write_project()
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", read_docstring, priority=100)  # before napoleon
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))


def fresh(name: str) -> Path:
    """An empty folder for pages."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def write_api() -> None:
    """A page for each group of modules."""
    folder = fresh("api")
    for name, (title, modules) in API.items():
        parts = [f"# {title}\n"]
        for module in modules:
            named = hasattr(importlib.import_module(module), "__all__")  # else what it imports would be its members
            options = ":members:\n   :imported-members:" if named else ":members:"
            parts.append(f"```{{eval-rst}}\n.. automodule:: {module}\n   {options}\n```\n")
        (folder / f"{name}.md").write_text("\n".join(parts), encoding="utf-8")


def write_tutorials() -> None:
    """The notebooks with their pictures."""
    folder = fresh("tutorials")
    for path in notebooks.NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(path, folder)


def write_project() -> None:
    """Pages whose place is in the repository."""
    folder = fresh("project")
    for path, name in PROJECT.items():
        (folder / f"{name}.md").write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")


def read_source(app: Any, page: str, content: list[str]) -> None:
    """Links to the repository's files lead to pages of the site where there are such, else to the repository."""
    home = next((Path(path).parent for path, name in PROJECT.items() if page == f"project/{name}"), Path("docs"))
    to_root = "../" * page.count("/")

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        path = (ROOT / home / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return found[0]
        inside = path.relative_to(ROOT).as_posix()
        if inside in PROJECT:
            return f"[{text}]({to_root}project/{PROJECT[inside]}.md{anchor})"
        if path.is_relative_to(HERE):
            return f"[{text}]({to_root}{path.relative_to(HERE).as_posix()}{anchor})"
        return f"[{text}]({notebooks.REPOSITORY}/blob/main/{inside})" if notebooks.REPOSITORY else text

    if not page.startswith(("api/", "tutorials/")):
        content[0] = re.sub(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)", link, content[0])


def read_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings as Sphinx wants them."""
    lines[:] = docstrings.restructured("\n".join(lines)).split("\n")


def mathml(text: str, display: str) -> str:
    """A formula as MathML, which browsers draw by themselves, and screen readers read."""
    from latex2mathml.converter import convert

    return convert(text, display=display)


def inline_math(writer: Any, node: Any) -> None:
    """A formula in a line."""
    from docutils.nodes import SkipNode

    writer.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def block_math(writer: Any, node: Any) -> None:
    """A formula in a line of its own."""
    from docutils.nodes import SkipNode

    writer.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise SkipNode
