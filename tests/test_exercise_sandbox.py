"""Broken and hostile submissions: each ends in time, with a sentence, and leaves nothing behind."""

import os
import tempfile
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn
from tinygrad_cnn.exercises.sandbox import Call, Limits, parent, run, system, wire

pytestmark = pytest.mark.skipif(not system.LINUX, reason="what is left behind is looked for in /proc")

LIBRARY = str(Path(tinygrad_cnn.__file__).parent)
SECONDS = 60.0  # for what ends by itself, on a machine of any speed
X = np.arange(3.0)
G = "\n\ndef g(x):\n    return x + 1\n"  # a second function, right, and below all else
EASY = "def f(x):\n    return 2 * x\n" + G


def written(told):
    """A submission's text."""
    match told:
        case {"in_f": body}:
            return "import os, sys\n\ndef f(x):\n" + textwrap.indent(body, "    ") + "    return x\n" + G
        case {"first": head}:
            return head + "\ndef f(x):\n    return x\n" + G
        case {"with_g": head}:
            return head + G
    return told["file"]


def wanted(told):
    """What is to come of it: f's outcome and g's."""
    usual = ("", "") if "file" in told or told.get("lost") else ("other", "right")
    return told.get("f", usual[0]), told.get("g", usual[1])


def limits(told):
    """What it may use: half a second if only the limit ends it."""
    return {"seconds": 0.5 if told.get("kind") == "timeout" else SECONDS} | told.get("limits", {})


SUBMISSIONS = {
    f"{group}: {name}": told
    for group, submissions in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
    for name, told in submissions.items()
}
RIGHT = {"f": "right", "g": "right"}
SUBMISSIONS |= {
    f"encoded: {name}": {"file": source} | told
    for name, source, told in [
        ("not UTF-8", "# größer\nx = 'größer'\n".encode("latin-1"), {"kind": "encoding", "says": "0xF6", "line": 1}),
        ("Latin-1, and says so", "# coding: latin-1\nx = 'ö'\n".encode("latin-1") + EASY.encode(), RIGHT),
        ("no UTF-8, and says it is", b"# coding: utf-8\nx = '\xf6'\n", {"kind": "encoding", "says": "Line 2"}),
        ("UTF-8 with a mark", b"\xef\xbb\xbf" + EASY.encode(), RIGHT),
        ("UTF-16", EASY.encode("utf-16"), {"kind": "encoding", "says": "UTF-16"}),
        ("null bytes", EASY.encode() + b"\0", {"kind": "encoding", "says": "Line 7 holds a null byte", "line": 7}),
        ("lines of Windows", EASY.replace("\n", "\r\n").encode(), RIGHT),
        ("too large", b"#" * (1 << 20) + b"\n", {"kind": "encoding", "says": "larger than 1 MB"}),
        ("nested too deeply", b"x = " + b"(" * 5000, {"kind": "syntax", "says": "nested"}),
        ("a sum that is too long", b"x = " + b"+".join([b"1"] * 200_000), {"kind": ["syntax", "crash"]}),
    ]
}


@pytest.fixture(name="home")
def students_home(tmp_path, monkeypatch):
    """A student's folder, with a progress file and helpers; scratch folders and processes are looked for afterwards."""
    folder, scratch = tmp_path / "mine", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    (folder / "progress.json").write_text('{"solved": ["relu"]}')
    (folder / "helper_library.py").write_text("import numpy\nimport tinygrad_cnn\n")
    (folder / "helper.py").write_text("FACTOR = 2\n\ndef broken(x):\n    return x.nothing\n")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    tokens, token_hex, before = [], parent.secrets.token_hex, system.descendants(os.getpid())
    monkeypatch.setattr(parent.secrets, "token_hex", lambda n: tokens.append(token_hex(n)) or tokens[-1])
    yield folder
    assert list(scratch.iterdir()) == []
    assert (folder / "progress.json").read_text() == '{"solved": ["relu"]}'
    for token in tokens:
        assert system.strays(token) == []
    assert set(system.descendants(os.getpid())) <= set(before)


def check(path, allow=(), calls=("f", "g"), seconds=SECONDS, **limits):
    """The report, and for each call "right", "other", the exception's type, or ""."""
    right = {"f": 2 * X, "g": X + 1}
    report = run(path, ["f", "g"], [Call(name, wire.write((X,))) for name in calls], Limits(seconds, **limits), allow)
    assert len(report.outcomes) == len(calls)
    told = []
    for name, outcome in zip(calls, report.outcomes):
        if outcome is None:
            told.append("")
        elif "raised" in outcome:
            told.append(outcome["raised"]["type"])
        else:
            value, (after,) = wire.read(outcome["returned"])
            told.append("right" if wire.same(value, right[name], 0, 0) else "other")
    return report, told


def among(value, expected):
    return expected == "*" or value in (expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_submission_ends_with_a_sentence_and_leaves_nothing_behind(name, home):
    told, path = SUBMISSIONS[name], home / "conv.py"
    source = written(told)
    if isinstance(source, str):
        source = source.replace("HOME", str(home)).replace("LIBRARY", LIBRARY).encode()
    path.write_bytes(source)
    report, outcomes = check(path, **limits(told))
    problem = report.problem
    assert among(problem.kind if problem else "", told.get("kind", "")), problem
    for outcome, expected in zip(outcomes, wanted(told)):
        assert among(outcome, expected), report
    texts = [problem.says] if problem else []
    texts += [o["raised"]["text"] for o in report.outcomes if o and "raised" in o]
    assert told.get("says", "").replace("HOME", str(home)) in "\n".join(texts), texts
    if problem:
        assert problem.says.endswith((".", "?"))
        assert problem.code or not problem.line or problem.kind in ("encoding", "syntax")
        assert "scratch" not in problem.says + problem.code
        assert problem.line == told.get("line", problem.line)
    assert len(report.printed) <= Limits().output
    assert path.read_bytes() == source

    if name.startswith(("leaving", "others", "files")):  # what they leave behind would be there for the next one
        path.write_text(EASY)
        report, outcomes = check(path)
        assert report.problem is None
        assert outcomes == ["right", "right"]
