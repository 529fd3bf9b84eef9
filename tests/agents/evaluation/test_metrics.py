from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

import lm_envs
from agents import LMActorCriticPolicy
from agents.evaluation.estimates import bootstrap
from agents.evaluation.metrics import distinct_2, evaluate, reference_policy
from agents.export import trained_language_model
from agents.networks.trained_weights import trained_parameters
from lm_envs.errors import ConfigurationError


def _policy(env_kwargs: dict[str, Any], **kwargs: Any) -> LMActorCriticPolicy:
    env = gym.make("TextGen-v0", **env_kwargs)
    arguments = {"model": env_kwargs["model"], **kwargs}
    return LMActorCriticPolicy(env.observation_space, env.action_space, lambda _: 0.0, **arguments)


@pytest.fixture
def env_kwargs(lm_folder: str) -> dict[str, Any]:
    prompts = [f"the cat {number}" for number in range(100)]
    return {"model": lm_folder, "dataset": prompts, "reward": ["distinct", "length"], "max_new_tokens": 6}


def _shift(policy: LMActorCriticPolicy) -> None:
    with th.no_grad():
        for parameter in trained_parameters(policy).values():
            parameter.add_(th.randn(parameter.shape, generator=th.Generator().manual_seed(1)) * 0.05)


def test_the_untrained_model_is_at_distance_zero(env_kwargs: dict[str, Any]) -> None:
    result = evaluate(_policy(env_kwargs), env_kwargs=env_kwargs, split="train", n_prompts=20)
    assert result.n_prompts == 20
    assert result.metrics["kl"].mean == pytest.approx(0, abs=1e-5)
    total = result.metrics["reward/distinct"].mean + result.metrics["reward/length"].mean
    assert result.metrics["reward"].mean == pytest.approx(total)
    assert result.metrics["reward"].low <= result.metrics["reward"].mean <= result.metrics["reward"].high
    assert "grammar" not in result.metrics


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_the_divergence_is_that_of_the_plain_models(env_kwargs: dict[str, Any], trainable: str) -> None:
    policy = _policy(env_kwargs, trainable=trainable)
    _shift(policy)
    result = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=10)
    trained, pretrained = trained_language_model(policy), lm_envs.load_language_model(env_kwargs["model"])
    expected = []
    for item in result.completions:
        ids = th.as_tensor(item.token_ids, dtype=th.int64)[None]
        with th.no_grad():
            tables = [model(input_ids=ids).logits[0, :-1].log_softmax(-1) for model in (trained, pretrained)]
        chosen = (tables[0] - tables[1]).gather(1, ids[0, 1:, None])[-item.n_new_tokens :]
        expected.append(float(chosen.sum()))
    assert result.metrics["kl"].mean == pytest.approx(np.mean(expected), abs=1e-3)
    assert max(abs(value) for value in expected) > 0.01


def test_evaluating_draws_no_random_numbers_of_training(env_kwargs: dict[str, Any]) -> None:
    policy = _policy(env_kwargs)
    state = th.get_rng_state()
    first = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=8, seed=3)
    assert th.equal(th.get_rng_state(), state)
    again = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=8, seed=3)
    assert first.to_dict(examples=8) == again.to_dict(examples=8)


def test_the_reference_is_the_pretrained_model_at_the_policys_temperature(env_kwargs: dict[str, Any]) -> None:
    policy = _policy(env_kwargs, temperature=0.5, value="separate")
    _shift(policy)
    reference = reference_policy(policy)
    assert reference.temperature == 0.5 and reference.critic is None
    assert not reference.adapter.up.weight.any()


def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    estimates = [bootstrap(rng.normal(1.0, 2.0, size=60), seed=i) for i in range(200)]
    covered = np.mean([e.low <= 1.0 <= e.high for e in estimates])
    assert 0.89 <= covered <= 0.99
    assert bootstrap([3.0, 3.0]).low == bootstrap([3.0, 3.0]).high == 3.0


@pytest.mark.parametrize(
    ("texts", "value"), [(["a b a b"], 2 / 3), (["a b", "A b!"], 1 / 2), (["a", ""], 0.0), ([], 0.0)]
)
def test_distinct_2_counts_pairs_of_all_texts(texts: list[str], value: float) -> None:
    assert distinct_2(texts) == pytest.approx(value)


def test_the_small_world_is_checked_for_grammar() -> None:
    kwargs = {"model": "tiny", "task": "reviews"}
    result = evaluate(_policy(kwargs, trainable="heads"), env_kwargs=kwargs, n_prompts=8)
    assert 0 <= result.metrics["grammar"].mean <= 1
    assert evaluate(_policy({"model": "tiny"}, trainable="heads"), n_prompts=1).metrics.keys() >= {"grammar"}


def test_the_difference_is_that_of_the_same_prompts(env_kwargs: dict[str, Any]) -> None:
    policy = _policy(env_kwargs)
    reference = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=10)
    _shift(policy)
    trained = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=10)
    found = trained.difference_from(reference)
    assert list(found) == ["reward", "reward/distinct", "reward/length", "kl", "length"]
    for name, estimate in found.items():
        expected = trained.metrics[name].mean - reference.metrics[name].mean
        assert estimate.mean == pytest.approx(expected) and estimate.low <= estimate.mean <= estimate.high
    other = evaluate(policy, env_kwargs=env_kwargs, split="train", n_prompts=9)
    with pytest.raises(ConfigurationError, match="expected two evaluations of the same prompts; got 10 .* and 9"):
        trained.difference_from(other)
