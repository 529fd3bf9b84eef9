"""What the parts that benchmarks write into README and pages are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def read(name: str) -> dict[str, Any]:
    """A file of ``benchmarks/results``."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def machine(result: Mapping[str, Any]) -> str:
    """What the result was measured on."""
    described = result["machine"]
    if described.get("device", "cpu") != "cpu":
        return f"one {described['device']}"
    return f"a shared {described['cores']}-core {described['cpu']} machine"


def mean(row: Mapping[str, Any], key: str = "mean") -> str:
    """A mean, with the least and the greatest value."""
    return f"{row[key]:.2f} ({row['min']:.2f} to {row['max']:.2f})"


def before_after(result: Mapping[str, Any], metrics: Mapping[str, str]) -> list[str]:
    """The table of a learning benchmark: a line for each of ``metrics``, a mapping of names to labels."""
    lines = ["| | before | after: mean over seeds (least to greatest) |", "|---|---|---|"]
    for key, label in metrics.items():
        row = result["summary"][key]
        lines.append(f"| {label} | {row['before']:.2f} | {mean(row, 'after')} |")
    return lines


def duration(runs: Sequence[Mapping[str, Any]]) -> str:
    """How long the runs of a learning benchmark took."""
    seconds = [run["seconds"] for run in runs]
    return f"{min(seconds):.0f} to {max(seconds):.0f} s"
