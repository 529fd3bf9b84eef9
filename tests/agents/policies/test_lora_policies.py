"""Policies whose language model has a low-rank adapter: they train, and without it they are the pretrained model."""

from __future__ import annotations

import copy
import io
import zipfile

import numpy as np
import pytest
import torch as th
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback

import agents
from agents import (
    LMActorCriticPolicy,
    LMQPolicy,
    ReferenceKLCallback,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from agents.evaluation.metrics import reference_policy
from agents.networks.language_model import LanguageModel
from agents.networks.trained_weights import trained_parameters
from lm_envs.errors import CheckpointError, ConfigurationError

pytest.importorskip("peft")
sb3_contrib = pytest.importorskip("sb3_contrib")

PROMPTS = ["the good", "a bad was good", "is", "the the the a", "was the bad bad good is"]
LORA = {"trainable": "lora", "peft_config": {"r": 4, "target_modules": "all-linear"}}


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def make_venv(folder, **kwargs):
    env_kwargs = {"model": folder, "dataset": PROMPTS * 5, "reward": count_letters, "max_prompt_tokens": 12,
                  "max_new_tokens": 6, **kwargs}  # fmt: skip
    return make_lm_vec_env("TextGen-v0", n_envs=4, seed=0, env_kwargs=env_kwargs)


def make_model(folder, algorithm=PPO, policy=LMActorCriticPolicy, buffer=SequenceRolloutBuffer, **policy_kwargs):
    sizes = {} if algorithm is A2C else {"batch_size": 16}
    return algorithm(
        policy, make_venv(folder), n_steps=8, seed=0, gamma=1.0, learning_rate=1e-2, rollout_buffer_class=buffer,
        device="cpu", policy_kwargs={"model": folder, **LORA, **policy_kwargs}, **sizes,
    )  # fmt: skip


def make_dqn(folder, **policy_kwargs):
    return DQN(
        LMQPolicy, make_venv(folder, min_new_tokens=2), buffer_size=2_000, learning_starts=20, batch_size=16,
        train_freq=4, target_update_interval=8, replay_buffer_class=SequenceReplayBuffer, seed=1, device="cpu",
        learning_rate=1e-2, policy_kwargs={"model": folder, **LORA, **policy_kwargs},
    )  # fmt: skip


def collect(model, callback=None):
    _, callback = model._setup_learn(10**6, callback)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def disturb(model):
    with th.no_grad():
        for parameter in trained_parameters(model.policy).values():
            parameter.add_(0.1 * th.randn(parameter.shape, generator=th.Generator().manual_seed(1)))


@pytest.mark.parametrize("value", ["shared", "separate"])
def test_rollout_and_update_agree_so_that_the_first_ratio_is_one(random_lm_folder, family, value):
    model = make_model(random_lm_folder(family), value=value)
    disturb(model)
    collect(model)
    for sample in model.rollout_buffer.get(16):
        values, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions)
        assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
        assert th.allclose(values.flatten(), sample.old_values, atol=1e-4)


@pytest.mark.parametrize("algorithm", [PPO, A2C, "TRPO", "MaskablePPO"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_stock_algorithms_train_adapter_and_heads_and_nothing_else(lm_folder, algorithm, dtype):
    kwargs = {"dtype": dtype}
    if algorithm == "MaskablePPO":
        kwargs |= {"policy": agents.LMMaskableActorCriticPolicy, "buffer": agents.MaskableSequenceRolloutBuffer}
    algorithm = getattr(sb3_contrib, algorithm) if isinstance(algorithm, str) else algorithm
    model = make_model(lm_folder, algorithm, **kwargs)
    base = LanguageModel(lm_folder, "heads", dtype)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64)
    after = model.policy.state_dict()
    assert all("lora_" in name or name.startswith("value_head") for name in after)
    changed = [name for name in after if not th.equal(after[name], before[name])]
    assert sum("lora_A" in name for name in changed) == sum("lora_B" in name for name in changed) > 7
    ids = th.randint(2, 64, (2, 9))
    with th.no_grad(), model.policy.adapter_off():
        assert th.equal(model.policy.actor(ids), base(ids))


def test_acting_with_the_adapter_off_is_acting_as_the_pretrained_model(lm_folder, token_stream):
    model = make_model(lm_folder)
    disturb(model)
    policy, reference = model.policy, reference_policy(model.policy)
    stream, differ = token_stream(5, max_tokens=18), 0
    for step, obs in enumerate(stream.random_steps(12)):
        obs = {key: value.numpy() for key, value in obs.items()}
        if step % 3 == 0:  # in between the adapter is on: slots must not be mixed up
            expected, _ = reference.predict(obs, deterministic=True)
            differ += (policy.predict(obs, deterministic=True)[0] != expected).sum()
            with policy.adapter_off():
                assert (policy.predict(obs, deterministic=True)[0] == expected).all()
    assert differ


def test_heads_can_be_switched_off_and_trained_weights_cannot(lm_folder):
    heads = make_model(lm_folder, trainable="heads", peft_config=None)
    disturb(heads)
    base, ids = LanguageModel(lm_folder, "heads"), th.randint(2, 64, (6, 32)).float()
    with th.no_grad(), heads.policy.adapter_off():
        assert th.equal(heads.policy._logits(ids, {}), base.output_layer.logits(ids))
    assert not th.equal(heads.policy._logits(ids, {}), base.output_layer.logits(ids))
    with pytest.raises(ConfigurationError, match="no adapter"), \
         make_model(lm_folder, trainable="all", peft_config=None).policy.adapter_off():  # fmt: skip
        pass


class Before(BaseCallback):
    """Remembers the rewards before the penalty."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.rewards = self.locals["rollout_buffer"].rewards.copy()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_kl_penalty_is_that_of_a_reference_of_its_own(random_lm_folder, lm_folder, dtype, monkeypatch):
    rewards = []
    for separate in (False, True):
        model, kl = make_model(lm_folder, dtype=dtype), ReferenceKLCallback(0.5)
        disturb(model)
        if separate:
            monkeypatch.setattr(kl, "_find_reference", lambda policy: LanguageModel(lm_folder, "heads", dtype))
        before = Before()
        collect(model, [before, kl])
        assert (kl._reference is model.policy.actor) == (not separate)
        rewards.append(model.rollout_buffer.rewards.copy())
        assert not np.allclose(rewards[-1], before.rewards, atol=0.01)
    assert np.array_equal(*rewards)


def test_another_reference_is_loaded_beside_the_policy(random_lm_folder, lm_folder):
    model, kl = make_model(lm_folder), ReferenceKLCallback(0.5, model=random_lm_folder("llama", seed=5))
    collect(model, kl)
    assert kl._reference is not model.policy.actor and kl.episode_kl > 0.1


@pytest.mark.parametrize("policy_kwargs", [{}, {"value": "separate"}, {"dtype": "bfloat16"}, {"peft_config": None}])
def test_save_and_load(lm_folder, tmp_path, policy_kwargs):
    model = make_model(lm_folder, **policy_kwargs)
    model.learn(64)
    model.save(tmp_path / "ppo.zip")
    with zipfile.ZipFile(tmp_path / "ppo.zip") as archive:
        saved = th.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
    assert set(saved) == set(model.policy.state_dict()) and not any("base_layer" in name for name in saved)
    loaded = PPO.load(tmp_path / "ppo.zip", env=make_venv(lm_folder), device="cpu")
    assert all(th.equal(value, loaded.policy.state_dict()[name]) for name, value in model.policy.state_dict().items())
    obs = make_venv(lm_folder).reset()
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    before = {name: value.clone() for name, value in loaded.policy.state_dict().items()}
    loaded.learn(64, reset_num_timesteps=False)
    assert any(not th.equal(value, before[name]) for name, value in loaded.policy.state_dict().items())


def test_what_adam_remembers_is_saved_in_bfloat16_and_is_float32_again(lm_folder, tmp_path):
    model = make_model(lm_folder)
    model.learn(64)
    kept = [entry["exp_avg_sq"].clone() for entry in model.policy.optimizer.state.values()]
    model.save(tmp_path / "ppo.zip")
    with zipfile.ZipFile(tmp_path / "ppo.zip") as archive:
        saved = th.load(io.BytesIO(archive.read("policy.optimizer.pth")), weights_only=True)
    dtypes = {value.dtype for entry in saved["state"].values() for name, value in entry.items() if name != "step"}
    assert dtypes == {th.bfloat16}
    loaded = PPO.load(tmp_path / "ppo.zip", device="cpu").policy.optimizer
    for entry, mine, expected in zip(loaded.state.values(), model.policy.optimizer.state.values(), kept, strict=True):
        assert entry["exp_avg_sq"].dtype == th.float32 and float(entry["step"]) == float(mine["step"]) > 0
        assert th.equal(mine["exp_avg_sq"], expected)  # saving leaves the optimizer alone
        th.testing.assert_close(entry["exp_avg_sq"], expected, rtol=2**-8, atol=0)


@pytest.mark.parametrize(
    "other",
    [{"peft_config": {"r": 2, "target_modules": "all-linear"}}, {"peft_config": {"r": 4}},
     {"trainable": "all", "peft_config": None}, {"trainable": "heads", "peft_config": None}],
    ids=["rank", "targets", "all", "heads"],
)  # fmt: skip
def test_a_checkpoint_with_another_adapter_is_refused_and_changes_nothing(lm_folder, other):
    model, different = make_model(lm_folder), make_model(lm_folder, **other)
    disturb(model)
    before = {name: value.clone() for name, value in different.policy.state_dict().items()}
    with pytest.raises(CheckpointError, match="does not fit this policy .*Load it with the policy_kwargs"):
        different.policy.load_state_dict(model.policy.state_dict())
    assert all(th.equal(value, before[name]) for name, value in different.policy.state_dict().items())


def test_a_deep_copy_has_an_adapter_of_its_own_on_the_same_base(lm_folder):
    model = make_model(lm_folder)
    model.learn(32)
    twin = copy.deepcopy(model.policy)
    frozen = [{p.data_ptr() for p in part.parameters() if not p.requires_grad} for part in (model.policy, twin)]
    assert frozen[0] == frozen[1]
    assert all(th.equal(value, twin.state_dict()[name]) for name, value in model.policy.state_dict().items())
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    disturb(model)
    assert all(th.equal(value, before[name]) for name, value in twin.state_dict().items())


@pytest.mark.parametrize("policy_kwargs", [{}, {"double_q": True}, {"exploration": "lm", "exploration_rate": 0.5}])
def test_dqn_keeps_two_adapters_on_one_base(lm_folder, tmp_path, policy_kwargs):
    model = make_dqn(lm_folder, **policy_kwargs)
    online, target = model.policy.online.lm, model.policy.target.lm
    frozen = [{p.data_ptr() for p in part.parameters() if not p.requires_grad} for part in (online, target)]
    assert frozen[0] == frozen[1]
    model.learn(200)
    own, theirs = dict(online.own_parameters()), dict(target.own_parameters())
    assert own.keys() == theirs.keys() and all(p is not theirs[name] for name, p in own.items())
    assert any(bool(p.any()) for name, p in theirs.items() if "lora_B" in name)  # updated from the online network
    model.save(tmp_path / "dqn")
    loaded = DQN.load(tmp_path / "dqn", device="cpu")
    obs = make_venv(lm_folder).reset()
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()


def test_exploration_draws_from_the_pretrained_model(lm_folder, token_stream):
    model = make_dqn(lm_folder, exploration="lm", exploration_rate=1.0)
    disturb(model)
    obs = token_stream(4).tensors()
    base = LanguageModel(lm_folder, "heads")
    hidden = model.policy._caches.last_hidden("test", base, obs)
    expected = base.output_layer.logits(hidden).softmax(dim=1)
    drawn = np.stack([model.policy._from_language_model(obs).numpy() for _ in range(500)])
    frequency = np.stack([np.bincount(column, minlength=64) for column in drawn.T]) / 500
    assert np.abs(frequency - expected.detach().numpy()).max() < 0.1


def test_an_adapter_learns_a_toy_task(lm_folder):
    def count_e(prompts, completions, **columns):
        return [float(text.count("e")) for text in completions]

    model = PPO(
        LMActorCriticPolicy, make_venv(lm_folder, reward=count_e), n_steps=16, batch_size=64, seed=0, gamma=1.0,
        learning_rate=1e-2, rollout_buffer_class=SequenceRolloutBuffer, device="cpu",
        policy_kwargs={"model": lm_folder, **LORA},
    )  # fmt: skip
    model.learn(256)
    early = np.mean([episode["r"] for episode in model.ep_info_buffer])
    model.learn(1_500, reset_num_timesteps=False)
    assert np.mean([episode["r"] for episode in model.ep_info_buffer][-40:]) > early + 0.5
