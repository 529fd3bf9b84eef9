"""Tokens per second of one process and of several that learn together: ``python -m benchmarks scaling``.

Stock PPO with this project's policy, buffer and KL callback, under ``torchrun`` and :func:`agents.data_parallel`. Every
rank has a core and a thread of its own and does the same work: its own rollout, scoring and update, of the size that is
set here. So with perfect scaling ``N`` ranks learn from ``N`` times as many tokens per second. Numbers of ranks take
turns, in alternating order, over several rounds, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agents.atomic_files import write_json
from benchmarks.machine import describe_machine
from benchmarks.stopwatch import PHASES
from benchmarks.throughput import parse_length
from benchmarks.throughput_report import spread
from benchmarks.workload import Workload, prepare_model

ROOT = Path(__file__).parent.parent
METRICS = ("rollout", "update", "end_to_end")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = parse(arguments)
    result: dict[str, Any] = {}
    for result in run(settings):
        if settings.json:  # after every measurement: one that fails leaves what there is
            write_json(Path(settings.json), result)
    print_tables(result)


def run(settings: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure everything.

    Args:
        settings: The parsed command line.

    Yields:
        After every measurement, the result so far: ``benchmark``, ``settings``, ``machine``, ``runs`` (every
        measurement), ``summary`` and ``ratios``.
    """
    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    shown["length"] = "+".join(map(str, settings.length))
    head = {"benchmark": "scaling", "settings": shown, "machine": describe_machine()}
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        workload = _workload(settings, prepare_model(settings.model, Path(folder)))
        for round_number, n_ranks in plan(settings.ranks, settings.rounds):
            n_planned = settings.rounds * len(settings.ranks)
            print(f"[{len(runs) + 1}/{n_planned}] {n_ranks} rank(s)", file=sys.stderr, flush=True)
            per_rank = measured(n_ranks, dataclasses.replace(workload, seed=round_number))
            runs.append({"round": round_number, **joined(per_rank)})
            yield {**head, "runs": runs, "summary": summarise(runs), "ratios": compare(runs)}


def plan(ranks: Sequence[int], rounds: int) -> Iterator[tuple[int, int]]:
    """Every measurement in its order; every other round goes through the numbers of ranks backwards."""
    for round_number in range(rounds):
        for n_ranks in ranks if round_number % 2 == 0 else reversed(ranks):
            yield round_number, n_ranks


def measured(n_ranks: int, workload: Workload) -> list[dict[str, Any]]:
    """What each rank found, by :mod:`benchmarks.scaling_worker`.

    Raises:
        RuntimeError: If a rank fails; holds the end of what they printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_ranks}"]
        command = [*launch, "-m", "benchmarks.scaling_worker", json.dumps(dataclasses.asdict(workload)), folder]
        threads = str(workload.threads)
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{n_ranks} rank(s) failed with exit code {done.returncode}:\n{done.stderr[-3000:]}")
        return [json.loads((Path(folder) / f"rank_{rank}.json").read_text()) for rank in range(n_ranks)]


def joined(per_rank: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One measurement: tokens of all ranks, and the seconds of the slowest."""
    tokens = sum(rank["tokens"] for rank in per_rank)
    seconds = {phase: max(rank["seconds"][phase] for rank in per_rank) for phase in PHASES}
    total = max(sum(rank["seconds"].values()) for rank in per_rank)
    return {
        "ranks": len(per_rank),
        "tokens": tokens,
        "seconds": seconds,
        "rollout": tokens / seconds["rollout"],
        "update": tokens / seconds["update"],
        "end_to_end": tokens / total,
        "exchange_share": max(rank["exchange"] for rank in per_rank) / total,
        "peak_memory": max(rank["peak_memory"] for rank in per_rank),
    }


def summarise(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Median, minimum and maximum of each metric, for each number of ranks."""
    names = (*METRICS, "exchange_share", "peak_memory")
    rows = []
    for n_ranks in sorted({run["ranks"] for run in runs}):
        chosen = [run for run in runs if run["ranks"] == n_ranks]
        rows.append({"ranks": n_ranks, **{name: spread(run[name] for run in chosen) for name in names}})
    return rows


def compare(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spread of the ratios of each number of ranks to the smallest, within rounds that measured both."""
    found = {(run["round"], run["ranks"]): run for run in runs}
    fewest, *others = sorted({run["ranks"] for run in runs})
    rows = []
    for n_ranks in others:
        rounds = [key[0] for key in found if key[1] == n_ranks and (key[0], fewest) in found]
        for metric in METRICS if rounds else ():
            ratios = [found[number, n_ranks][metric] / found[number, fewest][metric] for number in rounds]
            rows.append({"name": f"{metric}, {n_ranks} ranks / {fewest}", **spread(ratios)})
    return rows


def print_tables(result: dict[str, Any], console: Console | None = None) -> None:
    """Print the tables of a result."""
    console = console or Console()
    machine, settings = result["machine"], result["settings"]
    console.print(
        f"{settings['model']}, {settings['length']} tokens, {settings['n_envs']} environments a rank, one core of "
        f"{machine['cpu']} a rank, load {machine['load_average']}"
    )
    table = Table(title="tokens/s of all ranks, median over rounds")
    for column in ("ranks", "rollout", "update", "end to end", "exchanging and waiting"):
        table.add_column(column, justify="right")
    for row in result["summary"]:
        speeds = [f"{row[metric]['median']:,.0f}" for metric in METRICS]
        table.add_row(str(row["ranks"]), *speeds, f"{row['exchange_share']['median']:.1%}")
    console.print(table)
    for row in result["ratios"]:
        console.print(f"{row['name']}: {row['median']:.2f} ({row['min']:.2f} to {row['max']:.2f})")


def _workload(settings: argparse.Namespace, model: str) -> Workload:
    prompt_tokens, new_tokens = settings.length
    return Workload(
        model,
        prompt_tokens,
        new_tokens,
        n_envs=settings.n_envs,
        minibatch=settings.minibatch,
        warmup=settings.warmup,
        measured_tokens=settings.measured_tokens,
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The settings."""
    parser = argparse.ArgumentParser("python -m benchmarks scaling", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--model", default="tiny", help="alias, hub id or folder; 'random': random weights of tiny's size")
    add("--ranks", nargs="+", type=int, default=[1, 2], help="numbers of processes (1 2)")
    add("--length", type=parse_length, default=(16, 32), metavar="PROMPT+NEW", help="tokens of an episode (16+32)")
    add("--rounds", type=int, default=3, help="times that every number of ranks is measured")
    add("--n-envs", type=int, default=64, help="environments of each rank")
    add("--minibatch", type=int, default=16, help="episodes in a minibatch, of each rank")
    add("--measured-tokens", type=int, default=32_768, help="tokens generated by each rank, rounded up to iterations")
    add("--warmup", type=int, default=1, help="iterations before them")
    add("--json", metavar="FILE", help="also write everything to this file")
    settings = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if min(settings.ranks) < 1 or max(settings.ranks) > cores:
        parser.error(f"--ranks must be from 1 to {cores}, the cores that this process may use; got {settings.ranks}")
    settings.ranks = sorted(set(settings.ranks))
    return settings


if __name__ == "__main__":
    main()
