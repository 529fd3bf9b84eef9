"""Which figures a report has: their names, descriptions and SVG texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.report import figures
from benchmarks.report.analysis import Analysis, Comparison
from benchmarks.report.formats import counted
from benchmarks.report.grid import SHARES, Grid
from benchmarks.report.svg import as_element, as_file

PREFIXES = ("", "common-")
"""Of the names of figures, by comparison."""


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
    """All figures by name; those that compare algorithms are missing where no case is common to them.

    The first comparison has plain names; that of the cases in common, where it is another one, has ``common-`` before.
    """
    made = [
        *(drawing for i, each in enumerate(analysis.comparisons) for drawing in _comparison(each, PREFIXES[i])),
        *_improvement(analysis),
        *(_curves(grid, analysis, case) for case in grid.cases if _learned(grid, analysis, case)),
    ]
    return {drawing.name: drawing for drawing in made}


def _comparison(found: Comparison, prefix: str) -> list[Drawing]:
    label = f"interquartile mean of the normalised score, {counted(len(found.cases), 'case')}"
    bars = figures.bars(f"{prefix}iqm", found.iqm, found.baselines, label)
    profiles = figures.profiles(f"{prefix}profiles", found.profiles, found.thresholds)
    efficiency = figures.efficiency(f"{prefix}efficiency", found.efficiency, SHARES)
    return [
        Drawing(f"{prefix}iqm", f"Bars: {label}", bars),
        Drawing(f"{prefix}profiles", "Lines: share of runs above each normalised score", profiles),
        Drawing(f"{prefix}efficiency", "Lines: interquartile mean against the share of the steps", efficiency),
    ]


def _improvement(analysis: Analysis) -> list[Drawing]:
    if not analysis.improvement:
        return []
    matrix = figures.improvement(analysis.improvement, analysis.algorithms)
    return [Drawing("improvement", "Matrix: probability that the row beats the column", matrix)]


def _learned(grid: Grid, analysis: Analysis, case: str) -> dict[str, Any]:
    return {name: analysis.curves[case, name] for name in grid.algorithms if (case, name) in analysis.curves}


def _curves(grid: Grid, analysis: Analysis, case: str) -> Drawing:
    info = grid.cases[case]
    baselines = {name: analysis.means[case, name].mean for name in grid.baselines if (case, name) in analysis.means}
    steps = np.asarray(SHARES * info["steps"])
    drawn = figures.learning_curves(case, _learned(grid, analysis, case), steps, baselines, ("steps", info["score"]))
    return Drawing(f"curves-{case}", f"Learning curves: {info['title']}", drawn)
