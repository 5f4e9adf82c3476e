"""Drawing with what is installed: the `dot` program, pygraphviz, or neither."""

from __future__ import annotations

import logging
import stat
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import tinygrad_cnn as tcnn
from tinygrad_cnn import viz
from tinygrad_cnn.viz import render


@pytest.fixture
def graph():
    return viz.graph(tcnn.tensor([1.0], requires_grad=True) * 2)


@pytest.fixture
def no_graphviz(monkeypatch):
    monkeypatch.setattr(render.shutil, "which", lambda name: None)
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)


def test_every_format_is_what_its_name_says(graph, tmp_path):
    starts = {"svg": b"<svg", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF", "dot": b"digraph"}
    for format, start in starts.items():
        path = graph.save(tmp_path / "new folder" / f"x.{format}")
        assert path == tmp_path / "new folder" / f"x.{format}"
        assert path.read_bytes().startswith(start)
    ElementTree.parse(tmp_path / "new folder" / "x.svg")


def test_the_png_is_not_blank(graph, tmp_path):
    image = pytest.importorskip("PIL.Image")
    with image.open(graph.save(tmp_path / "x.png")) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


@pytest.mark.parametrize("name", ["x.gif", "x", "x.", ".svg"])
def test_other_formats_are_refused_before_anything_is_written(graph, tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.svg"):
        graph.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_graphviz_the_dot_text_is_saved_beside(graph, tmp_path, no_graphviz, caplog):
    with caplog.at_level(logging.WARNING, logger="tinygrad_cnn"):
        path = graph.save(tmp_path / "x.svg")
    assert path == tmp_path / "x.dot"
    assert path.read_text(encoding="utf-8") == graph.to_dot()
    assert not (tmp_path / "x.svg").exists()
    (record,) = caplog.records
    assert "pip install pygraphviz" in record.getMessage()
    assert "x.dot" in record.getMessage()


def test_without_graphviz_the_text_can_still_be_had(graph, no_graphviz, tmp_path):
    assert "digraph" in graph.to_dot()
    assert graph.save(tmp_path / "x.dot").read_text(encoding="utf-8") == graph.to_dot()


def test_without_graphviz_svg_and_png_say_how_to_get_them(graph, no_graphviz):
    for make in (graph.to_svg, graph.to_png):
        with pytest.raises(viz.RenderError, match=r"not installed.*pip install pygraphviz.*graphviz\.org"):
            make()


def test_notebooks_get_svg_or_else_text(graph, monkeypatch):
    assert graph._repr_svg_().startswith("<svg")
    bundle = graph._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    monkeypatch.setattr(render.shutil, "which", lambda name: None)
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    assert graph._repr_svg_() is None
    bundle = graph._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert "pip install pygraphviz" in bundle["text/plain"]
    assert "digraph" in bundle["text/plain"]


@pytest.mark.skipif(sys.platform == "win32", reason="makes a shell script")
def test_a_dot_program_that_fails_is_followed_by_pygraphviz(graph, tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho no plugins >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert render.renderers() == ["dot", "pygraphviz"]
    assert graph.to_svg().startswith("<svg")
    monkeypatch.setattr(render, "renderers", lambda: ["dot"])
    with pytest.raises(viz.RenderError, match=r"dot failed \(no plugins\)"):
        graph.to_svg()


@pytest.mark.skipif(sys.platform == "win32", reason="makes a shell script")
def test_the_dot_program_is_given_the_text(graph, tmp_path, monkeypatch):
    fake = tmp_path / "dot"
    fake.write_text('#!/bin/sh\necho "$@"\ncat\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    arguments, text = graph.to_png().decode("utf-8").split("\n", 1)
    assert arguments.split() == ["-Kdot", "-Tpng", "-Gdpi=144"]
    assert text == graph.to_dot()


def test_a_renderer_that_hangs_or_is_gone_is_an_error(graph, monkeypatch):
    monkeypatch.setattr(render, "renderers", lambda: ["dot"])
    monkeypatch.setattr(render.shutil, "which", lambda name: "/nowhere/dot")
    with pytest.raises(viz.RenderError, match="could not be started"):
        graph.to_svg()

    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("dot", 1)

    monkeypatch.setattr(render.subprocess, "run", hang)
    with pytest.raises(viz.RenderError, match="limit=100"):
        graph.to_svg()


def test_where_each_layer_uses_all_before_it_the_picture_comes_all_the_same(monkeypatch):
    monkeypatch.setattr(render, "TIMEOUT_SECONDS", 15.0)
    results = [tcnn.tensor([1.0], requires_grad=True)]
    for _ in range(25):
        results.append(tcnn.cat(results).sum().reshape(1))
    assert tcnn.viz.graph(results[-1]).to_svg().count('class="edge"') == 375
