"""Encoders as policies: one pass for a sentence, labels at the cursor, and the same numbers on every path."""

from __future__ import annotations

import copy
import io
import itertools
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO

from agents import (
    LMActorCriticPolicy,
    LMQPolicy,
    ReferenceKLCallback,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from agents.evaluation import evaluate
from agents.networks.encoder import Encoder
from agents.networks.sequences import PackedSequences, pack_observations
from lm_envs.errors import CheckpointError, ConfigurationError, ModelError
from lm_envs.models import is_encoder, load_encoder

WORDS = ["the", "good", "bad", "is", "was", "a"]
QUESTIONS = [
    {"question": " ".join(words), "choices": ["good", "bad"], "answer": "good" if "good" in words else "bad"}
    for words in itertools.product(WORDS, repeat=2)
    if ("good" in words) != ("bad" in words)
]


def rows(n: int = 30) -> list[dict[str, Any]]:
    """Sentences in which ``good`` and a word after it are an entity, and so is ``a``."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        words = [str(word) for word in rng.choice(WORDS, size=rng.integers(1, 6))]
        labels = ["O"] * len(words)
        for i, word in enumerate(words):
            if word == "a":
                labels[i] = "B-A"
            elif word == "good":
                labels[i] = "B-G"
            elif i and words[i - 1] == "good":
                labels[i] = "I-G"
        found.append({"words": words, "labels": labels})
    return found


@pytest.fixture(params=["causal", "encoder"])
def folder(request: pytest.FixtureRequest) -> str:
    """A causal language model and an encoder."""
    return str(request.getfixturevalue("lm_folder" if request.param == "causal" else "bert_folder"))


def make_venv(folder: str, n_envs: int = 4, **kwargs: Any) -> Any:
    env_kwargs = {"model": folder, "dataset": rows(), "max_words": 6, "max_tokens": 24, **kwargs}
    return make_lm_vec_env("Tagging-v0", n_envs=n_envs, seed=0, env_kwargs=env_kwargs)


def make_model(
    folder: str, algorithm: Any = PPO, buffer: Any = SequenceRolloutBuffer, env: Any = None, **policy_kwargs: Any
) -> Any:
    kwargs = {"n_epochs": 2, "batch_size": 16} if algorithm is PPO else {}
    return algorithm(
        LMActorCriticPolicy, make_venv(folder, **(env or {})), n_steps=8, seed=0, gamma=1.0, learning_rate=1e-3,
        rollout_buffer_class=buffer, device="cpu", policy_kwargs={"model": folder, **policy_kwargs}, **kwargs,
    )  # fmt: skip


def shake(model: Any) -> Any:
    """Heads that start at zero get other weights, so that differences show."""
    generator = th.Generator().manual_seed(0)
    for name, parameter in model.policy.named_parameters():
        if name.startswith(("choices.", "value_head.")):
            th.nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def collect(model: Any) -> None:
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)


def weights(model: Any) -> th.Tensor:
    return th.cat([value.flatten() for value in model.policy.state_dict().values()]).clone()


def test_which_models_are_encoders(lm_folder: str, bert_folder: str) -> None:
    assert is_encoder(bert_folder) and not is_encoder(lm_folder) and not is_encoder("tiny")


def test_padding_and_neighbours_change_nothing(bert_folder: str) -> None:
    encoder = Encoder(bert_folder, "heads")
    plain = load_encoder(bert_folder)
    ids = th.randint(2, 64, (3, 7), generator=th.Generator().manual_seed(0))
    lengths = np.array([7, 4, 1])
    hidden = encoder(ids, lengths)
    for row, length in enumerate(lengths):
        alone = plain(input_ids=ids[row : row + 1, :length]).last_hidden_state[0]
        assert th.allclose(hidden[row, :length], alone, atol=1e-5)


@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
@pytest.mark.parametrize("env", [{}, {"constrain": True}], ids=str)
@pytest.mark.parametrize("value", ["shared", "separate"])
def test_rollout_and_update_agree_so_that_the_first_ratio_is_one(
    folder: str, buffer: Any, env: dict[str, Any], value: str
) -> None:
    model = shake(make_model(folder, buffer=buffer, env=env, value=value))
    for _ in range(2):  # the second rollout begins in the middle of sentences
        collect(model)
        for sample in model.rollout_buffer.get(16):
            values, log_prob, entropy = model.policy.evaluate_actions(sample.observations, sample.actions)
            assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
            assert th.allclose(values.flatten(), sample.old_values, atol=1e-4)
            assert (entropy > 0).all()


def test_each_sentence_is_read_once(folder: str) -> None:
    model = make_model(folder)
    collect(model)
    store = model.rollout_buffer.store
    reading = model.policy._caches.caches["rollout actor", 4]
    last = model._last_obs["attention_mask"].sum() if model._last_episode_starts.any() else 0
    n_tokens = store.lengths[: store.n_rows].sum()
    assert n_tokens <= reading.read_tokens <= n_tokens + last
    before = reading.read_tokens
    model.policy.forward(model.policy.obs_to_tensor(model._last_obs)[0])
    assert reading.read_tokens == before
    model.train()  # other weights: everything is read anew
    model.policy.forward(model.policy.obs_to_tensor(model._last_obs)[0])
    assert reading.read_tokens == before + model._last_obs["attention_mask"].sum()


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_gradients_of_packed_and_plain_updates_agree(folder: str, trainable: str) -> None:
    grads = []
    for buffer in (SequenceRolloutBuffer, None):
        model = shake(make_model(folder, buffer=buffer, trainable=trainable))
        collect(model)
        sample = next(model.rollout_buffer.get(None))
        values, log_prob, entropy = model.policy.evaluate_actions(sample.observations, sample.actions)
        ((log_prob * sample.advantages.flatten()).sum() + values.sum() + entropy.sum()).backward()
        grads.append(th.cat([p.grad.flatten() for p in model.policy.parameters() if p.grad is not None]))
    assert len(grads[0]) == len(grads[1]) and th.allclose(grads[0], grads[1], atol=1e-3, rtol=1e-3)


def test_what_is_trained_of_an_encoder(bert_folder: str) -> None:
    def names(trainable: str) -> set[str]:
        return {name for name, _ in Encoder(bert_folder, trainable).own_parameters()}

    assert names("heads") == set()
    assert all(name.startswith("lm.encoder.layer.1.") for name in names("top:1")) and names("top:1")
    assert any("embeddings" in name for name in names("all")) and not any("pooler" in name for name in names("all"))
    with pytest.raises(ConfigurationError, match="2 layers"):
        names("top:3")
    frozen, shared = Encoder(bert_folder, "top:1"), load_encoder(bert_folder)
    table = frozen.lm.get_input_embeddings().weight
    assert table.data_ptr() == shared.get_input_embeddings().weight.data_ptr()


def test_bfloat16(bert_folder: str) -> None:
    model = make_model(bert_folder, dtype="bfloat16")
    before = weights(model)
    model.learn(32)
    assert before.dtype == th.float32 and not th.equal(weights(model), before)


@pytest.mark.parametrize("algorithm", [PPO, A2C])
@pytest.mark.parametrize("buffer", [SequenceRolloutBuffer, None])
def test_stock_algorithms_train(folder: str, algorithm: Any, buffer: Any) -> None:
    model = make_model(folder, algorithm, buffer)
    before = weights(model)
    model.learn(64)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()


@pytest.mark.slow
def test_labels_are_learned(folder: str) -> None:
    model = make_model(folder, env={"n_envs": 16})
    model.learn(12_000)
    assert np.mean([info["r"] for info in model.ep_info_buffer]) > 0.9  # untrained about 0.15


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_save_and_load(folder: str, trainable: str) -> None:
    model = make_model(folder, trainable=trainable)
    model.learn(32)
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    loaded = PPO.load(file, env=make_venv(folder), device="cpu")
    assert th.equal(weights(loaded), weights(model))
    obs = model.env.reset()
    for deterministic in (True,):
        assert np.array_equal(*(m.predict(obs, deterministic=deterministic)[0] for m in (model, loaded)))
    twin = copy.deepcopy(model.policy)
    assert np.array_equal(twin.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    loaded.learn(32)
    other = make_model(folder, trainable="all" if trainable == "heads" else "heads")
    with pytest.raises(CheckpointError, match="does not fit"):
        other.policy.load_state_dict(model.policy.state_dict())


def test_the_label_before_matters(folder: str) -> None:
    policy = shake(make_model(folder)).policy
    obs = policy.obs_to_tensor(make_venv(folder).reset())[0]
    other = {**obs, "labels": obs["labels"].clone()}
    other["labels"][:, 0] = 2
    logits = [policy.get_distribution(part).distribution.logits for part in (obs, other)]
    assert not th.allclose(logits[0], logits[1], atol=1e-3)
    other["labels"][:, 1] = -1
    assert th.equal(policy.get_distribution(other).distribution.logits, logits[1])


def test_illegal_labels_have_probability_zero(bert_folder: str) -> None:
    model = shake(make_model(bert_folder, env={"constrain": True}))
    obs = model.env.reset()
    for _ in range(20):
        actions, _ = model.predict(obs)
        assert obs["action_mask"][np.arange(4), actions].all()
        probs = model.policy.get_distribution(model.policy.obs_to_tensor(obs)[0]).distribution.probs
        assert (probs[~th.as_tensor(obs["action_mask"]).bool()] == 0).all()
        obs = model.env.step(actions)[0]


def test_prefixes_that_grow_are_not_read_ahead(bert_folder: str) -> None:
    encoder = Encoder(bert_folder, "heads")
    ids = th.randint(2, 64, (2, 9), generator=th.Generator().manual_seed(0))
    rows, positions = th.tensor([0, 0, 1, 0, 1]), th.tensor([3, 8, 5, 3, 2])
    packed = PackedSequences(ids, np.array([9, 6]), rows, positions)
    hidden = packed.transition_hidden(encoder)
    for place, (row, position) in enumerate(zip(rows, positions, strict=True)):
        alone = encoder(ids[row : row + 1, : position + 1], np.array([int(position) + 1]))[0]
        assert th.allclose(hidden[place], alone.mean(dim=0), atol=1e-5)
    mask = th.zeros(5, 9, dtype=th.int64)
    for place, position in enumerate(positions):
        mask[place, : position + 1] = 1
    plain, order = pack_observations({"input_ids": ids[rows], "attention_mask": mask})
    assert th.allclose(plain.transition_hidden(encoder)[order], hidden, atol=1e-5)


@pytest.mark.parametrize(
    ("written", "expected"),
    [(None, "mean"), ({"pooling_mode_mean_tokens": True}, "mean"), ({"pooling_mode_cls_token": True}, "first")],
)
def test_a_text_is_what_the_model_was_made_for(
    bert_folder: str, tmp_path: Path, written: dict[str, bool] | None, expected: str
) -> None:
    folder = Path(shutil.copytree(bert_folder, tmp_path / "model"))
    if written is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(written))
    encoder = Encoder(str(folder), "heads")
    assert encoder.pooling == expected
    hidden = encoder(th.randint(2, 64, (2, 5)), np.array([5, 3]))
    texts = encoder.of_texts(hidden, np.array([5, 3]))
    alone = [hidden[0, :1], hidden[1, :1]] if expected == "first" else [hidden[0], hidden[1, :3]]
    assert th.allclose(texts, th.stack([part.mean(dim=0) for part in alone]), atol=1e-6)


def test_a_damaged_pooling_file_is_named(bert_folder: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_folder, tmp_path / "model"))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read .*1_Pooling.*config\.json.*Save or download the model again"):
        Encoder(str(folder))


def make_chooser(folder: str, trainable: str, algorithm: Any = DQN, **kwargs: Any) -> Any:
    env_kwargs = {"model": folder, "dataset": QUESTIONS, "actions": "choice", "max_prompt_tokens": 16}
    venv = make_lm_vec_env("QA-v0", n_envs=8, seed=0, env_kwargs=env_kwargs)
    if algorithm is DQN:
        policy: Any = LMQPolicy
        kwargs |= {"replay_buffer_class": SequenceReplayBuffer, "buffer_size": 4000, "learning_starts": 64}
        kwargs |= {"train_freq": 1, "batch_size": 32, "target_update_interval": 100}
    else:
        policy = LMActorCriticPolicy
        kwargs |= {"rollout_buffer_class": SequenceRolloutBuffer, "n_steps": 4, "batch_size": 32}
    settings = {"learning_rate": 3e-3, "gamma": 0.0, "seed": 0, "device": "cpu", **kwargs}
    return algorithm(policy, venv, policy_kwargs={"model": folder, "trainable": trainable}, **settings)


@pytest.mark.parametrize("algorithm", [PPO, DQN])
@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_encoders_choose_answers(bert_folder: str, trainable: str, algorithm: Any, tmp_path: Path) -> None:
    model = make_chooser(bert_folder, trainable, algorithm)
    before = weights(model)
    model.learn(160)
    assert not th.equal(weights(model), before) and weights(model).isfinite().all()
    model.save(tmp_path / "model.zip")
    loaded = algorithm.load(tmp_path / "model.zip", env=model.env, device="cpu")
    assert th.equal(weights(loaded), weights(model))
    obs = model.env.reset()
    assert np.array_equal(*(each.predict(obs, deterministic=True)[0] for each in (model, loaded)))
    loaded.learn(32)


def test_values_of_choices_are_the_same_on_every_path(bert_folder: str) -> None:
    model = make_chooser(bert_folder, "all")
    model.learn(160)
    policy = model.policy
    th.nn.init.normal_(policy.online.choices.output.weight, std=0.3)
    model.policy.online.lm.mark_changed()
    obs = policy.obs_to_tensor(model.env.reset())[0]
    texts = [ids[: mask.sum()][None] for ids, mask in zip(obs["input_ids"], obs["attention_mask"], strict=True)]
    means = th.cat([policy.online.lm(ids, np.array([ids.shape[1]])).mean(dim=1) for ids in texts])
    expected = policy.online.values(means, obs)
    assert th.allclose(policy.online(obs), expected, atol=1e-5)
    assert th.allclose(policy.action_values(obs), expected, atol=1e-5)


@pytest.mark.slow
def test_answers_are_learned(bert_folder: str) -> None:
    model = make_chooser(bert_folder, "all", learning_rate=1e-3)
    model.learn(6_000)
    obs = model.env.reset()
    rewards = []
    for _ in range(8):
        obs, reward, _, _ = model.env.step(model.predict(obs, deterministic=True)[0])
        rewards += reward.tolist()
    assert np.mean(rewards) > 0.9


def test_evaluation(folder: str) -> None:
    model = make_model(folder)
    kwargs = {"model": folder, "dataset": rows(), "max_words": 6, "max_tokens": 24}
    found = evaluate(model.policy, "Tagging-v0", kwargs, split="train", n_prompts=8)
    assert {"reward", "reward/entity_f1", "success", "entity_f1"} <= found.metrics.keys()
    assert "kl" not in found.metrics  # the pretrained model knows nothing of labels


def test_dqn_reads_at_the_cursor_too(lm_folder: str) -> None:
    model = DQN(
        LMQPolicy, make_venv(lm_folder), replay_buffer_class=SequenceReplayBuffer, buffer_size=400, learning_starts=40,
        train_freq=4, batch_size=16, device="cpu", seed=0, gamma=1.0, policy_kwargs={"model": lm_folder},
    )  # fmt: skip
    model.learn(80)
    for parameter in model.policy.online.choices.parameters():
        th.nn.init.normal_(parameter, std=0.3)
    model.policy.online.lm.mark_changed()
    obs = model.env.reset()
    tensors = model.policy.obs_to_tensor(obs)[0]
    expected = model.policy.online(tensors).argmax(dim=1)
    assert th.equal(model.policy._predict(tensors, deterministic=True), expected)


def test_what_encoders_cannot_do(bert_folder: str, lm_folder: str, caplog: pytest.LogCaptureFixture) -> None:
    space = spaces.Dict(
        {
            "input_ids": spaces.Box(0, 63, (12,), np.int32),
            "attention_mask": spaces.Box(0, 1, (12,), np.int8),
        }
    )
    with caplog.at_level(logging.ERROR), pytest.raises(ModelError, match="an encoder, which reads.*Tagging-v0"):
        LMActorCriticPolicy(space, spaces.Discrete(64), lambda _: 0.0, model=bert_folder)
    candidates = spaces.Dict({**space.spaces, "candidate_ids": spaces.Box(0, 63, (4,), np.int32)})
    with pytest.raises(ModelError, match="the actions here are candidates"):
        LMActorCriticPolicy(candidates, spaces.Discrete(4), lambda _: 0.0, model=bert_folder)
    choices = LMActorCriticPolicy(space, spaces.Discrete(3), lambda _: 0.0, model=bert_folder)
    assert choices.actions_are == "choices"
    with pytest.raises(ConfigurationError, match="3 choices of another kind|choices of another kind"):
        make_model(bert_folder).learn(32, callback=ReferenceKLCallback(0.1))
    with pytest.raises(ModelError, match="64 tokens, the environment has"):
        make_model(bert_folder, env={"model": "tiny"})
    with pytest.raises(ModelError, match="the actions here are tokens"):
        LMQPolicy(space, spaces.Discrete(64), lambda _: 0.0, model=bert_folder)
    with pytest.raises(ModelError, match="expected a causal language model.*an encoder"):
        make_lm_vec_env("QA-v0", env_kwargs={"model": bert_folder, "dataset": QUESTIONS})
    with pytest.raises(ModelError, match="reads at most 64"):
        make_model(bert_folder, env={"model": lm_folder, "max_tokens": 80})
