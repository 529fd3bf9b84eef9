"""Memory of replay buffers for each transition they hold, counted in the arrays of real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import DictReplayBuffer

from agents import LMQPolicy, SequenceReplayBuffer
from benchmarks.dqn_systems import project_buffer
from benchmarks.workload import Workload
from lm_envs.wrappers import CandidateActions

N_CANDIDATES = 16


def measure_replay_memory(workload: Workload) -> list[dict[str, Any]]:
    """Fill this project's buffer and compare it to SB3's.

    Args:
        workload: Gives the episodes' lengths, the number of environments, and in ``replay_transitions`` the capacity.

    Returns:
        For tokens and for candidates as actions: ``length``, ``actions``, ``stored`` (transitions in this project's
        buffer when it is full), the bytes of each by system (``project``, ``textbook``), and ``ratio``, SB3's bytes
        for one of this project's.
    """
    candidates = {"wrapper_class": CandidateActions, "wrapper_kwargs": {"k": N_CANDIDATES}}
    return [_compare(workload, "tokens", {}), _compare(workload, f"{N_CANDIDATES} candidates", candidates)]


def _compare(workload: Workload, actions: str, wrapper: dict[str, Any]) -> dict[str, Any]:
    venv = workload.make_venv(**wrapper)
    buffer = filled_buffer(workload, venv)
    textbook = DictReplayBuffer(
        workload.replay_transitions, venv.observation_space, venv.action_space, n_envs=workload.n_envs
    )
    stored = buffer.size()
    ours, theirs = buffer.nbytes / stored, array_bytes(vars(textbook)) / (textbook.buffer_size * textbook.n_envs)
    return {
        "length": f"{workload.prompt_tokens}+{workload.new_tokens}",
        "actions": actions,
        "stored": stored,
        "project": ours,
        "textbook": theirs,
        "ratio": theirs / ours,
    }


def filled_buffer(workload: Workload, venv: Any) -> SequenceReplayBuffer:
    """A buffer for ``replay_transitions`` that has dropped its oldest episodes; no episode is running."""
    rounds = workload.replay_transitions // workload.tokens + 2
    dqn = DQN(
        LMQPolicy,  # type: ignore[arg-type]
        venv,
        **project_buffer(workload, workload.replay_transitions),
        learning_starts=rounds * workload.tokens,  # random actions, no training
        train_freq=(workload.new_tokens, "step"),
        policy_kwargs={"model": workload.model, "trainable": "heads"},
        device="cpu",
        seed=workload.seed,
    )
    dqn.learn(rounds * workload.tokens)
    buffer = dqn.replay_buffer
    if not (isinstance(buffer, SequenceReplayBuffer) and buffer.full):
        raise RuntimeError("the replay buffer is not full: its memory for each transition would be wrong")
    return buffer


def array_bytes(value: Any) -> int:
    """Bytes of all arrays in nested dictionaries."""
    if isinstance(value, dict):
        return sum(array_bytes(item) for item in value.values())
    return value.nbytes if isinstance(value, np.ndarray) else 0
