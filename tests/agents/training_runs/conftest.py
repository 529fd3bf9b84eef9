"""A training that takes a second: a random two-layer model, eight tokens an episode, a made-up data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.recipes.train_config import TrainConfig, make_config

_OFF_POLICY = {"learning_starts": 16, "batch_size": 8, "train_freq": 2, "gradient_steps": 1, "buffer_size": 2_000}
SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "a2c": {"n_steps": 8},
    "grpo": {"n_steps": 16, "batch_size": 16, "n_epochs": 1},
    "rloo": {"n_steps": 16, "batch_size": 16, "n_epochs": 1},
    "nlpo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "trpo": {"n_steps": 8, "batch_size": 16, "cg_max_steps": 2, "n_critic_updates": 1},
    "maskable_ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "dqn": _OFF_POLICY,
    "qrdqn": {**_OFF_POLICY, "n_quantiles": 4},
}


@pytest.fixture(scope="session")
def prompt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty prompts in the letters that the small tokenizer knows."""
    path = tmp_path_factory.mktemp("data") / "prompts.jsonl"
    lines = [json.dumps({"prompt": f"the {word} {number}"}) for word in ("cat", "dog", "cup") for number in range(20)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def small_config(lm_folder: str, prompt_file: Path) -> Callable[..., TrainConfig]:
    """``small_config(**settings)``."""

    def build(**settings: Any) -> TrainConfig:
        small = SMALL[settings.get("algorithm", "ppo")]
        hyperparameters = {**small, **settings.pop("hyperparameters", {})}
        defaults: dict[str, Any] = {
            "dataset": str(prompt_file),
            "reward": "length:target=8,unit=characters",
            "model": lm_folder,
            "steps": 128,
            "n_envs": 4,
            "env_kwargs": {"max_prompt_tokens": 12, "max_new_tokens": 8},
            "eval_prompts": 5,
            "checkpoint_every": 64,
            "device": "cpu",
        }
        return make_config(hyperparameters=hyperparameters, **{**defaults, **settings})

    return build
