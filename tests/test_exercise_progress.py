"""The file of what a student has done: killed writers, full disks, several writers at once, edits by hand, renames."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_cnn import TinygradCnnWarning
from tinygrad_cnn.exercises import progress
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.progress import NAME, Entry, Progress

CATALOGUE = Catalogue()
CONV, SIZE = CATALOGUE["conv_forward"], CATALOGUE["output_size"]


class Renamed:
    """An exercise that had other names in earlier versions."""

    id, aliases = "convolution", ("conv_forward", "conv")


def noted(folder):
    return json.loads((folder / NAME).read_text(encoding="utf-8"))


def begin(folder, **more):
    """A progress file with something in it."""
    with Progress(folder).changing(CONV) as (entry,):
        entry.points, entry.hints, entry.passed = 10, 2, {"conv2d_forward": "abc"}
        for name, value in more.items():
            setattr(entry, name, value)
    return (folder / NAME).read_bytes()


def child(folder, code, **more):
    """A process that has `told = Progress(folder)` and runs code."""
    head = """
        import os, sys, time, pathlib
        from tinygrad_cnn.exercises import progress
        from tinygrad_cnn.exercises.catalogue import Catalogue
        from tinygrad_cnn.training import storage
        conv = Catalogue()["conv_forward"]
        told = progress.Progress(pathlib.Path(sys.argv[1]))
        def halt(*args, **kwargs):
            print("halted", flush=True)
            time.sleep(60)
    """
    program = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True, **more)


def test_what_is_noted_is_read_again(tmp_path):
    begin(tmp_path, gave_up=True, checks=3, first="2026-01-31T12:00:00+01:00")
    entry = Progress(tmp_path).entry(CONV)
    assert (entry.points, entry.hints, entry.passed) == (10, 2, {"conv2d_forward": "abc"})
    assert (entry.gave_up, entry.checks, entry.first) == (True, 3, "2026-01-31T12:00:00+01:00")
    assert Progress(tmp_path).entry(SIZE) == Entry()
    assert noted(tmp_path)["format"] == 1
    assert "leave it" in noted(tmp_path)["about"]


def test_an_empty_folder_has_no_progress_and_gets_no_file(tmp_path):
    assert Progress(tmp_path).entry(CONV) == Entry()
    assert Progress(tmp_path).settings() == {"catalogues": [], "only": []}
    assert list(tmp_path.iterdir()) == []


def test_what_a_newer_version_noted_stays(tmp_path):
    begin(tmp_path)
    told = noted(tmp_path)
    told |= {"format": 7, "badges": ["first convolution"]}
    told["exercises"]["conv_forward"]["streak"] = [1, 2]
    told["exercises"]["conv_forward"]["more"] = "theirs"
    told["exercises"]["attention"] = {"points": 99, "moods": {"Mon": "good"}}
    (tmp_path / NAME).write_text(json.dumps(told), encoding="utf-8")
    with Progress(tmp_path).changing(CONV) as (entry,):
        entry.hints = 3
    after = noted(tmp_path)
    assert (after["format"], after["badges"]) == (7, ["first convolution"])
    assert after["exercises"]["attention"] == told["exercises"]["attention"]
    assert after["exercises"]["conv_forward"] == {**told["exercises"]["conv_forward"], "hints": 3}


def test_names_of_earlier_versions_are_brought_along(tmp_path):
    begin(tmp_path, checks=4, first="2026-01-01", solved="2026-01-02")
    with Progress(tmp_path).changing_all() as told:
        told["exercises"]["convolution"] = {"points": 7, "hints": 3, "checks": 1, "passed": {"other": "def"}}
    entry = Progress(tmp_path).entry(Renamed)
    assert (entry.points, entry.hints, entry.checks, entry.solved) == (10, 3, 5, "2026-01-02")
    assert entry.passed == {"conv2d_forward": "abc", "other": "def"}
    with Progress(tmp_path).changing(Renamed):
        pass
    assert list(noted(tmp_path)["exercises"]) == ["convolution"]
    assert Progress(tmp_path).entry(Renamed) == entry


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b"null", b"[" * 100_000, b'{"a": 1}{"b": 2}', "🦊".encode()[:2]],
    ids=["empty", "cut", "no-text", "list", "null", "deep", "twice", "half-a-letter"],
)
@pytest.mark.parametrize("copy", [True, False], ids=["with-copy", "without-copy"])
def test_a_broken_file_is_set_aside_and_its_copy_takes_its_place(tmp_path, content, copy):
    good = begin(tmp_path)
    (tmp_path / NAME).write_bytes(content)
    if not copy:
        (tmp_path / progress._COPY).write_bytes(content)
    with pytest.warns(TinygradCnnWarning, match="cannot be read") as caught:
        entry = Progress(tmp_path).entry(CONV)
    (message,) = [str(w.message) for w in caught]
    (aside,) = tmp_path.glob("exercise-progress.broken-*.json")
    assert aside.read_bytes() == content
    assert aside.name in message
    assert "Your solutions are untouched" in message
    assert entry == (Entry.from_json(json.loads(good)["exercises"]["conv_forward"]) if copy else Entry())
    assert ("check --all" in message) is not copy
    assert Progress(tmp_path).entry(CONV) == entry  # and no second warning


def test_several_broken_files_are_all_kept(tmp_path):
    for number in range(3):
        (tmp_path / NAME).write_text(f"broken {number}")
        with pytest.warns(TinygradCnnWarning, match="broken-"), Progress(tmp_path).changing(CONV) as (entry,):
            entry.hints = 1
    kept = sorted(path.read_text() for path in tmp_path.glob("exercise-progress.broken-*.json"))
    assert kept == ["broken 0", "broken 1", "broken 2"]
    assert Progress(tmp_path).entry(CONV).hints == 1


def test_a_broken_file_that_cannot_be_moved_is_told_of(tmp_path, monkeypatch):
    (tmp_path / NAME).write_text("{")

    def refused(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(progress.os, "replace", refused)
    with pytest.warns(TinygradCnnWarning, match="it stays where it is"):
        assert Progress(tmp_path).entry(CONV) == Entry()
    assert (tmp_path / NAME).read_text() == "{"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*vars(Entry()), "new", "to_json", "__class__"]), ANYTHING))
def test_an_entry_edited_by_hand_is_read_as_far_as_it_makes_sense(told):
    entry = Entry.from_json(told)
    for name, value in vars(Entry()).items():
        assert type(getattr(entry, name)) is type(value)
    assert entry.points >= 0
    assert all(isinstance(v, str) for v in entry.passed.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Entry.from_json(json.loads(json.dumps(entry.to_json()))).points == entry.points


@pytest.mark.parametrize("told", [{"exercises": 3}, {"exercises": {"conv_forward": "yes"}}, {"only": "relu"}])
def test_a_file_of_another_form_is_read_as_far_as_it_makes_sense(tmp_path, told):
    (tmp_path / NAME).write_text(json.dumps(told))
    assert Progress(tmp_path).entry(CONV) == Entry()
    assert Progress(tmp_path).settings() == {"catalogues": [], "only": []}
    begin(tmp_path)
    assert Progress(tmp_path).entry(CONV).points == 10


@pytest.mark.parametrize("told", [r'{"exercises": {"relu": {"first": "\ud800"}}}', r'{"exercises": {"a\udc80": {}}}'])
def test_half_a_character_is_no_reason_to_lose_anything(tmp_path, told):
    (tmp_path / NAME).write_text(told, encoding="utf-8")
    with Progress(tmp_path).changing(CONV) as (entry,):
        entry.points = 3
    assert Progress(tmp_path).entry(CONV).points == 3
    assert noted(tmp_path)["exercises"].keys() > {"conv_forward"}


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    """As `watch` and `check` do: every one of 4 · 25 changes arrives."""
    code = """
        for _ in range(25):
            with told.changing(conv) as (entry,):
                entry.checks += 1
    """
    processes = [child(tmp_path, code) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert Progress(tmp_path).entry(CONV).checks == 100
    assert {path.name for path in tmp_path.iterdir()} == {NAME, progress._LOCK, progress._COPY}


@pytest.mark.parametrize("place", ["storage.os.fsync", "storage.os.replace", "storage._sync_directory", "storage.open"])
def test_a_writer_killed_in_the_middle_leaves_the_old_file_or_the_new_one(tmp_path, place, monkeypatch):
    """SIGKILL, at each step of writing; and the lock is free at once."""
    old = begin(tmp_path)
    halted = "halt" if place != "storage.open" else "half"
    code = f"""
        def half(path, mode):  # a file of which the first 20 bytes are written
            file = open(path, mode)
            write = file.write
            class Half:
                __enter__ = lambda self: self
                __exit__ = lambda self, *error: None
                def write(self, content):
                    write(content[:20])
                    file.flush()
                    halt()
            return Half()
        with told.changing(conv) as (entry,):
            entry.hints = 3
            {place} = {halted}
    """
    process = child(tmp_path, code)
    assert process.stdout.readline() == "halted\n"
    process.kill()
    process.wait()
    now = (tmp_path / NAME).read_bytes()
    assert (now == old) is (place != "storage._sync_directory")
    assert Progress(tmp_path).entry(CONV).hints == (3 if now != old else 2)
    assert list(tmp_path.glob(f".{NAME}-*")) or now != old
    monkeypatch.setattr(progress.time, "sleep", None)  # nobody waits for the one that is gone
    with Progress(tmp_path).changing(CONV) as (entry,):
        entry.checks += 1
    assert {path.name for path in tmp_path.iterdir()} == {NAME, progress._LOCK, progress._COPY}  # nothing is left over


@pytest.mark.parametrize("seed", [0, pytest.param(range(1, 21), marks=pytest.mark.slow)])
def test_writers_killed_at_any_moment(tmp_path, seed):
    seeds = [seed] if isinstance(seed, int) else seed
    last = -1
    for seed in seeds:
        code = """
            print("ready", flush=True)
            while True:
                with told.changing(conv) as (entry,):
                    entry.checks += 1
                    entry.more["ballast"] = "x" * 200_000
        """
        process = child(tmp_path, code)
        assert process.stdout.readline() == "ready\n"
        time.sleep(random.Random(seed).uniform(0.02, 0.2))
        process.kill()
        process.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            entry = Progress(tmp_path).entry(CONV)
        assert entry.checks > last
        last = entry.checks


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    old = begin(tmp_path)
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            with told.changing(conv) as (entry,):
                entry.hints = 3
        except OSError as error:
            print(error.filename, error.strerror)
    """
    process = child(tmp_path, code)
    text, _ = process.communicate(timeout=60)
    assert text.strip() == f"{tmp_path / NAME} File too large"
    assert (tmp_path / NAME).read_bytes() == old
    assert list(tmp_path.glob(f".{NAME}-*")) == []
    assert Progress(tmp_path).entry(CONV).hints == 2


def test_an_error_inside_the_block_writes_nothing(tmp_path):
    old = begin(tmp_path)
    with contextlib.suppress(ZeroDivisionError), Progress(tmp_path).changing(CONV) as (entry,):
        entry.hints = 3
        raise ZeroDivisionError
    assert (tmp_path / NAME).read_bytes() == old


def test_a_virus_scanner_is_waited_for(tmp_path, monkeypatch):
    """Windows refuses for a moment to replace a file that somebody holds open."""
    refusals = [PermissionError(13, "Access is denied")] * 3
    replace = os.replace

    def busy(*paths):
        if refusals:
            raise refusals.pop()
        replace(*paths)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(PermissionError):
        begin(tmp_path)
    monkeypatch.setattr(progress, "_WINDOWS", True)
    begin(tmp_path)
    assert refusals == []
    assert Progress(tmp_path).entry(CONV).points == 10


def test_where_there_are_no_locks_it_works_without(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*args):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    begun = tmp_path / f".{NAME}-0123abcd"
    begun.touch()  # perhaps another process is writing it at this moment
    begin(tmp_path)
    assert Progress(tmp_path).entry(CONV).points == 10
    assert begun.exists()


def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    begin(tmp_path)
    with open(tmp_path / progress._LOCK) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        begin(tmp_path, points=11)
    assert Progress(tmp_path).entry(CONV).points == 11
