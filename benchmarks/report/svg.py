"""Matplotlib figures as SVG: made without a screen, reproducible, fit to stand in a page with two colour schemes."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

from lm_envs.errors import MissingDependencyError

Drawing = TypeVar("Drawing", bound=Callable[..., str])

INK = "#24292f"
"""Lettering and axes."""
GRID = "#d8dee4"
"""Lines behind the data."""

_SETTINGS: Any = {
    "svg.fonttype": "none",  # letters stay letters: they can be searched, read aloud and take the page's colour
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def in_style(draw: Drawing) -> Drawing:
    """Let a function draw in the report's style, whatever Matplotlib is set to elsewhere.

    Raises:
        MissingDependencyError: By the function, where Matplotlib is not installed.
    """

    @functools.wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> str:
        try:
            import matplotlib
        except ImportError as error:
            raise MissingDependencyError.for_package("matplotlib", "benchmarks", "the report's figures") from error
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return draw(*args, **kwargs)

    return drawn  # type: ignore[return-value]


def new_figure(width: float, height: float) -> Any:
    """An empty figure.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: Any, name: str) -> str:
    """A figure as an SVG element without a date; its ids begin with ``name``, so that figures can share a page."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    text = re.sub(r'\bid="', f'id="{name}-', text[text.index("<svg") :])
    text = re.sub(r'\bhref="#', f'href="#{name}-', text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text.replace("url(#", f"url(#{name}-")


def as_file(svg: str) -> str:
    """An SVG as a file that stands alone, on white."""
    start = svg.index(">") + 1
    ground = '\n <rect width="100%" height="100%" fill="#ffffff"/>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg[:start]}{ground}{svg[start:]}'


def as_element(svg: str, description: str) -> str:
    """An SVG as a part of an HTML page: in the page's colours and as wide as there is room, with a description."""
    text = svg.replace(INK, "currentColor").replace(GRID, "var(--line)")
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)
