"""Grades and the formats they are written in, held against the formats' descriptions."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from typer.testing import CliRunner

from tinygrad_cnn.about import __version__
from tinygrad_cnn.cli import app
from tinygrad_cnn.exercises import checking, diagnosis
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.checking import Finding, Part, Verdict
from tinygrad_cnn.exercises.grading import feedback, gradescope, junit, overview, records, table
from tinygrad_cnn.exercises.grading.grades import Grade, Grading, Result, plain, read_points
from tinygrad_cnn.exercises.grading.reading import GradingError
from tinygrad_cnn.exercises.grading.submissions import Submission
from tinygrad_cnn.exercises.sandbox import words

# What https://gradescope-autograders.readthedocs.io/en/latest/specs/ says of results.json, sections "Output format",
# "Test case status" and "Output String Formatting"; stricter where we always write what is optional there.
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
TEXT_FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
RESULTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "execution_time", "output", "output_format", "visibility", "stdout_visibility", "tests"],
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "execution_time": {"type": "number", "minimum": 0},
        "output": {"type": "string"},
        "output_format": TEXT_FORMAT,
        "test_output_format": TEXT_FORMAT,
        "test_name_format": TEXT_FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["score", "max_score", "status", "name", "number", "output", "visibility"],
                "properties": {
                    "score": {"type": "number", "minimum": 0},
                    "max_score": {"type": "number", "minimum": 0},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string", "minLength": 1},
                    "name_format": TEXT_FORMAT,
                    "number": {"type": "string", "pattern": r"^\d+(\.\d+)*$"},
                    "output": {"type": "string"},
                    "output_format": TEXT_FORMAT,
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}


def strict(text):
    """JSON as Ruby and JavaScript read it: no NaN, no half characters."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    told = json.loads(text, parse_constant=refuse)
    assert json.dumps(told, ensure_ascii=False).encode("utf-8")
    return told


def valid_results(text):
    """A results.json that Gradescope takes."""
    told = strict(text)
    jsonschema.Draft202012Validator.check_schema(RESULTS)
    jsonschema.validate(told, RESULTS)
    assert math.isclose(told["score"], sum(test["score"] for test in told["tests"]), abs_tol=1e-3)
    assert all(test["score"] <= test["max_score"] for test in told["tests"])
    return told


# Elements of JUnit XML, the attributes each must and may have, and what may be inside:
# https://github.com/testmoapp/junitxml, and the schema of Jenkins' xUnit plugin (junit-10.xsd) for the order.
JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"skipped"}, ["testsuite"]),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time"}, set(), ["properties", "testcase"]),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": ({"name", "classname", "time"}, set(), ["failure", "error", "system-out"]),
    "failure": ({"type", "message"}, set(), []),
    "error": ({"type", "message"}, set(), []),
    "system-out": (set(), set(), []),
}


def valid_junit(text):
    """JUnit XML whose structure and sums are right."""

    def look(element):
        must, may, inside = JUNIT[element.tag]
        assert must <= set(element.attrib) <= must | may
        tags = [child.tag for child in element]
        assert tags == sorted(tags, key=inside.index)
        for name in ("tests", "failures", "errors", "skipped"):
            assert element.get(name, "0").isdigit()
        assert float(element.get("time", "0")) >= 0
        for child in element:
            look(child)

    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    look(root)
    for place in (root, *root):
        cases = list(place.iter("testcase"))
        assert int(place.get("tests")) == len(cases)
        assert int(place.get("failures")) == sum(case.find("failure") is not None for case in cases)
        assert int(place.get("errors")) == sum(case.find("error") is not None for case in cases)
    return root


HARD = "\x1b[31mred\x00 \ud800 ]]> <b>&amp; \ufffe\x0b \u202e naïve 李 \U0001f600"
MISTAKE = Finding("mistake", f"It is flipped. {HARD}", "Look.", "Tutorial 6", ("flipped",), f"Case: 1\n{HARD}")
TIMEOUT = Finding("timeout", "It takes longer than 10 s.", "", "", (), "line 3: while True:")


def grade(*results, name="Ada Lovelace", remarks=(), seconds=1.23456):
    return Grade(name, f"class/{name}", tuple(results), tuple(remarks), seconds)


def result(*parts, problem=None, weight=1.0, exercise="conv_forward", number=12, **more):
    return Result(exercise, number, Verdict(exercise, "Convolution", parts, problem, **more), weight)


RIGHT = Part("conv2d_forward", 10, 10, None, 3.14159, "Correct; 3 times the time of im2col.")
CASES = {
    "right": grade(result(RIGHT, seconds=0.5)),
    "wrong": grade(result(Part("conv2d_forward", 0, 10, MISTAKE), printed=HARD * 100, notes=(HARD,))),
    "partly": grade(result(Part("a", 2.5, 10, MISTAKE), Part("b", 1 / 3, 2 / 3), RIGHT), remarks=[HARD]),
    "broken": grade(result(Part("a", 0, 10, TIMEOUT), Part("b", 0, 5, TIMEOUT), problem=TIMEOUT)),
    "no numbers": grade(result(Part("a", math.nan, math.inf), Part("b", 1, 1, None, math.inf)), seconds=0.0),
    "no points": grade(result(Part("a", 0, 0)), result(Part("a", 0, 0, MISTAKE), exercise="b")),
    "scaled": grade(result(Part("a", 3, 7), Part("b", 0, 7, MISTAKE), weight=1 / 3)),
    "no exercise": grade(),
    "hard name": grade(result(RIGHT), name=HARD),
    "like a formula": grade(result(RIGHT), name="=cmd|' /C calc'!A0", remarks=["@SUM(1)", "-2"]),
    "very long": grade(result(Part("a", 0, 1, replace(MISTAKE, says="x" * 10**5)), printed="y" * 10**6)),
    "negative": grade(result(Part("a", -3, 5, MISTAKE))),
}


@pytest.mark.parametrize("case", CASES)
def test_results_json_is_what_gradescope_describes(case):
    told = valid_results(records.written(gradescope.results(CASES[case])))
    statuses = [part.passed for r in CASES[case].results for part in r.verdict.parts]
    assert [test["status"] == "passed" for test in told["tests"]] == statuses
    assert len(json.dumps(told)) < 40_000


def test_results_json_in_full():
    told = gradescope.results(grade(result(Part("a", 2.5, 10, MISTAKE), RIGHT, printed="hello"), remarks=["look here"]))
    assert (told["score"], told["execution_time"]) == (12.5, 1.235)
    assert told["output"] == "1 of 2 functions are right.\nlook here"
    first, second = told["tests"]
    assert (first["score"], first["max_score"], first["status"], first["number"]) == (2.5, 10, "failed", "12.1")
    assert first["name"] == "Convolution: a"
    assert first["tags"] == ["conv_forward"]
    assert first["output"].startswith("It is flipped. \\x1b[31mred\\x00 \\ud800 ]]> <b>&amp;")
    assert "Hint: Look." in first["output"]
    assert "Read: Tutorial 6" in first["output"]
    assert first["output"].endswith("Your program printed:\nhello")
    assert (second["score"], second["status"], second["output"]) == (
        10,
        "passed",
        "Correct; 3 times the time of im2col.",
    )


def test_the_schema_refuses_what_gradescope_would_not_take():
    good = gradescope.results(CASES["right"])
    for change in (
        {"score": "10"}, {"visibility": "public"}, {"tests": None}, {"points": 3}, {"output_format": "markdown"},
        {"tests": [{**good["tests"][0], "status": "partial"}]}, {"tests": [{**good["tests"][0], "number": 12.1}]},
        {"tests": [{**good["tests"][0], "tags": "a"}]},
    ):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **change}, RESULTS)
    with pytest.raises(AssertionError):
        strict('{"score": NaN}')


@pytest.mark.parametrize("case", CASES)
def test_junit_is_xml_of_the_usual_structure(case):
    root = valid_junit(junit.document([CASES[case], CASES["right"]]))
    assert len(root) == 2


def test_junit_in_full():
    wrong = result(Part("a", 2.5, 10, MISTAKE), RIGHT, printed="hello\x00", seconds=3.0)
    broken = result(Part("c", 0, 5, TIMEOUT), problem=TIMEOUT, exercise="relu", number=1)
    (suite,) = valid_junit(junit.document([grade(wrong, broken, remarks=["look here"])]))
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        "Ada Lovelace", "3", "1", "1",
    )  # fmt: skip
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["points"] == "12.5"
    assert properties["max_points"] == "25"
    assert properties["points.conv_forward.a"] == "2.5 of 10"
    assert properties["remark.1"] == "look here"
    a, b, c = suite.iter("testcase")
    assert (a.get("classname"), a.get("name"), a.get("time")) == ("Ada Lovelace.conv_forward", "a", "1.500")
    assert a.find("failure").get("type") == "mistake"
    assert (
        a.find("failure")
        .get("message")
        .startswith("It is flipped. \\x1b[31mred\\x00 \\ud800 ]]> <b>&amp; \\ufffe\\x0b")
    )
    assert "Hint: Look." in a.find("failure").text
    assert a.find("system-out").text == "hello\\x00"
    assert len(b) == 0
    assert c.find("error").get("type") == "timeout"


def rows(grades):
    text = table.document(grades)
    assert text.startswith(b"\xef\xbb\xbf")  # or Excel takes it for Windows-1252
    return list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))


def test_csv_has_a_row_for_each_student():
    second = result(RIGHT, exercise="relu", number=1)
    missing = result(
        Part("relu", 0, 1, Finding("not handed in", "")),
        problem=Finding("not handed in", "There is no file."),
        exercise="relu",
    )
    broken = result(Part("a", 0, 10, TIMEOUT), problem=TIMEOUT)
    head, ada, bob = rows([grade(result(RIGHT), second), grade(broken, missing, name="Bob\nB.", remarks=["late"])])
    assert head == ["name", "conv_forward", "relu", "total", "of", "percent", "remarks", "source"]
    assert ada == ["Ada Lovelace", "10", "10", "20", "20", "100", "", "class/Ada Lovelace"]
    assert bob == ["Bob B.", "0", "", "0", "11", "0", "late | conv_forward: timeout", "class/Bob B."]
    assert rows([]) == [["name", "total", "of", "percent", "remarks", "source"]]


@pytest.mark.parametrize("case", CASES)
def test_csv_never_begins_a_cell_like_a_formula(case):
    head, row = rows([CASES[case]])
    assert len(head) == len(row)
    for cell in row:
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_csv_defuses_formulas():
    for text in ("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "  =1", "＝1"):
        assert table.harmless(text).startswith("'")
    assert table.harmless("Ada = 1") == "Ada = 1"
    assert table.harmless("\r=1") == "\\r=1"


@pytest.mark.parametrize("case", CASES)
def test_json_has_everything(case):
    grading = Grading(Catalogue(only=["conv_forward"]), {}, 7)
    told = strict(records.document([CASES[case]], grading))
    assert (told["format"], told["version"], told["seed"]) == ("tinygrad-cnn grades, 1", __version__, 7)
    (ada,) = told["submissions"]
    assert {"name", "source", "points", "max_points", "percent", "seconds", "remarks", "exercises"} == set(ada)
    assert [e["id"] for e in told["exercises"]] == [e["id"] for e in ada["exercises"]]
    assert all(set(m) == {"exercise", "function", "kind", "mistakes", "says", "names"} for m in told["mistakes"])
    for entry, r in zip(ada["exercises"], CASES[case].results):
        assert [f["passed"] for f in entry["functions"]] == [part.passed for part in r.verdict.parts]
        assert entry["points"] == r.points


def test_plain_leaves_text_as_it_is():
    assert plain("naïve 李 \U0001f600\n\tx ✓ ×") == "naïve 李 \U0001f600\n\tx ✓ ×"


# ---- grading


def fake_check(exercise, file, limits=None, seed=0):
    """All points for a file that says "right"; one that says "bug" finds a bug in the checker."""
    text = file.read_bytes()
    assert file.name == exercise.file
    if b"bug" in text:
        raise ZeroDivisionError("ours")
    wrong = None if b"right" in text else Finding("value", f"wrong, {limits.seconds if limits else 0} s, seed {seed}")
    parts = tuple(Part(t.name, 0 if wrong else t.points, t.points, wrong) for t in exercise.tasks.values())
    return Verdict(exercise.id, exercise.title, parts)


@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr(checking, "check", fake_check)
    monkeypatch.setattr(checking, "expected", lambda exercise, seed: None)


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(only=["conv_forward", "output_size"])


def student(name, **files):
    return Submission(name, f"{name}.zip", {id: text.encode() for id, text in files.items()})


def test_each_submission_is_graded_by_itself(faked, catalogue):
    handed_in = [
        student("ada", conv_forward="right", output_size="right"),
        student("bob", conv_forward="bug", output_size="right"),
        student("carol"),
        student("dan", conv_forward="wrong", output_size="right"),
    ]
    grades = list(Grading(catalogue, {}, 5, 2.5).all(handed_in, jobs=3))
    total = sum(e.points for e in catalogue.values())
    conv = catalogue["conv_forward"].points
    assert [(g.name, g.points) for g in grades] == [
        ("ada", total), ("bob", total - conv), ("carol", 0), ("dan", total - conv),
    ]  # fmt: skip
    assert grades[1].remarks == ("LOOK AT BY HAND: conv_forward: the checker itself failed",)
    assert "ZeroDivisionError: ours" in grades[1].results[0].verdict.problem.says
    assert [r.handed_in for r in grades[2].results] == [False, False]
    assert grades[3].results[0].verdict.parts[0].finding.says == "wrong, 2.5 s, seed 5"
    assert grades[0].percent == 100


def test_points_of_whole_exercises(faked, catalogue, tmp_path):
    (tmp_path / "points.toml").write_text("conv_forward = 30\noutput_size = 0\n")
    points = read_points(tmp_path / "points.toml", catalogue)
    (one,) = Grading(catalogue, points).all([student("ada", conv_forward="right", output_size="right")])
    assert (one.points, one.max_points, one.percent) == (30, 30, 100)
    (none,) = Grading(catalogue, {"conv_forward": 0.0, "output_size": 0.0}).all([student("ada", conv_forward="right")])
    assert (none.points, none.max_points, none.percent) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("relu = 3", "'relu' is none of the exercises graded: conv_forward, output_size"),
        ("conv_forward = -1", "must be a number, 0 or more"),
        ("conv_forward = nan", "must be a number, 0 or more"),
        ("conv_forward = true", "must be a number, 0 or more"),
        ("conv_forward = 'ten'", "must be a number, 0 or more"),
        ("conv_forward: 3", "write lines such as: conv_forward = 20"),
    ],
)
def test_points_that_cannot_be_meant(catalogue, tmp_path, text, words):
    (tmp_path / "points.toml").write_text(text)
    with pytest.raises(GradingError, match=words):
        read_points(tmp_path / "points.toml", catalogue)


# ---- the class at a glance


def test_mistakes_are_counted_over_the_class():
    def typical(*ids):
        return Finding("mistake", "Two things at once." if len(ids) > 1 else "One thing.", "", "", ids)

    def conv(finding):
        points = 0 if finding else 10
        whole = finding if finding and finding.kind in ("timeout", "not handed in") else None
        return result(Part("conv2d_forward", points, 10, finding), problem=whole)

    findings = {
        "ada": typical("flipped"),
        "bob": typical("flipped", "no-bias"),
        "carol": TIMEOUT,
        "dan": replace(TIMEOUT, detail="line 9: while 1:"),
        "eve": Finding("value", "It computes other numbers than it should in 3 of 7 cases."),
        "finn": Finding("todo", "It is still to be written."),
        "gil": Finding("not handed in", ""),
        "hal": None,
        "ivy": Finding("law", "Twice the image must give twice the result."),
        "jo": Finding("looks-like", "It looks like one of these.", "", "", ("mean", "no-bias")),
    }
    grades = [grade(conv(finding), name=name) for name, finding in findings.items()]
    task = Catalogue()["conv_forward"].tasks["conv2d_forward"]
    found = {(m.function, m.ids, m.says): m.names for m in overview.mistakes(grades, Catalogue())}
    assert found == {
        ("conv2d_forward", ("flipped",), task.mistake("flipped").says): ("ada", "bob"),
        ("conv2d_forward", ("no-bias",), task.mistake("no-bias").says): ("bob",),
        ("", (), "It does not come to its end in time."): ("carol", "dan"),
        ("conv2d_forward", (), "Some numbers are wrong, for no typical reason."): ("eve",),
        ("conv2d_forward", (), "Twice the image must give twice the result."): ("ivy",),
        ("conv2d_forward", ("mean", "no-bias"), "It looks like one of these."): ("jo",),
    }


def test_the_most_frequent_mistakes_come_first():
    once, often = Finding("law", "once"), Finding("law", "often")
    grades = [
        grade(result(Part("conv2d_forward", 0, 10, finding)), name=name)
        for name, finding in (("ada", once), ("bob", often), ("carol", often))
    ]
    assert [(m.says, m.names) for m in overview.mistakes(grades, Catalogue())] == [
        ("often", ("bob", "carol")), ("once", ("ada",)),
    ]  # fmt: skip
    (count,) = overview.exercises([*grades, CASES["right"]])
    assert (count.exercise, count.handed_in, count.right, count.points, count.max_points) == (
        "conv_forward", 4, 1, 10, 10,
    )  # fmt: skip
    assert overview.exercises([]) == overview.mistakes([], Catalogue()) == []


def test_every_kind_of_finding_has_its_words_for_a_class():
    """The kinds that the checker knows, as its source has them."""
    sources = [Path(module.__file__).read_text(encoding="utf-8") for module in (checking, diagnosis, words)]
    kinds = {kind for text in sources for kind in re.findall(r"(?:Finding|Problem)\(\s*\"([a-z -]+)\"", text)}
    assert {"syntax", "value", "dtype", "timeout"} <= kinds
    assert kinds - set(overview.KINDS) - overview.NO_MISTAKE <= {"mistake", "looks-like", "law", "checker"}


# ---- the command


@pytest.fixture
def call(tmp_path, monkeypatch, faked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        return CliRunner().invoke(app, ["exercise", *map(str, arguments)])

    return run


@pytest.fixture
def klass(tmp_path):
    for name, text in (("Ada", "right"), ("Bob [x]", "wrong"), ("Carol", "bug"), ("=Dan", None)):
        (tmp_path / "class" / name).mkdir(parents=True)
        if text:
            (tmp_path / "class" / name / "12_conv_forward.py").write_text(text)
    return tmp_path / "class"


ONLY = ("--only", "conv_forward")


def test_grade_prints_a_table(call, klass):
    told = call("grade", klass, *ONLY)
    assert told.exit_code == 0
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["Ada", "10", "10", "100", "1", "1"] in lines
    assert ["Bob", "[x]", "0", "10", "0", "0", "1"] in lines
    assert ["=Dan", "0", "10", "0", "0", "0"] in lines
    assert "Carol: LOOK AT BY HAND: conv_forward: the checker itself failed" in told.stdout
    assert "4/4  Carol: 0 of 10 points" in told.stderr
    one = call("grade", klass / "Bob [x]", "--only", "12, 13")
    assert "Bob [x]: 0 of 14 points, 0 %" in one.stdout
    assert "wrong, 0 s" in one.stdout
    assert "Not handed in: output_size" in one.stdout


def test_points_are_the_same_wherever_they_are_shown(call, klass):
    (klass.parent / "points.toml").write_text("conv_forward = 25")
    told = call("grade", klass / "Bob [x]", *ONLY, "--points", "points.toml").stdout
    assert told.count("0 of 25 points") == 3  # the student, the exercise, the function
    assert "of 10" not in told


def test_what_nobody_handed_in_is_told_with_what_to_type(call, klass):
    told = call("grade", klass)
    assert "24 exercises in which nobody handed in anything" in told.stderr
    assert told.stderr.splitlines()[0].endswith(": --only conv_forward")
    assert "nobody" not in call("grade", klass, *ONLY).stderr


def test_grade_leaves_a_text_for_each_student(call, klass):
    told = call("grade", klass, *ONLY, "--feedback", "texts")
    assert told.stdout.endswith("texts: 4 texts for the students\n")
    texts = {path.name: path.read_text(encoding="utf-8") for path in (klass.parent / "texts").iterdir()}
    assert sorted(texts) == ["=Dan.txt", "Ada.txt", "Bob [x].txt", "Carol.txt"]
    assert texts["Ada.txt"].splitlines() == [
        "Ada: 10 of 10 points, 100 %", "", "12. Convolution, by loops: 10 of 10 points",
        "  ✓ conv2d_forward: right, 10 points",
    ]  # fmt: skip
    assert "wrong, 0 s" in texts["Bob [x].txt"]
    assert texts["=Dan.txt"].endswith("\n\nNot handed in: conv_forward\n")
    again = call("grade", klass, *ONLY, "--feedback", "texts")
    assert (again.exit_code, "name a new folder" in again.stderr) == (1, True)


def test_files_of_students_have_names_that_every_system_takes():
    names = ["../../etc", "con:", "", " . ", "x" * 300, "X" * 300, "Zoë", "a\nb"]
    found = feedback.file_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert found[0] == "_.._etc"
    assert all(0 < len(name) < 120 and not set(name) & set("/\\:\n") for name in found)


@pytest.mark.parametrize(("ending", "format"), [("csv", None), ("json", None), ("xml", None), ("txt", "junit")])
def test_grade_writes_files(call, klass, ending, format):
    chosen = ("--format", format) if format else ()
    told = call("grade", klass, *ONLY, "--out", f"out/grades.{ending}", *chosen)
    assert told.exit_code == 0
    head, _, overview = told.stdout.partition("\n")
    assert head.replace("\\", "/") == f"out/grades.{ending}: 4 submissions"
    assert "conv_forward          3      1       3.3 of 10" in overview  # Dan handed in nothing
    content = (klass.parent / "out" / f"grades.{ending}").read_bytes()
    if ending == "csv":
        cells = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        assert [row[:2] for row in cells[1:]] == [["'=Dan", ""], ["Ada", "10"], ["Bob [x]", "0"], ["Carol", "0"]]
    elif ending == "json":
        assert [s["name"] for s in strict(content)["submissions"]] == ["=Dan", "Ada", "Bob [x]", "Carol"]
    else:
        assert [s.get("name") for s in valid_junit(content)] == ["=Dan", "Ada", "Bob [x]", "Carol"]


def test_grade_for_gradescope(call, klass):
    told = call("grade", klass / "Ada", *ONLY, "--format", "gradescope", "--out", "results.json")
    assert told.exit_code == 0
    assert valid_results((klass.parent / "results.json").read_text())["score"] == 10
    assert valid_results(call("grade", klass / "Bob [x]", *ONLY, "--format", "gradescope").stdout)["score"] == 0
    refused = call("grade", klass, *ONLY, "--format", "gradescope", "--out", "more.json")
    assert (refused.exit_code, "results.json is of one submission" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["class", "--format", "gradscope"], 2, "did you mean gradescope?"),
        (["class", "--only", "conv_forwrd"], 1, "did you mean conv_forward?"),
        (["nowhere"], 1, "nowhere does not exist"),
        (["class", "--out", "grades.txt"], 2, "choose --format csv, json, junit, gradescope"),
        (["class", "--points", "none.toml"], 1, "none.toml"),
        (["class", "--catalogue", "class"], 1, "there is no exercise in this folder"),
        (["class", "--jobs", "0"], 2, "--jobs"),
        (["class", "--time-limit", "0"], 2, "--time-limit"),
    ],
)
def test_mistakes_of_the_instructor_are_told(call, klass, arguments, status, words):
    told = call("grade", *arguments)
    assert told.exit_code == status
    assert words in " ".join(told.stderr.replace("│", " ").split())
    assert "Traceback" not in told.stderr


def test_ctrl_c_keeps_what_is_graded(call, klass, monkeypatch):
    def interrupted(exercise, file, limits=None, seed=0):
        if file.read_bytes() == b"bug":
            raise KeyboardInterrupt
        return fake_check(exercise, file, limits, seed)

    monkeypatch.setattr(checking, "check", interrupted)
    told = call("grade", klass, *ONLY, "--jobs", "1", "--out", "grades.csv")
    assert told.exit_code == 130
    assert "3 of 4 submissions are graded" in told.stderr
    assert (klass.parent / "grades.csv").read_bytes().count(b"\r\n") == 4


def test_similarity_writes_three_kinds_of_report(call, klass):
    assert "only a hint" in call("similarity", klass).stdout
    for ending in ("html", "csv", "txt"):
        assert call("similarity", klass, "--out", f"s.{ending}").exit_code == 0
        assert "hint" in (klass.parent / f"s.{ending}").read_text(encoding="utf-8-sig")
    refused = call("similarity", klass, "--out", "s.pdf")
    assert (refused.exit_code, ".html" in refused.stderr) == (2, True)


@pytest.mark.parametrize("command", ["release", "grade", "similarity", "autograder-zip"])
def test_every_command_has_help(call, command):
    told = call(command, "--help")
    assert told.exit_code == 0
    assert "--catalogue" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 100
