"""The folder of results: what was run, and a file for each cell that has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.atomic_files import remove_leftovers, write_json
from benchmarks.suite.cases import BenchmarkSet, Cell
from lm_envs.errors import ConfigurationError, DataError

KEYS = (
    "case",
    "algorithm",
    "seed",
    "kind",
    "fingerprint",
    "command",
    "settings",
    "steps",
    "score",
    "metrics",
    "curve",
    "texts",
    "seconds",
    "processor_seconds",
    "peak_memory",
    "machine",
)
"""What a cell's file holds."""


class ResultsFolder:
    """Where results are.

    Args:
        path: The folder; it need not exist.

    Attributes:
        path: The folder.
        suite: ``suite.json``: the set, its cases, machine and command.
        cells: ``cells/``: ``CASE/ALGORITHM-SEED.json`` for each cell that has ended.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.suite = self.path / "suite.json"
        self.cells = self.path / "cells"

    def file(self, cell: Cell) -> Path:
        """Where a cell's result is."""
        return self.cells / cell.case.name / f"{cell.algorithm}-{cell.seed}.json"

    def prepare(self, benchmark: BenchmarkSet, machine: Mapping[str, Any]) -> None:
        """Make the folder, write ``suite.json``, and remove what a killed run left half-written.

        Raises:
            ConfigurationError: The folder cannot be written, or has the results of another set.
            DataError: Its ``suite.json`` is damaged.
        """
        if self.suite.exists() and (there := self.read_suite()["set"]) != benchmark.name:
            raise ConfigurationError(
                f"{str(self.path)!r} has the results of the set {there!r}; got {benchmark.name!r}. Choose another "
                "folder with --out."
            )
        try:
            for case in benchmark.cases:
                folder = self.cells / case.name
                folder.mkdir(parents=True, exist_ok=True)
                remove_leftovers(folder)
            write_json(self.suite, _description(benchmark, machine))
        except OSError as error:
            raise ConfigurationError(
                f"cannot write results into {str(self.path)!r}: {error}. Choose another folder with --out."
            ) from error

    def write(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Write a cell's result, in one step.

        Raises:
            ConfigurationError: It cannot be written.
        """
        try:
            self.file(cell).parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file(cell), dict(result))
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the result of {cell.name} into {str(self.path)!r}: {error}. Cells that ended before are "
                "kept: make room, or make the folder writable, and run the same command again."
            ) from error

    def finished(self, cell: Cell) -> dict[str, Any] | None:
        """A cell's result; None where there is none, or one of other settings, which does not count.

        Raises:
            DataError: The file is damaged.
        """
        file = self.file(cell)
        if not file.exists():
            return None
        result = read_result(file)
        return result if result["fingerprint"] == cell.fingerprint else None

    def read_suite(self) -> dict[str, Any]:
        """What ``suite.json`` says: ``set``, ``cases`` in order, ``machine``, ``command``, ``fingerprints`` by cell.

        Raises:
            DataError: There is no such file, or it is damaged.
        """
        if not self.suite.exists():
            raise DataError(
                f"{str(self.path)!r} has no suite.json, so it is no folder of results. Pass one that "
                "'python -m benchmarks run' wrote, or run that first."
            )
        return _read_object(self.suite, ("set", "cases", "fingerprints"))

    def read_cells(self) -> list[dict[str, Any]]:
        """The results of all cells that ended, case by case; those of cases that ``suite.json`` lacks are left out.

        Raises:
            DataError: A file is damaged.
        """
        names = [case["name"] for case in self.read_suite()["cases"]]
        return [read_result(file) for name in names for file in sorted((self.cells / name).glob("*.json"))]


def read_result(file: Path) -> dict[str, Any]:
    """A cell's result out of its file.

    Raises:
        DataError: The file is damaged.
    """
    return _read_object(file, KEYS)


def _read_object(file: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{str(file)!r} cannot be read: {error}. Delete it; 'run' makes it anew.") from error
    if not isinstance(values, dict) or (missing := [key for key in keys if key not in values]):
        reason = f"{missing[0]!r} is missing" if isinstance(values, dict) else f"expected an object, got {values!r:.60}"
        raise DataError(f"{str(file)!r} is damaged: {reason}. Delete it; 'run' makes it anew.")
    return values


def _description(benchmark: BenchmarkSet, machine: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("name", "title", "env_id", "task", "dataset", "reward", "score", "best", "steps")
    cases = [
        {
            **{key: getattr(case, key) for key in shown},
            "env_kwargs": dict(case.env_kwargs),
            "algorithms": list(case.algorithms),
            "baselines": list(case.baselines),
        }
        for case in benchmark.cases
    ]
    setting = {"model": benchmark.measuring.model, "device": benchmark.measuring.device, "seeds": list(benchmark.seeds)}
    return {
        "set": benchmark.name,
        **setting,
        "cases": cases,
        "machine": dict(machine),
        "command": f"python -m benchmarks run --set {benchmark.name}",
        "fingerprints": {cell.name: cell.fingerprint for cell in benchmark.cells()},
    }
