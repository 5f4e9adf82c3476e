"""The tutorials: sources that run, notebooks that were made of them, pictures with words, links that lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_cnn.cli import tutorial

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs")]

import notebooks  # noqa: E402

SOURCES = notebooks.sources()
TASKS = ROOT / "tinygrad_cnn" / "exercises" / "tasks"


@pytest.fixture(params=SOURCES, ids=lambda number: SOURCES[number].stem)
def source(request):
    return SOURCES[request.param]


def cells(source):
    return json.loads((notebooks.NOTEBOOKS / f"{source.stem}.ipynb").read_text(encoding="utf-8"))["cells"]


def test_all_are_there():
    assert list(SOURCES) == [*map(str, range(1, 17)), "A", "B"]
    made = {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")}
    assert made == {path.stem for path in SOURCES.values()}


def test_a_notebook_is_its_source(source):
    """To make it anew: python docs/notebooks.py."""
    wanted = [(cell.cell_type, cell.source) for cell in notebooks.notebook(source).cells]
    found = [(cell["cell_type"], "".join(cell["source"])) for cell in cells(source)]
    assert found == wanted


def test_the_folder_s_page_lists_them():
    page = (notebooks.TUTORIALS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\w+) \| \[(.+)\]\(notebooks/(.+)\.ipynb\)", page, flags=re.M)
    assert listed == sorted(
        ((one.number, one.title, one.source.stem) for one in tutorial.tutorials().values()), key=lambda row: row[2]
    )


def test_colab_is_offered_once_there_is_an_address(monkeypatch):
    assert "colab" not in notebooks.notebook(SOURCES["1"]).cells[0].source
    monkeypatch.setattr(notebooks, "REPOSITORY", "https://github.com/somebody/tinygrad_cnn")
    link = (
        "[Open in Colab](https://colab.research.google.com/github/somebody/tinygrad_cnn"
        "/blob/main/tutorials/notebooks/01_one_neuron.ipynb)"
    )
    assert link in notebooks.notebook(SOURCES["1"]).cells[0].source


def test_a_notebook_shows_what_it_computed(source):
    """Every cell ran, none failed, and each picture has words."""
    assert (notebooks.NOTEBOOKS / f"{source.stem}.ipynb").stat().st_size <= notebooks.MOST_BYTES
    code = [cell for cell in cells(source) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    pictures = 0
    for output in outputs:
        content = output.get("data", {})
        for kind in content:
            if kind.startswith("image/"):
                assert len(output["metadata"][kind]["alt"]) > 30
                pictures += 1
        page = "".join(content.get("text/html", ""))
        if "<iframe" in page:
            assert len(re.search('<iframe title="(.*?)"', page)[1]) > 30
            pictures += 1
    assert pictures >= 1


def test_a_tutorial_has_what_all_have(source):
    text = source.read_text(encoding="utf-8")
    number = source.name.partition("_")[0].lstrip("0")
    assert text.startswith(f"# %% [markdown]\n# # {number} · ")
    assert "**What you will be able to do:**" in text
    assert text.index("# ## Exercises") < text.index("# ## Further reading")
    named = re.findall(r"`tcnn exercise check (\w+)`", text[text.index("# ## Exercises") :])
    assert len(named) >= 3
    assert [name for name in named if not (TASKS / name).is_dir()] == []
    assert re.search(r"\((19|20)\d\d\)", text[text.index("# ## Further reading") :])
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.slow
def test_a_tutorial_runs_as_a_program(source, tmp_path):
    """In an empty folder, without a screen; all its assertions hold."""
    done = subprocess.run([sys.executable, source], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    shown = re.findall(r"^picture \d+: .+ \((pictures/.+)\)$", done.stdout, flags=re.M)
    assert shown
    assert [path for path in shown if (tmp_path / path).stat().st_size < 1000] == []


def test_tutorials_that_exercises_name_exist():
    titles = {one.number: one.title for one in tutorial.tutorials().values()}
    named = set()
    for task in TASKS.glob("*/exercise.toml"):
        named.update(re.findall(r'^tutorial = "Tutorial (\w+), (.+)"', task.read_text(encoding="utf-8"), flags=re.M))
    assert len(named) > 8
    assert [(number, title) for number, title in named if not titles[number].startswith(title)] == []
