"""Grading what a class has handed in.

| file | what it holds |
|---|---|
| `reading.py` | folders, zips and zips of zips, read safely |
| `submissions.py` | which of it is whose, and which file belongs to which exercise |
| `grades.py` | every submission checked by itself; points |
| `overview.py`, `feedback.py` | how a class did, and which mistakes it made; a text for each student |
| `gradescope.py`, `junit.py`, `table.py`, `records.py` | the grades as results.json, JUnit XML, CSV, JSON |
| `similarity.py` | which submissions resemble one another |
| `autograder/` | the two scripts of a Gradescope zip; `release.py` puts it together |
"""
