"""Runs of GRPO and RLOO: groups in training, each prompt once in evaluations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stable_baselines3 import PPO

from agents import GRPORolloutBuffer, RLOORolloutBuffer
from agents.recipes.train_config import TrainConfig
from agents.training_runs.logs import STEP_COLUMN, read_columns, read_json_lines
from agents.training_runs.training import resume, train

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
