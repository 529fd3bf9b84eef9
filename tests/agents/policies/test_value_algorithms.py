"""Stock value-based and other algorithms train on text for real, save, load and go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from stable_baselines3 import A2C, DQN, PPO

from agents import LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from lm_envs.errors import ConfigurationError
from lm_envs.wrappers import CandidateActions, HiddenStateObservation

sb3_contrib = pytest.importorskip("sb3_contrib")
K = 5


def make_env(folder, hidden=False, candidates=True, **env_kwargs):
    def wrap(envs):
        envs = CandidateActions(envs, k=K, sample="lm") if candidates else envs
        return HiddenStateObservation(envs, normalize=True) if hidden else envs

    prompts = ["the good", "a bad", "is", "was the"]
    kwargs = {"model": folder, "dataset": prompts, "reward": "length", "max_new_tokens": 6, **env_kwargs}
    return make_lm_vec_env("TextGen-v0", n_envs=4, seed=0, env_kwargs=kwargs, wrapper_class=wrap)


def make_qrdqn(env, folder, replay_buffer_kwargs=None, **policy_kwargs):
    return sb3_contrib.QRDQN(
        LMQPolicy,
        env,
        buffer_size=2_000,
        learning_starts=20,
        batch_size=16,
        train_freq=4,
        target_update_interval=40,
        replay_buffer_class=SequenceReplayBuffer,
        replay_buffer_kwargs=replay_buffer_kwargs,
        policy_kwargs={"model": folder, "n_quantiles": 7, **policy_kwargs},
        seed=1,
        device="cpu",
    )


def check_that_it_trains_saves_loads_and_goes_on(model, env, path):
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(200)
    after = model.policy.state_dict()
    assert any(not th.equal(before[name], after[name]) for name in before)
    model.save(path)
    loaded = type(model).load(path, env=env)
    obs = env.reset()
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    steps = loaded.num_timesteps
    loaded.learn(100, reset_num_timesteps=False)
    assert loaded.num_timesteps >= steps + 100
    changed = loaded.policy.state_dict()
    assert any(not th.equal(after[name], changed[name]) for name in after)


@pytest.mark.parametrize("candidates", [True, False], ids=["candidates", "tokens"])
@pytest.mark.parametrize("policy_kwargs", [{"trainable": "heads"}, {"trainable": "all", "double_q": True}], ids=str)
def test_qrdqn(lm_folder, tmp_path, candidates, policy_kwargs):
    env = make_env(lm_folder, candidates=candidates, min_new_tokens=2)
    model = make_qrdqn(env, lm_folder, **policy_kwargs)
    check_that_it_trains_saves_loads_and_goes_on(model, env, tmp_path / "qrdqn")


def test_qrdqn_with_prioritised_three_step_replay(lm_folder, tmp_path):
    env = make_env(lm_folder)
    model = make_qrdqn(env, lm_folder, {"prioritized": True, "n_steps": 3, "gamma": 0.99})
    check_that_it_trains_saves_loads_and_goes_on(model, env, tmp_path / "qrdqn")


def test_qrdqn_without_quantiles_says_what_is_missing(lm_folder):
    with pytest.raises(ConfigurationError, match="n_quantiles=50"):
        make_qrdqn(make_env(lm_folder), lm_folder, n_quantiles=None)


HIDDEN = {
    "DQN": (DQN, {"learning_starts": 20, "buffer_size": 1000}),
    "PPO": (PPO, {"n_steps": 8, "batch_size": 16}),
    "A2C": (A2C, {}),
    "QRDQN": (sb3_contrib.QRDQN, {"learning_starts": 20, "buffer_size": 1000}),
    "TRPO": (sb3_contrib.TRPO, {"n_steps": 8, "batch_size": 16}),
    "MaskablePPO": (sb3_contrib.MaskablePPO, {"n_steps": 8, "batch_size": 16}),
    "ARS": (sb3_contrib.ARS, {"n_delta": 2}),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_algorithms_with_mlp_policies_train_on_hidden_states(lm_folder, tmp_path, name):
    algorithm, arguments = HIDDEN[name]
    env = make_env(lm_folder, hidden=True)
    model = algorithm("MlpPolicy", env, seed=1, device="cpu", **arguments)
    check_that_it_trains_saves_loads_and_goes_on(model, env, tmp_path / name)


def test_a_recurrent_policy_reads_hidden_states(lm_folder, tmp_path):
    env = make_env(lm_folder, hidden=True)
    model = sb3_contrib.RecurrentPPO("MlpLstmPolicy", env, n_steps=8, n_epochs=1, seed=1, device="cpu")
    check_that_it_trains_saves_loads_and_goes_on(model, env, tmp_path / "recurrent")


def test_prioritised_dqn_learns_from_what_surprises(lm_folder):
    env = make_env(lm_folder)
    model = DQN(
        LMQPolicy,
        env,
        buffer_size=2_000,
        learning_starts=40,
        batch_size=16,
        replay_buffer_class=SequenceReplayBuffer,
        replay_buffer_kwargs={"prioritized": True, "gamma": 0.99},
        policy_kwargs={"model": lm_folder, "trainable": "heads"},
        seed=1,
        device="cpu",
    ).learn(200)
    ring = model.replay_buffer.ring
    priorities = ring.finished(np.arange(ring.n_segments))["priority"]
    assert len(set(priorities.tolist())) > 5
