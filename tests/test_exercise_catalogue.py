"""The catalogue: what it promises in numbers, and what a teacher who adds an exercise is told."""

import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from exercising import one_process  # noqa: F401

from tinygrad_cnn.exercises import checking, sources
from tinygrad_cnn.exercises.catalogue import HERE, TASKS, Catalogue
from tinygrad_cnn.exercises.sandbox import wire
from tinygrad_cnn.exercises.sources import CatalogueError
from tinygrad_cnn.exercises.verify import verify

ALL = Catalogue()
IN_ORDER = [
    "relu", "sigmoid", "tanh", "unbroadcast", "toposort", "backward", "linear_forward", "linear_backward",
    "softmax", "cross_entropy", "sgd", "conv_forward", "output_size", "conv_im2col", "conv_backward",
    "max_pool_forward", "max_pool_backward", "avg_pool", "l2_pool", "batch_norm_forward",
    "batch_norm_backward", "dropout", "lrn", "adam", "lenet5",
]  # fmt: skip


def test_the_order_of_the_course():
    assert list(ALL) == IN_ORDER
    assert [exercise.number for exercise in ALL.values()] == list(range(1, len(IN_ORDER) + 1))


def test_the_numbers_it_promises():
    wrong = {id: sum(len(task.mistakes) for task in exercise.tasks.values()) for id, exercise in ALL.items()}
    assert len(ALL) >= 20
    assert sum(wrong.values()) >= 80
    assert wrong["conv_forward"] >= 11
    assert wrong["conv_backward"] >= 11
    assert {id: n for id, n in wrong.items() if n < 4} == {}


@pytest.mark.parametrize("id", IN_ORDER)
def test_an_exercise_is_whole(id):
    exercise = ALL[id]
    assert len(exercise.hints) == 3
    assert min(map(len, exercise.hints)) > 40
    assert exercise.points > 0
    assert exercise.tutorial.startswith("Tutorial ")
    assert exercise.title
    assert len(exercise.intro) > 40
    for task in exercise.tasks.values():
        cases = [case for case in exercise.cases() if case.function == task.name]
        assert len(cases) >= 3
        assert all(case.label for case in cases)
        for mistake in task.mistakes:
            assert len(mistake.says) > 20
            assert len(mistake.hint) > 20
    skeleton = exercise.skeleton()
    compile(skeleton, id, "exec")
    assert max(map(len, skeleton.splitlines())) <= 120
    assert f"tcnn exercise check {id}" in skeleton
    assert exercise.tutorial in skeleton
    for name in exercise.tasks:
        assert name in skeleton
        head, body = sources.head_and_body(exercise.text(name))
        assert body not in skeleton
        assert "TODO" in skeleton
    again = [case.args for case in exercise.cases()], [case.args for case in exercise.cases()]
    assert [repr(a) for a in again[0]] == [repr(a) for a in again[1]]  # the same numbers every time


@pytest.mark.parametrize("id", IN_ORDER)
@pytest.mark.usefixtures("one_process")
def test_every_promise_is_kept(id):
    """As `tcnn exercise verify` in CI, which gives each of these files a process of its own, and tries pairs."""
    proof = verify(ALL[id], jobs=1, pairs=False)
    assert proof.problems == []
    assert proof.mistakes == sum(len(task.mistakes) for task in ALL[id].tasks.values())


def test_one_exercise_in_processes_of_its_own():
    proof = verify(ALL["l2_pool"])
    assert proof.problems == []
    assert proof.mistakes >= 4
    assert proof.pairs >= 20


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("id", IN_ORDER)
def test_other_numbers_tell_the_mistakes_apart_too(id, seed):
    """A grader may choose other numbers than the students saw."""
    exercise = ALL[id]
    known = checking.Expected(exercise, seed)
    for task in exercise.tasks.values():
        for mistake in task.mistakes:
            finding = checking.diagnose(known, task.name, list(known.outcomes(task.name, mistake.id)))
            assert finding is not None
            assert finding.mistakes == (mistake.id,), (id, mistake.id, finding)
        assert checking.diagnose(known, task.name, known.right(task.name)) is None


def test_probes_do_not_meet_symmetric_shapes_only():
    """Some case of every convolution has all its sizes different, with stride and padding."""
    for id, place in (("conv_forward", 0), ("conv_backward", 1)):
        shapes = [(*c.args[place].shape, *c.args[place + 1].shape) for c in ALL[id].cases()]
        assert any(len({N, C, H, W, K}) >= 4 and R != S for N, C, H, W, K, _, R, S in shapes)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("conv_forward", "conv_forward"),
        ("conv-forward", "conv_forward"),
        ("12", "conv_forward"),
        ("12_conv_forward.py", "conv_forward"),
        ("/home/me/12_conv_forward.py", "conv_forward"),
        ("conv2d_forward", "conv_forward"),
        ("RELU", "relu"),
    ],
)
def test_names_a_student_uses(name, id):
    assert ALL.named(name).id == id


def test_a_name_that_is_none():
    with pytest.raises(CatalogueError, match="no exercise 'conv_backwards'; did you mean conv_backward"):
        ALL.named("conv_backwards")
    with pytest.raises(CatalogueError, match="no exercise '99'"):
        ALL.named("99")


# ---- what a teacher who adds one is told


@pytest.fixture
def own(tmp_path):
    """A folder with a teacher's exercise, a copy of a built-in one under another name."""
    shutil.copytree(TASKS / "conv_forward", tmp_path / "my_conv")
    return tmp_path


def changed(own, old, new):
    path = own / "my_conv" / "exercise.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_folder_is_an_exercise(own):
    catalogue = Catalogue(own)
    assert list(catalogue)[-1] == "my_conv"
    assert catalogue["my_conv"].number == len(IN_ORDER) + 1
    assert catalogue["my_conv"].file == f"{len(IN_ORDER) + 1:02}_my_conv.py"
    assert list(Catalogue(own / "my_conv"))[-1] == "my_conv"  # the folder itself
    assert list(Catalogue(own, only=["my_conv", "relu"])) == ["relu", "my_conv"]


def test_a_teachers_exercise_takes_the_place_of_a_built_in_one(own):
    (own / "my_conv").rename(own / "conv_forward")
    changed_title = (own / "conv_forward" / "exercise.toml").read_text(encoding="utf-8")
    title = 'title = "Convolution, by loops"'
    assert title in changed_title
    (own / "conv_forward" / "exercise.toml").write_text(changed_title.replace(title, 'title = "Ours"'), "utf-8")
    catalogue = Catalogue(own)
    assert list(catalogue) == IN_ORDER
    assert (catalogue["conv_forward"].title, catalogue["conv_forward"].number) == ("Ours", 12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", "unknown entry 'titel'; did you mean title"),
        ("points = 10", "", "a function needs an entry 'points'"),
        ("hints = [", 'hints = ["one", "two"]\nhimts = [', "unknown entry 'himts'; did you mean hints"),
        ('id = "flipped"\nchange = [[', 'id = "flipped"\nchange = [["return z", "return y"], [', "occurs 0 times"),
        ('id = "flipped"\nchange = [[', 'id = "flipped"\nchange = [["range(", "range("], [', "must occur exactly once"),
        ("conv:conv2d_forward", "conv:conv3d", 'it must be "package.module:conv2d_forward"'),
        ("textbook.conv:conv2d_forward", "textbook.pool:conv2d_forward", "there is no function 'conv2d_forward' in"),
        ("tinygrad_cnn.textbook.conv:", "solution.py:", "solution.py does not exist"),
        ('title = "', "title = ", "exercise.toml: "),
        ("[[functions.mistakes]]", '[[functions.mistakes]]\nbody = "return x"', "either change = .* or a body"),
    ],
)
def test_a_slip_in_the_file_is_named(own, old, new, message):
    changed(own, old, new)
    with pytest.raises(CatalogueError, match=message):
        [Catalogue(own)["my_conv"].wrong_text("conv2d_forward", "flipped")]


def test_two_mistakes_of_one_name(own):
    changed(own, 'id = "stride-ignored"', 'id = "flipped"')
    with pytest.raises(CatalogueError, match="two mistakes named 'flipped'"):
        Catalogue(own)["my_conv"]


def test_a_folder_without_exercises(tmp_path):
    with pytest.raises(CatalogueError, match="no exercise in this folder"):
        Catalogue(tmp_path)
    shutil.copytree(TASKS / "conv_forward", tmp_path / "my_conv")
    (tmp_path / "my_conv" / "cases.py").unlink()
    with pytest.raises(CatalogueError, match=r"cases.py does not exist: it must define cases\(rng\)"):
        Catalogue(tmp_path)["my_conv"].cases()


# a small exercise of a teacher's, and every slip in it

TOML = """
title = "Leaky ReLU"
tutorial = "Tutorial 1, One neuron"
intro = "A leaky ReLU."
hints = ["the idea", "where to look", "pseudo-code"]
time_limit = 1

[[functions]]
name = "leaky"
solution = "solution.py:leaky"
points = 3

[[functions.mistakes]]
id = "absolute"
change = [["slope * x", "abs(x)"]]
says = "It takes the absolute value."
hint = "Look at negative numbers."

[[functions]]
name = "scale"
solution = "solution.py:scale"
points = 2
changes = ["w"]
"""
SOLUTION = '''
import math
import numpy as np


def leaky(x, slope):
    """Leaky."""
    return np.where(x > 0, x, slope * x)


def scale(w, by):
    """Scale in place."""
    w *= by
'''
CASES = """
import numpy as np
from tinygrad_cnn.exercises.cases import Case, Law


def cases(rng):
    return [
        Case("leaky", (rng.normal(size=(2, 3)), 0.1), "six numbers"),
        Case("leaky", (rng.normal(size=3).astype("float32"), 0.2), "three numbers"),
        Case("scale", (rng.normal(size=3), 2.0), "a vector"),
    ]


def laws(rng):
    x = rng.normal(size=4)
    return [Law("leaky", "With slope 1 nothing changes.", [(x, 1.0)], lambda y: np.allclose(y[0], x))]


def where(case, part, index):
    return f"it is computed from x[{index}]"
"""
CASE = "(rng.normal(size=3), 2.0)"
RIVAL = 'rival = { name = "x", solution = "solution.py:leaky", times = 3 }'
CHANGE = '[["slope * x", "abs(x)"]]'


@pytest.fixture
def small(tmp_path):
    """A function that writes the exercise with slips, (file, old, new), and returns the folder around it."""

    def write(*slips):
        texts = {"exercise.toml": TOML, "solution.py": SOLUTION, "cases.py": CASES}
        for file, old, new in slips:
            assert texts[file].count(old) >= 1
            texts[file] = texts[file].replace(old, new, 1)
        (tmp_path / "leaky_relu").mkdir()
        for file, text in texts.items():
            (tmp_path / "leaky_relu" / file).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def told_of(folder):
    """What `verify` says of it, or the catalogue."""
    try:
        return verify(Catalogue(folder)["leaky_relu"], jobs=1).problems
    except CatalogueError as error:
        return [str(error)]


@pytest.mark.usefixtures("one_process")
def test_the_small_exercise_is_fine(small):
    assert told_of(small()) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        # cases.py
        ("cases.py", "def cases(rng):", "def cases(rng)", r"cases.py, line 6: SyntaxError: expected ':'"),
        ("cases.py", "import numpy as np", "import numpyy as np", r"cases.py, line 2: ModuleNotFoundError: .*numpyy"),
        ("cases.py", "    return [\n", "    1 / 0\n    return [\n", r"cases.py, line 7: ZeroDivisionError"),
        ("cases.py", "def cases(", "def my_cases(", r"cases.py: there is no function cases\(rng\)"),
        ("cases.py", "def cases(rng):", "def cases(seed, rng):", r"cases.py: cases: TypeError: .* missing 1"),
        ("cases.py", "    return [\n", "    [\n", r"cases\(rng\) returned None; it must return a list"),
        ("cases.py", "    return [\n", "    return []\n    [\n", r"gives no Case for leaky; add one"),
        ("cases.py", 'Case("scale"', 'Case("leaky"', r"the case 'a vector' of leaky|gives no Case for scale; add one"),
        ("cases.py", 'Case("scale"', 'Case("scael"', r"'a vector' of scael: there is no such function.*leaky, scale"),
        ("cases.py", CASE, "({1, 2}, 2.0)", r"'a vector' of scale: one of its arguments cannot be sent"),
        ("cases.py", CASE, "(np.array([1j]), 2.0)", r"cannot be sent to the student's process"),
        ("cases.py", CASE, "(np.array([None]), 2.0)", r"cannot be sent to the student's process"),
        ("cases.py", CASE, "(np.zeros(5_000_000), 2.0)", r"'a vector' of scale: .* 38 MB"),
        ("cases.py", CASE, "(rng.normal(size=3),)", r"'a vector' of scale: missing a required argument: 'by'"),
        ("cases.py", CASE, "rng.normal(size=3)", r"its arguments must be a tuple, such as \(x,\)"),
        ("cases.py", CASE, "[rng.normal(size=3), 2.0]", r"its arguments must be a tuple"),
        ("cases.py", CASE, "(np.random.normal(size=3), 2.0)", r"other numbers each time; draw them from rng"),
        ("cases.py", f'Case("scale", {CASE}, "a vector")', "3", r"cases.py: 3 is no Case\(function, args, label\)"),
        ("cases.py", '"a vector")', '"a vector", "class")', r"its kind is 'class'; it must be 'function' or 'module'"),
        ("cases.py", 'Law("leaky"', 'Law("leeky"', r"a call of leeky: there is no such function"),
        ("cases.py", "[(x, 1.0)]", "[(x, 0.5)]", r"the solution: leaky: law: With slope 1 nothing changes"),
        ("cases.py", "[(x, 1.0)]", "[x]", r"a call of leaky: its arguments must be a tuple"),
        ("cases.py", "allclose(y[0]", "allclose(y[9]", r"the law 'With slope 1 nothing changes.'.*: IndexError"),
        ("cases.py", "    return [Law(", "    return [7, Law(", r"laws\(rng\): 7 is no Law"),
        ("cases.py", "x[{index}]", "x[{index[7]}]", r"cases.py, line \d+: IndexError"),
        ("cases.py", "where(case, part, index)", "where(case, index)", r"cases.py: where: TypeError"),
        ("cases.py", "def where", "def agrees(case, got, want):\n    return got.no\n\n\ndef where", r"AttributeError"),
        ("cases.py", "def where", "def agrees(case, got, want):\n    return False\n\n\ndef where",
         r"refuses the solution's own result of 'six numbers'"),
        # exercise.toml
        ("exercise.toml", "points = 3", f"points = 3\n{RIVAL}", r"no speed\(rng\) that gives a Case for leaky"),
        ("exercise.toml", "points = 3", 'points = 3\nrival = "im2col"', r"rival must be a table; it is 'im2col'"),
        ("exercise.toml", "points = 3", 'points = "3"', r"points must be a number, 0 or more; it is '3'"),
        ("exercise.toml", "points = 3", "points = -3", r"points must be a number, 0 or more; it is -3"),
        ("exercise.toml", "points = 3", "points = nan", r"points must be a number, 0 or more"),
        ("exercise.toml", "points = 3", "points = true", r"points must be a number, 0 or more"),
        ("exercise.toml", "points = 3", 'points = 3\nreturns = "y"', r"returns must be a list of texts; it is 'y'"),
        ("exercise.toml", "points = 3", 'points = 3\nreturns = ["y", "z"]', r"leaky returns 1 things, and returns = "),
        ("exercise.toml", "points = 3", 'points = 3\nkernel = "leaky"', r"a kernel 'leaky', which does not exist"),
        ("exercise.toml", 'changes = ["w"]', 'changes = ["weight"]', r"changes weight, which is no argument.*w, by"),
        ("exercise.toml", 'changes = ["w"]', "", r"scale returns nothing; say with changes = "),
        ("exercise.toml", "time_limit = 1", 'time_limit = "1"', r"time_limit must be a number above 0; it is '1'"),
        ("exercise.toml", "time_limit = 1", 'imports = ["from math import"]', r"cannot be loaded: SyntaxError"),
        ("exercise.toml", "time_limit = 1", 'allow = "math"', r"allow must be a list of texts; it is 'math'"),
        ("exercise.toml", '"the idea", ', "", r"hints must be three texts"),
        ("exercise.toml", '"A leaky ReLU."', "3", r"intro must be a text; it is 3"),
        ("exercise.toml", 'name = "scale"', 'name = "leaky"', r'"solution.py:leaky" in the exercise'),
        ("exercise.toml", ':scale"\npoints', '"\npoints', r'it must be "package.module:scale"'),
        ("exercise.toml", '"solution.py:scale"', '"tinygrad_cnn.none:scale"', r"tinygrad_cnn.none cannot be imported"),
        ("exercise.toml", CHANGE, '["slope * x", "abs(x)"]', r"change must be a list of pairs of texts"),
        ("exercise.toml", CHANGE, '[["", "abs(x)"]]', r"must occur exactly once"),
        ("exercise.toml", CHANGE, '[["slope * x", "y"], ["x, slope", "z"]]', r"overlaps with what another change"),
        ("exercise.toml", CHANGE, '[["slope * x", "abs(x"]]', r"mistake 'absolute' of leaky cannot be loaded"),
        ("exercise.toml", CHANGE, '[["slope * x", "slop * x"]]', r"mistake 'absolute' of leaky: name 'slop' is not"),
        ("exercise.toml", CHANGE, '[["slope * x", "x * slope"]]', r"it passed; add a case in which"),
        ("exercise.toml", f"change = {CHANGE}", 'body = "return ("', r"mistake 'absolute' of leaky cannot be loaded"),
        ("exercise.toml", f"change = {CHANGE}", "body = 3", r"body must be a text; it is 3"),
        ("exercise.toml", f"change = {CHANGE}", 'body = "import time; time.sleep(4)"',
         r"does not come to its end within 1 s"),
        ("exercise.toml", 'hint = "Look', 'both = ["a", "b"]\nhint = "Look', r"both names 'a', which does not exist"),
        # solution.py
        ("solution.py", "    w *= by", "    raise KeyError(by)", r"the solution of scale raises KeyError: 2.0, in"),
        ("solution.py", "    w *= by", "    w *= math.floor(by)", r"name 'math' is not defined.*imports = "),
        ("solution.py", '    """Scale in place."""\n    w *= by', "    return w",
         r"scale changes w, but the solution does not"),
        ("solution.py", 'def scale(w, by):\n    """Scale in place."""\n    w *= by', "def scale(w, by): w *= by",
         r"solution.py, line 11: write what scale does on lines of its own"),
        ("solution.py", "def scale(w, by):", "def scale(w, by)", r"solution.py, line 11: expected ':'"),
        ("solution.py", "def scale(w, by):", "def scales(w, by):", r"there is no function 'scale' in solution.py"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("one_process")
def test_every_slip_of_a_teacher_is_told_with_its_place(small, file, old, new, told):
    problems = told_of(small((file, old, new)))
    assert problems
    assert re.search(told, problems[0]), problems


def test_a_student_is_not_punished_for_what_a_teacher_wrote(small, tmp_path):
    """Helpers for messages that raise keep nobody from being checked."""
    exercise = Catalogue(small(("cases.py", "x[{index}]", "x[{index[7]}]")))["leaky_relu"]
    file = tmp_path / "answer.py"
    file.write_text(exercise.solution().replace("slope * x", "2 * slope * x"), encoding="utf-8")
    finding = checking.check(exercise, file).parts[0].finding
    assert "of y are wrong" in finding.detail


def test_folders_may_have_any_name(small, tmp_path):
    folder = small()
    (folder / "leaky_relu").rename(folder / "My-Leaky ReLU")
    catalogue = Catalogue(folder)
    assert catalogue.named("my-leaky relu").id == "My-Leaky ReLU"
    assert catalogue.named(catalogue["My-Leaky ReLU"].file).id == "My-Leaky ReLU"


@pytest.mark.usefixtures("one_process")
def test_verify_finds_a_wrong_version_that_the_cases_cannot_tell(own):
    """The probe with one image, one channel, one filter and a square kernel: the slips it cannot see are named."""
    (own / "my_conv" / "cases.py").write_text(
        "from tinygrad_cnn.exercises.cases import Case\n"
        "def cases(rng):\n"
        "    return [Case('conv2d_forward', (*map(rng.random, ((1, 1, 5, 5), (1, 1, 3, 3), (1,))), 1, 0), 'one')]\n"
        "def speed(rng):\n    return cases(rng)[0]\n",
        encoding="utf-8",
    )
    problems = verify(Catalogue(own)["my_conv"], jobs=1).problems
    assert any("it passed" in problem for problem in problems)
    assert len(problems) > 3


def test_the_solution_stays_out_of_the_skeleton_and_the_process():
    """The modules that the student's process loads know nothing of solutions."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import wire; print([m for m in sys.modules if 'tinygrad' in m])"
    )
    place = HERE / "sandbox"
    result = subprocess.run([sys.executable, "-I", "-c", code, place], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_solutions_are_the_librarys_own_functions():
    """One source: every solution is a function of the textbook or of a kernel (LeNet-5's stands in its folder)."""
    places = {task.solution.partition(":")[0] for exercise in ALL.values() for task in exercise.tasks.values()}
    assert {place for place in places if not place.startswith("tinygrad_cnn.")} == {"solution.py"}
    for exercise in ALL.values():
        assert (exercise.folder / "solution.py").exists() == (exercise.id == "lenet5")


def test_values_travel():
    a, b = wire.Node("a"), wire.Node("b")
    c = wire.Node("c", (a, b), (2.0, np.array([3.0, 4.0])))
    nested, array = [1, (2, {"k": np.float32(1.5)})], np.arange(6).reshape(2, 3)
    values = (None, True, 3, 2.5, float("nan"), "ä", nested, array, c, [a])
    got, nodes = wire.read_with_nodes(wire.write(values))
    assert got[:4] == values[:4]
    assert np.isnan(got[4])
    assert wire.same(got[5:8], values[5:8], 0, 0)
    assert (got[8].parents[0] is got[9][0], [node.name for node in nodes]) == (True, ["c", "a", "b"])
    assert got[8].backward(1.0)[1].tolist() == [3.0, 4.0]
    assert wire.read(wire.write({1, 2})).type == "set"
    assert wire.read(wire.write(NamedTuple("Pair", [("a", int), ("b", int)])(1, 2))) == (1, 2)
    assert wire.read(wire.write(np.array([None]))).type == "array of object"
    large = 2**70 + 1
    assert wire.read(wire.write((large, -large))) == (large, -large)


@pytest.mark.parametrize("told", [None, 3, [], {}, {"value": {"$node": 5}, "nodes": []}, {"value": {"$array": [1]}}])
def test_a_message_that_is_none(told):
    with pytest.raises(ValueError):
        wire.read(told)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (np.float64(2), 2.0, True),
        (5.0, 5, False),
        (5, 5.0, False),
        (np.array(5), 5, True),
        (np.zeros(2, "float32"), np.zeros(2), False),
        (np.zeros((2, 1)), np.zeros(2), False),
        ((1, 2), [1, 2], False),
        (np.array([np.nan, 1, np.inf]), np.array([np.nan, 1, np.inf]), True),
        (np.array([np.nan]), np.array([1.0]), False),
        (np.array([1e6, 1e-6]), np.array([1e6, 0.0]), True),  # rounding, as large as a sum's largest term makes it
        (wire.Other("set"), wire.Other("set"), False),
        ("a", "a", True),
        ({"a": 1.0}, {"a": 1.0 + 1e-12}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
    ],
)
def test_what_counts_as_the_same(a, b, expected):
    assert wire.same(a, b, 1e-7, 1e-9) is expected
