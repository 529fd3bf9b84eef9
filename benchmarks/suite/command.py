"""``python -m benchmarks run``: all cells of a set that are not finished yet."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.suite.cases import BenchmarkSet, Cell, chosen, load_set
from benchmarks.suite.progress import Progress, score_in_words
from benchmarks.suite.results import ResultsFolder
from benchmarks.suite.running import check_device, run
from lm_envs.errors import LMEnvsError

DEFAULT_FOLDER = Path("runs") / "benchmarks"
INTERRUPTED = 130  # a shell's status for ctrl-C


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Raises:
        SystemExit: Status 1 where a cell failed or something cannot work, 130 after ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    settings = _parser().parse_args(given)
    console, command = Console(), f"python -m benchmarks run {shlex.join(given)}".rstrip()
    try:
        benchmark = load_set("quick" if settings.quick else settings.set)
        cells = chosen(benchmark.cells(), settings.only)
        folder = settings.out or DEFAULT_FOLDER / benchmark.name
        if settings.list:
            console.print(listing(cells, ResultsFolder(folder)))
            return
        failures = _run(settings, benchmark, cells, folder, console)
    except LMEnvsError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        console.print(f"\nInterrupted. Finished cells are kept in {folder}; go on with: {command}", markup=False)
        raise SystemExit(INTERRUPTED) from None
    if failures:
        console.print(failure_report(failures, command), markup=False, highlight=False)
        raise SystemExit(1)
    console.print(f"All {len(cells)} cells are finished, in {folder}. Next: python -m benchmarks report {folder}")


def _run(
    settings: argparse.Namespace,
    benchmark: BenchmarkSet,
    cells: list[Cell],
    folder: Path,
    console: Console,
) -> dict[str, str]:
    device = benchmark.measuring.device
    if settings.engine == "ray":
        from benchmarks.engines.ray_engine import RayEngine

        gpus = settings.gpus if settings.gpus is not None else float(device != "cpu")
        ray = RayEngine(settings.address, jobs=settings.jobs, gpus=gpus)
        return run(benchmark, cells, folder, ray, Progress(console, settings.jobs or 1))
    check_device(device)
    from benchmarks.engines.local import LocalEngine

    local = LocalEngine(1 if settings.jobs is None and device != "cpu" else settings.jobs)
    return run(benchmark, cells, folder, local, Progress(console, local.jobs))


def listing(cells: Sequence[Cell], results: ResultsFolder) -> Table:
    """All cells, and which are finished."""
    shown = Table(title=f"{len(cells)} cells, results in {results.path}")
    for column, side in (("cell", "left"), ("state", "left"), ("score", "right"), ("seconds", "right")):
        shown.add_column(column, justify=side)  # type: ignore[arg-type]
    for cell in cells:
        result = results.finished(cell)
        state = "finished" if result else "with other settings" if results.file(cell).exists() else "to run"
        shown.add_row(cell.name, state, *_numbers(result))
    return shown


def _numbers(result: Mapping[str, Any] | None) -> tuple[str, str]:
    return ("", "") if result is None else (score_in_words(result), f"{result['seconds']:.0f}")


def failure_report(failures: Mapping[str, str], command: str) -> str:
    """Why cells failed, and what to do."""
    reasons = "\n\n".join(f"{name}:\n{reason.rstrip()}" for name, reason in failures.items())
    names = ", ".join(failures)
    return f"{reasons}\n\n{len(failures)} cells failed: {names}. The others are kept. Run them again with: {command}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks run", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--set", default="suite", metavar="NAME", help="suite, quick or smollm2 (suite)")
    which.add_argument("--quick", action="store_true", help="the set quick: a few cases with small budgets")
    add("--only", nargs="+", default=[], metavar="PATTERN", help="cells, as case/algorithm/seed: 'textgen-*/ppo/*'")
    add("--jobs", type=int, help="cells side by side (as many as there are cores; 1 on a GPU)")
    add("--engine", choices=("local", "ray"), default="local", help="what runs the cells (local)")
    add("--address", help="with ray: of a cluster; without, a Ray on this machine")
    add("--gpus", type=float, help="with ray: GPUs for each cell (1 for sets that run on one, else 0)")
    add("--out", type=Path, metavar="DIR", help=f"where results go ({DEFAULT_FOLDER}/NAME)")
    add("--list", action="store_true", help="print the cells and which are finished")
    return parser
