"""What one sees while cells run: a line for each that ends, and below them a bar with an estimate."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from benchmarks.suite.cases import Cell

REASON_LINES = 1  # of a failure's text, its last ones, shown at once; all of it comes at the end


class Progress:
    """Tells of cells as they end.

    Args:
        console: Where to.
        jobs: How many cells run side by side, for the estimate.
    """

    def __init__(self, console: Console, jobs: int = 1) -> None:
        self._console = console
        self._jobs = jobs
        self._seconds: list[float] = []
        self._left = 0
        self._task: Any = None
        columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)

    @contextlib.contextmanager
    def of(self, wanted: int, waiting: int) -> Iterator[None]:
        """Show the bar while cells run.

        Args:
            wanted: How many cells there are.
            waiting: How many of them are to be run.
        """
        self._left = waiting
        self._console.print(f"{wanted} cells, {wanted - waiting} finished already, {waiting} to run")
        with self._bar:
            self._task = self._bar.add_task("", total=wanted, completed=wanted - waiting, left="")
            yield

    def done(self, cell: Cell, result: dict[str, Any]) -> None:
        """A cell has its result."""
        self._seconds.append(result["seconds"])
        self._advance(f"{cell.name}: {cell.case.score} {score_in_words(result)}, {result['seconds']:.0f} s")

    def failed(self, cell: Cell, reason: str) -> None:
        """A cell has failed."""
        self._advance(f"{cell.name}: FAILED: {last_lines(reason, REASON_LINES)}")

    def _advance(self, line: str) -> None:
        self._left -= 1
        self._console.print(f"{line} ({self._left} left{self._estimate()})", markup=False, highlight=False)
        self._bar.update(self._task, advance=1, left=self._estimate().removeprefix(", "))

    def _estimate(self) -> str:
        if not self._left or not self._seconds:
            return ""
        seconds = statistics.mean(self._seconds) * self._left / self._jobs
        return f", about {in_words(seconds)}"


def score_in_words(result: Mapping[str, Any]) -> str:
    """A result's score; it is not defined where it is a mean over nothing."""
    return "undefined" if result["score"] is None else f"{result['score']:.3f}"


def in_words(seconds: float) -> str:
    """Such as ``"40 s"``, ``"12 min"``, ``"2 h 05 min"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def last_lines(text: str, n: int) -> str:
    """The last lines of a text that are not blank."""
    return "\n".join([line for line in text.strip().split("\n") if line.strip()][-n:])
