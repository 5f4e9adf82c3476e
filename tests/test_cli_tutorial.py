"""`tinygrad-cnn tutorial`: list, copy, open."""

import importlib.util
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tinygrad_cnn.cli import tutorial
from tinygrad_cnn.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["tutorial", *arguments], catch_exceptions=False)


def test_list(run):
    result = run("list")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "1 One neuron" in words
    assert [one.title for one in tutorial.tutorials().values() if one.title.split()[0] not in words] == []


def test_copies_are_kept_when_they_were_changed(run, tmp_path):
    assert run("copy").exit_code == 0
    copies = sorted(path.name for path in (tmp_path / "tutorials").iterdir())
    assert copies == sorted(one.notebook.name for one in tutorial.tutorials().values())
    mine = tmp_path / "tutorials" / "01_one_neuron.ipynb"
    mine.write_text("mine", encoding="utf-8")
    result = run("copy", "--only", "1")
    assert "Copied 0 tutorials" in result.stdout
    assert "kept, for you have changed it: tutorials/01_one_neuron.ipynb" in result.stdout.replace("\\", "/")
    assert mine.read_text(encoding="utf-8") == "mine"
    assert run("copy", "--only", "1", "--force").exit_code == 0
    assert mine.read_bytes() == tutorial.tutorials()["1"].notebook.read_bytes()


@pytest.mark.parametrize("name", ["2", "02", "02_gradients_by_hand", " 2 "])
def test_scripts_of_some(run, tmp_path, name):
    result = run("copy", "here", "--scripts", "--only", f"{name},1")
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "01_one_neuron.py",
        "02_gradients_by_hand.py",
    ]
    assert "Copied 2 tutorials into here/" in result.stdout
    assert "Next: python " in result.stdout


def test_an_unknown_one_names_those_there_are(run, tmp_path):
    for arguments in (("copy", "--only", "1,99"), ("open", "99")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "there is no tutorial '99'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_open_starts_jupyter_with_a_copy(run, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "notebook" or None)
    monkeypatch.setattr(
        subprocess, "run", lambda command, check: called.append(command) or subprocess.CompletedProcess(command, 7)
    )
    assert run("open", "1").exit_code == 7
    path = tmp_path / "tutorials" / "01_one_neuron.ipynb"
    assert called == [[sys.executable, "-m", "notebook", str(path.relative_to(tmp_path))]]
    path.write_text("mine", encoding="utf-8")
    run("open", "1")
    assert path.read_text(encoding="utf-8") == "mine"


def test_without_jupyter_it_says_what_to_do(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = run("open", "1")
    assert result.exit_code == 1
    assert 'pip install "tinygrad-cnn[notebook]"' in result.stderr
    assert "tutorial copy --scripts --only 1 && python" in result.stderr


def test_a_folder_that_cannot_be_made(run, tmp_path):
    (tmp_path / "tutorials").write_text("a file", encoding="utf-8")
    result = run("copy")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
