"""What is handed in, in all the ways in which it arrives, and nothing of it can do harm."""

from __future__ import annotations

import io
import os
import random
import stat
import sys
import unicodedata
import zipfile
import zlib

import pytest

from tinygrad_cnn.about import TinygradCnnWarning
from tinygrad_cnn.exercises.catalogue import Catalogue
from tinygrad_cnn.exercises.grading import reading
from tinygrad_cnn.exercises.grading.reading import GradingError
from tinygrad_cnn.exercises.grading.submissions import gather

CONV, SIZE = b"def conv2d_forward(): pass\n", b"def output_size(): pass\n"


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(only=["conv_forward", "output_size"])


def zipped(files, **more):
    """A zip's bytes; a value that is a dict is a zip in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, zipped(content) if isinstance(content, dict) else content)
    return out.getvalue()


def lay(folder, files):
    """Files on the disk; a value that is a dict is a zip."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zipped(content) if isinstance(content, dict) else content)
    return folder


def names(handed_in):
    return {s.name: sorted(s.files) for s in handed_in}


BOTH = ["conv_forward", "output_size"]


@pytest.mark.parametrize(
    "files",
    [
        {"12_conv_forward.py": CONV, "13_output_size.py": SIZE},
        {"7_conv_forward.py": CONV, "output_size.py": SIZE, "notes.txt": b"", "progress.json": b"{}"},
        {"12_Conv_Forward.py": CONV, "output-size.PY": SIZE},
        {"12_conv_forward (1).py": CONV, "13_output_size-2.py": SIZE},
        {"12_conv_forward.py": CONV, "13_output_size.py": SIZE, "backups/12_conv_forward-20260101.py": b"old"},
    ],
)
def test_one_submission_whatever_its_files_are_called(tmp_path, catalogue, files):
    folder = lay(tmp_path / "ada", files)
    (found,) = gather(folder, catalogue)
    assert (found.name, found.files, found.remarks) == ("ada", {"conv_forward": CONV, "output_size": SIZE}, [])


def test_a_zip_as_submit_makes_it_is_one_submission_and_so_is_one_of_a_folder(tmp_path, catalogue):
    lay(tmp_path, {"ada.zip": {"12_conv_forward.py": CONV, "manifest.json": b"{}"}})
    lay(tmp_path, {"bob.zip": {"tcnn-exercises/12_conv_forward.py": CONV, "__MACOSX/tcnn-exercises/._x.py": b"\0"}})
    assert names(gather(tmp_path / "ada.zip", catalogue)) == {"ada": ["conv_forward"]}
    assert names(gather(tmp_path / "bob.zip", catalogue)) == {"bob": ["conv_forward"]}


def test_a_class_of_folders_and_zips_with_spaces_and_unicode(tmp_path, catalogue):
    decomposed = unicodedata.normalize("NFD", "Zoë Müller")
    folder = lay(
        tmp_path / "week 3",
        {
            "Ada Lovelace/12_conv_forward.py": CONV,
            "李小龍.zip": {"exercises/12_conv_forward.py": CONV, "exercises/13_output_size.py": SIZE},
            f"{decomposed}/deep/er/13_output_size.py": SIZE,
            "=cmd/notes.txt": b"",
            ".DS_Store": b"",
            "grades.csv": b"",
        },
    )
    found = gather(folder, catalogue)
    assert names(found) == {
        "Ada Lovelace": ["conv_forward"],
        "李小龍": BOTH,
        "Zoë Müller": ["output_size"],
        "=cmd": [],
    }
    assert [s.remarks for s in found if s.name == "=cmd"] == [["no exercise's file in it; it has notes.txt"]]


def test_a_class_folder_around_the_class_folder_and_a_class_of_one(tmp_path, catalogue):
    lay(tmp_path, {"a/hw/submissions/ada/conv_forward.py": CONV, "a/hw/submissions/bob/conv_forward.py": CONV})
    lay(tmp_path, {"b/ada/tcnn-exercises/conv_forward.py": CONV})
    assert list(names(gather(tmp_path / "a", catalogue))) == ["ada", "bob"]
    assert list(names(gather(tmp_path / "b", catalogue))) == ["ada"]


def test_moodle_and_canvas(tmp_path, catalogue):
    moodle = {
        "Ada Lovelace_481516_assignsubmission_file_/submission.zip": {"12_conv_forward.py": CONV},
        "Bob_481517_assignsubmission_file_/12_conv_forward.py": CONV,
        "Bob_481518_assignsubmission_file_/13_output_size.py": SIZE,
    }
    lay(tmp_path, {"Course-Week 3-4711.zip": moodle})
    assert names(gather(tmp_path / "Course-Week 3-4711.zip", catalogue)) == {
        "Ada Lovelace": ["conv_forward"],
        "Bob_481517_assignsubmission_file_": ["conv_forward"],
        "Bob_481518_assignsubmission_file_": ["output_size"],
    }
    canvas = {
        "lovelaceada_4815_16234_submission.zip": {"12_conv_forward.py": CONV},
        "zuseconrad_LATE_4816_16235_12_conv_forward-1.py": CONV,
        "zuseconrad_LATE_4816_16236_13_output_size.py": SIZE,
    }
    lay(tmp_path, {"submissions.zip": canvas, "unpacked/x.txt": b""} | {f"unpacked/{k}": v for k, v in canvas.items()})
    for place in ("submissions.zip", "unpacked"):
        found = gather(tmp_path / place, catalogue)
        assert names(found) == {"lovelaceada": ["conv_forward"], "zuseconrad": BOTH}
        late = {"lovelaceada": [], "zuseconrad": ["handed in late, as Canvas says"]}
        assert {s.name: s.remarks for s in found} == late


def test_zips_named_after_a_date_are_not_taken_for_one_student_of_canvas(tmp_path, catalogue):
    folder = lay(tmp_path, {f"hw_2026_03_{who}.zip": {"conv_forward.py": CONV} for who in ("ada", "bob")})
    assert len(gather(folder, catalogue)) == 2


def test_students_of_one_name_are_kept_apart(tmp_path, catalogue):
    folder = lay(tmp_path, {"ada/conv_forward.py": CONV, "ada.zip": {"output_size.py": SIZE}})
    assert sorted(names(gather(folder, catalogue)).values()) == [["conv_forward"], ["output_size"]]


def test_of_several_files_the_one_least_deep_then_the_latest_is_graded_and_that_is_said(tmp_path, catalogue):
    lay(
        tmp_path / "ada", {"old/conv_forward.py": b"old", "12_conv_forward.py": CONV, "x/same/12_conv_forward.py": CONV}
    )
    (found,) = gather(tmp_path / "ada", catalogue)
    assert found.files == {"conv_forward": CONV}
    assert "conv_forward: 2 different files; 12_conv_forward.py was graded" in found.remarks[0]
    lay(tmp_path / "bob", {"1_conv_forward.py": b"older", "2_conv_forward.py": b"newer"})
    os.utime(tmp_path / "bob" / "1_conv_forward.py", (1e9, 1e9))
    assert gather(tmp_path / "bob", catalogue)[0].files == {"conv_forward": b"newer"}


def test_other_python_files_are_kept_for_imports(tmp_path, catalogue):
    odd = {"a b.py": b"", "..py": b"", "con:.py" if os.name != "nt" else "con-.py": b"", "x/deeper.py": b""}
    folder = lay(tmp_path / "ada", {"12_conv_forward.py": CONV, "helpers.py": b"h", "13_output_size.py": SIZE, **odd})
    (found,) = gather(folder, catalogue)
    beside = {name: text for name, text in found.beside["conv_forward"].items() if name != "con-.py"}
    assert beside == {"helpers.py": b"h", "13_output_size.py": SIZE}


def test_files_loose_in_a_class_are_named(tmp_path, catalogue):
    folder = lay(tmp_path, {"ada/conv_forward.py": CONV, "bob/conv_forward.py": CONV, "mine.py": b""})
    with pytest.warns(TinygradCnnWarning, match=r"mine\.py: in no student's folder"):
        assert len(gather(folder, catalogue)) == 2


def test_one_takes_all_as_one_submission(tmp_path, catalogue):
    folder = lay(tmp_path / "submission", {"week1/conv_forward.py": CONV, "week2/output_size.py": SIZE})
    assert len(gather(folder, catalogue)) == 2
    assert names(gather(folder, catalogue, one=True)) == {"submission": BOTH}
    (nothing,) = gather(lay(tmp_path, {"empty/.keep": b""}) / "empty", catalogue, one=True)
    assert nothing.remarks == ["no exercise's file in it"]


def test_solutions_that_were_looked_at_are_told(tmp_path, catalogue):
    told = b'{"gave_up": ["relu", "adam", 3]}'
    lay(tmp_path, {"ada.zip": {"12_conv_forward.py": CONV, "manifest.json": told}})
    (found,) = gather(tmp_path / "ada.zip", catalogue)
    assert found.remarks == ["solution seen before it was solved: relu, adam"]
    for odd in (b"[]", b"{", b"[" * 100_000, b'{"gave_up": 1}', b"\xff"):
        lay(tmp_path, {"bob.zip": {"12_conv_forward.py": CONV, "manifest.json": odd}})
        assert gather(tmp_path / "bob.zip", catalogue)[0].remarks == []


# ---- zips that are broken, or made to do harm


def remark_of(tmp_path, catalogue, content, name="bad.zip"):
    """What is said about it, while the rest of the class is read."""
    folder = lay(tmp_path / "class", {"ada/conv_forward.py": CONV, name: content})
    found = {s.name: s for s in gather(folder, catalogue)}
    assert found["ada"].files == {"conv_forward": CONV}
    assert found["ada"].remarks == []
    bad = found[name.split(".")[0]]
    assert sorted(p.name for p in tmp_path.rglob("*")) == sorted(["class", "ada", "conv_forward.py", name])
    return bad, " | ".join(bad.remarks)


@pytest.mark.parametrize(
    "name",
    ["../conv_forward.py", "a/../../conv_forward.py", "/etc/conv_forward.py", "C:\\x\\conv_forward.py",
     "..\\conv_forward.py", "C:conv_forward.py"],
)  # fmt: skip
def test_names_that_lead_out_of_a_zip_are_left_out(tmp_path, catalogue, name):
    bad, said = remark_of(tmp_path, catalogue, {name: b"evil", "output_size.py": SIZE})
    assert bad.files == {"output_size": SIZE}
    assert "leads out of the zip" in said


def test_windows_separators_are_understood(tmp_path, catalogue):
    bad, _ = remark_of(tmp_path, catalogue, {"exercises\\conv_forward.py": CONV})
    assert bad.files == {"conv_forward": CONV}


def test_remarks_and_folders_end_somewhere(tmp_path, catalogue):
    bad, said = remark_of(tmp_path, catalogue, {f"../{i}.py": b"" for i in range(500)})
    assert len(bad.remarks) == 9
    assert "493 remarks more" in said
    deep = "/".join("abcdefghijklmnopqrstuvwxyz")
    lay(tmp_path, {f"deep/{deep}/conv_forward.py": CONV, "deep/a/output_size.py": SIZE})
    (found,) = gather(tmp_path / "deep", catalogue, one=True)
    assert (list(found.files), "too deep" in found.remarks[0]) == (["output_size"], True)


def test_installed_packages_are_no_submissions(tmp_path, catalogue):
    files = {"12_conv_forward.py": CONV, "venv/lib/x/output_size.py": SIZE, "node_modules/output_size.py": SIZE}
    assert gather(lay(tmp_path / "ada", files), catalogue)[0].files == {"conv_forward": CONV}


def test_links_are_not_followed(tmp_path, catalogue):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("conv_forward.py")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    bad, said = remark_of(tmp_path, catalogue, out.getvalue())
    assert (bad.files, "is a link" in said) == ({}, True)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_and_pipes_in_folders_are_not_followed(tmp_path, catalogue):
    secret = lay(tmp_path, {"secret.py": b"secret"}) / "secret.py"
    folder = lay(tmp_path / "ada", {"output_size.py": SIZE})
    (folder / "conv_forward.py").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "avg_pool.py")
    (found,) = gather(folder, catalogue)
    assert found.files == {"output_size": SIZE}
    assert len(found.remarks) == 3


def test_a_password(tmp_path, catalogue):
    content = bytearray(zipped({"conv_forward.py": CONV}))
    content[6] |= 1  # in the local header
    content[content.index(b"PK\1\2") + 8] |= 1  # and in the directory
    _, said = remark_of(tmp_path, catalogue, bytes(content))
    assert "conv_forward.py is protected with a password" in said


def test_too_long_files_and_other_endings_are_never_unpacked(tmp_path, catalogue, monkeypatch):
    read = []
    original = reading.Budget.read
    monkeypatch.setattr(
        reading.Budget,
        "read",
        lambda self, a, info, m: [read.append(info.filename), original(self, a, info, m)][1],
    )
    zeros = b"\0" * (reading.MAX_FILE + 1)
    bad, said = remark_of(tmp_path, catalogue, {"conv_forward.py": zeros, "movie.bin": zeros, "output_size.py": SIZE})
    assert bad.files == {"output_size": SIZE}
    assert "conv_forward.py is longer than 256 KiB" in said
    assert read == ["conv_forward.py", "output_size.py"]


def test_bombs(tmp_path, catalogue, monkeypatch):
    monkeypatch.setattr(reading, "MAX_ZIP", 1 << 20)
    flat = {f"{i}.py": b"\0" * (200 << 10) for i in range(8)}
    bad, said = remark_of(tmp_path, catalogue, flat)
    assert (bad.files, "it unpacks to more than 1 MiB" in said) == ({}, True)
    inner = zipped({"a.py": b"\0" * (200 << 10)})
    bad, said = remark_of(tmp_path, catalogue, {f"{i}.zip": inner for i in range(8)})
    assert "more than" in said
    bad, said = remark_of(tmp_path, catalogue, {f"{i}/conv_forward.py": b"" for i in range(3000)})
    assert "more than 2,000 files" in said
    deep = {"conv_forward.py": CONV}
    for _ in range(6):
        deep = {"inner.zip": deep}
    bad, said = remark_of(tmp_path, catalogue, deep)
    assert (bad.files, "too deep" in said) == ({}, True)


def test_a_zip_that_lies_about_lengths(tmp_path, catalogue):
    """The directory says 10 bytes; what is unpacked is what is counted."""
    data = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = data.compress(b"\0" * (10 << 20)) + data.flush()
    content = bytearray(zipped({"conv_forward.py": b"\0" * (10 << 20)}))
    assert body[:20] in content
    place = content.index(b"PK\1\2") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    bad, said = remark_of(tmp_path, catalogue, bytes(content))
    assert len(bad.files.get("conv_forward", b"")) <= 10
    assert said


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all", b"PK\5\6" + b"\0" * 18, b"PK\5\6" + b"\xff" * 18])
def test_what_is_no_zip(tmp_path, catalogue, content):
    bad, said = remark_of(tmp_path, catalogue, content)
    assert bad.files == {}
    assert said


def test_damaged_zips_never_stop_a_class(tmp_path, catalogue):
    """Bytes changed and cut off at random places: what is read is as it was, or is not there."""
    rng = random.Random(5)
    whole = zipped({"conv_forward.py": CONV * 20, "output_size.py": SIZE * 20, "x/in.zip": {"conv_forward.py": CONV}})
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        lay(tmp_path, {"bad.zip": bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])})
        found = gather(tmp_path / "bad.zip", catalogue)
        assert {text for s in found for text in s.files.values()} <= {CONV * 20, SIZE * 20, CONV}
        assert all(s.files or s.remarks for s in found)


def test_archives_that_cannot_be_opened_have_a_row(tmp_path, catalogue):
    bad, said = remark_of(tmp_path, catalogue, b"x", "carol.tar.gz")
    assert bad.name == "carol"
    assert "ask for a .zip" in said


def test_mojibake_of_old_zips(tmp_path, catalogue):
    """Without the mark for UTF-8 a name is read as code page 437; macOS and Moodle write UTF-8 all the same."""
    content = zipped({"Zoé/conv_forward.py": CONV, "Bob/conv_forward.py": CONV})
    unmarked = bytearray(content)
    for place in (i for i in range(len(content)) if content[i : i + 4] in (b"PK\3\4", b"PK\1\2")):
        flags = place + (7 if content[place + 2] == 3 else 9)
        unmarked[flags] &= ~8
    lay(tmp_path, {"class.zip": bytes(unmarked)})
    assert list(names(gather(tmp_path / "class.zip", catalogue))) == ["Bob", "Zoé"]


def test_nothing_to_read(tmp_path, catalogue):
    with pytest.raises(GradingError, match="does not exist"):
        gather(tmp_path / "nowhere", catalogue)
    with pytest.raises(GradingError, match="is empty"):
        gather(tmp_path, catalogue)
    with pytest.raises(GradingError, match="neither a folder nor a zip"):
        gather(lay(tmp_path, {"x.txt": b""}) / "x.txt", catalogue)
