"""What value learning reaches on held-out prompts: ``python -m benchmarks.learning_dqn``.

Runs the recipes of DQN and QR-DQN on ``reviews`` with several seeds, each with evaluations on validation prompts as
training goes on. Writes ``learning_NAME_reviews.json`` for each recipe, and ``learning_dqn.png`` with the curves.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import learning
from benchmarks.readme_cells import RESULTS

RECIPES: dict[str, list[str]] = {
    "dqn": ["--algo", "dqn"],
    "dqn_hidden": ["--algo", "dqn", "--observation", "hidden"],
    "qrdqn": ["--algo", "qrdqn"],
    "dqn_sparse": ["--algo", "dqn", "-E", "shaping=false", "-H", "gamma=0.99"],
}
"""name -> arguments of ``lm-envs train``."""

EVAL_EVERY = 10_000
METRICS = {"reward/sentiment": "sentiment", "grammar": "grammar pass rate", "distinct_2": "distinct-2"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; arguments that are not its own go to ``lm-envs train``."""
    settings, passed = _parser().parse_known_args(arguments)
    files = {name: settings.folder / f"learning_{name}_reviews.json" for name in RECIPES}
    for name in settings.recipes:
        command = ["TextGen-v0", *RECIPES[name], "--eval-every", str(EVAL_EVERY), *passed]
        result = learning.measure(command, settings.seeds, settings.jobs)
        Console().print(learning.table(result))
        files[name].write_text(json.dumps(result, indent=1) + "\n")
    results = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    draw_curves(results, settings.folder / "learning_dqn.png")


def draw_curves(results: Mapping[str, Mapping[str, Any]], picture: Path) -> None:
    """Draw each metric over the steps, a line for each recipe: mean over the seeds, with least and greatest.

    Args:
        results: By name of the recipe, what :func:`benchmarks.learning.measure` returned.
        picture: The PNG to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = Figure(figsize=(11, 3.4), dpi=120, layout="constrained")
    for axes, (metric, label) in zip(figure.subplots(1, len(METRICS)), METRICS.items(), strict=True):
        for name, result in results.items():
            steps, means, lows, highs = over_seeds(result["runs"], metric)
            axes.plot(steps, means, label=name)
            axes.fill_between(steps, lows, highs, alpha=0.15)
        axes.set_title(label, loc="left", fontsize=10)
        axes.set_ylim(0.0, 1.0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("environment steps (tokens)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps / 1000:g}k"))
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(picture, format="png")


def over_seeds(
    runs: Sequence[Mapping[str, Any]], metric: str
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Steps, and the metric's mean, least and greatest value over the runs at each."""
    columns: dict[float, list[float]] = {}
    for point in (point for run in runs for point in run["curve"]):
        columns.setdefault(point["step"], []).append(point[metric])
    steps = sorted(columns)
    values = [columns[step] for step in steps]
    return steps, [statistics.mean(each) for each in values], [min(each) for each in values], [max(e) for e in values]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.learning_dqn", description=__doc__.split("\n\n")[0])
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds run side by side")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the results are written")
    return parser


if __name__ == "__main__":
    main()
