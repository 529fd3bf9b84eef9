"""From single measurements to tables of speed, the cost's growth, and the share of speed left at the largest size."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.speed_fits import fit_growth
from benchmarks.throughput_report import METRICS, spread

PHASES = {"rollout": "rollout", "update": "update", "end_to_end": "end to end"}
AXES = {"lengths": "tokens in an episode", "envs": "environments", "models": "weights"}
COSTS = {"lengths": "a token", "envs": "a step of all environments", "models": "a token"}
Run = dict[str, Any]


def summarise_speed(table: str, runs: list[Run]) -> dict[str, Any]:
    """What the runs of a table say.

    Args:
        table: ``"lengths"``, ``"envs"`` or ``"models"``.
        runs: Measurements of ``benchmarks.worker``, each with its ``round`` and ``size``.

    Returns:
        ``points``, the spread of each metric for each system and size; ``fits``, for each system and phase that was
        measured at two sizes or more what :func:`~benchmarks.speed_fits.fit_growth` finds in the medians; ``ratios``,
        the spread over rounds of the speed at the largest size to that at the smallest.
    """
    found = [_point(runs, system, size) for system in _systems(runs) for size in _sizes(runs, system)]
    return {
        "points": found,
        "fits": [
            {"system": system, "phase": phase, **_fit(table, found, system, phase)}
            for system in _systems(runs)
            for phase in PHASES
            if len(_sizes(runs, system)) > 1
        ],
        "ratios": [ratio for system in _systems(runs) for ratio in _ratios(runs, system)],
    }


def cost(table: str, size: Any, speed: float) -> Any:
    """Seconds of a token, at a size or an array of them; in the table of environments, of a step of all of them."""
    return (size if table == "envs" else 1.0) / speed


def print_speed(result: dict[str, Any], console: Console | None = None) -> None:
    """Print the tables of a result of ``python -m benchmarks speed``."""
    console = console or Console()
    machine, settings = result["machine"], result["settings"]
    threads = settings["threads"] or machine["cores"]
    model = "" if result["table"] == "models" else f"{settings['model']} on "
    console.print(f"{model}{machine['device']}, {machine['cpu']}, {threads} thread(s), load {machine['load_average']}")
    console.print(_speeds(result))
    console.print(_fits(result))
    for row in result["ratios"]:
        shown = f"{row['median']:.2f} ({row['min']:.2f} to {row['max']:.2f})"
        console.print(f"{row['system']}, {row['name']}: {shown}")
    for note in sorted({f"{row['system']} {row['size']}: {row['note']}" for row in result["points"] if row["note"]}):
        console.print(note)


def _systems(runs: list[Run]) -> list[str]:
    return sorted({run["system"] for run in runs})


def _sizes(runs: list[Run], system: str) -> list[int]:
    return sorted({run["size"] for run in runs if run["system"] == system})


def _point(runs: list[Run], system: str, size: int) -> dict[str, Any]:
    group = [run for run in runs if (run["system"], run["size"]) == (system, size)]
    shown = {key: group[0][key] for key in ("prompt_tokens", "new_tokens", "note")}
    return {"system": system, "size": size, **shown, **{m: spread(run[m] for run in group) for m in METRICS}}


def _fit(table: str, found: list[dict[str, Any]], system: str, phase: str) -> dict[str, Any]:
    chosen = [point for point in found if point["system"] == system]
    seconds = [cost(table, point["size"], point[phase]["median"]) for point in chosen]
    return fit_growth([point["size"] for point in chosen], seconds)


def _ratios(runs: list[Run], system: str) -> list[dict[str, Any]]:
    sizes = _sizes(runs, system)
    speeds = {(run["round"], run["size"]): run for run in runs if run["system"] == system}
    rounds = sorted({number for number, _ in speeds})
    rows = []
    for phase, title in PHASES.items():
        pairs = [(speeds.get((r, sizes[-1])), speeds.get((r, sizes[0]))) for r in rounds]
        values = [large[phase] / small[phase] for large, small in pairs if large and small]
        if values and len(sizes) > 1:
            name = f"{title}, at {sizes[-1]:,} / at {sizes[0]:,}"
            rows.append({"system": system, "phase": phase, "name": name, **spread(values)})
    return rows


def _speeds(result: dict[str, Any]) -> Table:
    table = Table(title="tokens/s, median over rounds")
    for column in (AXES[result["table"]], "tokens", "system", *PHASES.values(), "min to max", "peak memory"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for point in result["points"]:
        speeds = [f"{point[phase]['median']:,.0f}" for phase in PHASES]
        span = f"{point['end_to_end']['min']:,.0f} to {point['end_to_end']['max']:,.0f}"
        memory = f"{point['peak_memory']['median'] / 2**30:.2f} GiB"
        tokens = f"{point['prompt_tokens']}+{point['new_tokens']}"
        table.add_row(f"{point['size']:,}", tokens, point["system"], *speeds, span, memory)
    return table


def _fits(result: dict[str, Any]) -> Table:
    table = Table(title=f"seconds of {COSTS[result['table']]}: a + b n, and c n^p")
    for column in ("system", "phase", "a, µs", "b, µs", "a/b", "largest error", "p"):
        table.add_column(column, justify="left" if column in ("system", "phase") else "right")
    for fit in result["fits"]:
        crossing = "" if fit["crossing"] is None else f"{fit['crossing']:,.0f}"
        line = [f"{1e6 * fit['constant']:,.1f}", f"{1e6 * fit['slope']:.3g}", crossing, f"{fit['error']:.0%}"]
        table.add_row(fit["system"], PHASES[fit["phase"]], *line, f"{fit['exponent']:.2f}")
    return table
