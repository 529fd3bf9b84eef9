"""On a GPU: rollout and update agree, weights change, frozen weights of the environment stay where they are."""

from __future__ import annotations

import pytest
import torch as th
from stable_baselines3 import DQN, PPO

from agents import (
    LMActorCriticPolicy,
    LMQPolicy,
    ReferenceKLCallback,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from lm_envs import load_language_model
from lm_envs.wrappers import CandidateActions

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not th.cuda.is_available(), reason="needs a CUDA device")]


def make_ppo(lm_folder, **policy_kwargs):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the good", "a bad was"] * 5, "reward": "distinct",
                    "max_prompt_tokens": 8, "max_new_tokens": 6},
    )  # fmt: skip
    return PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=16, n_epochs=1, gamma=1.0, seed=0, device="cuda",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": lm_folder, **policy_kwargs},
    )  # fmt: skip


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.2)])
def test_ppo_on_a_gpu(lm_folder, trainable, dtype, tolerance):
    model = make_ppo(lm_folder, trainable=trainable, dtype=dtype)
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    assert model.policy._static.decoding._recordings
    for sample in model.rollout_buffer.get(16):
        _, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions)
        assert log_prob.device.type == "cuda"
        assert th.allclose(log_prob, sample.old_log_prob, atol=tolerance)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64, callback=ReferenceKLCallback())
    assert any(not th.equal(value, before[name]) for name, value in model.policy.state_dict().items())
    assert next(load_language_model(lm_folder).parameters()).device.type == "cpu"


@pytest.mark.parametrize("value", ["shared", "separate"])
def test_recorded_rollouts_equal_those_without_recording(lm_folder, value):
    """The same random numbers give the same actions, before and after the weights were changed."""
    rollouts = []
    for decode in ("eager", "static", "graph"):
        model = make_ppo(lm_folder, value=value, decode=decode)
        _, callback = model._setup_learn(10**6)
        actions = []
        for change in (1.0, 1.0, 1.1):
            with th.no_grad():
                for parameter in model.policy.parameters():
                    parameter.mul_(change)
            model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
            actions.append(model.rollout_buffer.actions.copy())
        rollouts.append(actions)
    for others in rollouts[1:]:
        for mine, theirs in zip(rollouts[0], others, strict=True):
            assert (mine == theirs).mean() > 0.95  # a number at the edge of an interval may fall on either side


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
@pytest.mark.parametrize("candidates", [True, False])
def test_dqn_on_a_gpu(lm_folder, trainable, candidates):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the good", "a bad was"] * 5, "reward": "distinct",
                    "max_prompt_tokens": 8, "max_new_tokens": 6, "min_new_tokens": 2},
        wrapper_class=CandidateActions if candidates else None, wrapper_kwargs={"k": 5, "device": "cuda"},
    )  # fmt: skip
    model = DQN(
        LMQPolicy, venv, buffer_size=2_000, learning_starts=16, batch_size=16, target_update_interval=16, seed=0,
        device="cuda", replay_buffer_class=SequenceReplayBuffer,
        replay_buffer_kwargs={"prioritized": True, "gamma": 0.99},
        policy_kwargs={"model": lm_folder, "trainable": trainable, "double_q": True, "exploration": "lm"},
    )  # fmt: skip
    frozen = {id(p) for p in model.q_net.lm.lm.parameters() if not p.requires_grad}
    assert frozen <= {id(p) for p in model.q_net_target.lm.lm.parameters()}
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64)
    sample = model.replay_buffer.sample(16)
    assert model.q_net(sample.observations).device.type == "cuda"
    assert any(not th.equal(value, before[name]) for name, value in model.policy.state_dict().items())
