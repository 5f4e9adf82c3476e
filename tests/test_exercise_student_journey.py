"""A student's way from `init` to `submit`, and `watch`, through the real program in a folder of its own."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from tinygrad_cnn import exercises
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.progress import NAME
from tinygrad_cnn.exercises.sources import CatalogueError
from tinygrad_cnn.exercises.workspace import Workspace, WorkspaceError

ALL = Catalogue()
CONV, SIZE = ALL["conv_forward"], ALL["output_size"]
FLIPPED = CONV.wrong_text("conv2d_forward", "flipped")
SECONDS = 60  # for what should take less than two, on a machine that does other things


def program(folder, *arguments, status=0, **environment):
    """What the program prints, as a process of its own that ends with this status."""
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "exercise", *arguments],
        cwd=folder,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"COLUMNS": "80"} | environment,
    )
    assert done.returncode == status, done.stderr
    return (done.stdout + done.stderr).decode()


def test_the_way_from_init_to_submit(tmp_path):
    assert "cd tcnn-exercises" in program(tmp_path, "init")
    folder = tmp_path / "tcnn-exercises"
    mine = folder / CONV.file
    skeleton = mine.read_text(encoding="utf-8")
    assert "not begun an exercise yet" in program(folder, "check", status=1)

    begun, todo = skeleton.split("    # TODO")
    body = FLIPPED.split('    """\n')[-1]
    helper = FLIPPED[FLIPPED.index("\n\ndef output_size") : FLIPPED.index("\n\ndef conv2d_forward")]
    mine.write_text(begun + body + helper, encoding="utf-8")
    wrong = program(folder, "check", status=1)
    assert "The filter is flipped" in wrong
    assert "✗ conv2d_forward" in wrong
    assert "Traceback" not in wrong
    assert "Hint 1 of 3: the idea" in program(folder, "hint")
    assert "Call: conv2d_forward(" in program(folder, "explain")

    right = body.replace("weight[k, :, ::-1, ::-1]", "weight[k]")
    assert right != body
    mine.write_text(begun + right + helper, encoding="utf-8")
    passed = program(folder, "check", CONV.file)
    assert f"✓ conv2d_forward: right, {CONV.points} points" in passed
    table = program(folder, "list")
    assert re.search(rf"conv_forward .* {CONV.points} of {CONV.points}  ✓ passed", table)
    assert "np.pad" in program(folder, "solution")
    assert "not solved yet" in program(folder, "solution", "adam", status=1)

    trained = program(folder, "train", "lenet5", "--mine", "--minutes", "0.05", "--out", "mine")
    assert re.search(rf"conv1 +YOURS {CONV.file} +library", trained)
    assert re.search(r"pool2 +library\b", trained)
    assert re.search(r"conv1 .* ×\d+", trained)  # the table of times
    numbers = json.loads((folder / "mine" / "comparison.json").read_text(encoding="utf-8"))
    assert (folder / "mine" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert numbers["yours"]["losses"] == pytest.approx(numbers["library"]["losses"], rel=0.1)

    assert f"submission.zip: {len(ALL)} files, {CONV.points} of" in program(folder, "submit")
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        told = json.loads(archive.read("manifest.json"))
        assert archive.read(CONV.file) == mine.read_bytes()
    assert (told["points"], told["exercises"]["conv_forward"]["hints"]) == (CONV.points, 1)
    assert told["exercises"]["conv_forward"]["checks"] == 2

    program(folder, "reset", "conv_forward")
    assert mine.read_text(encoding="utf-8") == skeleton
    assert "✓ passed" in program(folder, "list")  # what was earned stays


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_terminal_can_show_it(tmp_path, encoding):
    """Windows' code pages, and LANG=C: four commands in one process, which is faster."""
    Workspace.make(tmp_path, only=["conv_forward"]).path(CONV).write_text(FLIPPED, encoding="utf-8")
    code = """
import sys
from tinygrad_cnn.cli import main
for line in ("check", "explain", "list", "hint --all"):
    sys.argv = ["tcnn", "exercise", *line.split()]
    try:
        main()
    except SystemExit:
        pass
"""
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=SECONDS, check=True, env=environment)
    told = done.stdout.decode(encoding)
    for words in ("conv2d_forward: 0 of", "The filter is flipped", "begun", "Hint 3 of 3"):
        assert words in told
    assert done.stderr == b""
    if encoding == "ascii":
        assert "no conv2d_forward" in told
        assert "p*stride" in told


class Watching:
    """`tcnn exercise watch` as a process, whose lines are read as they come."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinygrad_cnn", "exercise", "watch"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put((time.monotonic(), line.decode()))
        self.lines.put((time.monotonic(), ""))

    def until(self, words, seconds=SECONDS):
        """All up to the line with these words, and when it came."""
        told, end = "", time.monotonic() + seconds
        while True:
            try:
                came, line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no {words!r} in {seconds} seconds, but:\n{told}")
            told += line
            if words in line:
                return told, came
            assert line, f"it ended: {told}"

    def silent(self, seconds):
        """Whether it says nothing for a while."""
        time.sleep(seconds)
        return self.lines.empty()


@pytest.fixture
def watching(tmp_path):
    """A workspace with two exercises, watched."""
    space = Workspace.make(tmp_path, only=["conv_forward", "output_size"])
    watch = Watching(tmp_path)
    watch.until("Next: 12")
    yield space, watch
    if watch.process.poll() is None:
        watch.process.kill()
    watch.process.wait()
    watch.process.stdout.close()


def test_watch_answers_every_save(watching):
    """How soon is measured by `python -m benchmarks.exercises`: within a second."""
    space, watch = watching
    saves = 0
    for text, words in [(FLIPPED, "Read:"), (CONV.solution(), "Next: 13"), (FLIPPED, "Read:"), ("x = (", "✗")] * 2:
        time.sleep(0.1)
        space.path(CONV).write_text(text, encoding="utf-8")
        told, _ = watch.until(words)
        saves += 1
        assert CONV.file in told
    assert space.progress.entry(CONV).checks == saves


def test_watch_survives_all_that_editors_do(watching):
    space, watch = watching
    path, solved = space.path(CONV), f"✓ conv2d_forward: right, {CONV.points} points"
    text = CONV.solution()

    path.write_text(FLIPPED, encoding="utf-8")
    watch.until("The filter is flipped")
    watch.until("More:")
    new = path.with_name("12_conv_forward.py.tmp")  # a new file takes the old one's place
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
    watch.until(solved)
    told, _ = watch.until("Next: 13")

    path.unlink()  # deleted: it is waited for
    assert watch.silent(0.6)
    path.write_text(FLIPPED, encoding="utf-8")
    watch.until("More:")

    os.rename(path, path.with_suffix(".bak"))  # renamed away, and a new one written
    path.write_text("", encoding="utf-8")
    assert watch.silent(0.6)
    with open(path, "w", encoding="utf-8") as file:  # in pieces
        for i in range(0, len(text), len(text) // 4 + 1):
            file.write(text[i : i + len(text) // 4 + 1])
            file.flush()
            time.sleep(0.02)
    watch.until(solved)
    watch.until("Next: 13")

    path.write_bytes(b"\xff\xfe\x00")  # no text at all
    told, _ = watch.until("✗")
    (space.folder / "notes.py").write_text("mine")  # nobody's
    os.rename(space.path(SIZE), space.folder / "output_size.py")  # another number
    (space.folder / "output_size.py").write_text(SIZE.solution(), encoding="utf-8")
    told, _ = watch.until("✓ output_size")
    assert "output_size.py" in told
    assert "Traceback" not in told
    assert watch.process.poll() is None


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise there")
def test_watch_ends_politely_and_is_plain_in_a_pipe(watching):
    space, watch = watching
    space.path(SIZE).write_text(SIZE.solution(), encoding="utf-8")
    watch.until("✓ output_size")
    watch.until("Next: 12")
    watch.process.send_signal(signal.SIGINT)
    told, _ = watch.until("To go on:")
    assert f"{SIZE.points} of {SIZE.points + CONV.points} points, 1 of 2 exercises" in told
    assert watch.process.wait(SECONDS) == 0
    assert "\x1b" not in told


def test_watch_and_check_at_once_lose_nothing(watching):
    space, watch = watching
    space.path(CONV).write_text(CONV.solution(), encoding="utf-8")
    time.sleep(0.1)
    space.path(SIZE).write_text(SIZE.solution(), encoding="utf-8")
    program(space.folder, "check", "output_size", "conv_forward")
    program(space.folder, "hint", "output_size")
    seen = watch.until("✓")[0] + watch.until("✓")[0]
    assert "✓ conv2d_forward" in seen
    assert "✓ output_size" in seen
    for exercise in (CONV, SIZE):
        deadline = time.monotonic() + SECONDS  # it is noted before it is told, but the other one may be being noted
        while space.progress.entry(exercise).checks < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert space.progress.entry(exercise).checks == 2
        assert space.progress.entry(exercise).points == exercise.points
    assert space.progress.entry(SIZE).hints == 1


def test_a_notebook_needs_no_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FLIPPED, encoding="utf-8")
    exercises.check("conv_forward", "mine.py")
    assert "The filter is flipped" in capsys.readouterr().out
    with pytest.raises(WorkspaceError, match="tcnn exercise init"):
        exercises.check("conv_forward")
    with pytest.raises(FileNotFoundError, match=r"yours\.py is not there"):
        exercises.check("conv_forward", "yours.py")
    with pytest.raises(CatalogueError, match="did you mean conv_forward"):
        exercises.check("conv_forwrad", "mine.py")
    space = Workspace.make(tmp_path, only=["conv_forward"])
    space.path(CONV).write_text(CONV.solution(), encoding="utf-8")
    exercises.check("conv_forward")
    assert "✓ conv2d_forward: right" in capsys.readouterr().out
    assert space.progress.entry(CONV).points == CONV.points
    exercises.check("conv_forward", "mine.py")  # another file is not noted
    assert space.progress.entry(CONV).checks == 1
    assert json.loads((tmp_path / NAME).read_text(encoding="utf-8"))["exercises"]["conv_forward"]["solved"]
