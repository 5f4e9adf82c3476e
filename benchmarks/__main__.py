"""Measure this package beside others.

python -m benchmarks                    everything; writes RESULTS.md and results/*.json
python -m benchmarks training layers    some topics; the others stay as they were
python -m benchmarks --quick            a look at everything; prints, keeps nothing
python -m benchmarks training --quick --only "modern" --sides ours,pytorch
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report, topics
from benchmarks.sides import SIDES


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"all by default: {', '.join(report.TOPICS)}")
    parser.add_argument("--quick", action="store_true", help="fewer cases, fewer and shorter turns")
    parser.add_argument("--only", metavar="TEXT", help="cases whose names contain this")
    parser.add_argument("--sides", metavar="A,B", help=f"of {', '.join(SIDES)}")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures into this file")
    parser.add_argument("--report", action="store_true", help="measure nothing, write RESULTS.md from results/*.json")
    given = parser.parse_args(arguments)
    given.topics = given.topics or list(report.TOPICS)
    given.sides = given.sides.split(",") if given.sides else None
    for name in given.topics:
        if name not in report.TOPICS:
            parser.error(f"there is no topic {name!r}; there is {', '.join(report.TOPICS)}")
    for name in given.sides or ():
        if name not in SIDES:
            parser.error(f"there is no side {name!r}; there is {', '.join(SIDES)}")
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    given = parsed(arguments)
    if given.report:
        report.write()
        return
    keep = not (given.quick or given.only or given.sides)  # a look at something is not a result
    results: list[topics.Result] = []
    known: dict[str, dict[str, Any]] = {}
    for name in given.topics:
        try:
            result = topics.run(report.TOPICS[name], given.quick, given.only, given.sides, known=known)
        except ValueError as error:  # no such case: it may be another topic's
            print(error, file=sys.stderr)
            continue
        results.append(result)
        if keep:
            topics.save(result, topics.path(name))
            report.write()
    print(report.sections(results))
    if given.json:
        topics.save(results[0] if len(results) == 1 else {result["topic"]: result for result in results}, given.json)


if __name__ == "__main__":
    main()
