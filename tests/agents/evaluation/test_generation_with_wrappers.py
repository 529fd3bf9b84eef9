"""Completing and evaluating with every kind of policy, where tokens are illegal or actions are no tokens."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import LMActorCriticPolicy, LMMaskableActorCriticPolicy, LMQPolicy
from agents.evaluation.generation import complete, log_probs
from agents.evaluation.metrics import evaluate
from agents.export import export_hf
from agents.networks.trained_weights import trained_parameters
from lm_envs.errors import ConfigurationError
from lm_envs.wrappers import CandidateActions, HiddenStateObservation

EOS = 1


class Choices(gym.vector.VectorWrapper):
    """Two choices: a letter, or the end."""

    def __init__(self, env):
        super().__init__(env)
        self.single_action_space = gym.spaces.Discrete(2)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, env.num_envs)

    def step(self, actions):
        return self.env.step(np.array([5, EOS])[actions])


VARIANTS: dict[str, dict[str, Any]] = {
    "tokens": {},
    "min_new_tokens": {"env_kwargs": {"min_new_tokens": 4}},
    "candidates": {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": 8, "sample": "lm"}},
    "top_p": {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": 8, "top_p": 0.7}},
    "choices": {"wrapper_class": Choices},
}
POLICIES = [LMActorCriticPolicy, LMMaskableActorCriticPolicy, LMQPolicy]


def arguments(folder, variant):
    """What ``complete`` and ``evaluate`` take."""
    found = dict(VARIANTS[variant])
    env_kwargs = {"model": folder, "dataset": [f"the cat {i}" for i in range(12)], "reward": "distinct",
                  "max_prompt_tokens": 12, "max_new_tokens": 8}  # fmt: skip
    return {**found, "env_kwargs": {**env_kwargs, **found.get("env_kwargs", {})}}


def make_policy(policy_class, given, shift=0.0, **kwargs):
    envs = gym.make_vec("TextGen-v0", num_envs=1, vectorization_mode="vector_entry_point", **given["env_kwargs"])
    if "wrapper_class" in given:
        envs = given["wrapper_class"](envs, **given.get("wrapper_kwargs", {}))
    if policy_class is not ActorCriticPolicy:
        kwargs["model"] = given["env_kwargs"]["model"]
    policy = policy_class(envs.single_observation_space, envs.single_action_space, lambda _: 0.0, **kwargs)
    with th.no_grad():
        for parameter in trained_parameters(policy).values() if shift else ():
            parameter.add_(th.randn(parameter.shape, generator=th.Generator().manual_seed(1)) * shift)
    return policy


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("policy_class", POLICIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_policy_completes_and_is_evaluated(lm_folder, variant, policy_class, deterministic):
    given = arguments(lm_folder, variant)
    policy = make_policy(policy_class, given)
    result = evaluate(policy, n_prompts=6, batch_size=4, split="train", deterministic=deterministic, **given)
    assert result.n_prompts == 6
    assert ("kl" in result.metrics) == (policy_class is not LMQPolicy and variant != "choices")
    if "kl" in result.metrics:
        assert result.metrics["kl"].mean == pytest.approx(0, abs=1e-4)
    for item in result.completions:
        assert item.prompt.startswith("the cat") and len(item.decisions) == item.n_new_tokens
        assert variant != "min_new_tokens" or item.n_new_tokens >= 4


@pytest.mark.parametrize("variant", VARIANTS)
def test_log_probs_are_those_of_the_policy_at_each_step(lm_folder, monkeypatch, variant):
    given = arguments(lm_folder, variant)
    policy = make_policy(LMActorCriticPolicy, given, shift=0.1)
    found = complete(policy, indices=range(6), split="train", batch_size=4, **given)
    monkeypatch.setattr("agents.buffers.observation_columns.MASK_ELEMENTS", 64 * 30)  # one or two episodes at once
    other = make_policy(LMActorCriticPolicy, given)
    differences = []
    for item, score, others in zip(found, log_probs(policy, found), log_probs(other, found), strict=True):
        length = len(item.token_ids)
        for i, (action, position) in enumerate(zip(item.decisions.actions, item.decisions.positions, strict=True)):
            obs = {"input_ids": th.as_tensor(item.token_ids)[None], "attention_mask": th.ones(1, length, dtype=th.int8)}
            obs["attention_mask"][0, position + 1 :] = 0
            stored = {key: values[i : i + 1] for key, values in item.decisions.stored.items()}
            obs.update(item.decisions.columns.tensors(stored, "cpu"))
            expected = policy.get_distribution(obs).log_prob(th.tensor([action]))
            assert expected.item() == pytest.approx(float(score[i]), abs=1e-4)
        differences.append(float((score - others).sum()))
    result = evaluate(policy, n_prompts=6, split="train", reference=other, **given)
    assert max(map(abs, differences)) > 0.01
    assert variant == "choices" or result.metrics["kl"].mean != 0


def test_plain_agents_on_hidden_states_are_evaluated_too(lm_folder):
    given = {**arguments(lm_folder, "tokens"), "wrapper_class": HiddenStateObservation}
    result = evaluate(make_policy(ActorCriticPolicy, given), n_prompts=5, split="train", **given)
    assert "kl" not in result.metrics and all(len(item.token_ids) == 0 for item in result.completions)


def test_an_environment_with_other_actions_is_refused(lm_folder):
    tokens, candidates = arguments(lm_folder, "tokens"), arguments(lm_folder, "candidates")
    policy = make_policy(LMActorCriticPolicy, candidates)
    with pytest.raises(ConfigurationError, match=r"candidate_ids.*Pass its wrapper_class"):
        complete(policy, indices=[0], split="train", **tokens)
    candidates["wrapper_kwargs"] = {"k": 4}
    with pytest.raises(ConfigurationError, match=r"Discrete\(4\)"):
        complete(policy, indices=[0], split="train", **candidates)
    masked = make_policy(LMActorCriticPolicy, arguments(lm_folder, "min_new_tokens"))
    assert len(complete(masked, indices=[0], split="train", **tokens)) == 1  # nothing is illegal: no mask is needed


def test_a_q_policy_has_no_temperature(lm_folder):
    given = arguments(lm_folder, "candidates")
    with pytest.raises(ConfigurationError, match="LMQPolicy has none"):
        complete(make_policy(LMQPolicy, given), indices=[0], split="train", temperature=0.5, **given)


@pytest.mark.parametrize("variant", ["min_new_tokens", "candidates"])
def test_what_was_learned_among_candidates_is_exported(lm_folder, tmp_path, variant):
    from transformers import AutoModelForCausalLM

    policy = make_policy(LMMaskableActorCriticPolicy, arguments(lm_folder, variant), shift=0.1, trainable="heads")
    exported = AutoModelForCausalLM.from_pretrained(export_hf(policy, tmp_path / "export"))
    ids = th.tensor([[5, 6, 7]])
    with th.no_grad():
        expected = policy.output_layer.logits(policy.adapter(policy.actor(ids)[0]))
        assert th.allclose(exported(ids).logits[0], expected, atol=1e-4)


def test_a_policy_over_choices_is_not_exported(lm_folder, tmp_path):
    policy = make_policy(LMActorCriticPolicy, arguments(lm_folder, "choices"))
    with pytest.raises(ConfigurationError, match="2 choices, no tokens"):
        export_hf(policy, tmp_path / "export")
