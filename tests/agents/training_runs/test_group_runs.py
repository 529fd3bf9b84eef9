"""Runs of GRPO and RLOO: groups in training, each prompt once in evaluations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stable_baselines3 import PPO

from agents import GRPORolloutBuffer, RLOORolloutBuffer
from agents.recipes.train_config import TrainConfig
from agents.training_runs.building import build_model
from agents.training_runs.logs import STEP_COLUMN, read_columns, read_json_lines
from agents.training_runs.training import resume, train
from lm_envs.errors import ConfigurationError, UnknownNameError

SmallConfig = Callable[..., TrainConfig]
KINDS = [("grpo", GRPORolloutBuffer), ("rloo", RLOORolloutBuffer)]


@pytest.mark.parametrize(("algorithm", "kind"), KINDS)
def test_a_run_with_groups_leaves_its_folder_and_goes_on(
    tmp_path: Path, small_config: SmallConfig, algorithm: str, kind: type
) -> None:
    folder = train(small_config(algorithm=algorithm), tmp_path / "run")
    model = PPO.load(folder.model)
    assert type(model.rollout_buffer) is kind
    assert (model.num_timesteps, model.vf_coef, model.normalize_advantage) == (128, 0.0, False)
    assert read_columns(folder.progress, STEP_COLUMN, "kl/episode", "train/clip_fraction")
    assert set(folder.read_evaluation()) == {"before", "after"}
    resume(folder.path, steps=192)
    assert PPO.load(folder.model).num_timesteps == 192


def test_evaluations_have_no_groups(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(algorithm="grpo")
    assert config.environment_kwargs()["group_size"] == 8
    assert "group_size" not in config.evaluation_kwargs()
    folder = train(config, tmp_path / "run")
    first = [row["prompt"] for row in read_json_lines(folder.samples) if row["step"] == 0]
    assert len(set(first)) == len(first) > 1


def test_a_run_logs_lengths_ends_terms_entropy_and_groups(tmp_path: Path, small_config: SmallConfig) -> None:
    folder = train(small_config(algorithm="grpo", steps=64), tmp_path / "run")
    columns = ["entropy", "length_mean", "length_max", "cut_off", "reward/length"]
    logged = read_columns(folder.progress, *(f"rollout/{name}" for name in columns), "group/size", "group/unfinished")
    assert len(logged) == 1
    entropy, mean, longest, cut_off, _, size, unfinished = logged[0]
    assert entropy > 0 and 0 < mean <= longest <= 8 and 0 <= cut_off <= 1 and size > 1 and 0 <= unfinished < 1


def test_a_run_stops_at_a_divergence_and_stays_stopped(tmp_path: Path, small_config: SmallConfig) -> None:
    settings = {"kl_stop": 0.05, "kl_target": 0, "kl_coef": 0.0, "hyperparameters": {"learning_rate": 0.05}}
    stages: list[str] = []
    folder = train(small_config(steps=2_000, **settings), tmp_path / "run", on_stage=stages.append)
    steps = PPO.load(folder.model).num_timesteps
    assert steps < 2_000
    divergences = [value for (value,) in read_columns(folder.progress, "kl/episode")]
    assert divergences[-1] > 0.05 >= max(divergences[:-1], default=0.0)
    assert folder.curve.exists() and folder.read_evaluation()["after"]["step"] == steps
    assert "evaluating the trained model" in stages
    weights = PPO.load(folder.model).policy.state_dict()
    resume(folder.path, on_stage=stages.append)
    assert "above the limit of 0.05" in stages[-3]
    again = PPO.load(folder.model)
    assert again.num_timesteps == steps
    assert all(weights[name].equal(value) for name, value in again.policy.state_dict().items())


def test_a_limit_needs_a_policy_that_writes(tmp_path: Path, small_config: SmallConfig) -> None:
    settings = {"policy": "MlpPolicy", "env_wrapper": [{"lm_envs.wrappers.HiddenStateObservation": {}}]}
    with pytest.raises(ConfigurationError, match=r"kl_stop=1.0 limits the divergence .* policy is MlpPolicy"):
        train(small_config(kl_stop=1.0, kl_coef=0.0, **settings), tmp_path / "run")
    with pytest.raises(ConfigurationError, match="kl_stop must be a number of nats above 0"):
        small_config(kl_stop=0.0)
    with pytest.raises(ConfigurationError, match="kl_stop limits .* dqn learns values"):
        small_config(algorithm="dqn", kl_stop=1.0)


def test_the_scale_is_a_hyperparameter(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(algorithm="grpo", hyperparameters={"rollout_buffer_kwargs": {"scale": "none"}})
    assert build_model(config).rollout_buffer.scale == "none"
    config = small_config(algorithm="grpo", hyperparameters={"rollout_buffer_kwargs": {"scale": "nine"}})
    with pytest.raises(UnknownNameError, match="Did you mean 'none'"):
        train(config, tmp_path / "run")
