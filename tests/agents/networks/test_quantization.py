"""Frozen weights in 4 or 8 bits, with what is trained beside them."""

from __future__ import annotations

import importlib.util

import pytest
import torch as th
from stable_baselines3 import DQN, PPO

from agents import LMActorCriticPolicy, LMQPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from agents.networks.language_model import LanguageModel
from lm_envs.errors import ConfigurationError, MissingDependencyError

IDS = th.randint(2, 64, (3, 12), generator=th.Generator().manual_seed(0))
needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"quantization": "2bit", "trainable": "heads"}, "'4bit' or '8bit' or None; got '2bit'"),
        ({"quantization": "4bit"}, "quantized weights cannot be trained.*trainable='all'"),
        ({"quantization": "8bit", "trainable": "top:1"}, "quantized weights cannot be trained.*trainable='top:1'"),
    ],
)
def test_what_cannot_be_quantized(lm_folder, arguments, match):
    with pytest.raises(ConfigurationError, match=match):
        LanguageModel(lm_folder, **arguments)


@pytest.mark.parametrize("package", ["bitsandbytes", "accelerate"])
def test_without_a_package_the_extra_is_named(lm_folder, monkeypatch, package):
    find_spec = importlib.util.find_spec
    present = lambda name, *args: None if name == package else find_spec("json")  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", present)
    with pytest.raises(MissingDependencyError, match=rf"'4bit' needs the package '{package}'.*lm-envs\[quantization\]"):
        LanguageModel(lm_folder, "heads", quantization="4bit")


def make_venv(folder):
    env_kwargs = {"model": folder, "dataset": ["the good", "a bad"] * 5, "reward": "distinct", "max_prompt_tokens": 12,
                  "max_new_tokens": 6}  # fmt: skip
    return make_lm_vec_env("TextGen-v0", n_envs=4, seed=0, env_kwargs=env_kwargs)


def make_ppo(folder, **policy_kwargs):
    return PPO(
        LMActorCriticPolicy, make_venv(folder), n_steps=8, batch_size=16, n_epochs=1, seed=0, learning_rate=1e-2,
        rollout_buffer_class=SequenceRolloutBuffer, device="cpu", policy_kwargs={"model": folder, **policy_kwargs},
    )  # fmt: skip


def test_a_quantized_encoder_is_refused(bert_folder):
    from agents.networks.pretrained import pretrained_model

    with pytest.raises(ConfigurationError, match="is an encoder"):
        pretrained_model(bert_folder, "heads", quantization="4bit")


@needs_bitsandbytes
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_quantized_weights_are_shared_small_and_near_the_original(lm_folder, quantization, dtype):
    plain = LanguageModel(lm_folder, "heads", dtype)
    model = LanguageModel(lm_folder, "lora", dtype, quantization=quantization)
    other = LanguageModel(lm_folder, "heads", dtype, quantization=quantization)
    layer, same = model.body.layers[0].self_attn, other.body.layers[0].self_attn
    assert layer.q_proj.base_layer.weight.dtype == (th.uint8 if quantization == "4bit" else th.int8)
    assert layer.q_proj.base_layer.weight.data_ptr() == same.q_proj.weight.data_ptr()
    assert layer.o_proj.weight.data_ptr() == same.o_proj.weight.data_ptr()
    assert all("lora_" in name and p.dtype == th.float32 for name, p in model.own_parameters())
    with th.no_grad():
        expected, got = plain(IDS).float(), model(IDS).float()
        assert float((got - expected).norm() / expected.norm()) < (0.8 if quantization == "4bit" else 0.1)
        assert not th.equal(got, expected)
        with model.adapter_off():
            assert th.equal(model(IDS), other(IDS))


@needs_bitsandbytes
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("trainable", ["lora", "heads"])
def test_ppo_on_quantized_weights(lm_folder, tmp_path, quantization, trainable):
    model = make_ppo(lm_folder, trainable=trainable, quantization=quantization)
    kl = ReferenceKLCallback(0.1)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(32, callback=kl)
    assert abs(kl.episode_kl) < 0.05  # of the first rollout, before anything was learned: against the same weights
    assert any(not th.equal(value, before[name]) for name, value in model.policy.state_dict().items())
    model.save(tmp_path / "ppo")
    loaded = PPO.load(tmp_path / "ppo", device="cpu")
    assert loaded.policy.quantization == quantization
    after = model.policy.state_dict()
    assert all(th.equal(value, after[name]) for name, value in loaded.policy.state_dict().items())


@needs_bitsandbytes
def test_dqn_on_quantized_weights(lm_folder):
    model = DQN(
        LMQPolicy, make_venv(lm_folder), buffer_size=500, learning_starts=16, batch_size=8, seed=0, device="cpu",
        policy_kwargs={"model": lm_folder, "trainable": "lora", "quantization": "4bit"},
    )  # fmt: skip
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64)
    assert any(not th.equal(value, before[name]) for name, value in model.policy.state_dict().items())
