from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as th

from agents import LMActorCriticPolicy
from agents.evaluation.generation import Completion, complete, log_probs
from agents.evaluation.prompts import choose_prompts, load_prompts, n_starts
from agents.policies.saved_policy import load_policy
from lm_envs.data import PromptDataset
from lm_envs.dialogue.partners import UNLIMITED
from lm_envs.errors import CheckpointError, ConfigurationError

PROMPTS = [f"the {word} {number}" for number in range(4) for word in ("cat", "dog", "a very long cup of tea", "x")]


@pytest.fixture
def env_kwargs(lm_folder: str) -> dict[str, Any]:
    return {
        "model": lm_folder,
        "dataset": PromptDataset(PROMPTS),
        "reward": {"length:target=10,unit=tokens": 0.5, "distinct": 1.0},
        "max_prompt_tokens": 16,
        "max_new_tokens": 10,
    }


@pytest.fixture
def policy(lm_folder: str, env_kwargs: dict[str, Any]) -> LMActorCriticPolicy:
    return _policy(lm_folder, env_kwargs)


def _policy(model: str, env_kwargs: dict[str, Any], **kwargs: Any) -> LMActorCriticPolicy:
    import gymnasium as gym

    env = gym.make("TextGen-v0", **env_kwargs)
    return LMActorCriticPolicy(env.observation_space, env.action_space, lambda _: 0.0, model=model, **kwargs)


def test_each_prompt_is_completed_once_in_the_order_asked_for(
    policy: LMActorCriticPolicy, env_kwargs: dict[str, Any]
) -> None:
    indices = [3, 0, 15, 3, 7]
    found = complete(policy, env_kwargs=env_kwargs, indices=indices, batch_size=2)
    assert [item.prompt_index for item in found] == indices
    assert [item.prompt for item in found] == [PROMPTS[index] for index in indices]
    for item in found:
        assert 1 <= item.n_new_tokens <= 10 and item.n_new_tokens < len(item.token_ids)
        assert set(item.reward_terms) == {"length", "distinct"}
        assert item.reward == pytest.approx(sum(item.reward_terms.values()))


def test_the_seed_decides_and_the_global_generators_are_left_alone(
    policy: LMActorCriticPolicy, env_kwargs: dict[str, Any]
) -> None:
    state, numpy_state = th.get_rng_state(), np.random.get_state()[1].copy()
    first = complete(policy, env_kwargs=env_kwargs, indices=range(16), seed=1)
    th.rand(7)
    again = complete(policy, env_kwargs=env_kwargs, indices=range(16), seed=1)
    other = complete(policy, env_kwargs=env_kwargs, indices=range(16), seed=2)
    assert [item.completion for item in first] == [item.completion for item in again]
    assert [item.completion for item in first] != [item.completion for item in other]
    th.set_rng_state(state)
    complete(policy, env_kwargs=env_kwargs, indices=[0], seed=3)
    assert th.equal(th.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_greedy_and_cold_completions_agree(policy: LMActorCriticPolicy, env_kwargs: dict[str, Any]) -> None:
    greedy = complete(policy, env_kwargs=env_kwargs, indices=range(4), deterministic=True)
    cold = complete(policy, env_kwargs=env_kwargs, indices=range(4), temperature=1e-4)
    assert [item.completion for item in greedy] == [item.completion for item in cold]
    assert policy.temperature == 1.0
    with pytest.raises(ConfigurationError, match="temperature must be above 0"):
        complete(policy, env_kwargs=env_kwargs, indices=[0], temperature=0.0)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probs_are_those_of_the_plain_model(
    lm_folder: str, env_kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    from lm_envs import load_language_model

    policy = _policy(lm_folder, env_kwargs, temperature=temperature)
    found = complete(policy, env_kwargs=env_kwargs, indices=range(16))
    monkeypatch.setattr("agents.evaluation.generation.SCORING_TOKENS", 64)  # several passes
    scores = log_probs(policy, found)
    model = load_language_model(lm_folder)
    for item, score in zip(found, scores, strict=True):
        ids = th.as_tensor(item.token_ids, dtype=th.int64)[None]
        with th.no_grad():
            table = (model(input_ids=ids).logits[0] / temperature).log_softmax(-1)
        expected = table[:-1].gather(1, ids[0, 1:, None])[-item.n_new_tokens :, 0]
        np.testing.assert_allclose(score, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_prompts_are_chosen_without_replacement(env_kwargs: dict[str, Any]) -> None:
    assert load_prompts(env_kwargs, "test").prompts == PROMPTS
    chosen = choose_prompts(env_kwargs, "test", 5, seed=0)
    assert len(set(chosen.tolist())) == 5
    assert chosen.tolist() == choose_prompts(env_kwargs, "test", 5, seed=0).tolist()
    assert sorted(choose_prompts(env_kwargs, "test", 99, seed=1)) == list(range(16))
    with pytest.raises(ConfigurationError, match="n_prompts must be at least 1"):
        choose_prompts(env_kwargs, "test", 0, seed=0)


def test_scenarios_of_conversations_are_chosen_without_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = choose_prompts({}, "test", 50, seed=0, env_id="Dialogue-v0")
    assert len(set(chosen.tolist())) == 50
    assert chosen.tolist() == choose_prompts({}, "test", 50, seed=0, env_id="Dialogue-v0").tolist()
    assert len(choose_prompts({}, "test", 10**9, seed=0, env_id="Dialogue-v0")) == n_starts({}, "test", "Dialogue-v0")
    monkeypatch.setattr("agents.evaluation.prompts.n_starts", lambda *_: UNLIMITED)
    many = choose_prompts({}, "test", 1_000, seed=0, env_id="Dialogue-v0")
    assert len(set(many.tolist())) == 1_000 and 0 <= many.min() and UNLIMITED * 0.9 < many.max() < UNLIMITED


@pytest.mark.parametrize("overflow", [{}, {"on_overflow": "drop", "max_tokens": 80, "max_turn_tokens": 24}])
def test_a_conversation_is_scored_as_it_was_written(overflow: dict[str, Any]) -> None:
    import gymnasium as gym

    kwargs = {"model": "tiny", "partner_kwargs": {"patience": (6, 6)}, **overflow}
    env = gym.make("Dialogue-v0", **kwargs)
    policy = LMActorCriticPolicy(env.observation_space, env.action_space, lambda _: 0.0, model="tiny", temperature=1.5)
    found = complete(policy, "Dialogue-v0", kwargs, indices=range(4), split="test")
    assert any(len(item.decisions.sequences) > 1 for item in found) is bool(overflow)
    for item, scores in zip(found, log_probs(policy, found), strict=True):
        assert len(scores) == len(item.decisions) == item.n_new_tokens
        assert item.messages is not None and item.prompt == item.messages[0]["content"]
        for step in (0, len(scores) // 2, len(scores) - 1):
            ids = item.decisions.sequences[item.decisions.rows[step]][: item.decisions.positions[step] + 1]
            obs = {"input_ids": th.as_tensor(ids)[None], "attention_mask": th.ones(1, len(ids), dtype=th.int8)}
            with th.no_grad():
                expected = policy.evaluate_actions(obs, th.as_tensor(item.decisions.actions[step : step + 1]))[1]
            assert scores[step] == pytest.approx(float(expected[0]), abs=1e-3)


def test_success_is_written_where_a_task_defines_it() -> None:
    item = Completion("p", "c", {"a": 1.0}, "eos", 1, 0)
    assert "is_success" not in item.to_dict()
    assert Completion("p", "c", {"a": 1.0}, "eos", 1, 0, True).to_dict()["is_success"] is True


def test_a_policy_comes_out_of_a_zip(lm_folder: str, env_kwargs: dict[str, Any], tmp_path: Any) -> None:
    from stable_baselines3 import A2C

    from agents import SequenceRolloutBuffer, make_lm_vec_env

    venv = make_lm_vec_env(n_envs=2, seed=0, env_kwargs=env_kwargs)
    kwargs = {"model": lm_folder, "trainable": "heads"}
    model = A2C(
        LMActorCriticPolicy, venv, rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs=kwargs, device="cpu"
    )
    model.learn(10)
    model.save(tmp_path / "a2c.zip")
    loaded = load_policy(tmp_path / "a2c.zip", device="cpu")
    for name, value in model.policy.state_dict().items():
        assert th.equal(value, loaded.state_dict()[name]), name
    (tmp_path / "bad.zip").write_bytes((tmp_path / "a2c.zip").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="damaged or no saved model"):
        load_policy(tmp_path / "bad.zip")
    with pytest.raises(CheckpointError, match="there is no saved model"):
        load_policy(tmp_path / "none.zip")


def test_a_policy_of_another_environment_is_refused(tmp_path: Any, env_kwargs: dict[str, Any]) -> None:
    from stable_baselines3 import PPO

    PPO("MlpPolicy", "CartPole-v1", device="cpu").save(tmp_path / "cartpole.zip")
    policy = load_policy(tmp_path / "cartpole.zip", device="cpu")
    with pytest.raises(ConfigurationError, match="expected the environment that the policy acts in"):
        complete(policy, "TextGen-v0", env_kwargs, indices=[0])
