"""The gallery: every kind of picture, from one command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def test_the_gallery_has_every_picture_and_shows_it(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    pytest.importorskip("sklearn")
    program = [sys.executable, ROOT / "examples" / "gallery.py", "pictures", "--epochs", "1"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "pictures"
    files = {path.name for path in folder.iterdir()}
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="([^":]+)"', index)) == files - {"index.html"}
    assert len(files) > 30
    from tinygrad_cnn.viz import plot

    figures = [name for name in plot.__all__ if callable(getattr(plot, name))]
    assert [name for name in figures if not any(file.startswith(f"plot_{name}") for file in files)] == []
    for picture in (*folder.glob("*.png"), *folder.glob("*.gif")):
        with Image.open(picture) as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10, picture.name
