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
    """An afternoon's reading: the rooms of the core, without docstrings, comments and blank lines."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.core_lines import count
    finally:
        sys.path.remove(str(ROOT))
    assert 500 < sum(count().values()) < 4000
