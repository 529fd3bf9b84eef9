"""Actions come out of the nucleus of the lagged copy, and rollouts and updates agree on it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as th
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import CallbackList

from agents import (
    LMActorCriticPolicy,
    LMNLPOPolicy,
    NLPOMaskCallback,
    ReferenceKLCallback,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from agents.evaluation import evaluate
from agents.export import export_hf
from agents.policies.saved_policy import load_policy
from agents.warn_once import warn_once
from lm_envs.errors import ConfigurationError
from lm_envs.wrappers import CandidateActions

PROMPTS = ["the good", "a bad was good", "is", "the the the a", "was the bad bad good is"]
TOP_P = 0.7


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def env_kwargs(folder, **kwargs):
    own = {"model": folder, "dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12}
    return {**own, "max_new_tokens": 6, **kwargs}


def make_model(folder, algorithm=PPO, buffer=SequenceRolloutBuffer, n_envs=4, seed=0, env=None, **policy_kwargs):
    kwargs = {PPO: {"n_epochs": 2, "batch_size": 4 * n_envs}, TRPO: {"batch_size": 4 * n_envs}}.get(algorithm, {})
    env = dict(env or {})
    wrappers = {key: env.pop(key) for key in ("wrapper_class", "wrapper_kwargs") if key in env}
    return algorithm(
        LMNLPOPolicy,
        make_lm_vec_env("TextGen-v0", n_envs=n_envs, seed=seed, env_kwargs=env_kwargs(folder, **env), **wrappers),
        n_steps=8,
        seed=seed,
        gamma=1.0,
        learning_rate=1e-2,
        rollout_buffer_class=buffer,
        device="cpu",
        policy_kwargs={"model": folder, "top_p": TOP_P, **policy_kwargs},
        **kwargs,
    )


def collect(model):
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def disturb(policy):
    """Move the policy away from its masking policy."""
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for parameter in policy.optimizer.param_groups[0]["params"]:
            parameter.add_(0.1 * th.randn(parameter.shape, generator=generator))
    policy._mark_changed()


def plain_log_probs(policy, obs):
    """The whole distribution of a policy's own weights, ``(n, n_tokens)``."""
    return LMActorCriticPolicy.get_distribution(policy, obs).distribution.logits


def lag(policy):
    """The masking policy as a policy of its own."""
    lagged = copy.deepcopy(policy)
    state = policy.state_dict()
    masks = {name: value for name, value in state.items() if name.startswith("masking_")}
    state |= {name.replace("masking_model", "actor").replace("masking_adapter", "adapter"): value
              for name, value in masks.items()}  # fmt: skip
    lagged.load_state_dict(state)
    return lagged


def masked_by_hand(policy, obs):
    """Log-probabilities ``(n, n_tokens)``: the policy's, within the nucleus of its masking policy, by a sort."""
    own, masking = plain_log_probs(policy, obs), plain_log_probs(lag(policy), obs)
    found = th.full_like(own, float("-inf"))
    for row, log_probs in enumerate(masking):
        order = log_probs.argsort(descending=True)
        sums = log_probs[order].exp().cumsum(0)
        kept = order[: int((sums < policy.top_p).sum()) + 1]
        found[row, kept] = own[row, kept].log_softmax(dim=0)
    return found


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads", "lora"])
def test_the_distribution_is_the_policys_within_the_nucleus_of_its_copy(random_lm_folder, family, trainable):
    if trainable == "lora":
        pytest.importorskip("peft")
    policy = make_model(random_lm_folder(family), trainable=trainable).policy
    disturb(policy)
    venv = make_lm_vec_env("TextGen-v0", n_envs=9, seed=0, env_kwargs=env_kwargs(random_lm_folder(family)))
    obs, _ = policy.obs_to_tensor(venv.reset())
    with th.no_grad():
        expected = masked_by_hand(policy, obs)
        found = policy.get_distribution(obs).distribution
        assert th.allclose(found.probs, expected.exp(), atol=1e-5)
        assert (found.probs[expected.isneginf()] == 0).all()
        for token in range(0, expected.shape[1], 7):
            log_prob = policy.evaluate_actions(obs, th.full((9,), token))[1]
            assert th.allclose(log_prob, expected[:, token], atol=1e-4)
        actions, _, log_prob = policy(obs)
        assert th.allclose(log_prob, expected.gather(1, actions[:, None]).squeeze(1), atol=1e-4)
        assert log_prob.isfinite().all()
        assert th.equal(policy._predict(obs, deterministic=True), expected.argmax(dim=1))
        renewed = with_new_mask(policy)
    assert not th.equal(masked_by_hand(renewed, obs).isneginf(), expected.isneginf())  # it was the copy's nucleus


def with_new_mask(policy):
    twin = copy.deepcopy(policy)
    twin.update_mask()
    return twin


ENVIRONMENTS = {
    "tokens": {},
    "min_new_tokens": {"min_new_tokens": 4},
    "candidates": {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": 8}},
}


@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
@pytest.mark.parametrize("value", ["shared", "separate"])
@pytest.mark.parametrize("env", list(ENVIRONMENTS.values()), ids=list(ENVIRONMENTS))
def test_rollout_and_update_agree_so_that_the_first_ratio_is_one(lm_folder, buffer, value, env):
    model = make_model(lm_folder, buffer=buffer, value=value, n_envs=5, env=env, temperature=1.3)
    disturb(model.policy)
    for _ in range(2):  # the second rollout begins in the middle of episodes
        collect(model)
        for sample in model.rollout_buffer.get(16):
            values, log_prob, entropy = model.policy.evaluate_actions(sample.observations, sample.actions)
            assert th.allclose((log_prob - sample.old_log_prob).exp(), th.ones_like(log_prob), atol=1e-4)
            assert th.allclose(values.flatten(), sample.old_values, atol=1e-4) and (entropy >= 0).all()


def test_only_new_tokens_go_through_the_masking_model(lm_folder):
    model = make_model(lm_folder, value="separate")
    model.policy.set_training_mode(False)
    obs = model.env.reset()
    for _ in range(4):
        actions, _, _ = model.policy(model.policy.obs_to_tensor(obs)[0])
        model.policy.predict(obs)
        obs, _, _, _ = model.env.step(actions.numpy())
    caches = model.policy._caches.caches
    names = {"rollout actor", "rollout critic", "rollout mask", "predict actor", "predict mask"}
    assert {name for name, _ in caches} == names
    assert caches["rollout mask", 4].computed_tokens == caches["rollout actor", 4].computed_tokens
    assert caches["rollout mask", 4].computed_tokens < 4 * int(np.sum(obs["attention_mask"]))


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO])
@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
def test_stock_algorithms_train(lm_folder, algorithm, buffer):
    model = make_model(lm_folder, algorithm, buffer)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64, callback=CallbackList([ReferenceKLCallback(0.1), NLPOMaskCallback(update_every=10**6)]))
    after = model.policy.state_dict()
    changed = {name for name in before if not th.equal(before[name], after[name])}
    assert changed and not any(name.startswith("masking") for name in changed)  # no optimizer reaches the copy
    assert all(value.isfinite().all() for value in after.values())
    assert 0 < model.logger.name_to_value.get("kl/k3", 1.0) < 100


def test_the_mask_survives_saving_and_copying(lm_folder, tmp_path):
    model = make_model(lm_folder)
    model.learn(64, callback=NLPOMaskCallback(update_every=10**6))
    model.save(tmp_path / "model.zip")
    loaded = PPO.load(tmp_path / "model.zip", env=model.env, device="cpu")
    obs, _ = model.policy.obs_to_tensor(model.env.reset())
    own = model.policy.get_distribution(obs).distribution.probs
    assert not th.equal(own, with_new_mask(model.policy).get_distribution(obs).distribution.probs)
    for twin in (loaded.policy, load_policy(tmp_path / "model.zip", "cpu"), copy.deepcopy(model.policy)):
        assert th.equal(twin.get_distribution(obs).distribution.probs, own)
        assert (twin.top_p, twin.min_tokens_to_keep) == (TOP_P, 1)
    model.set_random_seed(5)
    model.learn(64, reset_num_timesteps=True)
    loaded.set_random_seed(5)
    loaded.learn(64, reset_num_timesteps=True)
    state, other = model.policy.state_dict(), loaded.policy.state_dict()
    assert all(th.equal(state[name], other[name]) for name in state)


def test_frozen_weights_are_shared_and_heads_need_no_second_model(lm_folder):
    top = make_model(lm_folder, trainable="top:1").policy
    own, masking = dict(top.actor.lm.named_parameters()), dict(top.masking_model.lm.named_parameters())
    shared = {name for name in own if own[name] is masking[name]}
    assert {name for name, parameter in own.items() if not parameter.requires_grad} == shared
    assert len(shared) < len(own)
    pytest.importorskip("peft")
    lora = make_model(lm_folder, trainable="lora").policy
    own = {id(parameter) for parameter in lora.actor.parameters() if not parameter.requires_grad}
    mask = {id(parameter) for parameter in lora.masking_model.parameters() if not parameter.requires_grad}
    assert own == mask and len(lora.masking_model.own_parameters()) == len(lora.actor.own_parameters()) > 0
    heads = make_model(lm_folder, trainable="heads").policy
    assert heads.masking_model is None and heads.masking_adapter is not None


def test_top_p_of_one_masks_nothing(lm_folder):
    model = make_model(lm_folder, top_p=1.0)
    obs, _ = model.policy.obs_to_tensor(model.env.reset())
    assert th.allclose(model.policy.get_distribution(obs).distribution.logits, plain_log_probs(model.policy, obs))


def test_evaluations_measure_a_finite_divergence_from_the_plain_model(lm_folder):
    policy = make_model(lm_folder).policy
    found = evaluate(policy, "TextGen-v0", env_kwargs(lm_folder), split="train", n_prompts=16)
    assert 0 < found.metrics["kl"].mean < 6 * -np.log(TOP_P) + 1  # at least the nucleus's own, -log(mass) a token


def test_the_export_is_the_policys_own_model(lm_folder, tmp_path):
    from transformers import AutoModelForCausalLM

    policy = make_model(lm_folder).policy
    disturb(policy)
    lm = AutoModelForCausalLM.from_pretrained(export_hf(policy, tmp_path / "hf"))
    ids = th.tensor([[5, 6, 7]])
    expected = policy.actor.output_layer.logits(policy.actor(ids)[:, -1])
    assert th.allclose(lm(ids).logits[:, -1], expected, atol=1e-4)


@pytest.mark.parametrize("top_p", [0.0, 1.5, -1.0])
def test_impossible_top_p_is_refused(lm_folder, top_p):
    with pytest.raises(ConfigurationError, match="top_p must be above 0 and at most 1"):
        make_model(lm_folder, top_p=top_p)


@pytest.mark.parametrize("least", [0, True, 1.5])
def test_impossible_numbers_of_tokens_are_refused(lm_folder, least):
    with pytest.raises(ConfigurationError, match="min_tokens_to_keep must be an integer of at least 1"):
        make_model(lm_folder, min_tokens_to_keep=least)


@pytest.mark.parametrize("renewed", [False, True])
def test_a_masking_policy_that_nobody_renews_is_told_of(lm_folder, renewed, caplog):
    warn_once.cache_clear()
    model = make_model(lm_folder)
    model.learn(32 * 4, callback=NLPOMaskCallback(update_every=50) if renewed else None)
    assert ("pass callback=NLPOMaskCallback()" in caplog.text) is not renewed
