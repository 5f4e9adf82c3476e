"""Pictures with their words, in a notebook and from a script."""

import base64
import subprocess
import sys
import textwrap

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import nn, viz
from tinygrad_cnn.viz.show import bundle

ALT = 'A ring, "drawn" <in> two & a half lines.'


def pictures():
    x = tcnn.tensor(2.0, requires_grad=True)
    with viz.record({"x": x}) as tape:
        (x * x).backward()
    figure = viz.plot.filters(nn.Conv2d(1, 2, 3))
    return {"png": figure, "svg": tape.graph(), "html": tape, "animation": viz.animate()}


def test_a_script_writes_files_and_says_their_names(tmp_path):
    script = tmp_path / "lecture.py"
    script.write_text(
        textwrap.dedent("""
            import matplotlib.pyplot as plt
            import tinygrad_cnn as tcnn
            from tinygrad_cnn import viz

            figure, axes = plt.subplots()
            viz.show(figure, "Nothing yet.")
            assert plt.get_fignums() == []
            viz.show(viz.animate(), "A convolution.")
            x = tcnn.tensor(2.0, requires_grad=True)
            viz.show(viz.graph(x * x), "A square.")
        """),
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.replace("\\", "/").splitlines() == [
        "picture 1: Nothing yet. (pictures/lecture-1.png)",
        "picture 2: A convolution. (pictures/lecture-2.html)",
        "picture 3: A square. (pictures/lecture-3.svg)",
    ]
    assert (tmp_path / "pictures" / "lecture-1.png").read_bytes().startswith(b"\x89PNG")
    assert "<!DOCTYPE html>" in (tmp_path / "pictures" / "lecture-2.html").read_text(encoding="utf-8")
    assert "<svg" in (tmp_path / "pictures" / "lecture-3.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "mime"), [("png", "image/png"), ("svg", "image/svg+xml")])
def test_a_notebook_gets_a_picture_and_its_words(kind, mime):
    content, metadata = bundle(pictures()[kind], ALT)
    assert content["text/plain"] == ALT
    assert metadata == {mime: {"alt": ALT}}
    assert base64.b64decode(content[mime]).startswith(b"\x89PNG") if kind == "png" else "<svg" in content[mime]


@pytest.mark.parametrize("kind", ["html", "animation"])
def test_a_notebook_gets_a_page_whose_frame_is_named(kind):
    content, metadata = bundle(pictures()[kind], ALT)
    assert content["text/html"].startswith(
        '<iframe title="A ring, &quot;drawn&quot; &lt;in&gt; two &amp; a half lines."'
    )
    assert metadata == {}


def test_in_a_running_notebook_it_is_displayed(monkeypatch, tmp_path):
    """As Jupyter's kernel would: IPython says there is a kernel, and takes what is displayed."""
    displayed = []

    class Display:
        @staticmethod
        def display(content, raw, metadata):
            displayed.append((content, raw, metadata))

    class IPython:
        @staticmethod
        def get_ipython():
            return type("Shell", (), {"kernel": object()})()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    monkeypatch.setitem(sys.modules, "IPython.display", Display)
    viz.show(pictures()["png"], ALT)
    ((content, raw, metadata),) = displayed
    assert raw is True
    assert set(content) == {"image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == ALT
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ValueError, match="say in `alt` what the picture shows"):
        viz.show(viz.animate(), "  ")
    with pytest.raises(TypeError, match=r"show: ndarray is no picture; give a matplotlib Figure, a viz\.Graph"):
        viz.show(tcnn.zeros(3).numpy(), "Three numbers.")
