"""Two real processes learn one model; what they do is in scenarios.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch as th
from filelock import FileLock

import agents

pytestmark = pytest.mark.slow
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
            assert (folder / "rank_0.pt").exists() and (folder / "rank_1.pt").exists(), done.stderr[-4000:]
            printed = {"stdout": done.stdout, "stderr": done.stderr, "returncode": done.returncode}
            (folder / "printed.json").write_text(json.dumps(printed))
    return folder


@pytest.fixture(scope="session")
def ranks(folder):
    """What both ranks found."""
    return [th.load(folder / f"rank_{rank}.pt", weights_only=False) for rank in (0, 1)]


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


@pytest.mark.parametrize(
    "scenario", ["many minibatches", "nlpo", "maskable", "dqn", "qrdqn", "early stop", "callback", "kl limit"]
)
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
    assert printed["stdout"].count("total_timesteps") == 2  # one table for each of two rollouts
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


def test_a_rank_that_raises_ends_the_run(folder):
    printed = json.loads((folder / "printed.json").read_text())
    assert printed["returncode"] != 0
    assert "ValueError: no more paper" in printed["stderr"]
