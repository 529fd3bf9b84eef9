"""HiddenStateObservation gives the model's hidden states, and stock algorithms train on them."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import VecMonitor

from agents import GymnasiumVecEnv
from lm_envs.errors import ConfigurationError, ModelError
from lm_envs.wrappers import CandidateActions, HiddenStateObservation, vector


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_states_are_those_of_a_plain_pass(random_lm_folder, family, make_envs, plain_outputs, pooling):
    folder = random_lm_folder(family)
    inner = make_envs(4, model=folder)
    envs = HiddenStateObservation(inner, pooling=pooling)
    obs, _ = envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(15):
        assert obs in envs.observation_space
        state = inner.unwrapped._episodes.state
        for i in range(4):
            hidden = plain_outputs(folder, state.row_observation(i))[1]
            expected = hidden[-1] if pooling == "last" else hidden.mean(dim=0)
            assert obs[i] == pytest.approx(expected.numpy(), abs=1e-4)
        obs = envs.step(rng.integers(0, 64, 4))[0]


def test_normalised_states(make_envs):
    envs = HiddenStateObservation(make_envs(), normalize=True)
    obs, _ = envs.reset(seed=0)
    assert obs.mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-5)
    assert obs.var(axis=1) == pytest.approx(np.ones(3), abs=1e-2)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_pass_of_candidate_actions_is_used_again(make_truncated, pooling):
    alone, inner = CandidateActions(make_truncated(), 4), CandidateActions(make_truncated(), 4)
    wrapped = HiddenStateObservation(inner, pooling=pooling)
    rng = np.random.default_rng(0)
    for envs in (alone, wrapped):
        envs.reset(seed=0)
    for _ in range(20):
        actions = rng.integers(0, 4, 3)
        alone.step(actions)
        wrapped.step(actions)
    assert wrapped._rows.lm is inner._rows.lm
    assert inner._rows.lm.cache.computed_tokens == alone._rows.lm.cache.computed_tokens > 60


def test_the_mean_holds_tokens_that_were_read_before_it_was_asked_for(make_envs):
    inner, fresh = CandidateActions(make_envs(), 4), HiddenStateObservation(make_envs(), pooling="mean")
    obs, _ = inner.reset(seed=0)
    fresh.reset(seed=0)
    late = HiddenStateObservation(inner, pooling="mean")
    states = late.step(np.array([1, 1, 1]))[0]
    assert states == pytest.approx(fresh.step(obs["candidate_ids"][:, 1])[0], abs=1e-5)


def test_another_model_reads_for_itself(make_env, random_lm_folder, plain_outputs):
    other = random_lm_folder("gpt2", seed=3)
    inner = CandidateActions(make_env(), 4)
    env = HiddenStateObservation(inner, model=other)
    text = inner.unwrapped._episodes.state
    obs, _ = env.reset(seed=0)
    assert env._rows.lm is not inner._rows.lm
    assert obs == pytest.approx(plain_outputs(other, text.row_observation(0))[1][-1].numpy(), abs=1e-4)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_final_observations(make_truncated, mode):
    envs = HiddenStateObservation(CandidateActions(make_truncated(3, mode), 4))
    envs.reset(seed=0)
    rng, seen = np.random.default_rng(0), {"terminated": 0, "truncated": 0}
    for _ in range(25):
        obs, _, terminated, truncated, infos = envs.step(rng.integers(0, 4, 3))
        for i in np.flatnonzero(terminated | truncated):
            if mode == "SameStep":
                assert obs[i].any() and not np.array_equal(infos["final_obs"][i], obs[i])
            final = infos["final_obs"][i] if mode == "SameStep" else obs[i]
            assert final in envs.single_observation_space and final.any() != terminated[i]
            seen["terminated" if terminated[i] else "truncated"] += 1
    assert min(seen.values()) > 2


def test_row_i_of_the_vector_is_the_single_environment_seeded_alike(make_env, make_envs):
    envs = HiddenStateObservation(CandidateActions(make_envs(), 4), pooling="mean")
    singles = [HiddenStateObservation(CandidateActions(make_env(), 4), pooling="mean") for _ in range(3)]
    obs, _ = envs.reset(seed=5)
    for i, single in enumerate(singles):
        assert obs[i] == pytest.approx(single.reset(seed=5 + i)[0], abs=1e-5)
    for _ in range(12):
        obs, _, _, _, infos = envs.step(np.array([1, 2, 3]))
        for i, single in enumerate(singles):
            single_obs, _, terminated, _, _ = single.step(i + 1)
            if terminated:
                assert not single_obs.any() and not infos["final_obs"][i].any()
                single_obs = single.reset()[0]
            assert obs[i] == pytest.approx(single_obs, abs=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_copies_share_as_the_original_does(make_envs, pooling):
    envs = HiddenStateObservation(CandidateActions(make_envs(), 4), pooling=pooling)
    envs.reset(seed=0)
    envs.step(np.array([1, 1, 1]))
    twin = copy.deepcopy(envs)
    assert twin._rows.lm is twin.env._rows.lm is not envs._rows.lm
    for _ in range(5):
        assert envs.step(np.array([2, 1, 0]))[0] == pytest.approx(twin.step(np.array([2, 1, 0]))[0], abs=1e-5)


def test_masks_and_actions_are_those_below(make_env, make_envs):
    for make in (make_env, make_envs):
        inner = CandidateActions(make(), 4, top_p=0.1)
        env = HiddenStateObservation(inner)
        env.reset(seed=0)
        assert (env.action_masks() == inner.action_masks()).all() and not env.action_masks().all()
        assert env.action_space == inner.action_space


def test_errors(make_env, make_envs):
    for env in (make_env(), make_envs()):
        with pytest.raises(ConfigurationError, match="pooling must be one of last, mean"):
            HiddenStateObservation(env, pooling="max")
        with pytest.raises(ModelError, match="predicts 2048 tokens"):
            HiddenStateObservation(env, model="tiny")
        with pytest.raises(ConfigurationError, match="apply it last"):
            CandidateActions(HiddenStateObservation(env), 4)
    with pytest.raises(ConfigurationError, match="token environment"):
        HiddenStateObservation(gym.make("CartPole-v1"))


def test_constructor_returns_the_vector_class(make_envs):
    assert type(HiddenStateObservation(make_envs())) is vector.HiddenStateObservation


@pytest.mark.filterwarnings("ignore:.*infinity:UserWarning", "ignore:.*different from the unwrapped:UserWarning")
def test_checkers(make_env):
    env = HiddenStateObservation(CandidateActions(make_env(), 4, sample="lm"), normalize=True)
    check_env(env, skip_render_check=True)
    sb3_check_env(env)


def learn(algorithm, env):
    extra = {"learning_starts": 20, "train_freq": 4, "batch_size": 8} if algorithm is DQN else {"n_steps": 8}
    if algorithm is not DQN:
        extra["batch_size"] = 8
    model = algorithm("MlpPolicy", env, seed=0, policy_kwargs={"net_arch": [8]}, **extra)
    before = copy.deepcopy(model.policy.state_dict())
    model.learn(64)
    assert any((value != before[name]).any() for name, value in model.policy.state_dict().items())
    assert len(model.ep_info_buffer) > 2
    return model


@pytest.mark.parametrize("algorithm", [PPO, DQN])
@pytest.mark.parametrize("kind", ["single", "vector"])
def test_stock_algorithms_train_mlps(make_env, make_envs, algorithm, kind, tmp_path):
    inner = CandidateActions(make_env() if kind == "single" else make_envs(), 4, sample="lm")
    env = HiddenStateObservation(inner, normalize=True)
    model = learn(algorithm, env if kind == "single" else VecMonitor(GymnasiumVecEnv(env)))
    model.save(tmp_path / "model.zip")
    loaded = algorithm.load(tmp_path / "model.zip")
    obs = env.reset(seed=0)[0]
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()


@pytest.mark.parametrize("kind", ["single", "vector"])
def test_maskable_ppo_takes_the_masks(make_env, make_envs, kind, monkeypatch):
    inner = CandidateActions(make_env() if kind == "single" else make_envs(), 4, top_p=0.1)
    chosen, tokens = [], inner._rows.tokens
    monkeypatch.setattr(
        inner._rows, "tokens", lambda *a: chosen.append((a[0], inner._rows.action_masks())) or tokens(*a)
    )
    env = HiddenStateObservation(inner, normalize=True)
    learn(MaskablePPO, env if kind == "single" else VecMonitor(GymnasiumVecEnv(env)))
    assert len(chosen) >= 20 and not all(masks.all() for _, masks in chosen)
    assert all(masks[np.arange(len(masks)), slots].all() for slots, masks in chosen)
