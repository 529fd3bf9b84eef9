"""Cells in processes of this machine, each with one thread."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from benchmarks.engines.protocol import RETRIES, OnDone, OnFailure
from benchmarks.suite.cases import Cell
from benchmarks.suite.running import run_cell
from lm_envs.errors import ConfigurationError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class LocalEngine:
    """Runs cells side by side; each place has a process of its own, so that it is known whose process died.

    Args:
        jobs: How many cells run side by side; None for as many as this process has cores.
        retries: How often a cell is run again whose process died.
        work: What is done with a cell.

    Raises:
        ConfigurationError: A number that cannot work.
    """

    def __init__(
        self,
        jobs: int | None = None,
        retries: int = RETRIES,
        work: Callable[[Cell], dict[str, Any]] = run_cell,
    ) -> None:
        for name, value, least in (("jobs", jobs, 1), ("retries", retries, 0)):
            if value is not None and value < least:
                raise ConfigurationError(f"{name} must be at least {least}; got {value}.")
        self.jobs = jobs or available_cores()
        self.retries = retries
        self._work = work

    def run(self, cells: Sequence[Cell], on_done: OnDone, on_failure: OnFailure) -> None:
        """Run every cell; see :class:`benchmarks.engines.protocol.Engine`."""
        waiting, deaths = deque(cells), Counter[str]()
        with _places(min(self.jobs, len(cells))) as places:
            running: dict[Future[dict[str, Any]], tuple[_Place, Cell]] = {}
            while waiting or running:
                busy = {place for place, _ in running.values()}
                for place in [place for place in places if place not in busy][: len(waiting)]:
                    cell = waiting.popleft()
                    running[place.submit(self._work, cell)] = place, cell
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    place, cell = running.pop(future)
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        place.renew()
                        deaths[cell.name] += 1
                        if deaths[cell.name] <= self.retries:
                            waiting.appendleft(cell)
                            continue
                    _tell(cell, future, _died(deaths[cell.name]), on_done, on_failure)


def _tell(cell: Cell, ended: Future[dict[str, Any]], died: str, on_done: OnDone, on_failure: OnFailure) -> None:
    """Pass on what became of a cell."""
    error = ended.exception()
    if error is None:
        on_done(cell, ended.result())
    elif isinstance(error, BrokenProcessPool):
        on_failure(cell, died)
    else:
        on_failure(cell, "".join(traceback.format_exception(error)))


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Place:
    """A process that runs one cell after the other; another one takes its place when it dies.

    Args:
        scratch: Where the process puts temporary files.
    """

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self.renew()

    def renew(self) -> None:
        """Go on with a new process."""
        processes = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=processes, initializer=_begin_worker, initargs=(self._scratch,))
        self._process_id: Future[int] = self._pool.submit(os.getpid)

    def submit(self, work: Callable[[Cell], dict[str, Any]], cell: Cell) -> Future[dict[str, Any]]:
        """Run a cell."""
        try:
            return self._pool.submit(work, cell)
        except BrokenProcessPool:  # it died while it had nothing to do
            self.renew()
            return self._pool.submit(work, cell)

    def close(self, kill: bool) -> None:
        """End the process; with ``kill`` in the middle of what it does."""
        if kill and self._process_id.done() and self._process_id.exception() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process_id.result(), signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _places(n: int) -> Iterator[list[_Place]]:
    """Processes that are gone afterwards, also where the block is left by an exception, such as after ctrl-C."""
    own = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # libraries read them when a process begins
    scratch = tempfile.TemporaryDirectory(prefix="lm_envs_cells_", ignore_cleanup_errors=True)
    places = [_Place(scratch.name) for _ in range(n)]
    kill = True
    try:
        yield places
        kill = False
    finally:
        for place in places:
            place.close(kill)
        scratch.cleanup()  # where killed processes left what they had
        for name, value in own.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin_worker(scratch: str) -> None:
    """Leave ctrl-C and the removal of temporary files to the parent, and end with it, however it ends."""
    tempfile.tempdir = scratch
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _died(times: int) -> str:
    return (
        f"its process died, {times} times. Was it killed for want of memory? Run fewer side by side: --jobs 1. What it "
        "wrote above may say more."
    )
