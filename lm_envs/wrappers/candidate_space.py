"""The action space of candidates whose random actions are the language model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

from lm_envs.wrappers.rows import BoolArray


class CandidateSpace(Discrete[np.int64]):
    """``Discrete(k)`` whose ``sample()`` draws row 0's action from the language model, then row 1's, and so on.

    Stable-Baselines3 explores by ``action_space.sample()``, once for each environment, in order: in DQN's warm-up and
    in its epsilon-greedy steps. Uniform candidates make poor text; the model's own make text. Every step of the
    environment begins again with row 0. The space equals a plain ``Discrete(k)``; a copy, which belongs to no
    running environment, samples as one.
    """

    _cumulative: npt.NDArray[np.float64] | None = None
    _log_probs: npt.NDArray[np.float32] | None = None
    _row: int = 0

    def follow(self, log_probs: npt.NDArray[np.float32], legal: BoolArray) -> None:
        """Sample from these candidates until the next call, beginning with row 0.

        Args:
            log_probs: ``(n_rows, k)``, not necessarily normalised.
            legal: ``(n_rows, k)``, which of them can be drawn.
        """
        self._log_probs, self._cumulative, self._row = np.where(legal, log_probs, -np.inf), None, 0

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """A candidate of the next row, from the language model; with an argument, as ``Discrete`` does."""
        if mask is not None or probability is not None or self._log_probs is None:
            return super().sample(mask=mask, probability=probability)
        if self._cumulative is None:  # most steps sample nothing: not before the first use
            self._cumulative = np.exp(self._log_probs.astype(np.float64)).cumsum(axis=1)
        bounds = self._cumulative[self._row]
        self._row = (self._row + 1) % len(self._cumulative)
        slot = bounds.searchsorted(self.np_random.random() * bounds[-1], side="right")
        return np.int64(min(int(slot), int(self.n) - 1))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the environment's candidates out."""
        live = ("_log_probs", "_cumulative", "_row")
        return {name: value for name, value in self.__dict__.items() if name not in live}
