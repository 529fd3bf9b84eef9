"""From single measurements to medians, ratios and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.table import Table

Run = dict[str, Any]
Length = tuple[int, int]

METRICS = ("rollout", "update", "end_to_end", "peak_memory")
# of each algorithm: metric, system above the line, system below it
RATIOS = {
    "ppo": (
        ("end_to_end", "project", "textbook"),
        ("rollout", "project", "generate"),
        ("update", "project", "generate"),
        ("end_to_end", "project", "generate"),
        ("peak_memory", "project", "textbook"),
        ("end_to_end", "project", "trl"),
        ("end_to_end", "grpo", "trl"),
    ),
    "dqn": (
        ("update", "project", "textbook"),
        ("rollout", "project", "textbook"),
        ("end_to_end", "project", "textbook"),
        ("peak_memory", "project", "textbook"),
    ),
    "dialogue": (
        ("rollout", "dialogue", "textgen"),
        ("update", "dialogue", "textgen"),
        ("end_to_end", "dialogue", "textgen"),
        ("rollout", "dialogue_ragged", "textgen_ragged"),
    ),
}


def summarise(runs: list[Run]) -> list[dict[str, Any]]:
    """Median, minimum and maximum of each metric, for each length and system."""
    groups: dict[tuple[Length, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((_length(run), run["system"]), []).append(run)
    return [
        {
            "length": _label(length),
            "system": system,
            **{metric: spread(run[metric] for run in group) for metric in METRICS},
            "note": group[0]["note"],
        }
        for (length, system), group in groups.items()
    ]


def compare(runs: list[Run], algorithm: str = "ppo") -> list[dict[str, Any]]:
    """Spread of the ratios between systems, and of the project's speed to that at the first length.

    Ratios are taken within a round, where all systems ran one after the other. A system that was measured in several
    settings (``trl/16``, ``trl/32``) stands in its fastest one, by the median of its end-to-end speed.

    Args:
        runs: Measurements of ``benchmarks.worker``, each with its ``round``.
        algorithm: ``"ppo"``, ``"dqn"`` or ``"dialogue"``: which ratios.
    """
    found = {(run["round"], _length(run), run["system"]): run for run in runs}
    lengths = list(dict.fromkeys(_length(run) for run in runs))
    rows = []
    for length in lengths:
        for metric, above, below in RATIOS[algorithm]:
            name = f"{metric}, {above} / {below}"
            rows.append(_ratio(found, name, metric, (length, above), (length, _fastest(runs, length, below))))
    for length in lengths[1:]:
        name = f"end_to_end, project / project at {_label(lengths[0])}"
        rows.append(_ratio(found, name, "end_to_end", (length, "project"), (lengths[0], "project")))
    return [row for row in rows if row]


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    numbers = list(values)
    return {"median": median(numbers), "min": min(numbers), "max": max(numbers)}


def mean_and_range(values: Sequence[float]) -> dict[str, float]:
    """Mean, minimum and maximum."""
    return {"mean": mean(values), "min": min(values), "max": max(values)}


def print_report(result: dict[str, Any], console: Console | None = None) -> None:
    """Print the tables of a result of ``benchmarks.throughput``."""
    console = console or Console()
    machine = result["machine"]
    console.print(
        f"{result['settings']['model']} on {machine['device']}, {machine['cpu']}, "
        f"{result['settings']['threads'] or machine['cores']} thread(s), load {machine['load_average']}"
    )
    console.print(_speed_table(result["summary"]))
    for row in result["summary"]:
        if row["note"]:
            console.print(f"{row['length']} {row['system']}: {row['note']}")
    console.print(_ratio_table(result["ratios"]))
    if result.get("replay_memory"):
        console.print(_memory_table(result["replay_memory"]))


def _speed_table(summary: list[dict[str, Any]]) -> Table:
    table = Table(title="tokens/s, median over rounds")
    for column in ("length", "system", "rollout", "update", "end to end", "peak memory"):
        table.add_column(column, justify="left" if column in ("length", "system") else "right")
    for row in summary:
        speeds = [f"{row[metric]['median']:,.0f}" for metric in METRICS[:3]]
        memory = f"{row['peak_memory']['median'] / 2**30:.2f} GiB"
        table.add_row(row["length"], row["system"], *speeds, memory)
    return table


def _ratio_table(ratios: list[dict[str, Any]]) -> Table:
    table = Table(title="ratios within a round, median (min to max)")
    for column in ("length", "ratio", "value"):
        table.add_column(column)
    for row in ratios:
        value = f"{row['median']:.2f} ({row['min']:.2f} to {row['max']:.2f})"
        table.add_row(row["length"], row["name"], value)
    return table


def _memory_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="replay memory, bytes a transition")
    for column in ("length", "actions", "project", "textbook", "textbook / project"):
        table.add_column(column, justify="left" if column in ("length", "actions") else "right")
    for row in rows:
        table.add_row(
            row["length"], row["actions"], f"{row['project']:.1f}", f"{row['textbook']:.0f}", f"{row['ratio']:.1f}"
        )
    return table


def _ratio(
    found: dict[tuple[int, Length, str], Run],
    name: str,
    metric: str,
    above: tuple[Length, str],
    below: tuple[Length, str],
) -> dict[str, Any] | None:
    """The ratio over all rounds that measured both sides; None where no round did."""
    rounds = sorted({key[0] for key in found})
    pairs = [(found.get((r, *above)), found.get((r, *below))) for r in rounds]
    values = [a[metric] / b[metric] for a, b in pairs if a and b]
    return {"length": _label(above[0]), "name": name, **spread(values)} if values else None


def _fastest(runs: list[Run], length: Length, system: str) -> str:
    """The system itself, or its fastest setting at a length."""
    speeds: dict[str, list[float]] = {}
    for run in runs:
        if _length(run) == length and run["system"].startswith(f"{system}/"):
            speeds.setdefault(run["system"], []).append(run["end_to_end"])
    return max(speeds, key=lambda name: median(speeds[name])) if speeds else system


def _length(run: Run) -> Length:
    return run["prompt_tokens"], run["new_tokens"]


def _label(length: Length) -> str:
    return f"{length[0]}+{length[1]}"
