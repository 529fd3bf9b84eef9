"""A batch of transitions out of an episode ring: whole segments, and what each transition leads to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch as th

from agents.buffers.episode_ring import EpisodeRing
from agents.networks.sequences import PackedSequences

ColumnsAt = Callable[[np.ndarray, np.ndarray], dict[str, th.Tensor]]


class ReplayBatch:
    """The transitions of some segments, with n-step successors.

    Args:
        ring: Where the segments are.
        numbers: ``(n_segments,)`` their numbers in the ring, -1 for one that is still running.
        records: ``(n_segments,)`` their records. Together they have at least ``batch_size`` transitions, and without
            the last one fewer.
        probabilities: ``(n_segments,)`` how likely each was drawn.
        batch_size: Number of transitions; the last segment gives a random part of its own.
        n_steps: A transition leads to the state so many transitions later, or to the segment's last state.

    Attributes:
        segment_of: ``(batch_size,)`` int64, the segment of each transition.
        shares: ``(n_segments,)``, the part of each segment's transitions that is in the batch, above 0.
        n_steps_taken: ``(batch_size,)`` int64, how many steps lie between state and next state.
        dones: ``(batch_size,)`` bool, whether the next state is the end of the episode.
    """

    def __init__(
        self,
        ring: EpisodeRing,
        numbers: np.ndarray,
        records: np.ndarray,
        probabilities: np.ndarray,
        batch_size: int,
        n_steps: int,
    ) -> None:
        self.ring = ring
        self.numbers = numbers
        self.records = records
        self.probabilities = probabilities
        width = int(records["n_tokens"].max())
        inside = np.arange(width) < records["n_tokens"][:, None]
        places = np.minimum(records["start"][:, None] + np.arange(width), len(ring.tokens) - 1)
        self._all_rows, self._all_positions = np.nonzero(ring.decides[places] & inside)
        self._ends = np.cumsum(records["n_transitions"])[self._all_rows]  # one past the segment's last transition
        self._chosen = _random_part(len(self._all_rows), int(records["n_transitions"][-1]), batch_size)
        self._next = np.minimum(self._chosen + n_steps, self._ends[self._chosen])
        self.segment_of = self._all_rows[self._chosen]
        self.shares = np.bincount(self.segment_of, minlength=len(records)) / records["n_transitions"]
        self.n_steps_taken = self._next - self._chosen
        self._leaves = self._next == self._ends[self._chosen]
        self.dones = self._leaves & records["terminated"][self.segment_of]

    def column(self, name: str) -> np.ndarray:
        """A column of the ring at the transitions ``(batch_size, ...)``."""
        return self.ring.columns[name][self._places()]

    def returns(self, normalize: Callable[[np.ndarray], np.ndarray], gamma: float | None) -> np.ndarray:
        """Discounted sums ``(batch_size,)`` of the rewards on the way to the next state."""
        rewards = normalize(self.ring.columns["rewards"][self._start_of(self._all_rows) + self._all_positions])
        total = rewards[self._chosen].astype(np.float64)
        for step in range(1, int(self.n_steps_taken.max())):
            taken = step < self.n_steps_taken
            total[taken] += np.float64(gamma or 1.0) ** step * rewards[self._chosen[taken] + step]
        return total

    def packed(self, device: th.device | str, columns_at: ColumnsAt) -> tuple[PackedSequences, PackedSequences]:
        """Observations and next observations, in the same sequences.

        Args:
            device: Where the tensors go.
            columns_at: Called with places in the ring and whether the episode has ended there.
        """
        starts, lengths, row_after = self._rows_with_observations_after_breaks()
        order = np.argsort(-lengths, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        next_rows = np.where(self._leaves, row_after[self.segment_of], self.segment_of)
        inner = self._all_positions[np.minimum(self._next, len(self._all_positions) - 1)]
        next_positions = np.where(self._leaves, lengths[next_rows] - 1, inner)
        packed = PackedSequences(
            th.as_tensor(self._tokens(starts[order], lengths[order]), device=device),
            lengths[order],
            th.as_tensor(rank[self.segment_of], device=device),
            th.as_tensor(self._all_positions[self._chosen], device=device),
            columns_at(self._places(), np.zeros(len(self.dones), dtype=bool)),
        )
        next_packed = packed.at(
            th.as_tensor(rank[next_rows], device=device),
            th.as_tensor(next_positions, device=device),
            columns_at(starts[next_rows] + next_positions, self.dones),
        )
        return packed, next_packed

    def _rows_with_observations_after_breaks(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts and lengths of all rows, and for each segment the row of its last state."""
        records = self.records
        broken = np.flatnonzero(records["n_after"])
        starts = np.concatenate([records["start"], (records["start"] + records["n_tokens"])[broken]])
        lengths = np.concatenate([records["n_tokens"], records["n_after"][broken]])
        row_after = np.arange(len(records))
        row_after[broken] = len(records) + np.arange(len(broken))
        return starts, lengths, row_after

    def _tokens(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The rows, right-padded with zeros, ``(n_rows, longest)`` int32."""
        columns = np.arange(int(lengths[0]))
        places = np.minimum(starts[:, None] + columns, len(self.ring.tokens) - 1)
        return np.where(columns < lengths[:, None], self.ring.tokens[places], 0)

    def _places(self) -> np.ndarray:
        return self._start_of(self.segment_of) + self._all_positions[self._chosen]

    def _start_of(self, segments: np.ndarray) -> np.ndarray:
        return self.records["start"][segments]


def _random_part(total: int, n_last: int, batch_size: int) -> np.ndarray:
    """Indices ``(batch_size,)`` of all transitions but some random ones of the last segment, ascending."""
    excess = total - batch_size
    if excess == 0:
        return np.arange(total)
    dropped = total - n_last + np.random.choice(n_last, size=excess, replace=False)
    return np.delete(np.arange(total), dropped)
