"""Attention over a cache with one slot per environment, for every model family of transformers.

A rollout step mixes rows that only append one token with rows whose whole prompt is new. All new tokens of all rows
travel through the model as one flat sequence of shape ``(1, n_tokens)``, so every linear layer runs once; only
attention has to know which token belongs to which slot. transformers lets a model's attention be replaced by name
(`attention interface <https://huggingface.co/docs/transformers/attention_interface>`_); this module registers
``"lm_envs_slots"``, which writes the new keys and values into a
:class:`~lm_envs.inference.slot_cache.SlotCache` and attends to them there. Without a cache (updates, teacher forcing)
it is plain causal attention over right-padded rows, which need no mask: padding only ever comes after the tokens
that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch as th
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

if TYPE_CHECKING:
    from lm_envs.inference.slot_cache import Prefill, SlotPass

SLOT_ATTENTION = "lm_envs_slots"


def slot_attention(
    module: th.nn.Module,
    query: th.Tensor,
    key: th.Tensor,
    value: th.Tensor,
    attention_mask: th.Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    slots: SlotPass | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[th.Tensor, None]:
    """Attend causally; with ``slots``, through the cache.

    Args:
        module: The attention layer; ``layer_idx`` names its place in the cache.
        query: ``(batch, n_heads, n_tokens, head_dim)``; batch is 1 with ``slots``.
        key: ``(batch, n_kv_heads, n_tokens, head_dim)``.
        value: Like ``key``.
        attention_mask: Ignored: rows are right-padded and attention is causal.
        scaling: Factor on the scores; None means ``head_dim ** -0.5``.
        dropout: Ignored: a policy's language model always runs in evaluation mode.
        slots: What this pass computes; None for teacher forcing without a cache.
        sliding_window: Number of most recent positions that a token sees; None for all.
        softcap: Bound on the scores, applied as ``softcap * tanh(scores / softcap)`` (Gemma 2).

    Returns:
        ``(batch, n_tokens, n_heads, head_dim)`` and None (no attention weights).
    """
    score = _Score(scaling, softcap, sliding_window)
    if slots is None:
        mask = _window_mask(query.shape[2], sliding_window, query.device)
        return score.attend(query, key, value, mask, is_causal=mask is None).transpose(1, 2), None
    layer_idx: int = module.layer_idx  # type: ignore[assignment]
    keys, values = slots.cache.layer(layer_idx, key)
    n = slots.n_decode
    query, key, value = query[0], key[0], value[0]
    outputs = []
    if slots.prefill is not None:
        output = _prefill(score, slots.prefill, slots.span, query[:, n:], key[:, n:], value[:, n:], keys, values)
        outputs.append(output)
    if n:  # after the prefill, whose padding may have touched the positions written here
        query, key, value = query[:, :n].transpose(0, 1), key[:, :n].transpose(0, 1), value[:, :n].transpose(0, 1)
        outputs.insert(0, _decode(score, slots, query, key, value, keys, values))
    return (outputs[0] if len(outputs) == 1 else th.cat(outputs)).unsqueeze(0), None


def _decode(
    score: _Score,
    slots: SlotPass,
    query: th.Tensor,
    key: th.Tensor,
    value: th.Tensor,
    keys: th.Tensor,
    values: th.Tensor,
) -> th.Tensor:
    """Write and attend with the last token of every slot that takes part.

    The query heads that share a key/value head become query positions of one attention problem, so keys are not
    repeated. They are copied only where some slots do not take part.

    Args:
        score: How scores are computed.
        slots: The pass.
        query: ``(n, n_heads, head_dim)``.
        key: ``(n, n_kv_heads, head_dim)``, and ``value`` alike.
        value: See ``key``.
        keys: The cache ``(n_slots, n_kv_heads, capacity, head_dim)``, and ``values`` alike.
        values: See ``keys``.

    Returns:
        ``(n, n_heads, head_dim)``.
    """
    keys[slots.rows, :, slots.last_position] = key
    values[slots.rows, :, slots.last_position] = value
    keys, values = keys[:, :, : slots.span], values[:, :, : slots.span]
    if not slots.all_rows:
        keys, values = keys.index_select(0, slots.rows), values.index_select(0, slots.rows)
    grouped = query.unflatten(1, (key.shape[1], -1))
    mask = slots.decode_mask(query.dtype, score.sliding_window)
    return score.attend(grouped, keys, values, mask).flatten(1, 2)


def _prefill(
    score: _Score,
    prefill: Prefill,
    span: int,
    query: th.Tensor,
    key: th.Tensor,
    value: th.Tensor,
    keys: th.Tensor,
    values: th.Tensor,
) -> th.Tensor:
    """Write and attend with the tokens before the last one, in the rows that have more than one new token.

    Args:
        score: How scores are computed.
        prefill: Which tokens these are.
        span: Number of cache columns to read.
        query: ``(n_heads, n_rows * n_columns, head_dim)``.
        key: ``(n_kv_heads, n_rows * n_columns, head_dim)``, and ``value`` alike.
        value: See ``key``.
        keys: The cache ``(n_slots, n_kv_heads, capacity, head_dim)``, and ``values`` alike.
        values: See ``keys``.

    Returns:
        ``(n_rows * n_columns, n_heads, head_dim)``.
    """
    rows, positions = prefill.rows, prefill.positions
    query, key, value = (tensor.unflatten(1, positions.shape).transpose(0, 1) for tensor in (query, key, value))
    keys[rows[:, None], :, positions] = key.transpose(1, 2)
    values[rows[:, None], :, positions] = value.transpose(1, 2)
    if prefill.from_start and score.sliding_window is None:
        output = score.attend(query, key, value, None, is_causal=True)
    else:
        mask = prefill.mask(span, score.sliding_window)
        output = score.attend(query, keys[rows, :, :span], values[rows, :, :span], mask)
    return output.transpose(1, 2).flatten(0, 1)


@dataclass(frozen=True)
class _Score:
    """How a layer computes attention from scores; see :func:`slot_attention`."""

    scaling: float | None
    softcap: float | None
    sliding_window: int | None

    def attend(
        self, query: th.Tensor, key: th.Tensor, value: th.Tensor, mask: th.Tensor | None, is_causal: bool = False
    ) -> th.Tensor:
        """Scaled dot-product attention; by hand only where scores are capped, which no fused kernel offers."""
        if self.softcap is None:
            grouped = query.shape[1] != key.shape[1]
            if grouped and not _shares_heads(query, mask):
                key, value, grouped = *_for_each_head(query, key, value), False
            return scaled_dot_product_attention(
                query, key, value, attn_mask=mask, scale=self.scaling, is_causal=is_causal, enable_gqa=grouped
            )
        key, value = _for_each_head(query, key, value)
        scores = query @ key.transpose(-1, -2) * (self.scaling or query.shape[-1] ** -0.5)
        scores = self.softcap * th.tanh(scores / self.softcap)
        if is_causal:
            mask = th.ones(scores.shape[-2:], dtype=th.bool, device=scores.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask if mask.dtype == th.bool else mask < 0, float("-inf"))
        return scores.softmax(dim=-1, dtype=th.float32).to(value.dtype) @ value


def _shares_heads(query: th.Tensor, mask: th.Tensor | None) -> bool:
    """Whether keys may have fewer heads than queries without losing the fused kernels.

    On a GPU flash attention alone allows that, which takes no mask, 16 bits a number and heads of up to 256; anything
    else would fall back to holding all scores.
    """
    if query.device.type != "cuda":
        return True
    return mask is None and query.dtype in (th.bfloat16, th.float16) and query.shape[-1] <= 256


def _for_each_head(query: th.Tensor, key: th.Tensor, value: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Keys and values with as many heads as the queries, each repeated for those that share it."""
    repeats = query.shape[1] // key.shape[1]
    return key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)


def _window_mask(n_tokens: int, sliding_window: int | None, device: th.device) -> th.Tensor | None:
    """The boolean causal mask ``(n_tokens, n_tokens)`` of a sliding window, or None where the window hides nothing."""
    if sliding_window is None or n_tokens <= sliding_window:
        return None
    offset = th.arange(n_tokens, device=device)
    distance = offset[:, None] - offset[None, :]
    return (distance >= 0) & (distance < sliding_window)


AttentionInterface.register(SLOT_ATTENTION, slot_attention)
