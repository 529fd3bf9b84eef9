"""What a policy chose in an episode and what it saw, so that other policies can score the same choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch as th
from gymnasium import spaces

from agents.buffers.observation_columns import ObservationColumns
from agents.networks.sequences import PackedSequences


@dataclass(frozen=True)
class Decisions:
    """The actions of one episode.

    Attributes:
        actions: ``(n,)`` int64.
        positions: ``(n,)`` int64, position of the last token that was there when the action was chosen.
        stored: What else was observed, ``(n, ...)`` by key, as ``columns`` stores it.
        columns: Turns ``stored`` into tensors.
    """

    actions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    stored: dict[str, np.ndarray] = field(default_factory=dict)
    columns: ObservationColumns = field(default_factory=lambda: ObservationColumns(spaces.Dict()))

    def __len__(self) -> int:
        """Number of actions."""
        return len(self.actions)


class DecisionLog:
    """Records what is chosen in several environments side by side.

    Args:
        observation_space: Of one token environment.
    """

    def __init__(self, observation_space: spaces.Dict) -> None:
        self._columns = ObservationColumns(observation_space)
        self._steps: list[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []

    def add(self, obs: Mapping[str, np.ndarray], actions: np.ndarray) -> None:
        """Record one step of all environments.

        Args:
            obs: Each ``(n_envs, ...)``.
            actions: ``(n_envs,)``.
        """
        positions = obs["attention_mask"].sum(axis=1, dtype=np.int64) - 1
        self._steps.append((np.array(actions, dtype=np.int64), positions, self._columns.compact(obs)))

    def of(self, row: int) -> Decisions:
        """All that was chosen so far in environment ``row``."""
        actions, positions, stored = zip(*self._steps, strict=True)
        return Decisions(
            np.array([step[row] for step in actions]),
            np.array([step[row] for step in positions]),
            {key: np.stack([step[key][row] for step in stored]) for key in self._columns.layout},
            self._columns,
        )


def pack_episodes(
    token_ids: Sequence[np.ndarray], decisions: Sequence[Decisions], device: th.device
) -> tuple[PackedSequences, th.Tensor]:
    """Whole episodes with one transition for each action.

    Args:
        token_ids: ``(n_tokens,)`` of each episode, longest first.
        decisions: Of each episode.
        device: Where the tensors go.

    Returns:
        The sequences, and the actions ``(n,)`` int64, episode after episode.
    """
    lengths = np.array([len(item) for item in token_ids])
    ids = np.zeros((len(token_ids), lengths[0]), dtype=np.int32)
    for row, item in enumerate(token_ids):
        ids[row, : lengths[row]] = item
    rows = np.repeat(np.arange(len(decisions)), [len(item) for item in decisions])
    columns = [item.columns.tensors(item.stored, device) for item in decisions]
    packed = PackedSequences(
        th.as_tensor(ids, device=device),
        lengths,
        th.as_tensor(rows, device=device),
        th.as_tensor(np.concatenate([item.positions for item in decisions]), device=device),
        {key: th.cat([part[key] for part in columns]) for key in columns[0]},
    )
    return packed, th.as_tensor(np.concatenate([item.actions for item in decisions]), device=device)
