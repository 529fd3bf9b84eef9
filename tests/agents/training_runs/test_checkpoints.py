from __future__ import annotations

import logging
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from agents.training_runs.checkpoints import (
    KEEP,
    checkpoints,
    load_newest,
    random_states,
    read_state,
    restore_random_states,
    save_checkpoint,
)
from lm_envs.errors import CheckpointError


class _Model:
    """What saving needs of an algorithm."""

    def __init__(self, num_timesteps: int) -> None:
        self.num_timesteps = num_timesteps

    def save(self, file: Any) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("data", "x" * 1000)


def _load(path: Path) -> str:
    return path.stem


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(bytes(content))


def test_the_newest_ones_stay_and_carry_their_state(tmp_path: Path) -> None:
    for step in (0, 90, 100, 1000):
        save_checkpoint(_Model(step), tmp_path, {"kl_coef": step / 10})
    found = checkpoints(tmp_path)
    assert len(found) == KEEP
    assert [read_state(path)["kl_coef"] for path in found] == [100.0, 10.0]
    model, state = load_newest(tmp_path, _load)
    assert model == "step_000000001000" and state["kl_coef"] == 100.0


@pytest.mark.parametrize("how", ["flipped", "torn", "empty"])
def test_a_damaged_newest_one_falls_back_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(logging.getLogger("agents"), "propagate", True)
    for step in (1, 2):
        save_checkpoint(_Model(step), tmp_path, {})
    newest = checkpoints(tmp_path)[0]
    if how == "flipped":
        _damage(newest)
    else:
        newest.write_bytes(newest.read_bytes()[:200] if how == "torn" else b"")
    model, _ = load_newest(tmp_path, _load)
    assert model == "step_000000000001"
    assert "step_000000000002.zip cannot be used, trying the one before it" in caplog.text


def test_none_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be resumed: it has no checkpoint yet"):
        load_newest(tmp_path, _load)
    save_checkpoint(_Model(1), tmp_path, {})
    _damage(checkpoints(tmp_path)[0])
    with pytest.raises(CheckpointError, match=r"all 1 of its checkpoints are damaged.*another folder"):
        load_newest(tmp_path, _load)


def test_a_loader_that_fails_counts_as_damage(tmp_path: Path) -> None:
    save_checkpoint(_Model(1), tmp_path, {})

    def load(path: Path) -> str:
        raise KeyError("policy")

    with pytest.raises(CheckpointError, match="all 1 of its checkpoints"):
        load_newest(tmp_path, load)


def test_random_generators_go_on_where_they_were() -> None:
    states = random_states()
    drawn = random.random(), float(np.random.rand()), float(th.rand(1))
    restore_random_states(states)
    assert (random.random(), float(np.random.rand()), float(th.rand(1))) == drawn
