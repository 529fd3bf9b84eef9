"""A rollout of static steps, as a GPU records them, gives what a rollout without them gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, PPO

from agents import (
    GRPORolloutBuffer,
    LMActorCriticPolicy,
    LMMaskableActorCriticPolicy,
    LMNLPOPolicy,
    MaskableSequenceRolloutBuffer,
    ReferenceKLCallback,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from agents.networks.static_rollout import StaticRollout
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.wrappers import CandidateActions

PROMPTS = ["the good", "a bad was good", "is", "the the the a", "was the bad bad good is"]


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def make_venv(folder, n_envs=5, max_new_tokens=6, wrapper=None, **kwargs):
    env_kwargs = {
        "model": folder, "dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12,
        "max_new_tokens": max_new_tokens, **kwargs,
    }  # fmt: skip
    wrapping = {} if wrapper is None else {"wrapper_class": wrapper[0], "wrapper_kwargs": wrapper[1]}
    return make_lm_vec_env("TextGen-v0", n_envs=n_envs, seed=0, env_kwargs=env_kwargs, **wrapping)


def make_model(
    folder, decode, algorithm=PPO, policy=LMActorCriticPolicy, buffer=SequenceRolloutBuffer, venv=None, **policy_kwargs
):
    venv = venv or make_venv(folder)
    kwargs = {} if algorithm is A2C else {"batch_size": 4 * venv.num_envs, "n_epochs": 2}
    return algorithm(
        policy, venv, n_steps=8, seed=0, gamma=1.0, learning_rate=1e-3, device="cpu",
        rollout_buffer_class=buffer, policy_kwargs={"model": folder, "decode": decode, **policy_kwargs}, **kwargs,
    )  # fmt: skip


def collect(model):
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model.rollout_buffer


def weights(model):
    return th.cat([value.flatten() for value in model.policy.state_dict().values()]).clone()


def check_rollouts_agree(make, atol=1e-4, n_rollouts=2):
    """Several rollouts in a row, so that the later ones begin in the middle of episodes."""
    eager, static = make("eager"), make("static")
    for model in (static, eager):
        th.manual_seed(1)
        model.rollouts = []
        for _ in range(n_rollouts):
            buffer = collect(model)
            model.rollouts.append({k: getattr(buffer, k).copy() for k in ("actions", "values", "log_probs", "returns")})
    for one, other in zip(static.rollouts, eager.rollouts, strict=True):
        np.testing.assert_array_equal(one["actions"], other["actions"])
        for name in ("values", "log_probs", "returns"):
            np.testing.assert_allclose(one[name], other[name], atol=atol)
    assert static.policy._static.decoding.steps
    assert eager.policy._static.decoding is None
    return static, eager


def test_families_agree(random_lm_folder, family):
    folder = random_lm_folder(family)
    check_rollouts_agree(lambda decode: make_model(folder, decode))


@pytest.mark.parametrize(
    "policy_kwargs",
    [{"value": "separate"}, {"trainable": "heads"}, {"trainable": "top:1"}, {"temperature": 0.7},
     {"trainable": "lora", "value": "separate"}],
)  # fmt: skip
def test_ways_to_train_agree(lm_folder, policy_kwargs):
    if policy_kwargs.get("trainable") == "lora":
        pytest.importorskip("peft")
    check_rollouts_agree(lambda decode: make_model(lm_folder, decode, **policy_kwargs))


def test_bfloat16_agrees(lm_folder):
    """In bfloat16 masked and unmasked attention round differently: a token near the edge of its interval may differ."""
    for seed in range(2):
        policies = [make_model(lm_folder, decode, dtype="bfloat16").policy for decode in ("eager", "static")]
        venv = make_venv(lm_folder)
        venv.seed(seed)
        obs, same = venv.reset(), 0
        for _ in range(10):
            tensors, _ = policies[0].obs_to_tensor(obs)
            results = []
            for policy in policies:
                th.manual_seed(seed)
                results.append(policy(tensors))
            (actions, values, log_probs), (others, other_values, other_log_probs) = results
            assert th.allclose(values, other_values, atol=0.05)
            equal = actions == others
            same += int(equal.sum())
            assert th.allclose(log_probs[equal], other_log_probs[equal], atol=0.1)
            obs, *_ = venv.step(actions.numpy())
        assert same >= 45  # of 50


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_training_agrees(lm_folder, algorithm):
    """Weights change between rollouts."""
    static, eager = (make_model(lm_folder, decode, algorithm).learn(80) for decode in ("static", "eager"))
    assert th.allclose(weights(static), weights(eager), atol=1e-4)
    assert static.policy._static.decoding.steps


def test_candidates_and_groups_agree(lm_folder):
    def make(decode):
        venv = make_venv(lm_folder, 4, group_size=2, wrapper=(CandidateActions, {"k": 5}))
        return make_model(lm_folder, decode, buffer=GRPORolloutBuffer, venv=venv)

    check_rollouts_agree(make)


def test_masked_actions_agree_and_are_never_drawn(lm_folder):
    def make(decode):
        venv = make_venv(lm_folder, min_new_tokens=3)
        return make_model(lm_folder, decode, venv=venv)

    static, _ = check_rollouts_agree(make)
    assert np.isfinite(static.rollout_buffer.log_probs).all()


def test_maskable_ppo_agrees(lm_folder):
    def make(decode):
        venv = make_venv(lm_folder, min_new_tokens=3)
        return make_model(
            lm_folder, decode, MaskablePPO, LMMaskableActorCriticPolicy, MaskableSequenceRolloutBuffer, venv
        )

    static, eager = (make(decode).learn(80) for decode in ("static", "eager"))
    assert th.allclose(weights(static), weights(eager), atol=1e-4)


def test_each_token_is_computed_once(lm_folder):
    static, eager = make_model(lm_folder, "static"), make_model(lm_folder, "eager")
    for model in (static, eager):
        collect(model)
    computed = static.policy._static.decoding.caches[0].computed_tokens
    assert computed == eager.policy._caches.caches["rollout actor", 5].computed_tokens


def test_other_numbers_of_rows_and_single_rows_agree(lm_folder):
    policy = make_model(lm_folder, "static").policy
    for n_envs in (1, 7, 3):
        venv = make_venv(lm_folder, n_envs)
        obs = venv.reset()
        for _ in range(4):
            tensors, _ = policy.obs_to_tensor(obs)
            actions, values, log_prob = policy(tensors)
            with th.no_grad():
                expected, expected_log_prob, _ = policy.evaluate_actions(tensors, actions)
                assert th.allclose(policy.predict_values(tensors), expected, atol=1e-4)
            assert th.allclose(values, expected, atol=1e-4)
            assert th.allclose(log_prob, expected_log_prob, atol=1e-4)
            obs, *_ = venv.step(actions.numpy())


def test_the_best_action_is_that_of_predict(lm_folder):
    policy = make_model(lm_folder, "static").policy
    tensors, _ = policy.obs_to_tensor(make_venv(lm_folder).reset())
    before = th.get_rng_state()
    actions, _, _ = policy(tensors, deterministic=True)
    assert th.equal(actions, policy._predict(tensors, deterministic=True))
    assert th.equal(th.get_rng_state(), before)


def test_with_the_adapter_off_nothing_static_runs(lm_folder):
    model = make_model(lm_folder, "static", trainable="heads")
    tensors, _ = model.policy.obs_to_tensor(model.env.reset())
    with model.policy.adapter_off():
        model.policy(tensors)
    assert model.policy._static.decoding is None


def test_weights_that_moved_are_recorded_anew(lm_folder):
    policy = make_model(lm_folder, "static").policy
    policy.set_training_mode(False)
    tensors, _ = policy.obs_to_tensor(make_venv(lm_folder).reset())
    forgotten = []
    policy(tensors)
    policy._static.decoding.forget_recordings = lambda: forgotten.append(True)
    with th.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01)  # in place, as optimizers do
    policy(tensors)
    policy.set_training_mode(False)
    policy(tensors)
    assert not forgotten
    for parameter in policy.parameters():
        parameter.data = parameter.data.clone()
    policy.set_training_mode(False)
    policy(tensors)
    assert forgotten == [True]
    kept = [parameter.data for parameter in policy.parameters()]  # else the same memory may be handed out again
    policy.double().float()
    policy(tensors)
    assert forgotten == [True, True] and kept


def test_copies_and_zips_keep_the_way_to_decode(lm_folder, tmp_path):
    model = make_model(lm_folder, "static")
    model.save(tmp_path / "model")
    assert PPO.load(tmp_path / "model", device="cpu").policy.decode == "static"
    assert type(model.policy)(**model.policy._get_constructor_parameters()).decode == "static"


def test_static_steps_go_with_the_kl_callback(lm_folder):
    model = make_model(lm_folder, "static", trainable="heads").learn(80, callback=ReferenceKLCallback(0.1))
    assert weights(model).isfinite().all()


def test_impossible_wishes(lm_folder, bert_folder):
    with pytest.raises(UnknownNameError, match="decode"):
        make_model(lm_folder, "statics")
    with pytest.raises(ConfigurationError, match="decode='graph' records CUDA graphs; here .* 'cpu'"):
        make_model(lm_folder, "graph").learn(8)
    with pytest.raises(TypeError, match="decode"):
        make_model(lm_folder, "static", policy=LMNLPOPolicy)
    tokens = {"input_ids": spaces.Box(0, 63, (12,), np.int32), "attention_mask": spaces.Box(0, 1, (12,), np.int8)}
    with pytest.raises(ConfigurationError, match="texts stay the same while actions are chosen"):
        LMActorCriticPolicy(spaces.Dict(tokens), spaces.Discrete(3), lambda _: 0.0, model=bert_folder, decode="static")


def test_models_that_wait_are_run_as_ever_or_refused(lm_folder, monkeypatch, caplog):
    """A mixture of experts picks its experts by numbers on the device; so does this value head."""

    def waiting(self, hidden):
        return hidden[hidden[:, 0] > -1e9].float().mean(dim=1)

    monkeypatch.setattr("agents.networks.heads.ValueHead.forward", waiting)
    monkeypatch.setattr(StaticRollout, "wanted", lambda self, obs: self._decode != "eager")
    refused, left_alone = make_model(lm_folder, "static").policy, make_model(lm_folder, "auto").policy
    venv = make_venv(lm_folder)
    obs = venv.reset()
    with pytest.raises(ConfigurationError, match="wait for the device.*index"):
        for _ in range(2):
            tensors, _ = refused.obs_to_tensor(obs)
            actions, _, _ = refused(tensors)
            obs, *_ = venv.step(actions.numpy())
    left_alone(tensors)
    obs, *_ = venv.step(actions.numpy())
    left_alone(left_alone.obs_to_tensor(obs)[0])
    assert left_alone._static.decoding is None
    assert "LlamaForCausalLM cannot be run as a CUDA graph because of index" in caplog.text
