"""A student's folder, and every command in it. The checks run the student's code in this process, which is faster."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from exercising import one_process  # noqa: F401
from typer.testing import CliRunner

from tinygrad_cnn import TinygradCnnWarning
from tinygrad_cnn.cli import app, console
from tinygrad_cnn.cli.exercise import exercise
from tinygrad_cnn.exercises import checking, report, skeletons, watching, workspace
from tinygrad_cnn.exercises.catalogue import Catalogue, catalogue
from tinygrad_cnn.exercises.checking import Finding, Part, Verdict
from tinygrad_cnn.exercises.progress import NAME
from tinygrad_cnn.exercises.workspace import Workspace, WorkspaceError

pytestmark = pytest.mark.usefixtures("one_process")
ALL = Catalogue()
CONV, SIZE = ALL["conv_forward"], ALL["output_size"]
C, S = CONV.points, SIZE.points
FLIPPED = CONV.wrong_text("conv2d_forward", "flipped")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs the program in an empty folder; gives status, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("TINYGRAD_CNN_DEBUG", raising=False)

    def run(*arguments, **more):
        return CliRunner().invoke(app, ["exercise", *map(str, arguments)], **more)

    return run


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A workspace with two exercises, which is the current folder."""
    space = Workspace.make(tmp_path / "desk", only=("conv_forward", "output_size"))
    monkeypatch.chdir(space.folder)
    return space


def write(space, exercise, text):
    path = space.path(exercise)
    path.write_text(text, encoding="utf-8")
    return path


def add_exercise(folder, id, aliases=()):
    """A small exercise of a teacher's."""
    (folder / id).mkdir(parents=True)
    (folder / id / "exercise.toml").write_text(
        f"""title = "The {id} of a number"
tutorial = "Tutorial 1"
intro = "Compute it."
hints = ["one", "two", "three"]
aliases = {list(aliases)}
[[functions]]
name = "{id}"
solution = "solution.py:{id}"
points = 2
""",
        encoding="utf-8",
    )
    (folder / id / "solution.py").write_text(f'def {id}(x):\n    """Do it."""\n    return 2 * x\n', encoding="utf-8")
    (folder / id / "cases.py").write_text(
        f'from tinygrad_cnn.exercises.cases import Case\ndef cases(rng):\n    return [Case("{id}", (1.5,))]\n',
        encoding="utf-8",
    )
    catalogue.cache_clear()


# ---- the folder


def test_a_folder_has_a_file_for_each_exercise_and_says_what_to_do(tmp_path):
    space = Workspace.make(tmp_path / "a" / "b")
    assert {path.name for path in space.folder.glob("*.py")} == {exercise.file for exercise in ALL.values()}
    readme = (space.folder / "README.txt").read_text(encoding="utf-8")
    assert "tcnn exercise watch" in readme
    assert next(iter(ALL.values())).file in readme
    assert max(map(len, readme.splitlines())) < 80
    assert space.missing() == []
    assert space.all_begun() == []
    assert space.current() is space.catalogue[next(iter(ALL))]


def test_it_is_found_from_inside_and_from_beside(tmp_path, monkeypatch):
    with pytest.raises(WorkspaceError, match="tcnn exercise init"):
        Workspace.find(tmp_path)
    space = Workspace.make(tmp_path / workspace.FOLDER)
    (space.folder / "deep" / "er").mkdir(parents=True)
    for start in (space.folder, space.folder / "deep" / "er", tmp_path):
        assert Workspace.find(start).folder == space.folder
    monkeypatch.chdir(space.folder / "deep")
    assert Workspace.find().folder == space.folder


@pytest.mark.parametrize("name", ["conv_forward.py", "7_conv_forward.py", "99_conv_forward.py", CONV.file])
def test_a_file_is_found_whatever_its_number_is(desk, name):
    os.rename(desk.path(CONV), desk.folder / name)
    assert desk.path(CONV) == desk.folder / name
    assert desk.missing() == []


def test_of_several_files_the_one_of_the_present_number_is_taken(desk):
    shutil.copy(desk.path(CONV), desk.folder / "conv_forward.py")
    shutil.copy(desk.path(CONV), desk.folder / "1_conv_forward.py")
    assert desk.path(CONV).name == CONV.file
    desk.path(CONV).unlink()
    assert desk.path(CONV).name == "1_conv_forward.py"


@pytest.mark.parametrize(
    "name", ["12_conv_forward (1).py", "12_conv_forward.py.bak", "my_conv_forward.py", "12_conv.py"]
)
def test_other_files_are_nobodys(desk, name):
    os.rename(desk.path(CONV), desk.folder / name)
    assert desk.path(CONV).name == CONV.file
    assert [exercise.id for exercise in desk.missing()] == ["conv_forward"]


def test_an_upgrade_adds_files_and_touches_none(tmp_path):
    add_exercise(tmp_path / "theirs", "double")
    space = Workspace.make(tmp_path / "mine", [tmp_path / "theirs"])
    old = write(space, space.catalogue["double"], "def double(x):\n    return 2 * x\n")
    space.check(space.catalogue["double"])
    number = space.catalogue["double"].number
    (space.folder / "README.txt").write_text("my notes")
    add_exercise(tmp_path / "theirs", "cube")  # comes before double in the alphabet, so double's number changes
    newer = Workspace.make(tmp_path / "mine")
    assert newer.catalogue["double"].number == number + 1
    assert newer.path(newer.catalogue["double"]) == old
    assert old.read_text() == "def double(x):\n    return 2 * x\n"
    assert newer.path(newer.catalogue["cube"]).read_text(encoding="utf-8") == newer.catalogue["cube"].skeleton()
    assert newer.progress.entry(newer.catalogue["double"]).points == 2
    assert (newer.folder / "README.txt").read_text() == "my notes"


def test_an_exercise_that_was_renamed_keeps_its_file_and_its_progress(tmp_path):
    add_exercise(tmp_path / "theirs", "double")
    space = Workspace.make(tmp_path / "mine", [tmp_path / "theirs"], only=["double"])
    path = write(space, space.catalogue["double"], "def double(x):\n    return 2 * x\n")
    space.check(space.catalogue["double"])
    shutil.rmtree(tmp_path / "theirs" / "double")
    add_exercise(tmp_path / "theirs", "twice", aliases=["double"])
    newer = Workspace.make(tmp_path / "mine")
    assert list(newer.catalogue) == ["twice"]
    twice = newer.catalogue["twice"]
    assert newer.path(twice) == path
    assert newer.progress.entry(twice).passed == {"double": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert newer.catalogue.named("double") is twice


def test_catalogues_may_move_together_with_the_folder(tmp_path):
    add_exercise(tmp_path / "course" / "theirs", "double")
    Workspace.make(tmp_path / "course" / "mine", [tmp_path / "course" / "theirs"])
    assert json.loads((tmp_path / "course" / "mine" / NAME).read_text())["catalogues"] == ["../theirs"]
    os.rename(tmp_path / "course", tmp_path / "moved")
    assert "double" in Workspace(tmp_path / "moved" / "mine").catalogue


def test_a_catalogue_that_is_gone_is_told_and_can_be_given_anew(tmp_path):
    add_exercise(tmp_path / "theirs", "double")
    Workspace.make(tmp_path / "mine", [tmp_path / "theirs"])
    os.rename(tmp_path / "theirs", tmp_path / "there")
    with pytest.raises(WorkspaceError, match=r"theirs are gone.*--catalogue DIR"):
        Workspace(tmp_path / "mine")
    with pytest.raises(WorkspaceError, match="nowhere: there is no such folder"):
        Workspace.make(tmp_path / "mine", [tmp_path / "nowhere"])
    space = Workspace.make(tmp_path / "mine", [tmp_path / "there"])
    assert "double" in space.catalogue
    assert space.progress.settings()["catalogues"] == ["../there"]


def test_some_exercises_only_and_more_later(tmp_path):
    def files():
        return sorted(path.name for path in tmp_path.glob("*.py"))

    Workspace.make(tmp_path, only=["conv_forward"])
    assert (list(Workspace(tmp_path).catalogue), files()) == (["conv_forward"], [CONV.file])
    Workspace.make(tmp_path)
    assert files() == [CONV.file]
    Workspace.make(tmp_path, only=["13"])
    assert files() == [CONV.file, SIZE.file]
    Workspace.make(tmp_path, only=None)
    assert len(files()) == len(ALL)
    Workspace.make(tmp_path, only=["conv_forward"])  # it has all, and keeps them
    assert list(Workspace(tmp_path).catalogue) == list(ALL)


def test_the_current_exercise_is_the_one_saved_last_else_the_next(desk):
    assert desk.current().id == "conv_forward"
    os.utime(write(desk, SIZE, "x = 1"), (2000, 2000))
    assert [exercise.id for exercise in desk.all_begun()] == ["output_size"]
    assert desk.current().id == "output_size"
    os.utime(write(desk, CONV, "y = 1"), (1000, 1000))
    assert desk.current().id == "output_size"
    write(desk, SIZE, SIZE.solution())
    desk.check(SIZE)
    assert desk.current().id == "conv_forward"
    write(desk, CONV, CONV.solution())
    desk.check(CONV)
    assert desk.current() is None


def test_a_skeleton_of_an_older_version_is_not_begun(desk):
    old = desk.path(CONV)
    old.write_text("an older skeleton")
    assert desk.begun(CONV)
    with desk.progress.changing(CONV) as (entry,):
        entry.skeleton = hashlib.sha256(b"an older skeleton").hexdigest()
    assert not desk.begun(CONV)
    old.write_bytes(CONV.skeleton().encode())
    with desk.progress.changing(CONV) as (entry,):
        entry.skeleton = ""  # the progress file was lost
    assert not desk.begun(CONV)


def test_what_passed_is_noted_with_the_file_that_passed(desk):
    path = write(desk, CONV, CONV.solution())
    desk.check(CONV)
    passed = {"conv2d_forward": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert desk.progress.entry(CONV).passed == passed
    write(desk, CONV, FLIPPED)
    desk.check(CONV)
    entry = desk.progress.entry(CONV)
    assert (entry.points, entry.passed, entry.checks) == (C, passed, 2)  # the best counts
    assert entry.solved


def test_a_file_saved_during_its_check_is_not_noted(desk, monkeypatch):
    path = write(desk, CONV, CONV.solution())
    check = checking.check

    def slow(exercise, file):
        verdict = check(exercise, file)
        path.write_text("other")
        return verdict

    monkeypatch.setattr(checking, "check", slow)
    assert desk.check(CONV).passed
    assert desk.progress.entry(CONV).points == 0


def test_a_progress_file_that_cannot_be_written_costs_no_verdict(desk, monkeypatch):
    write(desk, CONV, CONV.solution())

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinygrad_cnn.training.storage._write_durably", full)
    with pytest.warns(TinygradCnnWarning, match="No space left on device"):
        assert desk.check(CONV).passed


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    class Full:
        """A file on a full disk."""

        def __init__(self, path):
            self.file = open(path, "xb")  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            self.file.write(content[:100])
            self.file.flush()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace, "open", lambda path, mode: Full(path), raising=False)
    with pytest.raises(OSError, match="No space left") as caught:
        Workspace.make(tmp_path, only=["conv_forward"])
    assert caught.value.filename == str(tmp_path / CONV.file)
    assert not (tmp_path / CONV.file).exists()
    monkeypatch.undo()
    assert Workspace.make(tmp_path).path(CONV).read_text(encoding="utf-8") == CONV.skeleton()


@pytest.mark.parametrize("id", list(ALL))
def test_skeletons_fit_an_editor_and_are_python(id):
    text = ALL[id].skeleton()
    compile(text, id, "exec")
    assert max(map(len, text.splitlines())) <= skeletons.WIDTH
    assert f"tcnn exercise check {id}" in text
    assert f"tcnn exercise hint {id}" in text
    assert text.startswith(f'"""{ALL[id].number}. {ALL[id].title}\n')


# ---- noticing a save


class Asleep(Exception):
    """Nothing was noticed for as long as a test waits."""


def script(*steps):
    """Instead of sleeping: a step each time, then the end."""
    waiting = list(steps)

    def sleep(seconds):
        if not waiting:
            raise Asleep
        waiting.pop(0)()

    return sleep


def nothing():
    pass


def noticed(desk, *steps):
    """Names of the exercises that are noticed while these steps happen, one between two looks."""
    found = []
    try:
        for exercise in watching.saves(desk, script(*steps)):
            found.append(exercise.id)
    except Asleep:
        return found


def test_a_save_before_the_first_wait_is_noticed(desk):
    saves = watching.saves(desk, script(nothing, nothing, nothing))
    write(desk, SIZE, "x = 1")
    assert next(saves).id == "output_size"


def test_a_file_is_left_alone_until_it_has_settled(desk):
    states = []

    def grow():
        with open(desk.path(CONV), "a", encoding="utf-8") as file:
            file.write("# more\n")
        states.append(desk.path(CONV).stat().st_size)

    saves = watching.saves(desk, script(grow, grow, grow, nothing))
    assert next(saves).id == "conv_forward"
    assert len(states) == 3
    assert noticed(desk, *[grow] * 30)  # one that never settles is checked all the same


def test_nothing_is_noticed_where_nothing_is_saved(desk, monkeypatch):
    assert noticed(desk, *[nothing] * 5) == []
    looks, paths = iter([desk.paths(), OSError(112, "Host is down"), desk.paths(), desk.paths()]), desk.paths()

    def away():
        found = next(looks, paths)
        if isinstance(found, OSError):
            raise found
        return found

    monkeypatch.setattr(desk, "paths", away)  # a network drive that is away for a moment
    assert noticed(desk, *[nothing] * 5) == []


def test_two_files_at_once_and_one_saved_during_the_check_of_another(desk):
    def both():
        write(desk, CONV, "x = 1")
        write(desk, SIZE, "x = 1")

    assert sorted(noticed(desk, both, *[nothing] * 5)) == ["conv_forward", "output_size"]
    found = []
    with contextlib.suppress(Asleep):
        for exercise in watching.saves(desk, script(both, *[nothing] * 20)):
            if not found:
                write(desk, exercise, "x = 22")
            found.append(exercise.id)
    assert sorted(found) == sorted([found[0], "conv_forward", "output_size"])


def test_a_deleted_and_an_emptied_file_are_waited_for(desk):
    path = desk.path(CONV)
    steps = [path.unlink, nothing, lambda: path.write_text(""), nothing, lambda: path.write_text("x = 1"), nothing]
    assert noticed(desk, *steps, *[nothing] * 3) == ["conv_forward"]


# ---- the commands


def test_init_says_what_to_do_next_and_never_overwrites(call, tmp_path):
    result = call("init")
    assert result.exit_code == 0
    assert f"{len(ALL)} exercises in tcnn-exercises" in result.stdout
    assert "cd tcnn-exercises" in result.stdout
    assert "exercise watch" in result.stdout
    first = tmp_path / "tcnn-exercises" / next(iter(ALL.values())).file
    first.write_text("mine")
    (tmp_path / "tcnn-exercises" / SIZE.file).unlink()
    again = call("init")  # from beside, and the folder is found
    assert f"1 file added: {SIZE.file}" in again.stdout
    assert "as it was" in again.stdout
    assert first.read_text() == "mine"
    assert "nothing was missing" in call("init", "tcnn-exercises").stdout
    assert not (tmp_path / "tcnn-exercises" / "tcnn-exercises").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["init", "--only", "relu,conv_forwrad"], 1, "did you mean conv_forward?"),
        (["init", "--catalogue", "nowhere"], 1, "nowhere: there is no such folder"),
        (["init", "--catalogue", "."], 1, "there is no exercise in this folder"),
        (["init", "--only", "relu", "--all"], 2, "exclude each other"),
        (["list"], 1, "tcnn exercise init"),
        (["check"], 1, "tcnn exercise init"),
        (["watch"], 1, "tcnn exercise init"),
        (["submit"], 1, "tcnn exercise init"),
        (["hnit"], 2, "Did you mean 'init', 'hint'"),
    ],
)
def test_mistakes_are_one_message_and_make_nothing(call, tmp_path, arguments, status, words):
    result = call(*arguments)
    assert result.exit_code == status
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_init_into_a_file_is_an_error(call, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = call("init", "notes.txt")
    assert result.exit_code == 1
    assert "notes.txt" in result.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine"


def rows(result):
    """Points, state and title of each exercise, as list shows them."""
    row = r" *\d+ (\w+) +(\S+ of \S+)(?:  (.{8})(?:  (.*))?)?"
    found = [re.fullmatch(row, line) for line in result.stdout.splitlines()]
    return {match[1]: (match[2], (match[3] or "").strip(), match[4]) for match in found if match}


def test_list_shows_what_was_earned_and_what_is_next(call, desk):
    result = call("list")
    assert rows(result) == {
        "conv_forward": (f"0 of {C}", "", CONV.title),
        "output_size": (f"0 of {S}", "", SIZE.title),
    }
    assert f"0 of {C + S} points, 0 of 2 exercises solved" in result.stdout
    assert f"Next: 12. {CONV.title}, in {CONV.file}" in result.stdout
    write(desk, CONV, FLIPPED)
    assert rows(call("list"))["conv_forward"] == (f"0 of {C}", "begun", CONV.title)
    write(desk, CONV, CONV.solution())
    assert call("check").exit_code == 0
    result = call("list")
    assert rows(result)["conv_forward"] == (f"{C} of {C}", "✓ passed", CONV.title)
    assert f"{C} of {C + S} points, 1 of 2 exercises solved" in result.stdout
    assert "Next: 13" in result.stdout
    write(desk, CONV, FLIPPED)
    desk.path(SIZE).unlink()
    result = call("list")
    assert rows(result) == {
        "conv_forward": (f"{C} of {C}", "✓ passed", f"{CONV.title} (changed)"),
        "output_size": (f"0 of {S}", "no file", SIZE.title),
    }
    assert "changed: the file is another one than that which passed" in result.stdout
    assert "no file: " in result.stdout


def test_list_fits_80_columns_with_whole_titles_and_a_narrow_window_without(call, tmp_path, monkeypatch):
    space = Workspace.make(tmp_path / workspace.FOLDER)
    assert {id: title for id, (_, _, title) in rows(call("list")).items()} == {e.id: e.title for e in ALL.values()}
    with space.progress.changing(*space.catalogue.values()) as entries:
        for entry in entries:
            entry.gave_up, entry.solved = True, "2026-01-31"
    for width, title in ((80, "  Max … (changed, solution seen)"), (50, " (changed, solution seen)")):
        monkeypatch.setenv("COLUMNS", str(width))
        result = call("list")
        table = result.stdout.splitlines()[: len(ALL)]
        assert table[16].endswith(f"17 max_pool_backward    0 of {ALL['max_pool_backward'].points}  ✓ passed{title}")
        assert max(map(len, table)) <= max(width, 68)
    assert "solution seen: with --give-up, before the exercise was solved" in result.stdout
    assert "All exercises are solved" in result.stdout


def test_init_where_the_progress_was_lost_brings_it_back(call, desk):
    write(desk, CONV, CONV.solution())
    call("check")
    for file in (NAME, ".exercise-progress.copy"):
        (desk.folder / file).unlink()
    assert "tcnn exercise init" in call("list").stderr
    result = call("init")
    assert "This folder has" in result.stdout
    assert "to have it noted again: " in result.stdout
    assert not (desk.folder / workspace.FOLDER).exists()
    assert f"{C} of " in call("check", "--all").stdout
    assert rows(call("list"))["conv_forward"][:2] == (f"{C} of {C}", "✓ passed")
    assert "noted again" not in call("init").stdout


def test_a_file_that_is_checked_in_a_notebook_makes_no_folder_of_exercises(call, tmp_path):
    (tmp_path / CONV.file).write_text("x = 1")
    assert "25 exercises in tcnn-exercises" in call("init").stdout
    assert len(list(tmp_path.iterdir())) == 2


def test_check_names_the_mistake_and_ends_with_1_until_it_is_right(call, desk):
    nothing = call("check")
    assert (nothing.exit_code, "not begun an exercise yet" in nothing.stdout) == (1, True)
    write(desk, CONV, FLIPPED)
    wrong = call("check")
    assert wrong.exit_code == 1
    assert f"✗ conv2d_forward: 0 of {C} points" in wrong.stdout
    assert "The filter is flipped" in wrong.stdout
    assert "Hint: Multiply window" in wrong.stdout
    assert "Read: Tutorial 6" in wrong.stdout
    assert "exercise explain conv_forward" in wrong.stdout
    assert max(map(len, wrong.stdout.splitlines())) <= 80
    write(desk, CONV, CONV.solution())
    right = call("check")
    assert right.exit_code == 0
    assert f"✓ conv2d_forward: right, {C} points" in right.stdout
    assert "exercise solution conv_forward" in right.stdout
    assert f"{C} of {C + S} points, 1 of 2 exercises solved\nNext: 13" in right.stdout


@pytest.mark.parametrize("name", ["conv_forward", "conv-forward", "12", CONV.file, "conv2d_forward", f"x/{CONV.file}"])
def test_an_exercise_is_named_in_any_way(call, desk, name):
    write(desk, CONV, CONV.solution())
    assert call("check", name).exit_code == 0


def test_a_file_elsewhere_is_not_checked_instead(call, desk):
    write(desk, CONV, CONV.solution())
    (desk.folder / "old").mkdir()
    (desk.folder / "old" / CONV.file).write_text(FLIPPED, encoding="utf-8")
    result = call("check", f"old/{CONV.file}")
    assert (result.exit_code, f"which is {CONV.file}" in result.stderr) == (1, True)


def test_check_of_several_adds_up(call, desk):
    write(desk, CONV, CONV.solution())
    write(desk, SIZE, "def output_size(size, kernel, stride, padding):\n    return None\n")
    result = call("check", "--all")
    assert result.exit_code == 1
    assert f"1 of 2 right, {C} of {C + S} points" in result.stdout
    assert "Next: 13" in result.stdout
    assert call("check", "12", "conv_forward").exit_code == 0  # the same one, once
    assert call("check", "--all", "conv_forward").exit_code == 2
    write(desk, SIZE, SIZE.solution())
    assert call("check", "--all").exit_code == 0
    assert call("check").exit_code == 0  # all are solved: all that were begun


def test_check_of_an_unwritten_or_missing_file(call, desk):
    todo = call("check", "output_size")
    assert todo.exit_code == 1
    assert f"· output_size: still to be written, {S} points" in todo.stdout
    assert "explain" not in todo.stdout
    assert "where it says TODO" in todo.stdout
    write(desk, SIZE, "\n")
    assert "exercise reset output_size" in call("check", "output_size").stdout
    desk.path(SIZE).unlink()
    gone = call("check", "output_size", "conv_forward")
    assert gone.exit_code == 1
    assert "There is no such file" in gone.stdout
    assert "conv2d_forward: still to be written" in gone.stdout


def test_hints_come_one_by_one_and_are_remembered(call, desk):
    assert "not seen a hint" in call("hint", "--again").stdout
    first, second, third, after = (call("hint").stdout for _ in range(4))
    assert "Hint 1 of 3: the idea" in first
    assert "Hint 2" not in first
    assert "2 more" in first
    assert "Hint 2 of 3: where to look" in second
    assert "Hint 1" not in second
    assert "Hint 3 of 3: pseudo-code" in third
    assert "for each image n, filter k, row p, column q:\n      window =" in third  # its lines stay
    assert all(f"Hint {i} of 3" in after for i in (1, 2, 3))
    assert desk.progress.entry(CONV).hints == 3
    assert "Hint 1 of 3" in call("hint", "output_size").stdout
    assert "Hint 2 of 3" not in call("hint", "output_size", "--again").stdout
    assert all(f"Hint {i} of 3" in call("hint", "output_size", "--all").stdout for i in (1, 2, 3))
    assert desk.progress.entry(SIZE).hints == 3


def test_explain_says_more_than_check(call, desk):
    write(desk, CONV, FLIPPED)
    call("check")
    result = call("explain")
    for words in ("Slide each filter over each image", "The filter is flipped", "Case: one image", "x (1, 1, 3, 4)"):
        assert words in result.stdout
    assert "Case: one image" not in call("check").stdout
    assert desk.progress.entry(CONV).checks == 2  # explaining is not checking
    write(desk, CONV, CONV.solution().replace("+ bias[k]", "+ 3 * bias[k]"))
    assert re.search(r"y\[0, 0, 0, 0\] is \S+, should be \S+", " ".join(call("explain").stdout.split()))
    desk.path(CONV).unlink()
    gone = call("explain", "conv_forward")
    assert (gone.exit_code, "is not there" in gone.stderr) == (1, True)


def test_reset_keeps_every_backup(call, desk):
    for text in ("first", "second", "third"):
        write(desk, CONV, text)
        result = call("reset", "conv_forward")
        assert "Your file is now" in result.stdout
        backup = Path(result.stdout.split("Your file is now ")[1].strip())
        assert backup.read_text() == text
        assert desk.path(CONV).read_text(encoding="utf-8") == CONV.skeleton()
    kept = list((desk.folder / workspace.BACKUPS).iterdir())
    assert sorted(path.read_text() for path in kept) == ["first", "second", "third"]
    assert all(re.fullmatch(r"12_conv_forward-\d{8}-\d{6}(-\d+)?\.py", path.name) for path in kept)
    desk.path(CONV).unlink()
    assert "Your file" not in call("reset", "conv_forward").stdout
    assert "nothing to be undone" in call("reset", "conv_forward").stdout
    assert len(list((desk.folder / workspace.BACKUPS).iterdir())) == 3
    assert not desk.begun(CONV)


def test_a_solution_is_earned_or_given_up_for(call, desk):
    assert "exercise solution conv_forward --give-up" in call("solution").stderr
    refused = call("solution", "conv_forward")
    assert refused.exit_code == 1
    assert "3 of 3 hints are left" in refused.stderr
    assert "--give-up" in refused.stderr
    assert "def conv2d_forward" not in refused.output
    assert not desk.progress.entry(CONV).gave_up
    shown = call("solution", "conv_forward", "--give-up")
    assert shown.stdout == CONV.solution().rstrip("\n") + "\n"  # plain: it can be piped into a file
    assert desk.progress.entry(CONV).gave_up
    assert call("solution", "conv_forward").exit_code == 0  # it has been seen
    write(desk, SIZE, SIZE.solution())
    call("check")
    assert "def output_size" in call("solution").stdout  # the one solved last
    assert call("solution", "output_size", "--give-up").exit_code == 0
    assert not desk.progress.entry(SIZE).gave_up  # it was solved before
    write(desk, CONV, CONV.solution())
    call("check")
    states = rows(call("list"))
    assert states["conv_forward"][1:] == ("✓ passed", f"{CONV.title} (solution seen)")
    assert states["output_size"][1:] == ("✓ passed", SIZE.title)


def test_submit_packs_files_and_a_manifest(call, desk, tmp_path):
    empty = call("submit")
    assert (empty.exit_code, "nothing to hand in" in empty.stderr) == (1, True)
    write(desk, CONV, CONV.solution())
    call("hint", "conv_forward")
    call("check")
    call("solution", "output_size", "--give-up")
    result = call("submit")
    assert result.exit_code == 0
    assert f"submission.zip: 2 files, {C} of {C + S} points" in result.stdout
    assert f"✓ conv_forward: {C} of {C} points" in result.stdout
    assert "not begun: output_size" in result.stdout
    assert "solution seen before it was solved: output_size" in result.stdout
    path = desk.folder / "submission.zip"
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == [CONV.file, SIZE.file, "manifest.json"]
        assert archive.read(CONV.file) == desk.path(CONV).read_bytes()
        told = json.loads(archive.read("manifest.json"))
    entry = told["exercises"]["conv_forward"]
    assert entry["sha256"] == hashlib.sha256(desk.path(CONV).read_bytes()).hexdigest()
    assert (entry["points"], entry["passed"], entry["hints"], entry["checks"]) == (C, ["conv2d_forward"], 1, 1)
    assert (told["points"], told["max_points"], told["gave_up"]) == (C, C + S, ["output_size"])
    assert set(told["versions"]) == {"tinygrad-cnn", "python", "numpy"}


def test_submit_is_deterministic_and_overwrites_nothing_silently(call, desk, tmp_path):
    write(desk, CONV, CONV.solution())
    assert call("submit").exit_code == 0
    first = (desk.folder / "submission.zip").read_bytes()
    refused = call("submit")
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    os.utime(desk.path(CONV))
    assert call("submit", "--force").exit_code == 0
    assert (desk.folder / "submission.zip").read_bytes() == first
    assert call("submit", "--out", tmp_path / "mine.zip").exit_code == 0
    assert (tmp_path / "mine.zip").read_bytes() == first
    assert call("submit", "--out", tmp_path).exit_code == 0
    assert (tmp_path / "submission.zip").read_bytes() == first


def test_submit_notices_a_file_that_changes_meanwhile(call, desk, monkeypatch):
    path = write(desk, CONV, CONV.solution())
    check = checking.check

    def slow(exercise, file):
        verdict = check(exercise, file)
        path.write_text("other")
        return verdict

    monkeypatch.setattr(checking, "check", slow)
    result = call("submit")
    assert (result.exit_code, "changed while it was being checked" in result.stderr) == (1, True)
    assert not (desk.folder / "submission.zip").exists()


@pytest.mark.parametrize("id", list(ALL))
def test_nothing_needs_more_than_ascii(id):
    """Whatever a command prints of an exercise can be read on a terminal that has only ASCII."""
    exercise = ALL[id]
    mistakes = [m for task in exercise.tasks.values() for m in task.mistakes]
    texts = [exercise.title, exercise.intro, exercise.tutorial, *exercise.hints, exercise.solution()]
    texts += [text for m in mistakes for text in (m.says, m.hint, m.tutorial or "")]
    texts += [case.label for case in exercise.cases()] + [law.says for law in exercise.laws()]
    foreign = {c for text in texts for c in text if ord(c) > 127}
    assert {c for c in foreign if "?" in console.plain(c)} == set()


def test_the_guide_shows_what_there_is(desk, capsys):
    guide = (Path(__file__).parent.parent / "docs" / "exercises.md").read_text(encoding="utf-8")
    commands = {command.name for command in exercise.registered_commands}
    assert set(re.findall(r"`!?tcnn exercise\s+(\w+)", guide)) <= commands
    assert {"init", "list", "watch", "check", "hint", "explain", "reset", "solution", "submit"} <= set(
        re.findall(r"tcnn exercise (\w+)", guide)
    )
    table = [f"| {e.number} | {e.title} | `{e.id}` | {e.points:g} | {e.tutorial} |" for e in ALL.values()]
    assert re.findall(r"^\| \d+ \|.*$", guide, re.MULTILINE) == table
    assert f"{len(ALL)} of them, {sum(e.points for e in ALL.values()):g} points." in guide
    write(desk, CONV, FLIPPED)
    shown = guide.split("```text\n")[1].split("```")[0]
    assert text(report.told(desk.check(CONV))) == shown.split("\n", 1)[1].rstrip()


# ---- how a verdict is told


def verdict(*parts, **more):
    return Verdict("conv_forward", "Convolution", parts, **more)


def text(lines):
    return "\n".join(line.text for line in lines)


def test_a_problem_of_the_whole_file_is_told_once():
    problem = Finding("syntax", "There is a mistake in line 3.", "", "", (), "line 3: def f(:")
    lines = report.told(verdict(Part("f", 0, 2, problem), Part("g", 0, 3, problem), problem=problem))
    assert text(lines) == "✗ Convolution: 0 of 5 points\n  There is a mistake in line 3.\n\n  line 3: def f(:"
    late = report.told(verdict(Part("f", 2, 2), Part("g", 0, 3, problem), problem=problem))
    assert text(late).endswith("✓ f: right, 2 points")


def test_what_points_at_a_place_in_a_line_of_code_stays_below_it():
    short = "line 3: if  x = 3:"
    finding = Finding("syntax", "No.", "", "", (), f"{short}\n            ^^^^^")
    told = text(report.found(finding))
    assert told.endswith(f"\n  {short}\n              ^^^^^")
    long = "line 3: y = " + "x + " * 40 + "3 $ 4"
    told = text(report.found(Finding("syntax", "No.", "", "", (), f"{long}\n{' ' * 170}^")))
    assert "^" not in told  # the line is broken, and the place is anywhere
    assert max(map(len, told.splitlines())) <= report.WIDTH


def test_what_the_program_printed_is_shown_in_part_and_moves_no_cursor():
    printed = "one\x1b[2J\rtwo\n" + "x" * 300 + "\n" + "more\n" * 50
    lines = report.told(verdict(Part("f", 2, 2, remark="Correct; 40 times the time of im2col."), printed=printed))
    told = text(lines)
    assert "Correct; 40 times" in told
    assert "\x1b" not in told
    assert "\r" not in told
    assert "  … 40 more lines" in told or "  … 41 more lines" in told
    assert max(len(line.text) for line in lines) <= report.WIDTH


def test_lines_are_lines_and_fit():
    finding = Finding(
        "value", "word " * 60, "look " * 40, "Tutorial 1", (), "Case: c\nCall: f(" + "x (1, 2), " * 30 + ")"
    )
    for width in (60, 80, 100):
        lines = report.told(verdict(Part("f", 0, 1, finding), notes=("note " * 40,)), width=width)
        assert max(len(line.text) for line in lines) <= width
        assert not any("\n" in line.text for line in lines)


def test_the_case_of_a_typical_mistake_is_left_to_explain():
    finding = Finding("mistake", "It is flipped.", "Turn it.", "Tutorial 6", ("flipped",), "Call: f()")
    part = verdict(Part("f", 0, 1, finding))
    assert "Call" not in text(report.told(part))
    assert "Call: f()" in text(report.told(part, full=True))
