"""Runs of value learners: their replay buffer belongs to the checkpoint, and they are measured greedily."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from agents import SequenceReplayBuffer
from agents.recipes.train_config import TrainConfig
from agents.training_runs.building import build_model, load_model
from agents.training_runs.checkpoints import checkpoints, save_checkpoint
from agents.training_runs.folder import RunFolder
from agents.training_runs.logs import STEP_COLUMN, read_columns, read_json_lines
from agents.training_runs.training import resume, train
from lm_envs.errors import ConfigurationError, LMEnvsError

SmallConfig = Callable[..., TrainConfig]
CANDIDATES = {"algorithm": "dqn", "candidates": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "finished"


@pytest.fixture
def run(small_config: SmallConfig, finished: Path) -> RunFolder:
    """One finished run, shared: not to be changed."""
    return RunFolder(finished) if finished.exists() else train(small_config(**CANDIDATES), finished)


def test_a_run_leaves_everything_but_an_export(run: RunFolder, small_config: SmallConfig) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert {"checkpoints", "config.json", "evaluation.json", "learning_curve.png", "model.zip", "samples.jsonl"} < names
    assert "hf" not in names
    assert run.open() == small_config(**CANDIDATES)
    assert DQN.load(run.model).num_timesteps == 128
    with zipfile.ZipFile(run.model) as archive:
        assert "replay_buffer.pkl" not in archive.namelist()


def test_the_log_has_exploration_and_no_divergence(run: RunFolder) -> None:
    rows = read_columns(run.progress, STEP_COLUMN, "rollout/exploration_rate")
    assert rows[-1][0] == 128 and rows[-1][1] == pytest.approx(0.05)
    assert not read_columns(run.progress, "kl/episode")
    assert {row["step"] for row in read_json_lines(run.samples)} >= {0, 128}


def test_both_evaluations_are_greedy_and_of_the_same_prompts(run: RunFolder) -> None:
    before, after = (run.read_evaluation()[moment] for moment in ("before", "after"))
    assert before["deterministic"] and after["deterministic"]
    assert set(before["metrics"]) == set(after["metrics"]) and "kl" not in after["metrics"]
    assert [e["prompt"] for e in before["examples"]] == [e["prompt"] for e in after["examples"]]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"algorithm": "qrdqn"}, QRDQN), ({"algorithm": "dqn", "observation": "hidden"}, DQN)],
)
def test_other_value_learners_train_too(tmp_path: Path, small_config: SmallConfig, settings: Any, kind: Any) -> None:
    folder = train(small_config(**settings, candidates=4, steps=64), tmp_path / "run")
    assert kind.load(folder.model).num_timesteps == 64
    assert folder.read_evaluation()["after"]["step"] == 64


def test_the_replay_buffer_comes_back_with_the_checkpoint(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(**CANDIDATES)
    model = build_model(config).learn(64)
    path = save_checkpoint(model, tmp_path, {})
    loaded = load_model(config, path)
    assert isinstance(loaded.replay_buffer, SequenceReplayBuffer)
    assert loaded.replay_buffer.size() == model.replay_buffer.size() > 0
    samples = []
    for each in (model, loaded):
        np.random.seed(0)
        samples.append(each.replay_buffer.sample(16))
    assert th.equal(samples[0].rewards, samples[1].rewards) and th.equal(samples[0].actions, samples[1].actions)
    assert loaded.action_space is loaded.env.action_space


def test_a_resumed_run_learns_on_from_its_replay_buffer(tmp_path: Path, small_config: SmallConfig) -> None:
    class Crash(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps > 96:
                raise RuntimeError("power cut")
            return True

    class Look(BaseCallback):
        def _on_training_start(self) -> None:
            model: Any = self.model
            self.seen = (model.num_timesteps, model.replay_buffer.size())

        def _on_step(self) -> bool:
            return True

    with pytest.raises(RuntimeError, match="power cut"):
        train(small_config(**CANDIDATES), tmp_path / "run", callbacks=[Crash()])
    look = Look()
    folder = resume(tmp_path / "run", callbacks=[look])
    assert look.seen == (64, 64)
    assert DQN.load(folder.model).num_timesteps == 128
    steps = [step for (step,) in read_columns(folder.progress, STEP_COLUMN)]
    assert steps == sorted(steps) and steps[-1] == 128
    assert len(checkpoints(folder.checkpoints)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hyperparameters": {"buffer_size": 3}}, "buffer_size=3 is less than one episode"),
        ({"hyperparameters": {"n_quantiles": 4}}, "n_quantiles is for QRDQN"),
        ({"hyperparameters": {"replay_buffer_class": "agents.Nothing"}}, "cannot import the replay buffer"),
        ({"candidates": 1_000}, "k=1000|k must be|vocabulary"),
        ({"policy": "agents.LMActorCriticPolicy"}, "hyperparameter of dqn"),
    ],
)
def test_a_mistake_shows_before_anything_is_written(
    tmp_path: Path, small_config: SmallConfig, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(LMEnvsError, match=message):
        train(small_config(**{**CANDIDATES, **settings}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_penalty_is_refused_with_the_way_out(small_config: SmallConfig) -> None:
    with pytest.raises(ConfigurationError, match=r"Leave them out, or use an on-policy algorithm such as ppo"):
        small_config(**CANDIDATES, kl_coef=0.05)
