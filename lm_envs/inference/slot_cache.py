"""A key/value cache with one slot per environment: a prefix is computed once.

The cache finds out by itself what is new. Neither dones nor recurrent state reach an SB3 policy, so each slot keeps
the tokens it has seen; an observation that extends them costs its new tokens only, one that does not (a reset, a
dropped turn) costs what lies behind the common prefix. A wrong guess is thus impossible: reuse is always checked
against the token ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch as th

from lm_envs.inference.transfers import to_device_together


@dataclass
class Prefill:
    """The tokens before the last one in rows with more than one new token, as a right-padded block.

    Attributes:
        rows: ``(n_rows,)`` int64, slot of each row.
        positions: ``(n_rows, n_columns)`` int64, position of each token; padding stays within the slot and is
            overwritten before anything reads it.
        from_start: Whether every row starts at position 0, so that the block needs nothing from the cache.
    """

    rows: th.Tensor
    positions: th.Tensor
    from_start: bool
    _masks: dict[int | None, th.Tensor] = field(default_factory=dict)

    def mask(self, span: int, sliding_window: int | None) -> th.Tensor:
        """What each token sees of its slot: ``(n_rows, 1, n_columns, span)`` bool."""
        if sliding_window not in self._masks:
            distance = self.positions[:, None, :, None] - th.arange(span, device=self.positions.device)
            seen = distance >= 0
            self._masks[sliding_window] = seen if sliding_window is None else seen & (distance < sliding_window)
        return self._masks[sliding_window]


@dataclass
class SlotPass:
    """One pass through the model: the last token of ``n_decode`` slots, then a block of earlier tokens.

    Attributes:
        cache: Where keys and values are kept.
        input_ids: ``(1, n_tokens)`` int64, last tokens first, then the block row by row.
        position_ids: ``(1, n_tokens)`` int64.
        n_decode: Number of slots that take part, or 0 in a pass that only prefills.
        span: Number of cache columns that attention reads.
        rows: ``(n,)`` int64, the slots that take part: 0, 1, 2, ... where all do.
        all_rows: Whether all slots take part, so that attention can read the cache where it lies.
        last_position: ``(n,)`` int64, position of each of these slots' last token.
        ragged: Whether they differ in length, so that attention needs a mask.
        prefill: The block, or None.
    """

    cache: SlotCache
    input_ids: th.Tensor
    position_ids: th.Tensor
    n_decode: int
    span: int
    rows: th.Tensor
    all_rows: bool
    last_position: th.Tensor
    ragged: bool
    prefill: Prefill | None
    _masks: dict[int | None, th.Tensor | None] = field(default_factory=dict)

    def decode_mask(self, dtype: th.dtype, sliding_window: int | None) -> th.Tensor | None:
        """Additive mask ``(n, 1, 1, span)`` of what the last tokens see; None where they see everything."""
        if sliding_window not in self._masks:
            self._masks[sliding_window] = self._build_decode_mask(dtype, sliding_window)
        return self._masks[sliding_window]

    def _build_decode_mask(self, dtype: th.dtype, sliding_window: int | None) -> th.Tensor | None:
        windowed = sliding_window is not None and self.span > sliding_window
        if not self.ragged and not windowed:
            return None
        distance = self.last_position[:, None] - th.arange(self.span, device=self.last_position.device)
        hidden = distance < 0
        if windowed:
            hidden |= distance >= sliding_window  # type: ignore[operator]
        mask = th.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, float("-inf"))
        return mask[:, None, None, :]


class SlotCache:
    """Keys and values of ``n_slots`` sequences, preallocated, written at per-slot positions.

    Args:
        n_slots: Number of environments.
        capacity: Longest sequence in tokens.
        device: Where the tensors live.
        max_pass_tokens: Longest flat pass in tokens; a larger prefill is split, which bounds peak memory.

    Attributes:
        computed_tokens: Number of token positions computed so far, padding excluded.
    """

    def __init__(self, n_slots: int, capacity: int, device: th.device, max_pass_tokens: int = 16_384) -> None:
        self.n_slots = n_slots
        self.capacity = capacity
        self.device = device
        self.max_pass_tokens = max_pass_tokens
        self.computed_tokens = 0
        # planned on the host: these are a few thousand integers, and numpy's calls cost a fraction of torch's
        self._tokens = np.zeros((n_slots, capacity), dtype=np.int64)
        self._lengths = np.zeros(n_slots, dtype=np.int64)
        self._columns = np.arange(capacity)
        self._slots = np.arange(n_slots)
        self._slot_range = th.arange(n_slots, device=device)
        self._layers: dict[int, tuple[th.Tensor, th.Tensor]] = {}

    def clear(self) -> None:
        """Forget all prefixes, for example because the weights have changed. Memory stays allocated."""
        self._lengths[:] = 0

    def layer(self, layer_idx: int, like: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Keys and values of a layer, each ``(n_slots, n_kv_heads, capacity, head_dim)``, allocated on first use."""
        if layer_idx not in self._layers:
            shape = (self.n_slots, like.shape[1], self.capacity, like.shape[3])
            self._layers[layer_idx] = (like.new_zeros(shape), like.new_zeros(shape))
        return self._layers[layer_idx]

    def plan(
        self, input_ids: th.Tensor, attention_mask: th.Tensor, rows: npt.NDArray[np.int64] | None = None
    ) -> list[SlotPass]:
        """Find the tokens that are new and remember them as cached.

        Args:
            input_ids: ``(n, n_columns)`` integer tokens, right-padded; ``n_columns`` is at most ``capacity``.
            attention_mask: Of the same shape, at least one token a row.
            rows: ``(n,)``, which slots these are, each once; the others keep what they hold and cost nothing.
                None: all of them, in order.

        Returns:
            The passes to run in order. The last one computes the last token of every slot that takes part.
        """
        tokens = input_ids.cpu().numpy()
        lengths = attention_mask.cpu().numpy().sum(axis=1, dtype=np.int64)
        here = np.s_[:] if rows is None else rows  # a slice where it can be: it copies nothing
        columns = np.s_[: tokens.shape[1]]
        known = np.minimum(self._lengths[here], lengths - 1)  # the last token is always computed: its output is wanted
        fresh = (tokens != self._tokens[here, columns]) | (self._columns[columns] >= known[:, None])
        start = fresh.argmax(axis=1)  # first column that is not known: the common prefix's length
        n_before_last = lengths - 1 - start
        self._tokens[here, columns] = tokens
        self._lengths[here] = lengths
        self.computed_tokens += int(n_before_last.sum()) + len(lengths)
        blocks = self._blocks(self._slots[here], start, n_before_last)
        return [self._pass(rows, block, decode=number == len(blocks)) for number, block in enumerate(blocks, 1)]

    def static_pass(self, tokens: th.Tensor, positions: th.Tensor, span: int) -> SlotPass:
        """The pass in which every slot computes one token, planned on the device: its shapes depend on ``span`` only.

        Nothing is remembered: :meth:`plan` does not know these tokens.

        Args:
            tokens: ``(n_slots,)`` int64.
            positions: ``(n_slots,)`` int64, below ``span``.
            span: Number of cache columns that attention reads.
        """
        return SlotPass(
            cache=self,
            input_ids=tokens.unsqueeze(0),
            position_ids=positions.unsqueeze(0),
            n_decode=self.n_slots,
            span=span,
            rows=self._slot_range,
            all_rows=True,
            last_position=positions,
            ragged=True,
            prefill=None,
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many tokens of each slot :meth:`plan` knows, ``(n_slots,)``; not to be changed."""
        return self._lengths

    def _blocks(
        self, slots: np.ndarray, start: np.ndarray, counts: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Slots ``(n_rows,)`` and positions ``(n_rows, n_columns)`` of what each pass has to prefill."""
        n_columns = int(counts.max())
        if n_columns == 0:
            return [None]
        some = np.flatnonzero(counts)
        positions = np.minimum(start[some, None] + self._columns[:n_columns], self.capacity - 1)
        per_pass = max(1, self.max_pass_tokens // n_columns)
        cuts = range(0, len(some), per_pass)
        return [(slots[some[cut : cut + per_pass]], positions[cut : cut + per_pass]) for cut in cuts]

    def _pass(
        self, rows: npt.NDArray[np.int64] | None, block: tuple[np.ndarray, np.ndarray] | None, decode: bool
    ) -> SlotPass:
        slots = self._slots if rows is None else rows
        last = self._lengths[slots] - 1
        ids, positions = [], []
        if decode:
            ids.append(self._tokens[slots, last])
            positions.append(last)
        if block is not None:
            ids.append(self._tokens[block[0][:, None], block[1]].ravel())
            positions.append(block[1].ravel())
        planned = [
            np.concatenate(ids),
            np.concatenate(positions),
            last,
            *(block or ()),
            *([] if rows is None else [rows]),
        ]
        input_ids, position_ids, last_position, *others = to_device_together(planned, self.device)
        return SlotPass(
            cache=self,
            input_ids=input_ids.unsqueeze(0),
            position_ids=position_ids.unsqueeze(0),
            n_decode=len(slots) if decode else 0,
            span=int(last.max()) + 1,
            rows=self._slot_range if rows is None else others[-1],
            all_rows=rows is None,
            last_position=last_position,
            ragged=bool((last != last[0]).any()),
            prefill=None if block is None else Prefill(others[0], others[1], from_start=not block[1][:, 0].any()),
        )
