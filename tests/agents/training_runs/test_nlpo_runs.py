"""A run with NLPO: the mask is renewed in time, goes on from checkpoints, and stays out of other algorithms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch as th
from stable_baselines3 import PPO

from agents import LMNLPOPolicy
from agents.recipes.train_config import TrainConfig
from agents.training_runs.folder import RunFolder
from agents.training_runs.logs import STEP_COLUMN, read_columns
from agents.training_runs.training import resume, train
from lm_envs.errors import ConfigurationError

SmallConfig = Callable[..., TrainConfig]


def masks_and_policy(path: Path) -> tuple[th.Tensor, th.Tensor]:
    policy = PPO.load(path).policy
    assert isinstance(policy, LMNLPOPolicy) and policy.masking_model is not None
    pairs = [policy.masking_model, policy.actor]
    mask, own = (th.cat([weight.detach().flatten() for _, weight in side.own_parameters()]) for side in pairs)
    return mask, own


def test_a_run_renews_its_mask_and_goes_on(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(algorithm="nlpo", steps=64, mask_every=3, checkpoint_every=32)
    assert (config.policy, config.hyperparameters["top_p"]) == ("agents.LMNLPOPolicy", 0.95)
    folder = train(config, tmp_path / "run")
    mask, own = masks_and_policy(folder.model)
    assert not th.equal(mask, own)
    results = folder.read_evaluation()
    assert results["before"]["metrics"]["kl"]["mean"] == pytest.approx(0, abs=1e-4)
    assert results["after"]["metrics"]["kl"]["mean"] > 0
    longer = resume(folder.path, steps=96)  # rollout 2 goes on with the old mask
    assert th.equal(masks_and_policy(longer.model)[0], mask)
    resume(folder.path, steps=128)  # rollout 3 renews it
    assert not th.equal(masks_and_policy(folder.model)[0], mask)
    assert read_columns(RunFolder(folder.path).progress, STEP_COLUMN, "nlpo/mask_updates")


def test_other_algorithms_have_no_mask(tmp_path: Path, small_config: SmallConfig) -> None:
    with pytest.raises(ConfigurationError, match="mask_every=3 needs a policy that masks tokens"):
        train(small_config(mask_every=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()
