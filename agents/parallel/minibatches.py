"""An epoch's minibatches, as many on every process."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agents.parallel.gradients import GradientAverage


class MinibatchesInStep:
    """Stands in for a rollout buffer's ``get``: yields as many minibatches on every process.

    Buffers of whole sequences yield a number of minibatches that depends on the sequences. A process that has none left
    while another has is given its last one again, with the weight 0; else a process's weight is the number of its
    transitions, so that the mean of gradients is that of the joined minibatch. No data is dropped. Whether anybody has
    another minibatch travels with the gradients, so that nobody waits for the others at a minibatch's start.

    Args:
        buffer: The rollout buffer.
        gradients: Told the weight of each minibatch; tells whether any process has another one.

    Attributes:
        own: The buffer's own ``get``.
    """

    def __init__(self, buffer: Any, gradients: GradientAverage) -> None:
        self.own = buffer.get
        self._gradients = gradients

    def __call__(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield the rollout once, in random minibatches.

        Args:
            batch_size: Transitions in this process's part of a minibatch; None for all in one.
        """
        minibatches = self.own(batch_size)
        following = samples = next(minibatches)
        try:
            while True:
                is_new, samples = following is not None, samples if following is None else following
                following = next(minibatches, None) if is_new else None
                self._gradients.weight = float(len(samples.advantages)) if is_new else 0.0
                self._gradients.has_more = following is not None
                yield samples
                if not self._gradients.anybody_has_more:
                    return
        finally:
            self._gradients.weight, self._gradients.has_more = 1.0, False
