"""The hostile and broken submissions of test_exercise_sandbox.py once more, as a class that is graded: no points."""

import pytest
import test_exercise_sandbox as hostile

from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.checking import check
from tinygrad_cnn.exercises.sandbox import Limits

pytestmark = [pytest.mark.slow, hostile.pytestmark]
RELU = Catalogue()["relu"]
NAMES = {
    "def f(x)": "def relu_forward(x)",
    "def g(x)": "def relu_backward(dy, x)",
    "return x + 1": "return dy * (x > 0)",
}


def as_relu(source):
    """A submission that has relu_forward in place of f, and a right relu_backward in place of g."""
    for old, new in NAMES.items():
        source = source.replace(old, new) if isinstance(source, str) else source.replace(old.encode(), new.encode())
    return source if isinstance(source, bytes) else source.encode()


@pytest.mark.parametrize("name", hostile.SUBMISSIONS)
def test_no_undeserved_points(tmp_path, name):
    told = hostile.SUBMISSIONS[name]
    source = hostile.written(told)
    if isinstance(source, str):
        source = source.replace("HOME", str(tmp_path)).replace("LIBRARY", hostile.LIBRARY)
    file = tmp_path / RELU.file
    file.write_bytes(as_relu(source))
    verdict = check(RELU, file, Limits(**hostile.limits(told)))
    forward, backward = verdict.parts
    assert forward.points == 0  # none of them computes it
    assert forward.finding.says.endswith((".", "?"))
    if backward.points:  # which is right in most of them
        assert hostile.wanted(told)[1] in ("right", "*", ["right", ""]) or "file" in told
    file.write_text(RELU.solution(), encoding="utf-8")  # the next submission
    assert check(RELU, file).points == RELU.points
