"""What a student hands in: a zip of the files, and a manifest of what they earned."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn.about import __version__

if TYPE_CHECKING:
    from tinygrad_cnn.exercises.checking import Verdict
    from tinygrad_cnn.exercises.workspace import Workspace

NAME = "submission.zip"
MANIFEST = "manifest.json"
FORMAT = 1


def manifest(workspace: Workspace, files: Mapping[str, bytes], verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """What is handed in, and what it earned on the student's machine; a grader checks anew.

    Args:
        workspace: The student's folder.
        files: The content of each exercise's file, by the exercise's name.
        verdicts: What came out of checking them; an exercise without one is not begun.
    """
    entries, names = workspace.entries(), workspace.paths()
    exercises = {}
    for id, content in files.items():
        entry, verdict, exercise = entries[id], verdicts.get(id), workspace.catalogue[id]
        exercises[id] = {
            "file": names[id].name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "points": verdict.points if verdict else 0,
            "max_points": exercise.points,
            "passed": [part.function for part in verdict.parts if part.passed] if verdict else [],
            "begun": verdict is not None,
            "checks": entry.checks,
            "hints": entry.hints,
            "gave_up": entry.gave_up,
        }
    return {
        "format": FORMAT,
        "versions": {"tinygrad-cnn": __version__, "python": platform.python_version(), "numpy": np.__version__},
        "points": sum(entry["points"] for entry in exercises.values()),
        "max_points": sum(exercise.points for exercise in workspace.catalogue.values()),
        "gave_up": [id for id, entry in exercises.items() if entry["gave_up"]],
        "exercises": exercises,
    }


def named(files: Mapping[str, bytes], told: Mapping[str, Any]) -> dict[str, bytes]:
    """All that is handed in, by the files' names: the exercises' files, and the manifest."""
    contents = {told["exercises"][id]["file"]: content for id, content in files.items()}
    return contents | {MANIFEST: (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()}


def packed(files: Mapping[str, bytes], executable: Sequence[str] = ()) -> bytes:
    """Files by name as a zip: the same bytes whenever and wherever it is made, with the rights that Unix reads."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name)  # of 1980, the earliest time a zip can tell
            info.create_system, info.external_attr = 3, (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(info, files[name])
    return out.getvalue()
