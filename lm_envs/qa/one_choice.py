"""Which numbers stand for a choice: questions may have fewer choices than there are actions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lm_envs.legal_actions import LegalActions
from lm_envs.token_state import IntArray, TokenState


class OneChoice(LegalActions):
    """Legal are the numbers of a question's choices.

    Args:
        max_choices: The largest number of choices of a question.
        num_rows: Number of episodes side by side.
    """

    restricts = True

    def __init__(self, max_choices: int, num_rows: int) -> None:
        super().__init__(max_choices)
        self._counts = np.full(num_rows, max_choices)

    def begin(self, row: int, n_choices: int) -> None:
        """A new question in ``row``."""
        self._counts[row] = n_choices

    def mask(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which actions are legal next, a new array ``(k, n_actions)`` bool; see :class:`LegalActions`."""
        mask: npt.NDArray[np.bool_] = np.arange(self.n_actions) < self._counts[rows, None]
        return mask
