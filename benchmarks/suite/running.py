"""Runs cells: one at a time, wherever an engine says, or all of a set that are not finished yet."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.suite.cases import Cell, unknown_score
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from benchmarks.engines.protocol import Engine
    from benchmarks.suite.cases import BenchmarkSet
    from benchmarks.suite.progress import Progress

_CLEAR_PEAK = "5"  # what /proc/PID/clear_refs takes to forget the peak of resident memory


def run_cell(cell: Cell) -> dict[str, Any]:
    """Run one cell, in any process: the numbers are the same everywhere.

    Args:
        cell: The cell.

    Returns:
        All that its file holds, see :data:`benchmarks.suite.results.KEYS`, as JSON values.

    Raises:
        ConfigurationError: The case's score is none of the metrics, or a setting cannot work.
        LMEnvsError: Anything else that the cell's settings cannot do.
    """
    from benchmarks.machine import describe_machine
    from benchmarks.suite.results import KEYS

    device = cell.measuring.device
    start, processor = time.perf_counter(), time.process_time()
    forgot = _forget_peak(device)
    with _one_thread():
        found = _run(cell)
    result = {
        "case": cell.case.name,
        "algorithm": cell.algorithm,
        "seed": cell.seed,
        "kind": cell.kind,
        "fingerprint": cell.fingerprint,
        "command": cell.command,
        "settings": cell.settings,
        **_without_nan({"score": _score(cell, found["metrics"]), **found}),
        "seconds": round(time.perf_counter() - start, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
        "peak_memory": _peak(device) if forgot else None,
        "machine": describe_machine(device),
    }
    return {key: result[key] for key in KEYS}


def run(
    benchmark: BenchmarkSet,
    cells: list[Cell],
    folder: Path,
    engine: Engine,
    progress: Progress,
) -> dict[str, str]:
    """Run the cells that have no result yet.

    Args:
        benchmark: The set.
        cells: Those of its cells that are wanted.
        folder: Where results are, and go.
        engine: What runs them.
        progress: What is told of the cells.

    Returns:
        Why cells failed, by name.

    Raises:
        ConfigurationError: The folder cannot be written, or has the results of another set; cells that have ended are
            kept.
        DataError: A file in it is damaged.
    """
    from benchmarks.machine import describe_machine
    from benchmarks.suite.results import ResultsFolder

    results = ResultsFolder(folder)
    results.prepare(benchmark, describe_machine())
    waiting = [cell for cell in cells if results.finished(cell) is None]
    failures: dict[str, str] = {}

    def done(cell: Cell, result: dict[str, Any]) -> None:
        results.write(cell, result)
        progress.done(cell, result)

    def failed(cell: Cell, reason: str) -> None:
        failures[cell.name] = reason
        progress.failed(cell, reason)

    with progress.of(len(cells), len(waiting)):
        if waiting:
            engine.run(waiting, done, failed)
    return failures


def check_device(device: str) -> None:
    """Check that there is such a device.

    Raises:
        ConfigurationError: There is none.
    """
    if device == "cpu":
        return
    import torch as th

    if not th.cuda.is_available():
        raise ConfigurationError(
            f"this set runs on {device!r}, and torch finds no GPU here. Run it on a machine that has one, or on a Ray "
            "cluster with GPUs (--engine ray --address ...); 'suite' and 'quick' run on processors."
        )


def _run(cell: Cell) -> dict[str, Any]:
    if cell.kind == "learned":
        from benchmarks.suite.learned import learn

        return learn(cell)
    from benchmarks.suite.baselines import measure_baseline

    return measure_baseline(cell)


def _score(cell: Cell, metrics: dict[str, Any]) -> float:
    if cell.case.score not in metrics:
        raise unknown_score(cell, metrics)
    return float(metrics[cell.case.score]["mean"])


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: None says that a metric is not defined."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute with one thread: sums in another order would be other numbers."""
    import torch as th

    before = th.get_num_threads()
    th.set_num_threads(1)
    try:
        yield
    finally:
        th.set_num_threads(before)


def _forget_peak(device: str) -> bool:
    """Let :func:`_peak` see what this cell takes, not an earlier one of the same process; whether that is possible."""
    if device != "cpu":
        import torch as th

        th.cuda.reset_peak_memory_stats()
        return True
    try:
        Path(f"/proc/{os.getpid()}/clear_refs").write_text(_CLEAR_PEAK)
    except OSError:
        return False
    return True


def _peak(device: str) -> int:
    from benchmarks.stopwatch import peak_memory

    return peak_memory(device)
