"""Markdown from the figures: the section of a topic, and the whole of RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cifar10, figures, goals, harness, machine, topics
from benchmarks.bench_layers import TOPIC as layers
from benchmarks.bench_memory import TOPIC as memory
from benchmarks.bench_overhead import TOPIC as overhead
from benchmarks.bench_scaling import TOPIC as scaling
from benchmarks.bench_training import TOPIC as training
from benchmarks.sides import SIDES
from benchmarks.tables import number, table
from benchmarks.topics import Result, Topic

TOPICS = {topic.name: topic for topic in (training, layers, memory, scaling, overhead)}
PAGE = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results of the benchmarks

Written by `python -m benchmarks`; a topic is measured again by `python -m benchmarks training` (or another of {names}),
and all is written anew from `benchmarks/results/*.json`.

Each side works in processes of its own, which take turns, with the machine's default settings. A process's figure is
the median of its calls. Ours are the median of the processes; those of others are their best process, since PyTorch is
as fast as one of two numbers, by chance of the process. So a ratio *other ÷ ours* above 1 means that we are faster.
"""


def page(results: Mapping[str, Result], training_run: dict[str, Any] | None) -> str:
    """The whole of RESULTS.md.

    Args:
        results: The figures, by topic.
        training_run: What `cifar10` made of a training run.
    """
    names = ", ".join(f"`{name}`" for name in TOPICS)
    parts = [HEAD.format(names=names), "## Figures to reach\n", goals.table(results)]
    for name, topic in TOPICS.items():
        if name in results:
            parts.append(section(topic, results[name]))
        else:
            parts.append(f"## {topic.title}\n\nNot measured yet.\n")
    parts.append(cifar10.section(training_run))
    return "\n".join(parts)


def section(topic: Topic, result: Result) -> str:
    """A topic: what was measured on what, the table, and what could not be measured."""
    quick = ", a quick look" if result["quick"] else ""
    lines = [
        f"## {topic.title}\n",
        topic.text.strip() + "\n",
        f"Measured {result['date'][:10]}{quick}: {machine.line(result['machine'])}. {turns(result)}\n",
        sides(result),
        topic.table(result) if topic.table else plain_table(topic, result),
    ]
    return "\n".join([*lines, *remarks(result)]) + "\n"


def turns(result: Result) -> str:
    """How often, and how quiet the machine was."""
    plan = result["plan"]
    peers = min(plan["rounds"], plan["peer_rounds"])
    small = f" ({peers} of the small frameworks)" if peers != plan["rounds"] else ""
    text = f"Processes of each side: {plan['rounds']}{small}."
    if result["others"] is not None:
        text += f" Other programs took {result['others']:.1f} cores' worth of time meanwhile"
        text += ", so the figures are rough." if result["others"] > figures.DISTURBED else "."
    if shares := figures.stolen(result):
        disturbed = sum(share > harness.STOLEN for share in shares)
        text += f" A turn in which the machine's host kept the processors for others was repeated; of {len(shares):,} "
        text += f"turns {disturbed:,} stayed disturbed after {plan['tries']} tries."
    return text


def sides(result: Result) -> str:
    """Who took part, and who did not."""
    lines = []
    for side in result["sides"].values():
        if "missing" in side:
            lines.append(f"- {side['title']}: left out; {side['missing']}")
            continue
        facts = [" ".join(pair) for pair in side["versions"].items()]
        facts += [f"{side['threads']} threads"] if side.get("threads") else []
        facts += [f"{side['blas']}, core type {side['core']}"] if side.get("blas") else []
        facts += [f"{name}={value}" for name, value in side["environment"].items() if name.isupper()]
        facts += [side["note"]] if side.get("note") else []
        lines.append(f"- {side['title']}: {', '.join(facts)}")
    base = figures.fastest_ours(result)
    if base != "ours":
        lines += ["", f"*Ours* in the ratios: {result['sides'][base]['title']}."]
    return "\n".join(lines) + "\n"


def plain_table(topic: Topic, result: Result) -> str:
    """A line for each case and part of it, a column for each side, and what it is against ours."""
    in_memory = topic.unit == "MiB"
    ratio = figures.times_larger if in_memory else figures.times_faster
    names = figures.measured(result)
    base = figures.fastest_ours(result)
    several = any(len(figures.parts(case)) > 1 for case in result["cases"])
    heads = [*topic.labels(result["cases"][0]), *(["part"] if several else [])]
    columns = [f"{result['sides'][name]['title']}, {topic.unit}" for name in names]
    titles = [heading for name, column in zip(names, columns) for heading in _headings(name, column, result, in_memory)]
    lines = []
    for case in result["cases"]:
        for part in (part for part in figures.parts(case) or ["-"] if part != "all"):
            cells = [*topic.labels(case).values(), *([part] if several else [])]
            for name in names:
                cells += _cells(case, base, name, part, topic.scale, ratio)
            lines.append(cells)
    return table([*heads, *titles], lines, left=len(heads))


def _headings(name: str, column: str, result: Result, in_memory: bool) -> list[str]:
    if name.startswith("ours"):
        return [column]
    title = result["sides"][name]["title"]
    if in_memory:
        return [column, f"ours ÷ {title}"]
    return [f"{column}: best (median)" if not SIDES[name].peer else column, f"{title} ÷ ours"]


def _cells(case: dict[str, Any], base: str, name: str, part: str, scale: float, ratio: figures.Ratio) -> list[str]:
    found = figures.figures(case, name, part)
    if name.startswith("ours"):
        return [number(found["median"] * scale) if found else "–"]
    if not found:
        return ["–", "–"]
    times = ratio(case, base, name, part)
    shown = number(scale * found["median"])
    if ratio is figures.times_faster:
        shown = number(scale * found["best"]) + (f" ({shown})" if not SIDES[name].peer else "")
    return [shown, number(times) if times is not None else "–"]


def remarks(result: Result) -> list[str]:
    """Who could not run what, and why: a line for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for case in result["cases"]:
        for name, outcome in case["results"].items():
            for kind, verb in (("cannot", "cannot"), ("failed", "failed"), ("left_out", "was not asked")):
                if kind in outcome:
                    words = f"{result['sides'][name]['title']} {verb}: {outcome[kind]}"
                    reasons.setdefault((name, words), []).append(case["name"])
    return ["", *(f"- {words} ({'; '.join(names)})" for (_, words), names in reasons.items())] if reasons else []


def load(folder: Path = topics.RESULTS) -> dict[str, Result]:
    """All figures that are kept."""
    found = {name: topics.load(topics.path(name, folder)) for name in TOPICS}
    return {name: result for name, result in found.items() if result is not None}


def write(page_file: Path = PAGE, folder: Path = topics.RESULTS) -> None:
    """Write RESULTS.md anew from the figures that are kept."""
    page_file.write_text(page(load(folder), topics.load(topics.path("cifar10", folder))), encoding="utf-8")


def sections(results: Sequence[Result]) -> str:
    """The sections of some topics, and what they say of the figures to reach."""
    found = {result["topic"]: result for result in results}
    texts = [section(TOPICS[name], result) for name, result in found.items()]
    return "\n".join([*texts, "## Figures to reach\n", goals.table(found)])
