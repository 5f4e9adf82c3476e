"""Every line of CUDA C through NVIDIA's own compiler, which needs no GPU: `pip install nvidia-cuda-nvrtc-cu12`."""

import ctypes
import importlib.util
from pathlib import Path

import pytest
from cuda_on_cpu import TYPES, parameters

from tinygrad_cnn.kernels.cuda.each import Each, Sum

# the other letters, in the formats in which they come
OTHERS = {"N": ["uint8", "int32"], "S": ["int64", "int32"]}

PROLOGUE = """
typedef unsigned char uint8; typedef int int32; typedef long long int64; typedef unsigned long long uint64;
template <class T> struct Array {
    T* data;
    __device__ T& operator[](long long i) const { return data[i]; }
};
"""


def variants(each):
    """The formats of its letters, all that come."""
    letters = {p.type for p in [*parameters(each.reads), *parameters(each.writes)] if len(p.type) == 1}
    found = [{}]
    for letter in sorted(letters):
        kinds = OTHERS.get(letter, ["float32", "float64"])
        found = [{**types, letter: kind} for types in found for kind in kinds]
    return found


def source(each, types, name):
    """A kernel as CuPy writes it: a thread takes every so-manieth element."""
    known = {kind: kind for kind in TYPES} | types
    ins, outs = parameters(each.reads), parameters(each.writes)
    arguments = [f"Array<{'const ' if p in ins else ''}{TYPES[known[p.type]]}> _{p.name}" for p in [*ins, *outs]]
    inside = [
        f"auto& {p.name} = _{p.name};" if p.raw else f"{'const ' if p in ins else ''}{p.type}& {p.name} = _{p.name}[i];"
        for p in [*ins, *outs]
    ]
    body = f"{outs[0].name} = {each.body}" if isinstance(each, Sum) else each.body
    return "\n".join([
        f'extern "C" __global__ void {name}(long long _elements, {", ".join(arguments)}) {{',
        *(f"typedef {TYPES[kind]} {letter};" for letter, kind in types.items()),
        "for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < _elements; i += gridDim.x * blockDim.x) {",
        *inside, f"{body};", "} }",
    ])  # fmt: skip


@pytest.fixture(name="nvrtc", scope="module")
def compiler():
    for package in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations if spec else ():
            for path in sorted(Path(folder).glob("lib/libnvrtc.so.*")):
                if "alt" not in path.name:
                    return ctypes.CDLL(str(path))
    return pytest.skip("NVIDIA's compiler is not installed and sees no kernel: pip install nvidia-cuda-nvrtc-cu12")


def compiled(nvrtc, text, architecture):
    """The assembler code."""
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    assert "warning" not in log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    assembler = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, assembler)
    return assembler.value.decode()


@pytest.mark.parametrize("architecture", ["compute_75", "compute_90"])
def test_nvidias_compiler_takes_every_kernel(nvrtc, architecture):
    helpers = dict.fromkeys(each.helpers for each in Each.made)
    names, texts = [], []
    for each in Each.made:
        for number, types in enumerate(variants(each)):
            names.append(f"{each.name}_{number}")
            texts.append(source(each, types, names[-1]))
    assert len(names) > 80
    assembler = compiled(nvrtc, "\n".join([PROLOGUE, *helpers, *texts]), architecture)
    assert [name for name in names if f".entry {name}(" not in assembler] == []


def test_a_mistake_is_shown(nvrtc):
    with pytest.raises(AssertionError, match=r'identifier "z" is undefined'):
        compiled(nvrtc, 'extern "C" __global__ void f(float* y) { *y = z; }', "compute_90")


def test_single_precision_stays_single(nvrtc):
    """A number without T(…) is a double: on most GPUs the arithmetic would be many times slower."""
    doubles = []
    for each in Each.made:
        (types, *_) = [t for t in variants(each) if t.get("T", "float32") == "float32"]
        text = "\n".join([PROLOGUE, each.helpers, source(each, types, "k")])
        if ".f64" in compiled(nvrtc, text, "compute_90"):
            doubles.append(each.name)
    assert doubles == []
