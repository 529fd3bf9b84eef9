"""The baseline has to be right, or beating it means nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer

from agents import LMActorCriticPolicy
from benchmarks.systems import SkipTokens
from benchmarks.textbook_policy import TextbookKLCallback, TextbookLMPolicy
from benchmarks.workload import Workload, prepare_model

MAX_TOKENS = 12


def spaces_of(vocab_size: int) -> tuple[gym.Space, gym.Space]:
    shape = (MAX_TOKENS,)
    obs = spaces.Dict(
        input_ids=spaces.Box(0, vocab_size - 1, shape, np.int32), attention_mask=spaces.Box(0, 1, shape, np.int8)
    )
    return obs, spaces.Discrete(vocab_size)


def ragged_batch(vocab_size: int) -> tuple[dict[str, th.Tensor], th.Tensor]:
    rng = np.random.default_rng(0)
    lengths = np.array([1, 4, 11, 7, 4])
    mask = np.arange(MAX_TOKENS) < lengths[:, None]
    ids = np.where(mask, rng.integers(vocab_size, size=mask.shape), 0)
    obs = {"input_ids": th.as_tensor(ids, dtype=th.int32), "attention_mask": th.as_tensor(mask, dtype=th.int8)}
    return obs, th.as_tensor(rng.integers(vocab_size, size=len(lengths)))


def test_log_probs_and_entropies_equal_the_projects(family: str, random_lm_folder: Callable[..., str]) -> None:
    folder = random_lm_folder(family)
    obs_space, action_space = spaces_of(64)
    textbook = TextbookLMPolicy(obs_space, action_space, lambda _: 1e-3, model=folder)
    project = LMActorCriticPolicy(obs_space, action_space, lambda _: 1e-3, model=folder)
    obs, actions = ragged_batch(64)

    _, log_probs, entropies = textbook.evaluate_actions(obs, actions)
    _, expected, expected_entropies = project.evaluate_actions(obs, actions)

    assert log_probs.std() > 0.1, "a model that finds all tokens equally likely would prove nothing"
    th.testing.assert_close(log_probs, expected, atol=1e-4, rtol=0)
    th.testing.assert_close(entropies, expected_entropies, atol=1e-4, rtol=0)


def test_rollout_and_update_agree(lm_folder: str) -> None:
    policy = TextbookLMPolicy(*spaces_of(64), lambda _: 1e-3, model=lm_folder)
    obs, _ = ragged_batch(64)
    actions, values, log_probs = policy(obs)
    new_values, new_log_probs, _ = policy.evaluate_actions(obs, actions)
    th.testing.assert_close(log_probs, new_log_probs, atol=1e-5, rtol=0)
    th.testing.assert_close(values, new_values, atol=1e-5, rtol=0)
    th.testing.assert_close(values, policy.predict_values(obs), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> Workload:
    folder = prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")
    return Workload(folder, prompt_tokens=3, new_tokens=4, n_envs=4, minibatch=2)


def trained(workload: Workload, venv: Any, n_steps: int, callback: Any) -> PPO:
    ppo = PPO(
        TextbookLMPolicy,
        venv,
        n_steps=n_steps,
        batch_size=8,
        n_epochs=1,
        seed=0,
        policy_kwargs={"model": workload.model},
    )
    return ppo.learn(n_steps * workload.n_envs, callback=callback)


def test_ppo_gives_it_sb3s_buffer_and_trains_it(workload: Workload) -> None:
    ppo = trained(workload, workload.make_venv(), 4, TextbookKLCallback(0.1))
    untrained = TextbookLMPolicy(ppo.observation_space, ppo.action_space, lambda _: 1e-3, model=workload.model)
    assert type(ppo.rollout_buffer) is DictRolloutBuffer
    changed = [not th.equal(a, b) for a, b in zip(ppo.policy.lm.parameters(), untrained.lm.parameters(), strict=True)]
    assert all(changed)


def test_kl_callback_leaves_rewards_alone_while_the_policy_is_the_reference(workload: Workload) -> None:
    rewards = []

    class Keep(TextbookKLCallback):
        def _on_rollout_end(self) -> None:
            before = self.locals["rollout_buffer"].rewards.copy()
            super()._on_rollout_end()
            rewards.append((before, self.locals["rollout_buffer"].rewards.copy()))

    trained(workload, workload.make_venv(), 4, Keep(1.0))
    np.testing.assert_allclose(rewards[0][0], rewards[0][1], atol=1e-4)


def test_kl_callback_charges_the_difference_to_the_reference(workload: Workload) -> None:
    charged = []

    class Shifted(TextbookKLCallback):
        def _on_rollout_end(self) -> None:
            buffer = self.locals["rollout_buffer"]
            buffer.log_probs += 2.0  # as if the policy were 2 nats surer than the reference
            before = buffer.rewards.copy()
            super()._on_rollout_end()
            charged.append(before - buffer.rewards)

    trained(workload, workload.make_venv(), 4, Shifted(0.5))
    np.testing.assert_allclose(charged[0], 1.0, atol=1e-4)


def test_skipping_shows_every_kth_prefix_of_whole_episodes(workload: Workload) -> None:
    venv = SkipTokens(workload.make_venv(), stride=2, seed=0)
    lengths = [venv.reset()["attention_mask"].sum(axis=1)]
    dones = []
    for _ in range(4):
        obs, _, done, _ = venv.step(np.full(workload.n_envs, 5))
        lengths.append(obs["attention_mask"].sum(axis=1))
        dones.append(done.all())
    assert [set(row) for row in lengths] == [{3}, {5}, {3}, {5}, {3}]
    assert dones == [False, True, False, True]
