"""Numbers as readers see them."""

from __future__ import annotations

from collections.abc import Iterable

from agents.evaluation.estimates import Estimate
from benchmarks.report.styles import style

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with its minus sign; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def interval(estimate: Estimate) -> str:
    """The ends of an interval; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{number(estimate.low)} to {number(estimate.high)}"


def with_interval(estimate: Estimate | None) -> str:
    """A value, and its interval in brackets."""
    if estimate is None:
        return number(None)
    ends = interval(estimate)
    return f"{number(estimate.mean)} ({ends})" if ends else number(estimate.mean)


def duration(seconds: float | None) -> str:
    """Seconds up to two minutes, then minutes, then hours."""
    if seconds is None:
        return number(None)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def memory(n_bytes: float | None) -> str:
    """Bytes as MiB."""
    return number(None) if n_bytes is None else f"{n_bytes / 2**20:,.0f} MiB"


def counted(n: int, noun: str) -> str:
    """A number with its noun."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(words: Iterable[str]) -> str:
    """Words with commas and ``and``."""
    *some, last = words
    return f"{', '.join(some)} and {last}" if some else last


def labels(names: Iterable[str]) -> str:
    """What algorithms or baselines are called, one after the other."""
    return listed(style(name).label for name in names)
