"""What episodes begin with: draws of their own, or one draw for a whole group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding

SEEDS = 2**32  # a group's generators are seeded with a number below


class EpisodeStarts:
    """Hands out prompts, or what else episodes begin with: each that is drawn ``group_size`` times in a row.

    The episode that takes the first copy draws, with its own generator: the prompt, then the seed of the group. Each
    episode of a group has a generator of its own with that seed, so that all meet the same random choices as long as
    their actions agree. With ``group_size=1`` every episode draws for itself and keeps its row's generator.

    Args:
        group_size: Number of episodes that begin with the same prompt.
    """

    def __init__(self, group_size: int) -> None:
        self.group_size = group_size
        self._copies_left = 0
        self._index = 0
        self._seed = 0

    def clear(self) -> None:
        """Let the next episode draw a new prompt, whatever copies are left."""
        self._copies_left = 0

    def take(
        self, n_starts: int, generators: Sequence[np.random.Generator]
    ) -> tuple[npt.NDArray[np.int64], list[np.random.Generator]]:
        """What the next episodes begin with.

        Args:
            n_starts: How many prompts there are.
            generators: Those of the rows in which episodes begin, ``k`` in row order.

        Returns:
            Numbers of prompts ``(k,)``, and the generators of the episodes, ``k`` of them.
        """
        if self.group_size == 1:
            return np.array([rng.integers(n_starts) for rng in generators], dtype=np.int64), list(generators)
        taken = [self._take_copy(n_starts, rng) for rng in generators]
        return np.array([index for index, _ in taken], dtype=np.int64), [rng for _, rng in taken]

    def _take_copy(self, n_starts: int, rng: np.random.Generator) -> tuple[int, np.random.Generator]:
        if self._copies_left == 0:
            self._copies_left = self.group_size
            self._index = int(rng.integers(n_starts))
            self._seed = int(rng.integers(SEEDS))
        self._copies_left -= 1
        return self._index, seeding.np_random(self._seed)[0]
