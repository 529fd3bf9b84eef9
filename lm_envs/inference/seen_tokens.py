"""The tokens that a device has seen of each slot, so that it finds out by itself whether one more was appended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch as th


class SeenTokens:
    """The observations of the last step, on the device that computes with them.

    Args:
        n_slots: Number of rows.
        capacity: Length of an observation in tokens.
        device: Where they are.

    Attributes:
        ids: ``(n_slots, capacity)`` int32, the tokens.
        lengths: ``(n_slots,)`` int64, how many of each row count.
    """

    def __init__(self, n_slots: int, capacity: int, device: th.device) -> None:
        self.capacity = capacity
        self.ids = th.zeros((n_slots, capacity), dtype=th.int32, device=device)
        self.lengths = th.zeros(n_slots, dtype=th.int64, device=device)
        self._columns = th.arange(capacity, device=device)

    def follow(
        self, input_ids: th.Tensor, attention_mask: th.Tensor, span: int
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Take in the next observations; in place, with static shapes, and without reading anything back.

        Args:
            input_ids: ``(n_slots, capacity)`` integer tokens, right-padded.
            attention_mask: Of the same shape, 1 for tokens.
            span: At least the length of every row that appended one token to what was seen.

        Returns:
            Each row's last token ``(n_slots,)`` int64; its position ``(n_slots,)`` int64, which is right for rows that
            appended one token and below ``span`` for all; and which rows these are ``(n_slots,)`` bool. In the others,
            the position is not one of a token that was seen, unless it is that of the observation's last token.
        """
        lengths = attention_mask.sum(dim=1, dtype=th.int64)
        same = (input_ids == self.ids) | (self._columns >= self.lengths[:, None])
        right = same.all(dim=1) & (lengths == self.lengths + 1)
        positions = (lengths - 1).clamp(0, span - 1)
        tokens = input_ids.gather(1, positions[:, None]).squeeze(1).long()
        self.ids.copy_(input_ids)
        self.lengths.copy_(lengths)
        return tokens, positions, right

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """A context after which everything is as it was before."""
        ids, lengths = self.ids.clone(), self.lengths.clone()
        try:
            yield
        finally:
            self.ids.copy_(ids)
            self.lengths.copy_(lengths)
