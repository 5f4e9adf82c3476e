"""The file formats and their errors, and downloads from a server that misbehaves in every way."""

import contextlib
import gzip
import hashlib
import http.server
import io
import logging
import os
import re
import struct
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_cnn.data import DataError, cache_dir, cifar, download, files, read_idx
from tinygrad_cnn.data.files import RemoteFile, locate, read_archive, read_content
from tinygrad_cnn.data.idx import parse_idx

IDX_CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, IDX_CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


arrays = st.sampled_from(list(IDX_CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
)


@settings(deadline=None)
@given(arrays)
def test_idx_gives_back_what_was_written(array):
    read = parse_idx(idx_bytes(array), "file")
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_is_read_plain_or_compressed_whatever_its_name(tmp_path, compressed):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "images.dat"
    path.write_bytes(gzip.compress(idx_bytes(array)) if compressed else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path), array)


@settings(deadline=None)
@given(arrays, st.data())
def test_idx_cut_anywhere_names_the_end(array, data):
    content = idx_bytes(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match=f"somewhere: byte {cut:,}: the file ends here"):
        parse_idx(content[:cut], "somewhere")


@settings(deadline=None)
@given(arrays, st.binary(min_size=1, max_size=9))
def test_idx_with_trailing_bytes_names_where_they_begin(array, extra):
    content = idx_bytes(array)
    with pytest.raises(DataError, match=f"byte {len(content):,}: {len(extra)} more bytes"):
        parse_idx(content + extra, "file")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x01\x00\x08\x01\x00\x00\x00\x00", "byte 0: 01 00 08 01 is no IDX header"),
        (b"\x00\x00\x0a\x01\x00\x00\x00\x00", "no IDX header"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"<h", "web page"),
        (b"", "byte 0: the file ends here"),
    ],
)
def test_idx_with_a_wrong_header_says_so(content, reason):
    with pytest.raises(DataError, match=reason):
        parse_idx(content, "file")


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_idx_of_random_bytes_is_an_array_or_a_data_error(content):
    with contextlib.suppress(DataError):
        assert parse_idx(b"\0\0" + content, "file").nbytes <= len(content)


def test_idx_with_absurd_sizes_is_refused_without_allocating_them():
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3) + b"abc"
    with pytest.raises(DataError, match="its header promises shape"):
        parse_idx(content, "file")


@pytest.mark.parametrize("damage", ["cut", "flip", "tail"])
def test_damaged_gzip_names_the_intact_bytes(tmp_path, damage):
    content = bytearray(gzip.compress(np.random.default_rng(0).bytes(100_000)))
    if damage == "cut":
        content = content[:60_000]
    elif damage == "flip":
        content[-5] ^= 1  # in the checksum
    else:
        content += b"garbage"
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"file\.gz: byte [\d,]+: damaged gzip data"):
        read_content(path)


def test_unreadable_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_content(tmp_path / "missing")


# CIFAR


def cifar_bytes(labels, seed=0, label_bytes=1):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    columns = np.array(labels, np.uint8).reshape(len(labels), label_bytes)
    return np.concatenate([columns, pixels], axis=1).tobytes()


def test_cifar_record_is_label_then_red_green_blue_planes():
    content = bytes([7]) + bytes([1] * 1024 + [2] * 1024 + list(range(256)) * 4)
    images, labels = cifar.parse_records(content, "file", [10])
    assert labels.tolist() == [[7]]
    assert images.shape == (1, 32, 32, 3)
    assert (images[..., 0] == 1).all()
    assert (images[..., 1] == 2).all()
    assert images[0, 1, 5, 2] == 37  # row 1, column 5 of the blue plane


@pytest.mark.parametrize(
    ("content", "classes", "reason"),
    [
        (b"", [10], "byte 0: the file is empty"),
        (cifar_bytes([1, 2])[:-1], [10], "byte 3,073: the file ends inside a record: 6,145 bytes"),
        (cifar_bytes([1, 2]) + b"x", [10], "byte 6,146"),
        (cifar_bytes([1, 2, 10]), [10], "byte 6,146: label 10 of record 2 must be 0 to 9"),
        (cifar_bytes([[3, 4], [19, 100]], label_bytes=2), [20, 100], "byte 3,075: label 100 of record 1"),
        (cifar_bytes([[3, 4], [20, 99]], label_bytes=2), [20, 100], "byte 3,074: label 20 of record 1"),
    ],
)
def test_malformed_cifar_names_the_byte(content, classes, reason):
    with pytest.raises(DataError, match=f"file: {reason}"):
        cifar.parse_records(content, "file", classes)


# Archives


def archive(path, members, mode="w:gz"):
    """A tar archive of (name, content) pairs, where content may be a ready TarInfo."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


CONTENTS = {"folder/a.bin": b"first", "folder/b.bin": b"second"}
REMOTE_ARCHIVE = RemoteFile(
    "x.tar.gz", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}, sha256="0" * 64
)


def link(name, kind, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_archive_members_are_read_by_name_and_nothing_is_written(tmp_path, mode):
    secret = tmp_path / "outside"
    members = [
        ("../outside", b"evil"),
        ("/etc/evil", b"evil"),
        link("folder/other", tarfile.SYMTYPE, "/etc/passwd"),
        ("folder/b.bin", b"second"),
        ("a.bin", b"not in the folder"),
        ("./folder/a.bin", b"first"),
    ]
    path = archive(tmp_path / "x.tar.gz", members, mode)
    found = read_archive(path, ["folder/a.bin", "folder/b.bin"])
    assert [*found.items()] == [("folder/a.bin", b"first"), ("folder/b.bin", b"second")]
    assert REMOTE_ARCHIVE.problem(path) is None
    assert not secret.exists()
    assert os.listdir(tmp_path) == ["x.tar.gz"]


def with_headers(name, headers):
    """A member of 1 byte, with extended headers that may claim otherwise."""
    info = tarfile.TarInfo(name)
    info.size, info.pax_headers = 1, headers
    return name, info


ODD_MEMBERS = {
    "symbolic link": (
        [link("folder/a.bin", tarfile.SYMTYPE, "/etc/passwd")],
        "folder/a.bin must be there once, as a plain file",
    ),
    "hard link": (
        [link("folder/a.bin", tarfile.LNKTYPE, "folder/b.bin")],
        "folder/a.bin must be there once, as a plain file",
    ),
    "twice": (
        [("folder/a.bin", b"first"), ("./folder/a.bin", b"first")],
        "folder/a.bin must be there once, as a plain file",
    ),
    "too long": ([("folder/a.bin", b"x" * 101)], "folder/a.bin must have at most 100 bytes, not 101"),
    "a longer one before it": (
        [("other", b"x" * 101), ("folder/a.bin", b"first")],
        "other must have at most 100 bytes",
    ),
    "endless": ([with_headers("other", {"size": str(1 << 70)})], "other must have at most 100 bytes, not 1,180,591"),
    "shorter than nothing": ([with_headers("folder/a.bin", {"size": "-1"})], "bytes, not -1"),
    "a size that is no number": ([with_headers("folder/a.bin", {"GNU.sparse.size": "big"})], ""),
}


@pytest.mark.parametrize("odd", ODD_MEMBERS)
def test_archive_with_a_link_a_double_or_too_long_a_file_is_refused(tmp_path, monkeypatch, odd):
    members, reason = ODD_MEMBERS[odd]
    path = archive(tmp_path / "x.tar.gz", members)
    with pytest.raises(DataError, match=rf"x\.tar\.gz: damaged archive: .*{reason}.*; delete the file"):
        read_archive(path, ["folder/a.bin"], largest=100)
    monkeypatch.setattr(files, "_LARGEST", 100)
    assert re.match(f"damaged archive: .*{reason}", REMOTE_ARCHIVE.problem(path))


def test_archive_without_a_file_names_it(tmp_path):
    path = archive(tmp_path / "x.tar.gz", [("folder/a.bin", b"first")])
    with pytest.raises(DataError, match=r"has no folder/b\.bin, c\.bin; is it another version of the data set"):
        read_archive(path, ["folder/a.bin", "folder/b.bin", "c.bin"])


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("turned", [False, True])
def test_archive_that_is_packed_differently_is_the_same(tmp_path, mode, turned):
    members = [*CONTENTS.items(), ("folder/readme", b"and more")]
    path = archive(tmp_path / "x", members[::-1] if turned else members, mode)
    assert REMOTE_ARCHIVE.problem(path) is None


@pytest.mark.parametrize("name", CONTENTS)
def test_archive_with_one_flipped_bit_in_one_file_names_that_file_and_both_digests(tmp_path, name):
    changed = bytes([CONTENTS[name][0] ^ 1]) + CONTENTS[name][1:]
    path = archive(tmp_path / "x", {**CONTENTS, name: changed}.items())
    found = hashlib.sha256(changed).hexdigest()
    published = REMOTE_ARCHIVE.content[name]
    assert REMOTE_ARCHIVE.problem(path) == f"wrong content: {name} has SHA-256 {found}, published {published}"


def test_archive_of_other_files_names_each(tmp_path):
    path = archive(tmp_path / "x", [("folder/b.bin", b"other"), ("a.bin", b"first")])
    problem = REMOTE_ARCHIVE.problem(path)
    assert re.fullmatch(
        r"wrong content: folder/a\.bin is missing, folder/b\.bin has SHA-256 \w{64}, published \w{64}", problem
    )


def test_archive_with_the_published_digest_is_taken_without_looking_inside(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"anything")
    file = RemoteFile("x.tar.gz", REMOTE_ARCHIVE.content, sha256=hashlib.sha256(b"anything").hexdigest())
    assert file.problem(path) is None
    path.write_bytes(b"anything else")
    assert file.problem(path).startswith("damaged archive: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"damaged archive: .*\(the file is empty\)"),
        (b"<html>" * 1000, r"damaged archive: .*\(it is a web page, perhaps the log-in page of this network\)"),
        (gzip.compress(b"<html>" * 1000), "damaged archive: "),
        (gzip.compress(bytes(20_000))[:-9], "damaged compression: "),
        (gzip.compress(bytes(20_000)), r"wrong content: folder/a\.bin is missing, folder/b\.bin is missing"),
    ],
    ids=["empty", "a web page", "a packed web page", "cut off", "zeros"],
)
def test_what_is_no_archive_says_what_it_is(tmp_path, content, reason):
    (tmp_path / "x").write_bytes(content)
    assert re.match(reason, REMOTE_ARCHIVE.problem(tmp_path / "x"))


def test_damaged_archive_is_a_data_error_wherever_the_damage_is(tmp_path):
    content = np.random.default_rng(0).bytes(50_000)
    good = archive(tmp_path / "good.tar.gz", [("folder/a.bin", content)]).read_bytes()
    bad = tmp_path / "bad.tar.gz"
    file = RemoteFile("bad.tar.gz", {"folder/a.bin": hashlib.sha256(content).hexdigest()})
    assert file.problem(tmp_path / "good.tar.gz") is None
    rng = np.random.default_rng(1)
    for cut in rng.integers(0, len(good) - 8, 20):
        bad.write_bytes(good[:cut])
        with pytest.raises(DataError):
            read_archive(bad, ["folder/a.bin"])
        assert file.problem(bad).startswith("damaged ")
    for place in rng.integers(20, len(good) - 4, 40):
        flipped = bytearray(good)
        flipped[place] ^= 16
        bad.write_bytes(flipped)
        with pytest.raises(DataError, match=r"bad\.tar\.gz"):
            read_archive(bad, ["folder/a.bin"])
        assert file.problem(bad).startswith("damaged ")
    bad.write_bytes(good + gzip.compress(bytes(3 << 20))[:-8] + b"checksum")
    with pytest.raises(DataError, match="CRC"):
        read_archive(bad, ["folder/a.bin"])
    assert file.problem(bad).startswith("damaged compression: CRC")
    plain = archive(tmp_path / "plain.tar", [("folder/a.bin", content)], "w").read_bytes()
    for cut in (600, 30_000):
        bad.write_bytes(plain[:cut])
        with pytest.raises(DataError):
            read_archive(bad, ["folder/a.bin"])
    with pytest.raises(DataError, match="cannot be read"):
        read_archive(tmp_path / "missing", ["folder/a.bin"])
    bad.write_bytes(b"<html>" * 1000)
    with pytest.raises(DataError, match="damaged archive"):
        read_archive(bad, ["folder/a.bin"])


# Where files lie


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"TINYGRAD_CNN_DATA": "/mine"}, "/mine"),
        ("linux", {"XDG_CACHE_HOME": "/cache"}, "/cache/tinygrad_cnn"),
        ("linux", {}, "/home/me/.cache/tinygrad_cnn"),
        ("darwin", {}, "/home/me/Library/Caches/tinygrad_cnn"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tinygrad_cnn"),
        ("win32", {}, "/home/me/AppData/Local/tinygrad_cnn"),
    ],
)
def test_cache_folder(monkeypatch, platform, variables, folder):
    for name in ("TINYGRAD_CNN_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert cache_dir() == Path(folder)


def test_locate_takes_the_first_folder_that_has_all(tmp_path):
    for name in ("a/one.gz", "b/one", "b/one.gz", "b/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    folders = [tmp_path / "none", tmp_path / "a", tmp_path / "b"]
    assert locate(folders, [("one", "one.gz"), ("two",)]) == [tmp_path / "b/one", tmp_path / "b/two"]
    assert locate(folders, [("one", "one.gz"), ("three",)]) is None


# Downloads

CONTENT = np.random.default_rng(3).integers(0, 9, 40_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = RemoteFile("file.gz", {"file": SHA256})


class Handler(http.server.BaseHTTPRequestHandler):
    """The first part of the path says how to misbehave."""

    def do_GET(self):
        kind = self.path.split("/")[1]
        self.server.requests.append(kind)
        body, length = PACKED, None
        if kind == "missing":
            return self.send_error(404)
        if kind == "broken":
            return self.send_error(500)
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/good/file.gz")
            self.end_headers()
            return None
        if kind == "cut":
            body, length = PACKED[:-1000], len(PACKED)
        elif kind == "short":
            body = PACKED[:-1000]
        elif kind == "flipped":
            body = PACKED[:5000] + bytes([PACKED[5000] ^ 1]) + PACKED[5001:]
        elif kind == "other":
            body = gzip.compress(CONTENT[::-1])
        elif kind == "page":
            body = b"\n<!DOCTYPE html><title>Log in</title>"
        elif kind == "empty":
            body = b""
        elif kind == "recompressed":
            body = gzip.compress(CONTENT, 1)
        elif kind == "plain":
            body = CONTENT
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(OSError):
            if kind == "stalled":
                self.wfile.write(PACKED[:1000])
                self.server.stop.wait(30)
            elif kind == "drip":
                for byte in PACKED:
                    self.wfile.write(bytes([byte]))
                    if self.server.stop.wait(0.05):
                        break
            elif kind == "endless":
                while not self.server.stop.is_set():
                    self.wfile.write(b"\0" * 65536)
            else:
                self.wfile.write(body)
        return None

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests, server.stop = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mirror(served, monkeypatch):
    """mirror("good", "cut") → addresses that behave so."""
    monkeypatch.setenv("no_proxy", "*")
    served.requests.clear()
    return lambda *kinds: [f"http://127.0.0.1:{served.server_port}/{kind}/" for kind in kinds]


@pytest.mark.parametrize("kind", ["good", "moved", "recompressed", "plain"])
def test_download_checks_the_decompressed_content(tmp_path, mirror, kind):
    path = download.fetch(FILE, mirror(kind), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "file.gz"
    assert read_content(path) == CONTENT
    assert os.listdir(path.parent) == ["file.gz"]


BAD = {
    "missing": "the server answered 404",
    "broken": "the server answered 500",
    "cut": r"the connection broke after [\d,]+ of [\d,]+ bytes",
    "short": "damaged compression",
    "flipped": "damaged compression|wrong content",
    "other": f"wrong content: file has SHA-256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}, published {SHA256}",
    "page": "it is a web page, perhaps the log-in page of this network",
    "empty": "the file is empty",
    "stalled": "no data for 0.3 s",
    "drip": "too slow",
    "endless": "more than 300,000 bytes",
}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 300_000)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)


@pytest.mark.parametrize("kind", BAD)
def test_bad_download_leaves_nothing_and_says_why(tmp_path, mirror, impatient, kind):
    (url,) = mirror(kind)
    with pytest.raises(DataError, match=rf"file\.gz could not be downloaded:\n  {url}file\.gz: .*({BAD[kind]})"):
        download.fetch(FILE, [url], tmp_path)
    assert os.listdir(tmp_path) == []


def test_failed_download_leaves_no_folder_either(tmp_path, mirror):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError):
        download.fetch(FILE, mirror("missing"), tmp_path / "mine" / "new" / "deep")
    assert os.listdir(tmp_path / "mine") == []  # what was there stays
    assert download.fetch(FILE, mirror("missing", "good"), tmp_path / "mine" / "new").is_file()
    with pytest.raises(DataError):
        download.fetch(
            RemoteFile("other.gz", {"other": SHA256}), ["http://127.0.0.1:1/"], tmp_path / "mine" / "new" / "deep"
        )
    assert os.listdir(tmp_path / "mine" / "new") == ["file.gz"]


def test_mirrors_are_tried_in_order_until_one_delivers(tmp_path, mirror, served, impatient, caplog):
    caplog.set_level(logging.INFO, "tinygrad_cnn.data")
    path = download.fetch(
        FILE, [*mirror(*BAD), "http://127.0.0.1:1/", "nonsense:", *mirror("good", "missing")], tmp_path
    )
    assert read_content(path) == CONTENT
    assert os.listdir(tmp_path) == ["file.gz"]
    assert served.requests == [*BAD, "good"]
    assert caplog.text.count("http://127.0.0.1") == len(BAD) + 1


def test_published_digest_of_the_file_itself_or_of_its_content_is_enough(tmp_path, mirror):
    wrong, packed = "0" * 64, hashlib.sha256(PACKED).hexdigest()
    for number, (content, whole, kind) in enumerate([(wrong, packed, "good"), (SHA256, packed, "recompressed")]):
        file = RemoteFile("file.gz", {"file": content}, sha256=whole)
        path = download.fetch(file, mirror(kind), tmp_path / str(number))
        assert read_content(path) == CONTENT
    neither = RemoteFile("file.gz", {"file": wrong}, sha256=packed)
    with pytest.raises(DataError, match=f"wrong content: file has SHA-256 {SHA256}, published {wrong}"):
        download.fetch(neither, mirror("recompressed"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_download_reports_its_progress(tmp_path, mirror):
    seen = []
    download.fetch(FILE, mirror("good"), tmp_path, progress=lambda *step: seen.append(step))
    assert {(name, total) for name, _, total in seen} == {("file.gz", len(PACKED))}
    received = [done for _, done, _ in seen]
    assert received == sorted(received)
    assert received[-1] == len(PACKED)


def test_no_mirror_and_unreachable_mirror_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no mirror is known"):
        download.fetch(FILE, [], tmp_path)
    with pytest.raises(DataError, match=r"cannot be reached: .*refused"):
        download.fetch(FILE, ["http://127.0.0.1:1/"], tmp_path)


def test_full_or_unwritable_disk_is_not_blamed_on_the_mirror(tmp_path, mirror, served, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot write .*TINYGRAD_CNN_DATA"):
        download.fetch(FILE, mirror("good"), tmp_path / "file" / "below")
    assert served.requests == []

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        download.fetch(FILE, mirror("good", "good"), tmp_path)
    assert served.requests == ["good"]
    assert os.listdir(tmp_path) == ["file"]


def test_replace_refused_because_another_process_has_the_file_open(tmp_path, mirror, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match="used by another process"):
        download.fetch(FILE, mirror("good"), tmp_path)
    (tmp_path / "file.gz").write_bytes(PACKED)
    assert download.fetch(FILE, mirror("good"), tmp_path).read_bytes() == PACKED
    assert os.listdir(tmp_path) == ["file.gz"]


FETCH = """
import sys
from pathlib import Path
from tinygrad_cnn.data import download
from tinygrad_cnn.data.files import RemoteFile
url, sha256, folder = sys.argv[1:]
print(download.fetch(RemoteFile("file.gz", {"file": sha256}), [url], Path(folder)), flush=True)
"""


def start(url, folder):
    return subprocess.Popen([sys.executable, "-c", FETCH, url, SHA256, str(folder)], stdout=subprocess.PIPE)


def test_processes_that_download_the_same_file_do_not_disturb_each_other(tmp_path, mirror):
    processes = [start(*mirror("good"), tmp_path) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].decode().strip() for process in processes] == [
        str(tmp_path / "file.gz")
    ] * 3
    assert os.listdir(tmp_path) == ["file.gz"]
    assert read_content(tmp_path / "file.gz") == CONTENT


def test_process_killed_while_downloading_leaves_no_file_under_the_final_name(tmp_path, mirror):
    process = start(*mirror("stalled"), tmp_path)
    deadline = time.monotonic() + 30
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    (left,) = os.listdir(tmp_path)
    assert left.endswith(".part")
    assert read_content(download.fetch(FILE, mirror("good"), tmp_path)) == CONTENT
    assert sorted(os.listdir(tmp_path)) == sorted([left, "file.gz"])
    os.utime(tmp_path / left, (time.time() - 90_000,) * 2)
    download.fetch(FILE, mirror("good"), tmp_path)
    assert os.listdir(tmp_path) == ["file.gz"]
