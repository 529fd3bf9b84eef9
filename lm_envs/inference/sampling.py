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
    weights = (logits - logits.amax(dim=1, keepdim=True)).exp_()
    return draw_by_weight(weights, uniform[:, None])[0].squeeze(1)


def draw_by_weight(weights: th.Tensor, uniform: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Draw one column a row, with probabilities in the ratio of ``weights``; one of weight 0 is never drawn.

    A CPU adds up in order, so that the sums of a row never fall and a weight of 0 leaves them as they are: a binary
    search finds the column. A GPU adds up in parallel, where rounding may break both; see :func:`first_above`.

    Args:
        weights: ``(n, n_columns)`` float32, at least 0, and at least one of each row above 0.
        uniform: ``(n, 1)`` float32, from 0 up to but not including 1.

    Returns:
        Columns ``(n, 1)`` int64 and the rows' sums ``(n, 1)`` float32.
    """
    cumulative = weights.cumsum(dim=1)
    if weights.device.type != "cpu":
        return first_above(weights, cumulative, uniform)
    total = cumulative[:, -1:]
    return th.searchsorted(cumulative, _below(uniform * total, total), right=True), total


def first_above(weights: th.Tensor, cumulative: th.Tensor, uniform: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Draw the first column of weight above 0 whose cumulative weight is above the drawn number.

    There always is one, as the drawn number is below the largest of their cumulative weights: whatever rounding did to
    ``cumulative``, no column of weight 0 is drawn. Nothing here waits for the device.

    Args:
        weights: ``(n, n_columns)``, at least 0, and at least one of each row above 0.
        cumulative: Their sums from the left, up to rounding, above 0 wherever the weight is.
        uniform: ``(n, 1)``, from 0 up to but not including 1.

    Returns:
        Columns ``(n, 1)`` int64 and the largest cumulative weights ``(n, 1)``.
    """
    reached = cumulative.masked_fill(weights == 0, 0.0)
    total = reached.amax(dim=1, keepdim=True)
    above = reached > _below(uniform * total, total)
    return above.to(th.uint8).argmax(dim=1, keepdim=True), total  # of equals, argmax takes the first


def _below(draw: th.Tensor, total: th.Tensor) -> th.Tensor:
    """``draw``, or the next number below ``total`` where rounding has reached the total itself."""
    return th.minimum(draw, total.nextafter(th.zeros_like(total)))


def _nucleus(logits: th.Tensor, top_p: float) -> th.Tensor:
    """``logits`` with ``-inf`` outside of the nucleus."""
    sorted_logits, order = logits.sort(dim=1, descending=True)
    probs = sorted_logits.softmax(dim=1)
    outside = probs.cumsum(dim=1) - probs >= top_p
    return logits.masked_fill(outside.scatter(1, order, outside), float("-inf"))
