"""`tinygrad-cnn exercise …`: the exercises, for students and for instructors.

| file | what it holds |
|---|---|
| `base.py` | the group of commands |
| `student.py` | `init`, `list`, `watch`, `check`, `hint`, `explain`, `reset`, `solution`, `submit` |
| `solving.py` | what these do |
| `mine.py` | `train` |
| `comparing.py`, `shown.py` | what it does, and what it shows |
| `instructor.py` | `release`, `grade`, `similarity`, `autograder-zip`, `verify` |
| `teaching.py` | what these do |
"""

from tinygrad_cnn.cli.exercise import student, mine, instructor  # isort: skip - the order of the help
from tinygrad_cnn.cli.exercise.base import exercise

__all__ = ["exercise", "instructor", "mine", "student"]
