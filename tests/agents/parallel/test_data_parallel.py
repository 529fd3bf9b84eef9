"""Two real processes learn one model; what they do is in scenarios.py."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch as th
from filelock import FileLock
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecNormalize

import agents
from lm_envs.errors import ConfigurationError

HERE = Path(__file__).parent
LIMIT_S = 240  # a test that hangs fails


def start(script, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory, lm_folder):
    """What a run of two ranks has left; workers of pytest-xdist share one."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "two_ranks"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "printed.json").exists():
            done = start(HERE / "scenarios.py", lm_folder, folder)
            assert done.returncode == 0, done.stderr[-4000:]
            (folder / "printed.json").write_text(json.dumps({"stdout": done.stdout, "stderr": done.stderr}))
    return folder


@pytest.fixture(scope="session")
def ranks(folder):
    """What both ranks found."""
    return [th.load(folder / f"rank_{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.fixture(scope="module")
def scenarios():
    spec = importlib.util.spec_from_file_location("parallel_scenarios", HERE / "scenarios.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def distance(parameters, others):
    assert parameters.keys() == others.keys()
    return max((value - others[name]).abs().max().item() for name, value in parameters.items())


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_two_ranks_learn_what_one_process_learns_from_the_joined_batch(ranks, scenarios, lm_folder, algorithm):
    first, second = (rank["same rollouts"] for rank in ranks)
    one = {"ppo": scenarios.counted_ppo, "a2c": scenarios.counted_a2c}[algorithm](lm_folder, 2 * scenarios.N_ENVS)
    before = {name: value.clone() for name, value in one.policy.state_dict().items()}
    joined = scenarios.learned(one, agents.ReferenceKLCallback(0.1))
    assert distance(first[algorithm], second[algorithm]) == 0
    assert distance(first[algorithm], joined) < 1e-4
    assert distance(before, joined) > 1e-2


@pytest.mark.parametrize("scenario", ["many minibatches", "dqn", "early stop", "callback", "kl limit"])
def test_parameters_are_equal_to_the_last_bit(ranks, scenario):
    first, second = (rank[scenario]["parameters"] for rank in ranks)
    assert distance(first, second) == 0


def test_ranks_collect_different_episodes(ranks):
    first, second = (rank["same rollouts"]["ppo prompts"] for rank in ranks)
    assert first.tolist() != second.tolist()


def test_unequal_numbers_of_minibatches_end_together(ranks):
    first, second = (rank["many minibatches"]["counts"] for rank in ranks)
    assert len(first) == len(second) == 5 * 2
    assert first != second


def test_the_adapted_penalty_is_the_same(ranks):
    first, second = (rank["many minibatches"] for rank in ranks)
    assert first["coef"] == second["coef"] != 0.1
    assert first["kl"] == second["kl"] > 0


def test_dqn_does_as_many_gradient_steps(ranks):
    assert ranks[0]["dqn"]["updates"] == ranks[1]["dqn"]["updates"] > 0


def test_target_kl_looks_at_the_mean_of_the_ranks(ranks):
    first, second = (rank["early stop"] for rank in ranks)
    limit = 1.5 * 0.02
    pairs = list(zip(first["measured"], second["measured"], strict=True))
    assert first["updates"] == second["updates"] < 5 * 8
    assert all(one[1] == other[1] == pytest.approx((one[0] + other[0]) / 2, rel=0.2) for one, other in pairs)
    assert any((one[0] > limit) != (other[0] > limit) for one, other in pairs)
    assert first["target_kl"] == 0.02 and type(first["target_kl"]) is float


def test_a_callback_that_stops_one_rank_stops_both(ranks, scenarios):
    rollout = scenarios.N_ENVS * scenarios.N_STEPS
    assert [rank["callback"]["steps"] for rank in ranks] == [3 * rollout, 3 * rollout]
    assert [rank["kl limit"]["steps"] for rank in ranks] == [2 * rollout + scenarios.N_ENVS] * 2
    assert ranks[0]["kl limit"]["reason"] == ranks[1]["kl limit"]["reason"] != ""


def test_only_rank_0_saves_and_logs(folder):
    assert (folder / "saved_0.zip").exists() and not (folder / "saved_1.zip").exists()
    assert len(list((folder / "checkpoints_0").iterdir())) == 2 and not (folder / "checkpoints_1").exists()
    assert len(list((folder / "log_0").iterdir())) == 1 and not (folder / "log_1").exists()
    printed = json.loads((folder / "printed.json").read_text())
    assert printed["stdout"].count("total_timesteps") == 2
    assert printed["stderr"].count("is above the limit") == 1


def test_what_was_saved_is_an_ordinary_model(ranks):
    assert [rank["saving"] for rank in ranks] == [{"target_kl": "float", "same": True}] * 2


def test_different_settings_are_refused_on_both(ranks):
    assert ranks[0]["refused"] == ranks[1]["refused"]
    assert "n_epochs is 2 on rank 0 and 3 on rank 1" in ranks[0]["refused"]


def test_gradients_are_those_of_the_joined_minibatch(ranks):
    """Minibatches [1, 2, 3] with [4], then a repetition that counts for nothing with [5, 7]."""
    assert ranks[0]["gradients"] == ranks[1]["gradients"] == [[2.5, 2.0, 0.25, None], [6.0, 2.0, 1.0, None]]


def test_a_rank_that_does_not_answer_ends_the_waiting(ranks):
    assert "rank 0 of 2 got no answer from the other ranks within 1 s" in ranks[0]["silence"]


def test_a_rank_that_raises_ends_the_run(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        "import os, agents\n"
        "from stable_baselines3 import PPO\n"
        "def broken(told, _):\n"
        "    if os.environ['RANK'] == '1' and told['self'].num_timesteps > 100:\n"
        "        raise ValueError('no more paper')\n"
        "    return True\n"
        "model = PPO('MlpPolicy', 'CartPole-v1', n_steps=64, device='cpu')\n"
        "agents.data_parallel(model).learn(10**9, callback=broken)\n"
    )
    done = start(script)
    assert done.returncode != 0
    assert "no more paper" in done.stderr


# -- one process -------------------------------------------------------------------------------------------------------


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
    assert distance(*learned) == 0
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
    from agents.parallel.ranks import mean_over_ranks

    assert mean_over_ranks(types.SimpleNamespace(), 0.3) == 0.3
