"""Choices as actions are a contextual bandit: for SB3's plain DQN and for a table."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy

import lm_envs  # noqa: F401 - registers the environments
from agents import make_lm_vec_env

ROWS: list[dict[str, Any]] = [
    {"question": question, "choices": ["red", "green", "blue"], "answer": answer, "split": "train"}
    for question, answer in {"Fire?": 0, "Grass?": 1, "Sky?": 2, "Blood?": 0, "Sea?": 2}.items()
]
CHOICE = {"dataset": ROWS, "actions": "choice", "max_prompt_tokens": 40}


def test_a_table_learns_it() -> None:
    env = gym.make("QA-v0", **CHOICE)
    rng = np.random.default_rng(0)
    values: dict[bytes, np.ndarray] = {}
    obs, _ = env.reset(seed=0)
    for _ in range(400):
        row = values.setdefault(obs["input_ids"].tobytes(), np.zeros(3))
        action = int(rng.integers(3)) if rng.random() < 0.3 else int(row.argmax())
        _, reward, terminated, _, _ = env.step(action)
        assert terminated  # one decision
        row[action] += 0.5 * (float(reward) - row[action])
        obs, _ = env.reset()
    assert len(values) == 5 and all(row.max() > 0.9 for row in values.values())
    assert sorted(int(row.argmax()) for row in values.values()) == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("vectorised", [False, True])
@pytest.mark.filterwarnings("ignore:.*multiple envs.*:UserWarning")
def test_dqn_learns_it(vectorised: bool) -> None:
    env: Any = (
        make_lm_vec_env("QA-v0", n_envs=4, seed=0, env_kwargs=CHOICE) if vectorised else gym.make("QA-v0", **CHOICE)
    )
    model = DQN(
        "MultiInputPolicy", env, learning_starts=200, train_freq=1, gradient_steps=4 if vectorised else 1, seed=0,
        exploration_fraction=0.5, learning_rate=1e-3, device="cpu", buffer_size=2000, target_update_interval=100,
        batch_size=64,
    )  # fmt: skip
    model.learn(2500)
    mean, _ = evaluate_policy(model, gym.make("QA-v0", **CHOICE), 30, warn=False)
    assert mean >= 0.9


def test_ppo_takes_it() -> None:
    model = PPO("MultiInputPolicy", gym.make("QA-v0", **CHOICE), n_steps=64, device="cpu", seed=0)
    model.learn(128)
