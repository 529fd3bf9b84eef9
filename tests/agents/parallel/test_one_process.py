"""What data_parallel() does where there is one process, what it refuses, and its parts alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, CheckpointCallback
from stable_baselines3.common.vec_env import VecNormalize

import agents
from agents.parallel.callbacks import callbacks_of_rank
from agents.parallel.gradients import GradientAverage
from agents.parallel.ranks import mean_over_ranks
from agents.parallel.threshold import AgreedThreshold
from lm_envs.errors import ConfigurationError


def set_variables(monkeypatch, **variables):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_outside_of_torchrun_there_is_an_error(monkeypatch, scenarios, lm_folder):
    set_variables(monkeypatch, RANK="0")
    with pytest.raises(ConfigurationError, match="WORLD_SIZE, MASTER_ADDR, MASTER_PORT is not set. Start the script"):
        agents.data_parallel(scenarios.ppo(lm_folder))


def test_one_process_changes_nothing(monkeypatch, scenarios, lm_folder):
    set_variables(monkeypatch, RANK="0", WORLD_SIZE="1", MASTER_ADDR="localhost", MASTER_PORT="0")
    alone, of_one = scenarios.ppo(lm_folder), scenarios.ppo(lm_folder)
    assert agents.data_parallel(of_one) is of_one and type(of_one) is PPO
    learned = []
    for model in (alone, of_one):
        model.set_random_seed(0)
        learned.append(scenarios.learned(model, iterations=1))
    first, second = learned
    assert all(th.equal(value, second[name]) for name, value in first.items())
    assert not th.distributed.is_initialized()


def test_trpo_is_refused(scenarios, lm_folder):
    contrib = pytest.importorskip("sb3_contrib")
    trpo = contrib.TRPO("MultiInputPolicy", scenarios.environment(lm_folder), device="cpu")
    with pytest.raises(ConfigurationError, match="TRPO is none of PPO, MaskablePPO, A2C, DQN, QRDQN"):
        agents.data_parallel(trpo)


def test_training_by_episodes_is_refused(scenarios, lm_folder):
    model = DQN(
        "MultiInputPolicy", scenarios.environment(lm_folder, 1), buffer_size=10, train_freq=(1, "episode"), device="cpu"
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="counts episodes, which end at different times"):
        agents.data_parallel(model)


def test_running_normalisation_is_refused(scenarios, lm_folder):
    model = scenarios.ppo(lm_folder)
    model.set_env(VecNormalize(model.get_env(), norm_obs=False))
    with pytest.raises(ConfigurationError, match="VecNormalize, whose running mean"):
        agents.data_parallel(model)


def test_a_model_without_environment_is_refused(scenarios, lm_folder):
    model = scenarios.ppo(lm_folder)
    model.env = None
    with pytest.raises(ConfigurationError, match="the model has no environment"):
        agents.data_parallel(model)


def test_penalty_of_a_single_process_is_its_own():
    assert mean_over_ranks(SimpleNamespace(), 0.3) == 0.3


def test_a_backward_pass_that_failed_does_not_end_averaging():
    weight = th.nn.Parameter(th.ones(1))

    def double(message):
        message[0] *= 2

    GradientAverage([weight], SimpleNamespace(sum_in_place=double))

    def fails(_):
        raise ValueError("out of memory")

    other = th.nn.Parameter(th.ones(1))
    middle = other * 1
    middle.register_hook(fails)
    with pytest.raises(ValueError, match="out of memory"):
        (weight.sum() + middle.sum() * weight.detach()).backward()
    assert weight.grad is not None
    weight.grad = None
    (3 * weight).sum().backward()
    assert weight.grad.item() == 6


@pytest.mark.parametrize(("mean", "exceeded"), [(0.016, True), (0.014, False)])
def test_threshold_compares_the_mean_as_ppo_writes_it(mean, exceeded):
    told = []

    def of_all(value):
        told.append(value)
        return mean

    threshold = AgreedThreshold(0.01, of_all)
    measured = np.array(0.1 if not exceeded else 0.0, dtype=np.float32)  # what this process alone would say is wrong
    assert (measured > 1.5 * threshold) is exceeded
    assert told == [pytest.approx(float(measured))]


class Looks(BaseCallback):
    only_rank_0 = True

    def _on_step(self):
        return True


def test_only_rank_0_has_the_callbacks_that_look_on(tmp_path):
    limit, looks, checkpoints = agents.StopOnKL(1.0), Looks(), CheckpointCallback(8, str(tmp_path))
    given = [limit, CallbackList([looks, checkpoints])]
    assert callbacks_of_rank(given, SimpleNamespace(is_first=True)) == [limit, looks, checkpoints]
    assert callbacks_of_rank(given, SimpleNamespace(is_first=False)) == [limit]
    assert callbacks_of_rank(None, SimpleNamespace(is_first=False)) == []
