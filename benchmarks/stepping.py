"""Tokens per second of the vector environment alone, no policy: ``python -m benchmarks stepping``.

Random actions, none of which ends a text, so that every episode takes its whole budget; a reward that costs next to
nothing. What remains is the environment: token state, stop rule, prompts, decoding of finished episodes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.machine import describe_machine, pin
from benchmarks.throughput_report import spread
from benchmarks.workload import even_share


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    pin(1)
    result = run(settings)
    if settings.json:
        Path(settings.json).write_text(json.dumps(result, indent=1) + "\n")
    speed = result["tokens_per_second"]
    Console().print(
        f"{settings.n_envs} environments, {settings.new_tokens}-token episodes, one core of "
        f"{result['machine']['cpu']}: {speed['median']:,.0f} tokens/s ({speed['min']:,.0f} to {speed['max']:,.0f})"
    )


def run(settings: argparse.Namespace) -> dict[str, Any]:
    """Measure; returns ``benchmark``, ``settings``, ``machine``, ``rounds`` and ``tokens_per_second``."""
    import gymnasium as gym

    import lm_envs  # noqa: F401 - registers the environments

    envs = gym.make_vec(
        "TextGen-v0",
        num_envs=settings.n_envs,
        model=settings.model,
        reward=even_share,
        max_prompt_tokens=settings.prompt_tokens,
        max_new_tokens=settings.new_tokens,
    )
    actions = _actions(settings)
    envs.reset(seed=0)
    _tokens_per_second(envs, actions)  # warm-up
    rounds = [_tokens_per_second(envs, actions) for _ in range(settings.rounds)]
    envs.close()
    return {
        "benchmark": "stepping",
        "settings": {key: value for key, value in vars(settings).items() if key != "json"},
        "machine": describe_machine(),
        "rounds": rounds,
        "tokens_per_second": spread(rounds),
    }


def _actions(settings: argparse.Namespace) -> np.ndarray:
    """Random tokens ``(steps, n_envs)`` int64 of whole episodes, without end-of-text tokens."""
    from lm_envs.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(settings.model)
    tokens = np.setdiff1d(np.arange(vocabulary.size), vocabulary.eos_ids)
    steps = settings.episodes * settings.new_tokens
    return np.random.default_rng(0).choice(tokens, size=(steps, settings.n_envs))


def _tokens_per_second(envs: Any, actions: np.ndarray) -> float:
    start = time.perf_counter()
    for row in actions:
        envs.step(row)
    return actions.size / (time.perf_counter() - start)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks stepping", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--model", default="tiny", help="whose tokens the environment uses")
    add("--n-envs", type=int, default=256)
    add("--prompt-tokens", type=int, default=16)
    add("--new-tokens", type=int, default=64)
    add("--episodes", type=int, default=10, help="episodes of each environment in a round")
    add("--rounds", type=int, default=5)
    add("--json", metavar="FILE", help="also write everything to this file")
    return parser


if __name__ == "__main__":
    main()
