"""The README's Python runs, and its commands are the two that CI takes out of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number):
    """Each block builds on those before it, and changes something: the training loop lowers the loss."""
    names = {}
    for block in BLOCKS[: number + 1]:
        exec(block, names)
    if number == 0:
        assert names["loss"].item() < 2.3  # log 10 is what guessing costs


VISUALS = (ROOT / "docs" / "visuals.md").read_text(encoding="utf-8")


def test_the_page_on_pictures_shows_what_its_python_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", VISUALS, flags=re.M | re.S):
        exec(block, names)
    printed = capsys.readouterr().out
    shown = re.findall(r"^```text\n(.*?)^```", VISUALS, flags=re.M | re.S)
    assert len(shown) == 2
    assert [text for text in shown if text not in printed] == []
    assert names["page"].startswith("<!DOCTYPE html>")
    assert [box.title for box in names["opened"].boxes][-1] == "mean"


def test_the_page_on_pictures_names_every_figure_and_its_links_lead_somewhere():
    from tinygrad_cnn.viz import plot

    figures = [name for name in plot.__all__ if callable(getattr(plot, name))]
    assert len(figures) >= 12
    assert [name for name in figures if name not in VISUALS] == []
    targets = re.findall(r"\]\(([^)#]+?)\)", VISUALS)
    assert len(targets) >= 5
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []


def test_commands():
    script = ROOT / ".ci" / "readme_commands.py"
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        'pip install ".[demo]" && tinygrad-cnn train lenet5',
        'pip install -e ".[test]" && pytest',
    ]


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+?)\)", README)
    assert len(targets) > 5
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_the_core_stays_readable():
    """An afternoon's reading, without docstrings, comments and blank lines."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.core_lines import CORE, METHODS, TENSOR, total
    finally:
        sys.path.remove(str(ROOT))
    core, methods, tensor = total(CORE), total(METHODS), total(TENSOR)
    assert core > 500
    assert 100 < methods < tensor - core
    assert core + methods < 4000


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_architecture_page_shows_the_real_operation():
    """Every line of code it shows stands in the file it names."""
    source = (ROOT / "tinygrad_cnn" / "ops" / "conv.py").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", ARCHITECTURE, flags=re.M | re.S)
    plain = re.sub(r": Array( \| None)?| -> [^\n]*?(?=:\n)", "", source).replace(
        " = None", "=None"
    )  # the page leaves annotations out
    lines = [line.strip() for line in block.splitlines() if line.strip() not in ("", "...")]
    assert [line for line in lines if line not in plain] == []


def test_the_architecture_page_names_every_room():
    rows = re.findall(r"^\| (`.*?) \|", ARCHITECTURE, flags=re.M)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([a-z_]+(?:\.py|/))`", row)}
    package = ROOT / "tinygrad_cnn"
    rooms = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert named == rooms - {"__init__.py", "__main__.py"}


def test_the_page_for_those_who_come_from_elsewhere_runs(capsys):
    page = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S):
        exec(block, names)
    printed = capsys.readouterr().out
    assert "layer 4 (Linear): linear: weight (10, 1176) wants F=1176 input features, x (8, 1536) has 1536" in printed
    assert "54,410 parameters" in printed


def test_the_comparison_is_what_was_measured():
    """Each factor of the last column, as the benchmarks' table has it."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    names = next(line for line in results.splitlines() if line.startswith("| network |  | B | tinygrad_cnn, ms"))
    step = next(line for line in results.splitlines() if line.startswith("| LeNet-5 modern | training | 64 |"))
    measured = dict(zip(*([cell.strip() for cell in line.strip("|").split("|")] for line in (names, step))))
    shown = {
        "PyTorch ÷ ours": r"\[PyTorch\].*\| ([\d.]+) times \|",
        "MyGrad ÷ ours": r"\[MyGrad\].*\| ([\d.]+) times as long \|",
        "autograd ÷ ours": r"\[autograd\].*\| ([\d.]+) times \|",
        "tinygrad ÷ ours": r"\[tinygrad\].*\| ([\d.]+) times, with",
        "tinygrad, TinyJit ÷ ours": r"with TinyJit ([\d.]+) times",
    }
    for name, pattern in shown.items():
        factor = re.search(pattern, README)[1]
        assert float(f"{float(measured[name]):.2g}") == float(factor), name
