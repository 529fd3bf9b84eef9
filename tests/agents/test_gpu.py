"""On a GPU: rollout and update agree, weights change, frozen weights of the environment stay where they are."""

from __future__ import annotations

import pytest
import torch as th
from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from lm_envs import load_language_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not th.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.2)])
def test_ppo_on_a_gpu(lm_folder, trainable, dtype, tolerance):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the good", "a bad was"] * 5, "reward": "distinct",
                    "max_prompt_tokens": 8, "max_new_tokens": 6},
    )  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=16, n_epochs=1, gamma=1.0, seed=0, device="cuda",
        rollout_buffer_class=SequenceRolloutBuffer,
        policy_kwargs={"model": lm_folder, "trainable": trainable, "dtype": dtype},
    )  # fmt: skip
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    for sample in model.rollout_buffer.get(16):
        _, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions)
        assert log_prob.device.type == "cuda"
        assert th.allclose(log_prob, sample.old_log_prob, atol=tolerance)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64, callback=ReferenceKLCallback())
    assert any(not th.equal(value, before[name]) for name, value in model.policy.state_dict().items())
    assert next(load_language_model(lm_folder).parameters()).device.type == "cpu"
