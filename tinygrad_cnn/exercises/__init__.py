"""Exercises: a student writes the layers, a checker names the mistake, and a network learns with what was written.

| file | what it holds |
|---|---|
| `tasks/`, `catalogue.py`, `cases.py` | the exercises, a folder each |
| `sources.py`, `skeletons.py` | what is made of a solution: wrong versions, the student's file |
| `sandbox/` | the process of its own in which a student's code runs |
| `checking.py`, `outcomes.py`, `diagnosis.py` | whether a file is right, and what is wrong with it |
| `report.py`, `notebook.py` | how that is said |
| `workspace.py`, `progress.py` | a student's folder, and what was solved |
| `watching.py`, `submission.py` | noticing a save; what is handed in |
| `plugin.py`, `adapters.py`, `trial.py` | the student's functions in the places of the library's kernels |
| `grading/`, `release.py` | what instructors do: grading a class, handing out |
| `verify.py` | proof that the catalogue is sound |

    from tinygrad_cnn import exercises

    exercises.check("conv_forward", "12_conv_forward.py")
    with exercises.use("tcnn-exercises"): ...
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.notebook import check
    from tinygrad_cnn.exercises.plugin import use
    from tinygrad_cnn.exercises.workspace import Workspace

__all__ = ["Workspace", "check", "use"]

# loaded when they are used, so that a check on the command line need not wait for what it does not use
_HOMES = {"Workspace": "workspace", "check": "notebook", "use": "plugin"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tinygrad_cnn.exercises.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tinygrad_cnn.exercises' has no attribute {name!r}")
