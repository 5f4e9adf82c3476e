"""The notebooks of the tutorials, made from their sources and executed.

python docs/notebooks.py           all of them
python docs/notebooks.py 1 14 B    some

Each is executed as a reader would, in an empty folder; what it draws and prints is kept. It needs the `docs` extra.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "tutorials"
NOTEBOOKS = TUTORIALS / "notebooks"
MOST_BYTES = 1_500_000
# the public address, https://github.com/OWNER/NAME; there are no links to it while it is empty
REPOSITORY = ""
NOTE = (
    '[Open in Colab]({address}), and there begin with a cell `%pip install "tinygrad-cnn[demo]"`. What needs a '
    "download says so; all else runs offline."
)


def sources() -> dict[str, Path]:
    """The tutorials' sources by what they are called: 1, 2, … A, B."""
    return {path.name.partition("_")[0].lstrip("0"): path for path in sorted(TUTORIALS.glob("*_*.py"))}


def notebook(source: Path) -> Any:
    """The cells of a source, not executed."""
    made = nbformat.v4.new_notebook(cells=jupytext.read(source, fmt="py:percent").cells)
    made.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    if REPOSITORY:
        place = REPOSITORY.replace("https://github.com", "https://colab.research.google.com/github")
        address = f"{place}/blob/main/tutorials/notebooks/{source.stem}.ipynb"
        made.cells[0].source += "\n\n" + NOTE.format(address=address)
    for number, cell in enumerate(made.cells):
        cell.id = f"{source.stem[:50]}-{number}".replace("_", "-")
    return made


def execute(made: Any) -> None:
    """Fills in what the cells show; the words that stand for a picture are kept for the pages, too."""
    from nbclient import NotebookClient

    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the kernel warns of frozen modules
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYGRAD_CNN_DATA"] = folder  # what is kept comes from data that need no download
        client = NotebookClient(made, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}})
        client.execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            for kind, about in output.get("metadata", {}).items():
                if kind.startswith("image/"):
                    cell.metadata["mystnb"] = {"image": {"alt": about["alt"]}}


def main() -> None:
    """Makes those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help="1, 2, … A, B; all by default")
    wanted = parser.parse_args().which or list(sources())
    NOTEBOOKS.mkdir(exist_ok=True)
    for name in wanted:
        if name not in sources():
            parser.error(f"there is no tutorial {name}; there are {', '.join(sources())}")
        source, begin = sources()[name], time.perf_counter()
        made = notebook(source)
        execute(made)
        path = NOTEBOOKS / f"{source.stem}.ipynb"
        path.write_text(nbformat.writes(made) + "\n", encoding="utf-8")
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size / 1000:,.0f} kB, {time.perf_counter() - begin:.0f} s", flush=True)
        if size > MOST_BYTES:
            raise SystemExit(f"{path.name} is larger than {MOST_BYTES:,} bytes: show fewer or smaller pictures")


if __name__ == "__main__":
    main()
