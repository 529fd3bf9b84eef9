"""What an engine is: it runs cells, wherever that may be, and tells of each one as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from benchmarks.suite.cases import Cell

OnDone = Callable[[Cell, dict[str, Any]], None]
"""Told of a cell and of what :func:`benchmarks.suite.running.run_cell` returned."""

OnFailure = Callable[[Cell, str], None]
"""Told of a cell that failed and why: a traceback, or that its worker died once more than is retried."""

RETRIES = 2
"""How often a cell is run again whose worker died."""


class Engine(Protocol):
    """Runs cells through :func:`benchmarks.suite.running.run_cell`."""

    def run(self, cells: Sequence[Cell], on_done: OnDone, on_failure: OnFailure) -> None:
        """Run every cell; returns when all are done or have failed.

        A cell that raises is reported and the others go on. One whose worker died is run again, up to ``retries``
        times, an argument of the engine that is :data:`RETRIES` by default.

        Args:
            cells: What is to be run, in this order as far as there is one.
            on_done: Called in the calling process, in the order in which cells end.
            on_failure: Likewise.
        """
        ...
