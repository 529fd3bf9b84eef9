"""Prioritised replay of sequences: which ones to learn from next, and what a batch has taught about that.

A stock algorithm tells its replay buffer nothing about TD errors. But it evaluates its networks on the observations
that the buffer gave it: these carry an observer, which sees the target network's values and the online network's, and
so knows the TD errors. Importance weights reach the loss the same way, as factors on the gradient of the values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th

from agents.buffers.episode_ring import EpisodeRing


@dataclass
class SequencePriorities:
    """Proportional prioritisation of segments by the sum of their absolute TD errors.

    Schaul et al. 2016, https://arxiv.org/abs/1511.05952.

    Attributes:
        alpha: Exponent of the priorities; 0 is uniform.
        beta: Exponent of the importance weights; 1 corrects the bias in full, 0 not at all.
        epsilon: Added to each sum, so that nothing is never drawn.
        highest: The greatest priority so far, given to new segments.
    """

    alpha: float = 0.6
    beta: float = 0.4
    epsilon: float = 1e-3
    highest: float = 1.0

    def probabilities(self, priorities: np.ndarray) -> np.ndarray:
        """How likely each segment is drawn, ``(n,)``."""
        powers = priorities**self.alpha
        return powers / powers.sum()

    def weights(self, probabilities: np.ndarray) -> np.ndarray:
        """Importance weights ``(n,)`` float32 of drawn segments, at most 1."""
        weights = probabilities**-self.beta  # the number of segments cancels out
        return (weights / weights.max()).astype(np.float32)


@dataclass
class TDObserver:
    """Sees the values of a batch in passing, sets priorities and weighs gradients.

    Attributes:
        ring: Where the segments are.
        priorities: The rule.
        numbers: ``(n_segments,)``, the segments' numbers in the ring; -1 for one that is still running.
        shares: ``(n_segments,)``, the part of each segment's transitions that is in the batch; the sum of its TD errors
            is estimated from that part.
        segment_of: ``(n,)`` int64 tensor, index into ``numbers`` of each transition.
        weights: ``(n,)`` importance weights.
        actions: ``(n, 1)`` int64.
        rewards: ``(n, 1)``.
        discounts: ``(n, 1)``: 0 where the episode ends.
    """

    ring: EpisodeRing
    priorities: SequencePriorities
    numbers: np.ndarray
    shares: np.ndarray
    segment_of: th.Tensor
    weights: th.Tensor
    actions: th.Tensor
    rewards: th.Tensor
    discounts: th.Tensor
    _targets: th.Tensor | None = None

    def see_next(self, values: th.Tensor) -> th.Tensor:
        """Keep the targets that follow from the target network's values ``(n, [n_quantiles,] n_actions)``."""
        with th.no_grad():
            self._targets = self.rewards + self.discounts * _mean(values).max(dim=1, keepdim=True).values
        return values

    def see_current(self, values: th.Tensor) -> th.Tensor:
        """Set priorities from the online network's values; their gradient is weighed from here on."""
        if self._targets is not None:
            with th.no_grad():
                error = (self._targets - _mean(values).gather(1, self.actions)).abs().flatten()
                sums = th.zeros(len(self.numbers), device=error.device).index_add_(0, self.segment_of, error)
            self._set(sums.cpu().numpy().astype(np.float64) / self.shares + self.priorities.epsilon)
        if values.requires_grad:
            weights = self.weights.view(-1, *[1] * (values.ndim - 1))
            values.register_hook(lambda grad: grad * weights)
        return values

    def _set(self, sums: np.ndarray) -> None:
        finished = self.numbers >= 0
        self.ring.set_priorities(self.numbers[finished], sums[finished])
        self.priorities.highest = max(self.priorities.highest, float(sums.max()))


def _mean(values: th.Tensor) -> th.Tensor:
    return values.float() if values.ndim == 2 else values.float().mean(dim=1)
