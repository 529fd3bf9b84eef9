"""Token rewards reach the steps that wrote the tokens."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, TokenRewardsCallback, make_lm_vec_env
from agents.callbacks.token_rewards import spread


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([1, 0, 0, 0], [1.0, 2.0, 3.0, 4.0]),
        ([0, 0, 0, 0], [1.0, 2.0, 3.0, 4.0]),  # began earlier or here: four tokens fit
        ([1, 0, 1, 0], [0.0, 0.0, 1 + 2 + 3.0, 4.0]),  # two tokens were written in the rollout before
        ([1, 0, 0, 1], [0.0, 0.0, 0.0, 10.0]),
    ],
)
def test_spreading_keeps_the_sum(starts, expected):
    rewards = np.array([0.0, 0.0, 0.0, 10.0], dtype=np.float32)
    spread(rewards, np.array(starts), np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32))
    assert rewards.tolist() == expected


def test_step_costs_beside_token_rewards_stay_where_they_are():
    rewards = np.array([-1.0, -1.0, 2.0], dtype=np.float32)
    spread(rewards, np.array([0, 1, 0]), np.array([1.0, 2.0], dtype=np.float32))
    assert rewards.tolist() == [-1.0, 0.0, 1.0]


def test_in_training_each_step_gets_its_token(lm_folder):
    def ids_as_rewards(prompts, completions, completion_ids, **_):
        return [[float(token) for token in ids] for ids in completion_ids]

    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=3, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the good", "a bad was"] * 5, "reward": ids_as_rewards,
                    "max_prompt_tokens": 8, "max_new_tokens": 4},
    )  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=12, n_epochs=1, gamma=1.0, seed=0, device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": lm_folder},
    )  # fmt: skip
    model.learn(24, callback=TokenRewardsCallback())
    buffer = model.rollout_buffer
    for env in range(3):
        ends = np.append(np.flatnonzero(buffer.episode_starts[1:, env]), 7 if model._last_episode_starts[env] else -1)
        last = ends.max()
        assert last > 2
        assert np.allclose(buffer.rewards[: last + 1, env], buffer.actions[: last + 1, env, 0])
        assert np.allclose(buffer.rewards[last + 1 :, env], 0)
    assert np.allclose(buffer.returns, buffer.advantages + buffer.values, atol=1e-4)
