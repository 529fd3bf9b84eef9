"""The sequences of a rollout, and what its observations hold beside tokens, whatever buffer it is in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import RolloutBuffer

from agents.buffers.observation_columns import TOKEN_KEYS
from agents.buffers.sequence_rollout_buffer import SequenceRolloutBuffer
from agents.networks.sequences import SequenceStore


def rollout_sequences(buffer: RolloutBuffer) -> SequenceStore:
    """The sequences of a rollout: those that a sequence buffer holds, or built from a plain buffer's observations."""
    if isinstance(buffer, SequenceRolloutBuffer):
        return buffer.store
    obs: Any = buffer.observations
    store = SequenceStore(buffer.buffer_size, buffer.n_envs, obs["input_ids"].shape[-1])
    for step in range(buffer.buffer_size):
        store.add(step, obs["input_ids"][step], obs["attention_mask"][step], buffer.episode_starts[step])
    return store


def rollout_columns(buffer: RolloutBuffer, indices: np.ndarray) -> dict[str, th.Tensor]:
    """What observations hold beside tokens ``(n, ...)``, by key, with masks that the algorithm handed to the buffer.

    Args:
        buffer: A full rollout of which no minibatch was taken yet.
        indices: ``(n,)`` flat indices ``step * n_envs + env`` of transitions.
    """
    if isinstance(buffer, SequenceRolloutBuffer):
        return buffer.columns_at(indices)
    obs: Any = buffer.observations
    found = {key: _flat(buffer, values, indices) for key, values in obs.items() if key not in TOKEN_KEYS}
    if hasattr(buffer, "action_masks"):  # of sb3-contrib's MaskablePPO
        masks = _flat(buffer, buffer.action_masks, indices).bool()
        found["action_mask"] = masks & found["action_mask"].bool() if "action_mask" in found else masks
    return found


def _flat(buffer: RolloutBuffer, values: np.ndarray, indices: np.ndarray) -> th.Tensor:
    return buffer.to_torch(values.reshape(-1, *values.shape[2:])[indices])
