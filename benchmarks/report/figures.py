"""The report's figures, as SVG texts that are the same to the last byte for the same numbers.

Lettering, axes and grids have two colours of their own, which :mod:`benchmarks.report.svg` replaces in the HTML page by
those of the page's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.evaluation.estimates import Estimate
from benchmarks.report.styles import style
from benchmarks.report.svg import INK, in_style, new_figure, to_svg

Array = npt.NDArray[np.float64]

WIDTH = 5.4  # inches; a phone shows it at two thirds of its size
SHADE = 0.16
CUT = 0.2  # how far below all algorithms a baseline's bar is cut off
CUT_OFF = "\N{LEFTWARDS ARROW}"
BELOW = "\N{DOWNWARDS ARROW}"


@in_style
def bars(name: str, estimates: Mapping[str, Estimate], reference: Mapping[str, Estimate], label: str) -> str:
    """Horizontal bars with 95% intervals: algorithms, and baselines below them in grey.

    A baseline far below all algorithms, as random actions are, is cut off: its number says where it ends.

    Args:
        name: Of the figure.
        estimates: Of each algorithm, in order.
        reference: Of each baseline, in order.
        label: Of the axis.
    """
    rows = {**estimates, **reference}
    figure = new_figure(WIDTH, 0.7 + 0.3 * len(rows))
    axes = figure.subplots()
    lowest = min(0.0, *(_low(each) for each in estimates.values())) - CUT
    for y, (row, estimate) in enumerate(rows.items()):
        alpha = 0.9 if row in estimates else 0.45
        cut = estimate.mean < lowest
        axes.barh(y, max(estimate.mean, lowest), height=0.66, color=style(row).color, alpha=alpha)
        if estimate.low is not None and estimate.high is not None and not cut:
            axes.plot([estimate.low, estimate.high], [y, y], color=INK, linewidth=1.4, marker="|", markersize=6)
        ends = [0.0, estimate.mean, estimate.high or 0.0]
        number = f"{CUT_OFF} {_signed(estimate.mean)}" if cut else _signed(estimate.mean)
        axes.annotate(number, (max(ends), y), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(rows)), [style(row).label for row in rows])
    axes.invert_yaxis()
    axes.axvline(0.0, color=INK, linewidth=0.8)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, lowest), high + 0.1 * (high - low))  # room for the numbers
    axes.set_xlabel(label)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return to_svg(figure, name)


@in_style
def profiles(name: str, found: Mapping[str, Array], thresholds: Array) -> str:
    """Performance profiles: for each algorithm, the share of runs above each normalised score."""
    axes = _lines(found, thresholds)
    axes.set_xlabel("normalised score")
    axes.set_ylabel("share of runs above it")
    axes.set_xlim(thresholds[0], thresholds[-1])
    axes.set_ylim(0.0, 1.02)
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
    return to_svg(axes.figure, name)


@in_style
def efficiency(name: str, found: Mapping[str, Array], shares: Array) -> str:
    """Sample efficiency: for each algorithm, the interquartile mean against the share of the budget."""
    axes = _lines(found, 100 * shares)
    axes.set_xlabel("share of the case's steps, %")
    axes.set_ylabel("interquartile mean")
    axes.set_xlim(0.0, 100.0)
    axes.axhline(0.0, color=INK, linewidth=0.8, linestyle=":")
    return to_svg(axes.figure, name)


@in_style
def improvement(found: Mapping[tuple[str, str], Estimate], algorithms: Sequence[str]) -> str:
    """How probable it is that the algorithm of a row beats that of a column, as a matrix."""
    from matplotlib import colormaps

    n = len(algorithms)
    figure = new_figure(WIDTH, 0.9 + 0.42 * n)
    axes = figure.subplots()
    colors = colormaps["PuOr"]
    for row, first in enumerate(algorithms):
        for column, second in enumerate(algorithms):
            if (first, second) in found:
                value = found[first, second].mean
                color = colors(0.15 + 0.7 * (1 - value))
                dark = np.dot(color[:3], (0.299, 0.587, 0.114)) < 0.5
                axes.fill([column, column + 1, column + 1, column], [row, row, row + 1, row + 1], color=color)
                text = "#ffffff" if dark else "#000000"
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=text)
    names = [style(name).label for name in algorithms]
    axes.set_xticks(np.arange(n) + 0.5, names)
    axes.set_yticks(np.arange(n) + 0.5, names)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)
    axes.spines[:].set_visible(False)
    return to_svg(figure, "improvement")


@in_style
def learning_curves(
    name: str, curves: Mapping[str, Array], steps: Array, baselines: Mapping[str, float], labels: tuple[str, str]
) -> str:
    """The curves of a case: mean over seeds with 95% intervals, and baselines as horizontal lines.

    A baseline that would take more than half of the height for itself is left below, with its number.

    Args:
        name: Of the case.
        curves: Value, low and high end ``(3, n_points)`` of each algorithm.
        steps: ``(n_points,)``.
        baselines: Mean scores.
        labels: Of the two axes.
    """
    axes = _lines(curves, steps, every=max(1, (len(steps) - 1) // 4))
    ordered = sorted(baselines, key=lambda baseline: baselines[baseline])
    below = _far_below([baselines[baseline] for baseline in ordered], list(curves.values()))
    for baseline in ordered[below:]:
        value = baselines[baseline]
        axes.axhline(value, color=style(baseline).color, linestyle=style(baseline).dashes, linewidth=1.1, zorder=1)
    low, high = axes.get_ylim()
    places = _apart([max(low, baselines[baseline]) for baseline in ordered], 0.062 * (high - low))
    for i, (baseline, y) in enumerate(zip(ordered, places, strict=True)):
        label = style(baseline).label
        axes.annotate(
            f"{BELOW} {label} {_signed(baselines[baseline])}" if i < below else label,
            (1.0, y), (4, 0), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip
    axes.set_xlim(0, steps[-1])
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    return to_svg(axes.figure, f"curves-{name}")


def _lines(found: Mapping[str, Array], x: Array, every: int = 5) -> Any:
    """A line with a shade for each algorithm, and a legend below."""
    columns = min(4, max(1, len(found)))
    rows = -(-len(found) // columns)
    figure = new_figure(WIDTH, 3.1 + 0.22 * rows)
    axes = figure.subplots()
    for i, (name, (value, low, high)) in enumerate(found.items()):
        look = style(name)
        axes.fill_between(x, low, high, color=look.color, alpha=SHADE, linewidth=0)
        axes.plot(
            x, value, color=look.color, linestyle=look.dashes, linewidth=1.7, label=look.label,
            marker=look.marker, markersize=5, markevery=(i % every, every), zorder=3,
        )  # fmt: skip
    axes.grid()
    if found:
        figure.legend(loc="outside lower center", ncols=columns, handlelength=2.8)
    return axes


def _far_below(baselines: Sequence[float], curves: Sequence[Array]) -> int:
    """How many of the rising baselines lie farther below all that is above them than that is high."""
    ends = [float(end) for curve in curves for end in (curve.min(), curve.max())]
    for i in range(len(baselines), 0, -1):
        above = [*baselines[i:], *ends]
        if above and min(above) - baselines[i - 1] > max(above) - min(above) > 0:
            return i
    return 0


def _apart(values: Sequence[float], distance: float) -> list[float]:
    """Rising values, moved so that neighbours keep a distance: halfway between a sweep upwards and one downwards."""
    up, down = list(values), list(values)
    for i in range(1, len(values)):
        up[i] = max(up[i], up[i - 1] + distance)
        down[-1 - i] = min(down[-1 - i], down[-i] - distance)
    return [(a + b) / 2 for a, b in zip(up, down, strict=True)]


def _low(estimate: Estimate) -> float:
    return estimate.mean if estimate.low is None else estimate.low


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
