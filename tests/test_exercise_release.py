"""What instructors hand out and give to Gradescope, and their whole way from the handout to the grades."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_exercise_grading import strict, valid_junit, valid_results
from typer.testing import CliRunner

from tinygrad_cnn.about import __version__
from tinygrad_cnn.cli import app
from tinygrad_cnn.exercises import progress
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.grading.reading import GradingError
from tinygrad_cnn.exercises.release import OWN, autograder, own_exercises, release, zipped
from tinygrad_cnn.exercises.submission import packed
from tinygrad_cnn.exercises.verify import verify
from tinygrad_cnn.exercises.workspace import Workspace

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8")
IDS = ["conv_forward", "output_size"]
bash = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="Gradescope's machines have bash")


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(only=IDS)


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """The exercise that the guide describes, taken out of it."""
    folder = tmp_path_factory.mktemp("guide")
    files = re.findall(r"^`(my-exercises/[\w/.]+)`\n\n```\w+\n(.*?)^```", GUIDE, flags=re.M | re.S)
    assert sorted(Path(name).name for name, _ in files) == ["cases.py", "exercise.toml", "plug.py", "solution.py"]
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder / "my-exercises"


def opened(content):
    """The files of a zip by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


# ---- the handout


def test_the_handout_is_a_folder_to_work_in(tmp_path, catalogue):
    folder = tmp_path / "week3"
    release(folder, catalogue)
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {
        catalogue["conv_forward"].file, catalogue["output_size"].file, "README.txt", progress.NAME,
    }  # fmt: skip
    workspace = Workspace.find(folder)
    assert list(workspace.catalogue) == IDS
    assert (folder / catalogue["conv_forward"].file).read_text(encoding="utf-8") == catalogue["conv_forward"].skeleton()
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert f"pip install tinygrad-cnn=={__version__}" in readme
    assert "tcnn exercise watch" in readme
    assert re.search(r"12_conv_forward\.py +10  Convolution, by loops", readme)


def test_the_handouts_zip_is_the_same_each_time_and_unpacks_into_one_folder(tmp_path, catalogue):
    release(tmp_path / "a" / "week3", catalogue)
    release(tmp_path / "b" / "week3", catalogue)
    content = zipped(tmp_path / "a" / "week3")
    assert content == zipped(tmp_path / "b" / "week3")
    assert {name.partition("/")[0] for name in opened(content)} == {"week3"}
    assert not [name for name in opened(content) if "/." in name]


def test_the_handout_never_mixes_with_what_is_there(tmp_path, catalogue):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(GradingError, match="is not empty"):
        release(tmp_path, catalogue)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_own_exercises_travel_along_and_are_found_wherever_it_is_unpacked(tmp_path, own):
    catalogue = Catalogue(own, only=["leaky_relu", "output_size"])
    assert [exercise.id for exercise in own_exercises(catalogue)] == ["leaky_relu"]
    release(tmp_path / "week4", catalogue)
    names = set(opened(zipped(tmp_path / "week4")))
    assert {f"week4/{OWN}/leaky_relu/{name}" for name in ("exercise.toml", "cases.py", "solution.py")} <= names
    assert not [name for name in names if "__pycache__" in name]
    shutil.move(tmp_path / "week4", tmp_path / "elsewhere")
    workspace = Workspace.find(tmp_path / "elsewhere")
    assert list(workspace.catalogue) == ["output_size", "leaky_relu"]
    assert workspace.catalogue["leaky_relu"].folder.is_relative_to(tmp_path / "elsewhere")


# ---- the guide


def test_the_guides_exercise_works(own):
    """Solution, skeleton, and eight wrong versions, each of which is recognised as itself."""
    exercise = Catalogue(own)["leaky_relu"]
    proof = verify(exercise)
    assert proof.problems == []
    assert proof.mistakes == 8
    case = next(case for case in exercise.cases() if case.function == "leaky_relu_backward")
    assert exercise.where(case, "dx", (0,)).startswith("x is ")
    for law in exercise.laws():
        assert law.holds([exercise.function(law.function)(*args) for args in law.calls])


def test_the_guide_names_every_command_option_and_format():
    for word in ("table", "csv", "json", "junit", "gradescope"):
        assert f"`{word}`" in GUIDE
    for option in [
        "only",
        "catalogue",
        "points",
        "seed",
        "time-limit",
        "jobs",
        "one",
        "wheel",
        "out",
        "format",
        "feedback",
    ]:
        assert f"`--{option}" in GUIDE
    targets = re.findall(r"\]\(([^)#:]+?)\)", GUIDE)
    assert targets == ["exercises.md"]
    for command in re.findall(r"tcnn exercise ([\w-]+)", GUIDE):
        assert CliRunner().invoke(app, ["exercise", command, "--help"]).exit_code == 0, command


# ---- Gradescope's zip


def test_the_autograder_zip_has_what_gradescope_wants_at_its_root(catalogue):
    content = autograder(catalogue, {"conv_forward": 20.0}, seed=7, seconds=2.5)
    assert content == autograder(catalogue, {"conv_forward": 20.0}, seed=7, seconds=2.5)
    files = opened(content)
    assert sorted(files) == ["arguments.txt", "points.toml", "requirements.txt", "run_autograder", "setup.sh"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rights = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert {info.create_system for info in archive.infolist()} == {3}
    for name in ("setup.sh", "run_autograder"):
        assert rights[name] == stat.S_IFREG | 0o755
        assert files[name].startswith(b"#!/usr/bin/env bash\n")
        assert b"\r" not in files[name]
    assert rights["arguments.txt"] == stat.S_IFREG | 0o644
    assert files["requirements.txt"].decode() == f"tinygrad-cnn=={__version__}\n"
    assert files["points.toml"].decode() == '"conv_forward" = 20.0\n'
    assert files["arguments.txt"].decode().split() == [
        "--only", "conv_forward", "--only", "output_size", "--seed", "7", "--points", "points.toml",
        "--time-limit", "2.5",
    ]  # fmt: skip


def test_the_autograder_zip_takes_a_wheel_and_own_exercises(tmp_path, own):
    wheel = tmp_path / f"tinygrad_cnn-{__version__}-py3-none-any.whl"
    wheel.write_bytes(b"PK wheel")
    files = opened(autograder(Catalogue(own, only=["leaky_relu"]), {}, wheel=wheel))
    assert files[wheel.name] == b"PK wheel"
    assert files["requirements.txt"].decode() == f"./{wheel.name}\n"
    assert "exercises/leaky_relu/exercise.toml" in files
    assert "points.toml" not in files
    for wrong in (tmp_path / "numpy-2.0-py3-none-any.whl", tmp_path / "tinygrad_cnn-0.0-py3-none-any.whl"):
        with pytest.raises(GradingError, match="is no wheel of this package"):
            autograder(Catalogue(only=["output_size"]), {}, wheel=wrong)


class Gradescope:
    """Folders that stand in for /autograder, laid out as Gradescope does."""

    def __init__(self, root, content):
        self.root, self.environment = root, os.environ | {"AUTOGRADER_ROOT": str(root)}
        (root / "source").mkdir(parents=True)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                path = Path(archive.extract(info, root / "source"))
                path.chmod(info.external_attr >> 16 & 0o777)
        shutil.copy2(root / "source" / "run_autograder", root / "run_autograder")

    def with_this_python(self):
        """In the place of what setup.sh makes."""
        python = self.root / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        return self

    def grade(self, files):
        """Lay a submission down, run run_autograder, and read results.json."""
        shutil.rmtree(self.root / "submission", ignore_errors=True)
        shutil.rmtree(self.root / "results", ignore_errors=True)
        for name, content in files.items():
            path = self.root / "submission" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        run = subprocess.run(
            [self.root / "run_autograder"],
            cwd=self.root,
            env=self.environment,
            timeout=120,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0
        return valid_results((self.root / "results" / "results.json").read_text(encoding="utf-8")), run


@bash
def test_gradescope_grades_right_wrong_broken_and_missing(tmp_path, catalogue):
    conv, size = catalogue["conv_forward"], catalogue["output_size"]
    place = Gradescope(tmp_path / "auto grader", autograder(catalogue, {"conv_forward": 20.0})).with_this_python()
    most = 20 + size.points
    told, run = place.grade({conv.file: conv.solution(), size.file: size.solution()})
    assert told["score"] == most, run.stderr
    assert {test["status"] for test in told["tests"]} == {"passed"}
    flipped = {"submission.zip": packed({conv.file: conv.wrong_text("conv2d_forward", "flipped").encode()})}
    told, _ = place.grade(flipped)
    assert told["score"] == 0
    assert "flipped" in told["tests"][0]["output"]
    assert "no file" in told["tests"][1]["output"]
    broken = {f"tcnn-exercises/{conv.file}": "def (", f"tcnn-exercises/{size.file}": size.solution(), "x.zip": b"PK"}
    told, _ = place.grade(broken)
    assert told["score"] == size.points
    assert "x.zip is damaged" in told["output"]


@bash
def test_gradescope_gets_results_even_if_everything_fails(tmp_path, catalogue):
    place = Gradescope(tmp_path / "a", autograder(catalogue, {}))
    told, _ = place.grade({"12_conv_forward.py": "x"})  # setup.sh never ran
    assert (told["score"], told["tests"]) == (0, [])
    assert "tell your instructor" in told["output"]
    place.with_this_python()
    (place.root / "source" / "arguments.txt").write_text("--only\nnonsense\n")
    told, run = place.grade({"12_conv_forward.py": "x"})
    assert "tell your instructor" in told["output"]
    assert "there is no exercise 'nonsense'" in run.stderr
    (place.root / "source" / "arguments.txt").unlink()
    assert "tell your instructor" in place.grade({})[0]["output"]  # and nothing was handed in


@bash
@pytest.mark.parametrize("script", ["setup.sh", "run_autograder"])
def test_the_scripts_are_bash(tmp_path, catalogue, script):
    (tmp_path / script).write_bytes(opened(autograder(catalogue, {}))[script])
    subprocess.run(["bash", "-n", tmp_path / script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", tmp_path / script], check=True)


@bash
@pytest.mark.slow
def test_gradescope_from_setup_to_results(tmp_path, own):
    """setup.sh as Gradescope runs it, with a wheel of this tree; the package index gives the rest."""
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", wheels, ROOT]
    made = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    if made.returncode:
        pytest.skip(f"no wheel can be made here: {made.stderr[-300:]}")
    (wheel,) = wheels.iterdir()
    catalogue = Catalogue(own, only=["leaky_relu", "output_size"])
    place = Gradescope(tmp_path / "autograder", autograder(catalogue, {}, seed=3, wheel=wheel))
    subprocess.run(["bash", place.root / "source" / "setup.sh"], check=True, env=place.environment, timeout=500)
    solutions = {f"{id}.py": exercise.solution() for id, exercise in catalogue.items()}
    shutil.move(own, own.with_name("gone"))  # what is graded with is in the zip
    try:
        told, run = place.grade(solutions)
    finally:
        shutil.move(own.with_name("gone"), own)
    assert told["score"] == sum(exercise.points for exercise in catalogue.values()), run.stderr


# ---- the instructor's way


@pytest.fixture
def call(tmp_path, monkeypatch):
    """The command line in a folder; the first time as a process of its own."""
    monkeypatch.setenv("COLUMNS", "100")
    begun = []

    def run(*arguments, folder=tmp_path):
        monkeypatch.chdir(folder)
        words = ["exercise", *map(str, arguments)]
        if not begun:
            begun.append(True)
            command = [sys.executable, "-m", "tinygrad_cnn", *words]
            done = subprocess.run(command, capture_output=True, timeout=120, encoding="utf-8", check=True)
            return done.stdout
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_from_the_handout_to_the_grades(tmp_path, catalogue, call):
    """Three students: one is right, one has flipped the kernel, one is hostile; all formats; Gradescope."""
    conv, size = catalogue["conv_forward"], catalogue["output_size"]
    most = conv.points + size.points

    only = ("--only", "conv_forward", "--only", "output_size")
    assert f"2 exercises, {most:g} points" in call("release", "week3", *only, "--zip")

    handed_in = tmp_path / "handed in"
    for name in ("Ada Lovelace", "Bob", "Éve"):
        with zipfile.ZipFile(tmp_path / "week3.zip") as archive:
            archive.extractall(handed_in / name)
    ada, bob, eve = (handed_in / name / "week3" for name in ("Ada Lovelace", "Bob", "Éve"))
    (ada / conv.file).write_text(conv.solution(), encoding="utf-8")
    (ada / size.file).write_text(size.solution(), encoding="utf-8")
    (bob / conv.file).write_text(conv.wrong_text("conv2d_forward", "flipped"), encoding="utf-8")
    (bob / size.file).write_text(size.solution(), encoding="utf-8")
    (eve / conv.file).write_text("import os, sys\nsys.modules.clear()\nos._exit(0)\n", encoding="utf-8")
    (eve / size.file).write_bytes(b"\xff\xfe def \x00")
    call("submit", "--out", handed_in / "Ada Lovelace.zip", folder=ada)
    shutil.rmtree(handed_in / "Ada Lovelace")

    told = call("grade", handed_in, *only)
    assert [line.split()[-5:-3] for line in told.splitlines() if line.startswith(("Ada", "Bob", "Éve"))] == [
        [f"{most:g}", f"{most:g}"], [f"{size.points:g}", f"{most:g}"], ["0", f"{most:g}"],
    ]  # fmt: skip

    for name in ("grades.csv", "grades.json", "grades.xml"):
        call("grade", handed_in, *only, "--seed", "99", "--out", name)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text(encoding="utf-8-sig"))))
    assert [(row["name"], float(row["total"])) for row in rows] == [
        ("Ada Lovelace", most), ("Bob", size.points), ("Éve", 0),
    ]  # fmt: skip
    record = strict((tmp_path / "grades.json").read_text())
    assert record["seed"] == 99
    finding = record["submissions"][1]["exercises"][0]["functions"][0]["finding"]
    assert (finding["kind"], finding["mistakes"]) == ("mistake", ["flipped"])
    suites = valid_junit((tmp_path / "grades.xml").read_bytes())
    assert [(s.get("failures"), s.get("errors")) for s in suites][:2] == [("0", "0"), ("1", "0")]
    assert int(suites[2].get("failures")) + int(suites[2].get("errors")) == 2

    for name, points in (("Ada Lovelace.zip", most), ("Bob", size.points), ("Éve", 0)):
        arguments = ("--format", "gradescope", "--out", "results.json")
        call("grade", handed_in / name, *only, *arguments)
        assert valid_results((tmp_path / "results.json").read_text())["score"] == points

    assert f"worth {most:g} points" in call("autograder-zip", "week3-autograder.zip", *only)
    if sys.platform != "win32" and shutil.which("bash"):
        place = Gradescope(tmp_path / "autograder", (tmp_path / "week3-autograder.zip").read_bytes()).with_this_python()
        told, _ = place.grade({"submission.zip": (handed_in / "Ada Lovelace.zip").read_bytes()})
        assert told["score"] == most
        told, _ = place.grade({path.name: path.read_bytes() for path in eve.iterdir() if path.is_file()})
        assert told["score"] == 0


def test_the_guide_shows_what_grade_prints(tmp_path, catalogue, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    conv, size = catalogue["conv_forward"], catalogue["output_size"]
    wrong, flipped = size.wrong_text("output_size", "rounded-up"), conv.wrong_text("conv2d_forward", "flipped")
    for name, texts in {
        "Ada Lovelace": (conv.solution(), size.solution()),
        "Jürgen Groß": (conv.solution(), wrong),
        "Zoë van der Berg": (flipped, wrong),
    }.items():
        (tmp_path / name).mkdir()
        for exercise, text in zip((conv, size), texts):
            (tmp_path / name / exercise.file).write_text(text, encoding="utf-8")
    only = ["--only", "conv_forward", "--only", "output_size"]
    told = CliRunner().invoke(app, ["exercise", "grade", str(tmp_path), *only])
    shown = next(block for block in re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL) if block.startswith("name"))
    assert [line.rstrip() for line in told.stdout.splitlines()] == shown.splitlines()


def test_release_and_autograder_refuse_what_would_overwrite_or_mislead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        told = CliRunner().invoke(app, ["exercise", *arguments])
        return told.exit_code, " ".join(told.stderr.replace("│", " ").split())

    (tmp_path / "week3.zip").write_bytes(b"mine")
    assert "week3.zip is there already" in call("release", "week3", "--zip")[1]
    assert (tmp_path / "week3.zip").read_bytes() == b"mine"
    assert not (tmp_path / "week3").exists()
    assert call("autograder-zip", "out.tar")[0] == 2
    assert "no wheel of this package" in call("autograder-zip", "out.zip", "--wheel", "none.whl")[1]
    assert "did you mean output_size?" in call("release", "week4", "--only", "output_sice")[1]
    assert not (tmp_path / "out.zip").exists()


def test_a_file_beside_the_exercises_can_be_imported(tmp_path, catalogue):
    conv = catalogue["conv_forward"]
    files = {"7_conv_forward.py": b"from helpers import conv2d_forward\n", "helpers.py": conv.solution().encode()}
    (tmp_path / "ada.zip").write_bytes(packed({f"tcnn-exercises/{name}": text for name, text in files.items()}))
    told = CliRunner().invoke(app, ["exercise", "grade", str(tmp_path / "ada.zip"), "--only", "conv_forward"])
    assert "ada: 10 of 10 points" in told.stdout


def test_manifest_of_submit_is_told(tmp_path, catalogue):
    """What a student has looked at is in the row; changing it in the zip changes no points."""
    manifest = json.dumps({"points": 1000, "gave_up": ["conv_forward"]}).encode()
    (tmp_path / "ada.zip").write_bytes(packed({"12_conv_forward.py": b"x = 1", "manifest.json": manifest}))
    told = CliRunner().invoke(app, ["exercise", "grade", str(tmp_path / "ada.zip"), "--only", "conv_forward"])
    assert "ada: 0 of 10 points" in told.stdout
    assert "solution seen before it was solved: conv_forward" in told.stdout
