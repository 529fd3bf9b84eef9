from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3 import DQN

from benchmarks.dqn_systems import SYSTEMS, dqn_stride, make_project, make_textbook, prefill
from benchmarks.stopwatch import PHASES
from benchmarks.worker import measure
from benchmarks.workload import Workload, prepare_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> str:
    return prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")


def toy(folder: str, **changes: Any) -> Workload:
    sizes = {"prompt_tokens": 3, "new_tokens": 6, "n_envs": 4, "batch_size": 12, "measured_tokens": 48, "prefill": 2}
    return Workload(folder, **{**sizes, "algorithm": "dqn", **changes})


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_does_its_work(folder: str, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    train = DQN.train

    def counting_train(self: DQN, gradient_steps: int, batch_size: int) -> None:
        trained.append((gradient_steps, batch_size))
        train(self, gradient_steps, batch_size)

    monkeypatch.setattr(DQN, "train", counting_train)
    result = measure(system, toy(folder))
    iterations = 1 if system == "textbook" else 3  # one of them to warm up
    assert trained == [(2, 12)] * iterations
    assert result["tokens"] == (24 if system == "textbook" else 48)
    assert set(result["seconds"]) == set(PHASES)
    assert result["rollout"] > 0 and result["update"] > 0
    assert result["seconds"]["scoring"] < 0.01 * result["seconds"]["update"]
    assert result["end_to_end"] == pytest.approx(result["tokens"] / sum(result["seconds"].values()))
    assert result["peak_memory"] > 50e6
    assert result["note"] == ""


def test_both_replay_buffers_hold_the_same_episodes(folder: str) -> None:
    workload = toy(folder)
    project, textbook = make_project(workload), make_textbook(workload)
    for dqn in (project, textbook):
        prefill(dqn, workload)
        assert dqn.replay_buffer.size() * (dqn.n_envs if dqn is textbook else 1) == 48
        assert dqn._n_updates == 0
    ring = project.replay_buffer.ring
    records = ring.finished(np.arange(ring.n_segments))
    episodes = {tuple(ring.tokens[r["start"] : r["start"] + r["n_tokens"]].tolist()) for r in records}
    buffer = textbook.replay_buffer
    ends = buffer.next_observations["input_ids"][: buffer.pos][buffer.dones[: buffer.pos] > 0]
    assert len(episodes) == 8
    assert {tuple(row) for row in ends.tolist()} == episodes


def test_textbook_says_what_it_left_out(folder: str) -> None:
    result = measure("textbook", toy(folder, textbook_transitions=12))
    assert result["tokens"] == 12
    assert result["note"] == "measured on one transition in 2"


def test_stride_leaves_whole_batches() -> None:
    assert dqn_stride(toy("", new_tokens=32, n_envs=64, batch_size=512)) == 1
    assert dqn_stride(toy("", new_tokens=224, n_envs=64, batch_size=512)) == 7
    assert dqn_stride(toy("", new_tokens=6, n_envs=4, batch_size=12, textbook_transitions=1)) == 2
    assert dqn_stride(toy("", new_tokens=6, n_envs=4, batch_size=24, textbook_transitions=1)) == 1


def test_batches_that_do_not_fit_are_refused(folder: str) -> None:
    with pytest.raises(ValueError, match=r"batch_size must divide n_envs \* new_tokens=24, got 10"):
        toy(folder, batch_size=10)
    with pytest.raises(ValueError, match="prefill must be at least 1"):
        toy(folder, prefill=0)
