"""The KL penalty: what it measures, what it changes, how it steers."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from agents.callbacks import reference_kl
from agents.callbacks.reference_kl import _mean_episode_sum
from lm_envs import load_language_model
from lm_envs.errors import ConfigurationError

N_ENVS, N_STEPS = 4, 8


def tenth_of_the_length(prompts, completions, **columns):
    return [len(text) / 10 for text in completions]


def make_model(folder, buffer=SequenceRolloutBuffer, **policy_kwargs):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=N_ENVS, seed=0,
        env_kwargs={"model": folder, "dataset": ["the good", "a bad was", "is"] * 4, "max_prompt_tokens": 12,
                    "max_new_tokens": 6, "reward": tenth_of_the_length},
    )  # fmt: skip
    return PPO(
        LMActorCriticPolicy, venv, n_steps=N_STEPS, batch_size=16, n_epochs=1, gamma=1.0, learning_rate=1e-2, seed=0,
        rollout_buffer_class=buffer, policy_kwargs={"model": folder, **policy_kwargs}, device="cpu",
    )  # fmt: skip


def rollout(model, callback):
    _, callback = model._setup_learn(10**6, callback)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


class Before(BaseCallback):
    """Remembers the rewards before the penalty."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.rewards = self.locals["rollout_buffer"].rewards.copy()


def disturb(model):
    with th.no_grad():
        for _, parameter in model.policy.actor.own_parameters():
            parameter.add_(0.05 * th.randn(parameter.shape, generator=th.Generator().manual_seed(1)))


def test_untrained_policy_pays_nothing(random_lm_folder, family):
    model, kl = make_model(random_lm_folder(family)), ReferenceKLCallback(1.0)
    rollout(model, kl)
    assert abs(kl.episode_kl) < 1e-3


@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_penalty_is_the_log_ratio_to_the_plain_reference_pass(lm_folder, buffer, temperature):
    model = make_model(lm_folder, buffer, temperature=temperature)
    disturb(model)
    before, kl = Before(), ReferenceKLCallback(0.5)
    rollout(model, [before, kl])
    buffer, reference = model.rollout_buffer, load_language_model(lm_folder)
    expected = np.zeros_like(buffer.rewards)
    plain = make_model(lm_folder, None, temperature=temperature)
    disturb(plain)
    rollout(plain, ReferenceKLCallback(0.0))
    obs = plain.rollout_buffer.observations
    for step in range(N_STEPS):
        for env in range(N_ENVS):
            length = int(obs["attention_mask"][step, env].sum())
            ids = th.as_tensor(obs["input_ids"][step, env, :length]).long()[None]
            logits = reference(ids).logits[0, -1] / temperature
            action = int(plain.rollout_buffer.actions[step, env, 0])
            log_prob = float(logits.detach().log_softmax(dim=0)[action])
            expected[step, env] = before.rewards[step, env] - 0.5 * (buffer.log_probs[step, env] - log_prob)
    assert np.allclose(buffer.rewards, expected, atol=1e-3)
    assert not np.allclose(buffer.rewards, before.rewards, atol=1e-2)


def test_scoring_in_several_passes_gives_the_same_numbers(lm_folder, monkeypatch):
    model, kl = make_model(lm_folder), ReferenceKLCallback(0.5)
    rollout(model, kl)
    in_one = kl._reference_log_probs(model.rollout_buffer)
    monkeypatch.setitem(reference_kl.PASS_TOKENS, "cpu", 16)
    assert len(model.rollout_buffer.store.parts(16)) > 3
    np.testing.assert_allclose(kl._reference_log_probs(model.rollout_buffer), in_one, atol=1e-5)


def test_advantages_follow_the_changed_rewards(lm_folder):
    model = make_model(lm_folder)
    disturb(model)
    rollout(model, ReferenceKLCallback(0.5))
    buffer = model.rollout_buffer
    advantages = buffer.advantages.copy()
    assert np.allclose(buffer.returns, buffer.advantages + buffer.values, atol=1e-5)
    last_obs, _ = model.policy.obs_to_tensor(model._last_obs)
    with th.no_grad():
        last_values = model.policy.predict_values(last_obs)
    buffer.compute_returns_and_advantage(last_values, model._last_episode_starts)
    assert np.allclose(buffer.advantages, advantages, atol=1e-4)


def test_logged_estimators(lm_folder):
    model, kl = make_model(lm_folder), ReferenceKLCallback(0.1)
    disturb(model)
    rollout(model, kl)
    logged = model.logger.name_to_value
    assert logged["kl/k3"] > 0 and logged["kl/episode"] == kl.episode_kl and logged["kl/coef"] == 0.1
    assert logged["kl/k1"] == pytest.approx(logged["kl/episode"] / 6, rel=1.0)


def test_adaptive_coefficient_rises_above_the_target_and_falls_below(lm_folder):
    for target, rises in ((1e-4, True), (1e4, False)):
        model, kl = make_model(lm_folder), ReferenceKLCallback(0.1, target=target, horizon=N_ENVS * N_STEPS)
        disturb(model)
        rollout(model, kl)
        assert kl.coef == pytest.approx(0.1 * np.exp(0.2 if rises else -0.2))


def test_fixed_coefficient_stays(lm_folder):
    model, kl = make_model(lm_folder), ReferenceKLCallback(0.1)
    model.learn(96, callback=kl)
    assert kl.coef == 0.1


class History(BaseCallback):
    """Keeps each rollout's divergence."""

    def __init__(self, kl):
        super().__init__()
        self.kl, self.values = kl, []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.values.append(self.kl.episode_kl)


@pytest.mark.slow
def test_controller_holds_the_divergence_down(lm_folder):
    def late_kl(target):
        model, kl = make_model(lm_folder), ReferenceKLCallback(0.05, target=target, horizon=N_ENVS * N_STEPS)
        model.lr_schedule = lambda _: 3e-3
        history = History(kl)
        model.learn(4_000, callback=[kl, history])
        assert 1e-4 <= kl.coef <= 1.0
        return np.mean(history.values[-40:])

    assert late_kl(1.0) < 0.4 * late_kl(None)


def test_episode_mean_counts_complete_episodes_only():
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    starts = np.array([[1, 0], [0, 0], [1, 1], [0, 0]])
    assert _mean_episode_sum(values, starts, np.array([False, False])) == 3.0  # rows 0 and 1 of the first column
    assert _mean_episode_sum(values, starts, np.array([True, False])) == (3 + 12) / 2
    assert _mean_episode_sum(values, starts, np.array([True, True])) == (3 + 12 + 120) / 3
    unfinished = np.zeros_like(starts)
    assert _mean_episode_sum(values, unfinished, np.array([False, False])) == (15 + 150) / 2


@pytest.mark.parametrize("kwargs", [{"coef": -0.1}, {"target": 0.0}, {"target": -1.0}, {"horizon": 0}])
def test_bad_arguments(kwargs):
    with pytest.raises(ConfigurationError, match="expected coef >= 0"):
        ReferenceKLCallback(**kwargs)
    with pytest.raises(ConfigurationError, match="within coef_range"):
        ReferenceKLCallback(2.0, target=1.0)


def test_other_algorithms_and_policies_are_refused(lm_folder):
    venv = make_vec_env("CartPole-v1")
    for model in (PPO("MlpPolicy", venv, device="cpu"), DQN("MlpPolicy", venv, device="cpu")):
        with pytest.raises(ConfigurationError, match="needs an on-policy algorithm with an LMActorCriticPolicy"):
            model.learn(1, callback=ReferenceKLCallback())


def test_a_reference_with_another_vocabulary_is_refused(lm_folder):
    with pytest.raises(ConfigurationError, match="another vocabulary"):
        make_model(lm_folder).learn(1, callback=ReferenceKLCallback(model="tiny"))
