"""Masks of legal actions, each different one stored once."""

from __future__ import annotations

import numpy as np


class ActionMaskTable:
    """Numbers masks of legal actions, so that a buffer stores four bytes a transition instead of a vocabulary.

    Environments show few different masks: all actions, all but the end-of-text token, the tokens of a label set.

    Args:
        n_actions: Length of a mask.
    """

    def __init__(self, n_actions: int) -> None:
        self.n_actions = n_actions
        self._ids: dict[bytes, int] = {}
        self._packed = np.zeros((8, -(-n_actions // 8)), dtype=np.uint8)

    def __len__(self) -> int:
        """Number of different masks so far."""
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Memory of the masks, in bytes."""
        return self._packed.nbytes

    def numbers(self, masks: np.ndarray) -> np.ndarray:
        """The number of each mask, ``(n,)`` int32; new masks are added.

        Args:
            masks: ``(n, n_actions)``, nonzero for legal actions.
        """
        packed = np.packbits(masks.astype(bool), axis=1)
        return np.array([self._number(row) for row in packed], dtype=np.int32)

    def masks(self, numbers: np.ndarray) -> np.ndarray:
        """The masks ``(n, n_actions)`` bool of their numbers ``(n,)``."""
        return np.unpackbits(self._packed[numbers], axis=1, count=self.n_actions).astype(bool)

    def _number(self, packed: np.ndarray) -> int:
        number = self._ids.setdefault(packed.tobytes(), len(self._ids))
        if number == len(self._packed):
            self._packed = np.concatenate([self._packed, np.zeros_like(self._packed)])
        self._packed[number] = packed
        return number
