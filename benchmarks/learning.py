"""What training reaches on held-out prompts, over several seeds: ``python -m benchmarks learning``.

Each seed is one ``lm-envs train`` with the recipe's settings, as a user would run it, in a process of its own. The
table shows every metric of the untrained and of each trained model; the JSON has the runs' evaluations, and with
``--eval-every N`` the metrics on validation prompts as training goes on. :mod:`benchmarks.learning_dqn` runs the
recipes for value learning.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agents.training_runs.logs import STEP_COLUMN, read_csv
from benchmarks.machine import describe_machine

Run = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; arguments that are not its own go to ``lm-envs train``."""
    settings, passed = _parser().parse_known_args(arguments)
    result = measure([settings.env_id, *passed], settings.seeds, settings.jobs)
    if settings.json:
        Path(settings.json).write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(result))


def measure(arguments: Sequence[str], seeds: Sequence[int], jobs: int = 1) -> dict[str, Any]:
    """Train with every seed.

    Args:
        arguments: What ``lm-envs train`` is called with, but for seed and folder.
        seeds: The seeds.
        jobs: How many run side by side, sharing the cores.

    Returns:
        The machine, the runs and their summary, as JSON values.
    """
    machine = describe_machine()
    threads = None if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)

    def run(seed: int) -> Run:
        done = train(seed, arguments, threads)
        Console().print(f"seed {seed}: {done['seconds']:.0f} s")
        return done

    with ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(run, seeds))
    return {
        "benchmark": "learning",
        "command": " ".join(["lm-envs", "train", *arguments]),
        "machine": machine,
        "jobs": jobs,
        "runs": runs,
        "summary": summarise(runs),
    }


def train(seed: int, arguments: Sequence[str], threads: int | None = None) -> Run:
    """Train with one seed.

    Args:
        seed: The seed.
        arguments: What ``lm-envs train`` is called with, but for seed and folder.
        threads: CPU threads; None leaves torch's choice.

    Returns:
        ``seed``, ``steps``, ``seconds`` (wall time of the whole command), the evaluations ``before`` and ``after``, and
        ``curve``: a mapping of metrics and ``step`` for each evaluation on validation prompts.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        seconds = train_into(folder, seed, arguments, threads)
        evaluation = json.loads((folder / "evaluation.json").read_text())
        steps = json.loads((folder / "config.json").read_text())["steps"]
        validations = curve(folder / "progress.csv")
    moments = {"before": evaluation["before"], "after": evaluation["after"]}
    return {"seed": seed, "steps": steps, "seconds": seconds, **moments, "curve": validations}


def train_into(folder: Path, seed: int, arguments: Sequence[str], threads: int | None = None) -> float:
    """Train with one seed and leave the run's folder; else as :func:`train`.

    Returns:
        Wall time of the whole command, in seconds.
    """
    command = [sys.executable, "-m", "agents.cli", "train", *arguments, "--seed", str(seed), "--run", str(folder)]
    command += [] if threads is None else ["--threads", str(threads)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"training failed: {' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return round(time.perf_counter() - start, 1)


def curve(progress: Path) -> list[dict[str, float]]:
    """The evaluations on validation prompts in a run's ``progress.csv``: ``step`` and every metric."""
    prefix = "eval/"
    found = []
    for row in read_csv(progress):
        values = {
            key.removeprefix(prefix): float(value) for key, value in row.items() if key.startswith(prefix) and value
        }
        if values:
            found.append({"step": float(row[STEP_COLUMN]), **values})
    return found


def summarise(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Each metric's mean before, and its mean, least and greatest value after training, over the seeds."""
    summary = {}
    for name in runs[0]["after"]["metrics"]:
        after = [run["after"]["metrics"][name]["mean"] for run in runs]
        before = statistics.mean(run["before"]["metrics"][name]["mean"] for run in runs)
        summary[name] = {"before": before, "after": statistics.mean(after), "min": min(after), "max": max(after)}
    return summary


def table(result: dict[str, Any]) -> Table:
    """The summary as a table."""
    seeds = len(result["runs"])
    prompts = result["runs"][0]["after"]["n_prompts"]
    shown = Table(title=f"{result['command']}: {prompts} held-out prompts, {seeds} seeds")
    for column in ("metric", "before", "after (mean)", "least", "greatest"):
        shown.add_column(column, justify="left" if column == "metric" else "right")
    for name, row in result["summary"].items():
        shown.add_row(name, *(f"{row[key]:.3f}" for key in ("before", "after", "min", "max")))
    seconds = [run["seconds"] for run in result["runs"]]
    shown.caption = f"{min(seconds):.0f} to {max(seconds):.0f} s a run on {result['machine']['cpu']}"
    return shown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks learning", description=__doc__.split("\n\n")[0])
    parser.add_argument("--env-id", default="TextGen-v0")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds run side by side")
    parser.add_argument("--json", metavar="FILE", help="also write everything to this file")
    return parser


if __name__ == "__main__":
    main()
