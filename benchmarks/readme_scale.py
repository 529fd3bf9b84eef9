"""Tables of speed against sizes, of several processes and of GPUs; where nothing was measured, that is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.readme_cells import RESULTS, ROOT, machine, read
from benchmarks.readme_speed import throughput_tables
from benchmarks.speed_report import AXES, COSTS, PHASES

SYSTEMS = {"project": "this project", "textbook": "textbook SB3 policy"}


def sizes_part(table: str) -> Callable[[Path], str]:
    """What writes the tables of ``speed_TABLE.json``, a result of ``python -m benchmarks speed TABLE``."""

    def part(document: Path) -> str:
        file = f"speed_{table}.json"
        if not (RESULTS / file).exists():
            return _unmeasured(f"python -m benchmarks speed {table} --json benchmarks/results/{file}")
        result = read(file)
        picture = f"![Tokens per second against {AXES[table]}]({_picture(document, f'speed_{table}.svg')})"
        drawn = [picture, ""] if (RESULTS / f"speed_{table}.svg").exists() else []
        return "\n".join([_head(result), "", *drawn, *_speeds(result), "", *_growth(result), "", *_left(result)])

    return part


def scaling_part(_: Path) -> str:
    """The tables of ``scaling.json``, a result of ``python -m benchmarks scaling``."""
    if not (RESULTS / "scaling.json").exists():
        return _unmeasured("python -m benchmarks scaling --json benchmarks/results/scaling.json")
    result = read("scaling.json")
    settings = result["settings"]
    lines = [
        f"Stock PPO, `{settings['model']}`, {settings['n_envs']} environments and one core for each rank, KL on, "
        f"median of {settings['rounds']} rounds on {machine(result)}; tokens per second of all ranks together:",
        "",
        "| ranks | rollout | update | end to end | exchanging and waiting |",
        "|---|---|---|---|---|",
    ]
    for row in result["summary"]:
        speeds = " | ".join(f"{row[phase]['median']:,.0f}" for phase in PHASES)
        lines.append(f"| {row['ranks']} | {speeds} | {100 * row['exchange_share']['median']:.1f}% |")
    lines += ["", "| ratio, median (least to greatest) | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {row['name']} | {_spread(row)} |" for row in result["ratios"])])


def roofline_part(document: Path) -> str:
    """The table and the figure of ``roofline.json``, a result of ``python -m benchmarks roofline``."""
    if not (RESULTS / "roofline.json").exists():
        return _unmeasured("python -m benchmarks roofline --json benchmarks/results/roofline.json")
    result = read("roofline.json")
    settings, roofs = result["settings"], result["roofs"]
    products = f"{roofs['float32'] / 1e9:,.0f} GFLOP/s in float32 and {roofs['bfloat16'] / 1e9:,.0f} in bfloat16"
    lines = [
        f"`{settings['model']}`, {settings['dtype']}, median of {settings['rounds']} rounds on {machine(result)}. A "
        f"large matrix product reaches {products}, a large copy {roofs['bytes'] / 1e9:,.1f} GB/s:",
        "",
    ]
    if (RESULTS / "roofline.svg").exists():
        lines += [f"![Operations a second against operations for a byte]({_picture(document, 'roofline.svg')})", ""]
    lines += ["| prompt + new | phase | GFLOP | GB | FLOP/byte | seconds | GFLOP/s | roof | roof is | reached |"]
    lines += ["|---" * 10 + "|"]
    return "\n".join([*lines, *map(_roofline_row, result["phases"])])


def _roofline_row(row: dict[str, Any]) -> str:
    work = f"{row['flops'] / 1e9:,.1f} | {row['bytes'] / 1e9:,.2f} | {row['intensity']:,.1f}"
    speed = f"{row['seconds']['median']:.3f} | {row['flops_per_second'] / 1e9:,.1f} | {row['roof'] / 1e9:,.1f}"
    return f"| {row['length']} | {row['phase']} | {work} | {speed} | {row['roof_is']} | {100 * row['share']:.0f}% |"


def gpu_part(_: Path) -> str:
    """The tables of ``throughput_gpu_*.json``: results of ``python -m benchmarks throughput --device cuda``."""
    files = sorted(path.name for path in RESULTS.glob("throughput_gpu_*.json"))
    if not files:
        return "Nothing was measured on a GPU. The code for it is there, and tested on a CPU as far as it goes there."
    return "\n\n".join(throughput_tables(read(name)) for name in files)


def _unmeasured(command: str) -> str:
    return f"Not measured yet: `{command}`."


def _head(result: dict[str, Any]) -> str:
    settings = result["settings"]
    model = "" if result["table"] == "models" else f"`{settings['model']}`, "
    envs = "" if result["table"] == "envs" else f"{settings['n_envs']} environments, "
    return (
        f"Tokens per second, {model}{envs}{settings['threads']} core, {settings['dtype']}, KL on, median of "
        f"{settings['rounds']} rounds on {machine(result)}:"
    )


def _picture(document: Path, name: str) -> str:
    """Where a picture of the results is for a document: in the repository, or in the site."""
    pages = ROOT / "docs" / "pages"
    file = pages / "results" / name if pages in document.resolve().parents else RESULTS / name
    return Path(os.path.relpath(file, document.resolve().parent)).as_posix()


def _speeds(result: dict[str, Any]) -> list[str]:
    lines = [
        f"| {AXES[result['table']]} | prompt + new | | {' | '.join(PHASES.values())} |",
        "|---|---|---|---|---|---|",
    ]
    for point in result["points"]:
        speeds = " | ".join(f"{point[phase]['median']:,.0f}" for phase in PHASES)
        tokens = f"{point['prompt_tokens']}+{point['new_tokens']}"
        lines.append(f"| {point['size']:,} | {tokens} | {SYSTEMS[point['system']]} | {speeds} |")
    return lines


def _growth(result: dict[str, Any]) -> list[str]:
    lines = [
        f"Seconds of {COSTS[result['table']]} as `a + b n`, and as a power of `n`:",
        "",
        "| | | a, µs | b, µs | greatest error | exponent of the power |",
        "|---|---|---|---|---|---|",
    ]
    for fit in result["fits"]:
        numbers = f"{_short(1e6 * fit['constant'])} | {_short(1e6 * fit['slope'])} | {100 * fit['error']:.0f}%"
        lines.append(f"| {SYSTEMS[fit['system']]} | {PHASES[fit['phase']]} | {numbers} | {fit['exponent']:.2f} |")
    return lines


def _left(result: dict[str, Any]) -> list[str]:
    lines = ["| speed at the largest size to that at the smallest, median (least to greatest) | |", "|---|---|"]
    return [*lines, *(f"| {SYSTEMS[row['system']]}, {row['name']} | {_spread(row)} |" for row in result["ratios"])]


def _spread(row: dict[str, Any]) -> str:
    digits = 2 if row["median"] >= 0.1 else 4
    return f"{row['median']:.{digits}f} ({row['min']:.{digits}f} to {row['max']:.{digits}f})"


def _short(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
