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
        sequences: The tokens that were read, ``(n_tokens,)`` int32 each: one sequence while observations extend each
            other, a further one wherever earlier tokens are dropped.
        rows: ``(n,)`` int64, number of the sequence that was read before the action was chosen.
        positions: ``(n,)`` int64, position in it of the last token that was there.
        stored: What else was observed, ``(n, ...)`` by key, as ``columns`` stores it.
        columns: Turns ``stored`` into tensors.
    """

    actions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    sequences: list[np.ndarray] = field(default_factory=list)
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    positions: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    stored: dict[str, np.ndarray] = field(default_factory=dict)
    columns: ObservationColumns = field(default_factory=lambda: ObservationColumns(spaces.Dict()))

    def __len__(self) -> int:
        """Number of actions."""
        return len(self.actions)

    @property
    def n_tokens(self) -> int:
        """Number of tokens of all sequences."""
        return sum(len(sequence) for sequence in self.sequences)


class DecisionLog:
    """Records what is chosen in several environments side by side.

    Args:
        observation_space: Of one token environment.
    """

    def __init__(self, observation_space: spaces.Dict) -> None:
        self._columns = ObservationColumns(observation_space)
        self._steps: list[tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]] = []
        self._ids = np.zeros((0, 0), np.int32)
        self._lengths = np.zeros(0, np.int64)
        self._finished: list[list[np.ndarray]] = []

    def add(self, obs: Mapping[str, np.ndarray], actions: np.ndarray) -> None:
        """Record one step of all environments.

        Args:
            obs: Each ``(n_envs, ...)``.
            actions: ``(n_envs,)``.
        """
        lengths = obs["attention_mask"].sum(axis=1, dtype=np.int64)
        if not self._steps:
            self._finished = [[] for _ in lengths]
        else:
            self._finish(obs["input_ids"], lengths)
        self._ids, self._lengths = obs["input_ids"].copy(), lengths
        rows = np.array([len(sequences) for sequences in self._finished])
        self._steps.append((np.array(actions, dtype=np.int64), rows, lengths - 1, self._columns.compact(obs)))

    def of(self, row: int) -> Decisions:
        """All that was chosen so far in environment ``row``."""
        actions, rows, positions, stored = zip(*self._steps, strict=True)
        return Decisions(
            np.array([step[row] for step in actions]),
            [*self._finished[row], self._ids[row, : self._lengths[row]].copy()],
            np.array([step[row] for step in rows]),
            np.array([step[row] for step in positions]),
            {key: np.stack([step[key][row] for step in stored]) for key in self._columns.layout},
            self._columns,
        )

    def _finish(self, input_ids: np.ndarray, lengths: np.ndarray) -> None:
        """Put the sequences aside that the new observations do not extend."""
        known = np.arange(input_ids.shape[1]) < self._lengths[:, None]
        changed = ((self._ids != input_ids) & known).any(axis=1) | (lengths < self._lengths)
        for row in np.flatnonzero(changed):
            self._finished[row].append(self._ids[row, : self._lengths[row]].copy())


def pack_episodes(decisions: Sequence[Decisions], device: th.device) -> tuple[PackedSequences, th.Tensor]:
    """Whole episodes with one transition for each action.

    Args:
        decisions: Of each episode.
        device: Where the tensors go.

    Returns:
        The sequences, and the actions ``(n,)`` int64, episode after episode.
    """
    sequences = [sequence for item in decisions for sequence in item.sequences]
    lengths = np.array([len(sequence) for sequence in sequences])
    order = np.argsort(-lengths, kind="stable")
    ids = np.zeros((len(sequences), lengths.max()), dtype=np.int32)
    for place, number in enumerate(order):
        ids[place, : lengths[number]] = sequences[number]
    firsts = np.cumsum([0, *(len(item.sequences) for item in decisions)])
    numbers = np.concatenate([item.rows + first for item, first in zip(decisions, firsts, strict=False)])
    columns = [item.columns.tensors(item.stored, device) for item in decisions]
    packed = PackedSequences(
        th.as_tensor(ids, device=device),
        lengths[order],
        th.as_tensor(order.argsort()[numbers], device=device),
        th.as_tensor(np.concatenate([item.positions for item in decisions]), device=device),
        {key: th.cat([part[key] for part in columns]) for key in columns[0]},
    )
    return packed, th.as_tensor(np.concatenate([item.actions for item in decisions]), device=device)
