"""Checkpoint directories on the disk: whole or not there, and damage is noticed."""

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from tinygrad_cnn.training import storage
from tinygrad_cnn.training.storage import CheckpointError, DamagedError

FILES = {"model.safetensors": bytes(range(256)) * 3, "state.json": b'{"a": 1}', "empty": b""}
NAMES = [*FILES, storage.MANIFEST]


@pytest.fixture
def written(tmp_path):
    return storage.write(tmp_path / "run", FILES)


def snapshot(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_what_is_written_is_read_and_numbers_go_up(tmp_path):
    directory = tmp_path / "not" / "there" / "yet"
    paths = [storage.write(directory, FILES, keep=10) for _ in range(3)]
    assert [p.name for p in paths] == ["checkpoint-000001", "checkpoint-000002", "checkpoint-000003"]
    assert storage.checkpoints(directory) == paths
    assert storage.read(paths[0]) == FILES
    assert {p.name for p in paths[0].iterdir()} == set(NAMES)


def test_numbers_beyond_six_digits_are_sorted_as_numbers(tmp_path):
    for number in (999999, 1000000, 20):
        (tmp_path / f"checkpoint-{number:06d}").mkdir()
    (tmp_path / "checkpoint-12").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert [p.name for p in storage.checkpoints(tmp_path)] == [
        "checkpoint-000020",
        "checkpoint-999999",
        "checkpoint-1000000",
    ]
    assert storage.write(tmp_path, FILES, keep=99).name == "checkpoint-1000001"


def test_old_ones_go_and_other_files_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(5):
        storage.write(tmp_path, FILES, keep=2)
    assert [p.name for p in storage.checkpoints(tmp_path)] == ["checkpoint-000004", "checkpoint-000005"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-000004",
        "checkpoint-000005",
        "notes.txt",
    ]


def test_a_damaged_one_does_not_count_as_a_copy(tmp_path):
    good, bad = storage.write(tmp_path, FILES), storage.write(tmp_path, FILES)
    (bad / "state.json").write_bytes(b'{"a": 2}')
    newest = storage.write(tmp_path, FILES, keep=2)
    assert storage.checkpoints(tmp_path) == [good, bad, newest]
    last = storage.write(tmp_path, FILES, keep=2)
    assert storage.checkpoints(tmp_path) == [newest, last]


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_is_noticed_and_its_file_named(written, name):
    content = (written / name).read_bytes()
    step = max(1, len(content) // 60)
    for position in range(0, len(content), step):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        (written / name).write_bytes(flipped)
        with pytest.raises(DamagedError) as caught:
            storage.read(written)
        assert name in str(caught.value).split(" ")[0]
    (written / name).write_bytes(content)
    assert storage.read(written) == FILES


@pytest.mark.parametrize("name", NAMES)
def test_truncated_lengthened_and_missing_files_are_noticed_and_named(written, name):
    content = (written / name).read_bytes()
    lengths = sorted({0, 1, len(content) // 2, len(content) - 1} & set(range(len(content))))
    for changed in [content[:n] for n in lengths] + [content + b"\0", content + b"\n", None]:
        (written / name).unlink()
        if changed is not None:
            (written / name).write_bytes(changed)
        with pytest.raises(DamagedError) as caught:
            storage.read(written)
        assert name in str(caught.value).split(" ")[0]
        (written / name).write_bytes(content)
    assert storage.read(written) == FILES


def test_files_swapped_between_checkpoints_are_noticed(tmp_path):
    first = storage.write(tmp_path, {"a": b"one", "b": b"two"})
    second = storage.write(tmp_path, {"a": b"ONE", "b": b"TWO"})
    shutil.copy(first / "a", second / "a")
    with pytest.raises(DamagedError, match="SHA-256"):
        storage.read(second)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"seal": 1}', b"\xff", b"[" * 100000])
def test_nonsense_in_the_manifest_is_damage_not_a_crash(written, content):
    (written / storage.MANIFEST).write_bytes(content)
    with pytest.raises(DamagedError, match=storage.MANIFEST):
        storage.read(written)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", "", "a/b", "a\\b", "c:x"])
def test_a_manifest_cannot_reach_outside(written, name):
    entry = {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    (written / storage.MANIFEST).write_bytes(storage._sealed({"format": 1, "files": {name: entry}}))
    with pytest.raises(DamagedError, match="not a file of the checkpoint"):
        storage.read(written)


def test_a_newer_format_says_to_update(written):
    (written / storage.MANIFEST).write_bytes(storage._sealed({"format": storage.FORMAT + 1, "files": {}}))
    with pytest.raises(CheckpointError, match="update the package") as caught:
        storage.read(written)
    assert not isinstance(caught.value, DamagedError)  # or the one before it would be taken silently


@pytest.mark.parametrize("step", ["write", "fsync", "rename", "mkdir"])
def test_a_failure_at_any_step_leaves_the_earlier_checkpoint_and_no_rubbish(tmp_path, monkeypatch, step):
    storage.write(tmp_path, FILES)
    before = snapshot(tmp_path)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "mkdir":
        real = storage.Path.mkdir
        monkeypatch.setattr(
            storage.Path,
            "mkdir",
            lambda self, *a, **k: full() if ".writing" in self.name else real(self, *a, **k),
        )
    elif step == "write":
        monkeypatch.setattr(storage, "_write_durably", full)
    else:
        monkeypatch.setattr(os, step, full)
    with pytest.raises(CheckpointError, match=r"cannot write .*No space left") as caught:
        storage.write(tmp_path, FILES)
    assert str(tmp_path) in str(caught.value)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000001"]
    assert storage.write(tmp_path, FILES).name == "checkpoint-000002"


def test_the_third_fsync_failing_names_the_file_being_written(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def third_fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", third_fails)
    with pytest.raises(CheckpointError, match=r"state\.json: Input/output error"):
        storage.write(tmp_path, FILES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="directories cannot be synced on Windows")
def test_every_file_and_both_directories_are_flushed_before_the_old_one_goes(tmp_path, monkeypatch):
    import stat

    storage.write(tmp_path, FILES, keep=1)
    real, flushed = os.fsync, []

    def record(descriptor):
        status = os.fstat(descriptor)
        flushed.append((stat.S_ISDIR(status.st_mode), status.st_ino))
        assert (tmp_path / "checkpoint-000001" / "state.json").exists()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    new = storage.write(tmp_path, FILES, keep=1)
    inodes = {name: (new / name).stat().st_ino for name in NAMES}
    assert flushed == [(False, inodes[name]) for name in NAMES] + [
        (True, new.stat().st_ino),
        (True, tmp_path.stat().st_ino),
    ]
    assert storage.checkpoints(tmp_path) == [new]


def test_ctrl_c_while_writing_leaves_no_rubbish(tmp_path, monkeypatch):
    storage.write(tmp_path, FILES)

    def ctrl_c(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        storage.write(tmp_path, FILES)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000001"]


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE on Windows")
def test_a_full_disk_in_a_real_process(tmp_path):
    program = f"""
        import resource
        from tinygrad_cnn.training import storage
        storage.write({str(tmp_path)!r}, {{"a": b"x" * 1000}})
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            storage.write({str(tmp_path)!r}, {{"a": b"x" * 1000, "big": b"y" * 100_000}})
        except storage.CheckpointError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "big: File too large" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000001"]
    assert storage.read(tmp_path / "checkpoint-000001") == {"a": b"x" * 1000}


def test_a_file_in_the_way_and_a_read_only_directory(tmp_path):
    (tmp_path / "taken").write_text("a file")
    for directory in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with pytest.raises(CheckpointError, match=r"cannot write .*taken"):
            storage.write(directory, FILES)
        assert storage.checkpoints(directory) == []
    assert (tmp_path / "taken").read_text() == "a file"

    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    try:
        (locked / "probe").touch()
    except OSError:
        with pytest.raises(CheckpointError, match=r"cannot write .*locked"):
            storage.write(locked, FILES)
    finally:
        locked.chmod(0o700)


def test_leftovers_of_a_killed_process_are_swept_and_nothing_else(tmp_path):
    kept = storage.write(tmp_path, FILES)
    for name in (".writing-checkpoint-000002-0123abcd", ".deleting-checkpoint-000001-0123abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".writing-my-novel").mkdir()
    storage.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".writing-my-novel", kept.name]
    storage.sweep(tmp_path / "not there")


def test_a_checkpoint_that_cannot_be_removed_does_not_stop_the_training(tmp_path, monkeypatch, caplog):
    paths = [storage.write(tmp_path, FILES, keep=1)]
    real = os.rename

    def stuck(source, target):
        if ".deleting" in str(target):
            raise OSError(errno.EBUSY, "Device or resource busy")
        real(source, target)

    monkeypatch.setattr(os, "rename", stuck)
    paths.append(storage.write(tmp_path, FILES, keep=1))
    assert storage.checkpoints(tmp_path) == paths
    assert "cannot remove the old checkpoint" in caplog.text


def test_windows_a_new_directory_that_is_held_for_a_moment_is_renamed_later(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_WINDOWS", True)
    pauses = []
    monkeypatch.setattr(storage.time, "sleep", pauses.append)
    real, synced = os.rename, []
    monkeypatch.setattr(storage.os, "open", lambda *a: synced.append(a))

    def held(source, target):
        if len(pauses) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", held)
    path = storage.write(tmp_path, FILES)
    assert len(pauses) == 3
    assert synced == []  # a directory cannot be opened on Windows
    monkeypatch.undo()
    assert storage.read(path) == FILES


def test_windows_a_directory_that_is_held_for_ever_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_WINDOWS", True)
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: None)

    def held(source, target):
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "rename", held)
    with pytest.raises(CheckpointError, match="Access is denied"):
        storage.write(tmp_path, FILES)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(written):
    (written / "state.json").unlink()
    (written / "state.json").mkdir()
    with pytest.raises(DamagedError, match=r"state\.json cannot be read: "):
        storage.read(written)


def test_write_file_replaces_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "history.json"
    storage.write_file(path, b"old")
    storage.write_file(path, b"new")
    assert path.read_bytes() == b"new"

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["history.json"]


def test_the_manifest_is_json_that_a_person_can_check(written):
    manifest = json.loads((written / storage.MANIFEST).read_text())
    assert manifest["format"] == 1
    assert manifest["files"]["state.json"]["bytes"] == len(FILES["state.json"])


KILLED_WHILE_WRITING = """
    import sys
    from tinygrad_cnn.training import storage
    number = 0
    while True:
        number += 1
        storage.write(sys.argv[1], {"a": str(number).encode() * 20000, "b": b"b" * 300000})
        print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_kills_while_writing_lose_nothing_that_was_reported_as_written(tmp_path):
    import random

    rng = random.Random(0)
    for attempt in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED_WHILE_WRITING), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        reported = int(process.stdout.readline())  # it is writing now, again and again
        import time

        time.sleep(rng.random() * 0.05)
        process.kill()
        rest = process.stdout.read().split()
        process.wait()
        reported = int(rest[-1]) if rest and rest[-1].isdigit() else reported
        newest = storage.checkpoints(tmp_path)[-1]
        found = storage.read(newest)["a"]
        number = int(found[: len(found) // 20000])
        assert number in (reported, reported + 1), f"attempt {attempt}"
        storage.sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) <= 3
