"""Reading the figures of a topic: how much faster, and which of our sides counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.sides import AVX512_CORES

DISTURBED = 0.2  # cores' worth of other programs' work from which on figures are rough
Result = dict[str, Any]
Ratio = Callable[[dict[str, Any], str, str, str], "float | None"]


def figures(case: dict[str, Any], side: str, part: str) -> dict[str, Any] | None:
    """Median, best and all processes of a side, or None if it has no such figures."""
    return case["results"].get(side, {}).get("parts", {}).get(part)


def times_faster(case: dict[str, Any], ours: str, other: str, part: str) -> float | None:
    """The best process of the other ÷ the median process of ours: above 1 we are faster."""
    a, b = figures(case, ours, part), figures(case, other, part)
    return b["best"] / a["median"] if a and b else None


def times_larger(case: dict[str, Any], ours: str, other: str, part: str) -> float | None:
    """The median process of ours ÷ that of the other: below 1 we take less."""
    a, b = figures(case, ours, part), figures(case, other, part)
    return a["median"] / b["median"] if a and b and b["median"] else None


def parts(case: dict[str, Any]) -> list[str]:
    """The parts that any side has figures for."""
    return list(dict.fromkeys(part for result in case["results"].values() for part in result.get("parts", {})))


def stolen(result: Result) -> list[float]:
    """Of all turns: how many cores' worth of time the host kept."""
    return [
        share for case in result["cases"] for found in case["results"].values() for share in found.get("stolen", ())
    ]


def measured(result: Result) -> list[str]:
    """The sides that took part."""
    return [name for name, side in result["sides"].items() if "missing" not in side]


def fastest_ours(result: Result) -> str:
    """Our side with the best core type: its own process takes it, or OpenBLAS does by itself."""
    return "ours-avx512" if "ours-avx512" in measured(result) else "ours"


def ours_with_avx2(result: Result) -> str | None:
    """Our side with the kernels that OpenBLAS takes where it does not know the processor."""
    if "ours-avx2" in measured(result):
        return "ours-avx2"
    plain = result["sides"].get("ours", {})
    return "ours" if plain.get("core") and plain["core"] not in AVX512_CORES else None


def rows(result: Result, **wanted: Any) -> Iterator[dict[str, Any]]:
    """The cases with certain values.

    >>> [case["name"] for case in rows({"cases": [{"name": "a", "B": 1}, {"name": "b", "B": 2}]}, B=(2, 3))]
    ['b']
    """
    for case in result["cases"]:
        if all(case.get(key) in (value if isinstance(value, tuple) else (value,)) for key, value in wanted.items()):
            yield case
