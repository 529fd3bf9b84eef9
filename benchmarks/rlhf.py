"""Two rounds of learning from a simulated annotator's feedback, and ways to use it: ``python -m benchmarks rlhf``.

For each seed, two rounds of :func:`agents.rlhf.feedback_round` with PPO. Then, with the feedback and the reward model
that they leave, what else could have been done with it from the pretrained model, at the same number of tokens as both
rounds: nothing, best of eight, supervised learning of the completions that were chosen, PPO, GRPO, RLOO and NLPO.
Everything is measured on held-out prompts by the hidden reward. Writes ``rlhf.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from rich.console import Console
from rich.table import Table

from agents.baselines.best_of_n import best_of_n
from agents.baselines.supervised import warm_start
from agents.evaluation import Evaluation, evaluate
from agents.evaluation.pretrained_policy import pretrained_policy
from agents.feedback.collecting import collect_items
from agents.feedback.examples import Demonstration, Feedback
from agents.feedback.files import read_feedback
from agents.feedback.simulated import SimulatedAnnotator
from agents.feedback.store import FeedbackStore
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.saved_policy import load_policy
from agents.recipes.train_config import make_config
from agents.rlhf import FeedbackRound, feedback_round
from agents.training_runs.training import train
from benchmarks.hidden_reward import TEMPERATURE, TIE_MARGIN, pleased_and_well_formed
from benchmarks.machine import describe_machine
from lm_envs.rewards.scoring import score_texts

TASK: dict[str, Any] = {"task": "reviews"}
ENV_KWARGS = {**TASK, "reward": pleased_and_well_formed, "model": "tiny"}
ALGORITHMS = ("ppo", "grpo", "rloo", "nlpo")
BEST_OF = 8
RESULTS = Path(__file__).parent / "results"
METRICS = ("reward", "grammar", "distinct_2", "kl", "length")
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    result: dict[str, Any] = {"benchmark": "rlhf", "settings": shown, "machine": describe_machine(), "runs": []}
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.jobs, mp_context=processes, initializer=_one_thread) as pool:
        for done in pool.map(run, settings.seeds, itertools.repeat(settings)):
            result["runs"].append(done)
            settings.json.write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(result["runs"]))


def _one_thread() -> None:
    th.set_num_threads(1)


def run(seed: int, settings: argparse.Namespace) -> dict[str, Any]:
    """Everything with one seed, in a folder that is removed afterwards; see :func:`run_in`."""
    with tempfile.TemporaryDirectory() as scratch:
        return run_in(Path(scratch), seed, settings)


def run_in(folder: Path, seed: int, settings: argparse.Namespace) -> dict[str, Any]:
    """Everything with one seed.

    Returns:
        ``seed``; ``reached``: the hidden reward before, after one and after two rounds; ``accuracy`` of both rounds'
        reward models on ``pairs`` held-out pairs; ``rows``: for each way its metrics, the ``tokens`` that it generated
        or learned from for training, ``seconds``, and examples.
    """
    store = FeedbackStore(folder / "feedback.sqlite")
    annotator = SimulatedAnnotator(pleased_and_well_formed, TEMPERATURE, TIE_MARGIN, seed)
    steps = settings.steps // 2
    rows = [_row("no training", lambda: (_measure(_pretrained(), settings), 0))]
    rounds: list[FeedbackRound] = []
    model = "tiny"
    for number in (1, 2):
        name = f"PPO, {'one round' if number == 1 else 'two rounds'}"

        def go_round(number: int = number, start: str = model) -> tuple[Evaluation, int]:
            done = feedback_round(
                folder / f"round_{number}",
                start,
                store,
                annotator.answer_store,
                n_prompts=settings.pairs,
                steps=steps,
                reference="tiny",
                seed=10 * seed + number,
                **TASK,
                **_penalty(settings, settings.first_kl_target if number == 1 else settings.kl_target),
            )
            rounds.append(done)
            return _measure(load_policy(done.run.model, "cpu"), settings), number * steps

        rows.append(_row(name, go_round))
        model = rounds[-1].model
    pairs = _held_out_pairs(folder / "held_out.sqlite", ["tiny", str(rounds[0].run.path)], seed, settings.pairs)
    accuracies = [_accuracy(done.reward_model, pairs) for done in rounds]
    last = rounds[-1].reward_model
    rows += _alternatives(read_feedback(store.path), f"model:{last}", seed, folder, settings)
    for entry in rows:
        Console().print(f"seed {seed}: {entry['name']}: {entry['metrics']['reward']:.3f}, {entry['seconds']} s")
    reached = [rows[number]["metrics"]["reward"] for number in (0, 1, 2)]
    return {"seed": seed, "reached": reached, "accuracy": accuracies, "pairs": len(pairs), "rows": rows}


def _alternatives(feedback: Feedback, reward: str, seed: int, folder: Path, settings: argparse.Namespace) -> list[Row]:
    """What else the feedback and the last reward model are good for, each from the pretrained model."""

    def best() -> tuple[Evaluation, int]:
        options = {"n_prompts": settings.prompts, "reward": reward}
        return best_of_n(_pretrained(), "TextGen-v0", ENV_KWARGS, BEST_OF, **options).evaluation, 0

    def supervised() -> tuple[Evaluation, int]:
        policy = _pretrained("all")
        chosen = dict.fromkeys((pair.prompt, pair.chosen) for pair in feedback.preferences if not pair.tie)
        shown = [Demonstration(*pair) for pair in chosen]
        done = warm_start(policy, shown, ENV_KWARGS, epochs=settings.epochs, validation=0.0, seed=seed)
        return _measure(policy, settings), done.n_tokens

    def trained(algorithm: str) -> Callable[[], tuple[Evaluation, int]]:
        def learn() -> tuple[Evaluation, int]:
            config = make_config(
                **TASK,
                algorithm=algorithm,
                reward=reward,
                steps=settings.steps,
                seed=seed,
                **_penalty(settings, settings.kl_target),
            )
            done = train(config, folder / algorithm)
            return _measure(load_policy(done.model, "cpu"), settings), settings.steps

        return learn

    rows = [_row(f"best of {BEST_OF}, chosen by the reward model", best)]
    rows.append(_row("supervised, on the chosen completions", supervised))
    return rows + [_row(f"{algorithm.upper()}, one go", trained(algorithm)) for algorithm in ALGORITHMS]


def _penalty(settings: argparse.Namespace, target: float) -> dict[str, Any]:
    return {"kl_coef": settings.kl_coef, "kl_target": target, "eval_prompts": 32, "device": "cpu"}


def _pretrained(trainable: str = "heads") -> LMActorCriticPolicy:
    policy = pretrained_policy("TextGen-v0", ENV_KWARGS, "cpu")
    if trainable == "heads":
        return policy
    spaces = policy.observation_space, policy.action_space
    return LMActorCriticPolicy(*spaces, lambda _: 0.0, model="tiny", trainable=trainable)


def _measure(policy: Any, settings: argparse.Namespace) -> Evaluation:
    return evaluate(policy, env_kwargs=ENV_KWARGS, n_prompts=settings.prompts, reference=_pretrained())


def _row(name: str, do: Callable[[], tuple[Evaluation, int]]) -> Row:
    start = time.perf_counter()
    found, tokens = do()
    metrics = {key: found.metrics[key].mean for key in METRICS if key in found.metrics}
    seconds = round(time.perf_counter() - start)
    examples = [item.to_dict() for item in found.completions[:3]]
    return {"name": name, "metrics": metrics, "tokens": tokens, "seconds": seconds, "examples": examples}


def _held_out_pairs(file: Path, writers: list[str], seed: int, n_prompts: int) -> list[tuple[str, str, str]]:
    """Prompt, better and worse completion of held-out prompts, one by each writer, as another annotator sees them."""
    store = FeedbackStore(file)
    collect_items(store, writers, n_prompts, env_kwargs=TASK, split="test", seed=seed)
    SimulatedAnnotator(pleased_and_well_formed, TEMPERATURE, TIE_MARGIN, seed, name="another").answer_store(store)
    return [(pair.prompt, pair.chosen, pair.rejected) for pair in read_feedback(file).preferences if not pair.tie]


def _accuracy(reward_model: Path, pairs: Sequence[tuple[str, str, str]]) -> float:
    """The share of pairs of which the reward model prefers the better one."""
    prompts, better, worse = (list(texts) for texts in zip(*pairs, strict=True))
    scores = [np.array(score_texts(f"model:{reward_model}", prompts, texts)) for texts in (better, worse)]
    return float(np.mean(scores[0] > scores[1]))


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """For each way, over the seeds: its metrics and ``tokens``."""
    found: dict[str, dict[str, list[float]]] = {}
    for entry in runs:
        for row in entry["rows"]:
            for key, value in {**row["metrics"], "tokens": row["tokens"]}.items():
                found.setdefault(row["name"], {}).setdefault(key, []).append(value)
    return found


def table(runs: Sequence[dict[str, Any]]) -> Table:
    """The summary: mean over seeds, least to greatest."""
    accuracy = np.array([entry["accuracy"] for entry in runs])
    shown = Table(
        title="mean over seeds (least to greatest)",
        caption=f"reward models on held-out pairs: {accuracy[:, 0].mean():.2f}, then {accuracy[:, 1].mean():.2f}",
    )
    for column in ("", "hidden reward", "well-formed", "distinct-2", "KL", "tokens"):
        shown.add_column(column)
    for name, values in summarise(runs).items():
        cells = [cell(values.get(key, [])) for key in METRICS[:4]]
        shown.add_row(name, *cells, f"{np.mean(values['tokens']):,.0f}")
    return shown


def cell(values: Sequence[float]) -> str:
    """Mean, least and greatest; empty where nothing was measured."""
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks rlhf", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--pairs", type=int, default=800, help="prompts of which two completions are compared, in each round")
    add("--steps", type=int, default=120_000, help="tokens of training: of both rounds, and of each other way")
    add("--epochs", type=int, default=7, help="passes over the chosen completions: about as many tokens")
    add("--kl-coef", type=float, default=0.2, help="where the penalty's coefficient begins")
    add("--kl-target", type=float, default=6.0, help="nats an episode that it steers to")
    add("--first-kl-target", type=float, default=3.0, help="the same in the first round, whose reward model knows less")
    add("--prompts", type=int, default=256, help="held-out prompts")
    add("--jobs", type=int, default=1, help="seeds side by side, one core each")
    add("--json", type=Path, default=RESULTS / "rlhf.json", help="where results go")
    return parser


if __name__ == "__main__":
    main()
