"""The student's own layers at work: functions that passed their check, in the places of the library's kernels.

`with exercises.use() as mine:` computes every network with them. What a student's function was not asked for (groups,
dilation, half precision, …), and what is not solved yet, the library computes; `mine` tells who did what.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_cnn import kernels, observe
from tinygrad_cnn.backends import is_array
from tinygrad_cnn.exercises.adapters import ADAPTERS, ELSEWHERE, Adapter, Beyond, adapters_in, as_it_is
from tinygrad_cnn.exercises.catalogue import Exercise
from tinygrad_cnn.exercises.sources import CatalogueError
from tinygrad_cnn.exercises.workspace import Workspace, WorkspaceError
from tinygrad_cnn.function import Function
from tinygrad_cnn.observe import Scope

_FORMATS = (np.float32, np.float64)


class PluginError(RuntimeError):
    """A student's function that failed at work; the message names the function, its file and line, and the layer."""


@dataclass(frozen=True)
class Standing:
    """One function of an exercise, and whether the student's takes part.

    Attributes:
        exercise: Which it belongs to.
        name: The function's.
        file: The student's.
        why_not: Why the library's is taken, a few words; empty if the student's takes part.
    """

    exercise: Exercise
    name: str
    file: Path
    why_not: str = ""


class Plug:
    """Functions of the student's in a kernel's place: called as the kernel, counting who computed.

    Attributes:
        adapter: How they stand in.
        functions: The student's.
        yours: Calls that they computed.
        library: Calls that went beyond them, which the library computed.
    """

    def __init__(self, adapter: Adapter, functions: Sequence[Callable[..., Any]]) -> None:
        self.adapter, self.functions = adapter, tuple(functions)
        self.yours = self.library = 0

    def __repr__(self) -> str:
        return f"<{self.adapter.name}: {self.yours} calls by you, {self.library} by the library>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _usual([a for a in (*args, *kwargs.values()) if is_array(a)]):
            try:
                result = _plain(self.adapter.adapt(*self.functions, *args, **kwargs))
            except Beyond:
                pass
            except Exception as error:
                raise PluginError(self._told(error, args)) from error
            else:
                self.yours += 1
                return result
        self.library += 1
        return kernels.get(self.adapter.kernel).library(*args, **kwargs)

    def _told(self, error: Exception, args: Sequence[Any]) -> str:
        """What failed, in which layer, on what, and where in the student's file."""
        files = [function.__code__.co_filename for function in self.functions if hasattr(function, "__code__")]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        layer, yours = _layer(), " and ".join(self.adapter.functions)
        message = f"layer {layer}: " if layer else ""
        message += f"your {yours} failed with {type(error).__name__}: {error}"
        if shapes := [str(a.shape) for a in args if is_array(a)]:
            message += f"; it was called with arrays {', '.join(shapes)}"
        if not frames:
            return f"{message}. What it returned is not what the exercise asks for"
        return f"{message}\n  {Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line}"


class Mine:
    """A student's functions, ready to be put to work.

    Attributes:
        folder: Where they lie.
        functions: Every function of every exercise, by name: whether it takes part, and why not.
        adapters: How functions of these exercises can stand in for kernels.
        plugs: What takes part in computing, by name.
        classes: The student's classes that passed, by name: a network of their own.
    """

    def __init__(
        self, folder: Path, functions: dict[str, Standing], adapters: Sequence[Adapter], found: Mapping[str, Any]
    ) -> None:
        self.folder, self.functions, self.adapters = folder, functions, list(adapters)
        # of two for one kernel the later one is preferred
        best = {a.kernel: a for a in adapters if all(name in found for name in a.functions)}
        self.plugs = {a.name: Plug(a, [found[name] for name in a.functions]) for a in best.values()}
        self.classes = {name: value for name, value in found.items() if isinstance(value, type)}

    @property
    def calls(self) -> dict[str, tuple[int, int]]:
        """How often each was computed by the student's function, and in its place by the library's."""
        return {name: (plug.yours, plug.library) for name, plug in self.plugs.items()}

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Mine]:
        """Inside the block the student's functions compute."""
        with kernels.use(**{plug.adapter.kernel: plug for plug in self.plugs.values()}):
            yield self

    def standing(self, kernel: str) -> list[Standing]:
        """The functions that compute a kernel, or those that could first."""
        able = [a for a in self.adapters if a.kernel == kernel]
        at_work = [plug.adapter for plug in self.plugs.values() if plug.adapter in able]
        return [self.functions[name] for adapter in (at_work or able)[:1] for name in adapter.functions]

    def __repr__(self) -> str:
        called = [plug for plug in self.plugs.values() if plug.yours or plug.library]
        lines = [f"Mine({str(self.folder)!r}):", *map(repr, called), *(f"<class {name}>" for name in self.classes)]
        idle = len(self.plugs) - len(called)
        return "\n  ".join(lines + [f"{idle} more, not called so far"] * (idle > 0))


@contextlib.contextmanager
def use(folder: str | Path | None = None, *, only: Sequence[str] = (), trust: bool = False) -> Iterator[Mine]:
    r"""Inside the block every network computes with the student's own functions, those that passed their check.

    Args:
        folder: The student's; by default the one around the current folder.
        only: Names of the functions, or exercises, to take; all if empty.
        trust: Take all that is written, unchecked: for a demonstration.

    Yields:
        Who computes what: `mine.calls["conv2d_forward"]` is (yours, the library's).

    Raises:
        WorkspaceError: If there is no such folder of exercises.
        PluginError: If a function fails at work, or `only` names none.

    >>> import tempfile, tinygrad_cnn as tcnn
    >>> solution = "import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0)\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "01_relu.py").write_text(solution)
    ...     with use(folder, trust=True) as mine:
    ...         y = tcnn.tensor([-1.0, 2.0]).relu()
    >>> y.tolist(), mine.calls["relu_forward"]
    ([0.0, 2.0], (1, 0))
    """
    with load(folder, only=only, trust=trust).at_work() as mine:
        yield mine


def load(
    folder: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    trust: bool = False,
    told: Callable[[str], None] = lambda file: None,
) -> Mine:
    """The student's functions that passed, for `with mine.at_work():`; `use` is both in one.

    A file that is not known to have passed as it is now is checked first.

    Args:
        folder: As in `use`.
        only: As in `use`.
        trust: As in `use`.
        told: Called with a file's name before it is checked, which takes a second.
    """
    workspace = _workspace(folder)
    _refuse_unknown(workspace, only)
    functions: dict[str, Standing] = {}
    found: dict[str, Any] = {}
    adapters: list[Adapter] = []
    for exercise in workspace.catalogue.values():
        own = adapters_of(exercise)
        usable = {name for adapter in own for name in adapter.functions}
        usable |= {name for name in exercise.tasks if name[0].isupper()}  # a class: a network, which needs no adapter
        wanted = [name for name in exercise.tasks if not only or name in only or exercise.id in only]
        path = workspace.path(exercise)
        text = path.read_bytes() if path.is_file() else None
        why_not = dict.fromkeys(exercise.tasks, "left out")
        why_not |= {name: ELSEWHERE.get(name, "no network asks for it") for name in wanted}
        why_not |= _failed(workspace, exercise, [name for name in wanted if name in usable], path, text, trust, told)
        for name, reason in why_not.items():
            if name not in functions or functions[name].why_not:  # two exercises may ask for the same function
                functions[name] = Standing(exercise, name, path, reason)
        passed = [name for name, reason in why_not.items() if not reason]
        if passed and text is not None:
            module = _loaded(exercise, path, text)
            found |= {name: getattr(module, name) for name in passed if functions[name].exercise is exercise}
        adapters += own
    return Mine(workspace.folder, functions, adapters, found)


def _failed(
    workspace: Workspace,
    exercise: Exercise,
    asked: Sequence[str],
    path: Path,
    text: bytes | None,
    trust: bool,
    told: Callable[[str], None],
) -> dict[str, str]:
    """Why each of these functions does not take part; empty for those that passed."""
    if text is None:
        return dict.fromkeys(asked, "the file is gone")
    if trust:
        written = _written(text)
        return {name: "" if name in written else "not written" for name in asked}
    if not asked or not workspace.begun(exercise):
        return dict.fromkeys(asked, "not begun")
    digest, points = hashlib.sha256(text).hexdigest(), exercise.points
    passed = {name for name, sha in workspace.progress.entry(exercise).passed.items() if sha == digest}
    if not passed.issuperset(asked):
        told(path.name)
        verdict = workspace.check(exercise, count=False)
        same = path.is_file() and path.read_bytes() == text  # else it was saved during the check
        passed = {part.function for part in verdict.parts if part.passed and same}
        points = verdict.points
    return {name: "" if name in passed else f"{points:g} of {exercise.points:g} points" for name in asked}


def _workspace(folder: str | Path | None) -> Workspace:
    """The student's folder; one without notes about progress will do, if there are files of exercises in it."""
    try:
        return Workspace.find(None if folder is None else Path(folder))
    except WorkspaceError:
        if folder is not None and Path(folder).is_dir():
            workspace = Workspace(Path(folder))
            if any(path.is_file() for path in workspace.paths().values()):
                return workspace
        raise


def _refuse_unknown(workspace: Workspace, only: Sequence[str]) -> None:
    functions = [name for exercise in workspace.catalogue.values() for name in exercise.tasks]
    for name in only:
        if name not in functions and name not in workspace.catalogue:
            raise PluginError(
                f"only={name!r}: there is no such function or exercise; functions are {', '.join(functions)}"
            )


def adapters_of(exercise: Exercise) -> list[Adapter]:
    """How an exercise's functions can stand in: as its own `plug.py` or `kernel = …` says, else as is known."""
    own = [as_it_is(name, task.kernel) for name, task in exercise.tasks.items() if task.kernel]
    path = exercise.folder / "plug.py"
    if path.is_file():
        own += adapters_in(vars(_module(f"tinygrad_cnn_plug_{exercise.id}", path, path.read_bytes())))
    for adapter in own:
        if adapter.kernel not in kernels.names():
            raise CatalogueError(
                f"{exercise.folder}: {adapter.name} is to stand in for a kernel {adapter.kernel!r}, which does not "
                "exist; tinygrad_cnn.kernels.names() has all"
            )
    theirs = {name for adapter in own for name in adapter.functions}
    known = [a for a in ADAPTERS if a.functions[0] in exercise.tasks and not theirs.intersection(a.functions)]
    return known + own


def _written(text: bytes) -> set[str]:
    """The functions and classes of a file that are more than a skeleton."""

    def todo(node: ast.FunctionDef | ast.ClassDef) -> bool:
        return isinstance(node.body[-1], ast.Raise) and "NotImplementedError" in ast.dump(node.body[-1])

    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return set()
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not todo(node)}
    assigned = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return names | {target.id for target in assigned if isinstance(target, ast.Name)}


def _loaded(exercise: Exercise, path: Path, text: bytes) -> ModuleType:
    """A student's file, from the bytes that were checked."""
    try:
        with _beside(path.parent):
            return _module(f"tinygrad_cnn_mine_{exercise.id}", path, text)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Inside the block the files of a folder can be imported, as where it was checked; afterwards nothing is left."""
    before, place, leave = set(sys.modules), str(folder), sys.dont_write_bytecode
    sys.path.append(place)  # behind all others: a student's random.py must not take the place of Python's
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path.remove(place)
        sys.dont_write_bytecode = leave
        for name in set(sys.modules) - before:
            if (
                os.path.dirname(getattr(sys.modules[name], "__file__", None) or "") == place
                and "tinygrad_cnn" not in name
            ):
                del sys.modules[name]  # another folder may have a file of that name; and this one may be edited


def _module(name: str, path: Path, text: bytes) -> ModuleType:
    """A module of a private name; no compiled copy is left in its folder."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    return module


def _usual(arrays: Sequence[Any]) -> bool:
    """Whether arrays are what a lecture's function expects: NumPy's, not empty, of one common number format."""
    plain = all(type(a) is np.ndarray and a.ndim and a.size for a in arrays)
    formats = {a.dtype for a in arrays if a.dtype.kind == "f"} if plain else set()
    return plain and (not arrays or (len(formats) == 1 and formats.pop() in _FORMATS))


def _plain(result: Any) -> Any:
    """Arrays of NumPy's own type: to an `np.matrix`, * means another thing."""
    if isinstance(result, tuple):
        return tuple(map(_plain, result))
    return np.asarray(result) if isinstance(result, np.ndarray) else result


def path_of(scope: Scope | None) -> str:
    """A layer's name in its network, such as `features.conv1`; empty outside all layers."""
    if scope is None:
        return ""
    return next((path for path, module in scope.modules()[0].named_modules() if module is scope.module), "")


def _layer() -> str:
    """The layer whose operation is being computed, forward or backward."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        operation = frame.f_locals.get("self")
        if isinstance(operation, Function):  # in backward no module is being called; its operation remembers
            return path_of(operation.scope or observe.scope.get())
    return ""
