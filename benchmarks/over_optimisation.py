"""True reward against divergence, trained on a learned reward: ``python -m benchmarks over-optimisation``.

A simulated annotator with a hidden reward compares a few hundred pairs. Stock PPO then learns from one reward model,
and from an ensemble that pays its mean minus its deviation, each without and with a KL constraint. As training goes on,
completions of validation prompts are scored by one reward model and by the hidden reward. Writes
``over_optimisation.json`` and ``over_optimisation.png``.

References:
    Gao et al. 2023, https://arxiv.org/abs/2210.10760; Coste et al. 2024, https://arxiv.org/abs/2310.02743
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback

from agents.callbacks.reference_kl import ReferenceKLCallback
from agents.evaluation import evaluate
from agents.feedback.collecting import collect_items
from agents.feedback.files import read_feedback
from agents.feedback.simulated import SimulatedAnnotator
from agents.feedback.store import FeedbackStore
from agents.recipes.train_config import TrainConfig, make_config
from agents.reward_models.ensemble import train_reward_ensemble
from agents.training_runs.building import build_model
from benchmarks.hidden_reward import TEMPERATURE, TIE_MARGIN, pleased_and_well_formed
from benchmarks.machine import describe_machine

COLORS = {
    "one reward model": "#d97706",
    "ensemble": "#2563eb",
    "one reward model, KL constraint": "#059669",
    "ensemble, KL constraint": "#7c3aed",
}
TASK: dict[str, Any] = {"task": "reviews"}
RESULTS = Path(__file__).parent / "results"
Point = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    result: dict[str, Any] = {
        "benchmark": "over_optimisation",
        "settings": {key: value for key, value in vars(settings).items() if key != "folder"},
        "machine": describe_machine(),
        "runs": [],
    }
    file = settings.folder / "over_optimisation.json"
    for seed in settings.seeds:
        result["runs"] += measure(seed, settings)
        file.write_text(json.dumps(result, indent=1) + "\n")
    draw(result["runs"], settings.kl_target, settings.folder / "over_optimisation.png")
    Console().print(table(result["runs"]))


def measure(seed: int, settings: argparse.Namespace) -> list[dict[str, Any]]:
    """All ways of training with one seed, on the same feedback.

    Returns:
        For each ``arm``, ``seed``, ``seconds`` and ``curve``: ``step``, ``kl`` (nats an episode), ``true`` (the hidden
        reward) and ``proxy`` (what one reward model says, in its standard deviations).
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "reward_models"
        _train_reward_models(Path(scratch) / "feedback.sqlite", folder, seed, settings)
        one = f"model:{folder / 'member-0'}"
        free, held = {"kl_coef": 0.0, "kl_target": 0}, {"kl_coef": settings.kl_coef, "kl_target": settings.kl_target}
        ways = [(reward, penalty) for penalty in (free, held) for reward in (one, f"model:{folder}")]
        runs = []
        for arm, (reward, penalty) in zip(COLORS, ways, strict=True):
            start = time.perf_counter()
            config = make_config(
                algorithm="ppo",
                steps=settings.steps,
                seed=seed,
                device="cpu",
                hyperparameters={"learning_rate": settings.learning_rate},
                reward=reward,
                **TASK,
                **penalty,
            )
            curve = follow(config, one, settings.points, settings.prompts)
            runs.append({"arm": arm, "seed": seed, "seconds": round(time.perf_counter() - start), "curve": curve})
    return runs


def _train_reward_models(feedback: Path, folder: Path, seed: int, settings: argparse.Namespace) -> None:
    store = FeedbackStore(feedback)
    collect_items(store, "tiny", settings.pairs, env_kwargs=TASK, seed=seed)
    SimulatedAnnotator(pleased_and_well_formed, TEMPERATURE, TIE_MARGIN, seed).answer_store(store)
    train_reward_ensemble(read_feedback(feedback), folder, settings.members, seed=10 * seed, device="cpu")


def follow(config: TrainConfig, proxy: str, n_points: int, n_prompts: int) -> list[Point]:
    """Train with a configuration and measure as training goes on.

    Args:
        config: The training.
        proxy: The reward that is measured beside the hidden one.
        n_points: Measurements after the first.
        n_prompts: Validation prompts in each.
    """
    model = build_model(config)
    follower = _Follower(proxy, config.steps // n_points, n_prompts)
    penalty = ReferenceKLCallback(config.kl_coef, config.kl_target)
    model.learn(config.steps, callback=[penalty, follower])
    return follower.curve


class _Follower(BaseCallback):
    """Measures the policy between updates, whenever ``every`` steps have passed."""

    def __init__(self, proxy: str, every: int, n_prompts: int) -> None:
        super().__init__()
        self.curve: list[Point] = []
        self._proxy, self._every, self._n_prompts = proxy, every, n_prompts

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= len(self.curve) * self._every:
            self._measure()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._measure()

    def _measure(self) -> None:
        found = evaluate(
            self.model.policy,
            env_kwargs={**TASK, "reward": self._proxy},
            split="validation",
            n_prompts=self._n_prompts,
        )
        texts = found.completions
        true = pleased_and_well_formed([item.prompt for item in texts], [item.completion for item in texts])
        kl, proxy = found.metrics["kl"].mean, found.metrics["reward"].mean
        self.curve.append({"step": self.num_timesteps, "kl": kl, "true": float(np.mean(true)), "proxy": proxy})


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """For each arm, over its seeds: the ``best`` true reward on the way, and ``true``, ``proxy``, ``kl`` at the end."""
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        last = run["curve"][-1]
        values = {"best": max(point["true"] for point in run["curve"])} | {k: last[k] for k in ("true", "proxy", "kl")}
        for key, value in values.items():
            found.setdefault(run["arm"], {}).setdefault(key, []).append(value)
    return found


def table(runs: Sequence[dict[str, Any]]) -> Table:
    """The summary: mean over seeds, least to greatest."""
    shown = Table(title="mean over seeds (least to greatest)")
    for column in ("trained on", "best true reward", "true reward at the end", "learned reward at the end", "KL"):
        shown.add_column(column)
    for arm, values in summarise(runs).items():
        cells = [f"{np.mean(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in values.values()]
        shown.add_row(arm, *cells)
    return shown


def draw(runs: Sequence[dict[str, Any]], kl_target: float, picture: Path) -> None:
    """Hidden and learned reward against the divergence, on a scale of its square root; a line for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    titles = {"true": "hidden reward of the annotator", "proxy": "learned reward (standard deviations)"}
    for axes, (key, title) in zip(panels, titles.items(), strict=True):
        named: set[str] = set()
        for run in runs:
            points = [(point["kl"], point[key]) for point in run["curve"]]
            label = None if run["arm"] in named else run["arm"]
            named.add(run["arm"])
            axes.plot(*zip(*points, strict=True), color=COLORS[run["arm"]], marker=".", linewidth=1.2, label=label)
        axes.set_xscale("function", functions=(lambda kl: np.sqrt(np.maximum(kl, 0)), np.square))
        axes.set_xticks([0, 1, 3, 10, 20, 40, 80, 120])
        axes.axvline(kl_target, color="#6b7280", linestyle="--", linewidth=1)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("KL to the pretrained model (nats an episode)")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(bottom=0.0)
    panels[1].legend(loc="lower right", frameon=False, fontsize=9)
    figure.savefig(picture, format="png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks over-optimisation", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--pairs", type=int, default=300, help="pairs of completions that the annotator compares")
    add("--members", type=int, default=4, help="reward models in the ensemble")
    add("--steps", type=int, default=80_000, help="tokens of training")
    add("--learning-rate", type=float, default=5e-4)
    add("--kl-coef", type=float, default=0.2, help="where the constraint's coefficient begins")
    add("--kl-target", type=float, default=6.0, help="nats an episode that the constraint steers to")
    add("--points", type=int, default=20, help="measurements on the way")
    add("--prompts", type=int, default=128, help="validation prompts in each")
    add("--folder", type=Path, default=RESULTS, help="where results go")
    return parser


if __name__ == "__main__":
    main()
