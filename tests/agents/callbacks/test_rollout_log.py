"""What is logged about the texts of a rollout."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from agents import GRPORolloutBuffer, LMActorCriticPolicy, RolloutLogCallback, make_lm_vec_env
from agents.callbacks.rollout_log import _markdown
from lm_envs.errors import ConfigurationError


def letters(completions, **_):
    return [float(len(text)) for text in completions]


def one(completions, **_):
    return [1.0] * len(completions)


class Rows(KVWriter):
    def __init__(self):
        self.rows = []

    def write(self, key_values, key_excluded, step=0):
        self.rows.append(dict(key_values))

    def close(self):
        pass


@pytest.fixture
def venv(lm_folder):
    return make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": ["the", "is a"], "reward": {letters: 1.0, one: 0.5},
                    "max_prompt_tokens": 4, "max_new_tokens": 5, "stop": "a", "group_size": 2},
    )  # fmt: skip


@pytest.fixture
def model(lm_folder, venv):
    return PPO(
        LMActorCriticPolicy, venv, n_steps=16, batch_size=64, n_epochs=1, gamma=1.0, learning_rate=0.0, seed=0,
        device="cpu", rollout_buffer_class=GRPORolloutBuffer, policy_kwargs={"model": lm_folder},
    )  # fmt: skip


class Ended(RolloutLogCallback):
    """Keeps all infos."""

    def _on_rollout_end(self):
        super()._on_rollout_end()
        self.infos = list(self._ended)


def test_numbers_are_those_of_the_episodes_that_ended(model):
    rows, callback = Rows(), Ended()
    model.set_logger(Logger(None, [rows]))
    model.learn(64, callback=callback)
    (row,), infos = rows.rows, callback.infos
    lengths, reasons = [info["n_new_tokens"] for info in infos], [info["stop_reason"] for info in infos]
    assert len(infos) > 10 and len(set(reasons)) > 1
    assert row["rollout/length_mean"] == pytest.approx(np.mean(lengths)) and row["rollout/length_max"] == 5
    assert (
        row["rollout/cut_off"]
        == row["rollout/stop/max_new_tokens"]
        == np.mean([n == "max_new_tokens" for n in reasons])
    )
    assert sum(row[f"rollout/stop/{reason}"] for reason in set(reasons)) == pytest.approx(1.0)
    assert row["rollout/reward/letters"] == pytest.approx(np.mean([len(info["completion"]) for info in infos]))
    assert row["rollout/reward/one"] == 0.5
    assert row["group/size"] == model.rollout_buffer.group_stats["size"] > 1


def test_the_entropy_is_estimated_in_nats_per_token(model):
    rows = Rows()
    model.set_logger(Logger(None, [rows]))
    model.learn(64 * 12, callback=RolloutLogCallback())
    estimated = np.mean([row["rollout/entropy"] for row in rows.rows])
    exact = np.mean([-row["train/entropy_loss"] for row in rows.rows if "train/entropy_loss" in row])
    assert estimated == pytest.approx(exact, rel=0.1) and exact > 0.5


def test_a_reason_that_was_seen_keeps_its_column(model):
    rows, callback = Rows(), RolloutLogCallback()
    model.set_logger(Logger(None, [rows]))
    callback._reasons.add("eos_of_another_time")
    model.learn(64, callback=callback)
    assert rows.rows[0]["rollout/stop/eos_of_another_time"] == 0.0


def test_tensorboard_gets_texts_now_and_then(model, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    output = TensorBoardOutputFormat(str(tmp_path))
    model.set_logger(Logger(str(tmp_path), [output]))
    model.learn(64 * 4, callback=RolloutLogCallback(n_texts=2, texts_every=128))
    output.close()
    events = reader.EventAccumulator(str(tmp_path)).Reload().Tensors("rollout/texts/text_summary")
    assert [event.step for event in events] == [64, 192]
    text = events[0].tensor_proto.string_val[0].decode()
    assert text.count("reward ") == 2 and "tokens, " in text


def test_texts_are_shown_letter_by_letter():
    info = {"prompt": "# a", "completion": "*b*\n<c>", "reward_terms": {"x": 1.0, "y": 0.25}, "n_new_tokens": 3}
    assert _markdown({**info, "stop_reason": "eos"}) == "reward 1.250, 3 tokens, eos\n\n    # a\n    *b*\n    <c>"


def test_values_learners_have_no_rollouts(venv, lm_folder):
    model = DQN("MultiInputPolicy", venv, buffer_size=100, device="cpu")
    with pytest.raises(ConfigurationError, match="DQN has no rollout buffer"):
        model.learn(10, callback=RolloutLogCallback())
