"""Tokens per second against a size, on two logarithmic scales, with the fitted growth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.atomic_files import write_atomically
from benchmarks.report.svg import as_file, in_style, new_figure, to_svg
from benchmarks.speed_report import AXES, PHASES, cost

COLORS = {"rollout": "#56b4e9", "update": "#d55e00", "end_to_end": "#0072b2"}
MARKERS = {"project": "o", "textbook": "s"}


def write_figure(result: dict[str, Any], picture: Path) -> Path:
    """Draw a result of ``python -m benchmarks speed``.

    Args:
        result: With ``table``, ``points`` and ``fits``.
        picture: The SVG file.

    Returns:
        ``picture``.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    write_atomically(picture, as_file(draw_speed(result)))
    return picture


@in_style
def draw_speed(result: dict[str, Any]) -> str:
    """Points are medians, bars reach from the least to the greatest; lines are the fit ``a + b n`` of the cost."""
    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    for system in sorted({point["system"] for point in result["points"]}):
        for phase in PHASES if system == "project" else ("end_to_end",):
            _draw(axes, result, system, phase)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes := sorted({point["size"] for point in result["points"]}), [_short(size) for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(AXES[result["table"]])
    axes.set_ylabel("tokens/s")
    axes.grid(True)
    axes.legend()
    return to_svg(figure, f"speed-{result['table']}")


def _draw(axes: Any, result: dict[str, Any], system: str, phase: str) -> None:
    points = [point for point in result["points"] if point["system"] == system]
    sizes = np.array([point["size"] for point in points])
    median, low, high = (np.array([point[phase][key] for point in points]) for key in ("median", "min", "max"))
    label = PHASES[phase] if system == "project" else f"{PHASES[phase]}, {system} policy"
    color = COLORS[phase] if system == "project" else "#7f7f7f"
    axes.errorbar(
        sizes, median, [median - low, high - median], fmt=MARKERS[system], color=color, markersize=4.5, label=label
    )
    for fit in result["fits"]:
        if (fit["system"], fit["phase"]) == (system, phase):
            along = np.geomspace(sizes.min(), sizes.max(), 60)
            seconds = fit["constant"] + fit["slope"] * along
            axes.plot(
                along, [cost(result["table"], n, 1) / s for n, s in zip(along, seconds, strict=True)], color=color
            )


def _short(size: float) -> str:
    """``1,024`` as it is, a million as ``1M``."""
    if size < 1e5:
        return f"{size:,.0f}"
    return f"{size / 1e6:.0f}M" if size >= 1e7 else f"{size / 1e6:.2g}M"
