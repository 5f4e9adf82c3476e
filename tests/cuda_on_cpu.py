"""CuPy's `ElementwiseKernel` and `ReductionKernel` without a GPU: the same lines of CUDA C, compiled for the CPU.

What a kernel does to one element is C++ that any compiler takes; here it is put into a loop. Three things are checked
that a GPU would pass over in silence: an index outside an array is an error, memory that a kernel is given to write
into is full of nonsense before, and the elements are computed last one first, since there is no order on a GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

COMPILER = shutil.which("g++") or shutil.which("clang++")
FOLDER = Path(tempfile.gettempdir()) / f"tinygrad_cnn-kernels-{os.getuid() if hasattr(os, 'getuid') else ''}"

TYPES = {
    "bool": "bool", "uint8": "unsigned char", "int32": "int", "int64": "long long", "uint64": "unsigned long long",
    "float32": "float", "float64": "double",
}  # fmt: skip

PROLOGUE = """
#include <cmath>
#include <cstddef>
#include <type_traits>
using namespace std;
#define __device__ static inline
__device__ unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
static long long outside;  // the first index that was outside, plus 1; negative ones likewise
template <class T> struct Array {
    char* data; const ptrdiff_t* shape; const ptrdiff_t* strides; int ndim; ptrdiff_t count;
    T& operator[](ptrdiff_t i) const {
        static remove_const_t<T> nowhere;
        if (i < 0 || i >= count) { if (!outside) outside = i < 0 ? i : i + 1; return nowhere; }
        char* at = data;
        for (int axis = ndim - 1; axis >= 0; axis--) { at += i % shape[axis] * strides[axis]; i /= shape[axis]; }
        return *(T*)at;
    }
};
"""


class Parameter:
    """One of `"T x, raw T weight"`."""

    def __init__(self, text: str) -> None:
        *words, self.name = text.split()
        self.raw, self.type = words[0] == "raw", words[-1]
        assert words in ([self.type], ["raw", self.type]), text
        assert self.type in TYPES or len(self.type) == 1, text


def parameters(text: str) -> list[Parameter]:
    return [Parameter(part) for part in text.split(",")]


def made(source: str, kind: str, *options: str) -> Path:
    """The file the compiler makes of a source; each is compiled once in a user's life."""
    path = FOLDER / f"{hashlib.sha256(source.encode()).hexdigest()[:24]}.{kind}"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as work:
            (Path(work) / "source").write_text(source, encoding="utf-8")
            command = [
                COMPILER,
                "-std=c++17",
                "-O1",
                "-fPIC",
                "-w",
                "-I",
                str(FOLDER),
                *options,
                "-o",
                "made",
                "source",
            ]
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, f"{done.stderr}\n{source}"
            os.replace(Path(work) / "made", path)
    return path


def library(source: str) -> ctypes.CDLL:
    """A kernel that can be called; the headers, which take most of the time, are compiled once for all."""
    header = made(PROLOGUE, "hpp.gch", "-x", "c++-header").with_suffix("")
    if not header.exists():
        header.write_text(PROLOGUE, encoding="utf-8")
    return ctypes.CDLL(str(made(f'#include "{header.name}"\n{source}', "so", "-shared", "-x", "c++")))


class Described(ctypes.Structure):
    """`Array` of the prologue."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("ndim", ctypes.c_int), ("count", ctypes.c_ssize_t),
    ]  # fmt: skip

    @classmethod
    def of(cls, array: np.ndarray) -> Described:
        sizes = ctypes.c_ssize_t * max(1, array.ndim)
        return cls(array.ctypes.data, sizes(*array.shape), sizes(*array.strides), array.ndim, array.size)


class Kernel:
    """What both have in common: parameters, number formats, arrays to write into."""

    def __init__(self, in_params: str, out_params: str, name: str, preamble: str) -> None:
        self.ins, self.outs = parameters(in_params), parameters(out_params)
        self.name, self.preamble = name, preamble

    def run(self, given: list[Any], types: dict[str, str], count: int, body: str) -> None:
        every = [*self.ins, *self.outs]
        lines = [self.preamble, 'extern "C" long long run(ptrdiff_t _count, void** _given) {', "outside = 0;"]
        lines += [f"typedef {TYPES[name]} {letter};" for letter, name in types.items() if len(letter) == 1]
        for number, (p, value) in enumerate(zip(every, given)):
            kind = TYPES[types[p.type]]
            if isinstance(value, np.ndarray):
                const = "const " if p in self.ins else ""
                called = p.name if p.raw else f"{p.name}_array"
                lines.append(f"const Array<{const}{kind}>& {called} = *(Array<{const}{kind}>*)_given[{number}];")
            else:
                lines.append(f"const {kind} {p.name} = *({kind}*)_given[{number}];")
        lines += [body, "return outside;", "}"]
        held = [
            Described.of(v) if isinstance(v, np.ndarray) else np.array(v, types[p.type]) for p, v in zip(every, given)
        ]
        pointers = [ctypes.addressof(h) if isinstance(h, Described) else h.ctypes.data for h in held]
        function = library("\n".join(lines)).run
        function.restype = ctypes.c_longlong
        where = function(ctypes.c_ssize_t(count), (ctypes.c_void_p * len(pointers))(*pointers))
        assert where == 0, f"{self.name} looked outside of an array, at index {where - (where > 0)}"

    def types(self, given: list[Any]) -> dict[str, str]:
        """The number format of each letter, as the first array of it has it; the other ones must have the same."""
        found = {name: name for name in TYPES}
        for p, value in zip([*self.ins, *self.outs], given):
            if isinstance(value, (np.ndarray, np.generic)):  # a number of Python's takes any format
                wanted = found.setdefault(p.type, str(value.dtype))
                if wanted != value.dtype:
                    raise TypeError(f"{self.name}: {p.name} is {value.dtype}, not {wanted}")
        assert all(p.type in found for p in [*self.ins, *self.outs]), f"{self.name}: a format is told by no array"
        return found

    def made(self, shape: tuple[int, ...], types: dict[str, str]) -> list[np.ndarray]:
        return [np.frombuffer(b"\xa5" * (math.prod(shape) * np.dtype(types[p.type]).itemsize), types[p.type])
                .copy().reshape(shape) for p in self.outs]  # fmt: skip


class ElementwiseKernel(Kernel):
    def __init__(self, in_params: str, out_params: str, operation: str, name: str, preamble: str = "") -> None:
        super().__init__(in_params, out_params, name, preamble)
        self.operation = operation

    def __call__(self, *given: Any, size: int | None = None) -> Any:
        ins, outs = list(given[: len(self.ins)]), list(given[len(self.ins) :])
        assert len(ins) == len(self.ins), f"{self.name}: {len(self.ins)} arguments"
        assert len(outs) in (0, len(self.outs)), f"{self.name}: all of the arrays to write into, or none"
        usual = [v for p, v in zip([*self.ins, *self.outs], given) if not p.raw and isinstance(v, np.ndarray)]
        types = self.types(given)
        if size is None:
            shape = np.broadcast_shapes(*(v.shape for v in usual))
            assert all(o.shape == shape for p, o in zip(self.outs, outs) if not p.raw), f"{self.name}: shape of output"
            ins = [
                np.broadcast_to(v, shape) if not p.raw and isinstance(v, np.ndarray) else v
                for p, v in zip(self.ins, ins)
            ]
            size = math.prod(shape)
        else:
            assert not usual, f"{self.name}: a size is told, and by an array as well"
            shape = (size,)
        if not outs:
            assert not any(p.raw for p in self.outs), f"{self.name}: raw arrays to write into must be given"
            outs = self.made(shape, types)
        each = [
            f"{'const ' if p in self.ins else ''}{TYPES[types[p.type]]}& {p.name} = {p.name}_array[i];"
            for p, v in zip([*self.ins, *self.outs], [*ins, *outs])
            if not p.raw and isinstance(v, np.ndarray)
        ]
        loop = ["for (ptrdiff_t i = _count - 1; i >= 0; i--) {", *each, f"{self.operation};", "}"]
        self.run([*ins, *outs], types, size, "\n".join(loop))
        return outs[0] if len(outs) == 1 else tuple(outs)


class ReductionKernel(Kernel):
    def __init__(
        self, in_params: str, out_params: str, map_expr: str, reduce_expr: str, post_map_expr: str, identity: str,
        name: str, preamble: str = "",
    ) -> None:  # fmt: skip
        super().__init__(in_params, out_params, name, preamble)
        self.body = map_expr, reduce_expr, post_map_expr, identity

    def __call__(self, *given: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        assert len(given) == len(self.ins)
        assert keepdims
        types = self.types(given)
        shape = np.broadcast_shapes(*(v.shape for v in given if isinstance(v, np.ndarray)))
        axis = tuple(a % len(shape) for a in axis)
        kept = [a for a in range(len(shape)) if a not in axis]
        (out,) = self.made(tuple(1 if a in axis else n for a, n in enumerate(shape)), types)
        ins = [np.broadcast_to(v, shape).transpose(*kept, *axis) if isinstance(v, np.ndarray) else v for v in given]
        map_, reduce_, post, identity = self.body
        (written,) = self.outs
        kind = TYPES[types[written.type]]
        each = [
            f"const {TYPES[types[p.type]]}& {p.name} = {p.name}_array[o * _many + j];"
            for p, v in zip(self.ins, ins)
            if isinstance(v, np.ndarray)
        ]
        first = next(p.name for p, v in zip(self.ins, ins) if isinstance(v, np.ndarray))
        loop = [
            f"const ptrdiff_t _many = _count ? {first}_array.count / _count : 0;",
            "for (ptrdiff_t o = 0; o < _count; o++) {", f"{kind} a = {identity};",
            "for (ptrdiff_t j = _many - 1; j >= 0; j--) {", *each, f"const {kind} b = {map_};", f"a = {reduce_}; }}",
            f"{kind}& {written.name} = {written.name}_array[o];", f"{post};", "}",
        ]  # fmt: skip
        self.run([*ins, out], types, out.size, "\n".join(loop))
        return out
