"""Stock PPO and A2C train the policy; fast and slow paths agree; saving and loading."""

from __future__ import annotations

import copy
import io
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.warn_once import warn_once
from lm_envs.errors import CheckpointError, ConfigurationError, ModelError

PROMPTS = ["the good", "a bad was good", "is", "the the the a", "was the bad bad good is"]


def count_e(prompts, completions, **columns):
    return [float(text.count("e")) for text in completions]


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def make_venv(folder, n_envs=4, max_new_tokens=6, seed=0, **kwargs):
    env_kwargs = {
        "model": folder, "dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12,
        "max_new_tokens": max_new_tokens, **kwargs,
    }  # fmt: skip
    return make_lm_vec_env("TextGen-v0", n_envs=n_envs, seed=seed, env_kwargs=env_kwargs)


def make_model(
    folder, algorithm=PPO, buffer=SequenceRolloutBuffer, n_envs=4, n_steps=8, seed=0, venv=None, **policy_kwargs
):
    kwargs = {PPO: {"n_epochs": 2, "batch_size": 4 * n_envs}, TRPO: {"batch_size": 4 * n_envs}}.get(algorithm, {})
    return algorithm(
        LMActorCriticPolicy, venv or make_venv(folder, n_envs), n_steps=n_steps, seed=seed, gamma=1.0,
        learning_rate=1e-3, rollout_buffer_class=buffer, device="cpu",
        policy_kwargs={"model": folder, **policy_kwargs}, **kwargs,
    )  # fmt: skip


def collect(model):
    """One rollout; n_steps=8 with episodes of up to 6 tokens cuts episodes at the rollout's end."""
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def weights(model):
    return th.cat([value.flatten() for value in model.policy.state_dict().values()]).clone()


def replayed(model, batch_size=16):
    for sample in model.rollout_buffer.get(batch_size):
        yield sample, model.policy.evaluate_actions(sample.observations, sample.actions)


@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
@pytest.mark.parametrize("value", ["shared", "separate"])
def test_rollout_and_update_agree_so_that_the_first_ratio_is_one(random_lm_folder, family, buffer, value):
    model = make_model(random_lm_folder(family), buffer=buffer, value=value, n_envs=5)
    for _ in range(2):  # the second rollout begins in the middle of episodes
        collect(model)
        for sample, (values, log_prob, entropy) in replayed(model):
            assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
            assert th.allclose((log_prob - sample.old_log_prob).exp(), th.ones_like(log_prob), atol=1e-4)
            assert th.allclose(values.flatten(), sample.old_values, atol=1e-4)
            assert (entropy > 0).all()


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_gradients_of_packed_and_plain_updates_agree(lm_folder, trainable):
    grads = []
    for buffer in (SequenceRolloutBuffer, None):
        model = make_model(lm_folder, buffer=buffer, trainable=trainable)
        if trainable == "heads":
            th.nn.init.normal_(model.policy.adapter.up.weight, generator=th.Generator().manual_seed(0))
        collect(model)
        sample, (values, log_prob, entropy) = next(replayed(model, None))
        ((log_prob * sample.advantages).sum() + values.sum() + entropy.sum()).backward()
        grads.append(th.cat([p.grad.flatten() for p in model.policy.parameters() if p.grad is not None]))
    assert th.allclose(grads[0], grads[1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO])
@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
def test_stock_algorithms_train(lm_folder, algorithm, buffer):
    model = make_model(lm_folder, algorithm, buffer)
    before = weights(model)
    model.learn(64)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()


def test_trpo_learns_from_a_part_of_the_transitions(lm_folder):
    model = make_model(lm_folder, TRPO)
    model.sub_sampling_factor = 4
    before = weights(model)
    model.learn(32)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_a_toy_task_is_learned(lm_folder, algorithm):
    venv = make_venv(lm_folder, n_envs=16, max_new_tokens=4, reward=count_e)
    model = make_model(lm_folder, algorithm, venv=venv, n_steps=8)
    model.learn(6_000)
    returns = [info["r"] for info in model.ep_info_buffer]
    assert np.mean(returns) > 2.5  # of at most 4; untrained about 0.1


def test_same_seed_same_weights(lm_folder):
    first, second, other = (make_model(lm_folder, seed=seed).learn(64) for seed in (1, 1, 2))
    assert th.equal(weights(first), weights(second))
    assert not th.equal(weights(first), weights(other))


def test_other_numbers_of_environments_follow_one_another(lm_folder):
    policy = make_model(lm_folder).policy
    for n_envs in (1, 7, 3):
        venv = make_venv(lm_folder, n_envs)
        obs, _ = policy.obs_to_tensor(venv.reset())
        _, values, _ = policy(obs)
        expected = policy.evaluate_actions(obs, th.zeros(n_envs))[0]
        assert th.allclose(values, expected, atol=1e-4)


def test_calls_from_outside_leave_the_slots_of_a_rollout_alone(lm_folder):
    venv = make_venv(lm_folder, 4)
    policy = make_model(lm_folder).policy
    policy.set_training_mode(False)
    obs = venv.reset()
    computed = []
    for _ in range(4):
        tensors, _ = policy.obs_to_tensor(obs)
        actions, values, _ = policy(tensors)
        cache = policy._caches.caches["rollout actor", 4]
        computed.append(cache.computed_tokens)
        one, _ = policy.obs_to_tensor({key: value[1] for key, value in obs.items()})
        assert th.allclose(policy.predict_values(one), values[1:2], atol=1e-4)
        policy.predict({key: value[0] for key, value in obs.items()})
        policy.predict(obs, deterministic=True)
        obs, *_ = venv.step(actions.numpy())
    assert policy._caches.caches["rollout actor", 4] is cache
    assert max(np.diff(computed)) < 4 * 6  # new tokens only: no slot was lost to the other calls


def test_predict_is_cached_and_deterministic_on_demand(lm_folder):
    policy = make_model(lm_folder).policy
    venv = make_venv(lm_folder, 3)
    obs = venv.reset()
    first, _ = policy.predict(obs, deterministic=True)
    second, _ = policy.predict(obs, deterministic=True)
    assert (first == second).all()
    tensors, _ = policy.obs_to_tensor(obs)
    assert (policy.get_distribution(tensors).mode().numpy() == first).all()


def test_changed_weights_drop_the_cache(lm_folder):
    policy = make_model(lm_folder).policy
    obs, _ = policy.obs_to_tensor(make_venv(lm_folder, 3).reset())
    policy(obs)
    with th.no_grad():
        for _, parameter in policy.actor.own_parameters():
            parameter.mul_(1.1)
        _, _, log_prob = policy(obs, deterministic=True)
        expected = policy.get_distribution(obs).distribution.logits.max(dim=1).values
    assert th.allclose(log_prob, expected, atol=1e-4)


def test_weights_written_without_a_trace_drop_the_cache_when_training_ends(lm_folder):
    policy = make_model(lm_folder).policy
    obs, _ = policy.obs_to_tensor(make_venv(lm_folder, 3).reset())
    policy(obs)
    for _, parameter in policy.actor.own_parameters():
        parameter.data = parameter.data * 1.1  # as TRPO does
    policy.set_training_mode(True)
    policy.set_training_mode(False)
    with th.no_grad():
        _, _, log_prob = policy(obs, deterministic=True)
        expected = policy.get_distribution(obs).distribution.logits.max(dim=1).values
    assert th.allclose(log_prob, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_optimizer_step_drops_the_cache_though_fused_adam_leaves_no_trace(lm_folder, dtype):
    policy = make_model(lm_folder, dtype=dtype).policy
    obs, _ = policy.obs_to_tensor(make_venv(lm_folder, 3).reset())
    before = policy(obs, deterministic=True)[2]
    policy.evaluate_actions(obs, th.zeros(3))[1].sum().backward()
    for group in policy.optimizer.param_groups:
        group["lr"] = 0.1
    policy.optimizer.step()
    with th.no_grad():
        after = policy(obs, deterministic=True)[2]
        expected = policy.get_distribution(obs).distribution.logits.max(dim=1).values
    assert not th.allclose(after, before, atol=1e-2)
    assert th.allclose(after, expected, atol=1e-4 if dtype == "float32" else 0.2)


def test_temperature_applies_in_rollouts_and_updates(lm_folder):
    cold, warm = (make_model(lm_folder, temperature=t) for t in (0.5, 1.0))
    collect(cold)
    for sample, (_, log_prob, _) in replayed(cold):
        assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
    obs, _ = cold.policy.obs_to_tensor(make_venv(lm_folder, 3).reset())
    logits = warm.policy.get_distribution(obs).distribution.logits / 0.5
    assert th.allclose(cold.policy.get_distribution(obs).distribution.logits, logits.log_softmax(dim=1), atol=1e-4)


def test_bfloat16_trains_and_returns_float32(lm_folder):
    model = make_model(lm_folder, dtype="bfloat16")
    before = weights(model)
    collect(model)
    for sample, (values, log_prob, entropy) in replayed(model):
        assert values.dtype == log_prob.dtype == entropy.dtype == th.float32
        assert (log_prob - sample.old_log_prob).abs().max() < 0.2
    model.learn(64)
    assert not th.equal(weights(model), before)


def test_the_value_gradient_can_be_kept_from_the_language_model(lm_folder):
    for value_gradient in (True, False):
        model = make_model(lm_folder, value_gradient=value_gradient)
        th.nn.init.normal_(model.policy.value_head.output.weight)
        collect(model)
        _, (values, _, _) = next(replayed(model))
        values.sum().backward()
        reached = any(p.grad is not None for _, p in model.policy.actor.own_parameters())
        assert reached == value_gradient


@pytest.mark.parametrize("policy_kwargs", [{}, {"trainable": "top:1"}, {"trainable": "heads"}, {"value": "separate"},
                                           {"dtype": "bfloat16"}])  # fmt: skip
def test_save_and_load(lm_folder, tmp_path, policy_kwargs):
    model = make_model(lm_folder, **policy_kwargs).learn(64)
    obs = make_venv(lm_folder).reset()
    model.save(tmp_path / "model.zip")
    loaded = PPO.load(tmp_path / "model.zip", env=make_venv(lm_folder), device="cpu")
    assert th.equal(weights(loaded), weights(model))
    tensors, _ = model.policy.obs_to_tensor(obs)
    with th.no_grad():
        expected = model.policy.get_distribution(tensors).distribution.logits
        assert th.equal(loaded.policy.get_distribution(tensors).distribution.logits, expected)
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    loaded.learn(64, reset_num_timesteps=False)
    assert loaded.num_timesteps == 128 and not th.equal(weights(loaded), weights(model))


def saved_weights(path: Path):
    with zipfile.ZipFile(path) as archive:
        return th.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)


def test_frozen_weights_are_not_in_the_zip(lm_folder, tmp_path):
    model = make_model(lm_folder, trainable="top:1")
    model.save(tmp_path / "model.zip")
    names = set(saved_weights(tmp_path / "model.zip"))
    assert any("layers.1." in name for name in names)
    assert not any("layers.0." in name or "embed" in name or "lm_head" in name for name in names)


def test_the_zip_of_heads_is_small(tmp_path):
    venv = make_lm_vec_env("TextGen-v0", n_envs=4, seed=0)
    model = make_model("tiny", venv=venv, trainable="heads").learn(32)
    model.save(tmp_path / "model.zip")
    assert (tmp_path / "model.zip").stat().st_size < 1_000_000


def test_policy_save_and_load(lm_folder, tmp_path):
    policy = make_model(lm_folder, temperature=0.7).policy
    policy.save(tmp_path / "policy.pt")
    loaded = LMActorCriticPolicy.load(tmp_path / "policy.pt", device="cpu")
    assert loaded.temperature == 0.7 and loaded.model_name == lm_folder
    for a, b in zip(policy.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert th.equal(a, b)


def test_a_checkpoint_of_another_policy_is_refused_and_changes_nothing(lm_folder):
    source, target = make_model(lm_folder, trainable="top:1").policy, make_model(lm_folder).policy
    before = copy.deepcopy(target.state_dict())
    with pytest.raises(CheckpointError, match="does not fit this policy"):
        target.load_state_dict(source.state_dict())
    assert all(th.equal(a, b) for a, b in zip(before.values(), target.state_dict().values(), strict=True))


def test_a_deep_copy_is_independent_and_trains_on(lm_folder):
    model = make_model(lm_folder, dtype="bfloat16")
    model.learn(32)
    twin = copy.deepcopy(model.policy)
    obs, _ = twin.obs_to_tensor(make_venv(lm_folder).reset())
    actions = th.zeros(4)
    assert th.equal(twin.evaluate_actions(obs, actions)[1], model.policy.evaluate_actions(obs, actions)[1])
    twin.evaluate_actions(obs, actions)[1].sum().backward()
    assert (
        all(p.grad is None for _, p in model.policy.actor.own_parameters())
        or model.policy.optimizer is not twin.optimizer
    )
    assert any(p.grad is not None and p.grad.any() for _, p in twin.actor.own_parameters())


def test_sb3s_own_buffer_is_named_as_the_slow_way_once(lm_folder, caplog):
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="agents"):
        make_model(lm_folder, buffer=None).learn(64)
    assert [
        r.message for r in caplog.records if "rollout_buffer_class=SequenceRolloutBuffer" in r.message
    ].__len__() == 1
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="agents"):
        make_model(lm_folder).learn(32)
    assert not caplog.records


@pytest.mark.parametrize(
    ("policy_kwargs", "error", "match"),
    [
        ({"model": th.nn.Linear(2, 2)}, ConfigurationError, "must be a name.*got Linear"),
        ({"temperature": 0.0}, ConfigurationError, "temperature must be above 0"),
        ({"value": "none"}, ConfigurationError, "'shared' or 'separate'"),
        ({"trainable": "bottom:1"}, ConfigurationError, "'all', 'top:N'"),
        ({"dtype": "int8"}, ConfigurationError, "float32, bfloat16"),
        ({"model": "tiny"}, ModelError, "2048 tokens, the environment has 64"),
    ],
)
def test_bad_policy_arguments(lm_folder, policy_kwargs, error, match):
    with pytest.raises(error, match=match):
        make_model(lm_folder, **policy_kwargs)


def test_sde_and_other_spaces_are_refused(lm_folder):
    obs_space, action_space = make_venv(lm_folder).observation_space, spaces.Discrete(64)
    with pytest.raises(ConfigurationError, match="use_sde"):
        LMActorCriticPolicy(obs_space, action_space, lambda _: 1e-3, use_sde=True, model=lm_folder)
    with pytest.raises(ConfigurationError, match="Discrete action space"):
        LMActorCriticPolicy(obs_space, spaces.Box(0, 1, (3,)), lambda _: 1e-3, model=lm_folder)
    with pytest.raises(ConfigurationError, match="token environment"):
        LMActorCriticPolicy(spaces.Box(0, 1, (3,)), action_space, lambda _: 1e-3, model=lm_folder)


def test_observations_longer_than_the_model_reads_are_refused(lm_folder):
    space = spaces.Dict({key: spaces.Box(0, 63, (300,), np.int32) for key in ("input_ids", "attention_mask")})
    with pytest.raises(ModelError, match="300 tokens.*reads at most 256"):
        LMActorCriticPolicy(space, spaces.Discrete(64), lambda _: 1e-3, model=lm_folder)


def test_actor_and_critic_hold_frozen_weights_once(lm_folder):
    space = spaces.Dict(input_ids=spaces.Box(0, 63, (24,), np.int32), attention_mask=spaces.Box(0, 1, (24,), np.int8))
    policy = LMActorCriticPolicy(
        space, spaces.Discrete(64), lambda _: 1e-3, model=lm_folder, trainable="top:1", value="separate"
    )
    of_critic = {id(p) for p in policy.critic.lm.parameters()}
    frozen = [p for p in policy.actor.lm.parameters() if not p.requires_grad]
    trained = [p for p in policy.actor.lm.parameters() if p.requires_grad]
    assert frozen and all(id(p) in of_critic for p in frozen)
    assert trained and not any(id(p) in of_critic for p in trained)
