"""JUnit XML, which servers for continuous integration show as a list of tests.

There is no standard; this is what is common to most readers: https://github.com/testmoapp/junitxml. Points are
properties of a student's suite, since not every reader knows properties of a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from tinygrad_cnn.exercises.checking import Part
from tinygrad_cnn.exercises.grading.grades import CHECKER, Grade, Result, plain, told

# the code could not be tried, other than: it was tried, and is wrong
ERRORS = {"encoding", "syntax", "import", "forbidden", "timeout", "memory", "exit", "crash", "garbage", CHECKER}


def document(grades: Sequence[Grade]) -> bytes:
    """The XML of a class: a suite for each student, a test for each function."""
    root = ET.Element("testsuites", name="tinygrad-cnn exercises")
    for grade in grades:
        _suite(root, grade)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    root.set("time", _seconds(sum(grade.seconds for grade in grades)))
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8") + b"\n"


def _suite(root: ET.Element, grade: Grade) -> None:
    suite = ET.SubElement(root, "testsuite", name=plain(grade.name), time=_seconds(grade.seconds))
    properties = ET.SubElement(suite, "properties")

    def note(name: str, value: object) -> None:
        ET.SubElement(properties, "property", name=name, value=plain(str(value)))

    note("points", f"{grade.points:g}")
    note("max_points", f"{grade.max_points:g}")
    note("source", grade.source)
    for number, remark in enumerate(grade.remarks, start=1):
        note(f"remark.{number}", remark)
    for result in grade.results:
        for part in result.parts:
            note(f"points.{result.exercise}.{part.function}", f"{part.points:g} of {part.max_points:g}")
    cases = [_case(suite, grade, result, part) for result in grade.results for part in result.verdict.parts]
    suite.set("tests", str(len(cases)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))


def _case(suite: ET.Element, grade: Grade, result: Result, part: Part) -> ET.Element:
    seconds = result.verdict.seconds / len(result.verdict.parts)
    case = ET.SubElement(
        suite,
        "testcase",
        name=plain(part.function),
        classname=plain(f"{grade.name}.{result.exercise}"),
        time=_seconds(seconds),
    )
    if part.finding is not None:
        kind = part.finding.kind
        tag = "error" if kind in ERRORS else "failure"
        ET.SubElement(case, tag, type=plain(kind), message=plain(part.finding.says)).text = told(part)
    if result.verdict.printed and part is result.verdict.parts[0]:
        ET.SubElement(case, "system-out").text = plain(result.verdict.printed)
    return case


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
