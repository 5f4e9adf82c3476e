"""`tinygrad-cnn tutorial …`: the tutorials that came with the package, listed, copied and opened."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_cnn.about import install
from tinygrad_cnn.cli.console import (
    Debug,
    command,
    console,
    fail,
    many,
    one_by_one,
    program,
    quoted,
    say,
    stop,
    writing,
    wrong,
)

tutorial = typer.Typer(
    name="tutorial",
    help="Notebooks that explain it all, step by step.",
    epilog="Start with: tinygrad-cnn tutorial open 1",
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FOLDER = Path("tutorials")
# programs that show notebooks, as modules, the better one first
VIEWERS = ("jupyterlab", "notebook")

Folder = Annotated[Path, typer.Argument(help="Where the files go.", metavar="DIR")]


@dataclass(frozen=True)
class Tutorial:
    """A tutorial: its source, and what its first cell says."""

    source: Path
    number: str
    title: str
    about: str

    @property
    def notebook(self) -> Path:
        """The notebook that is made of it, with its pictures."""
        return self.source.parent / "notebooks" / f"{self.source.stem}.ipynb"


def tutorials() -> dict[str, Tutorial]:
    """All tutorials by number; A and B are appendices."""
    inside, beside = Path(__file__).parents[1] / "tutorials", Path(__file__).parents[2] / "tutorials"
    found = [read(path) for path in sorted((inside if inside.is_dir() else beside).glob("*_*.py"))]
    if not found:
        fail(f"the tutorials did not come with this installation (looked in {inside} and {beside}); install it again")
    return {tutorial.number: tutorial for tutorial in found}


def read(source: Path) -> Tutorial:
    """What the first cell says: `# 1 · One neuron`, and a paragraph in italics."""
    text = source.read_text(encoding="utf-8")
    heading = re.search(r"^# # (\w+) · (.+)$", text, flags=re.M)
    about = re.search(r"^# \*(?!\*)(.+?)\*$", text, flags=re.M | re.S)
    assert heading, source
    assert about, source
    return Tutorial(source, heading[1], heading[2], re.sub(r"\s*\n# ", " ", about[1]))


def chosen(names: list[str]) -> list[Tutorial]:
    """The tutorials that are meant: `3`, `03`, `03_autograd_in_100_lines`, `b`."""
    known, found = tutorials(), []
    for name in names:
        number = name.strip().partition("_")[0].lstrip("0").upper()
        if number not in known:
            wrong(f"there is no tutorial {name!r}; choose one of: {', '.join(known)} ({program()} tutorial list)")
        found.append(known[number])
    return found


@tutorial.command("list")
@command
def list_(debug: Debug = False) -> None:
    """Show all tutorials and what each is about."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 1))
    for column, style in (("number", "bold"), ("title", "bold"), ("about", "")):
        table.add_column(column, style=style, justify="right" if column == "number" else "left")
    for one in tutorials().values():
        table.add_row(one.number, one.title, one.about.partition(" Runs ")[0])
    console().print(table)
    say()
    say(f"{program()} tutorial open 1    in Jupyter")
    say(f"{program()} tutorial copy      all of them, into the folder {FOLDER}/")


@tutorial.command(
    "copy",
    epilog="""Examples:

tinygrad-cnn tutorial copy

tinygrad-cnn tutorial copy lecture3 --only 6,7,8 --scripts""",
)
@command
def copy(
    folder: Folder = FOLDER,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only these tutorials, with commas between.", metavar="NUMBERS", show_default="all"),
    ] = None,
    scripts: Annotated[
        bool, typer.Option("--scripts", help="As programs, for `python 01_one_neuron.py`, not as notebooks.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that you have changed, too.")] = False,
    debug: Debug = False,
) -> None:
    """Copy the tutorials into a folder of yours, to change and run them.

    What you have changed there is kept.
    """
    wanted = chosen(one_by_one(only or [])) or list(tutorials().values())
    kept = copied(wanted, folder, scripts, force)
    say(f"Copied {many(len(wanted) - len(kept), 'tutorial')} into {folder}/")
    for path in kept:
        say(f"kept, for you have changed it: {path}")
    if kept:
        say("With --force they are written anew.")
    first = target(wanted[0], folder, scripts)
    say(f"Next: {f'python {quoted(first)}' if scripts else f'{program()} tutorial open {wanted[0].number}'}")


@tutorial.command("open", epilog="Example: tinygrad-cnn tutorial open 6")
@command
def open_(
    number: Annotated[str, typer.Argument(help="Which one: 1 to 16, A or B.", metavar="NUMBER")],
    folder: Folder = FOLDER,
    debug: Debug = False,
) -> None:
    """Open a tutorial in Jupyter, in a copy of yours, which is made if it is not there."""
    (one,) = chosen([number])
    viewer = next((name for name in VIEWERS if importlib.util.find_spec(name)), None)
    if viewer is None:
        script = f"{program()} tutorial copy --scripts --only {one.number} && python {FOLDER / one.source.name}"
        fail(f"Jupyter is not installed: {install('notebook')}; or run it as a program: {script}")
    path = target(one, folder, scripts=False)
    if not path.exists():
        copied([one], folder)
    say(f"Jupyter shows {path}; it ends with Ctrl-C here.")
    stop(subprocess.run([sys.executable, "-m", viewer, str(path)], check=False).returncode)


def target(one: Tutorial, folder: Path, scripts: bool) -> Path:
    """Where its copy is."""
    return folder / (one.source if scripts else one.notebook).name


def copied(wanted: list[Tutorial], folder: Path, scripts: bool = False, force: bool = False) -> list[Path]:
    """Copies tutorials; returns those files that differ from what would be written, and were left as they are."""
    kept = []
    with writing(folder, "choose another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for one in wanted:
            content, path = (one.source if scripts else one.notebook).read_bytes(), target(one, folder, scripts)
            if path.exists() and path.read_bytes() != content and not force:
                kept.append(path)
            else:
                path.write_bytes(content)
    return kept
