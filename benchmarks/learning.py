"""What training reaches on held-out prompts, over several seeds: ``python -m benchmarks.learning``.

Each seed is one ``lm-envs train`` with the recipe's settings, as a user would run it, in a process of its own. The
table shows every metric of the untrained and of each trained model; the JSON has the runs' evaluations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine

Run = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; arguments that are not its own go to ``lm-envs train``."""
    settings, passed = _parser().parse_known_args(arguments)
    machine = describe_machine()
    runs = []
    for seed in settings.seeds:
        runs.append(train(seed, [settings.env_id, *passed]))
        Console().print(f"seed {seed}: {runs[-1]['seconds']:.0f} s")
    result = {
        "benchmark": "learning",
        "command": " ".join(["lm-envs", "train", settings.env_id, *passed]),
        "machine": machine,
        "runs": runs,
        "summary": summarise(runs),
    }
    if settings.json:
        Path(settings.json).write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(result))


def train(seed: int, arguments: Sequence[str]) -> Run:
    """Train with one seed; returns ``seed``, ``seconds`` (wall time of the whole command) and the two evaluations."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        command = [sys.executable, "-m", "agents.cli", "train", *arguments, "--seed", str(seed), "--run", str(folder)]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise SystemExit(f"training failed: {' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        evaluation = json.loads((folder / "evaluation.json").read_text())
    return {"seed": seed, "seconds": round(seconds, 1), "before": evaluation["before"], "after": evaluation["after"]}


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
    parser = argparse.ArgumentParser("python -m benchmarks.learning", description=__doc__.split("\n\n")[0])
    parser.add_argument("--env-id", default="TextGen-v0")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", metavar="FILE", help="also write everything to this file")
    return parser


if __name__ == "__main__":
    main()
