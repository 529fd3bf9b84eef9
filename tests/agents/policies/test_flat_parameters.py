"""TRPO's derivatives with respect to one tensor: the same numbers, and nothing of it is seen outside of an update."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from sb3_contrib import TRPO

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.networks.flat_parameters import FlatParameters
from lm_envs.errors import ConfigurationError

PROMPTS = ["the good", "a bad was good", "is", "the the the a"]
LABELS = {"actions": "choice", "dataset": "sentiment", "max_prompt_tokens": 24}


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def make_model(folder, env_id="TextGen-v0", env_kwargs=None, **policy_kwargs):
    own = {"dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12, "max_new_tokens": 6}
    venv = make_lm_vec_env(env_id, n_envs=4, seed=0, env_kwargs={"model": folder, **(env_kwargs or own)})
    return TRPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=16, seed=0, gamma=1.0, learning_rate=1e-3, cg_max_steps=3,
        device="cpu", rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": folder, **policy_kwargs},
    )  # fmt: skip


def weights(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def interrupted(model):
    """A model whose update was broken off after a step along the direction was tried."""
    model.learn(32)
    policy, samples = model.policy, next(model.rollout_buffer.get(None))
    policy.set_training_mode(True)
    policy.get_distribution(samples.observations)
    tensor = dict(policy.named_parameters())["flat_actor"]
    tensor.data = tensor.data + 0.01
    return policy, samples


@pytest.mark.parametrize("trainable", ["all", "top:1", "lora", "heads"])
@pytest.mark.parametrize("value", ["shared", "separate"])
def test_the_same_numbers_as_with_many_tensors(lm_folder, trainable, value):
    plain, flat = (
        make_model(lm_folder, trainable=trainable, value=value, flat_parameters=flat).learn(32)
        for flat in (False, True)
    )
    before, after = weights(make_model(lm_folder, trainable=trainable, value=value)), weights(plain)
    actor = [name for name in after if not name.startswith(("critic.", "value_head."))]
    assert any(not th.equal(before[name], after[name]) for name in actor)
    for name, found in weights(flat).items():
        assert th.allclose(found, after[name], atol=1e-5, rtol=1e-4), name


def test_choices_of_a_head(lm_folder):
    plain, flat = (make_model(lm_folder, "QA-v0", LABELS, flat_parameters=flat).learn(32) for flat in (False, True))
    after = weights(plain)
    assert all(th.allclose(found, after[name], atol=1e-5, rtol=1e-4) for name, found in weights(flat).items())


def test_one_tensor_is_found_in_the_middle_of_an_update_only(lm_folder):
    model = make_model(lm_folder, flat_parameters=True)
    outside = [name for name, _ in model.policy.named_parameters()]
    policy, _ = interrupted(model)
    inside = dict(policy.named_parameters())
    assert sorted(inside) == ["flat_actor", *sorted(name for name in outside if name.startswith("value_head."))]
    policy.set_training_mode(False)
    assert [name for name, _ in policy.named_parameters()] == outside


@pytest.mark.parametrize("leave", ["state_dict", "set_training_mode", "predict_values", "cpu"])
def test_what_was_tried_last_is_what_stays(lm_folder, leave):
    model = make_model(lm_folder, flat_parameters=True)
    before = weights(model.learn(32))
    policy, samples = interrupted(model)
    arguments = {"set_training_mode": (False,), "predict_values": (samples.observations,)}
    getattr(policy, leave)(*arguments.get(leave, ()))
    assert "flat_actor" not in dict(policy.named_parameters())
    moved = [not th.equal(value, before[name]) for name, value in policy.state_dict().items() if "value" not in name]
    assert moved and all(moved)


def test_what_is_loaded_is_not_overwritten(lm_folder):
    policy, _ = interrupted(make_model(lm_folder, flat_parameters=True))
    saved = {name: th.zeros_like(value) for name, value in make_model(lm_folder).policy.state_dict().items()}
    policy.load_state_dict(saved)
    policy.set_training_mode(False)
    assert all(not value.any() for value in policy.state_dict().values())


def test_saved_and_loaded(lm_folder, tmp_path):
    model = make_model(lm_folder, flat_parameters=True).learn(32)
    model.save(tmp_path / "trpo.zip")
    loaded = TRPO.load(tmp_path / "trpo.zip", device="cpu")
    assert loaded.policy.flat_parameters
    obs = model.env.reset()
    assert np.array_equal(*(each.predict(obs, deterministic=True)[0] for each in (model, loaded)))


def test_gradients_are_those_of_the_parameters():
    module = th.nn.Sequential(th.nn.Linear(3, 4), th.nn.Tanh(), th.nn.Linear(4, 2, bias=False))
    parameters = dict(module.named_parameters())
    flat, inputs = FlatParameters(module, parameters), th.randn(5, 3)
    (grad,) = th.autograd.grad(flat.call(module, inputs).square().sum(), flat.tensor)
    module(inputs).square().sum().backward()
    assert th.allclose(grad, th.cat([each.grad.flatten() for each in parameters.values()]), atol=1e-6)
    with th.no_grad():
        flat.tensor.mul_(2)
    assert not th.equal(flat.tensor[:12], module[0].weight.flatten())
    flat.write_back()
    assert th.equal(flat.tensor[:12], module[0].weight.flatten())


@pytest.mark.parametrize("flat", [False, True])
def test_trpo_trains_no_bfloat16_copies(lm_folder, flat):
    with pytest.raises(ConfigurationError, match="TRPO needs dtype='float32'"):
        make_model(lm_folder, dtype="bfloat16", flat_parameters=flat).learn(32)
    assert make_model(lm_folder, dtype="bfloat16", flat_parameters=flat, trainable="lora").learn(32)


def test_weights_that_are_called_values_are_the_actors(random_lm_folder):
    folder = random_lm_folder("gpt_neox")
    plain, flat = (make_model(folder, flat_parameters=flat).learn(32) for flat in (False, True))
    after = weights(plain)
    assert any("query_key_value" in name for name in after)
    assert all(th.allclose(found, after[name], atol=1e-5, rtol=1e-4) for name, found in weights(flat).items())
