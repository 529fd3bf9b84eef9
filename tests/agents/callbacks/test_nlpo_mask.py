"""The masking policy changes when the callback copies, and at no other time."""

from __future__ import annotations

import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from agents import LMActorCriticPolicy, LMNLPOPolicy, NLPOMaskCallback, SequenceRolloutBuffer, make_lm_vec_env
from lm_envs.errors import ConfigurationError

ROLLOUT = 4 * 4


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def make_model(folder, policy=LMNLPOPolicy, trainable="all"):
    env_kwargs = {
        "model": folder, "dataset": ["the good", "is"], "reward": count_letters, "max_prompt_tokens": 8,
        "max_new_tokens": 4,
    }  # fmt: skip
    venv = make_lm_vec_env("TextGen-v0", n_envs=4, seed=0, env_kwargs=env_kwargs)
    return PPO(
        policy, venv, n_steps=4, batch_size=16, n_epochs=1, learning_rate=1e-2, seed=0, device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": folder, "trainable": trainable},
    )  # fmt: skip


def trained(module):
    return th.cat([parameter.flatten() for parameter in module.parameters() if parameter.requires_grad]).clone()


class Watch(BaseCallback):
    """Keeps both policies' weights as they are when a rollout ends."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def _on_rollout_end(self):
        policy = self.model.policy
        kind = "model" if policy.masking_adapter is None else "adapter"
        own = policy.actor if kind == "model" else policy.adapter
        self.seen.append((trained(own), trained(getattr(policy, f"masking_{kind}"))))

    def _on_step(self):
        return True


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads", "lora"])
def test_the_mask_is_the_policy_of_the_last_copy(lm_folder, trainable):
    if trainable == "lora":
        pytest.importorskip("peft")
    model, watch = make_model(lm_folder, trainable=trainable), Watch()
    callback = NLPOMaskCallback(update_every=3)
    model.learn(7 * ROLLOUT, callback=CallbackList([callback, watch]))
    policies, masks = zip(*watch.seen, strict=True)
    assert all(not th.equal(policies[i], policies[i + 1]) for i in range(6))
    copied_at = [next(j for j in range(7) if th.equal(policies[j], mask)) for mask in masks]
    assert copied_at == [0, 0, 0, 3, 3, 3, 6] and callback.n_updates == 3


def test_a_run_that_goes_on_keeps_to_the_same_rollouts(lm_folder):
    model, watch = make_model(lm_folder), Watch()
    model.learn(2 * ROLLOUT, callback=NLPOMaskCallback(update_every=3))
    model.learn(3 * ROLLOUT, callback=CallbackList([NLPOMaskCallback(3), watch]), reset_num_timesteps=False)
    lags = [not th.equal(policy, mask) for policy, mask in watch.seen]
    assert lags == [True, False, True]  # rollouts 2, 3 and 4, counted from 0


@pytest.mark.parametrize("update_every", [0, -1, 1.5, True])
def test_impossible_intervals_are_refused(update_every):
    with pytest.raises(ConfigurationError, match="update_every must be an integer of at least 1"):
        NLPOMaskCallback(update_every)


def test_other_policies_are_refused(lm_folder):
    with pytest.raises(ConfigurationError, match="needs an on-policy algorithm with an LMNLPOPolicy; got PPO with LMA"):
        make_model(lm_folder, LMActorCriticPolicy).learn(16, callback=NLPOMaskCallback())
