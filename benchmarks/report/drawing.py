"""Which figures a report has: their names, descriptions and SVG texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.report import figures
from benchmarks.report.analysis import Analysis
from benchmarks.report.formats import counted
from benchmarks.report.grid import SHARES, Grid
from benchmarks.report.svg import as_element, as_file


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: Of its file, without its ending.
        description: What it shows, for those who do not see it.
        svg: Its text.
    """

    name: str
    description: str
    svg: str

    @property
    def element(self) -> str:
        """As a part of the HTML page."""
        return as_element(self.svg, self.description)

    @property
    def file(self) -> str:
        """As a file of its own."""
        return as_file(self.svg)


def drawings(grid: Grid, analysis: Analysis) -> dict[str, Drawing]:
    """All figures by name; those that compare algorithms are missing where no case is common to them."""
    made = [
        *([main_drawing(analysis)] if analysis.together.cases else []),
        *_comparisons(grid, analysis),
        *(_curves(grid, analysis, case) for case in grid.cases if _learned(grid, analysis, case)),
    ]
    return {drawing.name: drawing for drawing in made}


def main_drawing(analysis: Analysis) -> Drawing:
    """The interquartile means of all algorithms on the cases that they have in common."""
    together = analysis.together
    label = f"interquartile mean of the normalised score, {counted(len(together.cases), 'case')}"
    return Drawing("iqm", f"Bars: {label}", figures.bars("iqm", together.iqm, together.baselines, label))


def _comparisons(grid: Grid, analysis: Analysis) -> list[Drawing]:
    together = analysis.together
    counts = {name: f" ({len(cases)})" for name, cases in analysis.own_cases.items()}
    label = "interquartile mean, each on the number of cases in brackets"
    found = []
    if analysis.own_iqm:
        bars = figures.bars("iqm-own-cases", analysis.own_iqm, {}, label, counts)
        found.append(Drawing("iqm-own-cases", f"Bars: {label}", bars))
    if together.cases:
        profiles = figures.profiles(together.profiles, together.thresholds)
        efficiency = figures.efficiency(together.efficiency, SHARES)
        found.append(Drawing("profiles", "Lines: share of runs above each normalised score", profiles))
        found.append(Drawing("efficiency", "Lines: interquartile mean against the share of the steps", efficiency))
    if analysis.improvement:
        matrix = figures.improvement(analysis.improvement, analysis.algorithms)
        found.append(Drawing("improvement", "Matrix: probability that the row beats the column", matrix))
    return found


def _learned(grid: Grid, analysis: Analysis, case: str) -> dict[str, Any]:
    return {name: analysis.curves[case, name] for name in grid.algorithms if (case, name) in analysis.curves}


def _curves(grid: Grid, analysis: Analysis, case: str) -> Drawing:
    info = grid.cases[case]
    baselines = {name: analysis.means[case, name].mean for name in grid.baselines if (case, name) in analysis.means}
    steps = np.asarray(SHARES * info["steps"])
    drawn = figures.learning_curves(case, _learned(grid, analysis, case), steps, baselines, ("steps", info["score"]))
    return Drawing(f"curves-{case}", f"Learning curves: {info['title']}", drawn)
