"""Draws next tokens from logits, with one uniform number a row."""

from __future__ import annotations

import torch as th


def draw_tokens(logits: th.Tensor, uniform: th.Tensor, temperature: float = 1.0, top_p: float = 1.0) -> th.Tensor:
    """Draw one token a row by inverting the cumulative distribution.

    A row's token depends on its own logits and number only, whatever other rows are drawn beside it.

    Args:
        logits: ``(n, vocab_size)`` float32; ``-inf`` marks tokens that are never drawn.
        uniform: ``(n,)`` float32, from 0 up to but not including 1.
        temperature: What logits are divided by; 0 takes the most probable token.
        top_p: Draw from the most probable tokens that together have this probability (nucleus sampling, Holtzman
            et al., 2020, https://arxiv.org/abs/1904.09751); 1 for all.

    Returns:
        ``(n,)`` int64.
    """
    if temperature == 0.0:
        return logits.argmax(dim=1)
    if temperature != 1.0:
        logits = logits / temperature
    if top_p < 1.0:
        logits = _nucleus(logits, top_p)
    cumulative = (logits - logits.amax(dim=1, keepdim=True)).exp_().cumsum(dim=1)
    total = cumulative[:, -1:]
    draw = uniform[:, None] * total
    draw = th.minimum(draw, total.nextafter(th.zeros_like(total)))  # rounding may have reached the total itself
    return th.searchsorted(cumulative, draw, right=True).squeeze(1)


def _nucleus(logits: th.Tensor, top_p: float) -> th.Tensor:
    """``logits`` with ``-inf`` outside of the nucleus."""
    sorted_logits, order = logits.sort(dim=1, descending=True)
    probs = sorted_logits.softmax(dim=1)
    outside = probs.cumsum(dim=1) - probs >= top_p
    return logits.masked_fill(outside.scatter(1, order, outside), float("-inf"))
