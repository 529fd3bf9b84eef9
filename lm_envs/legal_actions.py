"""Which tokens are legal in a state: what ``action_masks()`` and the observation's ``action_mask`` hold.

An illegal action raises nothing: an agent that explores at random, as DQN does, takes some. The environment
defines what it does instead.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lm_envs.token_state import IntArray, TokenState
from lm_envs.vocabulary import Vocabulary


class LegalActions:
    """Every action is legal in every state; the base class of other rules.

    Attributes:
        restricts: Whether an action can be illegal, so that observations have to tell which are.
    """

    restricts = False

    def __init__(self, n_actions: int) -> None:
        """Remember how many actions there are.

        Args:
            n_actions: Their number, for example that of the model's tokens.
        """
        self.n_actions = n_actions

    def mask(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which actions are legal next, a new array ``(k, n_actions)`` bool.

        Args:
            state: The episodes.
            rows: Which of them, ``(k,)``.
        """
        return np.ones((len(rows), self.n_actions), dtype=np.bool_)


class NoEarlyEnd(LegalActions):
    """End-of-text tokens are illegal before ``min_new_tokens`` tokens, as in ``transformers``' ``generate``."""

    restricts = True

    def __init__(self, vocabulary: Vocabulary, min_new_tokens: int) -> None:
        """Look up the end-of-text tokens.

        Args:
            vocabulary: The model's tokens.
            min_new_tokens: From how many generated tokens on they are legal.
        """
        super().__init__(vocabulary.size)
        self.min_new_tokens = min_new_tokens
        self._eos_ids = np.array(vocabulary.eos_ids, dtype=np.int64)

    def mask(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which actions are legal next, a new array ``(k, n_actions)`` bool; see :class:`LegalActions`."""
        mask = super().mask(state, rows)
        early = np.flatnonzero(state.new_lengths[rows] < self.min_new_tokens)
        mask[early[:, None], self._eos_ids] = False
        return mask


def legal_actions(vocabulary: Vocabulary, min_new_tokens: int) -> LegalActions:
    """The rule that an environment's arguments ask for."""
    return NoEarlyEnd(vocabulary, min_new_tokens) if min_new_tokens else LegalActions(vocabulary.size)
