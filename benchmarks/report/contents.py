"""What the report says, section by section, ready for its templates."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from agents.evaluation.estimates import Estimate
from benchmarks.machine import PACKAGES
from benchmarks.report import statistics
from benchmarks.report.analysis import Analysis, Comparison
from benchmarks.report.drawing import PREFIXES
from benchmarks.report.formats import counted, duration, interval, labels, listed, memory, number, with_interval
from benchmarks.report.gpu import gpu_devices, gpu_files
from benchmarks.report.grid import CellResult, Grid, mean_of_metric
from benchmarks.report.styles import VALUE_LEARNERS, style

Section = dict[str, Any]

ENOUGH_SEEDS = 10
"""With fewer runs, a percentile interval of their mean covers less than it says."""


def contents(grid: Grid, analysis: Analysis) -> dict[str, Any]:
    """Everything but the figures.

    Args:
        grid: The cells.
        analysis: Their statistics.
    """
    return {
        "set": grid.suite["set"],
        "introduction": introduction(grid),
        "findings": findings(grid, analysis),
        "iqm": iqm_rows(grid, analysis),
        "scores": score_table(grid, analysis),
        "improvement": improvement_rows(analysis),
        "comparisons": comparisons(grid, analysis),
        "apart": apart(grid, analysis),
        "texts": texts(grid),
        "cost": cost_table(grid),
        "machines": machines(grid),
        "commits": commits(grid),
        "changed": any(commit.endswith("+") for commit, _ in commits(grid)),
        "gpu": {"devices": gpu_devices(grid), "files": gpu_files(grid)},
        "commands": commands(grid),
        "missing": missing_rows(grid),
        "problems": problems(grid),
        "resamples": f"{statistics.N_RESAMPLES:,}",
        "run_command": grid.suite["command"],
        "report_command": f"python -m benchmarks report {shlex.quote(_shown_folder(grid))}",
    }


def introduction(grid: Grid) -> list[str]:
    """What was run, in sentences."""
    suite = grid.suite
    cells = list(grid.cells.values())
    days = sorted({cell["machine"]["date"][:10] for cell in cells})
    wall, processor = (sum(cell[key] for cell in cells) for key in ("seconds", "processor_seconds"))
    dates = f"on {days[0]}" if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    return [
        f"The set {suite['set']} trains the model {suite['model']} on {counted(len(grid.cases), 'case')} with "
        f"{counted(len(grid.algorithms), 'algorithm')} ({labels(grid.algorithms)}), {counted(len(grid.seeds), 'seed')} "
        "each, and measures the outcome on held-out prompts, beside "
        f"{counted(len(grid.baselines), 'baseline')} ({labels(grid.baselines)}).",
        f"{len(cells):,} of {counted(len(grid.declared()), 'cell')} are finished; a cell is one algorithm or baseline "
        f"with one seed on one case. Their wall times add up to {duration(wall)}, their processor times to "
        f"{duration(processor)}; they ended {dates}.",
    ]


def findings(grid: Grid, analysis: Analysis) -> list[str]:
    """What stands out, in sentences that say no more than the intervals do."""
    sentences = []
    if absent := [name for name in grid.algorithms if name not in analysis.algorithms]:
        sentences.append(f"Without a cell that can be compared, and left out of what follows: {labels(absent)}.")
    if not analysis.comparisons:
        return [*sentences, "No case was finished by all algorithms so far: they are compared in pairs only."]
    return [*sentences, *(sentence for found in analysis.comparisons for sentence in _findings(found))]


def _findings(found: Comparison) -> list[str]:
    iqm = found.iqm
    best, *others = sorted(iqm, key=lambda name: iqm[name].mean, reverse=True)
    highest = (
        f"On the {counted(len(found.cases), 'case')} that {labels(iqm)} ran on, the interquartile mean of the "
        f"normalised score is highest for {style(best).label}: {with_interval(iqm[best])}."
    )
    if not all(map(interval, iqm.values())):
        return [highest, "A case has a single run, so there is no interval, and differences may be chance."]
    if close := [name for name in others if _overlap(iqm[best], iqm[name])]:
        return [highest, f"Its interval overlaps with {'that' if len(close) == 1 else 'those'} of {labels(close)}."]
    return [highest]


def comparisons(grid: Grid, analysis: Analysis) -> list[Section]:
    """Who is compared on what, and where the figures are."""
    return [
        {
            "prefix": prefix,
            "algorithms": labels(found.iqm),
            "where": _where(grid, found.cases),
            "cases": counted(len(found.cases), "case"),
            "heading": f"IQM, {counted(len(found.cases), 'case')}",
        }
        for prefix, found in zip(PREFIXES, analysis.comparisons, strict=False)
    ]


def _where(grid: Grid, cases: Sequence[str]) -> str:
    if len(cases) == len(grid.cases):
        return "on all cases of the set"
    return "on all of these cases: " + "; ".join(grid.cases[case]["title"] for case in cases)


def iqm_rows(grid: Grid, analysis: Analysis) -> list[Section]:
    """The interquartile mean of each algorithm in each comparison."""
    return [
        {
            "label": style(name).label,
            "estimates": [with_interval(found.iqm.get(name)) for found in analysis.comparisons],
            "cases": len(analysis.own_cases[name]),
            "runs": sum(len(grid.of(case, name)) for case in analysis.own_cases[name]),
        }
        for name in analysis.algorithms
    ]


def apart(grid: Grid, analysis: Analysis) -> list[str]:
    """What sets algorithms apart besides what they are: cases left out, parts of the model trained; in sentences."""
    sentences = [*_decoding(grid), *_trained_parts(grid)]
    for name in grid.algorithms:
        never = [case["title"] for case in grid.cases.values() if name not in case["algorithms"]]
        if never:
            sentences.append(f"{style(name).label} is not declared for: {'; '.join(never)}.")
    starts = {name: grid.untrained(name) for name in grid.cases}
    unknown = [case["title"] for name, case in grid.cases.items() if starts[name] is None]
    perfect = [case["title"] for name, case in grid.cases.items() if starts[name] == case["best"]]
    if unknown:
        sentences.append(
            f"The untrained policy was not measured, so there is no normalised score, on: {'; '.join(unknown)}."
        )
    if perfect:
        sentences.append(
            f"The untrained policy is the best possible, so there is no normalised score, on: {'; '.join(perfect)}."
        )
    return sentences


def _trained_parts(grid: Grid) -> list[str]:
    """Where algorithms do not train the same part of the model: cases with the same parts in one sentence."""
    found: dict[str, list[str]] = {}
    for case, info in grid.cases.items():
        parts: dict[str, list[str]] = {}
        for name in info["algorithms"]:
            for cell in grid.of(case, name)[:1]:
                parts.setdefault(str(cell["settings"]["train"].get("trainable")), []).append(name)
        if len(parts) > 1:
            said = ", ".join(f"{_part(part)} by {labels(names)}" for part, names in parts.items())
            found.setdefault(said, []).append(info["title"])
    return [
        f"Algorithms do not train the same part of the model: {said}, on: {'; '.join(titles)}."
        for said, titles in found.items()
    ]


def _decoding(grid: Grid) -> list[str]:
    """Which algorithms act greedily, and choose among a few tokens only."""
    learned = [cell for cell in grid.cells.values() if cell["kind"] == "learned"]
    measured = {cell["algorithm"] for cell in learned}
    sentences = []
    if values := [name for name in grid.algorithms if name in measured & set(VALUE_LEARNERS)]:
        sentences.append(
            f"Measured greedily, by the action of the highest value: {labels(values)}. The other algorithms and the "
            "untrained model sample; where the agent writes, greedy decoding alone is a baseline."
        )
    if wrapped := [cell for cell in learned if cell["settings"]["train"].get("env_wrapper")]:
        names = list(dict.fromkeys(cell["algorithm"] for cell in wrapped))
        titles = list(dict.fromkeys(grid.cases[cell["case"]]["title"] for cell in wrapped))
        sentences.append(
            "Choosing among the pretrained model's likeliest tokens only, where the others choose among all: "
            f"{labels(names)}, on: {'; '.join(titles)}."
        )
    return sentences


def _part(trainable: str) -> str:
    """What the policy's argument ``trainable`` means."""
    if trainable.startswith("top:"):
        return f"the last {counted(int(trainable.removeprefix('top:')), 'layer')}"
    return {"all": "the whole model", "heads": "heads alone", "lora": "an adapter"}.get(trainable, trainable)


def score_table(grid: Grid, analysis: Analysis) -> Section:
    """Mean scores: a row for each case, a column for each algorithm and baseline."""
    names = [*grid.algorithms, *grid.baselines]
    rows = []
    for case, info in grid.cases.items():
        learned = {name: analysis.means[case, name].mean for name in grid.algorithms if (case, name) in analysis.means}
        highest = max(learned.values(), default=None)
        rows.append(
            {
                "title": info["title"],
                "name": case,
                "score": info["score"],
                "best": f"{info['best']:g}",
                "cells": [_score_cell(grid, analysis, case, name, learned.get(name) == highest) for name in names],
            }
        )
    return {"algorithms": _labels(grid.algorithms), "baselines": _labels(grid.baselines), "rows": rows}


def _score_cell(grid: Grid, analysis: Analysis, case: str, name: str, highest: bool) -> Section:
    """One algorithm on one case, or why there is nothing."""
    n = len(grid.of(case, name))
    nothing = dict.fromkeys(("absent", "value", "interval", "normalised", "normalised_interval", "highest", "note"), "")
    if not n:
        return {**nothing, "absent": "missing" if grid.declares(case, name) else ""}
    normalised = analysis.normalised.get((case, name))
    return {
        **nothing,
        "value": number(analysis.means[case, name].mean),
        "interval": interval(analysis.means[case, name]),
        "normalised": number(normalised.mean if normalised else None),
        "normalised_interval": interval(normalised) if normalised else "",
        "highest": highest and name in grid.algorithms,
        "note": f"{n} of {len(grid.seeds)} seeds" if n < len(grid.seeds) else "",
    }


def improvement_rows(analysis: Analysis) -> list[Section]:
    """Each pair of algorithms once."""
    pairs = [(one, other) for i, one in enumerate(analysis.algorithms) for other in analysis.algorithms[i + 1 :]]
    return [
        {
            "first": style(one).label,
            "second": style(other).label,
            "estimate": with_interval(analysis.improvement.get((one, other))),
            "cases": analysis.pair_cases.get((one, other), 0),
        }
        for one, other in pairs
    ]


def texts(grid: Grid) -> list[Section]:
    """What was written before and after, by case and prompt: of each algorithm's first seed that there is."""
    return [
        {"title": info["title"], "name": case, "prompts": list(_prompts(grid, case).values())}
        for case, info in grid.cases.items()
    ]


def _prompts(grid: Grid, case: str) -> dict[str, Section]:
    found: dict[str, Section] = {}
    for name in (*grid.algorithms, *grid.baselines):
        for cell in grid.of(case, name)[:1]:
            for text in cell["texts"]:
                entry = found.setdefault(text["prompt"], {"prompt": text["prompt"], "before": {}, "after": []})
                if text.get("before") is not None:
                    key = (text["before"], number(text.get("reward_before")))
                    entry["before"].setdefault(key, []).append(style(name).label)
                row = {"label": style(name).label, "text": text["after"], "reward": number(text.get("reward_after"))}
                entry["after"].append({**row, "seed": cell["seed"]})
    for entry in found.values():
        befores = entry["before"].items()
        entry["before"] = [
            {"text": text, "reward": reward, "label": "before" if len(befores) == 1 else f"before {listed(names)}"}
            for (text, reward), names in befores
        ]
    return found


def cost_table(grid: Grid) -> Section:
    """Seconds, speed and memory of a run: a row for each case."""
    names = [*grid.algorithms, *grid.baselines]
    rows = [
        {
            "title": info["title"],
            "steps": _steps(grid, case),
            "cells": [_cost_cell(grid.of(case, name)) for name in names],
        }
        for case, info in grid.cases.items()
    ]
    totals = [_total_time([cell for case in grid.cases for cell in grid.of(case, name)]) for name in names]
    return {
        "algorithms": _labels(grid.algorithms),
        "baselines": _labels(grid.baselines),
        "rows": rows,
        "totals": totals,
    }


def _steps(grid: Grid, case: str) -> str:
    """The declared steps; where training ended later, with its last whole rollout, up to which."""
    declared = grid.cases[case]["steps"]
    taken = [cell["steps"] for name in grid.algorithms for cell in grid.of(case, name)]
    most = max(taken, default=declared)
    return f"{declared:,}" if most == declared else f"{declared:,} to {most:,}"


def _total_time(cells: list[CellResult]) -> str:
    return duration(sum(cell["seconds"] for cell in cells)) if cells else ""


def _cost_cell(cells: list[CellResult]) -> Section:
    if not cells:
        return {"seconds": "", "processor": "", "speed": "", "memory": ""}
    seconds = fmean(cell["seconds"] for cell in cells)
    learned = cells[0]["kind"] == "learned"
    steps = fmean(cell["steps"] for cell in cells) if learned else 0.0
    return {
        "seconds": duration(seconds),
        "processor": duration(mean_of_metric(cells, "processor_seconds")),
        "speed": f"{steps / seconds:,.0f} steps/s" if learned and seconds else "",
        "memory": memory(mean_of_metric(cells, "peak_memory")),
    }


def machines(grid: Grid) -> list[dict[str, str]]:
    """Each kind of machine that cells ran on, with versions of packages."""
    keys = ("device", "cpu", "cores", "system", "python", *PACKAGES)
    kinds = Counter(tuple(cell["machine"].get(key) for key in keys) for cell in grid.cells.values())
    return [
        {"cells": str(n), **{key: str(value) for key, value in zip(keys, kind, strict=True) if value is not None}}
        for kind, n in kinds.most_common()
    ]


def commits(grid: Grid) -> list[tuple[str, int]]:
    """The commits whose code ran cells, with how many each."""
    found = Counter(cell["machine"].get("commit") or "no repository" for cell in grid.cells.values())
    return found.most_common()


def commands(grid: Grid) -> list[Section]:
    """What runs each cell again, case by case; cells that are missing too."""
    return [
        {
            "title": case["title"],
            "lines": [_command(grid, case["name"], name, seed) for name, seed in _cells(grid, case)],
        }
        for case in grid.cases.values()
    ]


def _cells(grid: Grid, case: dict[str, Any]) -> list[tuple[str, int]]:
    return [(name, seed) for name in (*case["algorithms"], *case["baselines"]) for seed in grid.seeds]


def _command(grid: Grid, case: str, name: str, seed: int) -> str:
    cell = grid.cells.get((case, name, seed))
    rebuilt = f"python -m benchmarks run --set {grid.suite['set']} --only {case}/{name}/{seed}  # not finished"
    return str(cell["command"]) if cell else rebuilt


def missing_rows(grid: Grid) -> list[Section]:
    """What is declared and not there."""
    return [
        {
            "case": grid.cases[case]["title"],
            "label": style(name).label,
            "seeds": listed(map(str, seeds)),
            "command": f"python -m benchmarks run --set {grid.suite['set']} --only '{case}/{name}/*'",
        }
        for (case, name), seeds in grid.missing().items()
    ]


def problems(grid: Grid) -> list[str]:
    """What a reader has to know before trusting a number, in sentences."""
    found = []
    if grid.strangers:
        found.append(f"Left out, because suite.json does not declare them: {listed(grid.strangers)}.")
    if grid.stale:
        found.append(
            "Left out, because settings, weights or code have changed since; running the set again replaces them: "
            f"{listed(grid.stale)}."
        )
    if grid.undefined:
        found.append(f"Left out, because their score is not defined: {listed(grid.undefined)}.")
    if len(grid.seeds) == 1:
        found.append("There is one seed: no interval can be given, and differences may be chance.")
    elif len(grid.seeds) < ENOUGH_SEEDS:
        found.append(
            f"There are {len(grid.seeds)} seeds: the intervals of single cases rest on as many runs and are too narrow."
        )
    return found


def _labels(names: list[str]) -> list[str]:
    return [style(name).label for name in names]


def _overlap(one: Estimate, other: Estimate) -> bool:
    """Whether two intervals that are there have a number in common."""
    return one.low <= other.high and other.low <= one.high  # type: ignore[operator]


def _shown_folder(grid: Grid) -> str:
    """The folder as given, but nothing of the machine's file system above it."""
    return grid.folder.name if grid.folder.is_absolute() else grid.folder.as_posix()
