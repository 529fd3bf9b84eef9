"""Which tokens are legal in many states, one bit each."""

from __future__ import annotations

from dataclasses import dataclass

import torch as th
from torch.nn import functional

BITS = 8


@dataclass(frozen=True)
class PackedMask:
    """A boolean matrix ``(n, n_tokens)`` in an eighth of its memory, for large vocabularies.

    Attributes:
        bits: ``(n, ceil(n_tokens / 8))`` uint8.
        n_tokens: Number of columns.
    """

    bits: th.Tensor
    n_tokens: int

    @staticmethod
    def bits_of(mask: th.Tensor) -> th.Tensor:
        """The bits ``(n, ceil(n_tokens / 8))`` uint8 of a boolean matrix ``(n, n_tokens)``."""
        padded = functional.pad(mask.to(th.uint8), (0, -mask.shape[1] % BITS)).unflatten(1, (-1, BITS))
        return (padded << _places(mask.device)).sum(dim=2, dtype=th.uint8)

    def __getitem__(self, rows: slice) -> th.Tensor:
        """Some rows ``(k, n_tokens)`` bool."""
        unpacked = (self.bits[rows, :, None] >> _places(self.bits.device)) & 1
        return unpacked.flatten(1)[:, : self.n_tokens].bool()

    def at(self, tokens: th.Tensor) -> th.Tensor:
        """One entry of each row ``(n,)`` bool, in the columns ``tokens`` ``(n,)`` int64."""
        found = self.bits.gather(1, (tokens // BITS)[:, None]).squeeze(1)
        return (found >> (tokens % BITS).to(th.uint8)) & 1 > 0


def _places(device: th.device) -> th.Tensor:
    return th.arange(BITS, dtype=th.uint8, device=device)
