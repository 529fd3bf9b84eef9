"""Training stops at a divergence, with the policy that was measured."""

from __future__ import annotations

import copy

import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, StopOnKL, make_lm_vec_env
from lm_envs.errors import ConfigurationError


def good_words(completions, **_):
    return [text.split().count("good") / 4 for text in completions]


@pytest.fixture
def model(lm_folder):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the", "is a"], "reward": good_words, "max_prompt_tokens": 4,
                    "max_new_tokens": 4},
    )  # fmt: skip
    return PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=32, n_epochs=1, gamma=1.0, learning_rate=3e-2, seed=0,
        device="cpu", rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": lm_folder},
    )  # fmt: skip


class Weights(BaseCallback):
    """Remembers divergence and weights at the end of each rollout."""

    def __init__(self, kl):
        super().__init__()
        self.kl, self.seen = kl, []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.seen.append((self.kl.episode_kl, copy.deepcopy(self.model.policy.state_dict())))


class Measured(ReferenceKLCallback):
    """Says what it was told to."""

    def __init__(self, values):
        super().__init__(0.0)
        self.values = list(values)

    def _on_rollout_end(self):
        super()._on_rollout_end()
        self.episode_kl = self.values.pop(0)


def same(parameters, others):
    return all(th.equal(value, others[name]) for name, value in parameters.items())


def test_the_policy_that_was_measured_is_left(model, caplog):
    kl = ReferenceKLCallback(0.0)
    weights, stop = Weights(kl), StopOnKL(1.0)
    model.learn(100_000, callback=[kl, stop, weights])
    divergences = [divergence for divergence, _ in weights.seen]
    assert divergences[-1] > 1.0 >= max(divergences[:-1])
    assert len(divergences) > 1
    assert same(weights.seen[-1][1], model.policy.state_dict())
    assert not same(weights.seen[-2][1], model.policy.state_dict())
    assert model.num_timesteps == 32 * len(divergences) + 4  # the step that nothing follows
    assert stop.stopped and f"{divergences[-1]:.1f} nats per episode is above the limit of 1" in stop.reason
    assert stop.reason in caplog.text


def test_the_optimizer_goes_back_too(model):
    kl = Measured([0.0, 5.0])
    counts = []

    class Steps(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            counts.append(max([0, *(int(state["step"]) for state in self.model.policy.optimizer.state.values())]))

    model.learn(1_000, callback=[kl, StopOnKL(1.0), Steps()])
    assert counts == [0, 1]
    assert {int(state["step"]) for state in model.policy.optimizer.state.values()} == {1}


def test_at_the_end_of_training_the_last_update_is_undone_as_well(model):
    kl = Measured([5.0])
    weights = Weights(kl)
    model.learn(32, callback=[kl, StopOnKL(1.0), weights])
    assert model.num_timesteps == 32 and same(weights.seen[0][1], model.policy.state_dict())


def test_patience_counts_rollouts_in_a_row(model):
    kl = Measured([2.0, 0.5, 2.0, 3.0, 9.0])
    stop = StopOnKL(1.0, patience=2)
    model.learn(1_000, callback=CallbackList([CallbackList([kl]), stop]))
    assert kl.values == [9.0] and stop.n_over == 2 and "3.0 nats" in stop.reason


def test_no_number_is_too_much(model):
    kl = Measured([float("nan"), 0.0])
    model.learn(1_000, callback=[kl, StopOnKL(1.0)])
    assert kl.values == [0.0]


def test_below_the_limit_nothing_happens(model):
    stop = StopOnKL(1e6)
    model.learn(64, callback=[ReferenceKLCallback(), stop])
    assert model.num_timesteps == 64 and not stop.stopped


def test_without_a_measurement_before_it_there_is_nothing_to_read(model):
    with pytest.raises(ConfigurationError, match=r"expected one before it among the callbacks, got \[\]"):
        model.learn(32, callback=StopOnKL(1.0))
    with pytest.raises(ConfigurationError, match=r"before it among the callbacks, got \[\]"):
        model.learn(32, callback=[StopOnKL(1.0), ReferenceKLCallback()])


def test_bad_arguments():
    with pytest.raises(ConfigurationError, match="limit must be a number of nats above 0; got 0"):
        StopOnKL(0)
    with pytest.raises(ConfigurationError, match="patience must be an integer of at least 1; got 0"):
        StopOnKL(1.0, patience=0)
