"""An epoch's minibatches, as many on every process."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agents.parallel.gradients import GradientAverage
from agents.parallel.ranks import Ranks


class MinibatchesInStep:
    """Stands in for a rollout buffer's ``get``: yields as many minibatches on every process.

    Buffers of whole sequences yield a number of minibatches that depends on the sequences. A process that has none left
    while another has is given its last one again, with the weight 0; each process's weight is its share of the
    transitions of all, so that the mean of gradients is that of the joined minibatch. No data is dropped.

    Args:
        buffer: The rollout buffer.
        ranks: The processes.
        gradients: Told the weight of each minibatch.

    Attributes:
        own: The buffer's own ``get``.
    """

    def __init__(self, buffer: Any, ranks: Ranks, gradients: GradientAverage) -> None:
        self.own = buffer.get
        self._ranks = ranks
        self._gradients = gradients

    def __call__(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield the rollout once, in random minibatches.

        Args:
            batch_size: Transitions in this process's part of a minibatch; None for all in one.
        """
        samples = None
        minibatches = self.own(batch_size)
        while True:
            following = next(minibatches, None)
            size = 0 if following is None else len(following.advantages)
            total = self._ranks.sum(size)
            if total == 0:
                return
            samples = samples if following is None else following
            self._gradients.share = size / total
            yield samples
