"""Which results were measured on a GPU: the cells of a folder, and files of speed that lie beside the folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report.grid import Grid

SPEEDS = ("rollout", "update", "end_to_end")


@dataclass(frozen=True)
class GpuFile:
    """A file of results from a GPU.

    Attributes:
        name: Relative to the folder of results.
        benchmark: What was measured, such as ``"throughput"``.
        device: The GPU's name.
        rows: Length, system and median tokens/s of rollout, update and both, where the file has them.
    """

    name: str
    benchmark: str
    device: str
    rows: tuple[tuple[str, str, float, float, float], ...] = ()


def gpu_devices(grid: Grid) -> list[str]:
    """The GPUs that cells ran on."""
    return sorted({cell["machine"]["device"] for cell in grid.cells.values()} - {"cpu"})


def gpu_files(grid: Grid) -> list[GpuFile]:
    """The files beside the folder of results, or in ``throughput*`` folders there, whose machine names a GPU."""
    beside = grid.folder.resolve().parent
    read = ((file, _result_of_gpu(file)) for file in (*beside.glob("*.json"), *beside.glob("throughput*/*.json")))
    found = [_gpu_file(f"../{file.relative_to(beside)}", result) for file, result in read if result is not None]
    return sorted(found, key=lambda each: each.name)


def _result_of_gpu(file: Path) -> dict[str, Any] | None:
    """What a file says; None where it is no result of a GPU."""
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        device = result["machine"]["device"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if device == "cpu" else result


def _gpu_file(name: str, result: dict[str, Any]) -> GpuFile:
    rows = result.get("summary")
    speeds = tuple(_speeds(row) for row in rows if _has_speeds(row)) if isinstance(rows, list) else ()
    return GpuFile(name, str(result.get("benchmark", "?")), str(result["machine"]["device"]), speeds)


def _has_speeds(row: Any) -> bool:
    named = isinstance(row, dict) and {"length", "system"} <= row.keys()
    return named and all(isinstance(row.get(key), dict) and "median" in row[key] for key in SPEEDS)


def _speeds(row: dict[str, Any]) -> tuple[str, str, float, float, float]:
    rollout, update, both = (float(row[key]["median"]) for key in SPEEDS)
    return str(row["length"]), str(row["system"]), rollout, update, both
