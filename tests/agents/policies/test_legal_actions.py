"""On-policy training where some tokens are illegal, where actions are candidates, and where they are other choices."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback

import agents
from agents import (
    LMActorCriticPolicy,
    LMMaskableActorCriticPolicy,
    MaskableSequenceRolloutBuffer,
    ReferenceKLCallback,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from agents.buffers.observation_columns import ObservationColumns
from agents.networks.action_logits import log_probs_of
from agents.networks.sequences import PackedSequences
from lm_envs.errors import ConfigurationError, MissingDependencyError
from lm_envs.wrappers import CandidateActions

PROMPTS = ["the good", "a bad was good", "is", "the the the a"]
EOS = 1


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


class Choices(gym.vector.VectorWrapper):
    """Three choices, each of which stands for a token; the last one is illegal after an odd number of tokens."""

    tokens = np.array([5, 6, EOS])

    def __init__(self, env):
        super().__init__(env)
        self.single_action_space = spaces.Discrete(3)
        self.action_space = spaces.MultiDiscrete([3] * env.num_envs)
        keys = {**env.single_observation_space.spaces, "action_mask": spaces.Box(0, 1, (3,), np.int8)}
        self.single_observation_space = spaces.Dict(keys)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, env.num_envs)

    def _with_masks(self, obs):
        masks = np.ones((len(obs["input_ids"]), 3), np.int8)
        masks[:, 2] = obs["attention_mask"].sum(axis=1) % 2 == 0
        self.masks = masks.astype(bool)
        return {**obs, "action_mask": masks}

    def action_masks(self):
        return self.masks

    def reset(self, **kwargs):
        obs, infos = self.env.reset(**kwargs)
        return self._with_masks(obs), infos

    def step(self, actions):
        assert self.masks[np.arange(len(actions)), actions].all(), "an illegal choice"
        obs, *rest, infos = self.env.step(self.tokens[actions])
        for row in np.flatnonzero(infos.get("_final_obs", [])):
            infos["final_obs"][row] = {**infos["final_obs"][row], "action_mask": np.ones(3, np.int8)}
        return self._with_masks(obs), *rest, infos


VARIANTS: dict[str, dict[str, Any]] = {
    "min_new_tokens": {"env_kwargs": {"min_new_tokens": 4}},
    "candidates": {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": 8}},
    "top_p": {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": 8, "top_p": 0.7}},
    "choices": {"wrapper_class": Choices},
}


def make_venv(folder, variant, n_envs=4, max_new_tokens=6, seed=0):
    arguments = dict(VARIANTS[variant])
    env_kwargs = {
        "model": folder, "dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12,
        "max_new_tokens": max_new_tokens, **arguments.pop("env_kwargs", {}),
    }  # fmt: skip
    return make_lm_vec_env("TextGen-v0", n_envs=n_envs, seed=seed, env_kwargs=env_kwargs, **arguments)


EXTRA = {
    PPO: {"n_epochs": 2, "batch_size": 16},
    TRPO: {"batch_size": 16},
    MaskablePPO: {"n_epochs": 2, "batch_size": 16},
    A2C: {},
}


def make_model(folder, variant, algorithm=PPO, sequences=True, venv=None, **policy_kwargs):
    masked = algorithm is MaskablePPO
    buffer = MaskableSequenceRolloutBuffer if masked else SequenceRolloutBuffer
    return algorithm(
        LMMaskableActorCriticPolicy if masked else LMActorCriticPolicy, venv or make_venv(folder, variant), n_steps=8,
        seed=0, gamma=1.0, learning_rate=1e-3, rollout_buffer_class=buffer if sequences else None, device="cpu",
        policy_kwargs={"model": folder, **policy_kwargs}, **EXTRA[algorithm],
    )  # fmt: skip


def collect(model, callback=None):
    _, callback = model._setup_learn(10**6, callback)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def evaluated(model, sample):
    masks = {"action_masks": sample.action_masks} if hasattr(sample, "action_masks") else {}
    return model.policy.evaluate_actions(sample.observations, sample.actions, **masks)


def weights(model):
    return th.cat([value.flatten() for value in model.policy.state_dict().values()]).clone()


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_rollout_and_update_agree(random_lm_folder, family, variant, sequences):
    model = make_model(random_lm_folder(family), variant, sequences=sequences)
    for _ in range(2):  # the second rollout begins in the middle of episodes
        collect(model)
        for sample in model.rollout_buffer.get(16):
            values, log_prob, entropy = evaluated(model, sample)
            assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
            assert th.allclose(values.flatten(), sample.old_values, atol=1e-4)
            assert (entropy >= 0).all() and entropy.any()


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_maskable_rollout_and_update_agree(lm_folder, variant, sequences):
    model = make_model(lm_folder, variant, MaskablePPO, sequences=sequences)
    collect(model)
    for sample in model.rollout_buffer.get(16):
        assert sample.action_masks.shape == (len(sample.actions), model.action_space.n)
        _, log_prob, _ = evaluated(model, sample)
        assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)


@pytest.mark.parametrize("trainable", ["all", "heads"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_packed_and_plain_updates_agree(lm_folder, variant, trainable):
    grads = []
    for sequences in (True, False):
        model = make_model(lm_folder, variant, sequences=sequences, trainable=trainable)
        collect(model)
        sample = next(model.rollout_buffer.get(None))
        values, log_prob, entropy = evaluated(model, sample)
        ((log_prob * sample.advantages).sum() + values.sum() + entropy.sum()).backward()
        grads.append(th.cat([p.grad.flatten() for p in model.policy.parameters() if p.grad is not None]))
    assert grads[0].isfinite().all() and grads[0].any()
    assert th.allclose(grads[0], grads[1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO, MaskablePPO])
@pytest.mark.parametrize("variant", VARIANTS)
def test_algorithms_learn_save_load_and_go_on(lm_folder, tmp_path, variant, algorithm):
    model = make_model(lm_folder, variant, algorithm)
    before = weights(model)
    model.learn(64 if variant in ("top_p", "choices") or algorithm is TRPO else 256)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()
    model.save(tmp_path / "model.zip")
    loaded = algorithm.load(tmp_path / "model.zip", env=make_venv(lm_folder, variant), device="cpu")
    assert th.equal(weights(loaded), weights(model))
    obs = make_venv(lm_folder, variant).reset()
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    loaded.learn(32, reset_num_timesteps=False)
    assert not th.equal(weights(loaded), weights(model)) and weights(loaded).isfinite().all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_illegal_actions_are_never_chosen(lm_folder, variant):
    venv = make_venv(lm_folder, variant, n_envs=8)
    policy = make_model(lm_folder, variant, venv=venv).policy
    obs, illegal = venv.reset(), 0
    for step in range(150):
        masks = np.stack(venv.env_method("action_masks"))
        illegal += (~masks).sum()
        tensors, _ = policy.obs_to_tensor(obs)
        actions, _, log_prob = policy(tensors, deterministic=step % 3 == 0)
        actions = policy.predict(obs)[0] if step % 3 == 1 else actions.numpy()
        assert masks[np.arange(8), actions].all() and log_prob.isfinite().all()
        obs, *_ = venv.step(actions)
    assert illegal > 0 or variant == "candidates"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_distribution_is_the_one_over_legal_actions(lm_folder, variant):
    venv = make_venv(lm_folder, variant)
    policy = make_model(lm_folder, variant, venv=venv, temperature=0.8).policy
    obs, _ = policy.obs_to_tensor(venv.reset())
    masks = th.as_tensor(np.stack(venv.env_method("action_masks")))
    distribution = policy.get_distribution(obs)
    probs = distribution.distribution.probs
    assert (probs[~masks] == 0).all() and (probs[masks] > 0).any()
    every = th.arange(policy.action_space.n)
    for action in every[masks[0]][:5]:
        _, log_prob, entropy = policy.evaluate_actions(obs, action.expand(4))
        legal = masks[:, action]
        assert th.allclose(log_prob[legal], distribution.log_prob(action.expand(4))[legal], atol=1e-4)
        assert th.allclose(entropy, distribution.entropy(), atol=1e-4)


def test_training_starts_from_the_pretrained_models_distribution_over_the_candidates(lm_folder):
    venv = make_venv(lm_folder, "top_p")
    policy = make_model(lm_folder, "top_p", venv=venv).policy
    obs, _ = policy.obs_to_tensor(venv.reset())
    expected = obs["candidate_log_probs"].masked_fill(obs["action_mask"] == 0, float("-inf")).softmax(dim=1)
    assert th.allclose(policy.get_distribution(obs).distribution.probs, expected, atol=1e-5)


def test_choices_are_uniform_at_first_and_have_a_head_of_their_own(lm_folder):
    venv = make_venv(lm_folder, "choices")
    policy = make_model(lm_folder, "choices", venv=venv, trainable="heads").policy
    obs, _ = policy.obs_to_tensor(venv.reset())
    legal = obs["action_mask"].float()
    assert th.allclose(policy.get_distribution(obs).distribution.probs, legal / legal.sum(dim=1, keepdim=True))
    assert policy.adapter is None and {name.split(".")[0] for name in policy.state_dict()} == {"choices", "value_head"}


def test_log_probs_of_logits_with_illegal_actions():
    logits = th.randn(6, 5, dtype=th.float64, requires_grad=True)
    illegal = th.rand(6, 5) < 0.4
    illegal[:, 2] = False
    actions = th.full((6,), 2)

    def masked(values):
        return log_probs_of(values.masked_fill(illegal, float("-inf")), actions)

    log_prob, entropy = masked(logits)
    expected = th.distributions.Categorical(logits=logits.masked_fill(illegal, float("-inf")))
    assert th.allclose(log_prob, expected.log_prob(actions)) and th.allclose(entropy, expected.entropy())
    assert th.autograd.gradcheck(masked, (logits,))


def test_given_masks_and_those_of_the_observation_combine(lm_folder):
    venv = make_venv(lm_folder, "min_new_tokens")
    policy = make_model(lm_folder, "min_new_tokens", MaskablePPO, venv=venv).policy
    raw = venv.reset()
    obs, _ = policy.obs_to_tensor(raw)
    given = np.zeros((4, 64), bool)
    given[:, [EOS, 7, 9]] = True
    probs = policy.get_distribution(obs, action_masks=given).distribution.probs
    assert (probs[:, [7, 9]] > 0).all() and th.allclose(probs[:, [7, 9]].sum(dim=1), th.ones(4))
    for _ in range(20):
        assert set(policy.predict(raw, action_masks=given)[0].tolist()) <= {7, 9}
        assert set(policy(obs, action_masks=given)[0].tolist()) <= {7, 9}
    single = policy.predict({key: value[0] for key, value in raw.items()}, action_masks=given[0], deterministic=True)[0]
    assert single.shape == () and single == probs[0].argmax()
    unmasked, no_masks = policy.get_distribution(obs), policy.get_distribution(obs, action_masks=np.ones((4, 64)))
    assert th.equal(unmasked.distribution.probs, no_masks.distribution.probs)


class MaskedByMethod(gym.vector.VectorWrapper):
    """Tells masks by its method alone."""

    def action_masks(self):
        masks = np.zeros((self.num_envs, 64), bool)
        masks[:, 10:20] = True
        return masks


def masked_by_method(folder):
    env_kwargs = {"model": folder, "dataset": PROMPTS, "reward": count_letters, "max_prompt_tokens": 12,
                  "max_new_tokens": 6}  # fmt: skip
    venv = make_lm_vec_env(n_envs=4, seed=0, env_kwargs=env_kwargs, wrapper_class=MaskedByMethod)
    return make_model(folder, None, MaskablePPO, venv=venv)


def test_masks_that_only_the_method_tells_reach_the_update(lm_folder):
    model = masked_by_method(lm_folder)
    collect(model)
    assert ((model.rollout_buffer.actions >= 10) & (model.rollout_buffer.actions < 20)).all()
    for sample in model.rollout_buffer.get(16):
        assert (sample.action_masks.sum(dim=1) == 10).all()
        assert th.allclose(evaluated(model, sample)[1], sample.old_log_prob, atol=1e-4)


def test_a_maskable_buffer_without_masks_says_that_all_actions_are_legal(lm_folder):
    venv = make_venv(lm_folder, "candidates")
    model = make_model(lm_folder, "candidates", MaskablePPO, venv=venv)
    collect(model)
    sample = next(model.rollout_buffer.get(None))
    assert sample.action_masks.all() and "action_mask" not in sample.observations.columns


def test_columns_of_the_sequence_buffer_are_those_of_the_observations(lm_folder):
    samples = []
    for sequences in (True, False):
        model = make_model(lm_folder, "top_p", sequences=sequences)
        collect(model)
        samples.append(next(model.rollout_buffer.get(None)))
    ours, plain = samples
    assert isinstance(ours.observations, PackedSequences)
    assert set(ours.observations.columns) == {"candidate_ids", "candidate_log_probs", "action_mask"}
    order = [sample.old_log_prob.argsort() for sample in samples]
    for key, values in ours.observations.columns.items():
        assert (values[order[0]].float() == plain.observations[key][order[1]].float()).all(), key


def test_nothing_is_stored_where_there_are_only_tokens():
    space = spaces.Dict(input_ids=spaces.Box(0, 63, (8,), np.int32), attention_mask=spaces.Box(0, 1, (8,), np.int8))
    columns = ObservationColumns(space)
    assert columns.layout == columns.zeros(5, 2) == columns.compact({}) == columns.tensors({}, "cpu") == {}


class Before(BaseCallback):
    """Remembers the advantages before the next callback."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.advantages = self.locals["rollout_buffer"].advantages.copy()


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
@pytest.mark.parametrize("variant", ["min_new_tokens", "candidates", "top_p"])
def test_an_untrained_policy_is_at_no_distance_from_its_reference(lm_folder, variant, algorithm, sequences):
    model = make_model(lm_folder, variant, algorithm, sequences)
    th.nn.init.normal_(model.policy.value_head.output.weight)
    before, kl = Before(), ReferenceKLCallback(1.0)
    collect(model, [before, kl])
    assert abs(kl.episode_kl) < 1e-3
    assert np.allclose(model.rollout_buffer.advantages, before.advantages, atol=1e-3)


def test_masks_by_argument_count_for_the_reference_too(lm_folder):
    model = masked_by_method(lm_folder)
    kl = ReferenceKLCallback(1.0)
    collect(model, kl)
    assert abs(kl.episode_kl) < 1e-3


def test_choices_have_no_reference(lm_folder):
    with pytest.raises(ConfigurationError, match="3 choices of another kind"):
        collect(make_model(lm_folder, "choices"), ReferenceKLCallback())


@pytest.mark.parametrize("name", ["LMMaskableActorCriticPolicy", "MaskableSequenceRolloutBuffer"])
def test_without_sb3_contrib_the_extra_is_named(monkeypatch, name):
    module = agents._LAZY[name]
    for loaded in [module, *(key for key in sys.modules if key.startswith("sb3_contrib"))]:
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    monkeypatch.delitem(vars(agents), name, raising=False)
    with pytest.raises(MissingDependencyError, match=rf"{name} needs .*lm-envs\[contrib\]"):
        getattr(agents, name)
