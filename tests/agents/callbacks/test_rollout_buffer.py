from __future__ import annotations

from typing import Any

import pytest
from stable_baselines3 import DQN, PPO

from agents import GRPORolloutBuffer, LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.callbacks.rollout_buffer import RolloutBufferCallback
from lm_envs.errors import ConfigurationError


def _ppo(lm_folder: str, **arguments: Any) -> PPO:
    kwargs = {"model": lm_folder, "max_prompt_tokens": 8, "max_new_tokens": 4}
    venv = make_lm_vec_env(n_envs=2, seed=0, env_kwargs={**kwargs, "reward": "length"})
    settings = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "seed": 0, "gamma": 0.9, "gae_lambda": 0.8}
    return PPO(LMActorCriticPolicy, venv, policy_kwargs={"model": lm_folder}, device="cpu", **settings, **arguments)


@pytest.mark.parametrize("given", ["agents.SequenceRolloutBuffer", SequenceRolloutBuffer], ids=["path", "class"])
def test_it_trains_as_if_the_buffer_had_been_named(lm_folder: str, given: Any) -> None:
    named = _ppo(lm_folder, rollout_buffer_class=SequenceRolloutBuffer).learn(32)
    exchanged = _ppo(lm_folder).learn(32, callback=RolloutBufferCallback(given))
    assert isinstance(exchanged.rollout_buffer, SequenceRolloutBuffer)
    for one, other in zip(named.policy.parameters(), exchanged.policy.parameters(), strict=True):
        assert one.equal(other)


def test_further_arguments_reach_the_buffer(lm_folder: str) -> None:
    model = _ppo(lm_folder)
    RolloutBufferCallback("agents.GRPORolloutBuffer", scale="none").init_callback(model)
    assert isinstance(model.rollout_buffer, GRPORolloutBuffer) and model.rollout_buffer.scale == "none"


def test_an_off_policy_algorithm_has_none() -> None:
    with pytest.raises(ConfigurationError, match="DQN has no rollout buffer"):
        DQN("MlpPolicy", "CartPole-v1", buffer_size=10).learn(1, callback=RolloutBufferCallback())
