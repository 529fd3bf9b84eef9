"""The roofline plot: operations a second against operations for a byte, on two logarithmic scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.atomic_files import write_atomically
from benchmarks.report.svg import INK, as_file, in_style, new_figure, to_svg

COLORS = {"rollout": "#56b4e9", "scoring": "#009e73", "update": "#d55e00"}
MARKERS = ("o", "s", "^", "D")


def write_figure(result: dict[str, Any], picture: Path) -> Path:
    """Draw a result of ``python -m benchmarks roofline``.

    Args:
        result: With ``settings``, ``roofs`` and ``phases``.
        picture: The SVG file.

    Returns:
        ``picture``.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    write_atomically(picture, as_file(draw_roofline(result)))
    return picture


@in_style
def draw_roofline(result: dict[str, Any]) -> str:
    """The roof of the dtype that was computed in, and a point for each phase and length."""
    from matplotlib.ticker import LogLocator, NullLocator

    figure = new_figure(6.4, 4.0)
    axes = figure.subplots()
    roofs, dtype, phases = result["roofs"], result["settings"]["dtype"], result["phases"]
    ridge = roofs[dtype] / roofs["bytes"]
    intensities = [ridge, *(row["intensity"] for row in phases)]
    along = np.geomspace(min(intensities) / 3, max(intensities) * 3, 200)
    roof = np.minimum(roofs[dtype], along * roofs["bytes"]) / 1e9
    axes.plot(along, roof, color=INK, linewidth=1.4)
    labels = {"ha": "left", "va": "bottom", "fontsize": 8.5}
    axes.text(ridge, roof[-1] * 1.05, f"matrix product, {dtype}: {roof[-1]:,.0f} GFLOP/s", **labels)
    axes.text(along[0] * 1.25, roof[0], f"copy: {roofs['bytes'] / 1e9:,.1f} GB/s", **labels)
    lengths = list(dict.fromkeys(row["length"] for row in phases))
    for row in phases:
        axes.plot(
            row["intensity"], row["flops_per_second"] / 1e9, MARKERS[lengths.index(row["length"]) % len(MARKERS)],
            color=COLORS[row["phase"]], linestyle="none", label=f"{row['phase']} {row['length']}",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_locator(NullLocator())
    axes.set_ylim(top=roof[-1] * 2)
    axes.set_xlabel("operations for a byte")
    axes.set_ylabel("GFLOP/s")
    axes.grid(True)
    axes.legend(loc="lower right")
    return to_svg(figure, "roofline")
