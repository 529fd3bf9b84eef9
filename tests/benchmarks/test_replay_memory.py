from __future__ import annotations

import numpy as np
import pytest

from benchmarks.replay_memory import array_bytes, measure_replay_memory
from benchmarks.workload import Workload, prepare_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> str:
    return prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")


def test_arrays_are_counted_wherever_they_are() -> None:
    arrays = {"a": np.zeros(3, np.float32), "b": {"c": np.zeros((2, 2), np.int8)}, "d": "no array", "e": np.float32(1)}
    assert array_bytes(arrays) == 12 + 4


def test_memory_of_full_buffers(folder: str) -> None:
    workload = Workload(folder, 3, 6, n_envs=4, algorithm="dqn", batch_size=12, replay_transitions=6000)
    tokens, candidates = measure_replay_memory(workload)
    assert [row["actions"] for row in (tokens, candidates)] == ["tokens", "16 candidates"]
    assert tokens["length"] == "3+6" and tokens["stored"] == 6000
    # twice 9 ids of 4 bytes and 9 mask bytes; action of 8, reward, done and timeout of 4 each
    assert tokens["textbook"] == pytest.approx(2 * 9 * 5 + 8 + 12)
    # once 16 ids of 4 bytes and 16 log-probabilities of 4 bytes more, in both observations
    assert candidates["textbook"] == pytest.approx(tokens["textbook"] + 2 * 16 * 8)
    # at least an id, an action and a reward of 4 bytes at each of 9 tokens for 6 transitions
    assert 12 * 9 / 6 < tokens["project"] < candidates["project"]
    assert tokens["ratio"] == pytest.approx(tokens["textbook"] / tokens["project"])


def test_a_buffer_that_never_filled_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Workload(folder, 3, 6, n_envs=4, algorithm="dqn", batch_size=12, replay_transitions=120)
    monkeypatch.setattr("agents.SequenceReplayBuffer.full", property(lambda self: False, lambda self, value: None))
    with pytest.raises(RuntimeError, match="not full"):
        measure_replay_memory(workload)
