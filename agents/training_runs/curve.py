"""The learning curve as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.atomic_files import write_atomically
from agents.training_runs.logs import STEP_COLUMN, read_columns
from lm_envs.errors import MissingDependencyError

REWARD, DIVERGENCE, VALIDATION = "rollout/ep_rew_mean", "kl/episode", "eval/reward"
EXPLORATION = "rollout/exploration_rate"
_BLUE, _ORANGE, _GREY = "#2563eb", "#d97706", "#6b7280"


def draw_curve(
    progress: Path, picture: Path, title: str, evaluation: Mapping[str, Any], kl_target: float | None
) -> None:
    """Draw mean reward, and divergence or exploration rate, over the steps.

    Args:
        progress: The run's ``progress.csv``.
        picture: The PNG to write.
        title: What stands above it.
        evaluation: What ``evaluation.json`` holds: the held-out means are drawn at both ends.
        kl_target: The divergence that the penalty is steered to, drawn as a dashed line.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError.for_package("matplotlib", "plots", "learning_curve.png") from error
    figure = Figure(figsize=(7, 5.2), dpi=120, layout="constrained")
    explores = bool(read_columns(progress, STEP_COLUMN, EXPLORATION))
    n_rows = 2 if explores or _diverges(progress, evaluation) else 1
    rows = figure.subplots(n_rows, 1, sharex=True, squeeze=False, height_ratios=[3, 2][:n_rows])[:, 0]
    _draw_rewards(rows[0], progress, evaluation)
    if explores:
        _draw_exploration(rows[1], progress)
    elif n_rows == 2:
        _draw_divergence(rows[1], progress, evaluation, kl_target)
    rows[0].set_title(title, loc="left", fontsize=11)
    for axes in rows:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlabel("environment steps (tokens)")
    rows[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    write_atomically(picture, image.getvalue())


def _diverges(progress: Path, evaluation: Mapping[str, Any]) -> bool:
    """Whether a divergence was measured: policies that choose labels or answers have none."""
    measured = any("kl" in result["metrics"] for result in evaluation.values())
    return measured or bool(read_columns(progress, STEP_COLUMN, DIVERGENCE))


def _draw_rewards(axes: Any, progress: Path, evaluation: Mapping[str, Any]) -> None:
    _draw_line(axes, read_columns(progress, STEP_COLUMN, REWARD), "training, last 100 episodes", color=_BLUE)
    _draw_line(
        axes, read_columns(progress, STEP_COLUMN, VALIDATION), "validation", color=_GREY, marker=".", linestyle="--"
    )
    _draw_ends(axes, evaluation, "reward", _BLUE)
    axes.set_ylabel("mean reward")
    axes.legend(loc="lower right", frameon=False, fontsize=9)


def _draw_divergence(axes: Any, progress: Path, evaluation: Mapping[str, Any], kl_target: float | None) -> None:
    _draw_line(axes, read_columns(progress, STEP_COLUMN, DIVERGENCE), "training rollout", color=_ORANGE)
    if kl_target is not None:
        axes.axhline(kl_target, color=_GREY, linestyle="--", linewidth=1, label="target")
    _draw_ends(axes, evaluation, "kl", _ORANGE)
    axes.set_ylabel("KL to the pretrained\nmodel (nats/episode)")
    axes.legend(loc="best", frameon=False, fontsize=9)


def _draw_exploration(axes: Any, progress: Path) -> None:
    _draw_line(axes, read_columns(progress, STEP_COLUMN, EXPLORATION), "exploration", color=_ORANGE)
    axes.set_ylabel("share of random actions")
    axes.set_ylim(0.0, 1.0)


def _draw_line(axes: Any, points: list[tuple[float, ...]], label: str, **style: Any) -> None:
    if points:
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, label=label, linewidth=1.6, **{"marker": "." if len(points) < 3 else "", **style})


def _draw_ends(axes: Any, evaluation: Mapping[str, Any], metric: str, color: str) -> None:
    """Held-out mean and interval of one metric, before and after training."""
    greedy = "greedy, " if evaluation.get("after", {}).get("deterministic") else ""
    label: str | None = f"held-out episodes, {greedy}95% interval"
    for moment in ("before", "after"):
        result = evaluation.get(moment)
        if result is not None and metric in result["metrics"]:
            estimate = result["metrics"][metric]
            mean = estimate["mean"]
            error = [[mean - estimate["low"]], [estimate["high"] - mean]]
            style = {"fmt": "o", "color": color, "markerfacecolor": "white", "capsize": 3, "markersize": 5}
            axes.errorbar([result["step"]], [mean], yerr=error, label=label, clip_on=False, zorder=3, **style)
            label = None
