"""The DQN baseline has to be right, or beating it means nothing."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer

from agents import LMQPolicy
from benchmarks.dqn_systems import make_textbook, prefill
from benchmarks.textbook_q_policy import TextbookLMQPolicy
from benchmarks.workload import Workload, prepare_model

MAX_TOKENS = 12


def spaces_of(vocab_size: int) -> tuple[gym.Space, gym.Space]:
    shape = (MAX_TOKENS,)
    obs = spaces.Dict(
        input_ids=spaces.Box(0, vocab_size - 1, shape, np.int32), attention_mask=spaces.Box(0, 1, shape, np.int8)
    )
    return obs, spaces.Discrete(vocab_size)


def ragged_batch(vocab_size: int, padding: int = 0) -> dict[str, th.Tensor]:
    rng = np.random.default_rng(0)
    mask = np.arange(MAX_TOKENS) < np.array([1, 4, 11, 7, 4])[:, None]
    ids = np.where(mask, rng.integers(vocab_size, size=mask.shape), padding)
    return {"input_ids": th.as_tensor(ids, dtype=th.int32), "attention_mask": th.as_tensor(mask, dtype=th.int8)}


def test_it_ranks_actions_like_the_untrained_project(family: str, random_lm_folder: Callable[..., str]) -> None:
    folder = random_lm_folder(family)
    obs_space, action_space = spaces_of(64)
    textbook = TextbookLMQPolicy(obs_space, action_space, lambda _: 1e-3, model=folder)
    project = LMQPolicy(obs_space, action_space, lambda _: 1e-3, model=folder, log_prob_scale=0.5)
    obs = ragged_batch(64)

    with th.no_grad():
        values = textbook.q_net(obs)
        target_values = textbook.q_net_target(obs)

    assert values.std() > 0.1, "a model that finds all tokens equally likely would prove nothing"
    th.testing.assert_close(0.5 * values.log_softmax(dim=1), project.action_values(obs), atol=1e-4, rtol=0)
    assert th.equal(values, target_values)
    assert th.equal(textbook(obs), values.argmax(dim=1))


def test_padding_does_not_matter(lm_folder: str) -> None:
    policy = TextbookLMQPolicy(*spaces_of(64), lambda _: 1e-3, model=lm_folder)
    with th.no_grad():
        th.testing.assert_close(policy.q_net(ragged_batch(64)), policy.q_net(ragged_batch(64, padding=9)))


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> Workload:
    folder = prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")
    return Workload(folder, 3, 4, n_envs=4, algorithm="dqn", batch_size=8, measured_tokens=16, prefill=2)


def test_dqn_gives_it_sb3s_buffer_and_trains_the_online_network_only(workload: Workload) -> None:
    dqn = make_textbook(workload)
    prefill(dqn, workload)
    online = [p.clone() for p in dqn.q_net.parameters()]
    target = [p.clone() for p in dqn.q_net_target.parameters()]
    dqn.train(gradient_steps=1, batch_size=8)
    assert type(dqn.replay_buffer) is DictReplayBuffer
    assert all(not th.equal(a, b) for a, b in zip(online, dqn.q_net.parameters(), strict=True))
    assert all(th.equal(a, b) for a, b in zip(target, dqn.q_net_target.parameters(), strict=True))


def test_gradients_are_those_of_whole_prefixes(workload: Workload) -> None:
    """A step on a padded batch is the mean of the steps on its rows alone."""
    network = TextbookLMQPolicy(*spaces_of(64), lambda _: 1e-3, model=workload.model).q_net
    obs = ragged_batch(64)

    def gradient(values: th.Tensor) -> th.Tensor:
        return th.autograd.grad(values.square().mean(), network.lm.get_input_embeddings().weight)[0]

    together = gradient(network(obs))
    alone = [gradient(network({key: value[i : i + 1] for key, value in obs.items()})) for i in range(5)]
    th.testing.assert_close(together, th.stack(alone).mean(dim=0), atol=1e-4, rtol=1e-3)
