"""What a student is told, for every way to be wrong; on the convolution by loops, and on small exercises made here."""

import re

import pytest
from exercising import one_process  # noqa: F401

from tinygrad_cnn.exercises import checking
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.sandbox import Report

pytestmark = pytest.mark.usefixtures("one_process")
CONV = Catalogue()["conv_forward"]
DEFINED = "def conv2d_forward(x, weight, bias, stride, padding):\n"


def told(tmp_path, exercise, text, **more):
    """The finding on the last function of a file."""
    file = tmp_path / "answer.py"
    file.write_text("import numpy as np\n" + text, encoding="utf-8")
    return checking.check(exercise, file, **more).parts[-1].finding


def solved(*changes, exercise=CONV):
    """The solution with other changes than the catalogue's."""
    text = exercise.solution()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


TAPS = (
    DEFINED
    + """
    N, C, H, W = x.shape
    K, C, R, S = weight.shape
    P, Q = (H + 2 * padding - R) // stride + 1, (W + 2 * padding - S) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.zeros((N, K, P, Q), x.dtype)
    for r in range(R):
        for s in range(S):
            pixels = padded[:, :, r : r + P * stride : stride, s : s + Q * stride : stride][:, :, :P, :Q]
            y += np.tensordot(pixels, WEIGHT[:, :, r, s], ((1,), (1,))).transpose(0, 3, 1, 2)
    return y + bias[:, None, None]
"""
)


def test_the_right_answer_in_another_style(tmp_path):
    assert told(tmp_path, CONV, TAPS.replace("WEIGHT", "weight")) is None


def test_a_typical_mistake_is_named_in_any_style(tmp_path):
    finding = told(tmp_path, CONV, TAPS.replace("WEIGHT", "weight[:, :, ::-1, ::-1]"))
    assert (finding.kind, finding.mistakes) == ("mistake", ("flipped",))
    assert "flipped" in finding.says
    assert "Call: conv2d_forward(x (1, 1, 3, 4)" in finding.detail
    assert finding.tutorial.startswith("Tutorial 6")


def test_two_mistakes_at_once(tmp_path):
    text = TAPS.replace("WEIGHT", "weight[:, :, ::-1, ::-1]").replace(" + bias[:, None, None]", "")
    finding = told(tmp_path, CONV, text)
    assert (finding.kind, set(finding.mistakes)) == ("mistake", {"flipped", "no-bias"})
    assert finding.says.startswith("Two things at once. ①")
    assert "②" in finding.hint


@pytest.mark.parametrize(
    ("text", "kind", "says", "hint"),
    [
        (DEFINED + "    raise NotImplementedError", "todo", "still to be written", "TODO"),
        ("def conv(x):\n    return x\n", "missing", "no function conv2d_forward", "def conv2d_forward"),
        ("conv2d_forward = 3\n", "missing", "conv2d_forward is no function", "def conv2d_forward"),
        ("def conv2d_forward(x, weight):\n    return x\n", "signature", "called with 5 arguments", "stride, padding):"),
        (DEFINED + "    pass", "returned", r"returned nothing \(None\)", "return at its end"),
        (DEFINED + "    return [[1.0]]", "returned", "y is a list: .*; it must be an array of float64", "np.array"),
        (DEFINED + "    return {1}", "returned", r"y is a set: \{1\}; it must be an array", "np.array"),
        (DEFINED + "    return x", "shape", r"y has shape \(1, 1, 3, 4\); it must be \(1, 1, 2, 3\)", "Returns"),
        (DEFINED + "    return x + x[..., 1:]", "raised", "raised ValueError: .* in line 3, `", "axes"),
        (DEFINED + "    return z", "raised", "NameError: name 'z' is not defined in line 3", "spelled"),
        (
            DEFINED + "    return conv2d_forward(x, weight, bias, stride, padding)",
            "raised",
            "RecursionError",
            "loop with a list as a stack",
        ),
        (DEFINED + "    return x[99]", "raised", "IndexError", "print the shapes"),
    ],
)
def test_what_is_no_mistake_of_the_catalogue(tmp_path, text, kind, says, hint):
    finding = told(tmp_path, CONV, text)
    assert finding.kind == kind
    assert re.search(says, finding.says), finding.says
    assert hint in finding.hint


def test_axes_in_another_order(tmp_path):
    finding = told(tmp_path, CONV, solved(("    return y", "    return y.transpose(3, 0, 1, 2)")))
    assert (finding.kind, finding.says) == ("shape", "y has shape (3, 1, 1, 2); it must be (1, 1, 2, 3).")
    assert "their order is not" in finding.hint


def test_another_number_format(tmp_path):
    finding = told(tmp_path, CONV, solved((", dtype=x.dtype)", ")")))
    assert finding.kind == "dtype"
    assert "The numbers are right, but y is float64; it must be float32" in finding.says
    assert "dtype=x.dtype" in finding.hint


def test_an_argument_that_was_changed(tmp_path):
    finding = told(tmp_path, CONV, solved(("    return y", "    weight *= 2\n    return y")))
    assert finding.kind == "changed"
    assert "changed its argument weight" in finding.says


def test_a_law_is_told_where_no_mistake_is_known(tmp_path):
    finding = told(tmp_path, CONV, solved(("weight[k]) + bias[k]", "weight[k]) ** 3 + bias[k]")))
    assert finding.kind == "law"
    assert "Without bias, " in finding.says
    assert "y[0, 0, 0, 0] is" in finding.detail


def test_the_first_wrong_number_and_where_it_comes_from(tmp_path):
    finding = told(tmp_path, CONV, solved(("weight[k]) +", "weight[k]) * (1 + (stride == 3) * (p == 1) * (q == 1)) +")))
    assert finding.kind == "value"
    assert re.search(r"in \d of \d+ cases", finding.says)
    assert "It is right for: one image" in finding.says
    assert "y[0, 0, 1, 1] is " in finding.detail
    assert "It is computed from image 0, rows " in finding.detail


def test_speed_is_told_and_costs_nothing(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text(CONV.solution(), encoding="utf-8")
    part = checking.check(CONV, file).parts[0]
    assert part.points == part.max_points
    assert part.slower > 2
    assert "times the time of im2col" in part.remark


def test_what_comes_back_may_be_anything(tmp_path, monkeypatch):
    """The student's process can say what it wants: the checker reads it or says that it cannot."""
    told_ = [{}, {"returned": 3}, {"seconds": "x"}, {"seconds": 1, "returned": {"value": {"$dict": 5}, "nodes": []}}, 7]
    file = tmp_path / "answer.py"
    file.write_text(CONV.solution(), encoding="utf-8")
    for outcomes in ([t] * 20 for t in told_):
        monkeypatch.setattr(checking, "run", lambda *a, o=outcomes: Report({"conv2d_forward": ["x"] * 5}, o))
        verdict = checking.check(CONV, file)
        assert verdict.points == 0
        assert verdict.problem.kind == "garbage"
    monkeypatch.setattr(checking, "run", lambda *a: Report({}, [], None))
    assert checking.check(CONV, file).points == 0


# ---- small exercises of our own

TOML = """
title = "Two results"
tutorial = "Tutorial 1"
intro = "Sum and difference, and a step in place."
hints = ["the idea", "where to look", "pseudo-code"]

[[functions]]
name = "both"
solution = "solution.py:both"
points = 2
returns = ["total", "rest"]

[[functions.mistakes]]
id = "swapped"
change = [["a - b", "b - a"]]
says = "The difference is the wrong way round."
hint = "First minus second."

[[functions.mistakes]]
id = "swapped-twin"
change = [["a - b", "-(b - a) * -1"]]
says = "The difference has the wrong sign."
hint = "Which comes first?"

[[functions]]
name = "step"
solution = "solution.py:step"
points = 3
changes = ["w"]

[[functions]]
name = "whole"
solution = "solution.py:whole"
points = 1
"""
SOLUTION = '''
def both(a, b):
    """Sum and difference."""
    return a + b, a - b


def step(w, dw):
    """Change w in place."""
    w -= dw


def whole(n, d):
    """Divide."""
    if d == 0:
        raise ValueError("by zero")
    return n // d
'''
CASES = """
from tinygrad_cnn.exercises.cases import Case, Law

def cases(rng):
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    return [Case("both", (a, b), "two arrays"), Case("step", (a, b), "a step"), Case("whole", (7, 2), "seven halves"),
            Case("whole", (7, 0), "no divisor")]

def laws(rng):
    return [Law("whole", "Nine thirds are three.", [(9, 3)], lambda results: results[0] == 3)]
"""


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "catalogue" / "small"
    folder.mkdir(parents=True)
    for name, text in {"exercise.toml": TOML, "solution.py": SOLUTION, "cases.py": CASES}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Catalogue(folder)["small"]


def findings(tmp_path, exercise, *changes):
    file = tmp_path / "small.py"
    file.write_text(solved(*changes, exercise=exercise), encoding="utf-8")
    return {part.function: part.finding for part in checking.check(exercise, file).parts}


def test_each_function_has_its_own_points(tmp_path, small):
    file = tmp_path / "small.py"
    file.write_text(solved(("w -= dw", "w += dw"), exercise=small), encoding="utf-8")
    verdict = checking.check(small, file)
    assert (verdict.points, verdict.max_points, verdict.passed, verdict.begun) == (3, 6, False, True)
    assert [part.passed for part in verdict.parts] == [True, False, True]
    detail = verdict.parts[1].finding.detail
    assert "w[0, 0] is " in detail


def test_a_change_that_must_be_made_in_place(tmp_path, small):
    assert "w[0, 0] is" in findings(tmp_path, small, ("w -= dw", "w = w - dw"))["step"].detail
    finding = findings(tmp_path, small, ("w -= dw", "dw *= 1.5; w -= dw / 1.5"))["step"]
    assert (finding.kind, "changed its argument dw" in finding.says) == ("changed", True)


def test_what_cannot_be_told_apart_is_said_to_look_like_it(tmp_path, small):
    finding = findings(tmp_path, small, ("a - b", "b - a"))["both"]
    assert (finding.kind, set(finding.mistakes)) == ("looks-like", {"swapped", "swapped-twin"})
    assert finding.says.startswith("It looks like one of these: The difference")


def test_which_of_several_results_is_right(tmp_path, small):
    finding = findings(tmp_path, small, ("a - b", "a - 2 * b"))["both"]
    assert "total is right, rest is not" in finding.detail
    assert "6 of 6 numbers of rest are wrong" in finding.detail
    missing = findings(tmp_path, small, ("a + b, a - b", "a + b"))["both"]
    assert "must return 2 things, (total, rest); it returned an array of shape (2, 3)" in missing.says
    assert findings(tmp_path, small, ("a + b, a - b", "a + b, None"))["both"].says == "rest is None."
    assert findings(tmp_path, small, ("a + b, a - b", "[a + b, a - b]"))["both"] is None  # a list will do


def test_an_error_that_must_be_raised(tmp_path, small):
    finding = findings(tmp_path, small, ('raise ValueError("by zero")', "return 0"))["whole"]
    assert "must raise a ValueError here, and returned 0" in finding.says
    finding = findings(tmp_path, small, ("ValueError", "KeyError"))["whole"]
    assert "raised KeyError" in finding.says
    assert "It must raise ValueError here." in finding.says
    assert findings(tmp_path, small, ("ValueError", "UnicodeError"))["whole"] is None  # which is a ValueError
    finding = findings(tmp_path, small, ("n // d", "n / d"))["whole"]
    assert "result" in finding.detail or finding.kind in ("dtype", "value")


def test_a_law_counts_where_all_cases_are_right(tmp_path, small):
    """Where several results are right, as in an order of nodes, only a law can judge."""
    finding = findings(tmp_path, small, ("return n // d", "return n // d + (n == 9)"))["whole"]
    assert (finding.kind, finding.says) == ("law", "Nine thirds are three.")
    assert findings(tmp_path, small, ("return n // d", "return n // d if n != 9 else 1 / 0"))["whole"].kind == "raised"
    assert findings(tmp_path, small, ("return n // d", "return n // d if n != 9 else None"))["whole"].kind == "law"
