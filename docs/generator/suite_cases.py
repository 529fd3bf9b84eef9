"""The page with all cases of the suite, from ``benchmarks/suite/suite.yml``."""

from __future__ import annotations

import yaml

from benchmarks.suite.cases import SUITE_FILE, BenchmarkSet, load_set
from docs.generator.page import Page


def cases_page() -> Page:
    """A table for each set, then the file."""
    text = SUITE_FILE.read_text(encoding="utf-8")
    lines = ["# Cases of the suite", ""]
    for name in yaml.safe_load(text)["sets"]:
        lines += [f"## Set {name}", "", *_table(load_set(name)), ""]
    lines += ["## suite.yml", "", "```yaml", text.strip(), "```", ""]
    return Page("cases", "Cases of the suite", "what `benchmarks/suite/suite.yml` declares", "\n".join(lines))


def _table(benchmark: BenchmarkSet) -> list[str]:
    measuring = benchmark.measuring
    head = f"Model `{measuring.model}`, device `{measuring.device}`, {len(benchmark.seeds)} seeds."
    lines = [head, "", "| case | score, at best | steps | algorithms | baselines |", "|---|---|---|---|---|"]
    for case in benchmark.cases:
        names = " | ".join(", ".join(chosen) for chosen in (case.algorithms, case.baselines))
        lines.append(f"| `{case.name}`: {case.title} | `{case.score}`, {case.best:g} | {case.steps:,} | {names} |")
    return lines
