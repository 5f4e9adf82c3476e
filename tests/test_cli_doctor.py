"""`doctor`: what it finds on this machine, and on others."""

from __future__ import annotations

import io

import pytest
from test_devices import _no_gpu_is_remembered, pretend_cupy  # noqa: F401  # a fixture
from typer.testing import CliRunner

import tinygrad_cnn
from tinygrad_cnn.about import install
from tinygrad_cnn.cli import app, blas, doctor
from tinygrad_cnn.viz import render


@pytest.fixture
def call(monkeypatch):
    """Runs the program; gives status, output and error output."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_doctor_examines_everything(call):
    result = call("doctor")
    assert result.exit_code == 0
    for word in (tinygrad_cnn.__version__, "python", "numpy", "BLAS", "threads", "GPU", "graph drawing", "data folder"):
        assert word in result.stdout


def test_doctor_says_what_is_missing(call, monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    monkeypatch.setattr(render, "renderers", list)
    text = call("doctor").stdout
    assert install("demo") in text
    assert "to draw graphs" in text


# The BLAS


@pytest.fixture
def machine(monkeypatch):
    """A machine with this BLAS, processor and speeds; gives doctor's findings on it."""

    def examine(core, flags, here=100.0, there=None, api="openblas", threads=1):
        library = {"user_api": "blas", "internal_api": api, "version": "0.3", "architecture": core}
        monkeypatch.setattr(blas, "libraries", lambda: [library | {"num_threads": threads}])
        monkeypatch.setattr(blas, "processor_flags", lambda: flags)
        monkeypatch.setattr(blas, "speed", lambda: here)
        monkeypatch.setattr(blas, "speed_with", lambda core: there)
        return list(doctor.blas())

    monkeypatch.delenv(blas.VARIABLE, raising=False)
    return examine


def test_slow_kernels_are_measured_against_better_ones(machine):
    (name, text, remedy), processor = machine("Haswell", blas.AVX512 | {"avx2"}, 100.0, 182.0)
    assert (name, text) == (
        "BLAS",
        "openblas 0.3, core type Haswell, 100 GFLOP/s a core; with SkylakeX 182, 1.8 times as fast",
    )
    for words in (
        "Haswell kernels",
        "1.8 times as fast",
        "OPENBLAS_CORETYPE=SkylakeX",
        "before Python starts",
        "train",
    ):
        assert words in remedy
    assert processor[1].endswith("AVX-512: yes")


@pytest.mark.parametrize(
    ("core", "flags", "text"),
    [
        ("SkylakeX", blas.AVX512, "100 GFLOP/s a core, the best for this processor"),
        ("SapphireRapids", blas.AVX512, "100 GFLOP/s a core, the best for this processor"),
        ("Haswell", {"avx2"}, "100 GFLOP/s a core, the best for this processor"),
        ("Zen", blas.AVX512 - {"avx512vl"}, "100 GFLOP/s a core, the best for this processor"),
        ("Haswell", set(), "core type Haswell, 100 GFLOP/s a core"),  # not Linux: nobody knows
        (None, blas.AVX512, "core type unknown, 100 GFLOP/s a core"),
    ],
)
def test_kernels_that_are_right_or_nobody_knows(machine, core, flags, text):
    (_, found, remedy), processor = machine(core, flags, there=500.0)
    assert found.endswith(text)
    assert remedy == ""
    wide = "not known" if not flags else "yes" if flags >= blas.AVX512 else "no"
    assert processor[1].endswith(f"AVX-512: {wide}")


@pytest.mark.parametrize(("there", "text"), [(105.0, "is not faster here"), (None, "cannot be measured")])
def test_no_advice_without_a_gain(machine, there, text):
    (_, found, remedy), _ = machine("Zen", blas.AVX512, 100.0, there)
    assert found.endswith(text)
    assert remedy == ""


def test_a_core_type_that_was_set_is_named(machine, monkeypatch):
    monkeypatch.setenv(blas.VARIABLE, "Haswell")
    monkeypatch.setattr(doctor.os, "environ", {blas.VARIABLE: "Haswell"})
    (_, _, remedy), _ = machine("Haswell", blas.AVX512, 100.0, 200.0)
    assert (
        remedy == "OPENBLAS_CORETYPE is set to Haswell; the SkylakeX kernels are 2.0 times as fast: unset or change it"
    )


def test_other_libraries_are_not_told_to_change(machine):
    (_, text, remedy), _ = machine("Haswell", blas.AVX512, api="blis")
    assert (text, remedy) == ("blis 0.3, core type Haswell, 100 GFLOP/s a core", "")


def test_more_blas_threads_than_cores_are_noticed(machine, monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.kernels.threads.cpu_count", lambda: 2)
    remedies = [remedy for _, _, remedy in machine("SkylakeX", blas.AVX512, threads=64) if remedy]
    assert len(remedies) == 1
    assert "64 threads for 2 cores" in remedies[0]
    assert "set_num_threads(2)" in remedies[0]


def test_without_a_known_blas_or_proc(monkeypatch):
    import threadpoolctl

    def nothing(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(threadpoolctl, "threadpool_info", list)
    monkeypatch.setattr("builtins.open", nothing)
    assert blas.processor_flags() == set()
    monkeypatch.undo()
    monkeypatch.setattr(threadpoolctl, "threadpool_info", list)
    assert "does not know" in next(iter(doctor.blas()))[1]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            "processor\t: 0\nflags\t\t: fpu avx2 avx512f\nbugs\t\t:\n\nprocessor\t: 1\nflags\t\t: fpu\n",
            {"fpu", "avx2", "avx512f"},
        ),
        ("processor\t: 0\nFeatures\t: fp asimd\n", set()),  # ARM
        ("", set()),
    ],
)
def test_flags_of_the_processor(monkeypatch, text, flags):
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: io.StringIO(text))
    assert blas.processor_flags() == flags


def test_the_speed_of_matrix_products():
    assert 0.1 < blas.speed(64, 0.01) < 5000
    assert 0.1 < blas.speed_with("Haswell") < 5000


def test_a_speed_that_cannot_be_measured(monkeypatch):
    monkeypatch.setattr(blas.sys, "executable", "/nowhere/python")
    assert blas.speed_with("SkylakeX") is None


def test_the_environment_is_named_where_it_counts(call, monkeypatch):
    monkeypatch.setenv("TINYGRAD_CNN_NUM_THREADS", "3")
    assert "(TINYGRAD_CNN_NUM_THREADS=3)" in " ".join(call("doctor").stdout.split())


# The rest


def test_doctor_shows_the_gpu(monkeypatch):
    pretend_cupy(monkeypatch, 2)
    first, second, (_, versions, _) = doctor.gpu()
    assert first[1] == "NVIDIA Pretended 0, compute capability 9.0, 1.0 of 5.0 GB free; usable with --device cuda:0"
    assert second[1].endswith("--device cuda:1")
    assert "made for CUDA 12.9, the driver takes up to 13.0" in versions


def test_doctor_lists_data_not_empty_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path))
    (tmp_path / "cifar10" / "empty").mkdir(parents=True)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / ".train.gz.1-ab.part").write_text("half")
    ((_, text, _),) = doctor.data_files()
    assert "nothing downloaded yet" in text
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "labels").write_text("all")
    ((_, text, _),) = doctor.data_files()
    assert f"{tmp_path}: MNIST (" in text
