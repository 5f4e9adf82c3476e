"""Every size rule, once: windows that slide over images, and the shapes an operation accepts.

The letters are the ones the code uses everywhere: N samples, C input channels, H×W input rows and columns,
K filters, R×S kernel rows and columns, P×Q output rows and columns, F features in, D features out. Volumes are made of
slices: Z×H×W, kernels T×R×S, output O×P×Q. Lines are L long, kernels S, output Q.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]
Ints = int | tuple[int, ...]


class ShapeError(ValueError):
    """Sizes that do not go together; the message names the operation, the sizes, the rule and the remedy."""


_strict: ContextVar[bool] = ContextVar("strict_sizes", default=False)


@contextmanager
def strict_sizes(strict: bool = True) -> Iterator[None]:
    """Inside the block a window that does not end at the border of its image is an error, as lectures teach it.

    Outside, and in PyTorch always, the output size is rounded down and the last pixels are left out unseen. Concerns
    convolution, pooling and `nn.walk.output_shape` in this thread; with `ceil_mode` nothing is left out.

    Args:
        strict: False allows it again, within a stricter block.

    >>> import tinygrad_cnn as tcnn
    >>> with tcnn.strict_sizes():
    ...     tcnn.nn.MaxPool2d(2)(tcnn.zeros(1, 1, 7, 8))
    Traceback (most recent call last):
    tinygrad_cnn.shapes.ShapeError: max_pool2d: ...: (7 − 2)/2 + 1 = 3.5: doesn't fit; ...
    """
    token = _strict.set(strict)
    try:
        yield
    finally:
        _strict.reset(token)


def sizes_are_strict() -> bool:
    """Whether a `strict_sizes` block is open."""
    return _strict.get()


def _per_axis(what: str, value: Ints, rank: int) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    try:
        values = tuple(map(operator.index, given * rank if len(given) == 1 else given))  # NumPy's integers, too
    except TypeError:
        values = ()
    if len(values) != rank:
        raise ShapeError(f"window: {what}={value!r} must be one whole number or {rank} of them, one per axis")
    return values


@dataclass(frozen=True)
class Window:
    """A kernel that slides over an image: the only place where the output size is computed.

    Formula: `P = floor((H + pad_before + pad_after − dilation·(kernel − 1) − 1) / stride) + 1`, with ceil
    instead of floor in `ceil_mode` (a last window that would start in the padding behind is dropped).

    Args:
        kernel: Rows and columns of the kernel (one number: the same on every axis).
        stride: Steps of the window, in pixels.
        padding: Pixels added on both sides, `"valid"` (none) or `"same"` (output as large as the input; the
            odd pixel goes behind, and stride must be 1).
        dilation: Distance of neighbouring kernel taps, in pixels.
        ceil_mode: Round the output size up.

    Raises:
        ShapeError: If a size is not positive or the numbers of axes differ.

    Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", relationship 6 and 15.

    >>> Window(3, stride=2).out(7)
    3
    >>> Window((5, 5), padding=2).out(32, 32)
    (32, 32)
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    ceil_mode: bool

    def __init__(
        self,
        kernel: Ints,
        stride: Ints = 1,
        padding: Ints | str = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
    ) -> None:
        if not isinstance(kernel, (tuple, list)):
            kernel = (kernel,)
        rank = max([len(kernel)] + [len(v) for v in (stride, padding, dilation) if isinstance(v, (tuple, list))])
        values: dict[str, Any] = {
            "kernel": _per_axis("kernel", kernel, rank),
            "stride": _per_axis("stride", stride, rank),
            "padding": padding if isinstance(padding, str) else _per_axis("padding", padding, rank),
            "dilation": _per_axis("dilation", dilation, rank),
            "ceil_mode": ceil_mode,
        }
        for name, value in values.items():  # frozen: the fields are set once, here
            object.__setattr__(self, name, value)
        for name, least in (("kernel", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
            if not isinstance(values[name], str) and min(values[name]) < least:
                raise ShapeError(f"window: {name}={values[name]} must be at least {least} on every axis")
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ShapeError(f'window: padding={padding!r} must be "valid", "same" or whole numbers')
            if padding == "same" and max(self.stride) > 1:
                raise ShapeError(
                    f'window: padding="same" needs stride 1, not {self.stride}: with a larger stride the output '
                    "cannot be as large as the input; give the padding as a number, (kernel − 1)/2 for ⌈size/stride⌉"
                )

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:  # what is remembered by window asks for it all the time
        return hash((self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode))

    @functools.cached_property
    def rank(self) -> int:
        """Number of axes the window slides along."""
        return len(self.kernel)

    def __len__(self) -> int:
        """Number of taps."""
        return math.prod(self.kernel)

    @functools.cached_property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """Pixels added (before, behind) on each axis."""
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        if self.padding == "same":
            extra = [span - 1 for span in self.spans]
            return tuple((e // 2, e - e // 2) for e in extra)
        return tuple((int(p), int(p)) for p in self.padding)

    @functools.cached_property
    def spans(self) -> tuple[int, ...]:
        """Pixels from the first to the last tap: `dilation·(kernel − 1) + 1`."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def out(self, *sizes: int, exact: bool = False, operation: str | None = None) -> Any:
        """Output size: a number for one input size, a tuple for several.

        Args:
            *sizes: Input sizes, in pixels, one per axis.
            exact: Refuse sizes for which the last step of the window does not end at the border.
            operation: Who asks, for the message; who does is also refused them inside `strict_sizes()`.

        Raises:
            ShapeError: If the window is larger than the padded image, or does not fit exactly where asked to.

        >>> Window(3, stride=3).out(7)
        2
        >>> Window(3, stride=3).out(7, exact=True)
        Traceback (most recent call last):
        tinygrad_cnn.shapes.ShapeError: window: (7 − 3)/3 + 1 = 2.33: doesn't fit; the last pixel would be left out: use
        padding 1 (output 3), stride 2 (output 3), or an input of 6 (output 2) or 9 (output 3)
        """
        result = self.outs(sizes, exact=exact, operation=operation)
        return result if len(sizes) > 1 else result[0]

    def outs(self, sizes: Sequence[int], exact: bool = False, operation: str | None = None) -> Shape:
        """The same, always as a tuple: for code that works along any number of axes."""
        exact = exact or (operation is not None and _strict.get())
        return _outs(self, tuple(sizes), exact, operation or "window")

    def back(self, sizes: Sequence[int], extra: Ints = 0, operation: str = "window") -> Shape:
        """The way back of `outs`: the sizes of images which a convolution would bring to these sizes.

        Formula: `H = (P − 1)·stride − pad_before − pad_behind + dilation·(kernel − 1) + 1 + extra`.

        Args:
            sizes: P, one per axis.
            extra: Which of the several H with the same P: less than stride (or than dilation, as in PyTorch).
            operation: Who asks, for the message.

        Raises:
            ShapeError: If nothing would be left, or extra is too large.

        >>> Window(3, stride=2, padding=1).back([4]), Window(3, stride=2, padding=1).back([4], extra=1)
        ((7,), (8,))
        """
        result = []
        for axis, (n, more) in enumerate(zip(sizes, _per_axis("output_padding", extra, self.rank))):
            stride, dilation, span, (before, behind) = (
                self.stride[axis], self.dilation[axis], self.spans[axis], self.pads[axis],
            )  # fmt: skip
            if not 0 <= more < max(stride, dilation):
                raise ShapeError(
                    f"{operation}: output_padding {more} must be at least 0 and less than stride {stride} or dilation "
                    f"{dilation}: it chooses among the sizes that a convolution makes equal"
                )
            if n < 1:
                raise ShapeError(f"{operation}: of the sizes {tuple(sizes)} every one must be at least 1")
            size = (n - 1) * stride - before - behind + span + more
            if size < 1:
                raise ShapeError(
                    f"{operation}: ({n} − 1)·{stride} − {before} − {behind} + {span} + {more} = {size} pixels would be "
                    "left; use less padding or a larger kernel"
                )
            result.append(size)
        return tuple(result)

    def repeated(self, rank: int) -> Window:
        """The same one-axis window on `rank` axes."""
        if self.rank != 1:
            raise ShapeError(f"window: a kernel {self.kernel} with {self.rank} axes cannot slide along {rank}")
        padding = self.padding if isinstance(self.padding, str) else self.padding * rank
        return Window(self.kernel * rank, self.stride * rank, padding, self.dilation * rank, self.ceil_mode)

    def _out(self, axis: int, size: int, exact: bool = False, operation: str = "window") -> int:
        (before, behind), span, stride = self.pads[axis], self.spans[axis], self.stride[axis]
        room = size + before + behind - span
        if room <= -stride or (room < 0 and not self.ceil_mode):  # rounded up, less than a stride may be missing
            padding = f" and {before} + {behind} of padding" if before + behind else ""
            raise ShapeError(
                f"{operation}: a kernel spanning {span} pixels does not fit into {size}{padding}: "
                f"{_formula(size, before, behind, span, stride)}, which must be at least 1; use a larger image, a "
                "smaller kernel, less dilation or more padding"
            )
        if exact and room % stride and not self.ceil_mode:
            raise ShapeError(f"{operation}: {_misfit(size, before, behind, span, stride)}")
        if not self.ceil_mode:
            return room // stride + 1
        steps = -(-room // stride) + 1
        return steps - 1 if (steps - 1) * stride >= size + before else steps

    def taps(self, *outputs: int) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
        """Each kernel tap with the pixels of the padded image it meets, over all window positions.

        Args:
            *outputs: Output sizes, one per axis.

        Returns:
            The tap's index in the kernel, and one slice per axis that selects `outputs` many pixels.

        >>> list(Window(2, stride=2).taps(3))
        [((0,), (slice(0, 5, 2),)), ((1,), (slice(1, 6, 2),))]
        """
        return iter(_taps(self, outputs))

    def latex(self, size: int, axis: int = 0) -> str:
        r"""The output-size formula with its numbers, for a slide or a notebook.

        >>> print(Window(5, padding=2).latex(32))
        \left\lfloor\frac{32 + 2 + 2 - 5}{1}\right\rfloor + 1 = 32
        """
        before, behind = self.pads[axis]
        ends = ("ceil", "ceil") if self.ceil_mode else ("floor", "floor")
        fraction = rf"\frac{{{size} + {before} + {behind} - {self.spans[axis]}}}{{{self.stride[axis]}}}"
        return rf"\left\l{ends[0]}{fraction}\right\r{ends[1]} + 1 = {self._out(axis, size)}"


def _formula(size: int, before: int, behind: int, span: int, stride: int) -> str:
    """The output size as lectures compute it, with its numbers: `(7 − 3)/3 + 1 = 2.33`."""
    padded = "" if not before + behind else f" + 2·{before}" if before == behind else f" + {before} + {behind}"
    result = f"{(size + before + behind - span) / stride + 1:.2f}".rstrip("0").rstrip(".").replace("-", "−")
    return f"({size} − {span}{padded})/{stride} + 1 = {result}"


def _misfit(size: int, before: int, behind: int, span: int, stride: int) -> str:
    """The output size that is no whole number, and the nearest padding, stride and input sizes that make it one."""

    def out(size: int = size, padding: int = before + behind, stride: int = stride) -> float:
        return (size + padding - span) / stride + 1

    def fits(result: float) -> bool:
        return result >= 1 and result.is_integer()

    rest = (size + before + behind - span) % stride
    remedies = []
    if paddings := [p for p in range(span // 2 + 1) if fits(out(padding=2 * p))]:
        padding = min(paddings, key=lambda p: abs(p - before))
        remedies.append(f"padding {padding} (output {out(padding=2 * padding):.0f})")
    step = max(s for s in range(1, stride) if fits(out(stride=s)))
    remedies.append(f"stride {step} (output {out(stride=step):.0f})")
    sizes = [f"{n} (output {out(n):.0f})" for n in (size - rest, size - rest + stride) if n > 0]
    remedies.append("or an input of " + " or ".join(sizes))
    lost = ("pixel" if rest == 1 else f"{rest} pixels") + (" of the padding" if rest <= behind else "")
    return (
        f"{_formula(size, before, behind, span, stride)}: doesn't fit; the last {lost} would be left out: use "
        + ", ".join(remedies)
    )


@functools.lru_cache(maxsize=4096)
def window(kernel: Shape, stride: Ints, padding: Ints | str, dilation: Ints, ceil_mode: bool = False) -> Window:
    """`Window(...)`, remembered: a training step asks for the same few windows again and again."""
    return Window(kernel, stride, padding, dilation, ceil_mode)


@functools.lru_cache(maxsize=4096)
def _outs(window: Window, sizes: Shape, exact: bool, operation: str) -> Shape:
    """`window.outs(...)`, remembered, too."""
    window = window if window.rank == len(sizes) else window.repeated(len(sizes))
    return tuple([window._out(axis, size, exact, operation) for axis, size in enumerate(sizes)])


@functools.lru_cache(maxsize=1024)
def _taps(window: Window, outputs: Shape) -> tuple[tuple[Shape, tuple[slice, ...]], ...]:
    """`window.taps(...)`, remembered, too."""
    taps = []
    for tap in itertools.product(*map(range, window.kernel)):
        axes = zip(tap, window.dilation, window.stride, outputs)
        taps.append((tap, tuple([slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in axes])))
    return tuple(taps)


def bins(size: int, outputs: int) -> list[tuple[int, int]]:
    """A line cut into parts of about the same size, for adaptive pooling: part p from ⌊p·H/P⌋ up to ⌈(p + 1)·H/P⌉.

    >>> bins(6, 3), bins(5, 2)   # where P does not divide H, neighbours overlap
    ([(0, 2), (2, 4), (4, 6)], [(0, 3), (2, 5)])
    """
    return [(p * size // outputs, -(-(p + 1) * size // outputs)) for p in range(outputs)]


def padded(shape: Shape, pad: Sequence[int], mode: str = "constant", operation: str = "pad") -> Shape:
    """The shape behind padding: `before + size + behind` on the last axes.

    Args:
        shape: Any shape; in other modes than "constant" (C, …) or (N, C, …) with an axis for each pair.
        pad: (before, behind) of the last axis, then of the one before it, and so on; negative numbers cut off.
        mode: "constant", "reflect" (less than the size can be repeated), "replicate" or "circular" (once around).
        operation: Who asks, for the message.

    Raises:
        ShapeError: If the axes do not suffice, or their sizes.

    >>> padded((3, 5, 4), (1, 2))
    (3, 5, 7)
    """
    if isinstance(pad, int):
        raise ShapeError(f"{operation}: {pad} must be pairs (before, behind), ({pad}, {pad}) for the last dimension")
    rank = len(pad) // 2
    if len(pad) % 2 or rank > len(shape):
        raise ShapeError(
            f"{operation}: {tuple(pad)} must be pairs (before, behind), at most {len(shape)} of them for {shape}"
        )
    if mode != "constant" and (rank not in (1, 2, 3) or len(shape) - rank not in (1, 2)):
        raise ShapeError(
            f"{operation}: mode={mode!r} pads the one, two or three axes behind (C,) or (N, C); {tuple(pad)} is for "
            f"{rank}, and x {shape} has {len(shape)} dimensions"
        )
    result = list(shape)
    for number in range(rank):
        axis, before, behind = len(shape) - 1 - number, pad[2 * number], pad[2 * number + 1]
        size = shape[axis]
        left = size + min(before, 0) + min(behind, 0)
        if left < 0:
            raise ShapeError(f"{operation}: {tuple(pad)} cuts off more than dimension {axis} of {shape} has")
        most = {"reflect": size - 1, "circular": left, "replicate": math.inf if size else 0}.get(mode, math.inf)
        if max(before, behind, 0) > most:
            raise ShapeError(
                f"{operation}: mode={mode!r} can repeat at most {most} of the {size} entries of dimension {axis} of "
                f"{shape}, not {max(before, behind)}; pad less"
            )
        result[axis] += before + behind
    return tuple(result)


# mode of interpolation → the number of axes it is for, None for any
INTERPOLATIONS = {"nearest": None, "linear": 1, "bilinear": 2, "trilinear": 3}


def resized(
    sizes: Shape, size: Any = None, scale_factor: Any = None, mode: str = "nearest", operation: str = "interpolate"
) -> tuple[Shape, tuple[float | None, ...]]:
    """Sizes as given, or `⌊size·scale_factor⌋`; and the scale of each axis, None where its size was given.

    Args:
        sizes: The sizes now, one per axis.
        size: The new ones, one number for all axes or one for each.
        scale_factor: Or by how much larger they become.
        mode: How entries are found, which may be for some numbers of axes only.
        operation: Who asks, for the message.

    Raises:
        ValueError: If the mode is unknown, or not just one of size and scale_factor is given.
        ShapeError: If the mode is for other axes, there are not as many numbers as axes, or nothing would be left.

    >>> resized((4, 5), scale_factor=1.5)
    ((6, 7), (1.5, 1.5))
    """
    rank = len(sizes)
    if mode not in INTERPOLATIONS:
        raise ValueError(f"{operation}: mode={mode!r} is not known; the modes are {', '.join(INTERPOLATIONS)}")
    if rank not in (1, 2, 3) or INTERPOLATIONS[mode] not in (rank, None):
        raise ShapeError(
            f"{operation}: mode={mode!r} does not fit {rank} axes, {sizes}; behind the channels linear wants one axis, "
            "bilinear two, trilinear three, nearest any of these"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{operation}: give size=… or scale_factor=…, one of the two")
    given = scale_factor if size is None else size
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * rank
    if len(values) != rank:
        raise ShapeError(f"{operation}: {given} must be one number, or {rank}: one for each axis of {sizes}")
    result = tuple(int(v) if size is not None else math.floor(n * v) for n, v in zip(sizes, values))
    if min(result) < 1:
        raise ShapeError(f"{operation}: sizes {sizes} would become {result}; every size must be at least 1")
    return result, tuple(None if size is not None else float(v) for v in values)


LETTERS = {
    "N": "samples",
    "C": "input channels",
    "Z": "slices",
    "H": "rows",
    "W": "columns",
    "K": "output channels",
    "T": "kernel slices",
    "R": "kernel rows",
    "S": "kernel columns",
    "O": "output slices",
    "P": "output rows",
    "Q": "output columns",
    "F": "input features",
    "D": "output features",
    "L": "positions",
}


@dataclass(frozen=True)
class Argument:
    """One array of a signature: its name, its letters, whether it may be absent."""

    name: str
    dims: tuple[str, ...]
    optional: bool = False

    @property
    def layout(self) -> str:
        """The letters as a shape, `(N, C, H, W)`."""
        return f"({', '.join(self.dims)})"


@dataclass(frozen=True)
class Signature:
    """The shapes an operation accepts, as data: `"x:NCHW, weight:KC/groupsRS, bias?:K -> NKPQ"`.

    A letter stands for one size and has the same size wherever it appears; `...` stands for any sizes before or behind;
    `C/groups` is C divided by the operation's attribute `groups`; `?` marks an argument that may be absent.

    >>> sizes = Signature.parse("x:NF, weight:DF, bias?:D -> ND").match("linear", {"x": (2, 3), "weight": (4, 3)})
    >>> sizes
    {'N': 2, 'F': 3, 'D': 4}
    """

    arguments: tuple[Argument, ...]
    output: tuple[str, ...]

    @functools.cached_property
    def divisors(self) -> tuple[str, ...]:
        """The attributes that letters are divided by, `("groups",)`."""
        letters = [letter for argument in self.arguments for letter in argument.dims if "/" in letter]
        return tuple(dict.fromkeys(letter.partition("/")[2] for letter in letters))

    @classmethod
    @functools.cache
    def parse(cls, text: str) -> Signature:
        """Read a signature; once per text."""
        inputs, _, output = text.partition("->")

        def letters(dims: str) -> tuple[str, ...]:
            parts = re.findall(r"\.\.\.|[A-Z](?:/[a-z_]+)?", dims)
            if "".join(parts) != dims.replace(" ", ""):
                raise ValueError(f"signature {text!r}: cannot read the dimensions {dims.strip()!r}")
            return tuple(parts)

        arguments = []
        for part in inputs.split(","):
            name, _, dims = part.strip().partition(":")
            arguments.append(Argument(name.removesuffix("?"), letters(dims), name.endswith("?")))
        return cls(tuple(arguments), letters(output))

    def match(
        self,
        operation: str,
        shapes: Mapping[str, Shape | None],
        attributes: Mapping[str, Any] | None = None,
        remedies: Mapping[str, str] | None = None,
    ) -> dict[str, int]:
        """Check shapes against the letters.

        Args:
            operation: Name for the message.
            shapes: Argument name → shape, None or absent for an argument that is not given.
            attributes: Values for divisors such as `groups`.
            remedies: Letter → advice added to the message.

        Returns:
            The size of every letter.

        Raises:
            ShapeError: If a rank or a size does not agree.
        """
        sizes: dict[str, int] = {}
        seen: dict[str, tuple[str, Shape, int]] = {}  # letter → the argument that fixed it
        for argument in self.arguments:
            shape = shapes.get(argument.name)
            if shape is None:
                if argument.optional:
                    continue
                raise ShapeError(f"{operation}: {argument.name} {argument.layout} is missing")
            for letter, size in self._pairs(operation, argument, shape, remedies or {}):
                base, _, divisor = letter.partition("/")
                factor = int((attributes or {})[divisor]) if divisor else 1
                wanted = size * factor
                if base not in sizes:
                    sizes[base] = wanted
                    seen[base] = (argument.name, shape, size)
                elif sizes[base] != wanted:
                    name, other, has = seen[base]
                    group = f" = {size}·{factor} {divisor}" if factor > 1 else ""
                    advice = (remedies or {}).get(base, "")
                    raise ShapeError(
                        f"{operation}: {argument.name} {shape} wants {base}={wanted}{group} "
                        f"{LETTERS.get(base, 'entries')}, {name} {other} has {has}" + (f"; {advice}" if advice else "")
                    )
        return sizes

    @staticmethod
    def _pairs(
        operation: str, argument: Argument, shape: Shape, remedies: Mapping[str, str]
    ) -> Iterable[tuple[str, int]]:
        dims: Sequence[str] = argument.dims
        if dims and dims[0] == "...":
            dims = dims[1:]
            if len(shape) >= len(dims):
                return zip(dims, shape[len(shape) - len(dims) :])
        elif dims and dims[-1] == "...":
            dims = dims[:-1]
            if len(shape) >= len(dims):
                return zip(dims, shape)
        if len(shape) != len(dims):
            advice = remedies.get("rank", "")
            least = "at least " if "..." in argument.dims else ""
            raise ShapeError(
                f"{operation}: {argument.name} must have {least}{len(dims)} dimensions {argument.layout}, "
                f"it has {len(shape)}: {shape}" + (f"; {advice}" if advice else "")
            )
        return zip(dims, shape)


def normalise_dims(operation: str, dim: Ints | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Dimensions as non-negative numbers; None means all of them.

    Raises:
        ShapeError: If a dimension does not exist or appears twice.

    >>> normalise_dims("sum", -1, 4)
    (3,)
    """
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim) if isinstance(dim, Iterable) else (int(dim),)
    for d in dims:
        # a single number may be "reduced" over dimension 0 or −1, as in PyTorch
        if not -max(ndim, 1) <= d < max(ndim, 1):
            most = max(ndim, 1)
            raise ShapeError(f"{operation}: there is no dimension {d} in a tensor with {ndim}; use {-most}..{most - 1}")
    positive = tuple(int(d) % ndim for d in dims) if ndim else ()
    if len(set(positive)) != len(positive):
        raise ShapeError(f"{operation}: a dimension appears twice in {dims}")
    return positive


def one_dim(operation: str, dim: int, ndim: int) -> int:
    """A dimension as a non-negative number.

    Raises:
        ShapeError: If it does not exist.

    >>> one_dim("split", -1, 4)
    3
    """
    if not ndim:
        raise ShapeError(f"{operation}: a 0-d tensor has no dimension {dim}; reshape(1) gives it one")
    return normalise_dims(operation, dim, ndim)[0]


def broadcast_shapes(operation: str, x: Shape, y: Shape) -> Shape:
    """The shape two arrays have together: sizes are equal, or one of them is 1 or absent.

    Raises:
        ShapeError: It names the axis that does not fit.

    >>> broadcast_shapes("add", (2, 1, 3), (4, 1))
    (2, 4, 3)
    """
    result = []
    for axis, (a, b) in enumerate(itertools.zip_longest(x[::-1], y[::-1], fillvalue=1), start=1):
        if a != b and 1 not in (a, b):
            raise ShapeError(
                f"{operation}: shapes {x} and {y} cannot be broadcast: axis −{axis} has {a} and {b} entries; "
                "they must be equal, or one of them 1 (use reshape, unsqueeze or [:, None])"
            )
        result.append(b if a == 1 else a)
    return tuple(result[::-1])
