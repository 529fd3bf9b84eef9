"""Stock algorithms train on conversations, with tokens, acts, candidates and hidden states."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO

from agents import (
    LMActorCriticPolicy,
    LMMaskableActorCriticPolicy,
    LMQPolicy,
    MaskableSequenceRolloutBuffer,
    ReferenceKLCallback,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    TokenRewardsCallback,
    make_lm_vec_env,
)
from lm_envs.dialogue.partners import Acts, Partners, Reply
from lm_envs.dialogue.partners.protocol import Opening
from lm_envs.errors import ConfigurationError
from lm_envs.wrappers import CandidateActions, HiddenStateObservation


class QuizActs(Acts):
    """The right act is the one that the user has named; the state does not tell it, the text does."""

    names = ("good", "bad", "was")
    state_size = 1

    def phrase(self, row, act, rng):
        return self.names[act]

    def state(self, row):
        return np.ones(1, dtype=np.int8)


class Quiz(Partners):
    """Customers who name a word, and are glad where the agent says it back."""

    def __init__(self, num_rows):
        self.rngs, self.wanted, self.acts = {}, {}, QuizActs()

    def ask(self, row):
        self.wanted[row] = QuizActs.names[self.rngs[row].integers(3)]
        return f"is it {self.wanted[row]}?"

    def open(self, rows, scenarios, rngs):
        self.rngs |= dict(zip(rows, rngs, strict=True))
        return [Opening([{"role": "user", "content": self.ask(row)}]) for row in rows]

    def reply(self, rows, histories):
        terms = [{"right": float(self.wanted[row] in h[-1]["content"])} for row, h in zip(rows, histories, strict=True)]
        return [Reply(self.ask(row), terms=term) for row, term in zip(rows, terms, strict=True)]


def make_venv(folder, n_envs=4, seed=0, wrapper=None, **kwargs):
    env_kwargs = {
        "model": folder, "partner": Quiz, "max_tokens": 60, "max_turn_tokens": 5, "max_user_tokens": 12, "max_turns": 3,
        "on_overflow": "drop", **kwargs,
    }  # fmt: skip
    return make_lm_vec_env("Dialogue-v0", n_envs, seed, env_kwargs, wrapper_class=wrapper)


def candidates(env):
    return CandidateActions(env, k=8, top_p=0.9, device="cpu")


def states(env):
    return HiddenStateObservation(env, normalize=True, device="cpu")


def on_policy(algorithm, venv, folder, **kwargs):
    masks = algorithm is MaskablePPO
    own = {} if algorithm is A2C else {"batch_size": 32, "n_epochs": 1}
    return algorithm(
        LMMaskableActorCriticPolicy if masks else LMActorCriticPolicy, venv, n_steps=16, gamma=1.0, seed=0,
        device="cpu", policy_kwargs={"model": folder}, learning_rate=1e-3,
        rollout_buffer_class=MaskableSequenceRolloutBuffer if masks else SequenceRolloutBuffer, **own, **kwargs,
    )  # fmt: skip


def dqn(venv, folder):
    return DQN(
        LMQPolicy, venv, buffer_size=4000, learning_starts=16, train_freq=4, batch_size=32, seed=0, device="cpu",
        gamma=1.0, target_update_interval=32, policy_kwargs={"model": folder},
        replay_buffer_class=SequenceReplayBuffer, learning_rate=1e-3,
    )  # fmt: skip


def weights(model):
    return th.cat([value.flatten().float() for value in model.policy.state_dict().values()]).clone()


VARIANTS = {"tokens": {}, "acts": {"actions": "acts"}, "candidates": {"wrapper": candidates}}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("algorithm", [PPO, A2C, MaskablePPO, DQN])
def test_algorithms_train_save_and_load(lm_folder, tmp_path, algorithm, variant):
    venv = make_venv(lm_folder, **VARIANTS[variant])
    model = dqn(venv, lm_folder) if algorithm is DQN else on_policy(algorithm, venv, lm_folder)
    before = weights(model)
    callbacks = [TokenRewardsCallback()] if algorithm is not DQN else []
    if algorithm in (PPO, A2C, MaskablePPO) and variant != "acts":
        callbacks.append(ReferenceKLCallback())
    model.learn(128, callback=callbacks)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()
    assert len(model.ep_info_buffer) > 0
    model.save(tmp_path / "model.zip")
    loaded = algorithm.load(tmp_path / "model.zip", env=make_venv(lm_folder, **VARIANTS[variant]), device="cpu")
    obs = make_venv(lm_folder, seed=5, **VARIANTS[variant]).reset()
    assert th.equal(weights(loaded), weights(model))
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    loaded.learn(64, reset_num_timesteps=False)


def test_the_pretrained_model_of_the_package_trains(tmp_path):
    env_kwargs = {"max_turns": 2, "max_turn_tokens": 8, "max_tokens": 120}
    venv = make_lm_vec_env("Dialogue-v0", n_envs=4, seed=0, env_kwargs=env_kwargs)
    model = on_policy(PPO, venv, "tiny").learn(64)
    assert weights(model).isfinite().all()


@pytest.mark.slow
def test_acts_are_learned_from_text(lm_folder):
    """A right answer needs the user's words, so it shows that the language model reads them; chance is 1 of 3."""
    venv = make_venv(lm_folder, n_envs=16, actions="acts")
    model = on_policy(PPO, venv, lm_folder).learn(4000)
    assert np.mean([info["r"] for info in model.ep_info_buffer]) > 2.0  # of 3


def test_hidden_states_of_conversations(lm_folder, random_lm):
    lm = random_lm("llama")
    for kwargs in ({}, {"actions": "acts"}):
        plain, hidden = (make_venv(lm_folder, wrapper=wrapper, **kwargs) for wrapper in (None, states))
        obs, seen = plain.reset(), hidden.reset()
        assert hidden.observation_space == gym.spaces.Box(-np.inf, np.inf, (32,), np.float32)
        rng = np.random.default_rng(0)
        for _ in range(20):
            for row in range(4):
                ids = th.tensor(obs["input_ids"][row][obs["attention_mask"][row] == 1][None].astype(np.int64))
                with th.no_grad():
                    expected = th.nn.functional.layer_norm(lm.model(ids).last_hidden_state[0, -1], (32,)).numpy()
                assert np.allclose(seen[row], expected, atol=1e-4)
            actions = rng.integers(plain.action_space.n, size=4)
            (obs, *_), (seen, *_) = plain.step(actions), hidden.step(actions)


@pytest.mark.parametrize("actions", ["tokens", "acts"])
def test_a_small_network_learns_from_hidden_states(lm_folder, actions):
    venv = make_venv(lm_folder, wrapper=states, actions=actions)
    model = DQN("MlpPolicy", venv, learning_starts=16, train_freq=4, batch_size=32, seed=0, device="cpu").learn(128)
    assert model.num_timesteps == 128 and weights(model).isfinite().all()


def test_candidates_of_acts_are_refused(lm_folder):
    with pytest.raises(ConfigurationError, match="Dialogue-v0 with actions='acts'"):
        make_venv(lm_folder, wrapper=candidates, actions="acts")


def test_candidates_write_turns():
    """With tiny, whose end of turn is not its end of text, and both ways of making the environment."""
    kwargs = {"max_turns": 4, "max_turn_tokens": 6, "max_tokens": 150, "partner": Quiz}
    single = CandidateActions(gym.make("Dialogue-v0", **kwargs), k=6, device="cpu")
    vector = CandidateActions(gym.make_vec("Dialogue-v0", 1, **kwargs), k=6, device="cpu")
    obs, _ = single.reset(seed=0)
    both, _ = vector.reset(seed=0)
    rng, said = np.random.default_rng(0), []
    for _ in range(60):
        assert all(np.allclose(obs[key], both[key][0], atol=1e-4) for key in obs)
        slot = int(rng.integers(6))
        token = int(obs["candidate_ids"][slot])
        before = obs
        obs, _, terminated, _, info = single.step(slot)
        both, *_ = vector.step(np.array([slot]))
        assert obs["input_ids"][before["attention_mask"].sum()] == token
        if "turn" in info:
            said.append(info["agent_turn"])
        if terminated:
            obs, _ = single.reset()
    assert len(said) > 8
