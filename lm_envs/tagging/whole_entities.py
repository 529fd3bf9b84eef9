"""Which labels are legal: those that do not break an entity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lm_envs.legal_actions import LegalActions
from lm_envs.tagging.scheme import Scheme
from lm_envs.token_state import IntArray, TokenState


class WholeEntities(LegalActions):
    """``I-`` is legal only after the ``B-`` or ``I-`` of its type.

    Args:
        scheme: The labels.
        num_rows: Number of sentences side by side.
    """

    restricts = True

    def __init__(self, scheme: Scheme, num_rows: int) -> None:
        super().__init__(len(scheme.labels))
        self._may_follow = scheme.may_follow
        self._last = np.full(num_rows, -1)  # -1, a sentence's start, is the last row of may_follow

    def begin(self, rows: IntArray) -> None:
        """New sentences in ``rows``."""
        self._last[rows] = -1

    def chosen(self, labels: IntArray) -> None:
        """The labels of the words that were labelled last, ``(num_rows,)``."""
        self._last[:] = labels

    def mask(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which actions are legal next, a new array ``(k, n_actions)`` bool; see :class:`LegalActions`."""
        mask: npt.NDArray[np.bool_] = self._may_follow[self._last[rows]]
        return mask
